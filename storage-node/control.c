/* SPDX-License-Identifier: Apache-2.0 */
/* The thread, its way to a director, and the map. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "storage-node/control_priv.h"

/* ---- calls */

enum err control_call_at(struct control *c, size_t director, struct rpc_call *call)
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
    control_want_map(c); /* asking for it subscribes at the other one */
}

bool control_may_tell(struct control_telling *telling)
{
    uint64_t now = clock_mono_ms();
    telling->untold++;
    if (telling->told_ms != 0 && now < telling->told_ms + CONTROL_TELL_EVERY_MS)
        return false;
    telling->told_ms = now;
    return true;
}

enum err control_call(struct control *c, struct rpc_call *call)
{
    size_t director = c->director;
    enum err err = control_call_at(c, director, call);
    if (err != OK || call->status == ERR_UNAVAILABLE)
        leave_director(c, director);
    if (err != OK && control_may_tell(&c->silences)) {
        log_warn("control",
                 "no answer from the director at %s: %s; going on with what is known (calls=%u since it was "
                 "last told)",
                 c->options.directors->items[director], err_text(err), c->silences.untold);
        c->silences.untold = 0;
    }
    return err;
}

void control_fiber_done(struct control *c)
{
    if (--c->fibers == 0 && c->stopping)
        loop_stop(c->loop);
}

/* ---- the map */

void control_refuse(struct control *c, const char *why)
{
    if (!atomic_exchange(&c->refused, true)) /* for ever: told once, and by /readyz */
        log_error("control", "the director refuses this node: %s", why);
}

static void take_map(struct control *c, Tern__MapResponse *response)
{
    Tern__Map *map = response->map;
    if (map == NULL || map->version <= map_holder_version(c->options.map))
        return;
    if (map->n_partitions == 0 && c->pushed_whole) /* its store knows less than we do (R27) */
        return;
    if (!c->options.on_map(c->options.arg, map)) {
        control_refuse(c, "its map is another cluster's");
        return;
    }
    response->map = NULL;
    if (map_holder_put(c->options.map, map))
        control_push_confs(c);
}

void control_want_map(struct control *c)
{
    c->map_stale = true;
    cond_signal(&c->map_wanted);
}

static enum err fetch_map(struct control *c)
{
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    request.have_version = map_holder_version(c->options.map);
    request.subscribe = true;
    struct rpc_call call = { .method = METHOD_MAP, .request = &request.base };
    c->map_stale = false;
    enum err err = control_call(c, &call);
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

/* In a fiber of its own: a director that dies with the request must not hold up the next hello. */
static void map_fiber(void *arg)
{
    struct control *c = arg;
    while (!c->stopping) {
        size_t asked = c->director;
        if (c->map_stale && c->workers != NULL && (fetch_map(c) == OK || c->director > asked))
            continue; /* with the next director of the list, once a round */
        if (!c->stopping) {
            enum err err = cond_wait(&c->map_wanted, loop_now_ms() + HELLO_INTERVAL_MS);
            (void)err; /* a timeout is the next attempt */
        }
    }
    control_fiber_done(c);
}

static void hello_fiber(void *arg)
{
    struct control *c = arg;
    while (!c->stopping) {
        uint64_t next_hello;
        c->hello_now = false;
        if (c->workers != NULL)
            hello_refresh(c->options.hello, c->pushed_whole, worker_pool_tell(c->workers));
        enum err err = control_say_hello(c, &next_hello);
        if (err == OK && map_holder_version(c->options.map) == 0)
            control_want_map(c);
        while (!c->stopping && !c->hello_now && loop_now_ms() < next_hello) {
            err = cond_wait(&c->poke, next_hello);
            (void)err; /* a timeout is the next hello */
        }
    }
    control_fiber_done(c);
}

static void on_notice(uint32_t method, uint32_t partition, struct slice packed, void *arg)
{
    struct control *c = arg;
    if (method != METHOD_MAP_NOTICE)
        return;
    control_want_map(c);
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

/* ---- life */

static void *run(void *arg)
{
    struct control *c = arg;
    loop_run(c->loop);
    return NULL;
}

static enum err spawn(struct control *c, const char *name, void (*run_fiber)(void *arg))
{
    enum err err = fiber_spawn(c->loop, name, run_fiber, c);
    c->fibers += err == OK;
    return err;
}

enum err control_start(const struct control_options *options, struct control **out)
{
    struct control *c = NEW(struct control);
    c->options = *options;
    c->identity = *options->identity;
    enum err err = loop_new(&c->loop);
    if (err == OK) {
        c->client = rpc_client_new(c->loop, options->zmq, options->keys, on_notice, c);
        err = spawn(c, "hello", hello_fiber);
    }
    if (err == OK)
        err = spawn(c, "map", map_fiber);
    if (err == OK)
        err = control_spawn_side_hellos(c);
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
    cond_broadcast(&c->map_wanted);
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
