/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to another program: a DEALER socket on a loop. Only for lib/rpc. */
#ifndef LIB_RPC_CONN_H
#define LIB_RPC_CONN_H

#include <stdbool.h>
#include <uv.h>
#include <zmq.h>

#include "lib/fiber/loop.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/keys.h"

/* libuv keeps the handle until its loop has turned, so it lives a little longer than its socket. */
struct conn {
    struct conn *next; /* the holder's */
    void *socket;
    struct rpc_watch *watch;
    uint64_t keys;           /* rpc_keys_of_connection */
    uint64_t retire_mono_ms; /* the holder's */
    uv_poll_t poll;
};

/* Connects by and by; wakes the loop for whatever may have changed. NULL, logged: not an endpoint, or no
 * sockets are left. */
struct conn *conn_open(struct loop *loop, void *zmq, struct rpc_keys *keys, enum rpc_role role,
                       const char *endpoint);
/* No effect on NULL. */
void conn_close(struct conn *conn);

/* It stands and its queue has room. */
bool conn_can_send(struct conn *conn);

/* Give a message to ZeroMQ, whole or not at all; false: nobody is connected, or the queue is full. Frees
 * the frames. */
bool conn_send(struct conn *conn, zmq_msg_t *frames, int count);

#endif
