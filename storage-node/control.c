/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/control.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/fiber/cond.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "storage-node/mailbox/machine.h"

struct control {
    struct control_options options;
    struct loop *loop;
    pthread_t thread;
    struct rpc_client *client;
    size_t director; /* the one in use */
    bool stopping;
    struct cond ended; /* stopping was set */
    uint32_t fibers;   /* alive; the loop stops when none is left */
    struct cond poke;  /* the hello fiber has something to do */
    bool map_stale;
    bool was_silent; /* told once */
    struct store_identity identity;
    struct worker_pool *workers; /* NULL until the director has named us */
    uint64_t pushed_epoch[PARTITION_COUNT_MAX];
    uint8_t pushed_min_members;
    bool pushed_whole;   /* a map with all partitions */
    _Atomic bool closed; /* nobody will run what is posted */
    _Atomic bool leaving, refused;
    bool hello_now;
    _Atomic uint32_t asks;
    _Atomic uint64_t answered_mono_ms; /* 0: never */
};

/* ---- calls */

static enum err call_director_at(struct control *c, size_t director, struct rpc_call *call)
{
    struct rpc_peer *peer =
        rpc_client_peer(c->client, c->options.directors->items[director], RPC_ROLE_DIRECTOR);
    call->deadline_ms = CONTROL_CALL_MS;
    call->map_version = map_holder_version(c->options.map);
    enum err err = peer == NULL ? ERR_LIMIT : rpc_call(peer, call);
    if (err == OK)
        atomic_store(&c->answered_mono_ms, clock_mono_ms());
    return err;
}

/* Another director may answer, or be able to act; replicas ask again by themselves. Of many calls that fail
 * with one director only the first turns away from it. */
static void leave_director(struct control *c, size_t director)
{
    if (c->director != director || c->options.directors->count == 1)
        return;
    c->director = (director + 1) % c->options.directors->count;
    c->map_stale = true; /* asking for it subscribes at the other one */
}

static enum err call_director(struct control *c, struct rpc_call *call)
{
    size_t director = c->director;
    enum err err = call_director_at(c, director, call);
    if (err == OK) {
        c->was_silent = false;
        if (call->status == ERR_UNAVAILABLE)
            leave_director(c, director);
    } else {
        leave_director(c, director);
        if (!c->was_silent)
            log_warn("control", "no answer from the director: %s; going on with what is known",
                     err_text(err));
        c->was_silent = true;
    }
    return err;
}

static void fiber_done(struct control *c)
{
    if (--c->fibers == 0 && c->stopping)
        loop_stop(c->loop);
}

/* ---- the map's configurations, as replicas see them */

static uint64_t store_number(const Tern__NodeInfo *node)
{
    struct cursor cursor = cursor_of(slice_of(node->store_id.data, node->store_id.len));
    return cursor_be64(&cursor);
}

/* False if the map does not know the node yet. */
static bool node_of(const Tern__Map *map, uint32_t id, struct replica_node *out)
{
    const Tern__NodeInfo *node = map_find_node(map, id);
    if (node == NULL)
        return false;
    *out = (struct replica_node){ .store = store_number(node), .id = id };
    return true;
}

static bool nodes_of(const Tern__Map *map, const uint32_t *ids, size_t count, struct replica_node *out,
                     uint8_t *count_out)
{
    if (count > REPLICA_NODES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!node_of(map, ids[i], &out[i]))
            return false;
    }
    *count_out = (uint8_t)count;
    return true;
}

static bool conf_of(const Tern__Map *map, const Tern__PartitionConf *from, struct replica_conf *out)
{
    *out = (struct replica_conf){
        .epoch = from->epoch, .since = from->since, .recovered = from->recovered, .handover = from->handover
    };
    return from->partition < PARTITION_COUNT_MAX && node_of(map, from->primary, &out->primary) &&
           nodes_of(map, from->members, from->n_members, out->members, &out->member_count) &&
           nodes_of(map, from->learners, from->n_learners, out->learners, &out->learner_count);
}

static uint8_t min_members(const Tern__Map *map)
{
    return map->min_members >= 1 && map->min_members <= REPLICA_NODES_MAX ? (uint8_t)map->min_members : 1;
}

/* While this node is being stopped it asks to be let go, and goes on acknowledging in the old epoch until it
 * ends: had it heard before the primary, the primary would wait for it in vain. */
static bool lets_us_go(const struct control *c, const Tern__PartitionConf *conf)
{
    if (!atomic_load(&c->leaving))
        return false;
    for (size_t i = 0; i < conf->n_members; i++) {
        if (conf->members[i] == c->identity.node_id)
            return false;
    }
    return true;
}

static void push_confs(struct control *c)
{
    struct map_ref *ref = map_holder_get(c->options.map);
    if (ref == NULL)
        return;
    const Tern__Map *map = map_ref_map(ref);
    if (c->pushed_min_members != min_members(map)) /* it goes with the configurations: all once more */
        memset(c->pushed_epoch, 0, sizeof c->pushed_epoch);
    c->pushed_min_members = min_members(map);
    for (size_t i = 0; i < map->n_partitions; i++) {
        struct replica_conf conf;
        const Tern__PartitionConf *from = map->partitions[i];
        if (!conf_of(map, from, &conf) || conf.epoch <= c->pushed_epoch[from->partition] ||
            lets_us_go(c, from))
            continue;
        c->pushed_epoch[from->partition] = conf.epoch;
        worker_pool_conf(c->workers, from->partition, &conf, 0, min_members(map));
    }
    c->pushed_whole = c->pushed_whole || map->n_partitions > 0;
    map_ref_release(&ref);
}

/* ---- hello and map */

static void refuse(struct control *c, const char *why)
{
    if (!atomic_exchange(&c->refused, true)) /* for ever: told once, and by /readyz */
        log_error("control", "the director refuses this node: %s", why);
}

static void take_map(struct control *c, Tern__MapResponse *response)
{
    Tern__Map *map = response->map;
    if (map == NULL || map->version <= map_holder_version(c->options.map))
        return;
    if (!c->options.on_map(c->options.arg, map)) {
        refuse(c, "its map is another cluster's");
        return;
    }
    response->map = NULL;
    if (map_holder_put(c->options.map, map))
        push_confs(c);
}

static enum err fetch_map(struct control *c)
{
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    request.have_version = map_holder_version(c->options.map);
    request.subscribe = true;
    struct rpc_call call = { .method = METHOD_MAP, .request = &request.base };
    c->map_stale = false;
    enum err err = call_director(c, &call);
    if (err == OK)
        err = call.status;
    if (err == OK) {
        Tern__MapResponse *response = tern__map_response__unpack(NULL, call.response.len, call.response.data);
        if (response != NULL) {
            take_map(c, response);
            tern__map_response__free_unpacked(response, NULL);
        } else {
            err = ERR_PROTOCOL;
        }
    }
    rpc_call_fini(&call);
    if (err != OK)
        c->map_stale = true;
    return err;
}

static void take_identity(struct control *c, uint32_t node_id)
{
    if (c->identity.node_id != node_id) {
        log_info("control", "the director calls this store node %u", node_id);
        c->identity.node_id = node_id;
    }
    if (c->workers == NULL)
        c->workers = c->options.on_identity(c->options.arg, node_id);
}

/* To one director; the call must be rpc_call_fini'd in every case. `director`: its place in the list, or
 * SIZE_MAX for the one in use. */
static enum err call_hello(struct control *c, size_t director, struct rpc_call *call)
{
    size_t to = director == SIZE_MAX ? c->director : director;
    struct arena arena = { 0 };
    Tern__NodeInfo info = TERN__NODE_INFO__INIT;
    Tern__NodeHelloRequest request = TERN__NODE_HELLO_REQUEST__INIT;
    struct statvfs disk;
    info.id = c->identity.node_id;
    info.store_id = (ProtobufCBinaryData){ STORE_ID_SIZE, c->identity.store_id };
    info.name = (char *)c->options.name;
    info.zone = (char *)c->options.zone;
    info.endpoint = (char *)c->options.endpoint;
    info.peer_endpoint = (char *)c->options.peer_endpoint;
    info.beat_endpoint = (char *)c->options.beat_endpoint;
    info.machine_version = MACHINE_VERSION;
    request.node = &info;
    if (c->options.identity->joined)
        request.cluster_id =
            (ProtobufCBinaryData){ CLUSTER_ID_SIZE, (uint8_t *)c->options.identity->cluster_id };
    struct map_ref *ref = map_holder_get(c->options.map);
    if (ref != NULL) { /* the count goes with its map's version */
        request.map_version = map_ref_map(ref)->version;
        request.not_active = c->options.not_active(c->options.arg, map_ref_map(ref));
    }
    request.leaving = atomic_load(&c->leaving);
    map_ref_release(&ref);
    if (statvfs(c->options.data, &disk) == 0) {
        request.disk_total = (uint64_t)disk.f_blocks * disk.f_frsize;
        request.disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
        request.disk_low = c->options.on_disk(c->options.arg, request.disk_free);
    }
    hello_fill(c->options.hello, to, loop_now_ms(), &arena, &request);
    *call = (struct rpc_call){ .method = METHOD_NODE_HELLO, .request = &request.base };
    enum err err = director == SIZE_MAX ? call_director(c, call) : call_director_at(c, director, call);
    hello_done(c->options.hello, to, err == OK && call->status == OK);
    arena_fini(&arena);
    return err;
}

/* R20, R22: only the leading director wishes, and may be any of those that are told of this node. */
static void take_wishes(struct control *c, const Tern__NodeHelloResponse *response)
{
    for (size_t i = 0; i < response->n_wishes && c->workers != NULL; i++) {
        const Tern__Wish *from = response->wishes[i];
        struct worker_wish wish = { .kind = from->kind == TERN__WISH_KIND__WISH_EVICT ? WORKER_WISH_EVICT
                                                                                      : WORKER_WISH_HANDOVER,
                                    .partition = from->partition,
                                    .epoch = from->epoch,
                                    .node = from->node };
        worker_pool_wish(c->workers, &wish);
    }
}

static void take_refusal(struct control *c, const struct rpc_call *call)
{
    if (call->status != ERR_DENIED)
        log_warn("control", "the director refuses this node: %s %s", err_text(call->status), call->detail);
    else
        refuse(c, call->detail);
}

static enum err say_hello(struct control *c)
{
    struct rpc_call call;
    enum err err = call_hello(c, SIZE_MAX, &call);
    if (err == OK && call.status != OK) {
        err = call.status;
        take_refusal(c, &call);
    }
    if (err == OK) {
        Tern__NodeHelloResponse *response =
            tern__node_hello_response__unpack(NULL, call.response.len, call.response.data);
        if (response != NULL && response->node_id != 0) {
            take_identity(c, response->node_id);
            c->map_stale = c->map_stale || response->map_version > map_holder_version(c->options.map);
            atomic_store(&c->refused, false);
            take_wishes(c, response);
            if (response->tell_copies)
                hello_ask_copies(c->options.hello, loop_now_ms());
            c->options.on_full_nodes(c->options.arg, response->full, response->n_full);
        }
        if (response != NULL)
            tern__node_hello_response__free_unpacked(response, NULL);
    }
    rpc_call_fini(&call);
    return err;
}

/* Every director must know who is here: whichever leads decides by it, and another may lead in a moment. The
 * one in use hears it from the hello fiber. */
struct side_hello {
    struct control *control;
    size_t director;
};

static void take_side_answer(struct control *c, const struct rpc_call *call)
{
    Tern__NodeHelloResponse *response =
        tern__node_hello_response__unpack(NULL, call->response.len, call->response.data);
    if (response == NULL)
        return;
    take_wishes(c, response);
    if (response->tell_copies)
        hello_ask_copies(c->options.hello, loop_now_ms());
    tern__node_hello_response__free_unpacked(response, NULL);
}

static void side_hello_fiber(void *arg)
{
    struct side_hello *side = arg;
    struct control *c = side->control;
    while (!c->stopping) {
        if (side->director != c->director && c->identity.node_id != 0) {
            struct rpc_call call;
            enum err err = call_hello(c, side->director, &call);
            if (err == OK && call.status == OK) /* one that is not there hears of us when it is */
                take_side_answer(c, &call);
            rpc_call_fini(&call);
        }
        if (!c->stopping) {
            enum err err = cond_wait(&c->ended, loop_now_ms() + HELLO_INTERVAL_MS);
            (void)err;
        }
    }
    free(side);
    fiber_done(c);
}

static enum err spawn_side_hellos(struct control *c)
{
    for (size_t i = 0; c->options.directors->count > 1 && i < c->options.directors->count; i++) {
        struct side_hello *side = NEW(struct side_hello);
        *side = (struct side_hello){ c, i };
        enum err err = fiber_spawn(c->loop, "side-hello", side_hello_fiber, side);
        if (err != OK) {
            free(side);
            return err;
        }
        c->fibers++;
    }
    return OK;
}

static void hello_fiber(void *arg)
{
    struct control *c = arg;
    uint64_t next_hello = 0;
    while (!c->stopping) {
        if (loop_now_ms() >= next_hello || c->hello_now) {
            c->hello_now = false;
            next_hello = loop_now_ms() + HELLO_INTERVAL_MS;
            if (c->workers != NULL)
                hello_refresh(c->options.hello, c->workers, c->pushed_whole);
            enum err err = say_hello(c);
            if (err == OK && map_holder_version(c->options.map) == 0)
                c->map_stale = true;
        }
        if (c->map_stale && c->workers != NULL && !c->stopping && fetch_map(c) == OK)
            continue;
        if (!c->stopping && !c->hello_now && (!c->map_stale || loop_now_ms() < next_hello)) {
            enum err err = cond_wait(&c->poke, next_hello);
            (void)err; /* a timeout is the next hello */
        }
    }
    fiber_done(c);
}

static void on_notice(uint32_t method, uint32_t partition, struct slice packed, void *arg)
{
    struct control *c = arg;
    if (method != METHOD_MAP_NOTICE)
        return;
    c->map_stale = true;
    cond_signal(&c->poke);
}

/* ---- what replicas ask */

struct ask_job {
    struct control *control;
    struct partition_ask ask;
};

static Tern__ConfChange change_of(enum replica_ask_type type)
{
    switch (type) {
    case REPLICA_ASK_READ:
        return TERN__CONF_CHANGE__CONF_READ;
    case REPLICA_ASK_PROMOTE:
        return TERN__CONF_CHANGE__CONF_PROMOTE;
    case REPLICA_ASK_EVICT:
        return TERN__CONF_CHANGE__CONF_EVICT;
    case REPLICA_ASK_ADD:
        return TERN__CONF_CHANGE__CONF_ADD;
    case REPLICA_ASK_HANDOVER:
        return TERN__CONF_CHANGE__CONF_HANDOVER;
    case REPLICA_ASK_ADD_LEARNER:
        return TERN__CONF_CHANGE__CONF_ADD_LEARNER;
    case REPLICA_ASK_DROP_LEARNER:
        return TERN__CONF_CHANGE__CONF_DROP_LEARNER;
    }
    return TERN__CONF_CHANGE__CONF_READ;
}

static void take_ask_answer(struct control *c, const struct partition_ask *ask, struct slice packed)
{
    Tern__ConfChangeResponse *response = tern__conf_change_response__unpack(NULL, packed.len, packed.data);
    struct map_ref *ref = map_holder_get(c->options.map);
    struct replica_conf conf;
    if (response != NULL && response->conf != NULL && ref != NULL) {
        if (lets_us_go(c, response->conf)) {
            log_debug("control", "partition=%u goes on without this node", ask->partition);
        } else if (conf_of(map_ref_map(ref), response->conf, &conf)) {
            worker_pool_conf(c->workers, ask->partition, &conf, ask->id, min_members(map_ref_map(ref)));
        } else {
            c->map_stale = true; /* it names a node that we have not heard of */
            cond_signal(&c->poke);
        }
    }
    map_ref_release(&ref);
    if (response != NULL)
        tern__conf_change_response__free_unpacked(response, NULL);
}

/* There are enough copies without this node's, so that is deleted. */
static void take_unwanted(struct control *c, const struct partition_ask *ask, const struct rpc_call *call)
{
    take_ask_answer(c, ask, call->response);
    worker_pool_drop(c->workers, ask->partition);
}

static void ask_fiber(void *arg)
{
    struct ask_job *job = arg;
    struct control *c = job->control;
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    request.change = change_of(job->ask.type);
    request.partition = job->ask.partition;
    request.epoch = job->ask.epoch;
    request.asker = c->identity.node_id;
    request.subject = job->ask.node;
    struct rpc_call call = { .method = METHOD_CONF_CHANGE,
                             .partition = job->ask.partition,
                             .request = &request.base };
    enum err err = c->stopping ? ERR_CANCELLED : call_director(c, &call);
    if (err == OK && (call.status == OK || call.status == ERR_CONFLICT))
        take_ask_answer(c, &job->ask, call.response);
    else if (err == OK && call.status == ERR_LIMIT && job->ask.type == REPLICA_ASK_ADD_LEARNER)
        take_unwanted(c, &job->ask, &call);
    else if (err == OK)
        log_warn("control", "the director refuses a change of partition=%u: %s %s", job->ask.partition,
                 err_text(call.status), call.detail);
    rpc_call_fini(&call);
    atomic_fetch_sub(&c->asks, 1);
    free(job);
    fiber_done(c);
}

static void start_ask(void *arg)
{
    struct ask_job *job = arg;
    struct control *c = job->control;
    if (!c->stopping && fiber_spawn(c->loop, "ask", ask_fiber, job) == OK) {
        c->fibers++;
        return;
    }
    atomic_fetch_sub(&c->asks, 1);
    free(job);
}

static void say_hello_now(void *arg)
{
    struct control *c = arg;
    c->hello_now = true;
    cond_broadcast(&c->poke);
    cond_broadcast(&c->ended);
}

void control_leave(struct control *c)
{
    if (!atomic_exchange(&c->leaving, true) && !atomic_load(&c->closed))
        loop_post(c->loop, say_hello_now, c);
}

bool control_is_refused(const struct control *c)
{
    return atomic_load(&c->refused);
}

void control_ask(void *arg, const struct partition_ask *ask)
{
    struct control *c = arg;
    if (ask->type == REPLICA_ASK_ADD_LEARNER && atomic_load(&c->leaving))
        return; /* it has just been let go */
    if (atomic_fetch_add(&c->asks, 1) >= CONTROL_ASKS_MAX || atomic_load(&c->closed)) {
        atomic_fetch_sub(&c->asks, 1);
        return;
    }
    struct ask_job *job = NEW(struct ask_job);
    job->control = c;
    job->ask = *ask;
    loop_post(c->loop, start_ask, job);
}

/* ---- life */

static void *run(void *arg)
{
    struct control *c = arg;
    loop_run(c->loop);
    return NULL;
}

enum err control_start(const struct control_options *options, struct control **out)
{
    struct control *c = NEW(struct control);
    c->options = *options;
    c->identity = *options->identity;
    enum err err = loop_new(&c->loop);
    if (err == OK) {
        c->client = rpc_client_new(c->loop, options->zmq, options->keys, on_notice, c);
        c->fibers = 1;
        err = fiber_spawn(c->loop, "hello", hello_fiber, c);
    }
    if (err == OK)
        err = spawn_side_hellos(c);
    *out = c; /* workers started by the hello fiber may ask before we return */
    if (err == OK && pthread_create(&c->thread, NULL, run, c) != 0)
        err = ERR_IO;
    if (err != OK) {
        log_error("control", "cannot start: %s", err_text(err));
        free(c);
        *out = NULL;
        return err;
    }
    pthread_setname_np(c->thread, "control");
    return OK;
}

static void begin_stop(void *arg)
{
    struct control *c = arg;
    c->stopping = true;
    cond_broadcast(&c->poke);
    cond_broadcast(&c->ended);
    if (c->fibers == 0)
        loop_stop(c->loop);
}

void control_stop(struct control *c)
{
    if (c == NULL || atomic_exchange(&c->closed, true))
        return;
    loop_post(c->loop, begin_stop, c);
    pthread_join(c->thread, NULL);
}

void control_free(struct control **out)
{
    struct control *c = *out;
    if (c == NULL)
        return;
    rpc_client_free(&c->client);
    loop_free(&c->loop);
    free(c);
    *out = NULL;
}

uint64_t control_silence_ms(const struct control *c)
{
    uint64_t at = atomic_load(&c->answered_mono_ms);
    return at == 0 ? UINT64_MAX : clock_mono_ms() - at;
}
