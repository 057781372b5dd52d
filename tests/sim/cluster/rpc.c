/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of control threads and front-ends (lib/rpc/client.h), with the simulator's links in place of sockets:
 * to directors, and of front-ends to nodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "tests/sim/cluster/call.h"
#include "tests/sim/cluster/control.h"
#include "tests/sim/cluster/frontend.h"
#include "tests/sim/common/mail.h"

struct rpc_peer {
    struct rpc_client *client;
    int end;
};

struct rpc_client {
    struct process *process;
    rpc_on_notice *on_notice;
    void *arg;
    struct rpc_peer peers[ENDS];
    struct rpc_call *calls; /* under way, by hash_next */
    uint64_t numbers;       /* given out */
    bool ended;
};

/* An answer or a notice for a process that may have to go on first. */
struct arrival {
    struct event event; /* first */
    int end;
    uint64_t boot, number; /* number: of the call; 0: a notice */
    uint32_t method, partition;
    enum err status;
    uint64_t time_ms, map_version;
    char hint[RPC_ENDPOINT_MAX];
    struct buf response, body;
};

/* One for all, and never used. */
void *rpc_context_new(void)
{
    static char context;
    return &context;
}

struct rpc_client *rpc_client_new(struct loop *loop, void *zmq, struct rpc_keys *keys,
                                  rpc_on_notice *on_notice, void *arg)
{
    struct rpc_client *client = NEW(struct rpc_client);
    struct process *process = surroundings_process();
    (void)zmq;
    (void)keys;
    *client = (struct rpc_client){ .process = process, .on_notice = on_notice, .arg = arg };
    for (int i = 0; i < ENDS; i++)
        client->peers[i] = (struct rpc_peer){ client, i };
    process->loop = loop;
    process->client = client;
    return client;
}

void rpc_client_free(struct rpc_client **client)
{
    free(*client);
    *client = NULL;
}

size_t rpc_client_calls(const struct rpc_client *client)
{
    size_t count = 0;
    for (const struct rpc_call *call = client->calls; call != NULL; call = call->hash_next)
        count++;
    return count;
}

/* Directors by their number, nodes by their machine's. */
struct rpc_peer *rpc_client_peer(struct rpc_client *client, const char *endpoint, enum rpc_role role)
{
    int number;
    (void)role;
    if (sscanf(endpoint, "director-%d", &number) == 1)
        return &client->peers[end_of_director(number)];
    return sscanf(endpoint, "machine-%d", &number) == 1 ? &client->peers[number] : NULL;
}

/* ---- calls */

static struct director_call call_of(const struct rpc_peer *peer, const struct rpc_call *call)
{
    const struct process *process = peer->client->process;
    struct director_call out = { .node = process->end,
                                 .boot = process->boot,
                                 .director = peer->end - end_of_director(0),
                                 .partition = call->partition,
                                 .number = call->id };
    out.kind = call->method == METHOD_NODE_HELLO ? CALL_HELLO
               : call->method == METHOD_MAP      ? CALL_MAP
                                                 : CALL_CONF;
    return out;
}

static void send_to_director(const struct rpc_peer *peer, const struct rpc_call *call)
{
    struct director_call sent = call_of(peer, call);
    const ProtobufCMessage *request = call->request;
    Tern__NodeHelloRequest hello;
    if (surroundings_world()->breaks.copies_only && sent.kind == CALL_HELLO) {
        hello = *(const Tern__NodeHelloRequest *)request;
        hello.n_epochs = 0;
        request = &hello.base;
    }
    director_call_send(&sent, (enum method)call->method, request);
}

static void on_node_answered(struct call *answered);

static void send_to_node(const struct rpc_peer *peer, struct rpc_call *call)
{
    struct cluster *c = surroundings_world();
    int frontend = peer->client->process->end - end_of_frontend(0);
    if (peer->end >= c->slots)
        return; /* nobody is there */
    struct call *sent = call_new(c, frontend, peer->end, (int)call->partition, call->deadline_ms);
    enum method_kind kind = METHOD_CLUSTER;
    if (!method_find(call->method, &kind) || kind == METHOD_WRITE || call->body.len > 0)
        cluster_fail(c, "a front-end sends what this simulator does not carry: %s",
                     method_name(call->method));
    mail_pack(call->request, &sent->request);
    sent->number = call->id;
    sent->base.method = call->method;
    sent->base.kind = kind;
    sent->base.peer = (struct partition_peer){ .bytes = { (uint8_t)frontend }, .len = 1 };
    sent->answered = on_node_answered;
    c->totals.watches += call->method == METHOD_WATCH;
    call_send(sent);
}

static void unlink_call(struct rpc_call *call)
{
    if (!call->submitted)
        return;
    struct rpc_call **at = &call->client->calls;
    while (*at != call)
        at = &(*at)->hash_next;
    *at = call->hash_next;
    call->submitted = false;
}

enum err rpc_submit(struct rpc_peer *peer, struct rpc_call *call)
{
    struct rpc_client *client = peer->client;
    const struct node *n = client->process->node;
    call->id = ++client->numbers;
    call->client = client;
    call->deadline_mono_ms = loop_deadline_ms(call->deadline_ms);
    call->hash_next = client->calls;
    client->calls = call;
    call->submitted = true;
    if (client->ended || (n != NULL && n->dying))
        return OK;
    if (peer->end >= end_of_director(0))
        send_to_director(peer, call);
    else
        send_to_node(peer, call);
    return OK;
}

enum err rpc_wait(struct rpc_call *call)
{
    enum err err = OK;
    call->waiter = fiber_self();
    while (!call->done && !call->client->ended && !call->abandoned && err == OK)
        err = fiber_suspend_until(call->deadline_mono_ms);
    call->waiter = NULL;
    unlink_call(call);
    return call->done ? OK : ERR_TIMEOUT;
}

enum err rpc_call(struct rpc_peer *peer, struct rpc_call *call)
{
    TRY(rpc_submit(peer, call));
    return rpc_wait(call);
}

void rpc_call_abandon(struct rpc_call *call)
{
    call->abandoned = true;
    if (call->waiter != NULL)
        fiber_wake(call->waiter);
}

void rpc_call_fini(struct rpc_call *call)
{
    unlink_call(call);
    free((void *)call->response.data);
    free((void *)call->response_body.data);
    call->response = call->response_body = SLICE_NULL;
}

void process_calls_end(struct rpc_client *client)
{
    client->ended = true;
    for (struct rpc_call *call = client->calls; call != NULL; call = call->hash_next) {
        if (call->waiter != NULL)
            fiber_wake(call->waiter);
    }
}

/* ---- what comes */

static void arrival_drop(struct event *e)
{
    struct arrival *a = (struct arrival *)e;
    buf_fini(&a->response);
    buf_fini(&a->body);
    free(a);
}

static struct slice copy(const struct buf *buf)
{
    return slice_of(xmemdup(buf->data, buf->len), buf->len);
}

/* NULL: it was answered, or given up. */
static struct rpc_call *find_call(const struct rpc_client *client, uint64_t number)
{
    struct rpc_call *call = client->calls;
    while (call != NULL && call->id != number)
        call = call->hash_next;
    return call == NULL || call->done ? NULL : call;
}

static void take_answer(struct rpc_client *client, const struct arrival *a)
{
    struct rpc_call *call = find_call(client, a->number);
    if (call == NULL)
        return;
    call->done = true;
    call->status = a->status;
    call->time_ms = a->time_ms;
    call->peer_map_version = a->map_version;
    memcpy(call->primary_hint, a->hint, sizeof call->primary_hint);
    call->response = copy(&a->response);
    call->response_body = copy(&a->body);
    if (call->waiter != NULL)
        fiber_wake(call->waiter);
}

static void take(struct process *process, const struct arrival *a)
{
    struct process *before = surroundings_enter(process);
    process_loop_enter(process->loop);
    if (a->number != 0)
        take_answer(process->client, a);
    else
        process->client->on_notice(a->method, a->partition, buf_slice(&a->response), process->client->arg);
    process_loop_leave();
    surroundings_enter(before);
}

/* NULL: it ended. */
static struct process *find_process(struct cluster *c, int end, uint64_t boot)
{
    struct node *n = end < SLOTS_MAX ? c->nodes[end] : NULL;
    struct process *process = n != NULL ? &n->process : frontend_process(c, end - end_of_frontend(0));
    bool runs = n == NULL || (n->up && !n->dying);
    return runs && process->boot == boot ? process : NULL;
}

static void arrival_run(struct cluster *c, struct event *e)
{
    struct arrival *a = (struct arrival *)e;
    struct process *process = find_process(c, a->end, a->boot);
    const struct node *n = process == NULL ? NULL : process->node;
    if (n != NULL && c->now < n->paused_until) { /* it waits in the kernel */
        cluster_post(c, e, n->paused_until);
        return;
    }
    if (process != NULL)
        take(process, a);
    arrival_drop(e);
}

static struct arrival *arrival_new(int end, uint64_t boot)
{
    struct arrival *a = NEW(struct arrival);
    *a = (struct arrival){ .event = { .run = arrival_run, .drop = arrival_drop }, .end = end, .boot = boot };
    return a;
}

void node_answer(const struct director_call *call, enum err status, struct slice response)
{
    struct arrival *a = arrival_new(call->node, call->boot);
    a->number = call->number;
    a->status = status;
    buf_add_slice(&a->response, response);
    arrival_run(surroundings_world(), &a->event);
}

void node_notice(int end, uint64_t boot, uint64_t version)
{
    struct arrival *a = arrival_new(end, boot);
    Tern__MapNotice notice = TERN__MAP_NOTICE__INIT;
    notice.version = version;
    a->method = METHOD_MAP_NOTICE;
    mail_pack(&notice.base, &a->response);
    arrival_run(surroundings_world(), &a->event);
}

uint64_t node_sends_at(const struct director_call *call)
{
    struct cluster *c = surroundings_world();
    const struct process *process = find_process(c, call->node, call->boot);
    const struct rpc_call *made = process == NULL ? NULL : find_call(process->client, call->number);
    if (made == NULL || made->abandoned)
        return 0;
    const struct node *n = process->node;
    return n != NULL && c->now < n->paused_until ? n->paused_until / MS + 1 : sim_now();
}

static void on_node_answered(struct call *answered)
{
    struct arrival *a = arrival_new(end_of_frontend(answered->frontend),
                                    frontend_process(answered->c, answered->frontend)->boot);
    a->number = answered->number;
    a->status = answered->status;
    a->time_ms = answered->time_ms;
    a->map_version = answered->map_version;
    memcpy(a->hint, answered->hint, sizeof a->hint);
    buf_add_slice(&a->response, buf_slice(&answered->response));
    buf_add_slice(&a->body, buf_slice(&answered->bytes));
    arrival_run(answered->c, &a->event);
}

void process_notify(struct node *from, int to, uint32_t method, uint32_t partition, struct slice packed)
{
    struct cluster *c = from->c;
    uint64_t at;
    if (from->dying || !network_route(c, from->slot, to, &at))
        return;
    struct arrival *a = arrival_new(to, frontend_process(c, to - end_of_frontend(0))->boot);
    a->method = method;
    a->partition = partition;
    buf_add_slice(&a->response, packed);
    c->totals.notices++;
    cluster_post(c, &a->event, at);
}
