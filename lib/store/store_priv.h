/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/store: the map, and calls that find their way. */
#ifndef LIB_STORE_STORE_PRIV_H
#define LIB_STORE_STORE_PRIV_H

#include <protobuf-c/protobuf-c.h>
#include <sys/queue.h>

#include "lib/fiber/cond.h"
#include "lib/fiber/timer.h"
#include "lib/rpc/client.h"
#include "lib/store/convert_priv.h"
#include "lib/store/store.h"
#include "proto/cluster.pb-c.h"
#include "proto/methods.h"

struct watches;
struct call;

struct store {
    struct loop *loop;
    struct rpc_client *rpc;
    char *directors[STORE_DIRECTORS_MAX];
    size_t director_count;
    char *nodes[STORE_NODES_MAX];
    size_t node_count;
    size_t director_at; /* the one that answered last */

    Tern__Map *map; /* NULL: none yet */
    struct cond map_changed;
    struct cond map_wanted;
    uint64_t map_wanted_version; /* a newer map than ours was heard of, or somebody found ours wrong */
    bool map_stale;
    bool stopping;
    bool map_fiber_alive;

    LIST_HEAD(, call) calls; /* sent and not answered */
    uint64_t kept_bytes;     /* of uploads, see STORE_KEPT_MAX */
    uint64_t time_seen_ms;   /* newest partition time any node has told us */
    uint64_t older_told_ms;  /* when the log was last told of a node with an older program; 0: never */
    struct watches *watches;
    unsigned background; /* fibers that nobody waits for but store_free */
};

/* ---- the map (map.c) */
void map_start(struct store *store);
void map_stop(struct store *store);
/* Somebody was told that our map is wrong, or heard of a version: fetch it soon. Does not yield. */
void map_want(struct store *store, uint64_t version);
/* Wait until the map changes. ERR_TIMEOUT. Yields. */
MUST_CHECK enum err map_wait_change(struct store *store, uint64_t deadline_ms);
/* The endpoint of a partition's primary, copied to `out`. ERR_UNAVAILABLE: no map, no such partition or no
 * primary. */
MUST_CHECK enum err map_primary(const struct store *store, uint32_t partition,
                                char out[static RPC_ENDPOINT_MAX]);

/* ---- calls (call.c) */
struct call {
    /* filled by the caller */
    uint32_t method;
    uint32_t partition;
    const ProtobufCMessage *request; /* valid until call_end */
    struct slice body;               /* valid until call_end */
    uint32_t timeout_ms;             /* how long to go on trying; 0: STORE_DEADLINE_MS */
    bool ahead; /* a read that nobody waits for before call_end: that time begins there */

    /* private */
    struct store *store;
    struct rpc_call rpc;
    uint64_t deadline_ms;
    uint8_t request_id[REQUEST_ID_SIZE];
    char endpoint[RPC_ENDPOINT_MAX]; /* of the try under way */
    LIST_ENTRY(call) entry;          /* in store->calls while `listed` */
    unsigned hints_followed, expired_count, pauses;
    bool listed;
    bool is_write;
    bool maybe_done; /* a try ended without an answer: it may have happened */
    bool begun;
    enum err begin_err;
};

/* Send the first try. Several calls begun before the first call_end run in parallel. Does not yield. */
void call_begin(struct store *store, struct call *call);
/* Wait for the answer and repeat where that is right. OK: see call_response; otherwise the final error.
 * Yields. */
MUST_CHECK enum err call_end(struct call *call);
/* begin, end. Yields. */
MUST_CHECK enum err call_run(struct store *store, struct call *call);
/* Unpack the answer; ERR_PROTOCOL if it does not decode. The caller frees it with free_unpacked. */
MUST_CHECK enum err call_response(const struct call *call, const ProtobufCMessageDescriptor *descriptor,
                                  void *response_out);
struct slice call_body(const struct call *call);
void call_fini(struct call *call);
/* A new map: give up waiting for primaries that it does not name any more. */
void calls_on_map(struct store *store);

/* call_run, unpack into *response_out (a Tern__X **, freed by the caller), call_fini. Yields. */
MUST_CHECK enum err call_simple(struct store *store, uint32_t method, uint32_t partition,
                                const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                                void *response_out);
/* The same, trying for `timeout_ms` (0: STORE_DEADLINE_MS). Yields. */
MUST_CHECK enum err call_within(struct store *store, uint32_t timeout_ms, uint32_t method, uint32_t partition,
                                const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                                void *response_out);

/* ---- directors (cluster.c) */
struct cluster_partition;
/* Ask the first director that can decide. A director without an answer may yet have acted: ERR_IN_DOUBT with
 * `is_write`. *response_out is unpacked if the answer is OK; what the director said beside its status
 * replaces `detail` (may be NULL). ERR_UNAVAILABLE and what the method says. Yields. */
MUST_CHECK enum err director_ask(struct store *store, uint32_t method, bool is_write,
                                 const ProtobufCMessage *request,
                                 const ProtobufCMessageDescriptor *descriptor,
                                 ProtobufCMessage **response_out, struct buf *detail);
/* The same for a change of which only the status matters. Yields. */
MUST_CHECK enum err director_change(struct store *store, uint32_t method, const ProtobufCMessage *request,
                                    const ProtobufCMessageDescriptor *descriptor, struct buf *detail);
void cluster_read_partition(const Tern__PartitionConf *conf, struct arena *arena,
                            struct cluster_partition *out);

/* ---- watches (watch.c) */
void watches_start(struct store *store);
void watches_stop(struct store *store);
void watches_on_notice(struct store *store, struct slice packed);
void watches_on_map(struct store *store);

#endif
