/* SPDX-License-Identifier: Apache-2.0 */
/* The control thread: everything between this node and the directors. It says hello to each of them every
 * second, and uses one of them until it fails: fetches the map when there is a newer one, hands its
 * configurations to the partitions, and carries what replicas ask (R20-R22). While no director answers the
 * node goes on with what it has; a request that failed is asked again by the replica itself. */
#ifndef STORAGE_NODE_CONTROL_H
#define STORAGE_NODE_CONTROL_H

#include "lib/base/config.h"
#include "lib/rpc/keys.h"
#include "storage-node/hello.h"
#include "storage-node/partition/log/rows.h"
#include "storage-node/partition/worker/worker.h"
#include "storage-node/peer/codec.h"
#include "storage-node/rpc/map_holder.h"

enum {
    CONTROL_CALL_MS = 2000,  /* one call to a director */
    CONTROL_ASKS_MAX = 4096, /* requests of replicas under way; beyond they are dropped (and asked again) */
};

struct control;

struct control_options {
    void *zmq;
    struct rpc_keys *keys; /* NULL: none */
    const struct config_strings *directors;
    struct map_holder *map;
    const struct store_identity *identity; /* changed only by what is called on the control thread */
    bool placed;                           /* the disk has had partitions (store_has_records) */
    /* What hello says. */
    const char *name, *zone, *endpoint, *peer_endpoint, *beat_endpoint;
    const char *data; /* whose disk hello tells about */
    struct peer_speech speech;
    struct hello *hello; /* what it tells of partitions */
    /* On the control thread, before any configuration: the director's number for this store. Returns the
     * workers that take configurations. */
    struct worker_pool *(*on_identity)(void *arg, uint32_t node_id);
    /* On the control thread, before a new map counts. False: it is another cluster's, and is passed over. */
    bool (*on_map)(void *arg, const Tern__Map *map);
    /* On the control thread: partitions that the map makes this node primary of and that it does not serve.
     */
    uint32_t (*not_active)(void *arg, const Tern__Map *map);
    /* On the control thread, every hello: free bytes of the disk. Returns whether that is too little;
     * *reserve_out: how many should be. */
    bool (*on_disk)(void *arg, uint64_t free_bytes, uint64_t *reserve_out);
    /* On the control thread, every answer to a hello: nodes of which that is true. Of the last answer it
     * stays true while no director answers. */
    void (*on_full_nodes)(void *arg, const uint32_t *nodes, size_t count);
    void *arg;
};

/* Everything in `options` is borrowed for the control's life. */
MUST_CHECK enum err control_start(const struct control_options *options, struct control **out);
/* Ends the thread; requests of replicas that still come are dropped. No effect on NULL. */
void control_stop(struct control *control);
/* After control_stop and after the workers have ended. */
void control_free(struct control **control);
/* Any thread: for worker_pool_options.ask, arg is the control. */
void control_ask(void *control, const struct partition_ask *ask);
/* Any thread. Tell the directors at once that this node is being stopped, and take back no copy that others
 * count without from now on. */
void control_leave(struct control *control);
/* The director refuses this node for ever: it was removed, or belongs to another cluster. Any thread. */
bool control_is_refused(const struct control *control);
/* Milliseconds since a director last answered; UINT64_MAX: never. Any thread. */
uint64_t control_silence_ms(const struct control *control);

#endif
