/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/row.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { ROW_ZONE_BIAS = 24 * 60 }; /* keeps the zone a small unsigned number on the wire */

struct row_email_id row_email_id(uint64_t body_id)
{
    struct row_email_id id;

    snprintf(id.text, sizeof(id.text), "M%016" PRIx64, body_id);
    return id;
}

static void encode_front(const struct row *row, struct buf *out)
{
    buf_add_varint(out, row->uid);
    buf_add_varint(out, row->modseq);
    buf_add_varint(out, row->flags);
    buf_add_varint(out, row->keywords);
    buf_add_varint(out, row->internaldate_ms);
    buf_add_varint(out, (uint64_t)(row->internaldate_zone + ROW_ZONE_BIAS));
    buf_add_varint(out, row->size);
    buf_add_varint(out, row->body_id);
    buf_add_varint(out, row->parts);
    if (row->parts & ROW_SUMMARY)
        buf_add_varbytes(out, row->summary);
    if (row->parts & ROW_HEADER)
        buf_add_varbytes(out, row->header);
}

void row_encode(const struct row *row, struct buf *out)
{
    encode_front(row, out);
    if (row->parts & ROW_BODY)
        buf_add_varbytes(out, row->body);
}

void row_encode_to_body(const struct row *row, size_t body_len, struct buf *out)
{
    assert((row->parts & ROW_BODY) != 0);
    encode_front(row, out);
    buf_add_varint(out, body_len);
}

enum err row_next(struct cursor *c, struct row *out)
{
    *out = (struct row){ 0 };
    if (cursor_done(c))
        return ERR_NOT_FOUND;
    out->uid = (uint32_t)cursor_varint(c);
    out->modseq = cursor_varint(c);
    out->flags = (uint32_t)cursor_varint(c);
    out->keywords = cursor_varint(c);
    out->internaldate_ms = cursor_varint(c);
    out->internaldate_zone = (int32_t)(cursor_varint(c) % (2 * ROW_ZONE_BIAS + 1)) - ROW_ZONE_BIAS;
    out->size = cursor_varint(c);
    out->body_id = cursor_varint(c);
    out->parts = (uint32_t)cursor_varint(c);
    if (out->parts & ROW_SUMMARY)
        out->summary = cursor_varbytes(c);
    if (out->parts & ROW_HEADER)
        out->header = cursor_varbytes(c);
    if (out->parts & ROW_BODY)
        out->body = cursor_varbytes(c);
    return c->bad ? ERR_PROTOCOL : OK;
}
