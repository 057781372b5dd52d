/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/storage/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/mail/flags.h"
#include "lib/mail/row.h"
#include "proto/account.pb-c.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"
#include "storage-node/partition/read/reader.h"
#include "tests/sim/storage/op.h"

enum { FINISH_STEPS = 60 * 1000 };

static const char *const box_names[MAILBOXES] = { "INBOX", "Archive" };

void clients_init(struct clients *c, struct world *w)
{
    *c = (struct clients){ .w = w, .next_token = 1 };
    c->account_count = 2 + world_below(w, ACCOUNTS_MAX - 1);
    for (size_t i = 0; i < c->account_count; i++) {
        struct account *a = &c->accounts[i];
        a->partition = (uint32_t)world_below(w, WORLD_PARTITIONS);
        snprintf(a->address, sizeof a->address, "user%zu@example.test", i);
    }
}

void clients_fini(struct clients *c)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (c->ops[i] != NULL)
            op_free(c->ops[i]);
    }
    for (size_t i = 0; i < c->account_count; i++) {
        for (int b = 0; b < MAILBOXES; b++)
            free(c->accounts[i].boxes[b].messages);
    }
}

/* ---- reading */

struct answer {
    struct partition_request base; /* first */
    enum err status;
    struct buf response, body;
};

static void on_read(struct partition_request *request, const struct partition_answer *answer)
{
    struct answer *a = (struct answer *)request;
    a->status = answer->status;
    if (answer->status == OK) {
        buf_add_slice(&a->response, buf_slice(answer->response));
        buf_add_slice(&a->body, buf_slice(answer->body));
    }
}

static enum err read_now(struct clients *c, uint32_t partition, uint32_t method,
                         const ProtobufCMessage *request, struct answer *out)
{
    struct buf packed = { 0 };
    mail_pack(request, &packed);
    buf_clear(&out->response);
    buf_clear(&out->body);
    out->base = (struct partition_request){
        .partition = partition, .method = method, .kind = METHOD_READ, .done = on_read
    };
    out->base.deadline_mono_ms = UINT64_MAX;
    out->base.request = buf_slice(&packed);
    reader_serve(c->w->kv, &c->w->parts[partition].pub, &out->base, world_boot_ns, 0, NULL);
    buf_fini(&packed);
    c->reads++;
    if (out->status != OK && err_class(out->status) != ERR_CLASS_TEMPORARY &&
        err_class(out->status) != ERR_CLASS_ROUTING)
        world_fail(c->w, "read %s: %s", method_name(method), err_name(out->status));
    c->reads_refused += out->status != OK;
    return out->status;
}

static void answer_fini(struct answer *a)
{
    buf_fini(&a->response);
    buf_fini(&a->body);
}

/* The ids of the two mailboxes. */
static void list_mailboxes(struct clients *c, struct account *a)
{
    Tern__MailboxListRequest request = TERN__MAILBOX_LIST_REQUEST__INIT;
    struct answer answer = { 0 };
    int found = 0;
    request.account = a->id;
    if (read_now(c, a->partition, METHOD_MAILBOX_LIST, &request.base, &answer) == OK) {
        Tern__MailboxListResponse *r =
            tern__mailbox_list_response__unpack(NULL, answer.response.len, answer.response.data);
        for (size_t i = 0; r != NULL && i < r->n_mailboxes; i++) {
            for (int b = 0; b < MAILBOXES; b++) {
                if (strcmp(r->mailboxes[i]->name, box_names[b]) == 0) {
                    a->boxes[b].id = r->mailboxes[i]->id;
                    a->boxes[b].uidvalidity = r->mailboxes[i]->uidvalidity;
                    found++;
                }
            }
        }
        if (found != MAILBOXES)
            world_fail(c->w, "%s: a new account has no INBOX or Archive", a->address);
        a->listed = true;
        if (r != NULL)
            tern__mailbox_list_response__free_unpacked(r, NULL);
    }
    answer_fini(&answer);
}

/* ---- comparing with the model */

struct sums {
    uint32_t messages, unseen, deleted;
    uint64_t size;
};

static bool is_being_delivered(const struct clients *c, const struct account *a, uint64_t token)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        const struct op *op = c->ops[i];
        if (op == NULL || op->kind != OP_DELIVER || op->token != token)
            continue;
        for (size_t t = 0; t < op->target_count; t++) {
            if (op->targets[t] == a)
                return true;
        }
    }
    return false;
}

static void check_bytes(struct clients *c, struct account *a, const struct row *row, uint64_t token)
{
    struct buf want = { 0 };
    mail_bytes(token, &want);
    if (!slice_eq(row->body, buf_slice(&want)) || row->size != want.len)
        world_fail(c->w, "%s: UID %u has other bytes than were stored", a->address, row->uid);
    mail_summary(token, &want);
    if (!slice_eq(row->summary, buf_slice(&want)))
        world_fail(c->w, "%s: UID %u has another summary than was stored", a->address, row->uid);
    buf_fini(&want);
}

/* A row that nobody acknowledged: only a delivery under way may have made it. */
static void check_unknown(struct clients *c, struct account *a, int box_number, const struct row *row)
{
    struct known_mailbox *box = &a->boxes[box_number];
    uint64_t token = 0;
    for (size_t i = 0; i < box->count; i++) {
        if (box->messages[i].uid == row->uid)
            world_fail(c->w, "%s: UID %u is back after it was expunged", a->address, row->uid);
    }
    if (!mail_token(row->summary, &token) || box_number != 0 || !is_being_delivered(c, a, token))
        world_fail(c->w, "%s: UID %u (token %llu) came from nowhere, or twice", a->address, row->uid,
                   (unsigned long long)token);
    else
        check_bytes(c, a, row, token);
}

static void check_row(struct clients *c, struct account *a, int box_number, const struct row *row,
                      struct sums *sums, size_t *next)
{
    struct known_mailbox *box = &a->boxes[box_number];
    struct known *known = NULL;
    sums->messages++;
    sums->unseen += (row->flags & MAIL_SEEN) == 0;
    sums->deleted += (row->flags & MAIL_DELETED) != 0;
    sums->size += row->size;
    for (size_t i = 0; i < box->count && known == NULL; i++) {
        if (!box->messages[i].gone && box->messages[i].uid == row->uid)
            known = &box->messages[i];
    }
    if (row->uid > box->uid_max)
        box->uid_max = row->uid;
    if (known == NULL) {
        check_unknown(c, a, box_number, row);
        return;
    }
    (*next)++;
    if (known->flags != row->flags)
        world_fail(c->w, "%s: UID %u has flags %x, not %x", a->address, row->uid, row->flags, known->flags);
    check_bytes(c, a, row, known->token);
}

static bool fetch_all(struct clients *c, struct account *a, int box_number, struct sums *sums)
{
    struct known_mailbox *box = &a->boxes[box_number];
    struct answer answer = { 0 };
    struct uidset all = { 0 };
    uint32_t from = 1, last_uid = 0;
    size_t found = 0, wanted = 0;
    bool answered = true;
    while (from != 0 && answered && !c->w->failed) {
        Tern__FetchRequest request = TERN__FETCH_REQUEST__INIT;
        struct buf uids = { 0 };
        uidset_clear(&all);
        uidset_add_range(&all, from, UINT32_MAX - 1);
        uidset_encode(&all, &uids);
        request.account = a->id;
        request.mailbox = box->id;
        request.uids = (ProtobufCBinaryData){ uids.len, uids.data };
        request.items = TERN__FETCH_ITEM__FETCH_SUMMARY | TERN__FETCH_ITEM__FETCH_BODY;
        request.max_bytes = FETCH_PAGE_MAX;
        answered = read_now(c, a->partition, METHOD_FETCH, &request.base, &answer) == OK;
        buf_fini(&uids);
        Tern__FetchResponse *r =
            answered ? tern__fetch_response__unpack(NULL, answer.response.len, answer.response.data) : NULL;
        struct cursor rows = cursor_of(buf_slice(&answer.body));
        struct row row;
        while (answered && row_next(&rows, &row) == OK) {
            if (row.uid <= last_uid)
                world_fail(c->w, "rows out of order");
            last_uid = row.uid;
            check_row(c, a, box_number, &row, sums, &found);
        }
        from = r == NULL ? 0 : r->next_uid;
        if (r != NULL)
            tern__fetch_response__free_unpacked(r, NULL);
    }
    for (size_t i = 0; i < box->count; i++)
        wanted += !box->messages[i].gone;
    if (answered && found != wanted)
        world_fail(c->w, "%s: %s has %zu of %zu acknowledged messages", a->address, box_names[box_number],
                   found, wanted);
    uidset_fini(&all);
    answer_fini(&answer);
    return answered;
}

static void check_counters(struct clients *c, struct account *a, int box_number, const struct sums *sums)
{
    struct known_mailbox *box = &a->boxes[box_number];
    Tern__MailboxOpenRequest request = TERN__MAILBOX_OPEN_REQUEST__INIT;
    struct answer answer = { 0 };
    request.account = a->id;
    request.id = box->id;
    if (read_now(c, a->partition, METHOD_MAILBOX_OPEN, &request.base, &answer) == OK) {
        Tern__MailboxOpenResponse *r =
            tern__mailbox_open_response__unpack(NULL, answer.response.len, answer.response.data);
        const Tern__Mailbox *m = r == NULL ? NULL : r->mailbox;
        if (m == NULL || m->uidvalidity != box->uidvalidity)
            world_fail(c->w, "%s: UIDVALIDITY has changed", a->address);
        else if (m->messages != sums->messages || m->unseen != sums->unseen || m->deleted != sums->deleted ||
                 m->size != sums->size)
            world_fail(c->w, "%s: counters do not agree with the messages: %u/%u %u/%u %u/%u %llu/%llu",
                       a->address, m->messages, sums->messages, m->unseen, sums->unseen, m->deleted,
                       sums->deleted, (unsigned long long)m->size, (unsigned long long)sums->size);
        else if (m->uidnext <= box->uid_max)
            world_fail(c->w, "%s: UIDNEXT %u is not above UID %u", a->address, m->uidnext, box->uid_max);
        else if (m->modseq < box->modseq_max)
            world_fail(c->w, "%s: HIGHESTMODSEQ went back", a->address);
        if (m != NULL && m->modseq > box->modseq_max)
            box->modseq_max = m->modseq;
        if (r != NULL)
            tern__mailbox_open_response__free_unpacked(r, NULL);
    }
    answer_fini(&answer);
}

static void check_mailbox(struct clients *c, struct account *a, int box_number, struct sums *total)
{
    struct sums sums = { 0 };
    if (!fetch_all(c, a, box_number, &sums))
        return;
    if (!c->w->failed)
        check_counters(c, a, box_number, &sums);
    total->messages += sums.messages;
    total->size += sums.size;
}

void clients_check_all(struct clients *c)
{
    for (size_t i = 0; i < c->account_count && !c->w->failed; i++) {
        struct account *a = &c->accounts[i];
        struct sums total = { 0 };
        struct answer answer = { 0 };
        Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
        if (!a->listed)
            continue;
        for (int b = 0; b < MAILBOXES; b++)
            check_mailbox(c, a, b, &total);
        request.address = a->address;
        if (read_now(c, a->partition, METHOD_ADDRESS_LOOKUP, &request.base, &answer) == OK) {
            Tern__AddressLookupResponse *r =
                tern__address_lookup_response__unpack(NULL, answer.response.len, answer.response.data);
            if (r == NULL || r->account == NULL || r->account->used_bytes != total.size ||
                r->account->message_count != total.messages)
                world_fail(c->w, "%s: the account's sums do not agree with its messages", a->address);
            if (r != NULL)
                tern__address_lookup_response__free_unpacked(r, NULL);
        } else {
            world_fail(c->w, "%s: not readable when all is quiet: %s", a->address, err_name(answer.status));
        }
        answer_fini(&answer);
    }
}

/* ---- acting */

static void finish_op(struct clients *c, struct op *op)
{
    struct account *a = op->targets[0];
    if (!op->done || op->attempts > 0 || c->w->failed)
        return;
    op_evaluate(op);
    c->acked++;
    if (c->w->failed || op_continue(op))
        return;
    if (op->kind != OP_DELIVER)
        a->busy = false;
    op_free(op);
}

static void repeat_op(struct clients *c, struct op *op)
{
    struct world *w = c->w;
    if (op->done || op->retry_at_ns > w->boot_ns)
        return;
    c->repeated++;
    /* A front-end that died is followed by another one, which knows the delivery id only. */
    if (op->kind == OP_DELIVER && world_chance(w, 300)) {
        uint64_t r = world_rand(w);
        memcpy(op->request_id + 8, &r, 8);
        op->renamed = true;
    }
    op_send(op);
}

static void look_after_ops(struct clients *c)
{
    for (size_t i = 0; i < OPS_MAX && !c->w->failed; i++) {
        if (c->ops[i] != NULL)
            repeat_op(c, c->ops[i]);
        if (c->ops[i] != NULL)
            finish_op(c, c->ops[i]);
    }
}

void clients_step(struct clients *c)
{
    struct world *w = c->w;
    struct account *a = &c->accounts[world_below(w, c->account_count)];
    struct sums sums = { 0 };
    look_after_ops(c);
    if (w->failed)
        return;
    if (a->id == 0) {
        if (!a->busy)
            op_begin_create(c, a);
    } else if (!a->listed) {
        list_mailboxes(c, a);
    } else if (world_chance(w, 400)) {
        op_begin_deliver(c, a);
    } else if (!a->busy) {
        if (world_chance(w, 150))
            check_mailbox(c, a, (int)world_below(w, MAILBOXES), &sums);
        else
            op_begin_actor(c, a);
    }
}

bool clients_idle(const struct clients *c)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        if (c->ops[i] != NULL)
            return false;
    }
    return true;
}

static void fail_unanswered(struct clients *c)
{
    for (size_t i = 0; i < OPS_MAX; i++) {
        const struct op *op = c->ops[i];
        struct replica_info info;
        if (op == NULL)
            continue;
        partition_info(c->w->parts[op->partition].p, &info);
        world_fail(c->w,
                   "a request stays unanswered although nothing fails any more: op %d attempts %u done %d; "
                   "partition %u role %d "
                   "active %d epoch %llu/%llu last %llu commit %llu applied %llu",
                   op->kind, op->attempts, op->done, op->partition, info.role, info.active,
                   (unsigned long long)info.epoch, (unsigned long long)c->w->parts[op->partition].epoch,
                   (unsigned long long)info.last, (unsigned long long)info.commit,
                   (unsigned long long)info.applied);
    }
}

void clients_finish(struct clients *c)
{
    for (int i = 0; i < FINISH_STEPS && !c->w->failed && !clients_idle(c); i++) {
        look_after_ops(c);
        world_step(c->w);
    }
    if (!c->w->failed && !clients_idle(c))
        fail_unanswered(c);
}

void clients_bury(struct clients *c)
{
    enum { STEPS = 300 };
    for (size_t i = 0; i < c->account_count; i++) {
        if (c->accounts[i].id != 0)
            op_begin_bury(c, &c->accounts[i]);
    }
    for (int i = 0; i < STEPS && !c->w->failed; i++) {
        look_after_ops(c);
        world_step(c->w);
    }
    c->w->calm = true;
    clients_finish(c);
}
