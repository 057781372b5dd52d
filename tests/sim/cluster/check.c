/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas that applied the same entries hold the same rows and bytes. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "storage-node/mailbox/machine.h"
#include "tests/sim/cluster/truth.h"

enum { COMPARE_PER_MILLE = 120 };

/* What applying everything up to `index` makes, by whoever came there first; 0: not known yet. */
struct mark {
    uint64_t chain, rows;
};

struct marks {
    struct mark *list;
    uint64_t cap;
};

struct checks {
    struct marks parts[PARTITIONS_MAX];
};

void checks_init(struct cluster *c)
{
    c->checks = NEW(struct checks);
}

void checks_fini(struct cluster *c)
{
    for (int p = 0; p < PARTITIONS_MAX; p++)
        free(c->checks->parts[p].list);
    free(c->checks);
}

static struct mark *mark_at(struct cluster *c, int partition, uint64_t index)
{
    struct marks *m = &c->checks->parts[partition];
    if (index >= m->cap) {
        uint64_t cap = m->cap == 0 ? 512 : m->cap;
        while (cap <= index)
            cap *= 2;
        m->list = xrealloc(m->list, cap * sizeof *m->list);
        memset(m->list + m->cap, 0, (cap - m->cap) * sizeof *m->list);
        m->cap = cap;
    }
    return &m->list[index];
}

static uint64_t hash_range(struct node *n, enum kv_family family, const struct buf *lower,
                           const struct buf *upper, uint64_t hash)
{
    struct kv_iter *it = kv_iter_new(n->kv, NULL, family, buf_slice(lower), buf_slice(upper));
    for (bool on = kv_iter_seek(it, buf_slice(lower)); on; on = kv_iter_next(it)) {
        uint64_t parts[3] = { hash, hash_xxh3(kv_iter_key(it)), hash_xxh3(kv_iter_value(it)) };
        hash = hash_xxh3(slice_of(parts, sizeof parts));
    }
    if (kv_iter_err(it) != OK)
        cluster_fail(n->c, "node %u: rows cannot be read", n->self.id);
    kv_iter_free(&it);
    return hash;
}

/* The state, and the bodies of entries up to the index: those above belong to entries not applied yet. */
static uint64_t hash_state(struct node *n, int partition, uint64_t index)
{
    struct buf lower = { 0 }, upper = { 0 };
    machine_key_range((uint32_t)partition, &lower, &upper);
    uint64_t hash = hash_range(n, KV_STATE, &lower, &upper, index);
    buf_clear(&lower);
    buf_clear(&upper);
    machine_body_key((uint32_t)partition, 0, &lower);
    machine_body_key((uint32_t)partition, index + 1, &upper);
    hash = hash_range(n, KV_BODY, &lower, &upper, hash);
    buf_fini(&lower);
    buf_fini(&upper);
    return hash;
}

static void compare_rows(struct node *n, int partition, uint64_t index)
{
    struct mark *mark = mark_at(n->c, partition, index);
    uint64_t rows = hash_state(n, partition, index);
    n->c->totals.compared++;
    if (mark->rows == 0)
        mark->rows = rows;
    else if (mark->rows != rows)
        cluster_fail(n->c, "partition %d: node %u holds other rows or bodies after entry %llu than others",
                     partition, n->self.id, (unsigned long long)index);
}

void checks_copied(struct node *n, int partition, uint64_t index)
{
    const struct partition *p = node_partition(n, partition);
    if (!n->dying && p != NULL && p->applied.index == index) /* not a first chunk that is sent again later */
        compare_rows(n, partition, index);
}

static void check_partition(struct node *n, int partition)
{
    struct cluster *c = n->c;
    struct partition *p = node_partition(n, partition);
    struct replica_info info;
    if (p == NULL)
        return;
    if (p->version_refused != 0 && conf_is_member(truth_conf(c, partition), n->self.id))
        cluster_fail(c, "node %u, a member, was sent version %u and speaks %u (R30)", n->self.id,
                     p->version_refused, n->speaks);
    if (p->applied.version > n->speaks)
        cluster_fail(c, "node %u applied version %u and speaks %u (R30)", n->self.id, p->applied.version,
                     n->speaks);
    if (atomic_load(&p->pub->stopped))
        cluster_fail(c, "node %u: a partition stopped serving", n->self.id);
    bool was_half = n->half[partition];
    n->half[partition] = p->record.installing;
    if (n->half[partition] || p->jobs_out > 0 || p->dropped) {
        n->half[partition] |= was_half && p->jobs_out > 0;
        return;
    }
    partition_info(p, &info);
    if (info.applied != p->applied.index || info.applied == 0 || info.applied == n->checked[partition])
        return;
    uint64_t before = n->checked[partition];
    n->checked[partition] = info.applied;
    struct mark *mark = mark_at(c, partition, info.applied);
    if (mark->chain == 0)
        mark->chain = p->applied.chain;
    else if (mark->chain != p->applied.chain)
        cluster_fail(c, "partition %d: node %u applied other entries up to %llu than others", partition,
                     n->self.id, (unsigned long long)info.applied);
    bool installed = info.base > before; /* the log does not reach back to what was there */
    c->totals.installs += installed;
    if (was_half || installed || mark->rows != 0 || cluster_chance(c, COMPARE_PER_MILLE))
        compare_rows(n, partition, info.applied);
}

void checks_node(struct node *n)
{
    for (int p = 0; p < n->c->partitions && !n->c->failed; p++)
        check_partition(n, p);
}

bool checks_converged(struct cluster *c, bool last)
{
    for (int p = 0; p < c->partitions; p++) {
        const struct conf *conf = truth_conf(c, p);
        struct replica_info first = { 0 }, info;
        for (int i = 0; i < conf->member_count; i++) {
            struct node *n = node_find(c, conf->members[i]);
            struct partition *open = n == NULL ? NULL : node_partition(n, p);
            if (open == NULL || open->jobs_out > 0)
                return false;
            partition_info(open, &info);
            if (i == 0)
                first = info;
            if (info.applied != first.applied || info.applied != info.last)
                return false;
            if (open->applied.version < n->program) /* in the end all speak the same (R30) */
                return false;
            if (last)
                compare_rows(n, p, info.applied);
        }
    }
    return true;
}

void checks_tell(struct cluster *c)
{
    static const char *const roles[] = { "idle", "learner", "member", "primary" };
    for (int p = 0; p < c->partitions; p++) {
        for (int i = 0; i < c->slots; i++) {
            struct partition *open = node_partition(c->nodes[i], p);
            struct replica_info info;
            if (open == NULL)
                continue;
            partition_info(open, &info);
            cluster_trace(c,
                          "partition %d node %u: %s active %d accepting %d halted %d epoch %llu dep %llu log "
                          "%llu..%llu commit %llu applied %llu jobs %u",
                          p, c->nodes[i]->self.id, roles[info.role], info.active, info.accepting, info.halted,
                          (unsigned long long)info.epoch, (unsigned long long)info.dep,
                          (unsigned long long)info.base, (unsigned long long)info.last,
                          (unsigned long long)info.commit, (unsigned long long)info.applied, open->jobs_out);
        }
    }
}
