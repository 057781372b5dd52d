/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/mail/flags.h"
#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "tests/sim/cluster/queue.h"

enum { PICK_MAX = 4, FETCH_BYTES = 1000 * 1000 };

const struct mail_sizes mail_sizes = { .small_max = 400, .large_max = 12000 };

void op_random_id(struct op *op, uint8_t *id)
{
    mail_id(UINT64_C(1700000000000) + op->c->now / MS, cluster_rand(op->c), id);
}

static void pack(struct op *op, const ProtobufCMessage *message)
{
    mail_pack(message, &op->request);
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
    uint64_t accounts[TARGETS_MAX];
    if (op->item == NULL) { /* else a worker knows what and to whom */
        pick_target(op);
        op->token = ++op->c->clients->tokens;
        op_random_id(op, op->named_id);
    }
    for (int i = 0; i < op->target_count; i++)
        accounts[i] = op->targets[i]->id;
    mail_pack_delivery(op->token, op->named_id, accounts, (size_t)op->target_count, &op->request, &op->body);
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
    mail_summary(op->token, &summary);
    message.size = mail_size(op->token);
    message.flags = op->flags;
    if (uploaded)
        message.upload_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, op->named_id };
    else
        message.summary = mail_binary(&summary);
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.n_messages = 1;
    request.messages = list;
    pack(op, &request.base);
    if (!uploaded)
        mail_bytes(op->token, &op->body);
    buf_fini(&summary);
}

static void make_upload(struct op *op)
{
    if (op->chunk == 0) {
        op->token = ++op->c->clients->tokens;
        op->chunks = 1 + (int)cluster_below(op->c, CHUNKS_MAX);
        op_random_id(op, op->named_id);
    }
    mail_pack_chunk(op->token, op->named_id, op->chunk, op->chunks, &op->request, &op->body);
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
    request.uids = mail_binary(&uids);
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
    request.uids = mail_binary(&uids);
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
    request.uids = mail_binary(&uids);
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
    request.uids = mail_binary(&uids);
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
    default:
        mailq_op_make(op);
        return true;
    }
}

uint32_t op_method(const struct op *op)
{
    static const uint32_t methods[] = {
        [OP_CREATE] = METHOD_ACCOUNT_CREATE,
        [OP_LIST] = METHOD_MAILBOX_LIST,
        [OP_DELIVER] = METHOD_DELIVER,
        [OP_UPLOAD] = METHOD_UPLOAD_CHUNK,
        [OP_APPEND] = METHOD_APPEND,
        [OP_STORE] = METHOD_STORE_FLAGS,
        [OP_EXPUNGE] = METHOD_EXPUNGE,
        [OP_COPY] = METHOD_COPY,
        [OP_FETCH] = METHOD_FETCH,
        [OP_OPEN] = METHOD_MAILBOX_OPEN,
        [OP_QUEUE_PUT] = METHOD_QUEUE_PUT,
        [OP_QUEUE_LEASE] = METHOD_QUEUE_LEASE,
        [OP_QUEUE_REPORT] = METHOD_QUEUE_REPORT,
        [OP_QUEUE_RETRY] = METHOD_QUEUE_CHANGE,
        [OP_QUEUE_HOLD] = METHOD_QUEUE_CHANGE,
        [OP_QUEUE_RELEASE] = METHOD_QUEUE_CHANGE,
        [OP_QUEUE_DELETE] = METHOD_QUEUE_CHANGE,
        [OP_QUEUE_LIST] = METHOD_QUEUE_LIST,
        [OP_QUEUE_STATUS] = METHOD_QUEUE_STATUS,
        [OP_QUEUE_BODY] = METHOD_QUEUE_BODY,
    };
    return methods[op->kind];
}

bool op_adds_mail(const struct op *op)
{
    return op->kind == OP_DELIVER || op->kind == OP_UPLOAD || op->kind == OP_APPEND || op->kind == OP_COPY ||
           op->kind == OP_QUEUE_PUT;
}
