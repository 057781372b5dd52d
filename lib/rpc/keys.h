/* SPDX-License-Identifier: Apache-2.0 */
/* A process's CURVE keys, and the thread that guards its connections: it answers ZeroMQ whether a key may
 * connect (ZAP, RFC 27), and tells of connections that came to nothing, which ZeroMQ itself keeps quiet
 * about. One a ZeroMQ context.
 *
 * A connection's story: the client proves that it has the secret of its key, and the server that it has the
 * secret of the key that the client expects (CURVE, RFC 26); then ZeroMQ asks here, with the client's key and
 * the socket's service. A key of the allow-list whose role may connect there gets in, and its messages carry
 * the role
 * ("User-Id"). Everybody else is cut off, counted in tern_connections_refused_total and, at a bounded rate,
 * logged with the address.
 *
 * Without keys (`folder` empty) connections are plain, and the thread only tells of failed handshakes. */
#ifndef LIB_RPC_KEYS_H
#define LIB_RPC_KEYS_H

#include <stdbool.h>
#include <stdint.h>
#include <zmq.h>

#include "lib/base/err.h"
#include "lib/rpc/keyfile.h"

enum {
    RPC_KEYS_LOG_MS = 5000,   /* of one kind of refusal at one socket, one line in so long */
    RPC_KEYS_RETRY_MS = 1000, /* after which a connection that was refused is tried anew */
};

struct rpc_keys;

/* Reads the keys of `role` in `folder` ("" or NULL: none) and starts the thread. ERR_NOT_FOUND, ERR_INVALID,
 * ERR_IO; all logged. `zmq` outlives it. Binds nothing but "inproc://zeromq.zap.01". */
MUST_CHECK enum err rpc_keys_open(void *zmq, const char *folder, enum rpc_role role, struct rpc_keys **out);
/* After all sockets that use it are closed: without it ZeroMQ would let in whoever has any key. No effect on
 * NULL. */
void rpc_keys_close(struct rpc_keys **keys);

/* Read the files again; what cannot be read is logged and the old keys stay. Sockets follow within a second
 * or so. A process without keys stays without. Any thread; no effect on NULL. */
void rpc_keys_reload(struct rpc_keys *keys);
/* Goes up with each reload that changed something. 0 for NULL. Any thread. */
uint64_t rpc_keys_generation(const struct rpc_keys *keys);
/* False for NULL. */
bool rpc_keys_present(const struct rpc_keys *keys);
/* A copy of our own. Any thread. */
void rpc_keys_own(struct rpc_keys *keys, struct role_keys *out);

/* ---- sockets, each on the thread that owns the socket */

/* Before zmq_bind: serve with this key of ours (not called without keys). */
void rpc_keys_serve(void *socket, enum rpc_service service, const struct key_pair *own);
/* Before zmq_connect, to a program of role `server`. No effect without keys. */
void rpc_keys_connect(struct rpc_keys *keys, void *socket, enum rpc_role server);
/* Stands for the keys that rpc_keys_connect sets now: another number, other keys. 0 without keys. */
uint64_t rpc_keys_of_connection(struct rpc_keys *keys, enum rpc_role server);

/* The role of whoever sent a message. RPC_ROLE_NONE: it came without a key, which with keys never happens. */
enum rpc_role rpc_keys_sender(zmq_msg_t *msg);

/* A request was refused because its sender's role may not make it: count, and log at a bounded rate. */
void rpc_keys_denied(struct rpc_keys *keys, enum rpc_service service, enum rpc_role role, const char *what);

/* ---- what became of connections */

struct rpc_watch;
/* Tell of handshakes of this socket that fail: bound for `service`, or with RPC_SERVICE_COUNT connected to
 * `name`. Before bind or connect. NULL for NULL. Ends by itself when the socket is closed; the answer is
 * released by the caller. */
struct rpc_watch *rpc_keys_watch(struct rpc_keys *keys, void *socket, enum rpc_service service,
                                 const char *name);
/* Has a handshake succeeded? True for NULL. Any thread. */
bool rpc_watch_succeeded(const struct rpc_watch *watch);
/* Was it refused in a way after which ZeroMQ may not try again by itself (one end has keys and the other
 * none)? The socket is of no use any more. False for NULL. Any thread. */
bool rpc_watch_refused(const struct rpc_watch *watch);
void rpc_watch_release(struct rpc_watch **watch);

#endif
