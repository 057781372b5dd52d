/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/queue/queue_rows.h"

#include "storage-node/mailbox/rows/rows_priv.h"

void queue_totals_encode(const struct queue_totals_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->items);
    buf_add_varint(out, row->bytes);
    buf_add_varint(out, row->held);
    buf_add_varint(out, row->failed);
}

bool queue_totals_decode(struct slice value, struct queue_totals_row *out)
{
    struct cursor c = row_open(value);
    out->items = cursor_varint(&c);
    out->bytes = cursor_varint(&c);
    out->held = cursor_varint(&c);
    out->failed = cursor_varint(&c);
    return cursor_done(&c);
}

void queue_item_encode(const struct queue_item_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varbytes(out, row->delivery_id);
    buf_add_varbytes(out, row->sender);
    buf_add_byte(out, row->smtputf8);
    buf_add_varint(out, row->size);
    buf_add_varint(out, row->body);
    buf_add_varint(out, row->created_ms);
    buf_add_varint(out, row->recipient_count);
}

bool queue_item_decode(struct slice value, struct queue_item_row *out)
{
    struct cursor c = row_open(value);
    out->delivery_id = cursor_varbytes(&c);
    out->sender = cursor_varbytes(&c);
    out->smtputf8 = row_flag(&c);
    out->size = cursor_varint(&c);
    out->body = cursor_varint(&c);
    out->created_ms = cursor_varint(&c);
    out->recipient_count = row_varint32(&c);
    return cursor_done(&c) && out->delivery_id.len == REQUEST_ID_SIZE && out->sender.len <= QUEUE_PATH_MAX &&
           out->recipient_count <= QUEUE_RECIPIENTS_MAX;
}

void queue_state_encode(const struct queue_state_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->next_ms);
    buf_add_varint(out, row->lease_until_ms);
    buf_add_varint(out, row->leased_ms);
    buf_add_varint(out, row->fence);
    buf_add_varint(out, row->attempts);
    buf_add_varint(out, row->pending);
    buf_add_varint(out, row->failed);
    buf_add_byte(out, row->held);
    buf_add_varbytes(out, row->holder);
}

bool queue_state_decode(struct slice value, struct queue_state_row *out)
{
    struct cursor c = row_open(value);
    out->next_ms = cursor_varint(&c);
    out->lease_until_ms = cursor_varint(&c);
    out->leased_ms = cursor_varint(&c);
    out->fence = cursor_varint(&c);
    out->attempts = row_varint32(&c);
    out->pending = row_varint32(&c);
    out->failed = row_varint32(&c);
    out->held = row_flag(&c);
    out->holder = cursor_varbytes(&c);
    return cursor_done(&c) && out->pending <= QUEUE_RECIPIENTS_MAX && out->failed <= QUEUE_RECIPIENTS_MAX &&
           out->holder.len <= QUEUE_HOLDER_MAX;
}

void queue_recipient_encode(const struct queue_recipient_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varbytes(out, row->path);
    buf_add_varint(out, row->account);
    buf_add_varint(out, row->home);
    buf_add_varint(out, row->state);
    buf_add_varint(out, row->changed_ms);
    buf_add_varbytes(out, row->error);
}

bool queue_recipient_decode(struct slice value, struct queue_recipient_row *out)
{
    struct cursor c = row_open(value);
    out->path = cursor_varbytes(&c);
    out->account = cursor_varint(&c);
    out->home = row_varint32(&c);
    out->state = row_varint32(&c);
    out->changed_ms = cursor_varint(&c);
    out->error = cursor_varbytes(&c);
    return cursor_done(&c) && out->path.len <= QUEUE_PATH_MAX && out->error.len <= QUEUE_ERROR_MAX;
}
