/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: sent, or kept until their peer can be reached, and ended by an answer or by their deadline. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client_priv.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/farewell.h"
#include "lib/rpc/frame.h"
#include "proto/rpc.pb-c.h"

enum { RECEIVE_BATCH = 64 /* messages of one peer a turn */ };

/* ---- the table of open calls */

static void table_add(struct rpc_client *client, struct rpc_call *call)
{
    struct rpc_call **bucket = &client->calls[call->id % CLIENT_BUCKETS];
    call->hash_next = *bucket;
    *bucket = call;
    client->call_count++;
    call->peer->call_count++;
}

static struct rpc_call *table_take(struct rpc_client *client, uint64_t id)
{
    struct rpc_call **at = &client->calls[id % CLIENT_BUCKETS];
    for (; *at != NULL; at = &(*at)->hash_next) {
        if ((*at)->id == id) {
            struct rpc_call *call = *at;
            *at = call->hash_next;
            client->call_count--;
            call->peer->call_count--;
            return call;
        }
    }
    return NULL;
}

/* ---- calls that wait for a connection
 *
 * They wait here and not inside of ZeroMQ: one that ended meanwhile is never sent, so a peer that was away
 * meets no burst of what nobody expects an answer to any more. */

static void free_frames(struct rpc_call *call)
{
    for (int i = 0; i < call->frame_count; i++)
        zmq_msg_close(&call->frames[i]);
    call->frame_count = 0;
}

static void stop_waiting(struct rpc_call *call)
{
    if (!call->waiting)
        return;
    TAILQ_REMOVE(&call->peer->waiting, call, wait_entry);
    call->peer->waiting_count--;
    call->waiting = false;
    free_frames(call);
}

static void start_waiting(struct rpc_call *call)
{
    TAILQ_INSERT_TAIL(&call->peer->waiting, call, wait_entry);
    call->peer->waiting_count++;
    call->waiting = true;
}

static void pack_header(zmq_msg_t *msg, const struct rpc_call *call, uint64_t now)
{
    Tern__RequestHeader h = TERN__REQUEST_HEADER__INIT;
    h.version = RPC_VERSION;
    h.call = call->id;
    h.method = call->method;
    h.partition = call->partition;
    h.map_version = call->map_version;
    h.deadline_ms = call->deadline_mono_ms > now ? (uint32_t)(call->deadline_mono_ms - now) : 0;
    if (call->has_id) {
        h.request_id.data = (uint8_t *)call->id_bytes;
        h.request_id.len = sizeof call->id_bytes;
    }
    frame_pack(msg, &h.base);
}

/* What ZeroMQ refuses stays with the call: it is given copies, which share the bytes. */
static bool send_call(struct rpc_call *call, uint64_t now)
{
    zmq_msg_t frames[1 + RPC_CALL_FRAMES];
    pack_header(&frames[0], call, now);
    for (int i = 0; i < call->frame_count; i++) {
        zmq_msg_init(&frames[1 + i]);
        zmq_msg_copy(&frames[1 + i], &call->frames[i]);
    }
    return conn_send(call->peer->conn, frames, 1 + call->frame_count);
}

/* In the order in which they came. Those whose time is over end in rpc_wait. */
static void send_waiting(struct rpc_peer *peer)
{
    if (peer->waiting_count == 0 || !conn_can_send(peer->conn))
        return;
    struct rpc_call *call;
    uint64_t now = clock_mono_ms();
    while ((call = TAILQ_FIRST(&peer->waiting)) != NULL) {
        if (call->deadline_mono_ms > now && !call->abandoned && !send_call(call, now))
            break;
        stop_waiting(call);
    }
}

/* ---- in */

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text == NULL ? "" : text);
}

static void finish_call(struct rpc_call *call, const Tern__ResponseHeader *h, zmq_msg_t *payload,
                        zmq_msg_t *body)
{
    stop_waiting(call); /* an answer that came before the question: no matter */
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

/* The peer is about to hang up and wants to know that everything before this was read. Should ZeroMQ not take
 * it, the peer asks again. */
static void return_farewell(struct rpc_client *client, struct conn *conn)
{
    Tern__RequestHeader h = TERN__REQUEST_HEADER__INIT;
    zmq_msg_t frames[2];
    h.version = RPC_VERSION;
    h.call = ++client->last_id;
    h.method = FAREWELL_METHOD;
    frame_pack(&frames[0], &h.base);
    zmq_msg_init(&frames[1]);
    conn_send(conn, frames, 2);
}

static void dispatch(struct rpc_client *client, struct conn *conn, zmq_msg_t *header, zmq_msg_t *payload,
                     zmq_msg_t *body)
{
    Tern__ResponseHeader *h = NULL;
    if (frame_decode_response(frame_slice(header), &h) != OK) {
        log_warn("rpc", "malformed answer dropped");
    } else if (h->call == 0 && h->method == FAREWELL_METHOD) {
        return_farewell(client, conn);
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
        dispatch(peer->client, conn, &parts[0], &parts[1], count == 3 ? &parts[2] : NULL);
    else if (count > 0)
        log_warn("rpc", "answer with %d frames dropped endpoint=%s", count, peer->endpoint);
    for (int i = 0; i < count && i < 3; i++)
        zmq_msg_close(&parts[i]);
    return count > 0;
}

/* True if there is more. A look that finds nothing has taken in all news: ZMQ_FD tells of the next.
 *
 * The look also lets ZeroMQ hear between two messages that the other end has hung up, which drops what is
 * unread (conn.c). By itself it looks for news at every hundredth frame, and aborts if that tears a message
 * apart (4.3.4, fq.cpp). */
static bool drain_conn(struct rpc_peer *peer, struct conn *conn)
{
    for (int i = 0; i < RECEIVE_BATCH; i++) {
        if (!rpc_socket_has_input(conn->socket) || !receive_one(peer, conn))
            return false;
    }
    return rpc_socket_has_input(conn->socket);
}

/* Runs at the end of every turn, because ZMQ_FD only hints at changes since the last look (and a send may
 * swallow the hint). */
static bool drain(void *arg)
{
    struct rpc_client *client = arg;
    bool more = false;
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        if (rpc_watch_refused(peer->conn->watch))
            rpc_peer_try_anew(peer, &peer->conn);
        else if (peer->fresh != NULL && rpc_watch_refused(peer->fresh->watch))
            rpc_peer_try_anew(peer, &peer->fresh);
        send_waiting(peer);
        more |= drain_conn(peer, peer->conn); /* last: sending may swallow the hint, too */
        for (struct conn *conn = peer->retired; conn != NULL; conn = conn->next)
            more |= drain_conn(peer, conn);
    }
    rpc_client_follow_keys(client);
    return more;
}

/* ---- life */

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

void rpc_client_free(struct rpc_client **client)
{
    struct rpc_client *c = *client;
    if (c == NULL)
        return;
    assert(c->call_count == 0);
    loop_hook_remove(&c->hook);
    rpc_client_free_peers(c);
    free(c);
    *client = NULL;
}

/* ---- calls */

size_t rpc_client_calls(const struct rpc_client *client)
{
    return client->call_count;
}

static void pack_frames(struct rpc_call *call)
{
    frame_pack(&call->frames[call->frame_count++], call->request);
    if (call->body.len > 0)
        frame_copy(&call->frames[call->frame_count++], call->body);
    call->has_id = call->request_id != NULL;
    if (call->has_id)
        memcpy(call->id_bytes, call->request_id, sizeof call->id_bytes);
}

enum err rpc_submit(struct rpc_peer *peer, struct rpc_call *call)
{
    struct rpc_client *client = peer->client;
    assert(!call->submitted);
    if (client->call_count >= RPC_CALLS_MAX || peer->waiting_count >= RPC_HWM)
        return ERR_BUSY;
    uint64_t now = clock_mono_ms();
    call->id = ++client->last_id;
    call->client = client;
    call->peer = peer;
    call->deadline_mono_ms = now + call->deadline_ms;
    pack_frames(call);
    if (peer->waiting_count == 0 && send_call(call, now))
        free_frames(call);
    else
        start_waiting(call);
    call->submitted = true;
    table_add(client, call);
    return OK;
}

/* Nobody waits for its answer any more. */
static void forget(struct rpc_call *call)
{
    table_take(call->client, call->id);
    stop_waiting(call);
    call->submitted = false;
}

enum err rpc_wait(struct rpc_call *call)
{
    assert(call->submitted);
    call->waiter = fiber_self();
    while (!call->done) {
        if ((call->abandoned || fiber_suspend_until(call->deadline_mono_ms) == ERR_TIMEOUT) && !call->done) {
            forget(call);
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
        forget(call);
    if (call->have_response)
        zmq_msg_close(&call->response_msg);
    if (call->have_body)
        zmq_msg_close(&call->body_msg);
    call->have_response = call->have_body = call->submitted = call->done = false;
}
