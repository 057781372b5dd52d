/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the control thread. Everything here runs on that thread, in its fibers, if nothing else is
 * said. */
#ifndef STORAGE_NODE_CONTROL_PRIV_H
#define STORAGE_NODE_CONTROL_PRIV_H

#include <pthread.h>

#include "lib/fiber/cond.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "storage-node/control.h"

enum { CONTROL_TELL_EVERY_MS = 10 * 1000 };

/* Of something that may be so of hundreds of partitions in the same moment. */
struct control_telling {
    uint64_t told_ms; /* on the monotonic clock; 0: never */
    uint32_t untold;  /* how often it was so since */
};

struct control {
    struct control_options options;
    struct loop *loop;
    pthread_t thread;
    struct rpc_client *client;
    size_t director; /* the one in use */
    bool stopping;
    struct cond ended; /* stopping was set, or the fibers of directors have something to do */
    uint32_t fibers;   /* alive; the loop stops when none is left */
    struct cond poke;  /* the hello fiber has something to do */
    struct cond map_wanted;
    bool map_stale;
    struct control_telling silences, refusals;
    struct store_identity identity;
    struct worker_pool *workers; /* NULL until the director has named us */
    uint64_t pushed_epoch[PARTITION_COUNT_MAX];
    uint8_t pushed_min_members;
    bool pushed_whole;   /* a map with all partitions */
    _Atomic bool closed; /* nobody will run what is posted */
    _Atomic bool leaving, refused;
    bool hello_now;
    _Atomic uint32_t asks;
    _Atomic uint64_t answered_mono_ms; /* 0: never */
};

/* control.c */

/* Calls the director in use; another one is used from then on if it does not answer or cannot act. The caller
 * does rpc_call_fini in every case. Yields. */
MUST_CHECK enum err control_call(struct control *c, struct rpc_call *call);
/* The same to the director at that place in the list, whatever comes of it. Yields. */
MUST_CHECK enum err control_call_at(struct control *c, size_t director, struct rpc_call *call);
/* It was so once more: is it to be logged now? Then `untold` tells how often; the caller clears it. */
bool control_may_tell(struct control_telling *telling);
/* The last word of every fiber. */
void control_fiber_done(struct control *c);
/* The map is fetched anew, as soon as this node has an id. */
void control_want_map(struct control *c);
/* This node is refused for ever: told once, and by /readyz. */
void control_refuse(struct control *c, const char *why);

/* control_confs.c: the map's configurations, as replicas see them */

/* False if the map does not know one of the nodes yet, or the numbers make no sense. */
bool control_conf_of(const Tern__Map *map, const Tern__PartitionConf *from, struct replica_conf *out);
/* The map's min_members, within what a configuration can have. */
uint8_t control_min_members(const Tern__Map *map);
/* While this node is being stopped: does the configuration go on without it? Then it is not passed on. */
bool control_lets_us_go(const struct control *c, const Tern__PartitionConf *conf);
/* Hands what is new in the map to the workers. */
void control_push_confs(struct control *c);

/* control_hello.c */

/* Says hello to the director in use and does what the answer says; *next_ms_out: when to do it again. Yields.
 */
MUST_CHECK enum err control_say_hello(struct control *c, uint64_t *next_ms_out);
/* A fiber for each director that says hello to it while another one is in use. */
MUST_CHECK enum err control_spawn_side_hellos(struct control *c);

#endif
