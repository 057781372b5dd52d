/* SPDX-License-Identifier: Apache-2.0 */
/* What the steps of a placement share (placement.c). */
#ifndef DIRECTOR_PLACEMENT_PRIV_H
#define DIRECTOR_PLACEMENT_PRIV_H

#include "director/placement.h"

enum { NONE = -1 }; /* instead of a node's index */

struct solver {
    const struct placement_node *nodes;
    size_t node_count;
    unsigned copies;
    struct placement_slot *slots;
    size_t slot_count;
    size_t *load;      /* copies, by node index */
    uint64_t *bytes;   /* of these, by node index */
    size_t *primaries; /* by node index */
    uint64_t *taken;   /* bytes of copies that are not there yet, by node index */
    bool unsettled;    /* some copy is on its way, or is to go or to come */
};

/* The place of a node in `nodes`; NONE: it is not there. */
int placement_index(const struct solver *s, uint32_t id);

static inline bool is_full(const struct solver *s, int node)
{
    return s->nodes[node].full;
}

/* Give seats to others of their slots' nodes so that nodes have about as many, and full ones none
 * (placement_primaries.c). Each slot holds at least one node, all of `nodes`. */
void placement_even_primaries(struct solver *s);

#endif
