/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/rows/rows_priv.h"

#include <assert.h>

/* Rows that seldom have more than they always had are written in a second version when they do. */
enum { ROW_VERSION_WIDE = 2 };

static void begin_either(struct buf *out, bool wide)
{
    buf_clear(out);
    buf_add_byte(out, wide ? ROW_VERSION_WIDE : ROW_VERSION);
}

static struct cursor open_either(struct slice value, bool *wide_out)
{
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    *wide_out = version == ROW_VERSION_WIDE;
    if (version != ROW_VERSION && !*wide_out)
        c.bad = true;
    return c;
}

void number_encode(uint64_t value, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, value);
}

bool number_decode(struct slice value, uint64_t *out)
{
    struct cursor c = row_open(value);
    *out = cursor_varint(&c);
    return cursor_done(&c);
}

void address_encode(const struct address_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_byte(out, (uint8_t)row->type);
    if (row->type == ADDRESS_ACCOUNT) {
        buf_add_varint(out, row->account);
        buf_add_varint(out, row->home);
    } else {
        buf_add_varint(out, row->target_count);
        buf_add_slice(out, row->targets);
    }
}

bool address_decode(struct slice value, struct address_row *out)
{
    *out = (struct address_row){ 0 };
    struct cursor c = row_open(value);
    out->type = cursor_u8(&c);
    if (out->type == ADDRESS_ACCOUNT) {
        out->account = cursor_varint(&c);
        out->home = row_varint32(&c);
        return cursor_done(&c);
    }
    out->target_count = row_varint32(&c);
    out->targets = c.rest;
    for (uint32_t i = 0; i < out->target_count && !c.bad; i++)
        cursor_varbytes(&c);
    return out->type == ADDRESS_ALIAS && cursor_done(&c);
}

void account_encode(const struct account_row *row, struct buf *out)
{
    const struct credential *cred = &row->credential;
    row_begin(out);
    buf_add_varbytes(out, row->address);
    buf_add_byte(out, row->suspended);
    buf_add_varint(out, row->created_ms);
    buf_add_varint(out, cred->scheme);
    buf_add_varbytes(out, cred->salt);
    buf_add_varint(out, cred->iterations);
    buf_add_varbytes(out, cred->stored_key);
    buf_add_varbytes(out, cred->server_key);
    buf_add_varbytes(out, cred->hash);
    buf_add_varint(out, cred->version);
}

bool account_decode(struct slice value, struct account_row *out)
{
    struct cursor c = row_open(value);
    out->address = cursor_varbytes(&c);
    out->suspended = row_flag(&c);
    out->created_ms = cursor_varint(&c);
    out->credential.scheme = row_varint32(&c);
    out->credential.salt = cursor_varbytes(&c);
    out->credential.iterations = row_varint32(&c);
    out->credential.stored_key = cursor_varbytes(&c);
    out->credential.server_key = cursor_varbytes(&c);
    out->credential.hash = cursor_varbytes(&c);
    out->credential.version = cursor_varint(&c);
    return cursor_done(&c);
}

void counters_encode(const struct counters_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->quota_bytes);
    buf_add_varint(out, row->used_bytes);
    buf_add_varint(out, row->message_count);
    buf_add_varint(out, row->modseq);
    buf_add_varint(out, row->mailbox_next);
    buf_add_varint(out, row->inbox);
    buf_add_varint(out, row->mailbox_count);
    buf_add_varint(out, row->uidvalidity);
}

bool counters_decode(struct slice value, struct counters_row *out)
{
    struct cursor c = row_open(value);
    out->quota_bytes = cursor_varint(&c);
    out->used_bytes = cursor_varint(&c);
    out->message_count = cursor_varint(&c);
    out->modseq = cursor_varint(&c);
    out->mailbox_next = cursor_varint(&c);
    out->inbox = cursor_varint(&c);
    out->mailbox_count = row_varint32(&c);
    out->uidvalidity = row_varint32(&c);
    return cursor_done(&c);
}

void mailbox_encode(const struct mailbox_row *row, struct buf *out)
{
    assert(row->uidnext > 0 && row->unseen <= row->messages && row->deleted <= row->messages);
    bool wide = row->staged_first != 0 || row->leaving != LEAVING_NONE;
    begin_either(out, wide);
    buf_add_varint(out, row->parent);
    buf_add_varint(out, row->uidvalidity);
    buf_add_varint(out, row->uidnext);
    buf_add_varint(out, row->modseq);
    buf_add_varint(out, row->messages);
    buf_add_varint(out, row->unseen);
    buf_add_varint(out, row->deleted);
    buf_add_varint(out, row->size);
    buf_add_varint(out, row->special_use);
    buf_add_byte(out, row->noselect);
    buf_add_varint(out, row->recent_uid);
    buf_add_varint(out, row->vanished_floor);
    buf_add_varint(out, row->vanished_count);
    buf_add_varint(out, row->created_ms);
    buf_add_varbytes(out, mailbox_leaf(row));
    if (!wide)
        return;
    buf_add_varint(out, row->staged_first);
    buf_add_varint(out, row->staged_last);
    buf_add_byte(out, (uint8_t)row->leaving);
    buf_add_byte(out, row->leaving_changed);
}

bool mailbox_decode(struct slice value, struct mailbox_row *out)
{
    bool wide;
    struct cursor c = open_either(value, &wide);
    out->parent = cursor_varint(&c);
    out->uidvalidity = row_varint32(&c);
    out->uidnext = row_varint32(&c);
    out->modseq = cursor_varint(&c);
    out->messages = row_varint32(&c);
    out->unseen = row_varint32(&c);
    out->deleted = row_varint32(&c);
    out->size = cursor_varint(&c);
    out->special_use = row_varint32(&c);
    out->noselect = row_flag(&c);
    out->recent_uid = row_varint32(&c);
    out->vanished_floor = cursor_varint(&c);
    out->vanished_count = row_varint32(&c);
    out->created_ms = cursor_varint(&c);
    struct slice name = cursor_varbytes(&c);
    out->staged_first = wide ? row_varint32(&c) : 0;
    out->staged_last = wide ? row_varint32(&c) : 0;
    out->leaving = wide ? cursor_u8(&c) : LEAVING_NONE;
    out->leaving_changed = wide && row_flag(&c);
    if (!cursor_done(&c) || out->staged_first > out->staged_last || out->leaving > LEAVING_GONE ||
        name.len > sizeof out->name || out->uidnext == 0 || out->unseen > out->messages ||
        out->deleted > out->messages)
        return false;
    memcpy(out->name, name.data, name.len);
    out->name_len = (uint16_t)name.len;
    return true;
}

void keywords_encode(const struct keywords_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->modseq);
    buf_add_byte(out, row->count);
    for (uint8_t i = 0; i < row->count; i++)
        buf_add_varbytes(out, row->names[i]);
}

bool keywords_decode(struct slice value, struct keywords_row *out)
{
    struct cursor c = row_open(value);
    out->modseq = cursor_varint(&c);
    out->count = cursor_u8(&c);
    if (out->count > KEYWORDS_MAX)
        return false;
    for (uint8_t i = 0; i < out->count; i++)
        out->names[i] = cursor_varbytes(&c);
    return cursor_done(&c);
}

enum { ZONE_BIAS = 24 * 60 }; /* a day either way: keeps the stored number small and positive */

void message_encode(const struct message_row *row, struct buf *out)
{
    assert(row->flags <= MAIL_FLAGS_ALL && row->internaldate_zone >= -ZONE_BIAS &&
           row->internaldate_zone <= ZONE_BIAS);
    row_begin(out);
    buf_add_varint(out, row->modseq);
    buf_add_byte(out, (uint8_t)row->flags);
    buf_add_varint(out, row->keywords);
    buf_add_varint(out, row->internaldate_ms);
    buf_add_varint(out, (uint64_t)(row->internaldate_zone + ZONE_BIAS));
    buf_add_varint(out, row->size);
    buf_add_varint(out, row->body);
}

bool message_decode(struct slice value, struct message_row *out)
{
    struct cursor c = row_open(value);
    out->modseq = cursor_varint(&c);
    out->flags = cursor_u8(&c);
    out->keywords = cursor_varint(&c);
    out->internaldate_ms = cursor_varint(&c);
    uint64_t zone = cursor_varint(&c);
    out->size = cursor_varint(&c);
    out->body = cursor_varint(&c);
    if (!cursor_done(&c) || zone > 2 * ZONE_BIAS || out->flags > MAIL_FLAGS_ALL)
        return false;
    out->internaldate_zone = (int32_t)zone - ZONE_BIAS;
    return true;
}

void summary_row_encode(struct slice summary, struct buf *out)
{
    row_begin(out);
    buf_add_slice(out, summary);
}

bool summary_row_decode(struct slice value, struct slice *out)
{
    struct cursor c = row_open(value);
    *out = c.rest;
    return !c.bad;
}

/* Bytes up to the last one that is not zero. */
static struct slice trimmed(const uint8_t bits[SEGMENT_BYTES])
{
    size_t len = SEGMENT_BYTES;
    while (len > 0 && bits[len - 1] == 0)
        len--;
    return slice_of(bits, len);
}

void segment_encode(const struct segment_row *row, struct buf *out)
{
    struct slice leaving = trimmed(row->leaving);
    begin_either(out, leaving.len > 0);
    buf_add_varbytes(out, trimmed(row->exists));
    buf_add_varbytes(out, trimmed(row->unseen));
    if (leaving.len > 0)
        buf_add_varbytes(out, leaving);
}

bool segment_decode(struct slice value, struct segment_row *out)
{
    *out = (struct segment_row){ 0 };
    bool wide;
    struct cursor c = open_either(value, &wide);
    struct slice exists = cursor_varbytes(&c);
    struct slice unseen = cursor_varbytes(&c);
    struct slice leaving = wide ? cursor_varbytes(&c) : SLICE_NULL;
    if (!cursor_done(&c) || exists.len > SEGMENT_BYTES || unseen.len > exists.len || leaving.len > exists.len)
        return false;
    memcpy(out->exists, exists.data, exists.len);
    memcpy(out->unseen, unseen.data, unseen.len);
    if (leaving.len > 0)
        memcpy(out->leaving, leaving.data, leaving.len);
    for (size_t i = 0; i < exists.len; i++) {
        if (((out->unseen[i] | out->leaving[i]) & ~out->exists[i]) != 0)
            return false;
    }
    return true;
}

void stage_encode(const struct stage_row *row, struct buf *out)
{
    row_begin(out);
    buf_add(out, row->id, sizeof row->id);
    buf_add_byte(out, (uint8_t)row->state);
    buf_add_byte(out, row->move);
    buf_add_varint(out, row->from);
    buf_add_varint(out, row->to);
    buf_add_varint(out, row->first_uid);
    buf_add_varint(out, row->next_uid);
    buf_add_varint(out, row->last_uid);
    buf_add_varint(out, row->source_uid);
    buf_add_varint(out, row->first_modseq);
    buf_add_varint(out, row->modseq);
    buf_add_varint(out, row->messages);
    buf_add_varint(out, row->unseen);
    buf_add_varint(out, row->deleted);
    buf_add_varint(out, row->size);
    buf_add_varint(out, row->due_ms);
    buf_add_varint(out, row->swept_uid);
    buf_add_varint(out, row->swept_segment);
}

bool stage_decode(struct slice value, struct stage_row *out)
{
    struct cursor c = row_open(value);
    struct slice id = cursor_bytes(&c, sizeof out->id);
    out->state = cursor_u8(&c);
    out->move = row_flag(&c);
    out->from = cursor_varint(&c);
    out->to = cursor_varint(&c);
    out->first_uid = row_varint32(&c);
    out->next_uid = row_varint32(&c);
    out->last_uid = row_varint32(&c);
    out->source_uid = row_varint32(&c);
    out->first_modseq = cursor_varint(&c);
    out->modseq = cursor_varint(&c);
    out->messages = row_varint32(&c);
    out->unseen = row_varint32(&c);
    out->deleted = row_varint32(&c);
    out->size = cursor_varint(&c);
    out->due_ms = cursor_varint(&c);
    out->swept_uid = row_varint32(&c);
    out->swept_segment = row_varint32(&c);
    if (!cursor_done(&c) || out->state < STAGE_OPEN || out->state > STAGE_MOVED ||
        out->next_uid < out->first_uid)
        return false;
    memcpy(out->id, id.data, sizeof out->id);
    return true;
}

void chunk_encode(const struct chunk *chunk, struct buf *out)
{
    buf_add_varint(out, chunk->index);
    buf_add_varint(out, chunk->size);
}

bool chunk_next(struct cursor *chunks, struct chunk *out)
{
    if (chunks->bad || chunks->rest.len == 0)
        return false;
    out->index = cursor_varint(chunks);
    out->size = row_varint32(chunks);
    return !chunks->bad;
}

/* `chunks` holds `count` whole chunks that sum up to `size`. */
static bool chunks_are_whole(struct slice chunks, uint32_t count, uint64_t size)
{
    struct cursor c = cursor_of(chunks);
    struct chunk chunk;
    uint64_t sum = 0;
    for (; chunk_next(&c, &chunk); count--) {
        if (count == 0 || chunk.size == 0 || chunk.size > BODY_CHUNK_MAX)
            return false;
        sum += chunk.size;
    }
    return cursor_done(&c) && count == 0 && sum == size;
}

void body_encode(const struct body_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->refs);
    buf_add_varint(out, row->size);
    buf_add_varint(out, row->chunk_count);
    buf_add_slice(out, row->chunks);
}

bool body_decode(struct slice value, struct body_row *out)
{
    struct cursor c = row_open(value);
    out->refs = row_varint32(&c);
    out->size = cursor_varint(&c);
    out->chunk_count = row_varint32(&c);
    out->chunks = c.rest;
    return !c.bad && chunks_are_whole(out->chunks, out->chunk_count, out->size);
}

void upload_encode(const struct upload_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->size);
    buf_add_varint(out, row->began_ms);
    buf_add_byte(out, row->complete);
    buf_add(out, row->last_request, sizeof row->last_request);
    buf_add_varint(out, row->chunk_count);
    buf_add_varbytes(out, row->chunks);
    buf_add_varbytes(out, row->summary);
}

bool upload_decode(struct slice value, struct upload_row *out)
{
    struct cursor c = row_open(value);
    out->size = cursor_varint(&c);
    out->began_ms = cursor_varint(&c);
    out->complete = row_flag(&c);
    struct slice id = cursor_bytes(&c, sizeof out->last_request);
    out->chunk_count = row_varint32(&c);
    out->chunks = cursor_varbytes(&c);
    out->summary = cursor_varbytes(&c);
    if (!cursor_done(&c) || !chunks_are_whole(out->chunks, out->chunk_count, out->size))
        return false;
    memcpy(out->last_request, id.data, id.len);
    return true;
}

void request_encode(const struct request_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->status);
    buf_add_slice(out, row->response);
}

bool request_decode(struct slice value, struct request_row *out)
{
    struct cursor c = row_open(value);
    out->status = row_varint32(&c);
    out->response = c.rest;
    return !c.bad;
}

void recovery_encode(const struct recovery *recovery, struct buf *out)
{
    buf_add_varint(out, recovery->index);
    buf_add_varint(out, recovery->time_ms);
}

bool recovery_next(struct cursor *recoveries, struct recovery *out)
{
    if (recoveries->bad || recoveries->rest.len == 0)
        return false;
    out->index = cursor_varint(recoveries);
    out->time_ms = cursor_varint(recoveries);
    return !recoveries->bad;
}

void recovered_encode(const struct recovered_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_slice(out, row->recoveries);
}

bool recovered_decode(struct slice value, struct recovered_row *out)
{
    struct cursor c = row_open(value);
    struct recovery recovery;
    uint64_t last = 0;
    out->recoveries = c.rest;
    while (recovery_next(&c, &recovery)) {
        if (recovery.index <= last)
            return false;
        last = recovery.index;
    }
    return cursor_done(&c);
}

/* Ids are indexes of the log. Numbers of different lives are 2^20 apart for each millisecond between their
 * beginnings: nothing is written that fast. */
uint64_t recovered_body_number(const struct recovered_row *row, uint64_t body)
{
    enum { TIME_SHIFT = 20 };
    struct cursor c = cursor_of(row->recoveries);
    struct recovery recovery;
    uint64_t base = 0;
    while (recovery_next(&c, &recovery) && recovery.index <= body)
        base = recovery.time_ms << TIME_SHIFT;
    return base + body;
}

void delivery_encode(const struct delivery_row *row, struct buf *out)
{
    row_begin(out);
    buf_add_varint(out, row->uid);
    buf_add_varint(out, row->uidvalidity);
}

bool delivery_decode(struct slice value, struct delivery_row *out)
{
    struct cursor c = row_open(value);
    out->uid = row_varint32(&c);
    out->uidvalidity = row_varint32(&c);
    return cursor_done(&c);
}
