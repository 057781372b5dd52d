/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/server.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/frame.h"

enum {
    RECEIVE_BATCH = 256, /* messages taken in before replies get their turn */
    DEADLINE_MS_MAX = 10 * 60 * 1000,
    LINGER_MS = 500, /* for the last replies at stop */
};

/* A message on its way out: to a peer, or dropped if that is gone. */
struct outgoing {
    struct outgoing *next;
    struct rpc_peer_id peer;
    zmq_msg_t header, payload, body;
    bool has_body;
};

struct rpc_server {
    void *socket;
    struct rpc_server_options options;
    char endpoint[RPC_ENDPOINT_MAX];
    pthread_t thread;
    int wake_fd;
    atomic_bool stopping;
    atomic_bool sleeping; /* the network thread waits in poll: a sender must write to wake_fd */
    _Atomic uint32_t pending;
    pthread_mutex_t lock; /* guards the queue */
    struct outgoing *queue_head, **queue_tail;
};

/* ---- out */

static void send_outgoing(struct rpc_server *server, struct outgoing *o)
{
    zmq_msg_t *parts[] = { &o->header, &o->payload, o->has_body ? &o->body : NULL };
    /* ROUTER_MANDATORY: EHOSTUNREACH names a peer that is gone, EAGAIN one whose queue is full; both lose
     * this message and the caller's deadline deals with it. Once the first frame is taken the rest is taken
     * too. */
    bool sent = zmq_send(server->socket, o->peer.bytes, o->peer.len, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
    for (int i = 0; i < 3; i++) {
        if (parts[i] == NULL)
            continue;
        bool last = i == 2 || parts[i + 1] == NULL;
        if (sent)
            sent = zmq_msg_send(parts[i], server->socket, ZMQ_DONTWAIT | (last ? 0 : ZMQ_SNDMORE)) >= 0;
        zmq_msg_close(parts[i]);
        if (last)
            break;
    }
    free(o);
}

static void enqueue(struct rpc_server *server, struct outgoing *o)
{
    o->next = NULL;
    pthread_mutex_lock(&server->lock);
    *server->queue_tail = o;
    server->queue_tail = &o->next;
    pthread_mutex_unlock(&server->lock);
    if (atomic_exchange(&server->sleeping, false)) {
        uint64_t one = 1;
        ssize_t n = write(server->wake_fd, &one, sizeof one);
        (void)n;
    }
}

static bool send_queued(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    struct outgoing *o = server->queue_head;
    server->queue_head = NULL;
    server->queue_tail = &server->queue_head;
    pthread_mutex_unlock(&server->lock);
    bool any = o != NULL;
    while (o != NULL) {
        struct outgoing *next = o->next;
        send_outgoing(server, o);
        o = next;
    }
    return any;
}

void rpc_reply(struct rpc_request **request, enum err status, const struct rpc_reply_info *info,
               struct buf *response, struct buf *body)
{
    static const struct rpc_reply_info none;
    struct rpc_request *req = *request;
    struct outgoing *o = NEW(struct outgoing);
    Tern__ResponseHeader header = TERN__RESPONSE_HEADER__INIT;
    if (info == NULL)
        info = &none;
    header.version = RPC_VERSION;
    header.call = req->call;
    header.status = status;
    header.partition = req->partition;
    header.method = req->method;
    header.time_ms = info->time_ms;
    header.map_version = info->map_version;
    if (info->detail != NULL)
        header.detail = (char *)info->detail;
    if (info->primary_hint != NULL)
        header.primary_hint = (char *)info->primary_hint;
    o->peer = req->peer;
    frame_pack(&o->header, &header.base);
    frame_take(&o->payload, response);
    o->has_body = body != NULL && body->len > 0;
    if (o->has_body)
        frame_take(&o->body, body);
    else if (body != NULL)
        buf_fini(body);
    struct rpc_server *server = req->server;
    zmq_msg_close(&req->request_msg);
    zmq_msg_close(&req->body_msg);
    free(req);
    *request = NULL;
    /* Queued before it is counted as answered: whoever sees no request pending may stop the server, and
     * stopping sends what is queued. */
    enqueue(server, o);
    atomic_fetch_sub(&server->pending, 1);
}

void rpc_notify(struct rpc_server *server, const struct rpc_peer_id *peer, uint32_t method,
                uint32_t partition, struct slice packed)
{
    struct outgoing *o = NEW(struct outgoing);
    Tern__ResponseHeader header = TERN__RESPONSE_HEADER__INIT;
    struct buf copy = { 0 };
    header.version = RPC_VERSION;
    header.method = method;
    header.partition = partition;
    o->peer = *peer;
    frame_pack(&o->header, &header.base);
    buf_add_slice(&copy, packed);
    frame_take(&o->payload, &copy);
    enqueue(server, o);
}

/* ---- in */

static bool take_header(struct rpc_request *req, zmq_msg_t *header_msg)
{
    struct frame_request h;
    if (frame_decode_request(frame_slice(header_msg), &h) != OK)
        return false;
    req->call = h.call;
    req->method = h.method;
    req->partition = h.partition;
    req->map_version = h.map_version;
    uint32_t wait_ms = h.deadline_ms > DEADLINE_MS_MAX ? DEADLINE_MS_MAX : h.deadline_ms;
    req->deadline_mono_ms = clock_mono_ms() + wait_ms;
    req->has_request_id = h.has_request_id;
    memcpy(req->request_id, h.request_id, sizeof req->request_id);
    return true;
}

/* Throw away what is left of a multipart message. */
static void skip_rest(void *socket)
{
    int more = 1;
    size_t size = sizeof more;
    while (zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size) == 0 && more) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        if (zmq_msg_recv(&msg, socket, 0) < 0)
            more = 0;
        zmq_msg_close(&msg);
    }
}

/* Receive the frames of one request into `req`. False if the message is malformed (it is consumed all the
 * same). */
static bool receive_frames(struct rpc_server *server, struct rpc_request *req, zmq_msg_t *identity)
{
    zmq_msg_t header;
    bool ok = zmq_msg_more(identity) && zmq_msg_size(identity) <= RPC_PEER_ID_MAX;
    zmq_msg_init(&header);
    if (ok)
        ok = zmq_msg_recv(&header, server->socket, 0) >= 0 && zmq_msg_more(&header);
    if (ok)
        ok = zmq_msg_recv(&req->request_msg, server->socket, 0) >= 0;
    if (ok && zmq_msg_more(&req->request_msg))
        ok = zmq_msg_recv(&req->body_msg, server->socket, 0) >= 0;
    if (ok) {
        req->peer.len = (uint8_t)zmq_msg_size(identity);
        memcpy(req->peer.bytes, zmq_msg_data(identity), req->peer.len);
        req->request = frame_slice(&req->request_msg);
        req->body = frame_slice(&req->body_msg);
        ok = take_header(req, &header);
    }
    zmq_msg_close(&header);
    skip_rest(server->socket);
    return ok;
}

/* Take one message in. False if there is none. */
static bool receive_one(struct rpc_server *server)
{
    zmq_msg_t identity;
    zmq_msg_init(&identity);
    if (zmq_msg_recv(&identity, server->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&identity);
        return false;
    }
    struct rpc_request *req = NEW(struct rpc_request);
    req->server = server;
    zmq_msg_init(&req->request_msg);
    zmq_msg_init(&req->body_msg);
    if (!receive_frames(server, req, &identity)) {
        log_warn("rpc", "malformed request dropped endpoint=%s", server->endpoint);
        zmq_msg_close(&req->request_msg);
        zmq_msg_close(&req->body_msg);
        free(req);
    } else if (atomic_fetch_add(&server->pending, 1) >= server->options.requests_max) {
        rpc_reply(&req, ERR_BUSY, NULL, NULL, NULL);
    } else {
        server->options.handler(req, server->options.arg);
    }
    zmq_msg_close(&identity);
    return true;
}

static bool queue_is_empty(struct rpc_server *server)
{
    pthread_mutex_lock(&server->lock);
    bool empty = server->queue_head == NULL;
    pthread_mutex_unlock(&server->lock);
    return empty;
}

static void wait_for_work(struct rpc_server *server)
{
    zmq_pollitem_t items[] = {
        { .socket = server->socket, .events = ZMQ_POLLIN },
        { .fd = server->wake_fd, .events = ZMQ_POLLIN },
    };
    atomic_store(&server->sleeping, true);
    /* A reply may have been queued between the last look and the flag: look again before sleeping. */
    if (queue_is_empty(server) && !atomic_load(&server->stopping))
        zmq_poll(items, 2, 1000);
    atomic_store(&server->sleeping, false);
    if (items[1].revents & ZMQ_POLLIN) {
        uint64_t count;
        ssize_t n = read(server->wake_fd, &count, sizeof count);
        (void)n;
    }
}

static void *run(void *arg)
{
    struct rpc_server *server = arg;
    while (!atomic_load(&server->stopping)) {
        bool worked = send_queued(server);
        for (int i = 0; i < RECEIVE_BATCH && receive_one(server); i++)
            worked = true;
        if (server->options.turn != NULL)
            server->options.turn(server->options.arg);
        if (!worked)
            wait_for_work(server);
    }
    send_queued(server);
    return NULL;
}

/* ---- life */

static enum err bind_socket(struct rpc_server *server)
{
    const char *endpoint = server->options.endpoint;
    int on = 1;
    rpc_socket_prepare(server->socket);
    zmq_setsockopt(server->socket, ZMQ_ROUTER_MANDATORY, &on, sizeof on);
    int linger = LINGER_MS;
    zmq_setsockopt(server->socket, ZMQ_LINGER, &linger, sizeof linger);
    if (zmq_bind(server->socket, endpoint) != 0) {
        log_error("rpc", "cannot bind %s: %s", endpoint, zmq_strerror(errno));
        return ERR_IO;
    }
    rpc_endpoint_bound(server->socket, server->endpoint);
    return OK;
}

static void release(struct rpc_server *server)
{
    if (server->socket != NULL)
        zmq_close(server->socket);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

enum err rpc_server_start(const struct rpc_server_options *options, struct rpc_server **out)
{
    enum err err = rpc_endpoint_check_bind(options->endpoint, false);
    if (err != OK) {
        log_error("rpc", "cannot bind %s: %s", options->endpoint,
                  err == ERR_DENIED ? "without keys only a loopback address may be used" : "not an endpoint");
        return err;
    }
    struct rpc_server *server = NEW(struct rpc_server);
    server->options = *options;
    server->queue_tail = &server->queue_head;
    pthread_mutex_init(&server->lock, NULL);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->socket = zmq_socket(options->zmq, ZMQ_ROUTER);
    if (server->wake_fd < 0 || server->socket == NULL) {
        log_error("rpc", "cannot make a socket: %s", strerror(errno));
        err = ERR_IO;
    } else {
        err = bind_socket(server);
    }
    if (err == OK && pthread_create(&server->thread, NULL, run, server) != 0)
        err = ERR_IO;
    if (err != OK) {
        release(server);
        return err;
    }
    pthread_setname_np(server->thread, "rpc");
    *out = server;
    return OK;
}

const char *rpc_server_endpoint(const struct rpc_server *server)
{
    return server->endpoint;
}

uint32_t rpc_server_pending(const struct rpc_server *server)
{
    return atomic_load(&server->pending);
}

void rpc_server_stop(struct rpc_server *server)
{
    if (atomic_exchange(&server->stopping, true))
        return;
    uint64_t one = 1;
    ssize_t n = write(server->wake_fd, &one, sizeof one);
    (void)n;
    pthread_join(server->thread, NULL);
}

void rpc_server_free(struct rpc_server **server)
{
    if (*server == NULL)
        return;
    rpc_server_stop(*server);
    assert(atomic_load(&(*server)->pending) == 0);
    send_queued(*server);
    release(*server);
    *server = NULL;
}
