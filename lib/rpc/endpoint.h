/* SPDX-License-Identifier: Apache-2.0 */
/* What both ends of a connection share: the ZeroMQ context, socket options, limits and frames.
 * A message is [header][request or response][body bytes]; the header is proto/rpc.proto. */
#ifndef LIB_RPC_ENDPOINT_H
#define LIB_RPC_ENDPOINT_H

#include <zmq.h>

#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum {
    RPC_VERSION = 1,
    RPC_FRAME_MAX = 4 * 1024 * 1024, /* bytes of one frame; ZeroMQ ends a connection that sends more */
    RPC_HWM = 10000,                 /* messages queued for one peer; beyond it EAGAIN, which is pressure */
    RPC_ENDPOINT_MAX = 256,          /* bytes of an endpoint's text */
    RPC_SOCKETS_MAX = 32768,         /* of a context: three for each peer of each loop, with its watch */
};

/* A ZeroMQ context with room for RPC_SOCKETS_MAX sockets. NULL: no memory, no descriptors. */
void *rpc_context_new(void);

/* ERR_INVALID unless `endpoint` is "tcp://host:port" (host may be "*" or an address in [ ]) or "ipc://path".
 * Without CURVE keys only loopback and ipc may be bound: ERR_DENIED. */
MUST_CHECK enum err rpc_endpoint_check_bind(const char *endpoint, bool have_keys);

/* What the socket was bound to last, with the port it got. */
void rpc_endpoint_bound(void *socket, char out[static RPC_ENDPOINT_MAX]);

enum rpc_socket_kind {
    RPC_SOCKET_BOUND,
    RPC_SOCKET_CALLS, /* connects; what comes back is read soon */
    RPC_SOCKET_SENDS, /* connects to one that may leave unread for long what it was sent, and sends nothing */
};

/* Options every socket gets: bounded queues, largest frame, IPv6, no linger; it hangs up after 4 s in which
 * the other end's machine did not answer, or, if it calls, its process. */
void rpc_socket_prepare(void *socket, enum rpc_socket_kind kind);

/* Whether something can be received. Takes in all news the socket has, so that ZMQ_FD tells of the next. */
bool rpc_socket_has_input(void *socket);

#endif
