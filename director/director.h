/* SPDX-License-Identifier: Apache-2.0 */
/* The director: owns the map. One thread runs everything that decides; requests, changes of the coordination
 * store and its answers come to it as events.
 *
 * The story of a change: a request is judged against the picture (director/map.h) -> a transaction that
 * compares the rows it was judged by -> stable storage -> the change comes back as on_change and enters the
 * picture -> the answer, once the picture includes the transaction's revision -> at the end of the turn, the
 * new map's version to all subscribers. A conflict means that the picture was old: the answer is the newer
 * one. Nothing is published that is not on stable storage (R27). */
#ifndef DIRECTOR_DIRECTOR_H
#define DIRECTOR_DIRECTOR_H

#include "director/coordination/coordination.h"
#include "lib/base/err.h"
#include "lib/rpc/keys.h"

enum {
    DIRECTOR_REQUESTS_MAX = 5000, /* unanswered at once */
    DIRECTOR_TICK_MS = 200,
};

struct director;

struct director_options {
    void *zmq;
    struct rpc_keys *keys;             /* NULL: none */
    const char *listen;                /* endpoint of requests */
    struct coordination *coordination; /* the director's from now on, also after a failure */
    uint32_t partitions;               /* of a new cluster: a power of two */
    uint32_t copies;
    uint32_t min_members; /* 0: 1 for one or two copies, else 2 */
    uint32_t initial_nodes;
    uint64_t repair_after_ms;  /* a copy missing so long is made anew on another node */
    uint32_t moves_max;        /* partitions of which a copy is being made, at once */
    uint32_t moves_per_node;   /* of these at one node */
    uint64_t drain_timeout_ms; /* at stop, for requests under way */
};

/* Loads the picture, makes the cluster's row if there is none, binds, starts the thread. ERR_INVALID:
 * `partitions` is not what the cluster was made with; ERR_IO and others from the store (all logged). */
MUST_CHECK enum err director_start(const struct director_options *options, struct director **out);
/* The endpoint really bound. */
const char *director_endpoint(const struct director *d);
/* Answers what was asked, takes no more, ends the thread. */
void director_stop(struct director **d);

#endif
