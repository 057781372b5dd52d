/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/common/mail.h"

#include "lib/base/arena.h"
#include "proto/message.pb-c.h"

/* ---- messages */

uint64_t mail_size(uint64_t token)
{
    uint64_t r = token * UINT64_C(0x9e3779b97f4a7c15);
    return 64 + (r >> 40) % ((r >> 32) % 16 == 0 ? mail_sizes.large_max : mail_sizes.small_max);
}

void mail_bytes(uint64_t token, struct buf *out)
{
    uint64_t size = mail_size(token), r = token;
    buf_clear(out);
    buf_addf(out, "Subject: token %llu\r\n\r\n", (unsigned long long)token);
    while (out->len < size) {
        r = r * UINT64_C(6364136223846793005) + 1;
        buf_add_byte(out, (uint8_t)('a' + (r >> 33) % 26));
    }
}

static const char summary_prefix[] = "summary of ";

void mail_summary(uint64_t token, struct buf *out)
{
    buf_clear(out);
    buf_addf(out, "%s%llu", summary_prefix, (unsigned long long)token);
}

bool mail_token(struct slice summary, uint64_t *token_out)
{
    struct slice prefix = slice_str(summary_prefix);
    return slice_starts(summary, prefix) &&
           slice_parse_u64(slice_sub(summary, prefix.len, summary.len), UINT64_MAX, token_out);
}

/* ---- requests */

void mail_id(uint64_t time_ms, uint64_t chance, uint8_t out[static REQUEST_ID_SIZE])
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(time_ms >> (56 - 8 * i));
        out[8 + i] = (uint8_t)(chance >> (8 * i));
    }
}

void mail_pack(const ProtobufCMessage *message, struct buf *request)
{
    buf_clear(request);
    size_t size = protobuf_c_message_get_packed_size(message);
    request->len = protobuf_c_message_pack(message, buf_reserve(request, size + 1));
}

void mail_pack_delivery(uint64_t token, const uint8_t id[static REQUEST_ID_SIZE], const uint64_t *accounts,
                        size_t count, struct buf *request, struct buf *body)
{
    Tern__DeliverRequest r = TERN__DELIVER_REQUEST__INIT;
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    struct arena arena = { 0 };
    struct buf summary = { 0 };
    mail_bytes(token, body);
    mail_summary(token, &summary);
    message.size = body->len;
    message.summary = mail_binary(&summary);
    r.delivery_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, (uint8_t *)id };
    r.message = &message;
    r.n_targets = count;
    r.targets = ARENA_ARRAY(&arena, Tern__DeliverTarget *, count);
    for (size_t i = 0; i < count; i++) {
        r.targets[i] = ARENA_NEW(&arena, Tern__DeliverTarget);
        tern__deliver_target__init(r.targets[i]);
        r.targets[i]->account = accounts[i];
    }
    mail_pack(&r.base, request);
    buf_fini(&summary);
    arena_fini(&arena);
}

void mail_pack_chunk(uint64_t token, const uint8_t id[static REQUEST_ID_SIZE], int chunk, int chunks,
                     struct buf *request, struct buf *body)
{
    Tern__UploadChunkRequest r = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    struct buf whole = { 0 }, summary = { 0 };
    mail_bytes(token, &whole);
    mail_summary(token, &summary);
    size_t from = whole.len * (size_t)chunk / (size_t)chunks,
           to = whole.len * (size_t)(chunk + 1) / (size_t)chunks;
    r.upload_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, (uint8_t *)id };
    r.offset = from;
    r.last = chunk == chunks - 1;
    if (r.last)
        r.summary = mail_binary(&summary);
    mail_pack(&r.base, request);
    buf_clear(body);
    buf_add_slice(body, slice_sub(buf_slice(&whole), from, to));
    buf_fini(&whole);
    buf_fini(&summary);
}
