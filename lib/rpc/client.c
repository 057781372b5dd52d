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

struct rpc_peer {
    struct rpc_client *client;
    struct rpc_peer *next;
    void *socket;
    uv_poll_t poll;
    char endpoint[RPC_ENDPOINT_MAX];
};

struct rpc_client {
    struct loop *loop;
    void *zmq;
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
static bool receive_one(struct rpc_peer *peer)
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
        if (zmq_msg_recv(&parts[at], peer->socket, ZMQ_DONTWAIT) < 0) {
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

static bool has_input(struct rpc_peer *peer)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(peer->socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

/* Runs at the end of every turn, because ZMQ_FD only hints at changes since the last look (and a send may
 * swallow the hint). */
static bool drain(void *arg)
{
    struct rpc_client *client = arg;
    bool more = false;
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        for (int i = 0; i < RECEIVE_BATCH && has_input(peer); i++) {
            if (!receive_one(peer))
                break;
        }
        more |= has_input(peer);
    }
    return more;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    /* Only ends the wait in the kernel: drain does the work at the end of the turn. */
    (void)poll;
    (void)status;
    (void)events;
}

/* ---- peers */

struct rpc_client *rpc_client_new(struct loop *loop, void *zmq, rpc_on_notice *on_notice, void *arg)
{
    struct rpc_client *client = NEW(struct rpc_client);
    client->loop = loop;
    client->zmq = zmq;
    client->on_notice = on_notice;
    client->arg = arg;
    loop_hook_add(loop, &client->hook, drain, client);
    return client;
}

static bool open_socket(struct rpc_peer *peer)
{
    int fd = -1;
    size_t size = sizeof fd;
    peer->socket = zmq_socket(peer->client->zmq, ZMQ_DEALER);
    if (peer->socket == NULL)
        return false;
    rpc_socket_prepare(peer->socket);
    if (zmq_connect(peer->socket, peer->endpoint) != 0 ||
        zmq_getsockopt(peer->socket, ZMQ_FD, &fd, &size) != 0) {
        log_warn("rpc", "cannot connect to %s: %s", peer->endpoint, zmq_strerror(errno));
        zmq_close(peer->socket);
        return false;
    }
    uv_poll_init(loop_uv(peer->client->loop), &peer->poll, fd);
    uv_poll_start(&peer->poll, UV_READABLE, on_readable);
    return true;
}

struct rpc_peer *rpc_client_peer(struct rpc_client *client, const char *endpoint)
{
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        if (strcmp(peer->endpoint, endpoint) == 0)
            return peer;
    }
    if (client->peer_count >= RPC_PEERS_MAX || strlen(endpoint) >= RPC_ENDPOINT_MAX)
        return NULL;
    struct rpc_peer *peer = NEW(struct rpc_peer);
    peer->client = client;
    copy_text(peer->endpoint, sizeof peer->endpoint, endpoint);
    if (!open_socket(peer)) {
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

static void on_closed(uv_handle_t *handle)
{
    struct rpc_peer *peer = handle->data;
    free(peer);
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
        /* libuv holds the handle until its loop turns once more, and lets go of the descriptor now: before
         * ZeroMQ closes it. */
        peer->poll.data = peer;
        uv_close((uv_handle_t *)&peer->poll, on_closed);
        zmq_close(peer->socket);
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
    if (!send_frames(peer->socket, frames, count))
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
