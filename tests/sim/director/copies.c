/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas, reduced to what the directors must rely on: a log of numbers, each of which counts once all
 * members and the joiner have it (R11, R21); who asks what, and when (R4, R19-R22, R26). An exchange between
 * two nodes that reach each other is one moment. Disks forget nothing: storage_sim and cluster_sim are for
 * that. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/director/dsim.h"

enum {
    ASK_MS = 400,
    SLOW_ASK_MS = 1600, /* what nobody waits for */
    WRITE_PER_MILLE = 300,
    COPIED_PER_MILLE = 50, /* a copy is whole after two seconds, in the mean */
};

static void forget_term(struct copy *c)
{
    c->started = c->active = c->behind = false;
    c->handing_at = 0;
    c->heir = c->joiner = c->wished_out = 0;
}

void copies_stop(struct node *n)
{
    for (uint32_t p = 0; p < sim->partitions; p++) {
        struct copy *c = &n->copies[p];
        forget_term(c);
        c->floor = c->conf.epoch;
        c->asked_at = 0;
        c->heard_at = c->promised_at = sim->now; /* R16: at the start all promises count as made now */
    }
}

/* ---- configurations */

/* R9: a primary goes on over a change that leaves its term. */
static void adopt(struct node *n, struct copy *c, const struct conf *conf)
{
    bool goes_on = c->started && conf->primary == n->id && conf->since == c->conf.since;
    bool was_active = c->active;
    forget_term(c);
    if (goes_on) {
        c->started = true;
        c->active = was_active;
        for (int i = 0; i < conf->member_count; i++) {
            if (!conf_is_member(&c->conf, conf->members[i]))
                c->answered_at[conf->members[i]] = sim->now;
        }
    }
    c->conf = *conf;
    c->heard_at = sim->now;
    if (conf->epoch == 1 && conf_is_member(conf, n->id))
        c->record = true;
}

void copy_learn(struct node *n, const struct conf *conf)
{
    struct copy *c = &n->copies[conf->partition];
    check_learned(n, conf);
    if (conf->epoch > c->conf.epoch)
        adopt(n, c, conf);
}

void copy_drop(struct node *n, uint32_t partition)
{
    struct copy *c = &n->copies[partition];
    if (!c->record || conf_is_member(&c->conf, n->id) || conf_is_learner(&c->conf, n->id))
        return; /* the answer is old */
    sim_trace("node %u gives up its copy of %u", n->id, partition);
    c->record = false;
    c->log.count = 0;
    if (conf_is_member(store_conf(partition), n->id))
        sim_fail("node %u is told to give up partition %u, of which it is a member", n->id, partition);
}

/* ---- replication */

static bool reach(const struct node *a, const struct node *b)
{
    int from = END_NODE + node_slot(a), to = END_NODE + node_slot(b);
    return node_runs(b) && !sim_cut(from, to) && !sim_cut(to, from);
}

/* A number stands behind the same ones wherever it stands. */
static void copy_log(struct numbers *to, const struct numbers *from)
{
    size_t same = to->count < from->count ? to->count : from->count;
    while (same > 0 && to->list[same - 1] != from->list[same - 1])
        same--;
    to->count = same;
    for (size_t i = same; i < from->count; i++)
        numbers_add(to, from->list[i]);
}

/* R2: false if it knows a higher epoch, or is not there. */
static bool greet(const struct node *n, struct copy *c, struct node *x)
{
    if (x == NULL || !reach(n, x))
        return false;
    struct copy *theirs = &x->copies[c->conf.partition];
    if (theirs->conf.epoch > c->conf.epoch)
        c->behind = true;
    else if (theirs->conf.epoch < c->conf.epoch)
        copy_learn(x, &c->conf);
    return theirs->conf.epoch == c->conf.epoch;
}

static bool send_to_member(struct node *n, struct copy *c, uint32_t id)
{
    struct node *x = node_of(id);
    if (!greet(n, c, x) || !x->copies[c->conf.partition].record) /* R26: it must not acknowledge */
        return false;
    struct copy *theirs = &x->copies[c->conf.partition];
    theirs->heard_at = theirs->promised_at = sim->now;
    copy_log(&theirs->log, &c->log);
    c->answered_at[id] = sim->now;
    return true;
}

/* R24: a copy, then the log. */
static bool send_to_learner(struct node *n, struct copy *c, uint32_t id)
{
    struct node *x = node_of(id);
    if (!greet(n, c, x))
        return false;
    struct copy *theirs = &x->copies[c->conf.partition];
    theirs->heard_at = theirs->promised_at = sim->now;
    c->answered_at[id] = sim->now;
    if (!theirs->record && !sim_chance(COPIED_PER_MILLE))
        return false;
    theirs->record = true;
    copy_log(&theirs->log, &c->log);
    return true;
}

/* All members and the joiner have all that it has. */
static bool replicate(struct node *n, struct copy *c)
{
    const struct conf conf = c->conf;
    bool all = true;
    for (int i = 0; i < conf.member_count; i++) {
        uint32_t id = conf.members[i];
        if (id != n->id) {
            c->has_all[id] = send_to_member(n, c, id);
            all = all && c->has_all[id];
        }
    }
    for (int i = 0; i < conf.learner_count; i++) {
        uint32_t id = conf.learners[i];
        c->has_all[id] = send_to_learner(n, c, id);
        all = all && (c->has_all[id] || id != c->joiner);
    }
    return all && !c->behind;
}

static void begin_term(struct node *n, struct copy *c)
{
    c->started = true;
    c->started_at = sim->now;
    for (int i = 0; i < ID_MAX; i++)
        c->answered_at[i] = sim->now;
    sim_trace("node %u begins as primary of %u in epoch %llu", n->id, c->conf.partition,
              (unsigned long long)c->conf.epoch);
}

static uint32_t min_members(void)
{
    return sim->copies <= 2 ? 1 : 2;
}

/* R12b, R13. */
static void lead(struct node *n, struct copy *c)
{
    uint32_t p = c->conf.partition;
    if (c->active && c->handing_at == 0 && c->conf.member_count >= min_members() &&
        sim_chance(WRITE_PER_MILLE))
        numbers_add(&c->log, ++sim->numbers);
    if (!replicate(n, c))
        return;
    if (!c->active && (c->conf.handover || sim->now >= c->promised_at + GRANT_MS)) {
        c->active = true;
        check_active(n, p);
    }
    if (c->active)
        check_acked(n, p, c->log.count);
    for (int i = 0; i < c->conf.learner_count && c->active && c->joiner == 0; i++) {
        if (c->has_all[c->conf.learners[i]])
            c->joiner = c->conf.learners[i];
    }
}

/* ---- questions */

struct question {
    Tern__ConfChange change;
    uint32_t subject;
    bool wanted, wished, slow;
};

static struct question question(Tern__ConfChange change, uint32_t subject)
{
    return (struct question){ .change = change, .subject = subject, .wanted = true };
}

static struct question primary_asks(struct node *n, struct copy *c)
{
    if (c->handing_at != 0 &&
        sim->now >= c->handing_at + GRANT_MS) /* R22: only a learned one gives it back */
        return question(TERN__CONF_CHANGE__CONF_PROMOTE, n->id);
    if (c->handing_at != 0)
        return question(TERN__CONF_CHANGE__CONF_HANDOVER, c->heir);
    if (c->joiner != 0 && sim->now >= c->answered_at[c->joiner] + LEASE_MS)
        return question(TERN__CONF_CHANGE__CONF_PROMOTE, n->id); /* R21 */
    for (int i = 0; i < c->conf.member_count; i++) {
        uint32_t id = c->conf.members[i];
        if (id != n->id && sim->now >= c->answered_at[id] + LEASE_MS)
            return question(TERN__CONF_CHANGE__CONF_EVICT, id);
    }
    if (c->joiner != 0 && c->active && c->has_all[c->joiner])
        return question(TERN__CONF_CHANGE__CONF_ADD, c->joiner);
    if (c->wished_out != 0 && c->active) {
        struct question q = question(TERN__CONF_CHANGE__CONF_EVICT, c->wished_out);
        q.wished = true;
        return q;
    }
    for (int i = 0; i < c->conf.member_count && n->leaving && c->active; i++) {
        if (c->conf.members[i] == n->id)
            continue;
        c->handing_at = sim->now;
        c->heir = c->conf.members[i];
        return question(TERN__CONF_CHANGE__CONF_HANDOVER, c->heir);
    }
    return (struct question){ 0 };
}

static struct question other_asks(const struct node *n, const struct copy *c)
{
    struct question none = { 0 };
    if (c->conf.primary == n->id)
        return c->record && c->conf.epoch <= c->floor ? question(TERN__CONF_CHANGE__CONF_PROMOTE, n->id)
                                                      : none;
    if (conf_is_member(&c->conf, n->id)) {
        if (!c->record && c->conf.epoch > 1)
            return question(TERN__CONF_CHANGE__CONF_EVICT, n->id); /* R26 */
        return sim->now >= c->heard_at + GRANT_MS ? question(TERN__CONF_CHANGE__CONF_PROMOTE, n->id) : none;
    }
    if (!c->record || conf_is_learner(&c->conf, n->id))
        return none;
    struct question q = question(TERN__CONF_CHANGE__CONF_ADD_LEARNER, n->id);
    q.slow = true;
    return q;
}

static void ask(struct node *n, struct copy *c)
{
    struct question q = c->behind    ? question(TERN__CONF_CHANGE__CONF_READ, n->id)
                        : c->started ? primary_asks(n, c)
                                     : other_asks(n, c);
    uint64_t patience = q.slow ? SLOW_ASK_MS : ASK_MS;
    if (!q.wanted || (c->asked_epoch == c->conf.epoch && sim->now < c->asked_at + patience))
        return;
    c->asked_at = sim->now;
    c->asked_epoch = c->conf.epoch;
    c->behind = false;
    node_ask(n, c->conf.partition, q.change, q.subject, q.wished);
}

void copy_wish(struct node *n, const Tern__Wish *wish)
{
    struct copy *c = &n->copies[wish->partition < sim->partitions ? wish->partition : 0];
    if (!c->active || c->conf.epoch != wish->epoch || c->handing_at != 0 || c->joiner != 0 ||
        !conf_is_member(&c->conf, wish->node) || wish->node == n->id)
        return;
    sim->totals.wishes++;
    if (wish->kind == TERN__WISH_KIND__WISH_EVICT) {
        c->wished_out = wish->node;
    } else if (c->has_all[wish->node]) {
        c->handing_at = sim->now;
        c->heir = wish->node;
    }
}

void copies_step(struct node *n)
{
    for (uint32_t p = 0; p < sim->partitions && n->id != 0; p++) {
        struct copy *c = &n->copies[p];
        if (c->conf.epoch == 0)
            continue;
        if (!c->started && c->conf.primary == n->id && c->record && c->conf.epoch > c->floor)
            begin_term(n, c);
        if (c->started)
            lead(n, c);
        ask(n, c);
    }
}
