/* SPDX-License-Identifier: Apache-2.0 */
/* Substring search in mail as IMAP SEARCH wants it: case ignored by Unicode case folding, encoded words,
 * transfer encodings and charsets undone. **Not in fibers** (see charset.h), but for text_key_new and
 * text_key_match_utf8 of ASCII.
 *
 * An ASCII key is compared byte by byte without regard to ASCII case; another one after full case folding and
 * NFC. */
#ifndef LIB_MAIL_TEXT_SEARCH_H
#define LIB_MAIL_TEXT_SEARCH_H

#include "lib/base/err.h"
#include "lib/mail/summary.h"

enum {
    TEXT_KEY_MAX = 4096, /* bytes */
};

struct text_key;

/* ERR_SYNTAX: not UTF-8. ERR_TOO_BIG. The empty key matches everything (RFC 9051 6.4.4). The caller frees it;
 * it may be used by several threads at once. */
MUST_CHECK enum err text_key_new(struct slice utf8, struct text_key **out);
void text_key_free(struct text_key **key);

/* Is the key in this UTF-8 text? */
bool text_key_match_utf8(const struct text_key *key, struct slice text);
/* Is it in this raw header value (as written or decoded)? */
bool text_key_match_value(const struct text_key *key, struct slice value);
/* In any field of that name (SLICE_NULL: in any field at all, names included) of a header block? With an
 * empty key: is there such a field? */
bool text_key_match_header(const struct text_key *key, struct slice block, struct slice name);

/* Where a message's bytes come from: bytes [offset, ...) of it, as many as are at hand (at least one, at most
 * `len`), valid until the next call. */
struct text_source {
    void *ctx;
    enum err (*read)(void *ctx, uint64_t offset, uint64_t len, struct slice *out);
};

enum text_scope {
    TEXT_SCOPE_BODY, /* SEARCH BODY: text parts and the headers of messages inside */
    TEXT_SCOPE_TEXT, /* SEARCH TEXT: the header of the message and of all parts as well */
};

/* Look for the key in a message; other parts than text are not read. Memory is bounded. Errors are the
 * source's, or ERR_UNSUPPORTED if the summary has no tree, ERR_CORRUPT if it is damaged. */
MUST_CHECK enum err text_search_message(const struct text_key *key, const struct summary *s,
                                        enum text_scope scope, const struct text_source *source,
                                        bool *found_out);

#endif
