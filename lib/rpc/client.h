/* SPDX-License-Identifier: Apache-2.0 */
/* Calling other programs from fibers: one DEALER socket a peer, all in the loop's thread. No retry and no
 * routing here: a call has one answer or one error, and says whether the peer may have seen it. */
#ifndef LIB_RPC_CLIENT_H
#define LIB_RPC_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <sys/queue.h>
#include <zmq.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/fiber/loop.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/keys.h"

struct rpc_client;
struct rpc_peer;
struct fiber;

/* A notice from a peer (call 0). Runs on the loop, outside fibers: must not yield. */
typedef void rpc_on_notice(uint32_t method, uint32_t partition, struct slice packed, void *arg);

/* `zmq` is the process's context, `keys` its keys (NULL: none); the client belongs to the loop's thread. When
 * keys change, a connection with the new ones is made beside the old; it takes over once it stands, and the
 * old one is kept for RPC_RETIRE_MS for what still comes over it. */
struct rpc_client *rpc_client_new(struct loop *loop, void *zmq, struct rpc_keys *keys,
                                  rpc_on_notice *on_notice, void *arg);
/* Every call has ended before. */
void rpc_client_free(struct rpc_client **client);
/* Calls that have not ended. */
size_t rpc_client_calls(const struct rpc_client *client);

/* The peer at an endpoint, connected lazily; `role` is what it must prove to be, if keys are in use. Valid
 * while it has calls under way, and otherwise until the caller yields: the connection is kept, but for one
 * that nobody has asked for in RPC_PEER_IDLE_MS. Bounded by RPC_PEERS_MAX: NULL beyond. */
struct rpc_peer *rpc_client_peer(struct rpc_client *client, const char *endpoint, enum rpc_role role);
/* Peers that are kept. */
size_t rpc_client_peers(const struct rpc_client *client);
const char *rpc_peer_endpoint(const struct rpc_peer *peer);

enum {
    RPC_PEERS_MAX = 1024,
    RPC_PEER_IDLE_MS = 10 * 60 * 1000, /* longer than what asks for notices goes without asking again */
    RPC_CALLS_MAX = 20000,
    RPC_CALL_FRAMES = 2,  /* request and body */
    RPC_DETAIL_MAX = 512, /* bytes of a detail with its end; longer ones are cut */
    RPC_RETIRE_MS =
        60 * 1000, /* longer than a watch goes without renewal (WATCH_RENEW_MS): no notice is missed */
};

/* One call. Fill the first part, leave the rest zero; rpc_call_fini in every case. */
struct rpc_call {
    uint32_t method;
    uint32_t partition;
    uint64_t map_version;
    uint32_t deadline_ms;            /* from now */
    const uint8_t *request_id;       /* 16 bytes, or NULL */
    const ProtobufCMessage *request; /* borrowed until rpc_submit returns */
    struct slice body;               /* copied by rpc_submit; empty: no body frame */

    enum err status;       /* the peer's answer; meaningful if rpc_wait returned OK */
    struct slice response; /* packed response */
    struct slice response_body;
    uint64_t time_ms, peer_map_version;
    char primary_hint[RPC_ENDPOINT_MAX];
    char detail[RPC_DETAIL_MAX];

    /* private */
    zmq_msg_t frames[RPC_CALL_FRAMES]; /* while it waits to be sent */
    int frame_count;
    uint8_t id_bytes[16];
    bool has_id, waiting;
    TAILQ_ENTRY(rpc_call) wait_entry;
    struct rpc_peer *peer;
    zmq_msg_t response_msg, body_msg;
    bool have_response, have_body, done, submitted, abandoned;
    uint64_t id;
    uint64_t deadline_mono_ms;
    struct fiber *waiter;
    struct rpc_client *client;
    struct rpc_call *hash_next;
};

/* Send, or let it wait until the peer is connected: it goes out then if nobody has given it up by that time.
 * ERR_BUSY: RPC_HWM calls wait for the peer or RPC_CALLS_MAX are open; nothing was sent. Does not yield. */
MUST_CHECK enum err rpc_submit(struct rpc_peer *peer, struct rpc_call *call);
/* Wait for the answer. OK: see call->status. ERR_TIMEOUT: no answer within the deadline, the peer may have
 * acted. Yields. */
MUST_CHECK enum err rpc_wait(struct rpc_call *call);
/* Make rpc_wait, now or when it comes, return ERR_TIMEOUT if there is no answer yet: nobody expects one any
 * more. Does not yield. */
void rpc_call_abandon(struct rpc_call *call);
/* Both. Yields. */
MUST_CHECK enum err rpc_call(struct rpc_peer *peer, struct rpc_call *call);
/* Give up if not answered, free what the answer holds. The struct may be used again after being zeroed. */
void rpc_call_fini(struct rpc_call *call);

#endif
