/* SPDX-License-Identifier: Apache-2.0 */
/* Character sets and encoded words, by GMime and iconv. **Not in fibers**: these load converters from disk
 * and use large stacks; call them on the thread pool or on a storage reader's thread, after mail_init. Any
 * thread may. */
#ifndef LIB_MAIL_CHARSET_H
#define LIB_MAIL_CHARSET_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

/* Initialise GMime, once however often and from however many threads it is called. Sets LC_ALL, so programs
 * call it in main before they start threads. Not in a fiber. */
void mail_init(void);

enum {
    CHARSET_NAME_MAX = 64, /* longer names are unknown */
};

/* True if ASCII bytes of a text in this charset are always those characters (so ASCII can be looked for in
 * the raw bytes): us-ascii, utf-8, iso-8859-*, windows-125*, koi8-*, euc-*. SLICE_NULL or unknown: true.
 * Pure. */
bool charset_is_ascii_superset(struct slice name);
/* True for utf-8 and us-ascii (and SLICE_NULL, the default). Pure. */
bool charset_is_utf8(struct slice name);

struct charset_conv;

/* A converter to UTF-8, or ERR_UNSUPPORTED if the charset is not known. The caller frees it. */
MUST_CHECK enum err charset_conv_new(struct slice name, struct charset_conv **out);
void charset_conv_free(struct charset_conv **c);
/* Convert the next bytes and append valid UTF-8 (U+FFFD for what cannot be read). A character cut at the end
 * of the piece waits for the next one. */
void charset_conv_push(struct charset_conv *c, struct slice bytes, struct buf *out);
/* True if no character waits for its rest. */
bool charset_conv_is_whole(const struct charset_conv *c);
/* The text ends here: what the converter still holds comes out. It may be used for another one. */
void charset_conv_finish(struct charset_conv *c, struct buf *out);

/* Decode the encoded words of an unfolded or folded header value (RFC 2047, 2231 5) and raw 8-bit text;
 * append valid UTF-8. */
void charset_decode_words(struct slice value, struct buf *out);

#endif
