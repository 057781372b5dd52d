/* SPDX-License-Identifier: Apache-2.0 */
/* Is nothing in a queue lost, done twice, or held by two at once?
 *
 * Of an item in one partition: its leases are numbered, and the numbers grow with time. A lease begins when
 * the one before has ended, or was reported. Of the reports of one lease one counts at most, and none that
 * comes when somebody else has the item. What was reported done is done, and nothing else is. An item that
 * was acknowledged is there until every recipient was reported done, or an operator was told that it is
 * deleted; from then on it is not. None is leased, and lists show it held, from when an operator was told
 * that it is, until one releases it or has it tried again.
 *
 * An item that was put again under another request id when it was done already begins anew (only its delivery
 * id keeps it from being delivered twice): then its numbers say nothing. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "proto/queue.pb-c.h"
#include "tests/sim/cluster/queue.h"

#define LL(x) ((unsigned long long)(x))

/* An item in a partition. */
struct place {
    struct cluster *c;
    const struct item *item;
    int partition;
};

static bool is_of(const struct place *p, const struct view *v, enum op_kind kind)
{
    return v->op->partition == p->partition && v->op->kind == kind;
}

static void fail(const struct place *p, const char *what, const struct op *op)
{
    cluster_fail(p->c, "queue of partition %d: %s (token %llu, %s of %.4f to %.4f)", p->partition, what,
                 LL(p->item->delivery->token), method_name(op_method(op)), (double)op->begun / 1e9,
                 (double)op->ended / 1e9);
}

/* ---- what reports say of a recipient */

/* By a report begun before `time`, but for that one. */
static bool may_be(const struct place *p, int recipient, Tern__QueueOutcome outcome, uint64_t time,
                   const struct op *but)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (is_of(p, v, OP_QUEUE_REPORT) && v->op != but && v->op->begun < time && v->queued->status == OK &&
            (v->queued->pending & 1u << recipient) != 0 && v->queued->outcomes[recipient] == outcome)
            return true;
    }
    return false;
}

/* By a report answered before `time`. */
static bool is_done(const struct place *p, int recipient, uint64_t time)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (is_of(p, v, OP_QUEUE_REPORT) && v->op->ended < time && v->queued->status == OK &&
            (v->queued->pending & 1u << recipient) != 0 &&
            v->queued->outcomes[recipient] == TERN__QUEUE_OUTCOME__QUEUE_DELIVERED)
            return true;
    }
    return false;
}

/* By an operator who asked for it before `time`. */
static bool may_be_deleted(const struct place *p, uint64_t time)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (is_of(p, v, OP_QUEUE_DELETE) && v->op->begun < time && v->op->status == OK)
            return true;
    }
    return false;
}

/* By an operator who was told so before `time`. */
static bool is_deleted(const struct place *p, uint64_t time)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (is_of(p, v, OP_QUEUE_DELETE) && v->op->ended < time && v->op->status == OK)
            return true;
    }
    return false;
}

static bool may_be_gone(const struct place *p, uint64_t time, const struct op *but)
{
    if (may_be_deleted(p, time))
        return true;
    for (int r = 0; r < p->item->delivery->target_count; r++) {
        if (!may_be(p, r, TERN__QUEUE_OUTCOME__QUEUE_DELIVERED, time, but))
            return false;
    }
    return true;
}

static bool is_gone(const struct place *p, uint64_t time)
{
    if (is_deleted(p, time))
        return true;
    for (int r = 0; r < p->item->delivery->target_count; r++) {
        if (!is_done(p, r, time))
            return false;
    }
    return true;
}

static bool may_be_anew(const struct place *p, uint64_t time)
{
    return p->item->renamed && may_be_gone(p, time, NULL);
}

/* ---- leases and reports */

static bool was_reported(const struct place *p, uint64_t fence, uint64_t before)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (is_of(p, v, OP_QUEUE_REPORT) && v->queued->fence == fence && v->queued->status == OK &&
            v->op->begun < before)
            return true;
    }
    return false;
}

static void check_two_leases(const struct place *p, const struct view *a, const struct view *b)
{
    if (a->queued->fence == b->queued->fence)
        fail(p, "two have the lease of one number", b->op);
    else if (a->op->ended < b->op->begun && a->queued->fence > b->queued->fence)
        fail(p, "a later lease has a lower number", b->op);
    else if (a->queued->fence < b->queued->fence && b->op->time_ms < a->queued->until_ms &&
             !was_reported(p, a->queued->fence, b->op->ended))
        fail(p, "it was leased to somebody else before the lease had ended", b->op);
}

static void check_two_reports(const struct place *p, const struct view *a, const struct view *b)
{
    if (a->queued->fence == b->queued->fence && a->queued->status == OK && b->queued->status == OK)
        fail(p, "a lease was reported twice, and both count", b->op);
}

static void check_late_report(const struct place *p, const struct view *lease, const struct view *report)
{
    if (report->queued->status == OK && lease->queued->fence > report->queued->fence &&
        lease->op->ended < report->op->begun)
        fail(p, "a report counts though somebody else has the item since", report->op);
}

static void check_pairs(const struct place *p, const struct view *v)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *w = &p->item->views[i];
        if (w == v || may_be_anew(p, v->op->ended > w->op->ended ? v->op->ended : w->op->ended))
            continue;
        if (is_of(p, v, OP_QUEUE_LEASE) && is_of(p, w, OP_QUEUE_LEASE))
            check_two_leases(p, w, v);
        else if (is_of(p, v, OP_QUEUE_REPORT) && is_of(p, w, OP_QUEUE_REPORT))
            check_two_reports(p, w, v);
        else if (is_of(p, v, OP_QUEUE_REPORT) && is_of(p, w, OP_QUEUE_LEASE))
            check_late_report(p, w, v);
    }
}

/* ---- holds */

static bool ends_hold(const struct place *p, const struct view *v)
{
    return (is_of(p, v, OP_QUEUE_RELEASE) || is_of(p, v, OP_QUEUE_RETRY)) && v->op->status == OK;
}

/* Is there an end of the hold that may have come (`surely`: must have come) behind it and before `op`? */
static bool is_ended(const struct place *p, const struct op *hold, const struct op *op, bool surely)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (ends_hold(p, v) && (surely ? v->op->begun > hold->ended && v->op->ended < op->begun
                                       : v->op->ended > hold->begun && v->op->begun < op->ended))
            return true;
    }
    return false;
}

/* What `op` meets. */
static bool is_held(const struct place *p, const struct op *op)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (is_of(p, v, OP_QUEUE_HOLD) && v->op->status == OK && v->op->ended < op->begun &&
            !is_ended(p, v->op, op, false))
            return true;
    }
    return false;
}

static bool may_be_held(const struct place *p, const struct op *op)
{
    for (size_t i = 0; i < p->item->view_count; i++) {
        const struct view *v = &p->item->views[i];
        if (is_of(p, v, OP_QUEUE_HOLD) && v->op->status == OK && v->op->begun < op->ended &&
            !is_ended(p, v->op, op, true))
            return true;
    }
    return false;
}

static void check_hold(const struct place *p, const struct view *v)
{
    if (is_deleted(p, v->op->begun))
        fail(p, "what was deleted is there", v->op);
    if (!v->queued->held && is_held(p, v->op))
        fail(p, v->op->kind == OP_QUEUE_LEASE ? "it was leased while it was held" : "it is held no more",
             v->op);
    if (v->queued->held && (v->op->kind == OP_QUEUE_LEASE || !may_be_held(p, v->op)))
        fail(p, "it is held, and nobody wanted it so", v->op);
}

/* ---- what answers show */

static void check_recipient(const struct place *p, const struct view *v, int r)
{
    uint32_t bit = 1u << r;
    bool pending = (v->queued->pending & bit) != 0, failed = (v->queued->failed & bit) != 0;
    bool may_be_done = may_be(p, r, TERN__QUEUE_OUTCOME__QUEUE_DELIVERED, v->op->ended, NULL);
    bool may_have_failed = may_be(p, r, TERN__QUEUE_OUTCOME__QUEUE_GIVEN_UP, v->op->ended, NULL);
    if ((pending || failed) && is_done(p, r, v->op->begun))
        fail(p, "what was reported done is to be done again", v->op);
    if (failed && !may_have_failed)
        fail(p, "nobody has given it up", v->op);
    if (!pending && !failed && !may_be_done && !may_have_failed)
        fail(p, "nobody has reported it", v->op);
}

static void check_shown(const struct place *p, const struct view *v)
{
    if (v->op->kind == OP_QUEUE_REPORT) {
        if (v->queued->status == ERR_NOT_FOUND && !may_be_gone(p, v->op->ended, v->op))
            fail(p, "an item is lost, a report says", v->op);
        return;
    }
    if (may_be_anew(p, v->op->ended))
        return;
    check_hold(p, v);
    for (int r = 0; r < p->item->delivery->target_count; r++)
        check_recipient(p, v, r);
}

static bool shows(const struct op *op, const struct item *item)
{
    for (size_t i = 0; i < op->queued_count; i++) {
        if (op->queued[i].item == item)
            return true;
    }
    return false;
}

static void check_place(const struct place *p)
{
    for (size_t i = 0; i < p->item->view_count && !p->c->failed; i++) {
        const struct view *v = &p->item->views[i];
        if (v->op->partition != p->partition || v->queued == NULL)
            continue;
        check_shown(p, v);
        if (v->op->kind != OP_QUEUE_LIST)
            check_pairs(p, v);
    }
}

/* A list, a status, a body, a change: against all that was acknowledged before. */
static void check_read(struct cluster *c, const struct op *op)
{
    uint64_t least = 0, most = 0, held_least = 0, held_most = 0;
    for (const struct item *item = c->clients->items; item != NULL && !c->failed; item = item->next) {
        struct place p = { c, item, op->partition };
        uint64_t certain_at = item->certain_at[op->partition];
        if (!item->may[op->partition] || item->put->begun > op->ended)
            continue;
        bool there = certain_at != 0 && certain_at < op->begun && !may_be_gone(&p, op->ended, NULL);
        least += there;
        bool may_be = item->renamed || !is_gone(&p, op->begun);
        most += may_be;
        held_least += there && !item->renamed && is_held(&p, op);
        held_most += may_be && may_be_held(&p, op);
        if (there && op->kind == OP_QUEUE_LIST && op->whole && !shows(op, item))
            fail(&p, "an item is lost", op);
        if (there && op->item == item && op->status == ERR_NOT_FOUND)
            fail(&p, "an item is lost", op);
    }
    if (op->kind == OP_QUEUE_STATUS && (op->items < least || op->items > most))
        cluster_fail(
            c, "queue of partition %d: %llu items are counted, at least %llu and at most %llu are there",
            op->partition, LL(op->items), LL(least), LL(most));
    if (op->kind == OP_QUEUE_STATUS && (op->held < held_least || op->held > held_most))
        cluster_fail(c,
                     "queue of partition %d: %llu items are held, at least %llu and at most %llu should be",
                     op->partition, LL(op->held), LL(held_least), LL(held_most));
}

/* ---- all */

static void add_view(struct item *item, const struct op *op, const struct queued *queued)
{
    if (item->view_count == item->view_cap) {
        item->view_cap = item->view_cap == 0 ? 16 : 2 * item->view_cap;
        item->views = xrealloc(item->views, item->view_cap * sizeof *item->views);
    }
    item->views[item->view_count++] = (struct view){ op, queued };
}

void mailq_check(struct cluster *c)
{
    for (const struct op *op = c->clients->ops; op != NULL; op = op->next) {
        for (size_t i = 0; op->done && !op->refused && i < op->queued_count; i++)
            add_view(op->queued[i].item, op, &op->queued[i]);
        if (op->done && !op->refused && mailq_is_change(op))
            add_view(op->item, op, NULL);
    }
    for (const struct item *item = c->clients->items; item != NULL; item = item->next) {
        for (int p = 0; p < c->partitions && !c->failed; p++) {
            struct place place = { c, item, p };
            check_place(&place);
            if (item->certain_at[p] != 0 && !may_be_gone(&place, UINT64_MAX, NULL))
                fail(&place, "an item is lost in the end", item->put);
        }
        if (!item->put->refused && !item->delivery->done && !c->failed)
            cluster_fail(c, "token %llu was taken on and never delivered", LL(item->delivery->token));
    }
    for (const struct op *op = c->clients->ops; op != NULL && !c->failed; op = op->next) {
        bool reads = op->kind >= OP_QUEUE_RETRY;
        if (reads && op->done && !op->refused)
            check_read(c, op);
    }
}
