/* SPDX-License-Identifier: Apache-2.0 */
/* Members that were let go because they were slow, and that come back (R19). Over a link that is bad in
 * bursts each burst would cost an eviction, with writes that wait for it, and a joining. So whoever is let go
 * again within a while stays a learner for a while before it joins, twice as long each time. Nobody waits for
 * that: a learner follows the log and counts for nothing. Where too few members are left without it, it joins
 * at once. What a primary has seen, it knows alone, and forgets when its process ends. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/replica/replica_priv.h"

static struct rep_slow *find(const struct replica *r, struct replica_node node)
{
    for (uint32_t i = 0; i < r->slow_count; i++)
        if (replica_node_eq(r->slow[i].node, node))
            return &r->slow[i];
    return NULL;
}

/* A place of its own, or, if there are as many as nodes of a partition, that of the one longest past. */
static struct rep_slow *make(struct replica *r, struct replica_node node)
{
    if (r->slow == NULL)
        r->slow = NEW_ARRAY(struct rep_slow, REPLICA_NODES_MAX);
    struct rep_slow *slow = &r->slow[0];
    if (r->slow_count < REPLICA_NODES_MAX)
        slow = &r->slow[r->slow_count++];
    else
        for (uint32_t i = 1; i < r->slow_count; i++)
            slow = r->slow[i].at < slow->at ? &r->slow[i] : slow;
    *slow = (struct rep_slow){ .node = node };
    return slow;
}

static bool is_forgotten(const struct replica *r, const struct rep_slow *slow)
{
    return r->now >= slow->at + r->cfg.rejoin_forget_ns;
}

void rep_slow_note(struct replica *r, struct replica_node node)
{
    struct rep_slow *slow = find(r, node);
    if (slow == NULL)
        slow = make(r, node);
    if (is_forgotten(r, slow))
        slow->times = 0;
    slow->times++;
    slow->at = r->now;
}

bool rep_slow_waits(struct replica *r, struct replica_node node)
{
    const struct rep_slow *slow = find(r, node);
    if (slow == NULL || slow->times < 2 || is_forgotten(r, slow) || r->conf.member_count < r->cfg.min_members)
        return false;
    uint64_t wait = r->cfg.rejoin_ns;
    for (uint32_t i = 2; i < slow->times && wait < r->cfg.rejoin_max_ns; i++)
        wait *= 2;
    if (wait > r->cfg.rejoin_max_ns)
        wait = r->cfg.rejoin_max_ns;
    if (r->now >= slow->at + wait)
        return false;
    rep_tick_at(r, slow->at + wait);
    return true;
}

void rep_slow_fini(struct replica *r)
{
    free(r->slow);
    r->slow = NULL;
    r->slow_count = 0;
}
