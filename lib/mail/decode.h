/* SPDX-License-Identifier: Apache-2.0 */
/* Content-Transfer-Encoding (RFC 2045 6) undone in pieces. Pure and small, safe in fibers. */
#ifndef LIB_MAIL_DECODE_H
#define LIB_MAIL_DECODE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"

enum decode_kind {
    DECODE_NONE, /* 7bit, 8bit, binary, or nothing said */
    DECODE_BASE64,
    DECODE_QUOTED_PRINTABLE,
    DECODE_UNKNOWN, /* BINARY answers NO [UNKNOWN-CTE] (RFC 3516 4.3); decoder_push treats it as DECODE_NONE
                     */
};

/* From a Content-Transfer-Encoding value (SLICE_NULL: 7bit). */
enum decode_kind decode_kind_of(struct slice encoding);

enum { DECODE_CARRY_MAX = 128 };

struct decoder {
    enum decode_kind kind;
    bool strict;  /* errors are reported by decoder_finish (decoding goes on leniently either way) */
    bool damaged; /* something was not as the standard says */
    /* private */
    uint8_t state;
    bool ended;
    uint32_t bits;
    unsigned bit_count;
    size_t carry_len;
    uint8_t carry[DECODE_CARRY_MAX];
};

void decoder_init(struct decoder *d, enum decode_kind kind, bool strict);
/* Decode the next bytes, append the result to `out` (never more than these plus DECODE_CARRY_MAX). */
void decoder_push(struct decoder *d, struct slice bytes, struct buf *out);
/* No more bytes. ERR_SYNTAX if `strict` and the input was damaged (for BINARY: NO [UNKNOWN-CTE]). */
MUST_CHECK enum err decoder_finish(struct decoder *d, struct buf *out);

#endif
