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
    RECEIVE_BATCH = 256, /* messages taken in before it looks for other keys */
    ANSWER_FRAMES = 3,   /* header, response, body */
    DEADLINE_MS_MAX = 10 * 60 * 1000,
    LINGER_MS = 500, /* for the last replies at stop */
    IDLE_MS = 1000,  /* until it looks for other keys, at the latest */
};

struct rpc_server {
    struct rpc_server_options options;
    char endpoint[RPC_ENDPOINT_MAX];
    pthread_t thread;
    int wake_fd;
    atomic_bool stopping;
    _Atomic uint32_t pending;
    /* The network thread waits in poll, or is about to. Set under the lock, after a look at the sockets. */
    atomic_bool sleeping;
    pthread_mutex_t lock; /* guards what follows: whoever holds it is the thread that the sockets belong to */
    struct doors doors;
    size_t turn; /* which door is asked first */
    struct farewell farewell;
};

/* ---- out
 *
 * Whoever answers sends, on whichever thread that is: ZeroMQ lets a socket change threads if a full fence
 * lies between them, and a mutex is one. What is to be known of it: the descriptor that tells of a socket's
 * news (ZMQ_FD) tells once, and ZeroMQ takes the news in during any call, a send too. So a send may swallow
 * the news of a request while the network thread waits for that descriptor. Hence the network thread looks at
 * the socket itself before it waits, and says under the same lock that it waits (receive_next); and who has
 * sent while it waits looks at the socket, too, and wakes it if there is something to receive. */

static void wake(struct rpc_server *server)
{
    uint64_t one = 1;
    ssize_t n = write(server->wake_fd, &one, sizeof one);
    (void)n; /* it counts; full, it wakes as well */
}

/* The frames after the peer's name. Under the lock.
 * ROUTER_MANDATORY: EHOSTUNREACH names a peer that is gone, EAGAIN one whose queue is full; both lose this
 * message and the caller's deadline deals with it. Once the first frame is taken the rest is taken too. */
static bool send_frames(void *socket, const struct rpc_peer_id *peer, zmq_msg_t *frames, int count)
{
    if (zmq_send(socket, peer->bytes + 1, peer->len - 1u, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return false;
    for (int i = 0; i < count; i++) {
        if (zmq_msg_send(&frames[i], socket, ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0)) < 0)
            return false;
    }
    return true;
}

/* Send to a peer, or drop it if that is gone. Takes the frames over. */
static void send_message(struct rpc_server *server, const struct rpc_peer_id *peer, zmq_msg_t *frames,
                         int count)
{
    bool swallowed = false;
    pthread_mutex_lock(&server->lock);
    void *socket = peer->len > 1 ? doors_socket(&server->doors, peer->bytes[0]) : NULL;
    if (socket != NULL) {
        if (send_frames(socket, peer, frames, count))
            farewell_note(&server->farewell, peer);
        swallowed = atomic_load(&server->sleeping) && rpc_socket_has_input(socket);
        if (swallowed)
            atomic_store(&server->sleeping, false);
    }
    pthread_mutex_unlock(&server->lock);
    if (swallowed)
        wake(server);
    for (int i = 0; i < count; i++)
        zmq_msg_close(&frames[i]);
}

void rpc_reply(struct rpc_request **request, enum err status, const struct rpc_reply_info *info,
               struct buf *response, struct buf *body)
{
    static const struct rpc_reply_info none;
    struct rpc_request *req = *request;
    struct rpc_server *server = req->server;
    zmq_msg_t frames[ANSWER_FRAMES];
    int count = 0;
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
    frame_pack(&frames[count++], &header.base);
    frame_take(&frames[count++], response);
    if (body != NULL && body->len > 0)
        frame_take(&frames[count++], body);
    else if (body != NULL)
        buf_fini(body);
    /* Sent before it is counted as answered: whoever sees no request pending may stop the server. */
    send_message(server, &req->peer, frames, count);
    zmq_msg_close(&req->request_msg);
    zmq_msg_close(&req->body_msg);
    free(req);
    *request = NULL;
    atomic_fetch_sub(&server->pending, 1);
}

void rpc_notify(struct rpc_server *server, const struct rpc_peer_id *peer, uint32_t method,
                uint32_t partition, struct slice packed)
{
    zmq_msg_t frames[2];
    Tern__ResponseHeader header = TERN__RESPONSE_HEADER__INIT;
    header.version = RPC_VERSION;
    header.method = method;
    header.partition = partition;
    frame_pack(&frames[0], &header.base);
    frame_copy(&frames[1], packed);
    send_message(server, peer, frames, 2);
}

/* ---- in */

static enum err take_header(struct rpc_request *req, zmq_msg_t *header_msg)
{
    struct frame_request h;
    enum err err = frame_decode_request(frame_slice(header_msg), &h);
    if (err == ERR_PROTOCOL)
        return err;
    req->call = h.call;
    req->method = h.method;
    req->partition = h.partition;
    req->map_version = h.map_version;
    uint32_t wait_ms = h.deadline_ms > DEADLINE_MS_MAX ? DEADLINE_MS_MAX : h.deadline_ms;
    req->deadline_mono_ms = clock_mono_ms() + wait_ms;
    req->has_request_id = h.has_request_id;
    memcpy(req->request_id, h.request_id, sizeof req->request_id);
    return err;
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

/* Receive the frames of one request into `req`. ERR_PROTOCOL if the message is malformed (it is consumed all
 * the same); ERR_UNSUPPORTED if it can only be refused. */
static enum err receive_frames(const struct door *door, struct rpc_request *req, zmq_msg_t *identity)
{
    zmq_msg_t header;
    enum err err = ERR_PROTOCOL;
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
        err = take_header(req, &header);
    }
    zmq_msg_close(&header);
    skip_rest(door->socket);
    return err;
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

/* Its caller is of a later program than this one, or of a very old one. */
static void refuse_version(struct rpc_request *req)
{
    char detail[96];
    snprintf(detail, sizeof detail, "this program speaks version %d of the wire, the request is of another",
             RPC_VERSION);
    struct rpc_reply_info info = { .detail = detail };
    rpc_reply(&req, ERR_UNSUPPORTED, &info, NULL, NULL);
}

static void drop(struct rpc_request *req)
{
    zmq_msg_close(&req->request_msg);
    zmq_msg_close(&req->body_msg);
    free(req);
}

/* The next request of a door, NULL in *out if what came was none. False if nothing came. */
static bool receive_one(struct rpc_server *server, const struct door *door, struct rpc_request **out)
{
    zmq_msg_t identity;
    zmq_msg_init(&identity);
    *out = NULL;
    if (zmq_msg_recv(&identity, door->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&identity);
        return false;
    }
    struct rpc_request *req = NEW(struct rpc_request);
    req->server = server;
    zmq_msg_init(&req->request_msg);
    zmq_msg_init(&req->body_msg);
    enum err err = receive_frames(door, req, &identity);
    req->unreadable = err == ERR_UNSUPPORTED;
    if (err == ERR_PROTOCOL)
        drop(req);
    else
        *out = req;
    zmq_msg_close(&identity);
    return true;
}

static void take(struct rpc_server *server, struct rpc_request *req)
{
    if (atomic_fetch_add(&server->pending, 1) >= server->options.requests_max)
        rpc_reply(&req, ERR_BUSY, NULL, NULL, NULL);
    else if (req->unreadable)
        refuse_version(req);
    else if (!may_call(server, req))
        deny(server, req);
    else
        server->options.handler(req, server->options.arg);
}

/* The next request of a door, the doors in turn. If there is none the thread is about to wait from this
 * moment: what a send swallows before was seen here, and what it swallows later it tells. */
static bool receive_next(struct rpc_server *server, struct rpc_request **out)
{
    bool any = false;
    pthread_mutex_lock(&server->lock);
    for (size_t tried = 0; tried < server->doors.count && !any; tried++)
        any = receive_one(server, &server->doors.list[server->turn++ % server->doors.count], out);
    atomic_store(&server->sleeping, !any);
    pthread_mutex_unlock(&server->lock);
    return any;
}

/* What there is, so much that keys are looked after now and then; false if there is no more. The lock is not
 * held while a request is handled: that may answer. */
static bool receive_batch(struct rpc_server *server)
{
    struct rpc_request *req;
    for (int i = 0; i < RECEIVE_BATCH; i++) {
        if (!receive_next(server, &req))
            return false;
        if (req != NULL)
            take(server, req);
        else
            log_warn("rpc", "malformed request dropped endpoint=%s", server->endpoint);
    }
    return true;
}

/* Until there is something to receive, or it is woken. */
static void wait_for_work(struct rpc_server *server)
{
    struct pollfd fds[1 + DOORS_MAX] = { { .fd = server->wake_fd, .events = POLLIN } };
    nfds_t count = 1;
    for (size_t i = 0; i < server->doors.count; i++)
        fds[count++] = (struct pollfd){ .fd = server->doors.list[i].event_fd, .events = POLLIN };
    poll(fds, count, IDLE_MS);
    atomic_store(&server->sleeping, false);
    if (fds[0].revents & POLLIN) {
        uint64_t value;
        ssize_t n = read(server->wake_fd, &value, sizeof value);
        (void)n;
    }
}

static void *run(void *arg)
{
    struct rpc_server *server = arg;
    while (!atomic_load(&server->stopping)) {
        pthread_mutex_lock(&server->lock);
        doors_refresh(&server->doors);
        pthread_mutex_unlock(&server->lock);
        if (!receive_batch(server))
            wait_for_work(server);
    }
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
    wake(server);
    pthread_join(server->thread, NULL);
}

void rpc_server_free(struct rpc_server **server)
{
    if (*server == NULL)
        return;
    rpc_server_stop(*server);
    assert(atomic_load(&(*server)->pending) == 0);
    pthread_mutex_lock(&(*server)->lock);
    farewell_wait(&(*server)->farewell, &(*server)->doors);
    pthread_mutex_unlock(&(*server)->lock);
    release(*server);
    *server = NULL;
}
