/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster that does at once whatever is asked of it: plans of moves are carried out, and looked at on the
 * way. */
#ifndef TESTS_UNIT_DIRECTOR_MOVES_FIXTURE_H
#define TESTS_UNIT_DIRECTOR_MOVES_FIXTURE_H

#include <stdbool.h>

#include "director/moves.h"

enum { PARTITIONS = 64, NODES_MAX = 12, ROUNDS_MAX = 400 };

#define GIB (UINT64_C(1) << 30)

struct world {
    struct moves_node nodes[NODES_MAX];
    size_t node_count;
    struct conf confs[PARTITIONS];
    uint64_t bytes[PARTITIONS];
    bool ready[PARTITIONS], due[PARTITIONS];
    uint32_t partition_count;
    unsigned copies;
    bool quiet;
    unsigned moves_max, moves_per_node;
    struct moves_plan plan;
    size_t copied, handovers, evictions, rounds; /* counted by world_run() */
    size_t learners_most;                        /* partitions with a learner at once */
    uint64_t disk;                               /* of each node, in bytes; 0: boundless */
    uint64_t reserve;
};

/* `copies` of PARTITIONS partitions, dealt out evenly; every node in a zone of its own. Ends the test if
 * memory is out. */
struct world *world_new(size_t nodes, unsigned copies);
void world_free(struct world *w);
/* What is to be done now: w->plan. */
void world_plan(struct world *w);
/* A change of a configuration that must be allowed. */
void world_change(struct world *w, uint32_t partition, Tern__ConfChange what, uint32_t asker, uint32_t node);
/* NULL: there is none of this id. */
const struct moves_node *world_node(const struct world *w, uint32_t id);
/* Do it; ends the test if it makes anything less safe, or is of another configuration. */
void world_carry_out(struct world *w, const struct moves_step *step);
/* Learners become members if both ends are there; each of them with one chance in `slowness`. */
void world_catch_up(struct world *w, unsigned slowness);
/* Until nothing is to be done, ROUNDS_MAX rounds at the most. Each step may be done or be late, with one
 * chance in `slowness`; no step may be one that makes anything less safe. */
void world_run(struct world *w, unsigned slowness);
/* Copies, learners too; primaries; bytes of members. */
size_t world_copies_on(const struct world *w, uint32_t node);
size_t world_primaries_on(const struct world *w, uint32_t node);
uint64_t world_bytes_on(const struct world *w, uint32_t node);
/* In a zone of its own. */
void world_add_node(struct world *w);
/* Copies and primaries are as even over `nodes` nodes as they can be, and none is missing. */
void world_expect_even(const struct world *w, size_t nodes);

#endif
