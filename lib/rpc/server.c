/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/server.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/rpc/doors.h"
#include "lib/rpc/farewell.h"
#include "lib/rpc/frame.h"
#include "proto/methods.h"

enum {
    RECEIVE_BATCH = 256, /* messages taken in before replies get their turn */
    DEADLINE_MS_MAX = 10 * 60 * 1000,
    LINGER_MS = 500, /* for the last replies at stop */
    IDLE_MS = 1000,  /* until it looks for other keys, at the latest */
};

/* A message on its way out: to a peer, or dropped if that is gone. */
struct outgoing {
    struct outgoing *next;
    struct rpc_peer_id peer;
    zmq_msg_t header, payload, body;
    bool has_body;
};

struct rpc_server {
    struct doors doors;       /* the network thread's once it runs */
    struct farewell farewell; /* likewise */
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
    void *socket = doors_socket(&server->doors, o->peer.bytes[0]);
    bool sent = socket != NULL && o->peer.len > 1 &&
                zmq_send(socket, o->peer.bytes + 1, o->peer.len - 1u, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
    for (int i = 0; i < 3; i++) {
        if (parts[i] == NULL)
            continue;
        bool last = i == 2 || parts[i + 1] == NULL;
        if (sent)
            sent = zmq_msg_send(parts[i], socket, ZMQ_DONTWAIT | (last ? 0 : ZMQ_SNDMORE)) >= 0;
        zmq_msg_close(parts[i]);
        if (last)
            break;
    }
    if (sent)
        farewell_note(&server->farewell, &o->peer);
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
static bool receive_frames(const struct door *door, struct rpc_request *req, zmq_msg_t *identity)
{
    zmq_msg_t header;
    bool ok = zmq_msg_more(identity) && zmq_msg_size(identity) < RPC_PEER_ID_MAX;
    zmq_msg_init(&header);
    if (ok)
        ok = zmq_msg_recv(&header, door->socket, 0) >= 0 && zmq_msg_more(&header);
    if (ok)
        ok = zmq_msg_recv(&req->request_msg, door->socket, 0) >= 0;
    if (ok && zmq_msg_more(&req->request_msg))
        ok = zmq_msg_recv(&req->body_msg, door->socket, 0) >= 0;
    if (ok) {
        size_t len = zmq_msg_size(identity);
        req->peer.len = (uint8_t)(len + 1);
        req->peer.bytes[0] = door->number;
        memcpy(req->peer.bytes + 1, zmq_msg_data(identity), len);
        req->request = frame_slice(&req->request_msg);
        req->body = frame_slice(&req->body_msg);
        req->role = rpc_keys_sender(&header);
        ok = take_header(req, &header);
    }
    zmq_msg_close(&header);
    skip_rest(door->socket);
    return ok;
}

static bool may_call(const struct rpc_server *server, const struct rpc_request *req)
{
    return !rpc_keys_present(server->options.keys) ||
           rpc_role_may_call(req->role, server->options.service, req->method);
}

static void deny(struct rpc_server *server, struct rpc_request *req)
{
    char detail[128];
    snprintf(detail, sizeof detail, "a key of role %s may not call %s", rpc_role_name(req->role),
             method_name(req->method));
    rpc_keys_denied(server->options.keys, server->options.service, req->role, method_name(req->method));
    struct rpc_reply_info info = { .detail = detail };
    rpc_reply(&req, ERR_DENIED, &info, NULL, NULL);
}

/* Take one message in. False if there is none. */
static bool receive_one(struct rpc_server *server, const struct door *door)
{
    zmq_msg_t identity;
    zmq_msg_init(&identity);
    if (zmq_msg_recv(&identity, door->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&identity);
        return false;
    }
    struct rpc_request *req = NEW(struct rpc_request);
    req->server = server;
    zmq_msg_init(&req->request_msg);
    zmq_msg_init(&req->body_msg);
    if (!receive_frames(door, req, &identity)) {
        log_warn("rpc", "malformed request dropped endpoint=%s", server->endpoint);
        zmq_msg_close(&req->request_msg);
        zmq_msg_close(&req->body_msg);
        free(req);
    } else if (atomic_fetch_add(&server->pending, 1) >= server->options.requests_max) {
        rpc_reply(&req, ERR_BUSY, NULL, NULL, NULL);
    } else if (!may_call(server, req)) {
        deny(server, req);
    } else {
        server->options.handler(req, server->options.arg);
    }
    zmq_msg_close(&identity);
    return true;
}

static bool receive_batch(struct rpc_server *server)
{
    bool any = false;
    for (size_t at = 0; at < server->doors.count; at++) {
        for (int i = 0; i < RECEIVE_BATCH && receive_one(server, &server->doors.list[at]); i++)
            any = true;
    }
    return any;
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
    zmq_pollitem_t items[1 + DOORS_MAX] = { { .fd = server->wake_fd, .events = ZMQ_POLLIN } };
    int count = 1;
    for (size_t i = 0; i < server->doors.count; i++)
        items[count++] = (zmq_pollitem_t){ .socket = server->doors.list[i].socket, .events = ZMQ_POLLIN };
    atomic_store(&server->sleeping, true);
    /* A reply may have been queued between the last look and the flag: look again before sleeping. */
    if (queue_is_empty(server) && !atomic_load(&server->stopping))
        zmq_poll(items, count, IDLE_MS);
    atomic_store(&server->sleeping, false);
    if (items[0].revents & ZMQ_POLLIN) {
        uint64_t value;
        ssize_t n = read(server->wake_fd, &value, sizeof value);
        (void)n;
    }
}

static void *run(void *arg)
{
    struct rpc_server *server = arg;
    while (!atomic_load(&server->stopping)) {
        bool worked = send_queued(server);
        worked |= receive_batch(server);
        if (server->options.turn != NULL)
            server->options.turn(server->options.arg);
        worked |= doors_refresh(&server->doors);
        if (!worked)
            wait_for_work(server);
    }
    send_queued(server);
    return NULL;
}

/* ---- life */

static enum err bind_doors(struct rpc_server *server)
{
    struct doors_options options = { .zmq = server->options.zmq,
                                     .keys = server->options.keys,
                                     .service = server->options.service,
                                     .endpoint = server->options.endpoint,
                                     .linger_ms = LINGER_MS,
                                     .mandatory = true };
    TRY(doors_open(&options, &server->doors));
    memcpy(server->endpoint, server->doors.endpoint, sizeof server->endpoint);
    return OK;
}

static void release(struct rpc_server *server)
{
    doors_close(&server->doors);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

enum err rpc_server_start(const struct rpc_server_options *options, struct rpc_server **out)
{
    struct rpc_server *server = NEW(struct rpc_server);
    server->options = *options;
    server->queue_tail = &server->queue_head;
    pthread_mutex_init(&server->lock, NULL);
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum err err = server->wake_fd < 0 ? ERR_IO : bind_doors(server);
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
    farewell_wait(&(*server)->farewell, &(*server)->doors);
    release(*server);
    *server = NULL;
}
