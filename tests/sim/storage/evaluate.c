/* SPDX-License-Identifier: Apache-2.0 */
/* What an acknowledgement says goes into the model; what it may not say is a failure. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "proto/account.pb-c.h"
#include "proto/message.pb-c.h"
#include "tests/sim/storage/op.h"

static void learn_message(struct op *op, struct account *a, int box_number, uint32_t uid, uint32_t floor,
                          struct known known)
{
    struct known_mailbox *box = &a->boxes[box_number];
    if (uid <= floor)
        world_fail(op->c->w, "%s: UID %u was given after %u had been seen", a->address, uid, floor);
    for (size_t i = 0; i < box->count; i++) {
        if (box->messages[i].uid == uid)
            world_fail(op->c->w, "%s: UID %u was given twice", a->address, uid);
    }
    if (box->count == box->cap) {
        box->cap = box->cap == 0 ? 64 : box->cap * 2;
        box->messages = xrealloc(box->messages, box->cap * sizeof *box->messages);
    }
    known.uid = uid;
    box->messages[box->count++] = known;
    if (uid > box->uid_max)
        box->uid_max = uid;
}

static struct known *find(struct known_mailbox *box, uint32_t uid)
{
    for (size_t i = 0; i < box->count; i++) {
        if (box->messages[i].uid == uid && !box->messages[i].gone)
            return &box->messages[i];
    }
    return NULL;
}

static void learn_modseq(struct op *op, struct known_mailbox *box, uint64_t modseq)
{
    if (modseq <= op->modseq_floor)
        world_fail(op->c->w, "modseq %llu after %llu", (unsigned long long)modseq,
                   (unsigned long long)op->modseq_floor);
    if (modseq > box->modseq_max)
        box->modseq_max = modseq;
}

static void decode(struct op *op, ProtobufCBinaryData bytes, struct uidset *out)
{
    struct cursor c = cursor_of(slice_of(bytes.data, bytes.len));
    uidset_clear(out);
    if (bytes.len > 0 && uidset_decode(&c, out) != OK)
        world_fail(op->c->w, "a set of UIDs cannot be decoded");
}

/* Those of the op's UIDs that the mailbox holds. */
static void existing(struct op *op, struct uidset *out)
{
    struct uidset_iter it = uidset_iter(&op->uids);
    uint32_t uid;
    while (uidset_next(&it, &uid)) {
        if (find(&op->targets[0]->boxes[op->box], uid) != NULL)
            uidset_add(out, uid);
    }
}

static void expect_set(struct op *op, const struct uidset *want, ProtobufCBinaryData got_bytes,
                       const char *what)
{
    struct uidset got = { 0 };
    decode(op, got_bytes, &got);
    if (!uidset_eq(want, &got)) {
        struct buf text = { 0 };
        uidset_format(want, &text);
        buf_add_str(&text, " but got ");
        uidset_format(&got, &text);
        world_fail(op->c->w, "%s: %s: expected %s", op->targets[0]->address, what, buf_cstr(&text));
        buf_fini(&text);
    }
    uidset_fini(&got);
}

static void after_create(struct op *op)
{
    Tern__AccountCreateResponse *r =
        tern__account_create_response__unpack(NULL, op->response.len, op->response.data);
    if (r == NULL || r->account == NULL || r->account->id == 0)
        world_fail(op->c->w, "AccountCreate answered without an account");
    else
        op->targets[0]->id = r->account->id;
    if (r != NULL)
        tern__account_create_response__free_unpacked(r, NULL);
}

void op_evaluate_delivery(struct op *op)
{
    Tern__DeliverResponse *r = tern__deliver_response__unpack(NULL, op->response.len, op->response.data);
    if (r == NULL || r->n_results != op->target_count)
        world_fail(op->c->w, "Deliver answered %zu results", r == NULL ? 0 : r->n_results);
    for (size_t i = 0; r != NULL && i < r->n_results && i < op->target_count; i++) {
        if (r->results[i]->status != OK)
            world_fail(op->c->w, "Deliver: %s", err_name((enum err)r->results[i]->status));
        else
            learn_message(op, op->targets[i], 0, r->results[i]->uid, op->uid_floor[i],
                          (struct known){ .token = op->token });
    }
    if (r != NULL)
        tern__deliver_response__free_unpacked(r, NULL);
}

static void after_append(struct op *op)
{
    Tern__AppendResponse *r = tern__append_response__unpack(NULL, op->response.len, op->response.data);
    struct uidset uids = { 0 };
    if (r != NULL) {
        decode(op, r->uids, &uids);
        if (uidset_count(&uids) != (op->token2 != 0 ? 2 : 1))
            world_fail(op->c->w, "Append answered %llu UIDs", (unsigned long long)uidset_count(&uids));
        else
            learn_message(op, op->targets[0], op->box, uidset_min(&uids), op->uid_floor[0],
                          (struct known){ .token = op->token, .flags = op->flags });
        if (op->token2 != 0)
            learn_message(op, op->targets[0], op->box, uidset_max(&uids), op->uid_floor[0],
                          (struct known){ .token = op->token2, .flags = op->flags });
        learn_modseq(op, &op->targets[0]->boxes[op->box], r->modseq);
        tern__append_response__free_unpacked(r, NULL);
    }
    uidset_fini(&uids);
}

static uint32_t changed_flags(const struct op *op, uint32_t flags)
{
    if (op->mode == TERN__STORE_MODE__STORE_ADD)
        return flags | op->flags;
    return op->mode == TERN__STORE_MODE__STORE_REMOVE ? flags & ~op->flags : op->flags;
}

static void after_flags(struct op *op)
{
    Tern__StoreFlagsResponse *r =
        tern__store_flags_response__unpack(NULL, op->response.len, op->response.data);
    struct uidset want = { 0 };
    struct uidset_iter it = uidset_iter(&op->uids);
    uint32_t uid;
    while (uidset_next(&it, &uid)) {
        struct known *k = find(&op->targets[0]->boxes[op->box], uid);
        if (k == NULL || changed_flags(op, k->flags) == k->flags)
            continue;
        k->flags = changed_flags(op, k->flags);
        uidset_add(&want, uid);
    }
    if (r != NULL) {
        expect_set(op, &want, r->changed_uids, "flags changed");
        if (!uidset_is_empty(&want))
            learn_modseq(op, &op->targets[0]->boxes[op->box], r->modseq);
        tern__store_flags_response__free_unpacked(r, NULL);
    }
    uidset_fini(&want);
}

static void forget(struct op *op, const struct uidset *uids)
{
    struct uidset_iter it = uidset_iter(uids);
    uint32_t uid;
    while (uidset_next(&it, &uid))
        find(&op->targets[0]->boxes[op->box], uid)->gone = true;
}

static void after_expunge(struct op *op)
{
    Tern__ExpungeResponse *r = tern__expunge_response__unpack(NULL, op->response.len, op->response.data);
    struct uidset want = { 0 };
    existing(op, &want);
    if (r != NULL) {
        expect_set(op, &want, r->vanished_uids, "expunged");
        if (!uidset_is_empty(&want))
            learn_modseq(op, &op->targets[0]->boxes[op->box], r->modseq);
        forget(op, &want);
        tern__expunge_response__free_unpacked(r, NULL);
    }
    uidset_fini(&want);
}

static void learn_copies(struct op *op, const struct uidset *from, const struct uidset *to)
{
    struct uidset_iter it_from = uidset_iter(from), it_to = uidset_iter(to);
    uint32_t uid_from, uid_to;
    while (uidset_next(&it_from, &uid_from) && uidset_next(&it_to, &uid_to)) {
        struct known *k = find(&op->targets[0]->boxes[op->box], uid_from);
        struct known copy = { .token = k->token, .flags = k->flags };
        learn_message(op, op->targets[0], op->to_box, uid_to, op->uid_floor[0], copy);
    }
}

static void after_copy(struct op *op)
{
    Tern__CopyResponse *r = tern__copy_response__unpack(NULL, op->response.len, op->response.data);
    struct uidset want = { 0 }, to = { 0 };
    existing(op, &want);
    if (r != NULL) {
        expect_set(op, &want, r->from_uids, "copied");
        decode(op, r->to_uids, &to);
        if (uidset_count(&to) != uidset_count(&want))
            world_fail(op->c->w, "Copy answered two sets of different size");
        else
            learn_copies(op, &want, &to);
        if (op->move)
            forget(op, &want);
        tern__copy_response__free_unpacked(r, NULL);
    }
    uidset_fini(&want);
    uidset_fini(&to);
}

void op_evaluate(struct op *op)
{
    if (op->status != OK && !(op->kind == OP_COPY && op->status == ERR_NOT_FOUND)) {
        world_fail(op->c->w, "%s: op %d refused: %s", op->targets[0]->address, op->kind,
                   err_name(op->status));
        return;
    }
    switch (op->kind) {
    case OP_CREATE:
        after_create(op);
        break;
    case OP_DELIVER:
        op_evaluate_delivery(op);
        break;
    case OP_UPLOAD:
        break;
    case OP_APPEND:
        after_append(op);
        break;
    case OP_FLAGS:
        after_flags(op);
        break;
    case OP_EXPUNGE:
        after_expunge(op);
        break;
    case OP_COPY:
        after_copy(op);
        break;
    case OP_SCRATCH:
        scratch_evaluate(op);
        break;
    case OP_QUEUE:
        queue_evaluate(op);
        break;
    case OP_BURY:
        op->targets[0]->id = 0;
        break;
    }
}
