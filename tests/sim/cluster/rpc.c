/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of control threads to directors (lib/rpc/client.h), with the simulator's links in place of sockets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "tests/sim/cluster/control.h"

struct rpc_peer {
    struct rpc_client *client;
    int director;
};

struct rpc_client {
    struct node *node;
    rpc_on_notice *on_notice;
    void *arg;
    struct rpc_peer peers[DIRECTORS];
    struct rpc_call *calls; /* under way, by hash_next */
    uint64_t numbers;       /* given out */
    bool ended;
};

/* What came for a node that may have to go on first. */
struct arrival {
    struct event event; /* first */
    struct director_call call;
    uint64_t notice; /* a map's version; 0: an answer */
    enum err status;
    struct buf bytes;
};

struct rpc_client *rpc_client_new(struct loop *loop, void *zmq, struct rpc_keys *keys,
                                  rpc_on_notice *on_notice, void *arg)
{
    struct rpc_client *client = NEW(struct rpc_client);
    struct node *n = surroundings_node();
    (void)zmq;
    (void)keys;
    *client = (struct rpc_client){ .node = n, .on_notice = on_notice, .arg = arg };
    for (int i = 0; i < DIRECTORS; i++)
        client->peers[i] = (struct rpc_peer){ client, i };
    n->loop = loop;
    n->client = client;
    return client;
}

void rpc_client_free(struct rpc_client **client)
{
    free(*client);
    *client = NULL;
}

struct rpc_peer *rpc_client_peer(struct rpc_client *client, const char *endpoint, enum rpc_role role)
{
    int director;
    (void)role;
    return sscanf(endpoint, "director-%d", &director) == 1 ? &client->peers[director] : NULL;
}

static struct director_call call_of(const struct rpc_peer *peer, const struct rpc_call *call)
{
    const struct node *n = peer->client->node;
    struct director_call out = { .node = n->slot,
                                 .boot = n->boot,
                                 .director = peer->director,
                                 .partition = call->partition,
                                 .number = call->id };
    out.kind = call->method == METHOD_NODE_HELLO ? CALL_HELLO
               : call->method == METHOD_MAP      ? CALL_MAP
                                                 : CALL_CONF;
    return out;
}

static void send_call(const struct node *n, const struct rpc_peer *peer, const struct rpc_call *call)
{
    struct director_call sent = call_of(peer, call);
    const ProtobufCMessage *request = call->request;
    Tern__NodeHelloRequest hello;
    if (n->dying)
        return;
    if (n->c->breaks.copies_only && sent.kind == CALL_HELLO) {
        hello = *(const Tern__NodeHelloRequest *)request;
        hello.n_epochs = 0;
        request = &hello.base;
    }
    director_call_send(&sent, (enum method)call->method, request);
}

static void unlink_call(struct rpc_client *client, struct rpc_call *call)
{
    struct rpc_call **at = &client->calls;
    while (*at != call)
        at = &(*at)->hash_next;
    *at = call->hash_next;
}

enum err rpc_call(struct rpc_peer *peer, struct rpc_call *call)
{
    struct rpc_client *client = peer->client;
    uint64_t deadline = loop_deadline_ms(call->deadline_ms);
    enum err err = OK;
    if (client->ended)
        return ERR_TIMEOUT;
    call->id = ++client->numbers;
    call->waiter = fiber_self();
    call->hash_next = client->calls;
    client->calls = call;
    send_call(client->node, peer, call);
    while (!call->done && !client->ended && err == OK)
        err = fiber_suspend_until(deadline);
    unlink_call(client, call);
    return call->done ? OK : ERR_TIMEOUT;
}

void rpc_call_fini(struct rpc_call *call)
{
    free((void *)call->response.data);
    call->response = SLICE_NULL;
}

void control_calls_end(struct rpc_client *client)
{
    client->ended = true;
    for (struct rpc_call *call = client->calls; call != NULL; call = call->hash_next)
        fiber_wake(call->waiter);
}

/* ---- what comes */

static void arrival_drop(struct event *e)
{
    buf_fini(&((struct arrival *)e)->bytes);
    free(e);
}

static void take_answer(struct rpc_client *client, struct arrival *a)
{
    struct rpc_call *call = client->calls;
    while (call != NULL && call->id != a->call.number)
        call = call->hash_next;
    if (call == NULL || call->done) /* given up, or the answer to the same once more */
        return;
    call->done = true;
    call->status = a->status;
    call->response = slice_of(xmemdup(a->bytes.data, a->bytes.len), a->bytes.len);
    fiber_wake(call->waiter);
}

static void take_notice(struct rpc_client *client, uint64_t version)
{
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    uint8_t packed[16];
    notice.version = version;
    size_t len = tern__map_notice__pack(&notice, packed);
    client->on_notice(METHOD_MAP_NOTICE, 0, slice_of(packed, len), client->arg);
}

static void arrival_run(struct cluster *c, struct event *e)
{
    struct arrival *a = (struct arrival *)e;
    struct node *n = c->nodes[a->call.node];
    if (n->up && c->now < n->paused_until) { /* it waits in the kernel */
        cluster_post(c, e, n->paused_until);
        return;
    }
    if (n->up && !n->dying && n->boot == a->call.boot) {
        struct node *before = surroundings_enter(n);
        control_loop_enter(n->loop);
        if (a->notice != 0)
            take_notice(n->client, a->notice);
        else
            take_answer(n->client, a);
        control_loop_leave();
        surroundings_enter(before);
    }
    arrival_drop(e);
}

static struct arrival *arrival_new(const struct director_call *call)
{
    struct arrival *a = NEW(struct arrival);
    *a = (struct arrival){ .event = { .run = arrival_run, .drop = arrival_drop }, .call = *call };
    return a;
}

void node_answer(const struct director_call *call, enum err status, struct slice response)
{
    struct arrival *a = arrival_new(call);
    a->status = status;
    buf_add_slice(&a->bytes, response);
    arrival_run(surroundings_world(), &a->event);
}

void node_notice(int slot, uint64_t boot, uint64_t version)
{
    struct director_call call = { .node = slot, .boot = boot };
    struct arrival *a = arrival_new(&call);
    a->notice = version;
    arrival_run(surroundings_world(), &a->event);
}
