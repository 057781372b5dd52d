/* SPDX-License-Identifier: Apache-2.0 */
/* Which node holds which copy. Pure and deterministic: the same input gives the same answer on every
 * director. */
#ifndef DIRECTOR_PLACEMENT_H
#define DIRECTOR_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PLACEMENT_COPIES_MAX = 7,
    PLACEMENT_SLOT_MAX = 16, /* copies a slot may hold before it is solved */
    PLACEMENT_NODES_MAX = 1000,
    PLACEMENT_BYTES_GAP_PERCENT = 25, /* of the mean: nodes whose bytes differ by less are even enough */
};

/* Nodes whose bytes differ by less are even enough, too. */
#define PLACEMENT_BYTES_GAP_MIN (UINT64_C(1) << 30)

struct placement_node {
    uint32_t id;
    uint32_t zone; /* nodes with the same number share what may fail together */
    uint64_t room; /* bytes of copies that its disk takes beside what it has; 0: not known */
    uint64_t lack; /* bytes that its disk should have free and has not, if it is full and gives away */
    bool full;     /* it is given nothing */
};

/* One partition's wish. nodes[0] is the primary. */
struct placement_slot {
    uint32_t nodes[PLACEMENT_SLOT_MAX];
    uint8_t count;
    uint32_t newest; /* the copy that is on its way, or has just come so that another one goes; 0 none */
    uint64_t bytes;  /* of one copy; 0 unknown */
};

/* Make every slot hold min(copies, node_count) distinct nodes of `nodes` (node_count from 1 to
 * PLACEMENT_NODES_MAX, ascending ids), starting from what it holds now:
 * - nodes not in the list go; so do copies too many;
 * - the copies of a slot lie in as many zones as can be;
 * - nodes' copies are as even as the zones allow, and primaries as even as the copies allow;
 * - bytes are about even, by the choice of the copies that move; where that is far from enough and nothing
 * else is to be moved, one copy moves for it, or two are exchanged: the next ones come when these are done;
 * - nodes that are full, or have no room for it, are given no copy where others are left, and no primary;
 * where nothing else is to be moved, a copy goes from one that lacks bytes to one that has room, though
 * copies are less even then;
 * - whatever need not move stays, and a primary that need not change stays: the solution of a solution is the
 *   same;
 * - where a slot's newest copy is on one of `nodes` it stays, and nothing else of the slot moves but what has
 * to go: a move that was begun is brought to its end before the next one, so what one solution began no later
 * one takes back for evenness' or zones' sake. */
void placement_solve(const struct placement_node *nodes, size_t node_count, unsigned copies,
                     struct placement_slot *slots, size_t slot_count);

#endif
