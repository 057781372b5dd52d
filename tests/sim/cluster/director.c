/* SPDX-License-Identifier: Apache-2.0 */
/* The coordination store and two directors. A director judges by its own picture of the store, which may be
 * old, and every change is one compare-and-swap (R23). Both place copies by themselves, as if each thought
 * that it leads. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/director_priv.h"

enum { PUSH_PER_MILLE = 400 };

/* A request or a configuration on its way. */
enum stage { TO_DIRECTOR, TO_STORE, FROM_STORE, TO_NODE };

struct errand {
    struct event event; /* first */
    enum stage stage;
    int director, slot;
    uint64_t director_boot, node_boot, generation;
    uint32_t partition, asker;
    uint64_t ask_id; /* 0: pushed with a map, or the director's own */
    struct conf_request request;
    bool change;
    uint64_t expected;
    struct conf conf; /* wanted; then what the store has */
};

static const Tern__ConfChange changes[] = {
    [REPLICA_ASK_READ] = TERN__CONF_CHANGE__CONF_READ,
    [REPLICA_ASK_PROMOTE] = TERN__CONF_CHANGE__CONF_PROMOTE,
    [REPLICA_ASK_EVICT] = TERN__CONF_CHANGE__CONF_EVICT,
    [REPLICA_ASK_ADD] = TERN__CONF_CHANGE__CONF_ADD,
    [REPLICA_ASK_HANDOVER] = TERN__CONF_CHANGE__CONF_HANDOVER,
    [REPLICA_ASK_ADD_LEARNER] = TERN__CONF_CHANGE__CONF_ADD_LEARNER,
};

static void errand_run(struct cluster *c, struct event *e);

static void errand_drop(struct event *e)
{
    free(e);
}

static void errand_end(struct cluster *c, struct errand *e)
{
    c->directors->asked[e->asker]--;
    free(e);
}

static struct errand *errand_new(struct cluster *c, uint32_t partition, uint32_t asker)
{
    struct errand *e = NEW(struct errand);
    e->event.run = errand_run;
    e->event.drop = errand_drop;
    e->partition = partition;
    e->asker = asker;
    e->slot = -1;
    e->generation = c->directors->generation;
    c->directors->asked[asker]++;
    return e;
}

/* ---- the store */

void directors_remember(struct cluster *c, const struct conf *conf)
{
    struct history *h = &c->directors->history[conf->partition];
    if (h->count == h->cap) {
        h->cap = h->cap == 0 ? 16 : h->cap * 2;
        h->list = xrealloc(h->list, h->cap * sizeof *h->list);
    }
    h->list[h->count++] = *conf;
    c->totals.epochs++;
    char members[128] = "";
    for (int i = 0, at = 0; i < conf->member_count + conf->learner_count; i++)
        at += snprintf(members + at, sizeof members - (size_t)at, " %s%u", i < conf->member_count ? "" : "l",
                       i < conf->member_count ? conf->members[i] : conf->learners[i - conf->member_count]);
    cluster_trace(c, "partition %u conf %llu: primary %u since %llu, members%s%s", conf->partition,
                  (unsigned long long)conf->epoch, conf->primary, (unsigned long long)conf->since, members,
                  conf->handover ? ", handed over" : "");
}

const struct conf *directors_conf(const struct cluster *c, int partition)
{
    const struct history *h = &c->directors->history[partition];
    return &h->list[h->count - 1];
}

static void swap(struct cluster *c, struct errand *e)
{
    struct conf *current = &c->directors->store[e->partition];
    if (e->change && !c->directors->restored && current->epoch == e->expected) {
        *current = e->conf;
        directors_remember(c, current);
    }
    e->conf = *current;
}

/* ---- errands */

static void next_stage(struct cluster *c, struct errand *e, enum stage stage, uint64_t at)
{
    e->stage = stage;
    cluster_post(c, &e->event, at);
}

static void at_director(struct cluster *c, struct errand *e)
{
    struct director *d = &c->directors->list[e->director];
    struct conf next;
    if (!d->up) {
        errand_end(c, e);
        return;
    }
    e->director_boot = d->boot;
    bool known = e->request.subject > 0 && e->request.subject <= c->directors->ids;
    e->change = e->request.change != TERN__CONF_CHANGE__CONF_READ &&
                conf_change(&d->seen[e->partition], &e->request, known, &next) == OK;
    const struct conf *seen = &d->seen[e->partition];
    if (e->request.change == TERN__CONF_CHANGE__CONF_ADD_LEARNER && e->request.asker == e->request.subject &&
        seen->member_count + seen->learner_count >= c->directors->wanted[e->partition])
        e->change = false; /* there are enough without it (director/partitions.c) */
    e->expected = seen->epoch;
    if (e->change)
        e->conf = next;
    next_stage(c, e, TO_STORE, c->now + cluster_below(c, 3 * MS) + cluster_below(c, c->ask_delay + 1));
}

static void at_store(struct cluster *c, struct errand *e)
{
    struct directors *ds = c->directors;
    if (c->now < ds->store_down_until) {
        if (cluster_chance(c, 500)) /* it was under way: it counts when the store is back */
            next_stage(c, e, TO_STORE, ds->store_down_until + cluster_below(c, 10 * MS));
        else
            errand_end(c, e);
        return;
    }
    swap(c, e);
    next_stage(c, e, FROM_STORE, c->now + cluster_below(c, 3 * MS) + cluster_below(c, c->ask_delay / 4 + 1));
}

static void back_at_director(struct cluster *c, struct errand *e)
{
    struct director *d = &c->directors->list[e->director];
    uint64_t at;
    if (!d->up || d->boot != e->director_boot) {
        errand_end(c, e);
        return;
    }
    if (e->conf.epoch > d->seen[e->partition].epoch)
        d->seen[e->partition] = e->conf;
    if (e->slot < 0 || !network_route(c, end_of_director(e->director), e->slot, &at))
        errand_end(c, e);
    else
        next_stage(c, e, TO_NODE, at);
}

static struct replica_node name_of(const struct cluster *c, uint32_t id)
{
    return (struct replica_node){ .store = c->directors->stores[id], .id = id };
}

static void at_node(struct cluster *c, struct errand *e)
{
    struct node *n = c->nodes[e->slot];
    if (n->up && c->now < n->paused_until) {
        next_stage(c, e, TO_NODE, n->paused_until);
        return;
    }
    if (n->up && !n->dying && n->boot == e->node_boot) {
        const struct conf *from = &e->conf;
        struct replica_conf conf = { .epoch = from->epoch, .since = from->since, .handover = from->handover };
        conf.primary = name_of(c, from->primary);
        conf.member_count = from->member_count;
        conf.learner_count = from->learner_count;
        for (int i = 0; i < from->member_count; i++)
            conf.members[i] = name_of(c, from->members[i]);
        for (int i = 0; i < from->learner_count; i++)
            conf.learners[i] = name_of(c, from->learners[i]);
        worker_pool_conf(n->pool, e->partition, &conf, e->ask_id, c->min_members);
        if (from->epoch > n->told[e->partition])
            n->told[e->partition] = from->epoch;
        node_poke(n);
    }
    errand_end(c, e);
}

static void errand_run(struct cluster *c, struct event *event)
{
    struct errand *e = (struct errand *)event;
    if (e->generation != c->directors->generation)
        errand_end(c, e);
    else if (e->stage == TO_DIRECTOR)
        at_director(c, e);
    else if (e->stage == TO_STORE)
        at_store(c, e);
    else if (e->stage == FROM_STORE)
        back_at_director(c, e);
    else
        at_node(c, e);
}

void directors_ask(struct node *n, const struct partition_ask *ask)
{
    struct cluster *c = n->c;
    uint64_t at;
    if (cluster_chance(c, 300))
        n->director = (int)cluster_below(c, DIRECTORS);
    if (!network_route(c, n->slot, end_of_director(n->director), &at))
        return;
    struct errand *e = errand_new(c, ask->partition, n->self.id);
    e->director = n->director;
    e->slot = n->slot;
    e->node_boot = n->boot;
    e->ask_id = ask->id;
    e->request = (struct conf_request){ changes[ask->type], ask->epoch, n->self.id, ask->node };
    next_stage(c, e, TO_DIRECTOR, at);
}

bool directors_asked(const struct cluster *c, uint32_t id)
{
    return c->directors->asked[id] > 0;
}

/* ---- for placing.c */

void directors_change(struct cluster *c, int director, int partition, Tern__ConfChange change, uint32_t asker,
                      uint32_t subject)
{
    struct director *d = &c->directors->list[director];
    struct errand *e = errand_new(c, (uint32_t)partition, 0);
    e->director = director;
    e->request = (struct conf_request){ change, d->seen[partition].epoch, asker, subject };
    at_director(c, e);
}

void directors_push(struct cluster *c, int director)
{
    struct director *d = &c->directors->list[director];
    for (int i = 0; i < c->slots; i++) {
        struct node *n = c->nodes[i];
        for (int p = 1; p <= c->partitions && n->up; p++) {
            uint64_t at;
            if (d->seen[p].epoch <= n->told[p] || !cluster_chance(c, PUSH_PER_MILLE) ||
                !network_route(c, end_of_director(director), n->slot, &at))
                continue;
            struct errand *e = errand_new(c, (uint32_t)p, 0);
            e->slot = n->slot;
            e->node_boot = n->boot;
            e->conf = d->seen[p];
            next_stage(c, e, TO_NODE, at);
        }
    }
}

/* ---- looks and life */

int directors_guess(struct cluster *c, int partition)
{
    const struct director *d = &c->directors->list[cluster_below(c, DIRECTORS)];
    const struct node *n = node_find(c, d->seen[partition].primary);
    return n == NULL ? -1 : n->slot;
}

bool directors_settled(const struct cluster *c)
{
    for (int p = 1; p <= c->partitions; p++) {
        const struct conf *conf = directors_conf(c, p);
        if (conf->member_count != COPIES || conf->learner_count != 0 || c->directors->wanted[p] != COPIES)
            return false;
    }
    return true;
}

uint32_t directors_register(struct cluster *c, uint64_t store)
{
    c->directors->stores[++c->directors->ids] = store;
    return c->directors->ids;
}

void directors_init(struct cluster *c)
{
    struct directors *ds = c->directors = NEW(struct directors);
    for (int i = 0; i < c->slots; i++)
        directors_register(c, c->nodes[i]->self.store);
    for (int p = 1; p <= c->partitions; p++) {
        uint32_t members[COPIES], first = (uint32_t)cluster_below(c, (uint64_t)c->slots);
        for (uint32_t i = 0; i < COPIES; i++)
            members[i] = (first + i) % (uint32_t)c->slots + 1;
        ds->store[p] = conf_create((uint32_t)p, members[cluster_below(c, COPIES)], members, COPIES);
        ds->wanted[p] = COPIES;
        directors_remember(c, &ds->store[p]);
    }
    for (int i = 0; i < DIRECTORS; i++)
        ds->list[i].next_at = c->now + cluster_below(c, 50 * MS);
}

void directors_fini(struct cluster *c)
{
    for (int p = 1; p <= c->partitions; p++)
        free(c->directors->history[p].list);
    free(c->directors);
}
