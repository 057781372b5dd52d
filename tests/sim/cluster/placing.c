/* SPDX-License-Identifier: Apache-2.0 */
/* What directors do by themselves: as many copies as are wanted, as if each of them thought that it leads;
 * and what happens to them and to the store. */
#include <string.h>

#include "tests/sim/cluster/director_priv.h"

enum { WAKE_MS = 250, RESTORED_MS = 4000, LOOK_BACK = 4 };

static bool is_born(const struct cluster *c, int partition)
{
    if (c->directors->store[partition].epoch > 1)
        return true;
    for (int i = 0; i < c->slots; i++) {
        const struct partition_public *pub = node_public(c->nodes[i], partition);
        if (pub != NULL && atomic_load(&pub->active))
            return true;
    }
    return false;
}

/* The machine with the fewest copies that has none of this partition; NULL if there is none. */
static struct node *choose(struct cluster *c, const struct conf *conf)
{
    struct node *found = NULL;
    uint64_t seen = 0;
    for (int i = 0; i < c->slots; i++) {
        struct node *n = c->nodes[i];
        if (!conf_is_member(conf, n->self.id) && !conf_is_learner(conf, n->self.id) &&
            cluster_below(c, ++seen) == 0)
            found = n;
    }
    return found;
}

/* One step towards as many copies as are wanted. */
static void place(struct cluster *c, int director, int partition)
{
    const struct conf *conf = &c->directors->list[director].seen[partition];
    int wanted = c->directors->wanted[partition];
    for (int i = 0; i < conf->learner_count; i++) {
        if (node_find(c, conf->learners[i]) == NULL || conf->member_count >= wanted) {
            directors_change(c, director, partition, TERN__CONF_CHANGE__CONF_DROP_LEARNER, 0,
                             conf->learners[i]);
            return;
        }
    }
    struct node *n = choose(c, conf);
    if (conf->member_count + conf->learner_count < wanted && n != NULL) {
        directors_change(c, director, partition, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, n->self.id);
    } else if (conf->member_count > wanted) {
        /* A wish: the primary asks to drop one (R20). */
        uint32_t x = conf->members[cluster_below(c, conf->member_count)];
        if (x != conf->primary)
            directors_change(c, director, partition, TERN__CONF_CHANGE__CONF_EVICT, conf->primary, x);
    } else if (wanted > COPIES) {
        c->directors->wanted[partition] = COPIES; /* the new copy is there: an old one may go */
    }
}

static void recover(struct cluster *c);

static void wake(struct cluster *c, int director)
{
    struct directors *ds = c->directors;
    struct director *d = &ds->list[director];
    d->next_at = c->now + cluster_below(c, 2 * WAKE_MS * MS);
    if (!d->up) {
        d->up = true;
        d->boot = cluster_rand(c);
        memset(d->seen, 0, sizeof d->seen);
    }
    bool fresh = c->now >= ds->store_down_until && !cluster_chance(c, c->calm ? 0 : 200);
    if (fresh)
        memcpy(d->seen, ds->store, sizeof d->seen);
    if (ds->restored && c->now >= ds->restored_until)
        recover(c);
    for (int p = 1; p <= c->partitions; p++) {
        if (d->seen[p].epoch > 0 && !ds->restored && is_born(c, p) && cluster_chance(c, 500))
            place(c, director, p);
    }
    directors_push(c, director);
}

void directors_run(struct cluster *c)
{
    for (int i = 0; i < DIRECTORS; i++) {
        if (c->directors->list[i].next_at <= c->now)
            wake(c, i);
    }
}

uint64_t directors_next(const struct cluster *c)
{
    uint64_t at = UINT64_MAX;
    for (int i = 0; i < DIRECTORS; i++) {
        if (c->directors->list[i].next_at < at)
            at = c->directors->list[i].next_at;
    }
    return at;
}

/* ---- a restored store (R27) */

static uint64_t dep_on_disk(struct node *n, int partition)
{
    struct buf key = { 0 };
    struct kv_value value = { 0 };
    struct partition_record record = { 0 };
    record_key((uint32_t)partition, &key);
    if (kv_get(n->kv, NULL, KV_META, buf_slice(&key), &value) == OK &&
        record_decode(value.bytes, &record) != OK)
        cluster_fail(n->c, "a record does not decode");
    kv_value_release(&value);
    buf_fini(&key);
    return record.dep;
}

/* What an operator does: go on above every epoch that any node knows of. */
static void recover(struct cluster *c)
{
    struct directors *ds = c->directors;
    for (int p = 1; p <= c->partitions; p++) {
        struct conf next = *directors_conf(c, p);
        uint64_t highest = ds->store[p].epoch;
        for (int i = 0; i < c->slots; i++) {
            struct partition *open = node_partition(c->nodes[i], p);
            struct replica_info info = { .dep = dep_on_disk(c->nodes[i], p) };
            if (open != NULL)
                partition_info(open, &info);
            highest = info.dep > highest ? info.dep : highest;
            highest = info.epoch > highest ? info.epoch : highest;
        }
        next.epoch = next.since = highest + 1;
        next.handover = false;
        ds->store[p] = next;
        directors_remember(c, &next);
    }
    ds->restored = false;
    cluster_trace(c, "the store goes on above every epoch");
}

void directors_restore(struct cluster *c)
{
    struct directors *ds = c->directors;
    if (ds->restored)
        return;
    for (int p = 1; p <= c->partitions; p++) {
        if (!is_born(c,
                     p)) /* what an operator must not do: conf(2) of a partition that nobody has yet (R26) */
            return;
    }
    ds->restored = true;
    ds->restored_until = c->now + 500 * MS + cluster_below(c, RESTORED_MS * MS);
    ds->generation++;
    for (int p = 1; p <= c->partitions; p++) {
        size_t back = cluster_below(c, LOOK_BACK), last = ds->history[p].count - 1;
        ds->store[p] = ds->history[p].list[back > last ? 0 : last - back];
    }
    for (int i = 0; i < DIRECTORS; i++)
        directors_crash(c, i);
    c->totals.restores++;
    cluster_trace(c, "the store is put back from an old copy");
}

/* ---- faults and life */

void directors_crash(struct cluster *c, int director)
{
    struct director *d = &c->directors->list[director];
    d->up = false;
    d->next_at = c->now + cluster_below(c, 4000 * MS);
    cluster_trace(c, "director %d is down", director + 1);
}

void directors_store_down(struct cluster *c, uint64_t ns)
{
    c->directors->store_down_until = c->now + ns;
    cluster_trace(c, "the store is away for %.3f s", (double)ns / 1e9);
}

void directors_move(struct cluster *c)
{
    int p = 1 + (int)cluster_below(c, (uint64_t)c->partitions);
    if (c->slots > COPIES && c->directors->wanted[p] == COPIES) {
        c->directors->wanted[p] = COPIES + 1;
        c->totals.moves++;
    }
}

void directors_calm(struct cluster *c)
{
    struct directors *ds = c->directors;
    ds->store_down_until = 0;
    if (ds->restored)
        recover(c);
    for (int i = 0; i < DIRECTORS; i++)
        ds->list[i].next_at = c->now;
}
