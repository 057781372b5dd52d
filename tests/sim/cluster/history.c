/* SPDX-License-Identifier: Apache-2.0 */
/* Is there one order of all that was answered which explains every answer, and does it respect time?
 *
 * The answers name their places themselves. Every change of an account carries the modseq that it was given,
 * every message the UID that it was given, every read the HIGHESTMODSEQ and UIDNEXT of the mailbox as it saw
 * it. So the order is there, and is only to be checked:
 *
 *   1. Changes in the order of their modseqs are played on a model. A read at modseq m must show exactly what
 *      the changes up to m have made of the messages below its UIDNEXT: no message less, none more, none
 *      twice, with these flags and that text. What was refused is not played, so it must not be seen.
 *   2. If A was answered before B was begun, A stands before B: modseqs and UIDs grow, a read shows what was
 *      acknowledged, and no read is older than one that ended before it.
 *
 * (A delivery's answer has no modseq; its place is its UID among those of the mailbox.) */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "proto/message.pb-c.h"
#include "tests/sim/cluster/queue.h"

struct message {
    bool there;
    uint64_t token, modseq; /* modseq 0: not known */
    uint32_t flags;
};

struct model_box {
    struct message *messages; /* by UID */
    uint32_t cap;
};

struct model {
    struct cluster *c;
    const struct account *account;
    struct model_box boxes[BOXES];
    const struct op **ops; /* of the account, with a place */
    size_t count, cap;
};

#define LL(x) ((unsigned long long)(x))

static struct message *message_at(struct model *m, int box, uint32_t uid)
{
    struct model_box *b = &m->boxes[box];
    if (uid >= b->cap) {
        uint32_t cap = b->cap == 0 ? 64 : b->cap;
        while (cap <= uid)
            cap *= 2;
        b->messages = xrealloc(b->messages, cap * sizeof *b->messages);
        memset(b->messages + b->cap, 0, (cap - b->cap) * sizeof *b->messages);
        b->cap = cap;
    }
    return &b->messages[uid];
}

static bool is_read(const struct op *op)
{
    return op->kind == OP_FETCH || op->kind == OP_OPEN;
}

static void make_message(struct model *m, int box, uint32_t uid, struct message made)
{
    struct message *message = message_at(m, box, uid);
    if (message->token != 0)
        cluster_fail(m->c, "%s: UID %u was given twice", m->account->address, uid);
    *message = made;
    message->there = true;
}

/* ---- playing */

static void expect(struct model *m, const struct op *op, const struct uidset *want)
{
    if (!uidset_eq(want, &op->from))
        cluster_fail(m->c, "%s: %s at modseq %llu says that it changed other messages than it must",
                     m->account->address, method_name(op_method(op)), LL(op->modseq));
}

static void play_store(struct model *m, const struct op *op)
{
    struct uidset want = { 0 };
    struct uidset_iter it = uidset_iter(&op->uids);
    uint32_t uid;
    while (uidset_next(&it, &uid)) {
        struct message *message = message_at(m, op->box, uid);
        uint32_t flags = op->mode == TERN__STORE_MODE__STORE_ADD      ? message->flags | op->flags
                         : op->mode == TERN__STORE_MODE__STORE_REMOVE ? message->flags & ~op->flags
                                                                      : op->flags;
        if (!message->there || flags == message->flags)
            continue;
        message->flags = flags;
        message->modseq = op->modseq;
        uidset_add(&want, uid);
    }
    expect(m, op, &want);
    uidset_fini(&want);
}

static void play_expunge(struct model *m, const struct op *op)
{
    enum { DELETED = 1u << 3 };
    struct uidset want = { 0 };
    struct uidset_iter it = uidset_iter(&op->uids);
    uint32_t uid;
    while (uidset_next(&it, &uid)) {
        struct message *message = message_at(m, op->box, uid);
        if (!message->there || (op->only_deleted && (message->flags & DELETED) == 0))
            continue;
        message->there = false;
        uidset_add(&want, uid);
    }
    expect(m, op, &want);
    uidset_fini(&want);
}

static void play_copy(struct model *m, const struct op *op)
{
    struct uidset want = { 0 };
    struct uidset_iter it = uidset_iter(&op->uids), to = uidset_iter(&op->to);
    uint32_t uid, uid_to;
    while (uidset_next(&it, &uid)) {
        struct message message = *message_at(m, op->box, uid);
        if (!message.there)
            continue;
        uidset_add(&want, uid);
        message.modseq = op->modseq;
        if (uidset_next(&to, &uid_to))
            make_message(m, op->to_box, uid_to, message);
        if (op->move)
            message_at(m, op->box, uid)->there = false;
    }
    expect(m, op, &want);
    uidset_fini(&want);
}

/* What a read must show: everything below its UIDNEXT that is there. */
static void play_read(struct model *m, const struct op *op)
{
    size_t next = 0;
    for (uint32_t uid = 1; uid < op->uidnext && !m->c->failed; uid++) {
        const struct message *want = message_at(m, op->box, uid);
        const struct seen *got = next < op->seen_count ? &op->seen[next] : NULL;
        bool shown = got != NULL && got->uid == uid;
        next += shown;
        if (want->there && !shown)
            cluster_fail(m->c, "%s box %d: UID %u was acknowledged and is not there, at modseq %llu",
                         m->account->address, op->box, uid, LL(op->modseq));
        else if (shown && !want->there)
            cluster_fail(m->c, "%s box %d: UID %u (token %llu) is there and must not be, at modseq %llu",
                         m->account->address, op->box, uid, LL(got->token), LL(op->modseq));
        else if (shown && !op->uids_only &&
                 (got->token != want->token || got->flags != want->flags ||
                  (want->modseq != 0 && got->modseq != want->modseq)))
            cluster_fail(m->c, "%s box %d: UID %u: token %llu flags %x modseq %llu, not %llu %x %llu",
                         m->account->address, op->box, uid, LL(got->token), got->flags, LL(got->modseq),
                         LL(want->token), want->flags, LL(want->modseq));
    }
    if (next != op->seen_count)
        cluster_fail(m->c, "%s: a read shows UID %u, and UIDNEXT %u", m->account->address, op->seen[next].uid,
                     op->uidnext);
}

static void play(struct model *m, const struct op *op)
{
    if (op->kind == OP_STORE)
        play_store(m, op);
    else if (op->kind == OP_EXPUNGE)
        play_expunge(m, op);
    else if (op->kind == OP_COPY)
        play_copy(m, op);
    else if (op->kind == OP_APPEND)
        make_message(m, op->box, uidset_min(&op->to),
                     (struct message){ .token = op->token, .modseq = op->modseq, .flags = op->flags });
    else if (is_read(op))
        play_read(m, op);
}

/* By modseq; a change before the reads that see it. */
static int by_place(const void *a, const void *b)
{
    const struct op *x = *(const struct op *const *)a, *y = *(const struct op *const *)b;
    if (x->modseq != y->modseq)
        return x->modseq < y->modseq ? -1 : 1;
    return (int)is_read(x) - (int)is_read(y);
}

static void play_all(struct model *m)
{
    qsort(m->ops, m->count, sizeof(struct op *), by_place);
    for (size_t i = 0; i < m->count && !m->c->failed; i++) {
        const struct op *op = m->ops[i];
        if (i > 0 && !is_read(op) && m->ops[i - 1]->modseq == op->modseq && op->modseq != 0)
            cluster_fail(m->c, "%s: modseq %llu was given twice", m->account->address, LL(op->modseq));
        if (op->modseq != 0 || is_read(op))
            play(m, op);
    }
}

/* ---- time */

/* The UID that the op gave in a box of this account, 0: none. */
static uint32_t uid_given(const struct model *m, const struct op *op, int box)
{
    if (op->kind == OP_APPEND && op->box == box)
        return uidset_min(&op->to);
    if (op->kind == OP_COPY && op->to_box == box && !uidset_is_empty(&op->to))
        return uidset_max(&op->to);
    for (int i = 0; op->kind == OP_DELIVER && box == 0 && i < op->target_count; i++) {
        if (op->targets[i] == m->account)
            return op->target_uids[i];
    }
    return 0;
}

static bool touches(const struct op *op, int box)
{
    if (op->kind == OP_COPY)
        return op->to_box == box || (op->move && op->box == box);
    return op->box == box && op->kind != OP_DELIVER;
}

/* What is known when something begins: of everything that had ended. */
struct known {
    uint64_t modseq;            /* of changes of the account */
    uint64_t box_modseq[BOXES]; /* of changes that touched the box and reads of it */
    uint32_t uidnext[BOXES];
};

static void learn(const struct model *m, const struct op *op, struct known *k)
{
    if (!is_read(op) && op->modseq > k->modseq)
        k->modseq = op->modseq;
    for (int box = 0; box < BOXES; box++) {
        uint32_t next = is_read(op) && op->box == box ? op->uidnext : uid_given(m, op, box) + 1;
        if (next > k->uidnext[box])
            k->uidnext[box] = next;
        if (touches(op, box) && op->modseq > k->box_modseq[box])
            k->box_modseq[box] = op->modseq;
    }
}

static void check_begin(const struct model *m, const struct op *op, const struct known *k)
{
    if (is_read(op)) {
        if (op->modseq < k->box_modseq[op->box] || op->uidnext < k->uidnext[op->box])
            cluster_fail(m->c,
                         "%s box %d: a read begun at %.4f shows modseq %llu UIDNEXT %u; %llu and %u had been "
                         "answered before",
                         m->account->address, op->box, (double)op->begun / 1e9, LL(op->modseq), op->uidnext,
                         LL(k->box_modseq[op->box]), k->uidnext[op->box]);
        return;
    }
    uint64_t before = k->modseq;
    for (int box = 0; box < BOXES; box++) {
        uint32_t uid = op->kind == OP_COPY ? uidset_min(&op->to) : uid_given(m, op, box);
        bool gives = uid_given(m, op, box) != 0;
        if (touches(op, box) && k->box_modseq[box] > before)
            before = k->box_modseq[box];
        if (gives && uid < k->uidnext[box])
            cluster_fail(m->c, "%s box %d: UID %u was given after UIDNEXT %u had been told",
                         m->account->address, box, uid, k->uidnext[box]);
    }
    if (op->modseq != 0 && op->modseq <= before)
        cluster_fail(m->c, "%s: modseq %llu was given after %llu had been told", m->account->address,
                     LL(op->modseq), LL(before));
}

static int by_end(const void *a, const void *b)
{
    const struct op *x = *(const struct op *const *)a, *y = *(const struct op *const *)b;
    return x->ended < y->ended ? -1 : x->ended > y->ended;
}

static int by_begin(const void *a, const void *b)
{
    const struct op *x = *(const struct op *const *)a, *y = *(const struct op *const *)b;
    return x->begun < y->begun ? -1 : x->begun > y->begun;
}

static void check_time(struct model *m)
{
    struct known known = { 0 };
    const struct op **ends = xmemdup(m->ops, m->count * sizeof(struct op *));
    size_t ended = 0;
    qsort(ends, m->count, sizeof(struct op *), by_end);
    qsort(m->ops, m->count, sizeof(struct op *), by_begin);
    for (size_t i = 0; i < m->count && !m->c->failed; i++) {
        while (ended < m->count && ends[ended]->ended < m->ops[i]->begun)
            learn(m, ends[ended++], &known);
        check_begin(m, m->ops[i], &known);
    }
    free(ends);
}

/* ---- an account */

static bool concerns(const struct op *op, const struct account *a)
{
    if (!op->done || op->refused || op->kind == OP_CREATE || op->kind == OP_LIST || op->kind == OP_UPLOAD ||
        op->kind >= OP_QUEUE_PUT ||
        op->item != NULL) /* a worker's delivery: its item's first one stands for all */
        return false;
    return op->targets[0] == a || (op->target_count > 1 && op->targets[1] == a);
}

static void gather(struct model *m)
{
    for (const struct op *op = m->c->clients->ops; op != NULL; op = op->next) {
        if (!concerns(op, m->account))
            continue;
        if (m->count == m->cap) {
            m->cap = m->cap == 0 ? 256 : m->cap * 2;
            m->ops = xrealloc(m->ops, m->cap * sizeof(struct op *));
        }
        m->ops[m->count++] = op;
        if (op->kind == OP_DELIVER) /* there from the beginning, for whoever sees that UID */
            make_message(m, 0, uid_given(m, op, 0), (struct message){ .token = op->token });
    }
}

void history_check(struct cluster *c)
{
    for (int i = 0; i < c->clients->account_count && !c->failed; i++) {
        struct model m = { .c = c, .account = &c->clients->accounts[i] };
        gather(&m);
        if (m.count > 0) {
            play_all(&m);
            check_time(&m);
        }
        for (int b = 0; b < BOXES; b++)
            free(m.boxes[b].messages);
        free(m.ops);
    }
    if (!c->failed)
        mailq_check(c);
}
