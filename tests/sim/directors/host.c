/* SPDX-License-Identifier: Apache-2.0 */
/* The directors' processes: the code of director/ with its turns, requests that come to it, and its answers
 * and notices (lib/rpc/server.h, here in place of the sockets). */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "tests/sim/directors/directors.h"

struct directors directors;

enum {
    TURN_WITHIN_MS = 3,
    START_AGAIN_MS = 500,
    PATIENCE_MS = 10000,
    CONNECT_WITHIN_MS = 1000, /* RECONNECT_IVL_MAX_MS of lib/rpc/endpoint.c */
};

struct wake {
    struct todo todo;
    int host;
    uint64_t boot;
    bool tick;
};

/* A request or an answer on its way, or a request that waits with its sender. */
struct letter {
    struct todo todo;
    struct director_call call;
    enum method method;
    struct buf bytes;
    enum err status;
    bool answer, waits;
    uint64_t notice; /* a map's version; 0: no notice */
    uint64_t era;
};

void host_enter(int host)
{
    directors.running = host;
}

void host_leave(void)
{
    directors.running = -1;
}

/* ---- turns */

static void wake_run(struct todo *todo);

static void wake_drop(struct todo *todo)
{
    free(todo);
}

static void wake_post(int host, bool tick, uint64_t at)
{
    struct wake *w = NEW(struct wake);
    *w = (struct wake){ { .run = wake_run, .drop = wake_drop }, host, directors.hosts[host].boot, tick };
    sim_post(&w->todo, at);
}

void host_poke(int host)
{
    struct host *h = &directors.hosts[host];
    if (h->d == NULL || h->poked || h->ending)
        return;
    h->poked = true;
    wake_post(host, false, sim_now() + sim_below(TURN_WITHIN_MS));
}

static struct event *take_events(struct director *d)
{
    struct event *list = NULL;
    if (d->events.head != NULL && !events_take(&d->events, 0, &list))
        sim_fail("a director's events have ended");
    return list;
}

/* As director_start does, in pieces: nothing is asked of it before the cluster's row is there. */
static void prepare(struct host *h)
{
    director_run_events(h->d, take_events(h->d));
    if (h->d->changes_open > 0)
        return;
    if (h->d->map.cluster_mod != 0) {
        h->ready = true;
        h->d->publish.told_version = h->d->map.version;
    } else if (create_cluster(h->d) != OK) {
        sim_fail("a director refuses its cluster");
    }
}

static void turn(int host)
{
    struct host *h = &directors.hosts[host];
    host_enter(host);
    if (h->ready)
        director_turn(h->d, take_events(h->d));
    else
        prepare(h);
    check_turn(host);
    host_leave();
}

static void start(int host)
{
    struct host *h = &directors.hosts[host];
    h->boot = sim_rand() | 1;
    h->client = store_connect(host);
    if (h->client == NULL) {
        h->up_at = sim_now() + START_AGAIN_MS;
        return;
    }
    struct director_options options = directors.options;
    options.coordination = store_coordination(h->client);
    host_enter(host);
    h->ready = h->poked = false;
    h->d = director_new(&options);
    if (director_load(h->d) != OK || create_cluster(h->d) != OK)
        sim_fail("a director does not start");
    host_leave();
    sim_trace("director %d starts", host);
}

static void stop(int host)
{
    struct host *h = &directors.hosts[host];
    if (h->d == NULL)
        return;
    h->ending = true; /* answers and transactions of its end go nowhere */
    host_enter(host);
    director_end(h->d);
    director_free(&h->d);
    host_leave();
    h->ending = false;
    h->boot = 0;
}

void host_crash(int host, uint64_t ms)
{
    struct host *h = &directors.hosts[host];
    if (h->d == NULL)
        return;
    sim_trace("director %d dies", host);
    stop(host);
    h->up_at = sim_now() + ms;
    directors.totals.crashes++;
}

const struct conf *host_conf(int host, uint32_t partition)
{
    const struct director *d = directors.hosts[host].d;
    return d != NULL && partition < d->map.partition_count ? &d->map.confs[partition] : NULL;
}

static void wake_run(struct todo *todo)
{
    struct wake *w = (struct wake *)todo;
    struct host *h = &directors.hosts[w->host];
    if (w->tick) {
        if (h->d == NULL && sim_now() >= h->up_at)
            start(w->host);
        if (h->d != NULL && sim_now() >= h->paused_until)
            turn(w->host);
        sim_post(todo, sim_now() + DIRECTOR_TICK_MS / 2 + sim_below(DIRECTOR_TICK_MS / 2));
        return;
    }
    if (h->d != NULL && h->boot == w->boot && sim_now() < h->paused_until) {
        sim_post(todo, h->paused_until);
        return;
    }
    if (h->d != NULL && h->boot == w->boot) {
        h->poked = false;
        turn(w->host);
    }
    free(w);
}

/* ---- letters */

static void letter_run(struct todo *todo);

static void letter_drop(struct todo *todo)
{
    struct letter *l = (struct letter *)todo;
    buf_fini(&l->bytes);
    free(l);
}

/* Its process binds when it is ready (director_start). */
static bool listens(int host)
{
    const struct host *h = &directors.hosts[host];
    return h->d != NULL && h->ready;
}

static void deliver_request(struct letter *l)
{
    struct host *h = &directors.hosts[l->call.director];
    if (!listens(l->call.director))
        return;
    struct rpc_request *request = NEW(struct rpc_request);
    struct director_call *call = xmemdup(&l->call, sizeof *call);
    request->method = (uint32_t)l->method;
    request->user = call;
    request->peer.len = sizeof call->node + sizeof call->boot;
    memcpy(request->peer.bytes, &call->node, sizeof call->node);
    memcpy(request->peer.bytes + sizeof call->node, &call->boot, sizeof call->boot);
    request->request = slice_of(xmemdup(l->bytes.data, l->bytes.len), l->bytes.len);
    host_enter(l->call.director);
    request->deadline_mono_ms = clock_mono_ms() + PATIENCE_MS;
    director_request(h->d, request);
    host_leave();
    host_poke(l->call.director);
}

static int end_of(const struct director_call *call)
{
    return call->node < 0 ? END_STORE : END_NODE + call->node; /* operators sit beside the store */
}

static struct letter *letter_new(const struct director_call *call)
{
    struct letter *l = NEW(struct letter);
    l->todo = (struct todo){ .run = letter_run, .drop = letter_drop };
    l->call = *call;
    l->era = directors.era;
    return l;
}

/* Once, twice, or not at all. Takes it over. */
static void letter_send(struct letter *l)
{
    for (int i = 0; i < 1 + sim_chance(sim_calm() ? 0 : directors.twice); i++) {
        uint64_t at;
        if (!sim_route(end_of(&l->call), l->call.director, &at))
            continue;
        struct letter *sent = letter_new(&l->call);
        sent->method = l->method;
        buf_add_slice(&sent->bytes, buf_slice(&l->bytes));
        sim_post(&sent->todo, at);
    }
    letter_drop(&l->todo);
}

static bool can_connect(const struct director_call *call)
{
    return listens(call->director) && !sim_cut(end_of(call), call->director) &&
           !sim_cut(call->director, end_of(call));
}

/* As lib/rpc/client.c does it: with nobody to connect to a call waits, and goes out once there is, unless it
 * was given up by then. */
static void letter_wait(struct letter *l)
{
    uint64_t now = sim_now(), at = node_sends_at(&l->call);
    if (at == 0)
        letter_drop(&l->todo);
    else if (at <= now && can_connect(&l->call))
        letter_send(l);
    else
        sim_post(&l->todo, (at > now ? at : now) + 1 + sim_below(CONNECT_WITHIN_MS));
}

static void letter_run(struct todo *todo)
{
    struct letter *l = (struct letter *)todo;
    if (l->waits) {
        letter_wait(l);
        return;
    }
    if (l->era != directors.era) { /* to put a store back takes longer than any message */
        letter_drop(todo);
        return;
    }
    if (l->notice != 0)
        node_notice(l->call.node, l->call.boot, l->notice);
    else if (!l->answer)
        deliver_request(l);
    else if (l->call.node < 0)
        weather_answer(&l->call, l->status);
    else
        node_answer(&l->call, l->status, buf_slice(&l->bytes));
    letter_drop(todo);
}

void director_call_send(const struct director_call *call, enum method method, const ProtobufCMessage *request)
{
    struct letter *l = letter_new(call);
    size_t size = protobuf_c_message_get_packed_size(request);
    l->method = method;
    protobuf_c_message_pack(request, buf_reserve(&l->bytes, size));
    l->bytes.len += size;
    l->waits = !listens(call->director) && call->node >= 0 && node_sends_at(call) != 0;
    if (l->waits)
        letter_wait(l);
    else
        letter_send(l);
}

void rpc_reply(struct rpc_request **requestp, enum err status, const struct rpc_reply_info *info,
               struct buf *response, struct buf *body)
{
    struct rpc_request *request = *requestp;
    struct director_call *call = request->user;
    uint64_t at;
    (void)info;
    if (!directors.hosts[call->director].ending && sim_route(call->director, end_of(call), &at)) {
        struct letter *l = letter_new(call);
        l->answer = true;
        l->status = status;
        if (response != NULL)
            buf_add_slice(&l->bytes, buf_slice(response));
        sim_post(&l->todo, at);
    }
    if (response != NULL)
        buf_fini(response);
    if (body != NULL)
        buf_fini(body);
    free((void *)request->request.data);
    free(call);
    free(request);
    *requestp = NULL;
}

void rpc_notify(struct rpc_server *server, const struct rpc_peer_id *peer, uint32_t method,
                uint32_t partition, struct slice packed)
{
    struct director_call call = { .director = directors.running };
    uint64_t at;
    (void)server;
    (void)partition;
    memcpy(&call.node, peer->bytes, sizeof call.node);
    memcpy(&call.boot, peer->bytes + sizeof call.node, sizeof call.boot);
    Tern__MapNotice *notice =
        method == METHOD_MAP_NOTICE ? tern__map_notice__unpack(NULL, packed.len, packed.data) : NULL;
    if (notice == NULL) {
        sim_fail("a notice that nobody knows");
        return;
    }
    if (sim_route(call.director, end_of(&call), &at)) {
        struct letter *l = letter_new(&call);
        l->notice = notice->version;
        sim_post(&l->todo, at);
    }
    tern__map_notice__free_unpacked(notice, NULL);
}

/* ---- life */

void directors_init(void)
{
    directors = (struct directors){ .running = -1 };
}

void hosts_init(void)
{
    for (int i = 0; i < directors.count; i++)
        wake_post(i, true, sim_below(DIRECTOR_TICK_MS));
}

void hosts_fini(void)
{
    for (int i = 0; i < directors.count; i++)
        stop(i);
}
