/* SPDX-License-Identifier: Apache-2.0 */
/* Leaving in order: before the process ends, the seats of its primaries go to other members (R22), and the
 * partitions of which it is a mere member are told to go on without it (R20), so that nobody waits for leases
 * to run out. Its copies stay; when it comes back it fetches what it missed. */
#ifndef STORAGE_NODE_LEAVE_H
#define STORAGE_NODE_LEAVE_H

#include "storage-node/control.h"

enum {
    LEAVE_POLL_MS = 5,
    LEAVE_SILENCE_MS = 2500, /* without an answer of a director: nothing is tried */
    LEAVE_ASKS_MAX = 32,     /* at once: the shorter is the wait of each primary for the answer */
    LEAVE_ASK_MS = 500,      /* until a request that nothing came of is made again */
};

struct leave_options {
    struct worker_pool *workers;
    struct control *control;
    struct map_holder *map;
    uint32_t node_id;
    uint64_t timeout_ms; /* for all of it */
};

/* Blocks until nothing is left to do, or for timeout_ms. Partitions that would be left with fewer than
 * min_members keep this node as a member: what it has acknowledged is to be found when it returns. Where
 * learners may be members in a moment, of a node that was restarted before this one, it is waited for that:
 * until then this node serves on. */
void leave_cluster(const struct leave_options *options);

#endif
