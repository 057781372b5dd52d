/* SPDX-License-Identifier: Apache-2.0 */
/* What the encoders and decoders of rows are made of. Only for rows.c and queue_rows.c. */
#ifndef STORAGE_NODE_MAILBOX_ROWS_ROWS_PRIV_H
#define STORAGE_NODE_MAILBOX_ROWS_ROWS_PRIV_H

#include "storage-node/mailbox/rows/rows.h"

static inline void row_begin(struct buf *out)
{
    buf_clear(out);
    buf_add_byte(out, ROW_VERSION);
}

/* What follows the version; bad if that is not known. */
static inline struct cursor row_open(struct slice value)
{
    struct cursor c = cursor_of(value);
    if (cursor_u8(&c) != ROW_VERSION)
        c.bad = true;
    return c;
}

/* A varint that fits 32 bits. */
static inline uint32_t row_varint32(struct cursor *c)
{
    uint64_t value = cursor_varint(c);
    if (value > UINT32_MAX)
        c->bad = true;
    return (uint32_t)value;
}

/* A byte that is 0 or 1. */
static inline bool row_flag(struct cursor *c)
{
    uint8_t value = cursor_u8(c);
    if (value > 1)
        c->bad = true;
    return value == 1;
}

#endif
