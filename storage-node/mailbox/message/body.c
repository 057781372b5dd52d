/* SPDX-License-Identifier: Apache-2.0 */
/* BODY, and how bodies are read. */
#include "storage-node/mailbox/message/body_reader.h"

#include "lib/mail/summary.h"
#include "storage-node/mailbox/method.h"

static void rewind_chunks(struct body_reader *b)
{
    b->chunks = cursor_of(b->row.chunks);
    b->chunk = (struct chunk){ 0 };
    b->chunk_offset = 0;
}

enum err body_reader_begin(const struct state *s, uint64_t body, struct body_reader *out)
{
    *out = (struct body_reader){ .state = s };
    TRY(state_body(s, body, &out->row));
    rewind_chunks(out);
    return OK;
}

static void unload(struct body_reader *b)
{
    kv_value_release(&b->value);
    b->loaded = false;
}

void body_reader_end(struct body_reader *b)
{
    unload(b);
}

/* Move to the chunk that holds `offset`. */
static enum err find_chunk(struct body_reader *b, uint64_t offset)
{
    if (offset < b->chunk_offset) {
        unload(b);
        rewind_chunks(b);
    }
    while (offset >= b->chunk_offset + b->chunk.size) {
        unload(b);
        b->chunk_offset += b->chunk.size;
        if (!chunk_next(&b->chunks, &b->chunk))
            return ERR_CORRUPT;
    }
    return OK;
}

static enum err load(struct body_reader *b)
{
    if (b->loaded)
        return OK;
    const struct state *s = b->state;
    struct buf key = { 0 };
    machine_body_key(s->partition, b->chunk.index, &key);
    enum err err = kv_get(s->kv, s->view, KV_BODY, buf_slice(&key), &b->value);
    buf_fini(&key);
    TRY(err);
    b->loaded = true;
    return b->value.bytes.len == b->chunk.size ? OK : ERR_CORRUPT;
}

enum err body_reader_at(struct body_reader *b, uint64_t offset, uint64_t len, struct slice *out)
{
    if (offset >= b->row.size)
        return ERR_NOT_FOUND;
    TRY(find_chunk(b, offset));
    TRY(load(b));
    size_t from = (size_t)(offset - b->chunk_offset);
    size_t at_hand = b->chunk.size - from;
    *out = slice_of(b->value.bytes.data + from, len < at_hand ? (size_t)len : at_hand);
    return OK;
}

enum err body_reader_copy(struct body_reader *b, uint64_t offset, uint64_t len, struct buf *out)
{
    if (offset >= b->row.size)
        return OK;
    if (len > b->row.size - offset)
        len = b->row.size - offset;
    buf_reserve(out, (size_t)len); /* once, not with each chunk */
    while (len > 0) {
        struct slice piece;
        TRY(body_reader_at(b, offset, len, &piece));
        buf_add_slice(out, piece);
        offset += piece.len;
        len -= piece.len;
    }
    return OK;
}

/* The octets up to and with the first empty line, or all. */
static enum err find_header_end(struct body_reader *b, uint64_t *out)
{
    bool line_empty = true;
    for (uint64_t offset = 0; offset < b->row.size;) {
        struct slice piece;
        TRY(body_reader_at(b, offset, b->row.size, &piece));
        for (size_t i = 0; i < piece.len; i++) {
            if (piece.data[i] == '\n' && line_empty) {
                *out = offset + i + 1;
                return OK;
            }
            line_empty = piece.data[i] == '\n' || (line_empty && piece.data[i] == '\r');
        }
        offset += piece.len;
    }
    *out = b->row.size;
    return OK;
}

enum err body_reader_header_size(struct body_reader *b, struct slice summary, uint64_t *out)
{
    struct summary s;
    if (summary_open(summary, &s) == OK && s.header_len <= b->row.size) {
        *out = s.header_len;
        return OK;
    }
    return find_header_end(b, out);
}

/* ---- the method */

enum err check_body(const Tern__BodyRequest *request, size_t body_len)
{
    return request->uid == 0 ? ERR_INVALID : OK;
}

enum err read_body(struct read_ctx *r, const Tern__BodyRequest *request)
{
    struct counters_row counters;
    TRY(state_counters(&r->state, request->account, &counters));
    struct mailbox_row mailbox;
    TRY(state_mailbox_open(&r->state, request->account, request->mailbox, request->uidvalidity, &mailbox));
    bool in_sight;
    TRY(state_is_in_sight(&r->state, request->account, &mailbox, request->uid, &in_sight));
    if (!in_sight)
        return ERR_NOT_FOUND;
    struct message_row message;
    TRY(state_message(&r->state, request->account, request->mailbox, request->uid, &message));
    uint64_t len = request->length > FETCH_PAGE_MAX ? FETCH_PAGE_MAX : request->length;
    struct body_reader reader;
    enum err err = body_reader_begin(&r->state, message.body, &reader);
    if (err == OK)
        err = body_reader_copy(&reader, request->offset, len, r->body);
    body_reader_end(&reader);
    TRY(err);
    Tern__BodyResponse response = TERN__BODY_RESPONSE__INIT;
    response.size = message.size;
    read_respond(r, &response.base);
    return OK;
}
