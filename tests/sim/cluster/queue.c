/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/queue.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "proto/queue.pb-c.h"

enum { ANOTHER_PER_MILLE = 300, DIES_PER_MILLE = 80, AGAIN_PER_MILLE = 150, LOOK_PER_MILLE = 150 };
enum { CHANGE_PER_MILLE = 120, DELETE_PER_MILLE = 250, RELEASE_PER_MILLE = 500 };

/* ---- putting */

static struct item *item_new(struct op *delivery)
{
    struct clients *clients = delivery->c->clients;
    struct item *item = NEW(struct item);
    item->delivery = delivery;
    op_random_id(delivery, item->id);
    item->next = clients->items;
    clients->items = item;
    return item;
}

struct op *mailq_put(struct cluster *c, struct session *s, struct op *delivery)
{
    if (delivery == NULL) { /* nobody tries it at once */
        delivery = op_new(c, s, OP_DELIVER);
        op_make(delivery);
        delivery->begun = c->now;
        delivery->left = true;
    }
    struct op *put = op_new(c, s, OP_QUEUE_PUT);
    c->totals.queued++;
    put->item = item_new(delivery);
    put->item->put = put;
    put->partition = (int)cluster_below(c, (uint64_t)c->partitions);
    return put;
}

void mailq_put_sent(struct op *op)
{
    struct cluster *c = op->c;
    if (op->open > 0 && cluster_chance(c, ANOTHER_PER_MILLE)) /* one healthy partition after the other */
        op->partition = (int)cluster_below(c, (uint64_t)c->partitions);
    op->item->may[op->partition] = true;
    op->item->renamed |= op->renamed;
}

void mailq_put_answered(struct op *op, int partition)
{
    if (op->item->certain_at[partition] == 0)
        op->item->certain_at[partition] = op->c->now;
}

void mailq_put_refused(struct op *op, struct session *s)
{
    struct op *delivery = op->item->delivery;
    memset(op->item->may, 0, sizeof op->item->may);
    if (delivery->done)
        return;
    if (delivery->retry_at != 0) { /* it was sent, and may have happened: it goes on */
        delivery->left = false;
        s->op = delivery;
        return;
    }
    delivery->done = delivery->refused = true;
    delivery->ended = op->c->now;
}

void mailq_delivered(struct op *op)
{
    struct op *first = op->item->delivery;
    bool all = true;
    for (int i = 0; i < first->target_count; i++) {
        for (int k = 0; k < op->target_count; k++) {
            if (first->targets[i] != op->targets[k])
                continue;
            if (first->target_uids[i] != 0 && first->target_uids[i] != op->target_uids[k])
                cluster_fail(op->c, "%s: one delivery became UIDs %u and %u (P2)", op->targets[k]->address,
                             first->target_uids[i], op->target_uids[k]);
            first->target_uids[i] = op->target_uids[k];
        }
        all &= first->target_uids[i] != 0;
    }
    if (first->done || !all)
        return;
    first->done = true;
    first->renamed = true; /* there is no answer of its own to compare others with */
    first->ended = op->c->now;
}

/* ---- workers */

static bool somebody_puts(const struct cluster *c)
{
    for (int i = 0; i < c->clients->session_count; i++) {
        const struct session *s = &c->clients->sessions[i];
        if (!s->worker && s->op != NULL && !s->op->done)
            return true;
    }
    return false;
}

bool mailq_is_empty(const struct cluster *c)
{
    for (int p = 0; p < c->partitions && c->clients->queueing; p++) {
        if (!c->clients->emptied[p])
            return false;
    }
    return true;
}

static void take_last(struct cluster *c, struct session *s)
{
    struct op *op = s->op;
    if (op == NULL)
        return;
    if (op->kind == OP_QUEUE_LEASE && op->done && !op->refused && s->hand_count == 0 && !s->reported) {
        s->hand_count = (int)op->queued_count;
        s->hand_at = 0;
        c->totals.leased += op->queued_count;
        s->hand_partition = op->partition;
        memcpy(s->hand, op->queued, op->queued_count * sizeof *op->queued);
    }
    if (op->kind == OP_DELIVER && s->hand_at < s->hand_count) {
        bool good = op->done && !op->refused;
        memset(s->hand[s->hand_at].outcomes,
               good ? TERN__QUEUE_OUTCOME__QUEUE_DELIVERED : TERN__QUEUE_OUTCOME__QUEUE_LATER, TARGETS_MAX);
        s->hand_at++;
        s->looked = false;
    }
    if (op->kind == OP_QUEUE_STATUS && op->done && !op->refused && c->clients->finishing &&
        op->begun >= c->clients->finish_at && !op->left && op->items == 0)
        c->clients->emptied[op->partition] = true;
}

static struct op *ask(struct cluster *c, struct session *s, enum op_kind kind, int partition)
{
    struct op *op = op_new(c, s, kind);
    op->partition = partition;
    return op;
}

static struct op *deliver(struct cluster *c, struct session *s, const struct queued *q)
{
    const struct op *first = q->item->delivery;
    struct op *op = op_new(c, s, OP_DELIVER);
    op->item = q->item;
    op->token = first->token;
    op->partition = first->partition;
    memcpy(op->named_id, first->named_id, REQUEST_ID_SIZE);
    op->target_count = 0;
    for (int i = 0; i < first->target_count; i++) {
        if ((q->pending & 1u << i) != 0)
            op->targets[op->target_count++] = first->targets[i];
    }
    return op;
}

/* One item after the other. NULL: all are settled. */
static struct op *try_hand(struct cluster *c, struct session *s)
{
    while (s->hand_at < s->hand_count) {
        struct queued *q = &s->hand[s->hand_at];
        uint64_t chance = c->clients->finishing ? 999 : cluster_below(c, 1000);
        if (chance < 120) {
            memset(q->outcomes,
                   chance < 60 ? TERN__QUEUE_OUTCOME__QUEUE_LATER : TERN__QUEUE_OUTCOME__QUEUE_GIVEN_UP,
                   TARGETS_MAX);
            s->hand_at++;
            continue;
        }
        if (!s->looked && cluster_chance(c, LOOK_PER_MILLE)) {
            struct op *op = ask(c, s, OP_QUEUE_BODY, s->hand_partition);
            op->item = q->item;
            s->looked = true;
            return op;
        }
        return deliver(c, s, q);
    }
    return NULL;
}

static struct op *report(struct cluster *c, struct session *s)
{
    struct op *op = ask(c, s, OP_QUEUE_REPORT, s->hand_partition);
    op->queued_count = (size_t)s->hand_count;
    op->queued = xmemdup(s->hand, op->queued_count * sizeof *op->queued);
    s->reported = true;
    return op;
}

static struct op *retry(struct cluster *c, struct session *s, int partition)
{
    for (struct item *item = c->clients->items; item != NULL; item = item->next) {
        if (item->failed[partition] == 0)
            continue;
        struct op *op = ask(c, s, OP_QUEUE_RETRY, partition);
        op->item = item;
        item->failed[partition] = 0;
        return op;
    }
    return NULL;
}

/* ---- operators: they stand at the front-ends of workers */

static struct op *change(struct cluster *c, struct session *s, enum op_kind kind, int partition,
                         struct item *item)
{
    struct op *op = ask(c, s, kind, partition);
    op->item = item;
    item->held[partition] = kind == OP_QUEUE_HOLD;
    item->deleted |= kind == OP_QUEUE_DELETE;
    return op;
}

static struct op *release_one(struct cluster *c, struct session *s, int partition)
{
    for (struct item *item = c->clients->items; item != NULL; item = item->next) {
        if (item->held[partition])
            return change(c, s, OP_QUEUE_RELEASE, partition, item);
    }
    return NULL;
}

/* One of the newest, so that some are still there. */
static struct op *hold_or_delete(struct cluster *c, struct session *s, int partition)
{
    enum { NEWEST = 4 };
    uint64_t skip = cluster_below(c, NEWEST);
    bool deletes = cluster_chance(c, DELETE_PER_MILLE);
    for (struct item *item = c->clients->items; item != NULL; item = item->next) {
        if (item->may[partition] && skip-- == 0)
            return change(c, s, deletes ? OP_QUEUE_DELETE : OP_QUEUE_HOLD, partition, item);
    }
    return NULL;
}

/* Whether an item was delivered before it was deleted only its recipients know: they are asked by delivering
 * it once more, under its id. */
static struct op *find_out(struct cluster *c, struct session *s)
{
    for (struct item *item = c->clients->items; item != NULL; item = item->next) {
        struct queued all = { .item = item, .pending = UINT32_MAX };
        if (item->deleted && !item->put->refused && !item->delivery->done)
            return deliver(c, s, &all);
    }
    return NULL;
}

static struct op *operate(struct cluster *c, struct session *s, int partition)
{
    if (c->clients->finishing) {
        struct op *op = release_one(c, s, partition);
        return op != NULL || somebody_puts(c) ? op : find_out(c, s);
    }
    if (!cluster_chance(c, CHANGE_PER_MILLE))
        return NULL;
    struct op *op = cluster_chance(c, RELEASE_PER_MILLE) ? release_one(c, s, partition) : NULL;
    return op != NULL ? op : hold_or_delete(c, s, partition);
}

static struct op *look_around(struct cluster *c, struct session *s)
{
    int p = (int)cluster_below(c, (uint64_t)c->partitions);
    uint64_t chance = cluster_below(c, 1000);
    struct op *op = operate(c, s, p);
    if (op != NULL)
        return op;
    if (chance < 200 && !(c->clients->finishing && somebody_puts(c)))
        return ask(c, s, OP_QUEUE_STATUS, p);
    if (chance < 350)
        return ask(c, s, OP_QUEUE_LIST, p);
    if (chance < 500)
        op = retry(c, s, p);
    return op != NULL ? op : ask(c, s, OP_QUEUE_LEASE, p);
}

struct op *mailq_next(struct cluster *c, struct session *s)
{
    take_last(c, s);
    if (c->clients->finishing && mailq_is_empty(c))
        return NULL;
    struct op *op = s->reported ? NULL : try_hand(c, s);
    if (op != NULL)
        return op;
    if (s->hand_count > 0 && (s->reported ? cluster_chance(c, AGAIN_PER_MILLE)
                                          : c->clients->finishing || !cluster_chance(c, DIES_PER_MILLE)))
        return report(c, s);
    s->hand_count = s->hand_at = 0; /* all is said, or it died with what it had */
    s->reported = s->looked = false;
    return look_around(c, s);
}

void mailq_fini(struct clients *clients)
{
    while (clients->items != NULL) {
        struct item *item = clients->items;
        clients->items = item->next;
        free(item->views);
        free(item);
    }
    for (int i = 0; i < clients->session_count; i++)
        free(clients->sessions[i].hand);
}
