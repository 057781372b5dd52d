/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/hash.h"
#include "storage-node/mailbox/machine.h"
#include "tests/sim/cluster/cluster.h"

void cluster_fail(struct cluster *c, const char *fmt, ...)
{
    va_list ap;
    if (c->failed)
        return;
    c->failed = true;
    va_start(ap, fmt);
    vsnprintf(c->failure, sizeof c->failure, fmt, ap);
    va_end(ap);
}

void check_chain(struct node *n)
{
    struct replica_info info;
    partition_info(n->p, &info);
    uint64_t chain = partition_chain(n->p);
    if (info.applied == n->checked || info.applied == 0 || info.applied >= INDEX_MAX)
        return;
    n->checked = info.applied;
    if (n->c->chains[info.applied] == 0)
        n->c->chains[info.applied] = chain;
    else if (n->c->chains[info.applied] != chain)
        cluster_fail(n->c, "node %u applied other entries up to %llu", n->id,
                     (unsigned long long)info.applied);
}

bool check_converged(struct cluster *c)
{
    struct replica_info first, info;
    if (c->conf.member_count != NODES)
        return false;
    for (int i = 0; i < NODES; i++) {
        if (c->nodes[i].p == NULL || c->nodes[i].jobs.first != NULL)
            return false;
        partition_info(c->nodes[i].p, &info);
        if (i == 0)
            first = info;
        if (info.applied != first.applied || info.last != first.last || info.applied != info.last)
            return false;
    }
    for (uint32_t i = 0; i < c->write_count; i++) {
        if (c->writes[i].pending || !c->writes[i].acked)
            return false;
    }
    return true;
}

/* A hash over a family's rows; marks the writes whose upload id stands in a key. */
static uint64_t hash_rows(struct cluster *c, struct node *n, enum kv_family family, bool *found)
{
    struct buf lower = { 0 }, upper = { 0 };
    uint64_t hash = 0, count = 0;
    machine_key_range(PARTITION, &lower, &upper);
    struct kv_iter *it = kv_iter_new(n->kv, NULL, family, buf_slice(&lower), buf_slice(&upper));
    for (bool on = kv_iter_seek(it, buf_slice(&lower)); on; on = kv_iter_next(it)) {
        uint64_t parts[3] = { hash, hash_xxh3(kv_iter_key(it)), hash_xxh3(kv_iter_value(it)) };
        hash = hash_xxh3(slice_of(parts, sizeof parts));
        count++;
        for (uint32_t i = 0; i < c->write_count && family == KV_STATE; i++) {
            struct slice key = kv_iter_key(it);
            if (memmem(key.data, key.len, c->writes[i].request_id, REQUEST_ID_SIZE) != NULL)
                found[i] = true;
        }
    }
    if (kv_iter_err(it) != OK)
        cluster_fail(c, "node %u: rows cannot be read", n->id);
    if (family == KV_BODY && count < c->acked)
        cluster_fail(c, "node %u has lost bodies", n->id);
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
    return hash;
}

void check_rows(struct cluster *c)
{
    static bool found[WRITES_MAX];
    uint64_t state[NODES], bodies[NODES];
    memset(found, 0, sizeof found);
    for (int i = 0; i < NODES; i++) {
        state[i] = hash_rows(c, &c->nodes[i], KV_STATE, found);
        bodies[i] = hash_rows(c, &c->nodes[i], KV_BODY, found);
        if (state[i] != state[0])
            cluster_fail(c, "nodes 1 and %d have other rows", i + 1);
        if (bodies[i] != bodies[0])
            cluster_fail(c, "nodes 1 and %d have other bodies", i + 1);
    }
    for (uint32_t i = 0; i < c->write_count; i++) {
        if (c->writes[i].acked && !found[i])
            cluster_fail(c, "write %u was acknowledged and is lost", i);
    }
}
