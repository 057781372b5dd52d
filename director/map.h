/* SPDX-License-Identifier: Apache-2.0 */
/* The director's picture of the cluster: what the coordination store holds, row by row, and who was heard of
 * lately. Belongs to the director's one thread. Rows change it only through map_apply. */
#ifndef DIRECTOR_MAP_H
#define DIRECTOR_MAP_H

#include "director/conf.h"
#include "director/coordination/coordination.h"
#include "proto/cluster.pb-c.h"

enum {
    MAP_PARTITIONS_MAX = 16384,
    MAP_NODES_MAX = 1000,
    MAP_DOMAINS_MAX = 10000,
    MAP_SETTINGS_MAX = 256,
    MAP_ID_SIZE = 16,             /* bytes of cluster and store ids */
    MAP_NODE_ALIVE_MS = 5 * 1000, /* a node said hello so lately that it counts as there */
};

struct map_node {
    Tern__NodeInfo *info; /* as stored */
    uint64_t mod;
    uint64_t heard_mono_ms; /* 0: not since this director started */
    uint64_t heard_real_ms;
    uint64_t disk_total, disk_free;
    uint64_t disk_reserve; /* how much should be free; 0: it did not tell */
    uint64_t map_version;  /* the one it had at its last hello */
    bool whole;            /* its last hello told of every copy that it has */
    uint64_t told_for;     /* the hearing that one did so for last (hearing.c); 0: none */
    uint32_t not_active;   /* partitions that one makes it primary of and that it does not serve yet */
    bool leaving;          /* it is being stopped */
    bool disk_low;         /* its disk has less free than its disk_reserve */
    bool told_silent;      /* that it is not here is in the log */
    bool placed;           /* it has had partitions, or a map with them: they were placed before */
    uint64_t marked_ms;    /* on the monotonic clock, when the leading director saw that somebody is about to
                              remove it (retire.c); 0: nobody is, as far as it saw */
};

struct map_domain {
    Tern__Domain *domain;
    uint64_t mod;
};

struct map_setting {
    Tern__Setting *setting;
    uint64_t mod;
};

struct map {
    uint64_t revision; /* everything up to here is in the picture */
    uint64_t base;     /* versions are so far above revisions: the store was put back from a copy, and
                          programs had seen higher ones */
    uint64_t version;  /* revision of the last change, above `base`: what subscribers compare */

    uint64_t cluster_mod; /* 0: the cluster does not exist yet, and the four below mean nothing */
    uint8_t cluster_id[MAP_ID_SIZE];
    uint32_t partition_count, copies, min_members;

    struct conf *confs; /* by partition; epoch 0: not placed */
    uint64_t *conf_mods;
    uint32_t placed_count;

    uint32_t last_node_id;
    uint64_t last_node_id_mod;
    struct map_node *nodes; /* ascending ids */
    size_t node_count;
    Tern__NodeInfo **removed; /* nodes that were removed: only id, store id, name */
    size_t removed_count;
    struct map_domain *domains; /* by name */
    size_t domain_count;
    struct map_setting *settings; /* by name */
    size_t setting_count;
};

void map_fini(struct map *map);

/* Rows of one revision. ERR_CORRUPT (logged): a row that makes no sense; the director must not go on with it.
 */
MUST_CHECK enum err map_apply(struct map *map, const struct coordination_row *rows, size_t count,
                              uint64_t revision);

/* NULL: no such. Valid until the next map_apply. */
struct map_node *map_find_node(const struct map *map, uint32_t id);
struct map_node *map_find_store(const struct map *map, struct slice store_id);
/* The node, if configurations may take it in: nobody is about to remove it, and it is not given up. NULL:
 * they may not, or there is no such node. */
const struct map_node *map_find_joinable(const struct map *map, uint32_t id);
/* A removed node's; borrowed. */
const Tern__NodeInfo *map_find_removed(const struct map *map, struct slice store_id);
/* It is refused like a removed one, and listed for as long as a configuration names it (give_up.c). */
bool map_is_given_up(const struct map *map, const struct map_node *node);
struct map_domain *map_find_domain(const struct map *map, struct slice name);
struct map_setting *map_find_setting(const struct map *map, struct slice name);

/* Nodes with the same failure zone have the same number: the place of the first of them. */
uint32_t map_zone_number(const struct map *map, size_t at);
bool map_node_is_alive(const struct map_node *node, uint64_t now_mono_ms);
/* How many members of a partition are alive, and the first of these (0: none). */
uint32_t map_living_members(const struct map *map, const struct conf *conf, uint64_t now_mono_ms,
                            uint32_t *first_out);
/* The store was put back to before what `old` shows: some partition's configuration is an older one. */
bool map_went_back(const struct map *old, const struct map *map);
/* Every partition has a configuration. */
bool map_is_placed(const struct map *map);

/* The picture as the message that is published, packed as a MapResponse into `out`. Partitions are all there,
 * or none while they are not all placed; `problem` (may be NULL) says why not. */
void map_pack(const struct map *map, const char *problem, struct buf *out);

#endif
