/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/conn.h"

#include <errno.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

static void on_readable(uv_poll_t *poll, int status, int events)
{
    /* Only ends the wait in the kernel: the holder looks at the end of the turn. */
    (void)poll;
    (void)status;
    (void)events;
}

struct conn *conn_open(struct loop *loop, void *zmq, struct rpc_keys *keys, enum rpc_role role,
                       const char *endpoint)
{
    int fd = -1, on = 1;
    size_t size = sizeof fd;
    struct conn *conn = NEW(struct conn);
    conn->socket = zmq_socket(zmq, ZMQ_DEALER);
    if (conn->socket == NULL) {
        log_warn("rpc", "no socket for %s: %s", endpoint, zmq_strerror(errno));
        free(conn);
        return NULL;
    }
    rpc_socket_prepare(conn->socket, RPC_SOCKET_CALLS);
    /* Nothing waits inside of ZeroMQ for a connection that is not there: it could not be taken back. The
     * price: when the other end hangs up, what came and was not read yet is lost (lib/rpc/farewell.h). */
    zmq_setsockopt(conn->socket, ZMQ_IMMEDIATE, &on, sizeof on);
    conn->keys = rpc_keys_of_connection(keys, role);
    rpc_keys_connect(keys, conn->socket, role);
    conn->watch = rpc_keys_watch(keys, conn->socket, RPC_SERVICE_COUNT, endpoint);
    if (zmq_connect(conn->socket, endpoint) != 0 || zmq_getsockopt(conn->socket, ZMQ_FD, &fd, &size) != 0) {
        log_warn("rpc", "cannot connect to %s: %s", endpoint, zmq_strerror(errno));
        zmq_close(conn->socket);
        rpc_watch_release(&conn->watch);
        free(conn);
        return NULL;
    }
    uv_poll_init(loop_uv(loop), &conn->poll, fd);
    uv_poll_start(&conn->poll, UV_READABLE, on_readable);
    return conn;
}

static void on_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    free(conn);
}

/* libuv holds the handle until its loop turns once more, and lets go of the descriptor now: before ZeroMQ
 * closes it. */
void conn_close(struct conn *conn)
{
    if (conn == NULL)
        return;
    conn->poll.data = conn;
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    zmq_close(conn->socket);
    rpc_watch_release(&conn->watch);
}

bool conn_can_send(struct conn *conn)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(conn->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLOUT);
}

/* ZeroMQ takes a message whole or not at all: only the first frame meets a full queue. Should a later one
 * fail (the connection is being torn down), ZeroMQ takes back the earlier ones and drops what comes until
 * the message ends, so the rest must be given all the same. */
bool conn_send(struct conn *conn, zmq_msg_t *frames, int count)
{
    bool sent = true;
    for (int i = 0; i < count; i++) {
        if (zmq_msg_send(&frames[i], conn->socket, ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0)) >= 0)
            continue;
        sent = false;
        if (i == 0)
            break;
    }
    for (int i = 0; i < count; i++)
        zmq_msg_close(&frames[i]);
    return sent;
}
