/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/frame.h"
#include "proto/rpc.pb-c.h"

enum {
    BUCKETS = 1024,     /* of the table of open calls */
    RECEIVE_BATCH = 64, /* messages of one peer a turn */
};

/* One connection to a peer. libuv keeps the handle until its loop has turned, so it lives a little longer. */
struct conn {
    struct conn *next;
    void *socket;
    struct rpc_watch *watch;
    uint64_t keys;           /* rpc_keys_of_connection */
    uint64_t retire_mono_ms; /* 0: not retired */
    uv_poll_t poll;
};

struct rpc_peer {
    struct rpc_client *client;
    struct rpc_peer *next;
    enum rpc_role role;
    struct conn *conn;      /* what is sent goes here */
    struct conn *fresh;     /* with other keys; takes over once it stands */
    uint64_t retry_mono_ms; /* of a connection that was refused; 0: it was not */
    struct conn *retired;   /* what still comes over them is taken */
    char endpoint[RPC_ENDPOINT_MAX];
};

struct rpc_client {
    struct loop *loop;
    void *zmq;
    struct rpc_keys *keys;
    uint64_t keys_generation;
    uint32_t unsettled; /* peers with a fresh or retired connection */
    rpc_on_notice *on_notice;
    void *arg;
    struct loop_hook hook;
    struct rpc_peer *peers;
    uint32_t peer_count;
    uint32_t call_count;
    uint64_t last_id;
    struct rpc_call *calls[BUCKETS];
};

/* ---- the table of open calls */

static void table_add(struct rpc_client *client, struct rpc_call *call)
{
    struct rpc_call **bucket = &client->calls[call->id % BUCKETS];
    call->hash_next = *bucket;
    *bucket = call;
    client->call_count++;
}

static struct rpc_call *table_take(struct rpc_client *client, uint64_t id)
{
    struct rpc_call **at = &client->calls[id % BUCKETS];
    for (; *at != NULL; at = &(*at)->hash_next) {
        if ((*at)->id == id) {
            struct rpc_call *call = *at;
            *at = call->hash_next;
            client->call_count--;
            return call;
        }
    }
    return NULL;
}

/* ---- in */

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text == NULL ? "" : text);
}

static void finish_call(struct rpc_call *call, const Tern__ResponseHeader *h, zmq_msg_t *payload,
                        zmq_msg_t *body)
{
    call->status = h->status < ERR_COUNT ? (enum err)h->status : ERR_PROTOCOL;
    call->time_ms = h->time_ms;
    call->peer_map_version = h->map_version;
    /* An endpoint that was cut off would name some other place. */
    if (h->primary_hint != NULL && strlen(h->primary_hint) < sizeof call->primary_hint)
        copy_text(call->primary_hint, sizeof call->primary_hint, h->primary_hint);
    copy_text(call->detail, sizeof call->detail, h->detail);
    zmq_msg_init(&call->response_msg);
    zmq_msg_move(&call->response_msg, payload);
    call->have_response = true;
    call->response = frame_slice(&call->response_msg);
    if (body != NULL) {
        zmq_msg_init(&call->body_msg);
        zmq_msg_move(&call->body_msg, body);
        call->have_body = true;
        call->response_body = frame_slice(&call->body_msg);
    }
    call->done = true;
    if (call->waiter != NULL)
        fiber_wake(call->waiter);
}

static void dispatch(struct rpc_client *client, zmq_msg_t *header, zmq_msg_t *payload, zmq_msg_t *body)
{
    Tern__ResponseHeader *h = NULL;
    if (frame_decode_response(frame_slice(header), &h) != OK) {
        log_warn("rpc", "malformed answer dropped");
    } else if (h->call == 0) {
        if (client->on_notice != NULL)
            client->on_notice(h->method, h->partition, frame_slice(payload), client->arg);
    } else {
        struct rpc_call *call = table_take(client, h->call);
        if (call != NULL) /* else it was given up */
            finish_call(call, h, payload, body);
    }
    if (h != NULL)
        tern__response_header__free_unpacked(h, NULL);
}

/* Take one message in; false if there is none. */
static bool receive_one(struct rpc_peer *peer, struct conn *conn)
{
    zmq_msg_t parts[3];
    int count = 0;
    bool more = true;
    while (more) {
        /* Frames beyond the third are read into the third and so thrown away. */
        int at = count < 3 ? count : 2;
        if (count >= 3)
            zmq_msg_close(&parts[2]);
        zmq_msg_init(&parts[at]);
        if (zmq_msg_recv(&parts[at], conn->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&parts[at]);
            break;
        }
        more = zmq_msg_more(&parts[at]);
        count++;
    }
    if (count == 2 || count == 3)
        dispatch(peer->client, &parts[0], &parts[1], count == 3 ? &parts[2] : NULL);
    else if (count > 0)
        log_warn("rpc", "answer with %d frames dropped endpoint=%s", count, peer->endpoint);
    for (int i = 0; i < count && i < 3; i++)
        zmq_msg_close(&parts[i]);
    return count > 0;
}

static bool has_input(struct conn *conn)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(conn->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* True if there is more. */
static bool drain_conn(struct rpc_peer *peer, struct conn *conn)
{
    for (int i = 0; i < RECEIVE_BATCH && has_input(conn); i++) {
        if (!receive_one(peer, conn))
            break;
    }
    return has_input(conn);
}

static void follow_keys(struct rpc_client *client);
static void try_anew(struct rpc_peer *peer);

/* Runs at the end of every turn, because ZMQ_FD only hints at changes since the last look (and a send may
 * swallow the hint). */
static bool drain(void *arg)
{
    struct rpc_client *client = arg;
    bool more = false;
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        more |= drain_conn(peer, peer->conn);
        if (rpc_watch_refused(peer->conn->watch))
            try_anew(peer);
        for (struct conn *conn = peer->retired; conn != NULL; conn = conn->next)
            more |= drain_conn(peer, conn);
    }
    follow_keys(client);
    return more;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    /* Only ends the wait in the kernel: drain does the work at the end of the turn. */
    (void)poll;
    (void)status;
    (void)events;
}

/* ---- connections */

static struct conn *open_conn(struct rpc_peer *peer)
{
    struct rpc_client *client = peer->client;
    int fd = -1;
    size_t size = sizeof fd;
    struct conn *conn = NEW(struct conn);
    conn->socket = zmq_socket(client->zmq, ZMQ_DEALER);
    if (conn->socket == NULL) {
        free(conn);
        return NULL;
    }
    rpc_socket_prepare(conn->socket);
    conn->keys = rpc_keys_of_connection(client->keys, peer->role);
    rpc_keys_connect(client->keys, conn->socket, peer->role);
    conn->watch = rpc_keys_watch(client->keys, conn->socket, RPC_SERVICE_COUNT, peer->endpoint);
    if (zmq_connect(conn->socket, peer->endpoint) != 0 ||
        zmq_getsockopt(conn->socket, ZMQ_FD, &fd, &size) != 0) {
        log_warn("rpc", "cannot connect to %s: %s", peer->endpoint, zmq_strerror(errno));
        zmq_close(conn->socket);
        rpc_watch_release(&conn->watch);
        free(conn);
        return NULL;
    }
    uv_poll_init(loop_uv(client->loop), &conn->poll, fd);
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
static void close_conn(struct conn *conn)
{
    if (conn == NULL)
        return;
    conn->poll.data = conn;
    uv_close((uv_handle_t *)&conn->poll, on_closed);
    zmq_close(conn->socket);
    rpc_watch_release(&conn->watch);
}

static void close_retired(struct rpc_peer *peer, uint64_t until_mono_ms)
{
    struct conn **at = &peer->retired;
    while (*at != NULL) {
        struct conn *conn = *at;
        if (conn->retire_mono_ms <= until_mono_ms) {
            *at = conn->next;
            close_conn(conn);
        } else {
            at = &conn->next;
        }
    }
}

/* ---- other keys */

/* Only if they concern this peer: not every step of a rotation does. */
static void renew(struct rpc_peer *peer)
{
    uint64_t keys = rpc_keys_of_connection(peer->client->keys, peer->role);
    close_retired(peer, UINT64_MAX); /* theirs were dropped, or will be in a moment */
    close_conn(peer->fresh);
    peer->fresh = keys == peer->conn->keys ? NULL : open_conn(peer);
}

/* ZeroMQ gives up on a peer without keys if we have some, and the other way round; it may be started again
 * with what fits. Calls that were under way end by their deadlines. */
static void try_anew(struct rpc_peer *peer)
{
    uint64_t now = clock_mono_ms();
    if (peer->retry_mono_ms == 0)
        peer->retry_mono_ms = now + RPC_KEYS_RETRY_MS;
    if (now < peer->retry_mono_ms)
        return;
    peer->retry_mono_ms = 0;
    struct conn *conn = open_conn(peer);
    if (conn == NULL)
        return;
    close_conn(peer->conn);
    peer->conn = conn;
}

static void settle(struct rpc_peer *peer, uint64_t now)
{
    if (peer->fresh != NULL && rpc_watch_succeeded(peer->fresh->watch)) {
        peer->conn->retire_mono_ms = now + RPC_RETIRE_MS;
        peer->conn->next = peer->retired;
        peer->retired = peer->conn;
        peer->conn = peer->fresh;
        peer->fresh = NULL;
    }
    close_retired(peer, now);
}

static void follow_keys(struct rpc_client *client)
{
    uint64_t generation = rpc_keys_generation(client->keys);
    bool changed = generation != client->keys_generation;
    if (!changed && client->unsettled == 0)
        return;
    client->keys_generation = generation;
    client->unsettled = 0;
    uint64_t now = clock_mono_ms();
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        if (changed)
            renew(peer);
        settle(peer, now);
        client->unsettled += peer->fresh != NULL || peer->retired != NULL;
    }
}

/* ---- peers */

struct rpc_client *rpc_client_new(struct loop *loop, void *zmq, struct rpc_keys *keys,
                                  rpc_on_notice *on_notice, void *arg)
{
    struct rpc_client *client = NEW(struct rpc_client);
    client->loop = loop;
    client->zmq = zmq;
    client->keys = keys;
    client->keys_generation = rpc_keys_generation(keys);
    client->on_notice = on_notice;
    client->arg = arg;
    loop_hook_add(loop, &client->hook, drain, client);
    return client;
}

struct rpc_peer *rpc_client_peer(struct rpc_client *client, const char *endpoint, enum rpc_role role)
{
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        if (peer->role == role && strcmp(peer->endpoint, endpoint) == 0)
            return peer;
    }
    if (client->peer_count >= RPC_PEERS_MAX || strlen(endpoint) >= RPC_ENDPOINT_MAX)
        return NULL;
    struct rpc_peer *peer = NEW(struct rpc_peer);
    peer->client = client;
    peer->role = role;
    copy_text(peer->endpoint, sizeof peer->endpoint, endpoint);
    peer->conn = open_conn(peer);
    if (peer->conn == NULL) {
        free(peer);
        return NULL;
    }
    peer->next = client->peers;
    client->peers = peer;
    client->peer_count++;
    return peer;
}

const char *rpc_peer_endpoint(const struct rpc_peer *peer)
{
    return peer->endpoint;
}

void rpc_client_free(struct rpc_client **client)
{
    struct rpc_client *c = *client;
    if (c == NULL)
        return;
    assert(c->call_count == 0);
    loop_hook_remove(&c->hook);
    while (c->peers != NULL) {
        struct rpc_peer *peer = c->peers;
        c->peers = peer->next;
        close_retired(peer, UINT64_MAX);
        close_conn(peer->fresh);
        close_conn(peer->conn);
        free(peer);
    }
    free(c);
    *client = NULL;
}

/* ---- calls */

size_t rpc_client_calls(const struct rpc_client *client)
{
    return client->call_count;
}

static void pack_header(zmq_msg_t *msg, const struct rpc_call *call)
{
    Tern__RequestHeader h = TERN__REQUEST_HEADER__INIT;
    h.version = RPC_VERSION;
    h.call = call->id;
    h.method = call->method;
    h.partition = call->partition;
    h.map_version = call->map_version;
    h.deadline_ms = call->deadline_ms;
    if (call->request_id != NULL) {
        h.request_id.data = (uint8_t *)call->request_id;
        h.request_id.len = 16;
    }
    frame_pack(msg, &h.base);
}

/* Give all frames to ZeroMQ, which takes a message whole or not at all: only the first frame meets a full
 * queue. Should a later one fail (the connection is being torn down), ZeroMQ takes back the earlier ones and
 * drops what comes until the message ends, so the rest must be given all the same. Frees the frames. */
static bool send_frames(void *socket, zmq_msg_t *frames, int count)
{
    bool sent = true;
    for (int i = 0; i < count; i++) {
        if (zmq_msg_send(&frames[i], socket, ZMQ_DONTWAIT | (i + 1 < count ? ZMQ_SNDMORE : 0)) >= 0)
            continue;
        sent = false;
        if (i == 0)
            break;
    }
    for (int i = 0; i < count; i++)
        zmq_msg_close(&frames[i]);
    return sent;
}

enum err rpc_submit(struct rpc_peer *peer, struct rpc_call *call)
{
    struct rpc_client *client = peer->client;
    zmq_msg_t frames[3];
    int count = 0;
    assert(!call->submitted);
    if (client->call_count >= RPC_CALLS_MAX)
        return ERR_BUSY;
    call->id = ++client->last_id;
    call->client = client;
    call->deadline_mono_ms = clock_mono_ms() + call->deadline_ms;
    pack_header(&frames[count++], call);
    frame_pack(&frames[count++], call->request);
    if (call->body.len > 0)
        frame_copy(&frames[count++], call->body);
    if (!send_frames(peer->conn->socket, frames, count))
        return ERR_BUSY;
    call->submitted = true;
    table_add(client, call);
    return OK;
}

enum err rpc_wait(struct rpc_call *call)
{
    assert(call->submitted);
    call->waiter = fiber_self();
    while (!call->done) {
        if ((call->abandoned || fiber_suspend_until(call->deadline_mono_ms) == ERR_TIMEOUT) && !call->done) {
            table_take(call->client, call->id);
            call->submitted = false;
            call->waiter = NULL;
            return ERR_TIMEOUT;
        }
    }
    call->waiter = NULL;
    return OK;
}

void rpc_call_abandon(struct rpc_call *call)
{
    call->abandoned = true;
    if (call->waiter != NULL)
        fiber_wake(call->waiter);
}

enum err rpc_call(struct rpc_peer *peer, struct rpc_call *call)
{
    TRY(rpc_submit(peer, call));
    return rpc_wait(call);
}

void rpc_call_fini(struct rpc_call *call)
{
    if (call->submitted && !call->done)
        table_take(call->client, call->id);
    if (call->have_response)
        zmq_msg_close(&call->response_msg);
    if (call->have_body)
        zmq_msg_close(&call->body_msg);
    call->have_response = call->have_body = call->submitted = call->done = false;
}
