/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/storage/op.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/flags.h"
#include "proto/account.pb-c.h"
#include "proto/message.pb-c.h"

enum { PICK_MAX = 5 };

const struct mail_sizes mail_sizes = { .small_max = 600, .large_max = 40 * 1024 };

/* ---- making requests */

static void random_id(struct op *op, uint8_t *id)
{
    struct world *w = op->c->w;
    mail_id(atomic_load(&w->parts[op->partition].pub.time_ms), world_rand(w), id);
}

void op_pack(struct op *op, const ProtobufCMessage *message)
{
    mail_pack(message, &op->request);
}

static struct op *op_new(struct clients *c, enum op_kind kind, struct account *a)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (c->ops[i] != NULL)
            continue;
        struct op *op = NEW(struct op);
        op->c = c;
        op->kind = kind;
        op->targets[0] = a;
        op->target_count = 1;
        op->partition = a->partition;
        random_id(op, op->request_id);
        c->ops[i] = op;
        return op;
    }
    return NULL;
}

void op_free(struct op *op)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (op->c->ops[i] == op)
            op->c->ops[i] = NULL;
    }
    buf_fini(&op->request);
    buf_fini(&op->body);
    buf_fini(&op->response);
    uidset_fini(&op->uids);
    free(op);
}

void op_begin_create(struct clients *c, struct account *a)
{
    struct op *op = op_new(c, OP_CREATE, a);
    if (op == NULL)
        return;
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    Tern__Credential credential = TERN__CREDENTIAL__INIT;
    request.address = a->address;
    request.credential = &credential;
    a->busy = true;
    op_pack(op, &request.base);
    op_send(op);
}

static void pick_targets(struct op *op)
{
    struct clients *c = op->c;
    for (size_t i = 0; i < c->account_count && op->target_count < OP_TARGETS_MAX; i++) {
        struct account *a = &c->accounts[i];
        if (a != op->targets[0] && a->listed && a->partition == op->partition && world_chance(c->w, 400))
            op->targets[op->target_count++] = a;
    }
    for (size_t i = 0; i < op->target_count; i++)
        op->uid_floor[i] = op->targets[i]->boxes[0].uid_max;
}

void op_begin_deliver(struct clients *c, struct account *a)
{
    struct op *op = op_new(c, OP_DELIVER, a);
    if (op == NULL)
        return;
    uint64_t accounts[OP_TARGETS_MAX];
    pick_targets(op);
    random_id(op, op->named_id);
    op->token = c->next_token++;
    for (size_t t = 0; t < op->target_count; t++)
        accounts[t] = op->targets[t]->id;
    mail_pack_delivery(op->token, op->named_id, accounts, op->target_count, &op->request, &op->body);
    op_send(op);
}

/* Some of the mailbox's messages, and at times UIDs that are gone. */
static void pick_uids(struct op *op)
{
    struct known_mailbox *box = &op->targets[0]->boxes[op->box];
    struct world *w = op->c->w;
    for (uint64_t i = 1 + world_below(w, PICK_MAX); i > 0 && box->count > 0; i--) {
        const struct known *k = &box->messages[world_below(w, box->count)];
        if (!k->gone || world_chance(w, 100))
            uidset_add(&op->uids, k->uid);
    }
}

static ProtobufCBinaryData encode_uids(const struct uidset *uids, struct buf *out)
{
    uidset_encode(uids, out);
    return mail_binary(out);
}

static void make_append(struct op *op, bool uploaded)
{
    Tern__AppendRequest request = TERN__APPEND_REQUEST__INIT;
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT, second = TERN__NEW_MESSAGE__INIT;
    Tern__NewMessage *list[] = { &message, &second };
    struct buf summary = { 0 }, summary2 = { 0 };
    mail_summary(op->token, &summary);
    mail_summary(op->token2, &summary2);
    second.size = mail_size(op->token2);
    second.flags = op->flags;
    second.summary = mail_binary(&summary2);
    message.size = mail_size(op->token);
    message.flags = op->flags;
    if (uploaded)
        message.upload_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, op->named_id };
    else
        message.summary = mail_binary(&summary);
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.n_messages = op->token2 != 0 ? 2 : 1;
    request.messages = list;
    op_pack(op, &request.base);
    buf_clear(&op->body);
    if (!uploaded || op->token2 != 0)
        mail_bytes(uploaded ? op->token2 : op->token, &op->body);
    buf_fini(&summary);
    buf_fini(&summary2);
}

static void make_chunk(struct op *op)
{
    mail_pack_chunk(op->token, op->named_id, op->chunk, op->chunks, &op->request, &op->body);
}

static void make_flags(struct op *op)
{
    Tern__StoreFlagsRequest request = TERN__STORE_FLAGS_REQUEST__INIT;
    struct buf uids = { 0 };
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.uids = encode_uids(&op->uids, &uids);
    op->flags = (uint32_t)world_below(op->c->w, MAIL_FLAGS_ALL + 1);
    op->mode = (int)world_below(op->c->w, 3);
    request.mode = (Tern__StoreMode)op->mode;
    request.flags = op->flags;
    op_pack(op, &request.base);
    buf_fini(&uids);
}

static void make_expunge(struct op *op)
{
    Tern__ExpungeRequest request = TERN__EXPUNGE_REQUEST__INIT;
    struct buf uids = { 0 };
    request.account = op->targets[0]->id;
    request.mailbox = op->targets[0]->boxes[op->box].id;
    request.uids = encode_uids(&op->uids, &uids);
    op_pack(op, &request.base);
    buf_fini(&uids);
}

static void make_copy(struct op *op)
{
    Tern__CopyRequest request = TERN__COPY_REQUEST__INIT;
    struct buf uids = { 0 };
    op->to_box = 1 - op->box;
    op->move = world_chance(op->c->w, 400);
    request.account = op->targets[0]->id;
    request.from = op->targets[0]->boxes[op->box].id;
    request.to = op->targets[0]->boxes[op->to_box].id;
    request.uids = encode_uids(&op->uids, &uids);
    request.move = op->move;
    op_pack(op, &request.base);
    buf_fini(&uids);
}

void op_begin_actor(struct clients *c, struct account *a)
{
    static const enum op_kind kinds[] = { OP_APPEND,  OP_UPLOAD, OP_FLAGS,   OP_FLAGS, OP_FLAGS,
                                          OP_EXPUNGE, OP_COPY,   OP_SCRATCH, OP_QUEUE };
    enum op_kind kind = kinds[world_below(c->w, sizeof kinds / sizeof kinds[0])];
    if (kind == OP_QUEUE && c->queue_busy[a->partition])
        return;
    struct op *op = op_new(c, kind, a);
    if (op == NULL)
        return;
    op->box = (int)world_below(c->w, MAILBOXES);
    if (kind == OP_APPEND || kind == OP_UPLOAD) {
        op->token = c->next_token++;
        op->flags = (uint32_t)world_below(c->w, MAIL_FLAGS_ALL + 1);
        random_id(op, op->named_id);
        op->chunks = 1 + (int)world_below(c->w, OP_CHUNKS_MAX);
        if (kind == OP_UPLOAD && world_chance(c->w, 400))
            op->token2 = c->next_token++;
    } else if (kind == OP_QUEUE) {
        op->token = c->next_token++;
        op->box = 0; /* deliveries go to INBOX */
        random_id(op, op->named_id);
        c->queue_busy[a->partition] = true;
    } else {
        pick_uids(op);
        if (uidset_is_empty(&op->uids)) {
            op_free(op);
            return;
        }
    }
    a->busy = true;
    if (kind == OP_APPEND)
        make_append(op, false);
    else if (kind == OP_UPLOAD)
        make_chunk(op);
    else if (kind == OP_FLAGS)
        make_flags(op);
    else if (kind == OP_EXPUNGE)
        make_expunge(op);
    else if (kind == OP_COPY)
        make_copy(op);
    else if (kind == OP_QUEUE)
        queue_make(op);
    else {
        op->token = c->next_token++;
        scratch_make(op);
    }
    op->uid_floor[0] = a->boxes[kind == OP_COPY ? op->to_box : op->box].uid_max;
    op->modseq_floor = a->boxes[op->box].modseq_max;
    op_send(op);
}

void op_begin_bury(struct clients *c, struct account *a)
{
    struct op *op = op_new(c, OP_BURY, a);
    if (op == NULL)
        return;
    Tern__AccountDeleteRequest request = TERN__ACCOUNT_DELETE_REQUEST__INIT;
    request.address = a->address;
    a->busy = true;
    op_pack(op, &request.base);
    op_send(op);
}

bool op_continue(struct op *op)
{
    bool more = op->kind == OP_UPLOAD || (op->kind == OP_SCRATCH && scratch_method(op->step + 1) != 0) ||
                (op->kind == OP_QUEUE && queue_method(op->step + 1) != 0);
    if (!more || op->status != OK)
        return false;
    random_id(op, op->request_id);
    op->renamed = false;
    op->done = false;
    buf_clear(&op->response);
    if (op->kind == OP_SCRATCH) {
        op->step++;
        scratch_make(op);
    } else if (op->kind == OP_QUEUE) {
        op->step++;
        queue_make(op);
    } else if (++op->chunk < op->chunks) {
        make_chunk(op);
    } else {
        op->kind = OP_APPEND;
        make_append(op, true);
    }
    op_send(op);
    return true;
}

/* ---- sending */

struct attempt {
    struct partition_request base; /* first */
    struct op *op;
    uint8_t request_id[REQUEST_ID_SIZE];
    struct buf request, body; /* the op may have moved on when the node looks at them */
};

static uint32_t method_of(const struct op *op)
{
    static const uint32_t methods[] = {
        [OP_CREATE] = METHOD_ACCOUNT_CREATE,
        [OP_DELIVER] = METHOD_DELIVER,
        [OP_UPLOAD] = METHOD_UPLOAD_CHUNK,
        [OP_APPEND] = METHOD_APPEND,
        [OP_FLAGS] = METHOD_STORE_FLAGS,
        [OP_EXPUNGE] = METHOD_EXPUNGE,
        [OP_COPY] = METHOD_COPY,
        [OP_BURY] = METHOD_ACCOUNT_DELETE,
    };
    if (op->kind == OP_SCRATCH)
        return scratch_method(op->step);
    if (op->kind == OP_QUEUE)
        return queue_method(op->step);
    return methods[op->kind];
}

static bool is_no_answer(enum err status)
{
    return err_class(status) == ERR_CLASS_TEMPORARY || err_class(status) == ERR_CLASS_ROUTING ||
           err_class(status) == ERR_CLASS_IN_DOUBT;
}

static void take_answer(struct attempt *attempt, const struct partition_answer *answer)
{
    struct op *op = attempt->op;
    struct world *w = op->c->w;
    struct slice response = answer->response == NULL ? SLICE_NULL : buf_slice(answer->response);
    bool same_id = memcmp(attempt->request_id, op->request_id, REQUEST_ID_SIZE) == 0;
    if (!w->crashing && answer->status == ERR_EXPIRED && same_id && !op->done && op->attempts == 1) {
        /* Nothing happened: our idea of the partition's time was too old. */
        random_id(op, op->request_id);
        return;
    }
    if (w->crashing || is_no_answer(answer->status) || (!same_id && op->kind != OP_DELIVER))
        return;
    if (!op->done) {
        op->done = true;
        op->status = answer->status;
        buf_add_slice(&op->response, response);
    } else if (same_id && !op->renamed &&
               (op->status != answer->status || !slice_eq(buf_slice(&op->response), response))) {
        world_fail(w, "a repeated request got another answer (P2): method %s", method_name(method_of(op)));
    }
}

static void on_done(struct partition_request *request, const struct partition_answer *answer)
{
    struct attempt *attempt = (struct attempt *)request;
    take_answer(attempt, answer);
    attempt->op->attempts--;
    buf_fini(&attempt->request);
    buf_fini(&attempt->body);
    free(attempt);
}

void op_send(struct op *op)
{
    struct world *w = op->c->w;
    struct attempt *attempt = NEW(struct attempt);
    attempt->op = op;
    memcpy(attempt->request_id, op->request_id, REQUEST_ID_SIZE);
    buf_add_slice(&attempt->request, buf_slice(&op->request));
    buf_add_slice(&attempt->body, buf_slice(&op->body));
    struct partition_request *r = &attempt->base;
    r->partition = op->partition;
    r->method = method_of(op);
    r->kind = METHOD_WRITE;
    memcpy(r->request_id, op->request_id, REQUEST_ID_SIZE);
    r->deadline_mono_ms = w->boot_ns / 1000000 + 10 + world_below(w, 3000);
    r->request = buf_slice(&attempt->request);
    r->body = buf_slice(&attempt->body);
    r->done = on_done;
    op->attempts++;
    op->retry_at_ns = w->boot_ns + (50 + world_below(w, 2000)) * 1000000;
    world_push(w, r);
}
