/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/mail/row.h"
#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "tests/sim/cluster/queue.h"

static const char *const box_names[BOXES] = { "INBOX", "Archive" };

static void decode(struct op *op, ProtobufCBinaryData bytes, struct uidset *out)
{
    struct cursor cursor = cursor_of(slice_of(bytes.data, bytes.len));
    uidset_clear(out);
    if (bytes.len > 0 && uidset_decode(&cursor, out) != OK)
        cluster_fail(op->c, "a set of UIDs cannot be decoded");
}

static void learn_uid(struct op *op, struct account *a, int box, uint32_t uid, uint32_t uidvalidity)
{
    struct box *b = &a->boxes[box];
    uidset_add(&b->known, uid);
    if (uidvalidity != b->uidvalidity)
        cluster_fail(op->c, "%s: UIDVALIDITY %u became %u", a->address, b->uidvalidity, uidvalidity);
}

static void learn_uids(struct op *op, int box, const struct uidset *uids, uint32_t uidvalidity)
{
    struct uidset_iter it = uidset_iter(uids);
    uint32_t uid;
    while (uidset_next(&it, &uid))
        learn_uid(op, op->targets[0], box, uid, uidvalidity);
}

static bool take_create(struct op *op, struct slice in)
{
    Tern__AccountCreateResponse *r = tern__account_create_response__unpack(NULL, in.len, in.data);
    bool good = r != NULL && r->account != NULL && r->account->id != 0;
    if (good)
        op->targets[0]->id = r->account->id;
    if (r != NULL)
        tern__account_create_response__free_unpacked(r, NULL);
    return good;
}

static bool take_list(struct op *op, struct slice in)
{
    Tern__MailboxListResponse *r = tern__mailbox_list_response__unpack(NULL, in.len, in.data);
    struct account *a = op->targets[0];
    int found = 0;
    for (size_t i = 0; r != NULL && i < r->n_mailboxes; i++) {
        for (int b = 0; b < BOXES; b++) {
            if (strcmp(r->mailboxes[i]->name, box_names[b]) != 0)
                continue;
            a->boxes[b].id = r->mailboxes[i]->id;
            a->boxes[b].uidvalidity = r->mailboxes[i]->uidvalidity;
            found++;
        }
    }
    a->ready = found == BOXES;
    if (r != NULL)
        tern__mailbox_list_response__free_unpacked(r, NULL);
    return found == BOXES;
}

static bool take_deliver(struct op *op, struct slice in)
{
    Tern__DeliverResponse *r = tern__deliver_response__unpack(NULL, in.len, in.data);
    bool good = r != NULL && r->n_results == (size_t)op->target_count;
    for (int i = 0; good && i < op->target_count; i++) {
        op->target_uids[i] = r->results[i]->uid;
        good = r->results[i]->status == OK && r->results[i]->uid != 0;
        if (good)
            learn_uid(op, op->targets[i], 0, r->results[i]->uid, r->results[i]->uidvalidity);
    }
    if (r != NULL)
        tern__deliver_response__free_unpacked(r, NULL);
    return good;
}

static bool take_append(struct op *op, struct slice in)
{
    Tern__AppendResponse *r = tern__append_response__unpack(NULL, in.len, in.data);
    if (r == NULL)
        return false;
    decode(op, r->uids, &op->to);
    op->modseq = r->modseq;
    learn_uids(op, op->box, &op->to, r->uidvalidity);
    tern__append_response__free_unpacked(r, NULL);
    return uidset_count(&op->to) == 1 && op->modseq > 0;
}

static bool take_store(struct op *op, struct slice in)
{
    Tern__StoreFlagsResponse *r = tern__store_flags_response__unpack(NULL, in.len, in.data);
    if (r == NULL)
        return false;
    decode(op, r->changed_uids, &op->from);
    op->modseq = uidset_is_empty(&op->from) ? 0 : r->modseq;
    tern__store_flags_response__free_unpacked(r, NULL);
    return uidset_is_empty(&op->from) || op->modseq > 0;
}

static bool take_expunge(struct op *op, struct slice in)
{
    Tern__ExpungeResponse *r = tern__expunge_response__unpack(NULL, in.len, in.data);
    if (r == NULL)
        return false;
    decode(op, r->vanished_uids, &op->from);
    op->modseq = uidset_is_empty(&op->from) ? 0 : r->modseq;
    tern__expunge_response__free_unpacked(r, NULL);
    return uidset_is_empty(&op->from) || op->modseq > 0;
}

static bool take_copy(struct op *op, struct slice in)
{
    Tern__CopyResponse *r = tern__copy_response__unpack(NULL, in.len, in.data);
    if (r == NULL)
        return false;
    decode(op, r->from_uids, &op->from);
    decode(op, r->to_uids, &op->to);
    op->modseq = uidset_is_empty(&op->from) ? 0 : r->modseq;
    if (!uidset_is_empty(&op->to))
        learn_uids(op, op->to_box, &op->to, r->uidvalidity);
    tern__copy_response__free_unpacked(r, NULL);
    return uidset_count(&op->from) == uidset_count(&op->to) && (uidset_is_empty(&op->from) || op->modseq > 0);
}

/* ---- reads */

static struct seen *add_seen(struct op *op)
{
    if ((op->seen_count & (op->seen_count - 1)) == 0)
        op->seen = xrealloc(op->seen, (op->seen_count == 0 ? 1 : 2 * op->seen_count) * sizeof *op->seen);
    return &op->seen[op->seen_count++];
}

static void take_row(struct op *op, const struct row *row)
{
    struct seen *seen = add_seen(op);
    *seen = (struct seen){ .uid = row->uid, .flags = row->flags, .modseq = row->modseq };
    if (!mail_token(row->summary, &seen->token))
        cluster_fail(op->c, "%s: UID %u has a summary of nobody's", op->targets[0]->address, row->uid);
    struct buf want = { 0 };
    mail_bytes(seen->token, &want);
    if (row->size != want.len || (op->bodies && !slice_eq(row->body, buf_slice(&want))))
        cluster_fail(op->c, "%s: UID %u has not the bytes that were stored", op->targets[0]->address,
                     row->uid);
    buf_fini(&want);
    uidset_add(&op->targets[0]->boxes[op->box].known, row->uid);
}

static bool take_fetch(struct op *op, struct slice in, struct slice body)
{
    Tern__FetchResponse *r = tern__fetch_response__unpack(NULL, in.len, in.data);
    struct cursor rows = cursor_of(body);
    struct row row;
    if (r == NULL)
        return false;
    while (row_next(&rows, &row) == OK)
        take_row(op, &row);
    op->modseq = r->modseq;
    op->uidnext = r->uidnext;
    bool whole = r->next_uid == 0;
    tern__fetch_response__free_unpacked(r, NULL);
    return whole;
}

static bool take_open(struct op *op, struct slice in)
{
    Tern__MailboxOpenResponse *r = tern__mailbox_open_response__unpack(NULL, in.len, in.data);
    if (r == NULL || r->mailbox == NULL)
        return false;
    decode(op, r->uids, &op->to);
    struct uidset_iter it = uidset_iter(&op->to);
    uint32_t uid;
    while (uidset_next(&it, &uid))
        *add_seen(op) = (struct seen){ .uid = uid };
    op->uids_only = true;
    op->modseq = r->mailbox->modseq;
    op->uidnext = r->mailbox->uidnext;
    if (r->mailbox->messages != op->seen_count)
        cluster_fail(op->c, "%s: %u messages are counted, %zu are there", op->targets[0]->address,
                     r->mailbox->messages, op->seen_count);
    learn_uids(op, op->box, &op->to, r->mailbox->uidvalidity);
    tern__mailbox_open_response__free_unpacked(r, NULL);
    return true;
}

static bool take(struct op *op, struct slice response, struct slice body)
{
    switch (op->kind) {
    case OP_CREATE:
        return take_create(op, response);
    case OP_LIST:
        return take_list(op, response);
    case OP_DELIVER:
        return take_deliver(op, response);
    case OP_UPLOAD:
        return true;
    case OP_APPEND:
        return take_append(op, response);
    case OP_STORE:
        return take_store(op, response);
    case OP_EXPUNGE:
        return take_expunge(op, response);
    case OP_COPY:
        return take_copy(op, response);
    case OP_FETCH:
        return take_fetch(op, response, body);
    case OP_OPEN:
        return take_open(op, response);
    default:
        return mailq_op_take(op, response, body);
    }
}

void op_take(struct op *op, struct slice response, struct slice body)
{
    if (!take(op, response, body))
        cluster_fail(op->c, "%s: the answer to %s says not what it must", op->targets[0]->address,
                     method_name(op_method(op)));
}
