/* SPDX-License-Identifier: Apache-2.0 */
/* The store and the directors, for director.c (requests on their way) and placing.c (what directors do by
 * themselves, and what is done to them). */
#ifndef TESTS_SIM_CLUSTER_DIRECTOR_PRIV_H
#define TESTS_SIM_CLUSTER_DIRECTOR_PRIV_H

#include "tests/sim/cluster/node.h"

struct director {
    bool up;
    uint64_t boot, next_at, up_at;
    struct conf seen[PARTITIONS_MAX + 1];
};

struct history {
    struct conf *list;
    size_t count, cap;
};

struct directors {
    struct director list[DIRECTORS];
    struct conf store[PARTITIONS_MAX + 1];
    struct history history[PARTITIONS_MAX + 1]; /* every configuration there was */
    uint64_t store_down_until, restored_until;  /* restored: an operator looks; nothing may be changed */
    bool restored;
    uint64_t generation; /* of the store: what is under way ends with a restore */
    uint64_t stores[IDS_MAX + 1];
    uint32_t ids;
    int wanted[PARTITIONS_MAX + 1]; /* copies; one more while a move is under way */
    size_t asked[IDS_MAX + 1];
};

/* A configuration that the store has now. */
void directors_remember(struct cluster *c, const struct conf *conf);
/* A change of a director's own, or one that it wished of `asker`. */
void directors_change(struct cluster *c, int director, int partition, Tern__ConfChange change, uint32_t asker,
                      uint32_t subject);
/* Tell nodes what is new in its picture. */
void directors_push(struct cluster *c, int director);

#endif
