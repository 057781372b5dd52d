/* SPDX-License-Identifier: Apache-2.0 */
/* What is really so with configurations, whatever a director or a store put back believes; what the store's
 * changes must be; whether all copies are where they should be. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/truth.h"

/* Every configuration there was, by epoch - 1; those between that nobody has had are zero. */
struct confs {
    struct conf *list;
    uint64_t count;
};

struct truth {
    struct conf newest[PARTITIONS_MAX]; /* of the highest epoch there was, of those that count */
    struct confs all[PARTITIONS_MAX];
};

void truth_init(struct cluster *c)
{
    c->truth = NEW(struct truth);
}

void truth_fini(struct cluster *c)
{
    for (int p = 0; p < PARTITIONS_MAX; p++)
        free(c->truth->all[p].list);
    free(c->truth);
}

const struct conf *truth_conf(const struct cluster *c, int partition)
{
    return &c->truth->newest[partition];
}

bool truth_is_placed(const struct cluster *c)
{
    for (int p = 0; p < c->partitions; p++) {
        if (truth_conf(c, p)->epoch == 0)
            return false;
    }
    return true;
}

/* ---- what nodes know */

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

static uint64_t epoch_of_map(const struct node *n, int partition)
{
    struct map_ref *ref = n->up ? map_holder_get(n->map) : NULL;
    const Tern__PartitionConf *conf =
        ref == NULL ? NULL : map_holder_find_partition(map_ref_map(ref), (uint32_t)partition);
    uint64_t epoch = conf == NULL ? 0 : conf->epoch;
    map_ref_release(&ref);
    return epoch;
}

static uint64_t known_epoch(struct cluster *c, int partition)
{
    uint64_t highest = 0;
    for (int i = 0; i < c->slots; i++) {
        struct partition *open = node_partition(c->nodes[i], partition);
        struct replica_info info = { .dep = dep_on_disk(c->nodes[i], partition) };
        uint64_t of_map = epoch_of_map(c->nodes[i], partition);
        if (open != NULL)
            partition_info(open, &info);
        highest = of_map > highest ? of_map : highest;
        highest = info.dep > highest ? info.dep : highest;
        highest = info.epoch > highest ? info.epoch : highest;
    }
    return highest;
}

/* ---- changes of the store */

static void trace_conf(struct cluster *c, const struct conf *conf, const struct made *made)
{
    struct buf text = { 0 };
    for (int i = 0; i < conf->member_count; i++)
        buf_addf(&text, " %u", conf->members[i]);
    for (int i = 0; i < conf->learner_count; i++)
        buf_addf(&text, " l%u", conf->learners[i]);
    cluster_trace(c, "partition %u conf %llu: primary %u since %llu, members%s%s (by director %d%s)",
                  conf->partition, (unsigned long long)conf->epoch, conf->primary,
                  (unsigned long long)conf->since, buf_cstr(&text), conf->handover ? " handover" : "",
                  made->director, made->own ? " itself" : "");
    buf_fini(&text);
}

static void remember(struct confs *all, const struct conf *conf)
{
    if (conf->epoch > all->count) {
        all->list = xrealloc(all->list, conf->epoch * sizeof *all->list);
        memset(all->list + all->count, 0, (conf->epoch - all->count) * sizeof *all->list);
        all->count = conf->epoch;
    }
    all->list[conf->epoch - 1] = *conf;
}

void check_conf(const struct conf *old, const struct conf *now, const struct made *made)
{
    struct cluster *c = surroundings_world();
    struct conf *newest = &c->truth->newest[now->partition];
    (void)old;
    c->totals.epochs++;
    c->totals.learners += made->own && now->learner_count > old->learner_count;
    trace_conf(c, now, made);
    if (!conf_is_valid(now))
        cluster_fail(c, "partition %u: epoch %llu is not valid", now->partition,
                     (unsigned long long)now->epoch);
    if (now->epoch <= newest->epoch && now->epoch <= known_epoch(c, (int)now->partition))
        cluster_fail(c, "partition %u: epoch %llu is used a second time (R27)", now->partition,
                     (unsigned long long)now->epoch);
    *newest = *now;
    remember(&c->truth->all[now->partition], now);
}

/* ---- a store that was put back */

void truth_restored(struct cluster *c)
{
    for (int p = 0; p < c->partitions; p++) {
        uint64_t known = known_epoch(c, p), stored = store_conf((uint32_t)p)->epoch;
        known = stored > known ? stored : known;
        if (known < c->truth->newest[p].epoch)
            c->truth->newest[p] = c->truth->all[p].list[known - 1];
    }
}

void check_turn(int host)
{
    (void)host; /* director_sim looks at patience and limits */
}

void check_begins(int host, uint32_t partition, uint32_t node)
{
    (void)host;
    (void)partition;
    (void)node;
}

/* ---- what front-ends are told */

int truth_guess(struct cluster *c, int partition)
{
    const struct conf *conf =
        host_conf((int)cluster_below(c, (uint64_t)directors.count), (uint32_t)partition);
    const struct node *n = conf == NULL ? NULL : node_find(c, conf->primary);
    return n == NULL ? -1 : n->slot;
}

/* ---- the end */

static bool is_settled(struct cluster *c, int partition, int wanted, struct buf *why)
{
    const struct conf *conf = truth_conf(c, partition);
    const struct node *primary = node_find(c, conf->primary);
    struct partition_public *pub = primary == NULL ? NULL : node_public(primary, partition);
    for (int i = 0; i < conf->member_count; i++) {
        const struct node *n = node_find(c, conf->members[i]);
        if (n != NULL && operators_want(c, n))
            continue;
        buf_addf(why, "partition %d has a copy on node %u", partition, conf->members[i]);
        return false;
    }
    if (store_conf((uint32_t)partition)->epoch != conf->epoch)
        buf_addf(why, "partition %d is ahead of the store", partition);
    else if (conf->member_count != wanted || conf->learner_count != 0)
        buf_addf(why, "partition %d has %u members and %u learners, %d are wanted", partition,
                 conf->member_count, conf->learner_count, wanted);
    else if (pub == NULL || !atomic_load(&pub->active))
        buf_addf(why, "partition %d is not served", partition);
    else
        return true;
    return false;
}

bool truth_is_settled(struct cluster *c, struct buf *why)
{
    int usable = 0;
    for (int i = 0; i < c->slots; i++)
        usable += operators_want(c, c->nodes[i]);
    for (int p = 0; p < c->partitions; p++) {
        if (!is_settled(c, p, usable < COPIES ? usable : COPIES, why))
            return false;
    }
    return operators_are_done(c, why);
}
