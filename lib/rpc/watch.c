/* SPDX-License-Identifier: Apache-2.0 */
/* What ZeroMQ's monitor tells of a socket. Of one that is bound: who connects (by descriptor), that a
 * handshake failed and how, and then that the connection ended, with the descriptor; so the address is known
 * when it is told. Of one that connects: that a handshake succeeded or failed. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/metrics.h"
#include "lib/rpc/keys_priv.h"

enum {
    ADDRESSES = 1024, /* connections whose address is remembered, by descriptor */
    SERVER_EVENTS = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                    ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
    CLIENT_EVENTS = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                    ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH,
    EVENTS_A_TURN = 256,
};

struct watch_address {
    int fd;
    char text[WATCH_ADDRESS_MAX];
};

static const char *const reasons[REFUSAL_COUNT] = { "unknown_key", "wrong_role", "wrong_key", "handshake" };

/* ---- figures */

struct metric_counter *watch_counter(enum rpc_service service, enum refusal why)
{
    return metrics_counter("tern_connections_refused_total",
                           "Connections of other programs that were refused",
                           METRIC_LABELS("socket", rpc_service_name(service), "reason", reasons[why]));
}

void watch_register(enum rpc_service service)
{
    for (int why = 0; why < REFUSAL_COUNT; why++)
        watch_counter(service, (enum refusal)why);
}

/* ---- life */

struct rpc_watch *rpc_keys_watch(struct rpc_keys *keys, void *socket, enum rpc_service service,
                                 const char *name)
{
    static _Atomic uint64_t number;
    char address[64];
    if (keys == NULL)
        return NULL;
    bool bound = service != RPC_SERVICE_COUNT;
    struct rpc_watch *watch = NEW(struct rpc_watch);
    atomic_store(&watch->references, 2);
    watch->service = service;
    snprintf(watch->name, sizeof watch->name, "%s", name);
    if (bound) {
        watch->addresses = NEW_ARRAY(struct watch_address, ADDRESSES);
        watch_register(service);
    }
    snprintf(address, sizeof address, "inproc://watch-%llu",
             (unsigned long long)atomic_fetch_add(&number, 1));
    watch->events = zmq_socket(keys->zmq, ZMQ_PAIR);
    if (watch->events == NULL ||
        zmq_socket_monitor(socket, address, bound ? SERVER_EVENTS : CLIENT_EVENTS) != 0 ||
        zmq_connect(watch->events, address) != 0)
        log_fatal("keys", "cannot watch a socket: %s", zmq_strerror(zmq_errno()));
    pthread_mutex_lock(&keys->lock); /* hands the PAIR socket to the thread */
    watch->next = keys->fresh;
    keys->fresh = watch;
    pthread_mutex_unlock(&keys->lock);
    uint64_t one = 1;
    ssize_t n = write(keys->wake_fd, &one, sizeof one);
    (void)n;
    return watch;
}

bool rpc_watch_succeeded(const struct rpc_watch *watch)
{
    return watch == NULL || atomic_load(&watch->succeeded);
}

bool rpc_watch_refused(const struct rpc_watch *watch)
{
    return watch != NULL && atomic_load_explicit(&watch->refused, memory_order_relaxed);
}

void rpc_watch_release(struct rpc_watch **out)
{
    struct rpc_watch *watch = *out;
    *out = NULL;
    if (watch == NULL || atomic_fetch_sub(&watch->references, 1) > 1)
        return;
    free(watch->addresses);
    free(watch);
}

/* ---- a socket that is bound */

/* With IPv6 on, an IPv4 address comes as "::ffff:192.0.2.1". */
static const char *plain_ipv4(const char *host)
{
    static const char mapped[] = "::ffff:";
    bool is_mapped = strncmp(host, mapped, strlen(mapped)) == 0 && strchr(host, '.') != NULL;
    return is_mapped ? host + strlen(mapped) : host;
}

static void remember(struct rpc_watch *watch, int fd)
{
    struct watch_address *at = &watch->addresses[(unsigned)fd % ADDRESSES];
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[WATCH_ADDRESS_MAX - 8], port[8];
    at->fd = fd;
    at->text[0] = '\0';
    /* It may be gone already. */
    if (getpeername(fd, (struct sockaddr *)&address, &len) == 0 &&
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        snprintf(at->text, sizeof at->text, "%s:%s", plain_ipv4(host), port);
}

static const char *find_address(const struct rpc_watch *watch, int fd)
{
    const struct watch_address *at = &watch->addresses[(unsigned)fd % ADDRESSES];
    return at->fd == fd ? at->text : "";
}

/* Told when its end tells the descriptor, or when something else comes first. */
static void tell(struct rpc_keys *keys, struct rpc_watch *watch, const char *address)
{
    if (watch->failed)
        keys_refused(keys, watch->service, watch->why, address, "");
    watch->failed = false;
}

static void fail(struct rpc_keys *keys, struct rpc_watch *watch, enum refusal why)
{
    tell(keys, watch, "");
    watch->failed = true;
    watch->why = why;
}

static void on_server_event(struct rpc_keys *keys, struct rpc_watch *watch, uint16_t event, uint32_t value)
{
    switch (event) {
    case ZMQ_EVENT_ACCEPTED:
        remember(watch, (int)value);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        tell(keys, watch, find_address(watch, (int)value));
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        fail(keys, watch, REFUSAL_HANDSHAKE);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        fail(keys, watch,
             value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC ||
                     value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
                 ? REFUSAL_WRONG_KEY
                 : REFUSAL_HANDSHAKE);
        break;
    default: /* HANDSHAKE_FAILED_AUTH: the allow-list refused it, and told */
        break;
    }
}

/* ---- a socket that connects */

static const char *failure_text(const struct rpc_keys *keys, uint16_t event, uint32_t value)
{
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
        return "our key is not on its allow-list, or our role has no business there";
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL && value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
        return keys->present ? "we have keys and it has none"
                             : "it has keys and we have none (keys = \"...\")";
    if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
        return "it does not speak our protocol";
    return keys->present ? "it hung up; is its key another than in our cluster.pub?" : "it hung up";
}

static void on_client_event(struct rpc_keys *keys, struct rpc_watch *watch, uint16_t event, uint32_t value)
{
    uint64_t untold;
    if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        atomic_store(&watch->succeeded, true);
        return;
    }
    if (event != ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        atomic_store(&watch->refused, true);
    metric_count(metrics_counter("tern_handshakes_failed_total",
                                 "Connections to other programs that failed in the handshake", NULL),
                 1);
    if (log_gate_open(&watch->gate, &untold))
        log_warn("keys", "no connection to %s: %s (%llu times more since it was last told)", watch->name,
                 failure_text(keys, event, value), (unsigned long long)untold);
}

/* ---- events */

/* An event is two frames: number and value, and the endpoint. */
static bool receive(void *socket, uint16_t *event_out, uint32_t *value_out)
{
    zmq_msg_t msg;
    uint8_t head[6] = { 0 };
    bool more = true, first = true;
    while (more) {
        zmq_msg_init(&msg);
        if (zmq_msg_recv(&msg, socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&msg);
            return false;
        }
        if (first && zmq_msg_size(&msg) >= sizeof head)
            memcpy(head, zmq_msg_data(&msg), sizeof head);
        first = false;
        more = zmq_msg_more(&msg);
        zmq_msg_close(&msg);
    }
    memcpy(event_out, head, sizeof *event_out);
    memcpy(value_out, head + sizeof *event_out, sizeof *value_out);
    return true;
}

bool watch_take(struct rpc_keys *keys, struct rpc_watch *watch)
{
    uint16_t event;
    uint32_t value;
    for (int i = 0; i < EVENTS_A_TURN && receive(watch->events, &event, &value); i++) {
        if (event == ZMQ_EVENT_MONITOR_STOPPED)
            return false;
        if (watch->addresses != NULL)
            on_server_event(keys, watch, event, value);
        else
            on_client_event(keys, watch, event, value);
    }
    return true;
}
