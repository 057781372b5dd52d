/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster itself: nodes, partitions, domains, settings. For operators' tools; sessions need none of it.
 * All of it is asked of the directors directly. See store.h for what every call may return; ERR_UNAVAILABLE
 * here: no director answers. */
#ifndef LIB_STORE_CLUSTER_H
#define LIB_STORE_CLUSTER_H

#include "lib/store/store.h"

struct cluster_node {
    uint32_t id;
    struct slice store_id; /* 16 bytes */
    struct slice name, endpoint, zone;
    bool draining;
    uint64_t seen_ms; /* when a director last heard of it; 0: not since that director started */
};

struct cluster_partition {
    uint32_t partition;
    uint64_t epoch, since;
    uint32_t primary; /* node ids */
    const uint32_t *members, *learners;
    size_t member_count, learner_count;
};

struct cluster_domain {
    struct slice name;
    uint64_t created_ms;
};

struct cluster_setting {
    struct slice name, value;
};

struct cluster {
    uint64_t version;        /* of the map */
    struct slice cluster_id; /* 16 bytes */
    uint32_t partition_count, copies, min_members;
    struct slice problem; /* why no partition is placed yet; empty if they are */
    struct cluster_node *nodes;
    size_t node_count;
    struct cluster_partition *partitions; /* by number; none while they are not placed */
    size_t placed_count;
    struct cluster_domain *domains; /* by name */
    size_t domain_count;
    struct cluster_setting *settings; /* by name */
    size_t setting_count;
};

/* As it is now. Yields. */
MUST_CHECK enum err store_cluster_read(struct store *store, struct arena *arena, struct cluster *out);

/* `name` is an A-label domain in lower case. ERR_EXISTS, ERR_SYNTAX, ERR_LIMIT. Yields. */
MUST_CHECK enum err store_domain_add(struct store *store, struct slice name);
/* ERR_NOT_FOUND. Its addresses stay, out of sight. Yields. */
MUST_CHECK enum err store_domain_delete(struct store *store, struct slice name);
/* ERR_SYNTAX, ERR_LIMIT. Yields. */
MUST_CHECK enum err store_setting_put(struct store *store, struct slice name, struct slice value);

/* What a member found when it read all of its copy. */
struct partition_sums {
    uint32_t node;
    uint64_t chain;         /* over the entries applied */
    uint64_t state, bodies; /* over the rows */
    bool damaged;           /* a row could not be read: the sums say nothing */
};

struct partition_check {
    uint64_t index; /* the entry as of which the copies are compared */
    bool complete;  /* every member has spoken */
    struct partition_sums *sums;
    size_t count;
};

/* index 0: have all members read their copies now; else what is known of that check. ERR_UNAVAILABLE. Yields.
 */
MUST_CHECK enum err store_partition_check(struct store *store, struct arena *arena, uint32_t partition,
                                          uint64_t index, struct partition_check *out);

#endif
