/* SPDX-License-Identifier: Apache-2.0 */
/* The MIME structure of a message, found while its bytes go by (RFC 2045, 2046, 2047, 2231, 2183, 6532).
 *
 * Push the message in pieces of any size, then finish; the parts are then in preorder, part 0 being the
 * message itself. A message/rfc822 (or message/global) part has one child: the root of the message in it.
 * A multipart has at least one child (an empty one is made up if need be). Offsets count from the first byte.
 *
 * Nothing is an error. A header ends at its empty line, at a delimiter of an enclosing multipart or at the
 * end. A delimiter line is any line that begins with "--" and an open boundary (RFC 2046 5.1.1), the longest
 * match wins, so a lost closing line ends where the parent goes on. A multipart without boundary counts as
 * text/plain.
 *
 * Memory: one header block at a time, at most MIME_HEADER_KEPT_MAX of it, plus facts: at most MIME_PARTS_MAX
 * parts and about MIME_FACTS_MAX bytes. Past a bound the rest is an opaque body of the part it is found in.
 */
#ifndef LIB_MAIL_MIME_H
#define LIB_MAIL_MIME_H

#include "lib/mail/mime_field.h"

enum {
    MIME_DEPTH_MAX = 100,     /* deeper multiparts and messages stay application/octet-stream leaves */
    MIME_PARTS_MAX = 10000,   /* after so many, delimiters are no longer looked for */
    MIME_FACTS_MAX = 1 << 20, /* bytes of strings; past it as past MIME_PARTS_MAX */
    MIME_HEADER_KEPT_MAX =
        256 * 1024, /* of one header; fields behind are not seen, but counted in its length */
};

#define MIME_NO_PART UINT32_MAX

enum mime_kind { MIME_LEAF, MIME_MULTIPART, MIME_MESSAGE };

struct mime_part {
    uint32_t parent; /* index, MIME_NO_PART for the root */
    uint32_t child_count;
    uint16_t depth; /* 0 for the root */
    enum mime_kind kind;
    uint64_t header_offset;
    uint64_t header_len; /* with the empty line, if there is one; the body starts right behind */
    uint64_t body_len;   /* without the line end that belongs to the following delimiter */
    uint64_t body_lines; /* line feeds in the body */
    struct mime_info info;
};

/* Facts about the whole message. */
struct mime_totals {
    uint64_t size;
    bool header_8bit; /* bytes above 127 in any header */
    bool body_8bit;
    bool has_nul;   /* a NUL anywhere */
    bool bare_eol;  /* a LF without CR before it */
    bool truncated; /* a bound was met, see above */
};

/* Called while bytes go by; either may be NULL. */
struct mime_sink {
    void *ctx;
    /* A header is complete (as far as kept). `part` is filled but for the body. True asks for the body's
     * bytes. */
    bool (*header)(void *ctx, uint32_t index, const struct mime_part *part, struct slice block);
    /* The next bytes of a leaf's body. False: no more of this one, please. */
    bool (*body)(void *ctx, uint32_t index, struct slice bytes);
};

struct mime_scanner;

/* `sink` is copied. The caller frees with mime_scanner_free, which sets *m to NULL. */
struct mime_scanner *mime_scanner_new(const struct mime_sink *sink);
void mime_scanner_free(struct mime_scanner **m);

void mime_scanner_push(struct mime_scanner *m, struct slice bytes);
/* No more bytes. Once, before the getters; no push after it. */
void mime_scanner_finish(struct mime_scanner *m);

/* Valid after finish, until free. */
const struct mime_part *mime_scanner_parts(const struct mime_scanner *m, size_t *count_out);
const struct mime_totals *mime_scanner_totals(const struct mime_scanner *m);

#endif
