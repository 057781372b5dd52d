/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the client: calls (client.c) and the peers that they go to (client_peers.c). One thread's, as the
 * client. */
#ifndef LIB_RPC_CLIENT_PRIV_H
#define LIB_RPC_CLIENT_PRIV_H

#include "lib/rpc/client.h"
#include "lib/rpc/conn.h"

enum { CLIENT_BUCKETS = 1024 /* of the table of open calls */ };

struct rpc_peer {
    struct rpc_client *client;
    struct rpc_peer *next;
    enum rpc_role role;
    struct conn *conn;              /* what is sent goes here */
    struct conn *fresh;             /* with other keys; takes over once it stands */
    uint64_t retry_mono_ms;         /* of a connection that was refused; 0: it was not */
    struct conn *retired;           /* what still comes over them is taken */
    TAILQ_HEAD(, rpc_call) waiting; /* submitted, and ZeroMQ does not take them yet */
    uint32_t waiting_count;
    uint32_t call_count;   /* that have not ended */
    uint64_t used_mono_ms; /* asked for last */
    char endpoint[RPC_ENDPOINT_MAX];
};

struct rpc_client {
    struct loop *loop;
    void *zmq;
    struct rpc_keys *keys;
    uint64_t keys_generation;
    uint32_t unsettled; /* peers with a fresh or retired connection */
    rpc_on_notice *on_notice;
    void *arg;
    struct loop_hook hook;
    struct rpc_peer *peers;
    uint32_t peer_count;
    uint32_t call_count;
    uint64_t last_id;
    struct rpc_call *calls[CLIENT_BUCKETS];
};

/* ZeroMQ has given up on *refused, the peer's connection or its fresh one: put a new one in its place, not
 * more often than every RPC_KEYS_RETRY_MS. */
void rpc_peer_try_anew(struct rpc_peer *peer, struct conn **refused);
/* Once a turn: if the keys have changed, make connections with the new ones; let those take over that stand,
 * and close those whose time is over. Cheap if nothing of that is to be done. */
void rpc_client_follow_keys(struct rpc_client *client);
/* No calls are under way. */
void rpc_client_free_peers(struct rpc_client *client);

#endif
