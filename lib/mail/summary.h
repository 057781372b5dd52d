/* SPDX-License-Identifier: Apache-2.0 */
/* The summary of a message: what IMAP asks for most, computed once while the mail arrives, kept as an opaque
 * blob in the message's row, read in place at FETCH and SEARCH without touching the body.
 *
 * Build:  summary_builder_new -> push* -> finish -> bytes to store.
 * Read:   summary_open -> envelope, parts, header fields, preview; imap_format.h and section.h work on it.
 *
 * A stored summary is bounded. What did not fit is missing as a whole and `has` says so; the reader then
 * streams the body through a builder with SUMMARY_FULL_MAX and uses that one. The same is done when
 * summary_open says ERR_UNSUPPORTED (an older or newer version).
 *
 * Everything here is pure and needs little stack, so it may run in fibers. Nothing here yields. */
#ifndef LIB_MAIL_SUMMARY_H
#define LIB_MAIL_SUMMARY_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/mail/date.h"
#include "lib/mail/envelope.h"
#include "lib/mail/mime.h"

enum {
    SUMMARY_VERSION = 1,
    SUMMARY_STORED_MAX = 24 * 1024,     /* for rows: an entry is at most 64 KiB */
    SUMMARY_FULL_MAX = 8 * 1024 * 1024, /* enough for every message within the scanner's bounds */
    SUMMARY_HEADERS_MAX = 8 * 1024,     /* raw popular fields */
    SUMMARY_OTHER_NAMES_MAX = 256,      /* further field names remembered (as hashes) */
    SUMMARY_PREVIEW_CHARS = 200,        /* RFC 8970 3.2 */
};

/* What a summary has; see above. */
enum {
    SUMMARY_HAS_ENVELOPE = 1 << 0,
    SUMMARY_HAS_TREE = 1 << 1,
    SUMMARY_HAS_HEADERS = 1 << 2, /* all popular fields are in */
    SUMMARY_HAS_PREVIEW = 1 << 3, /* else: a charset that needs the thread pool, or no text part */
    SUMMARY_HAS_DATE = 1 << 4,    /* sent is valid */
};

/* What is noteworthy about the message. */
enum {
    SUMMARY_HEADER_8BIT = 1 << 0, /* RFC 6532 headers or raw 8-bit ones */
    SUMMARY_BODY_8BIT = 1 << 1,
    SUMMARY_NUL = 1 << 2,       /* needs literal8 */
    SUMMARY_BARE_EOL = 1 << 3,  /* has a bare LF */
    SUMMARY_TRUNCATED = 1 << 4, /* a bound of the scanner was met */
    SUMMARY_INTERNATIONAL =
        1 << 5, /* came as an internationalized message and is one: downgraded for old clients */
};

struct summary_builder;

/* At most `size_max` bytes come out (SUMMARY_STORED_MAX or SUMMARY_FULL_MAX; at least 256). */
struct summary_builder *summary_builder_new(size_t size_max);
void summary_builder_free(struct summary_builder **b);
void summary_builder_push(struct summary_builder *b, struct slice bytes);
/* The message came as an internationalized one (SMTPUTF8, or the UTF8 data item of APPEND): if its header is
 * one (downgrade_is_international), set SUMMARY_INTERNATIONAL. Any time before finish. */
void summary_builder_international(struct summary_builder *b);
/* Append the encoded summary to `out`. Once; no push after it. */
void summary_builder_finish(struct summary_builder *b, struct buf *out);

/* A decoded head; the slices borrow from the opened bytes. */
struct summary {
    unsigned has;             /* SUMMARY_HAS_... */
    unsigned flags;           /* SUMMARY_HEADER_8BIT ... */
    uint64_t size;            /* of the message in octets (RFC822.SIZE) */
    uint64_t header_len;      /* of its header with the empty line */
    struct mail_date sent;    /* the Date: field */
    struct slice preview;     /* UTF-8 */
    struct slice headers;     /* popular fields as written, in order, without an empty line */
    uint64_t left_out;        /* popular fields that did not fit */
    bool other_names_whole;   /* `other_names` stands for all other fields */
    struct slice other_names; /* encoded */
    struct slice envelope;    /* encoded; use the functions below */
    struct slice tree;
};

/* ERR_UNSUPPORTED: another version, make it anew from the body. ERR_CORRUPT: the bytes make no sense. */
MUST_CHECK enum err summary_open(struct slice bytes, struct summary *out);

/* Strings are SLICE_NULL for NIL. Lists are encoded: take addresses off with summary_addr_next. */
struct summary_envelope {
    struct slice date, subject, in_reply_to, message_id;
    struct slice from, sender, reply_to, to, cc, bcc;
};
/* ERR_NOT_FOUND if the summary has none. sender and reply_to are empty where the header has none. */
MUST_CHECK enum err summary_envelope_get(const struct summary *s, struct summary_envelope *out);
MUST_CHECK enum err summary_envelope_decode(struct slice encoded, struct summary_envelope *out);
/* Take the next address or group mark off an encoded list; false at the end. */
bool summary_addr_next(struct slice *list, struct mail_addr *out);

/* One part; strings SLICE_NULL for NIL, parameter and language lists encoded. Body = [header_offset +
 * header_len, +body_len). */
struct summary_part {
    enum mime_kind kind;
    uint32_t child_count;
    uint64_t header_offset, header_len, body_len, body_lines;
    struct slice type, subtype, id, description, encoding, md5, disposition, location;
    struct slice params, disposition_params; /* summary_param_next */
    struct slice languages;                  /* summary_language_next */
    struct slice envelope; /* of the message inside, for MIME_MESSAGE; summary_envelope_decode */
};

/* The parts in preorder (children of a part follow it, each with its own subtree). */
struct summary_parts {
    struct cursor at;
    uint64_t offset; /* where the last header began */
};
/* ERR_NOT_FOUND if the summary has no tree. */
MUST_CHECK enum err summary_parts_start(const struct summary *s, struct summary_parts *it);
/* False at the end; it->at.bad tells damage from the end. */
bool summary_parts_next(struct summary_parts *it, struct summary_part *out);

bool summary_param_next(struct slice *list, struct mime_param *out);
bool summary_language_next(struct slice *list, struct slice *out);
/* The value of a parameter in an encoded list (name without case), or SLICE_NULL. */
struct slice summary_param_get(struct slice list, const char *name);

/* Does `headers` hold all fields of this name (or is there none at all)? Then SEARCH needs no header either.
 */
bool summary_knows_field(const struct summary *s, struct slice name);
/* Answer HEADER.FIELDS (names) of the whole message from the summary: append the fields as written and an
 * empty line. False, with nothing appended, if the header itself has to be read for it. */
bool summary_header_fields(const struct summary *s, const struct slice *names, size_t count, struct buf *out);

#endif
