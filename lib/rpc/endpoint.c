/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/endpoint.h"

#include <string.h>

enum {
    SILENCE_MS = 4000, /* until the other end counts as gone */
    HEARTBEAT_IVL_MS = 1000,
    /* Together SILENCE_MS. Heartbeats come more often than the first, so none is sent while they do. */
    KEEPALIVE_IDLE_S = 2,
    KEEPALIVE_IVL_S = 1,
    KEEPALIVE_COUNT = 2,
    HANDSHAKE_IVL_MS = 5000,
    RECONNECT_IVL_MS = 50,
    RECONNECT_IVL_MAX_MS = 1000,
    CONNECT_TIMEOUT_MS = 3000,
};

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 ||
           strncmp(host, "localhost:", 10) == 0;
}

enum err rpc_endpoint_check_bind(const char *endpoint, bool have_keys)
{
    if (strlen(endpoint) >= RPC_ENDPOINT_MAX)
        return ERR_INVALID;
    if (strncmp(endpoint, "ipc://", 6) == 0)
        return endpoint[6] == '\0' ? ERR_INVALID : OK;
    if (strncmp(endpoint, "tcp://", 6) != 0 || strrchr(endpoint + 6, ':') == NULL)
        return ERR_INVALID;
    return have_keys || is_loopback(endpoint + 6) ? OK : ERR_DENIED;
}

void *rpc_context_new(void)
{
    void *zmq = zmq_ctx_new();
    if (zmq != NULL && zmq_ctx_set(zmq, ZMQ_MAX_SOCKETS, RPC_SOCKETS_MAX) != 0) {
        zmq_ctx_term(zmq);
        zmq = NULL;
    }
    return zmq;
}

static void set_int(void *socket, int option, int value)
{
    /* These options exist in every libzmq that we build with; a failure would be a wrong constant. */
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    (void)rc;
}

/* The kernels ask each other, and wait no longer for what they sent to be taken. */
static void set_silence(void *socket)
{
    set_int(socket, ZMQ_TCP_KEEPALIVE, 1);
    set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S);
    set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_IVL_S);
    set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_COUNT);
    set_int(socket, ZMQ_TCP_MAXRT, SILENCE_MS);
}

/* These tell a caller, too, that a process stands still whose kernel goes on. Nobody else may send any:
 * ZeroMQ 4.3.4 ends the whole process where what has arrived is not read, the other end is gone, and then a
 * heartbeat falls due, or the other end's is among what is read at last. */
static void set_heartbeats(void *socket, enum rpc_socket_kind kind)
{
    set_int(socket, ZMQ_HEARTBEAT_IVL, kind == RPC_SOCKET_CALLS ? HEARTBEAT_IVL_MS : 0);
    set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, SILENCE_MS);
    set_int(socket, ZMQ_HEARTBEAT_TTL, SILENCE_MS);
}

void rpc_socket_prepare(void *socket, enum rpc_socket_kind kind)
{
    int64_t frame_max = RPC_FRAME_MAX;
    zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max);
    set_int(socket, ZMQ_SNDHWM, RPC_HWM);
    set_int(socket, ZMQ_RCVHWM, RPC_HWM);
    set_int(socket, ZMQ_LINGER, 0);
    set_int(socket, ZMQ_IPV6, 1);
    set_silence(socket);
    set_heartbeats(socket, kind);
    set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_IVL_MS);
    set_int(socket, ZMQ_RECONNECT_IVL, RECONNECT_IVL_MS);
    set_int(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_IVL_MAX_MS);
    set_int(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS);
}

bool rpc_socket_has_input(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* With IPv6 on, ZeroMQ names IPv4 addresses "[::ffff:127.0.0.1]"; others want to read and bind them. */
static void plain_ipv4(char *endpoint)
{
    static const char mapped[] = "tcp://[::ffff:";
    char *end = strchr(endpoint, ']');
    if (strncmp(endpoint, mapped, strlen(mapped)) != 0 || end == NULL || strchr(endpoint, '.') == NULL)
        return;
    char *address = endpoint + strlen(mapped);
    size_t len = (size_t)(end - address);
    memmove(endpoint + strlen("tcp://"), address, len);
    memmove(endpoint + strlen("tcp://") + len, end + 1, strlen(end + 1) + 1);
}

void rpc_endpoint_bound(void *socket, char out[static RPC_ENDPOINT_MAX])
{
    size_t size = RPC_ENDPOINT_MAX;
    out[0] = '\0';
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, out, &size);
    plain_ipv4(out);
}
