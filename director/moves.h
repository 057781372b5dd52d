/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be changed so that every copy comes to lie where it should: a pure function of what is there.
 * Nothing is remembered of a move: from the configurations alone it can be told how far each one is, so a
 * director that takes over goes on where the last one was.
 *
 * A copy moves from A to B in four changes of the partition's configuration, each one compare-and-swap:
 *   B becomes a learner (the director, R23) -> B becomes a member when it has caught up (the primary by
 * itself, R21) -> if A is the primary, the seat goes to another member (the primary, wished for, R22) -> A is
 * evicted (the primary, wished for, R20). There are never fewer members than before, and no member goes while
 * more than `copies` are not there. */
#ifndef DIRECTOR_MOVES_H
#define DIRECTOR_MOVES_H

#include "director/conf.h"

/* A node as the plan sees it. */
struct moves_node {
    uint32_t id;
    uint32_t zone; /* nodes with the same number share what may fail together */
    bool alive;    /* heard of lately and not being stopped: it may be given something */
    bool draining; /* wants to be empty */
    bool gone;     /* silent for so long that its copies are made anew elsewhere */
    bool full;     /* its disk is short of room: no more copies and no seats are put there */
    uint64_t room; /* bytes of copies that it takes; 0: not known, or it is full. 1: its program is older than
                      what others have (R30) */
    uint64_t lack; /* bytes that its disk lacks: it gives copies away; 0: none, or it is not known */
};

struct moves_input {
    const struct moves_node *nodes; /* ascending ids */
    size_t node_count;
    const struct conf *confs; /* by partition */
    size_t partition_count;
    const uint64_t *bytes; /* by partition, what one copy takes; 0 unknown */
    const bool *ready;     /* by partition: its configuration may be changed (conf(1): it serves, R26) */
    const bool *due;       /* by partition: if a copy is missing, it will not come back by itself */
    unsigned copies;
    unsigned moves_max;      /* partitions with a learner at once, above which no more are begun */
    unsigned moves_per_node; /* of these at one node, sending or receiving */
    bool quiet;              /* all is well, so copies and primaries may move for evenness' sake */
};

enum moves_step_kind {
    MOVES_ADD_LEARNER,  /* by the director */
    MOVES_DROP_LEARNER, /* by the director */
    MOVES_HANDOVER,     /* wished of the primary: the seat to `node` */
    MOVES_EVICT,        /* wished of the primary: the member `node` */
};

/* One change to make now; void once the partition's epoch is another. */
struct moves_step {
    enum moves_step_kind kind;
    uint32_t partition;
    uint32_t node;
    uint32_t primary; /* whose wish it is */
    uint64_t epoch;
};

enum moves_state {
    MOVES_WAITS,      /* for room, for a node, or for quiet */
    MOVES_COPIES,     /* `to` is a learner */
    MOVES_HANDS_OVER, /* `from` is still the primary */
    MOVES_LEAVES,     /* `from` is about to be evicted */
};

struct move {
    uint32_t partition;
    uint32_t from; /* 0: a copy that is missing */
    uint32_t to;   /* 0: a copy too many */
    enum moves_state state;
};

/* Zero-initialised is empty. */
struct moves_plan {
    struct move *moves; /* under way and to come, by partition */
    size_t move_count, move_cap;
    struct moves_step *steps;
    size_t step_count, step_cap;
    size_t waiting; /* copies that no node is there for */
};

enum {
    MOVES_HANDOVERS_MAX = 8, /* wished for at once */
};

/* Replaces what is in `out`. */
void moves_make(const struct moves_input *input, struct moves_plan *out);
void moves_plan_fini(struct moves_plan *plan);
/* "waits", "copies", "hands over", "leaves". */
const char *moves_state_text(enum moves_state state);

#endif
