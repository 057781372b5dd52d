/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/mail/flags.h"
#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "tests/sim/cluster/client.h"

enum { SMALL_MAX = 400, LARGE_MAX = 12000, PICK_MAX = 4, FETCH_BYTES = 1000 * 1000 };

/* ---- messages: a number makes all of one */

uint64_t message_size(uint64_t token)
{
    uint64_t r = token * UINT64_C(0x9e3779b97f4a7c15);
    return 64 + (r >> 40) % ((r >> 32) % 16 == 0 ? LARGE_MAX : SMALL_MAX);
}

void message_bytes(uint64_t token, struct buf *out)
{
    uint64_t size = message_size(token), r = token;
    buf_clear(out);
    buf_addf(out, "Subject: token %llu\r\n\r\n", (unsigned long long)token);
    while (out->len < size) {
        r = r * UINT64_C(6364136223846793005) + 1;
        buf_add_byte(out, (uint8_t)('a' + (r >> 33) % 26));
    }
}

static const char summary_prefix[] = "summary of ";

void message_summary(uint64_t token, struct buf *out)
{
    buf_clear(out);
    buf_addf(out, "%s%llu", summary_prefix, (unsigned long long)token);
}

bool message_token(struct slice summary, uint64_t *token_out)
{
    struct slice prefix = slice_str(summary_prefix);
    return slice_starts(summary, prefix) &&
           slice_parse_u64(slice_sub(summary, prefix.len, summary.len), UINT64_MAX, token_out);
}

/* ---- requests */

void op_random_id(struct op *op, uint8_t *id)
{
    uint64_t time_ms = UINT64_C(1700000000000) + op->c->now / MS, r = cluster_rand(op->c);
    for (int i = 0; i < 8; i++) {
        id[i] = (uint8_t)(time_ms >> (56 - 8 * i));
        id[8 + i] = (uint8_t)(r >> (8 * i));
    }
}

static void pack(struct op *op, const ProtobufCMessage *message)
{
    buf_clear(&op->request);
    size_t size = protobuf_c_message_get_packed_size(message);
    op->request.len = protobuf_c_message_pack(message, buf_reserve(&op->request, size + 1));
}

static ProtobufCBinaryData bytes_of(const struct buf *b)
{
    return (ProtobufCBinaryData){ b->len, b->data };
}

static void make_create(struct op *op)
{
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    Tern__Credential credential = TERN__CREDENTIAL__INIT;
    request.address = op->targets[0]->address;
    request.credential = &credential;
    pack(op, &request.base);
}

static void make_list(struct op *op)
{
    Tern__MailboxListRequest request = TERN__MAILBOX_LIST_REQUEST__INIT;
    request.account = op->targets[0]->id;
    pack(op, &request.base);
}

/* At times to a second account of the partition: one body for both. */
static void pick_target(struct op *op)
{
    struct clients *clients = op->c->clients;
    struct account *other = &clients->accounts[cluster_below(op->c, (uint64_t)clients->account_count)];
    if (other != op->targets[0] && other->ready && other->partition == op->targets[0]->partition)
        op->targets[op->target_count++] = other;
}

static void make_deliver(struct op *op)
{
    Tern__DeliverRequest request = TERN__DELIVER_REQUEST__INIT;
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    Tern__DeliverTarget targets[TARGETS_MAX], *list[TARGETS_MAX];
    struct buf summary = { 0 };
    pick_target(op);
    op->token = ++op->c->clients->tokens;
    op_random_id(op, op->named_id);
    message_bytes(op->token, &op->body);
    message_summary(op->token, &summary);
    message.size = op->body.len;
    message.summary = bytes_of(&summary);
    for (int i = 0; i < op->target_count; i++) {
        tern__deliver_target__init(&targets[i]);
        targets[i].account = op->targets[i]->id;
        list[i] = &targets[i];
    }
    request.delivery_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, op->named_id };
    request.message = &message;
    request.n_targets = (size_t)op->target_count;
    request.targets = list;
    pack(op, &request.base);
    buf_fini(&summary);
}

static void make_append(struct op *op)
{
    Tern__AppendRequest request = TERN__APPEND_REQUEST__INIT;
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT, *list[] = { &message };
    struct buf summary = { 0 };
    bool uploaded = op->chunks > 0;
    if (!uploaded)
        op->token = ++op->c->clients->tokens;
    op->flags = (uint32_t)cluster_below(op->c, MAIL_FLAGS_ALL + 1);
    message_summary(op->token, &summary);
    message.size = message_size(op->token);
    message.flags = op->flags;
    if (uploaded)
        message.upload_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, op->named_id };
    else
        message.summary = bytes_of(&summary);
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.n_messages = 1;
    request.messages = list;
    pack(op, &request.base);
    if (!uploaded)
        message_bytes(op->token, &op->body);
    buf_fini(&summary);
}

static void make_upload(struct op *op)
{
    Tern__UploadChunkRequest request = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    struct buf whole = { 0 }, summary = { 0 };
    if (op->chunk == 0) {
        op->token = ++op->c->clients->tokens;
        op->chunks = 1 + (int)cluster_below(op->c, CHUNKS_MAX);
        op_random_id(op, op->named_id);
    }
    message_bytes(op->token, &whole);
    message_summary(op->token, &summary);
    size_t from = whole.len * (size_t)op->chunk / (size_t)op->chunks,
           to = whole.len * (size_t)(op->chunk + 1) / (size_t)op->chunks;
    request.upload_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, op->named_id };
    request.offset = from;
    request.last = op->chunk == op->chunks - 1;
    if (request.last)
        request.summary = bytes_of(&summary);
    pack(op, &request.base);
    buf_add_slice(&op->body, slice_sub(buf_slice(&whole), from, to));
    buf_fini(&whole);
    buf_fini(&summary);
}

/* Some messages that somebody was told of; they may be gone. */
static bool pick_uids(struct op *op, struct buf *out)
{
    const struct uidset *known = &op->targets[0]->boxes[op->box].known;
    uint64_t count = uidset_count(known);
    for (uint64_t i = cluster_below(op->c, PICK_MAX) + 1; i > 0 && count > 0; i--)
        uidset_add(&op->uids, uidset_at(known, cluster_below(op->c, count)));
    uidset_encode(&op->uids, out);
    return count > 0;
}

static bool make_store(struct op *op)
{
    Tern__StoreFlagsRequest request = TERN__STORE_FLAGS_REQUEST__INIT;
    struct buf uids = { 0 };
    bool some = pick_uids(op, &uids);
    op->flags = (uint32_t)cluster_below(op->c, MAIL_FLAGS_ALL + 1);
    op->mode = (int)cluster_below(op->c, 3);
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.uids = bytes_of(&uids);
    request.mode = (Tern__StoreMode)op->mode;
    request.flags = op->flags;
    pack(op, &request.base);
    buf_fini(&uids);
    return some;
}

static bool make_expunge(struct op *op)
{
    Tern__ExpungeRequest request = TERN__EXPUNGE_REQUEST__INIT;
    struct buf uids = { 0 };
    bool some = pick_uids(op, &uids);
    op->only_deleted = cluster_chance(op->c, 500);
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.uids = bytes_of(&uids);
    request.only_deleted = op->only_deleted;
    pack(op, &request.base);
    buf_fini(&uids);
    return some;
}

static bool make_copy(struct op *op)
{
    Tern__CopyRequest request = TERN__COPY_REQUEST__INIT;
    struct buf uids = { 0 };
    bool some = pick_uids(op, &uids);
    op->to_box = 1 - op->box;
    op->move = cluster_chance(op->c, 400);
    request.account = op->targets[0]->id;
    request.from = op->targets[0]->boxes[op->box].id;
    request.to = op->targets[0]->boxes[op->to_box].id;
    request.uids = bytes_of(&uids);
    request.move = op->move;
    pack(op, &request.base);
    buf_fini(&uids);
    return some;
}

static void make_fetch(struct op *op)
{
    Tern__FetchRequest request = TERN__FETCH_REQUEST__INIT;
    struct uidset all = { 0 };
    struct buf uids = { 0 };
    uidset_add_range(&all, 1, UINT32_MAX - 1);
    uidset_encode(&all, &uids);
    op->bodies = cluster_chance(op->c, 300);
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.uids = bytes_of(&uids);
    request.items = TERN__FETCH_ITEM__FETCH_SUMMARY | (op->bodies ? TERN__FETCH_ITEM__FETCH_BODY : 0);
    request.max_bytes = FETCH_BYTES;
    pack(op, &request.base);
    uidset_fini(&all);
    buf_fini(&uids);
}

static void make_open(struct op *op)
{
    Tern__MailboxOpenRequest request = TERN__MAILBOX_OPEN_REQUEST__INIT;
    request.account = op->targets[0]->id;
    request.id = op->targets[0]->boxes[op->box].id;
    request.with_uids = true;
    pack(op, &request.base);
}

bool op_make(struct op *op)
{
    buf_clear(&op->body);
    op_random_id(op, op->request_id);
    switch (op->kind) {
    case OP_CREATE:
        make_create(op);
        return true;
    case OP_LIST:
        make_list(op);
        return true;
    case OP_DELIVER:
        make_deliver(op);
        return true;
    case OP_UPLOAD:
        make_upload(op);
        return true;
    case OP_APPEND:
        make_append(op);
        return true;
    case OP_STORE:
        return make_store(op);
    case OP_EXPUNGE:
        return make_expunge(op);
    case OP_COPY:
        return make_copy(op);
    case OP_FETCH:
        make_fetch(op);
        return true;
    case OP_OPEN:
        make_open(op);
        return true;
    }
    return false;
}

uint32_t op_method(const struct op *op)
{
    static const uint32_t methods[] = {
        [OP_CREATE] = METHOD_ACCOUNT_CREATE, [OP_LIST] = METHOD_MAILBOX_LIST, [OP_DELIVER] = METHOD_DELIVER,
        [OP_UPLOAD] = METHOD_UPLOAD_CHUNK,   [OP_APPEND] = METHOD_APPEND,     [OP_STORE] = METHOD_STORE_FLAGS,
        [OP_EXPUNGE] = METHOD_EXPUNGE,       [OP_COPY] = METHOD_COPY,         [OP_FETCH] = METHOD_FETCH,
        [OP_OPEN] = METHOD_MAILBOX_OPEN,
    };
    return methods[op->kind];
}

bool op_adds_mail(const struct op *op)
{
    return op->kind == OP_DELIVER || op->kind == OP_UPLOAD || op->kind == OP_APPEND || op->kind == OP_COPY;
}
