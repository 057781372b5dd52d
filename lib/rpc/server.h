/* SPDX-License-Identifier: Apache-2.0 */
/* Serving requests: one network thread takes requests in from a ROUTER socket; the work happens elsewhere,
 * and whoever has done it sends the answer.
 *
 *   network thread: receive -> decode header -> handler(request)  (must not block: it queues, or replies)
 *   any thread:     rpc_reply(&request, ...)                      (sends)
 *   any thread:     rpc_notify(server, peer, ...)                 (sends a notice nobody asked for)
 *
 * Sending hands bytes to ZeroMQ and never waits for a peer; two that send at once wait for each other.
 *
 * Pressure: beyond `requests_max` unanswered requests the network thread itself answers ERR_BUSY. A request
 * whose deadline has passed when it is taken off a queue need not be worked on: reply ERR_TIMEOUT. A peer
 * that went away: replies to it are dropped.
 *
 * With keys a request whose sender's role may not make it (lib/rpc/role.h) is answered ERR_DENIED here. */
#ifndef LIB_RPC_SERVER_H
#define LIB_RPC_SERVER_H

#include <zmq.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/rpc/keys.h"

enum { RPC_PEER_ID_MAX = 32 };

/* Names a connection for notices; valid for ever (sending to one that is gone has no effect). */
struct rpc_peer_id {
    uint8_t bytes[RPC_PEER_ID_MAX];
    uint8_t len;
};

struct rpc_server;

/* One request. Whoever holds it replies exactly once, from any thread; the slices are valid until then. */
struct rpc_request {
    struct rpc_server *server;
    struct rpc_peer_id peer;
    uint64_t call;
    enum rpc_role role; /* of the sender's key; RPC_ROLE_NONE: no keys are in use */
    uint32_t method;
    uint32_t partition;
    uint64_t map_version;
    uint64_t deadline_mono_ms; /* on clock_mono_ms */
    uint8_t request_id[16];    /* zero if none came */
    bool has_request_id;
    bool unreadable;      /* of another version of the wire: it never reaches a handler */
    struct slice request; /* packed request */
    struct slice body;    /* body frame, empty if none */
    zmq_msg_t request_msg, body_msg;
    void *user;               /* for the handler's queues */
    struct rpc_request *next; /* likewise */
};

/* What goes into the reply's header beside the status. Zero-initialised is fine. */
struct rpc_reply_info {
    const char *detail; /* for a person, or NULL */
    uint64_t time_ms;   /* the partition's time */
    uint64_t map_version;
    const char *primary_hint; /* with ERR_NOT_PRIMARY, or NULL */
};

typedef void rpc_handler(struct rpc_request *request,
                         void *arg); /* on the network thread; takes the request */

struct rpc_server_options {
    void *zmq;             /* ZeroMQ context */
    struct rpc_keys *keys; /* NULL: none */
    enum rpc_service service;
    const char *endpoint;  /* "tcp://127.0.0.1:0": a free port is taken */
    uint32_t requests_max; /* unanswered requests */
    rpc_handler *handler;
    void *arg;
};

/* Binds (ERR_IO with a line in the log if it cannot; ERR_DENIED: not loopback, and no keys) and starts the
 * network thread. */
MUST_CHECK enum err rpc_server_start(const struct rpc_server_options *options, struct rpc_server **out);
/* The endpoint really bound ("tcp://127.0.0.1:23711"). */
const char *rpc_server_endpoint(const struct rpc_server *server);
/* Requests not yet answered. */
uint32_t rpc_server_pending(const struct rpc_server *server);
/* Stops taking requests and ends the thread. What was taken is answered as before, and all of it must have
 * been before rpc_server_free. */
void rpc_server_stop(struct rpc_server *server);
/* Stops, and waits until its clients have read what they were sent, FAREWELL_WAIT_MS
 * (lib/rpc/farewell.h) at most; so a client whose loop turns meanwhile loses no answer. */
void rpc_server_free(struct rpc_server **server);

/* Answer and free the request. Takes over `response` (packed) and `body` (both may be NULL; both are empty
 * afterwards). Any thread. */
void rpc_reply(struct rpc_request **request, enum err status, const struct rpc_reply_info *info,
               struct buf *response, struct buf *body);
/* Send a notice. Dropped if the peer is gone or its queue is full (the receiver asks again: notices are
 * hints). Any thread. */
void rpc_notify(struct rpc_server *server, const struct rpc_peer_id *peer, uint32_t method,
                uint32_t partition, struct slice packed);

#endif
