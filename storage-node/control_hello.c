/* SPDX-License-Identifier: Apache-2.0 */
/* Hello to every director: who this node is and how it does; what their answers want of it. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "storage-node/control_priv.h"

enum { WHY_MAX = 160 };

/* The workers go by the id that they were started with, so a process keeps it. A store that was put back from
 * an older copy may have given it to another node meanwhile. */
static bool is_another(const struct control *c, uint32_t node_id)
{
    return node_id != 0 && c->workers != NULL && c->identity.node_id != node_id;
}

static void refuse_identity(struct control *c, uint32_t node_id)
{
    char why[WHY_MAX];
    snprintf(
        why, sizeof why,
        "it runs as node %u, an id that another node was given meanwhile, and is to be node %u: restart it",
        c->identity.node_id, node_id);
    control_refuse(c, why);
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

/* A hello as it was said. */
struct said {
    size_t to;        /* the director's place in the list */
    bool whole;       /* of every copy */
    uint64_t hearing; /* looked at since that one asked with this number */
};

/* To one director; the call must be rpc_call_fini'd in every case. `director`: its place in the list, or
 * SIZE_MAX for the one in use. */
static enum err call_hello(struct control *c, size_t director, struct rpc_call *call, struct said *said)
{
    size_t to = director == SIZE_MAX ? c->director : director;
    uint64_t told = c->workers != NULL ? worker_pool_told(c->workers) : 0;
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
    info.machine_version = c->options.speech.machine;
    info.peer_version_min = c->options.speech.min;
    info.peer_version_max = c->options.speech.max;
    request.node = &info;
    if (c->options.identity->joined)
        request.cluster_id =
            (ProtobufCBinaryData){ CLUSTER_ID_SIZE, (uint8_t *)c->options.identity->cluster_id };
    struct map_ref *ref = map_holder_get(c->options.map);
    if (ref != NULL) { /* the count goes with its map's version */
        request.map_version = map_ref_map(ref)->version;
        request.not_active = c->options.not_active(c->options.arg, map_ref_map(ref));
    }
    request.placed = c->options.placed || c->pushed_whole;
    request.last_node_id = c->options.identity->last_node_id;
    request.leaving = atomic_load(&c->leaving);
    if (statvfs(c->options.data, &disk) == 0) {
        request.disk_total = (uint64_t)disk.f_blocks * disk.f_frsize;
        request.disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
        request.disk_low = c->options.on_disk(c->options.arg, request.disk_free, &request.disk_reserve);
    }
    hello_fill(c->options.hello, to, told, ref == NULL ? NULL : map_ref_map(ref), loop_now_ms(), &arena,
               &request);
    map_ref_release(&ref);
    *said = (struct said){ to, request.whole, request.hearing };
    *call = (struct rpc_call){ .method = METHOD_NODE_HELLO, .request = &request.base };
    enum err err = director == SIZE_MAX ? control_call(c, call) : control_call_at(c, director, call);
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

/* BUSY to a new node: the director has just started, or another one was given an id at that moment. */
static void take_refusal(struct control *c, const struct rpc_call *call, uint64_t *next_ms_out)
{
    if (call->status == ERR_BUSY) {
        log_debug("control", "the director has no id for this node yet: %s", call->detail);
        *next_ms_out = loop_now_ms() + HELLO_SOON_MS;
    } else if (call->status != ERR_DENIED) {
        log_warn("control", "the director refuses this node: %s %s", err_text(call->status), call->detail);
    } else {
        control_refuse(c, call->detail);
    }
}

/* A director that asks for the copies decides nothing before it has them all, as they are now: the workers
 * look at once. When to say hello again. */
static uint64_t next_hello_ms(struct control *c, const Tern__NodeHelloResponse *response,
                              const struct said *said)
{
    bool heard = !response->tell_copies || (said->whole && said->hearing == response->hearing);
    if (response->tell_copies && c->workers != NULL)
        hello_ask_copies(c->options.hello, said->to, response->hearing, worker_pool_tell(c->workers),
                         loop_now_ms());
    return loop_now_ms() + (heard ? HELLO_INTERVAL_MS : HELLO_SOON_MS);
}

enum err control_say_hello(struct control *c, uint64_t *next_ms_out)
{
    struct rpc_call call;
    struct said said;
    *next_ms_out = loop_now_ms() + HELLO_INTERVAL_MS;
    enum err err = call_hello(c, SIZE_MAX, &call, &said);
    if (err != OK) /* another one is in use now, and this one's own fiber goes on */
        cond_broadcast(&c->ended);
    if (err == OK && call.status != OK) {
        err = call.status;
        take_refusal(c, &call, next_ms_out);
    }
    if (err == OK) {
        Tern__NodeHelloResponse *response =
            tern__node_hello_response__unpack(NULL, call.response.len, call.response.data);
        if (response != NULL && is_another(c, response->node_id)) {
            refuse_identity(c, response->node_id);
        } else if (response != NULL && response->node_id != 0) {
            take_identity(c, response->node_id);
            if (response->map_version > map_holder_version(c->options.map))
                control_want_map(c);
            atomic_store(&c->refused, false);
            take_wishes(c, response);
            *next_ms_out = next_hello_ms(c, response, &said);
            c->options.on_full_nodes(c->options.arg, response->full, response->n_full);
        }
        if (response != NULL)
            tern__node_hello_response__free_unpacked(response, NULL);
    }
    rpc_call_fini(&call);
    return err;
}

/* Every director must know who is here: whichever leads decides by it, and another may lead in a moment. The
 * one in use hears it from the hello fiber. A hello that a director took with it when it died is given up
 * after CONTROL_CALL_MS; then the next one goes out at once, or a director that is back so soon would decide
 * without this node (director/hearing.c). */
struct side_hello {
    struct control *control;
    size_t director;
};

static void take_side_answer(struct control *c, const struct rpc_call *call, const struct said *said,
                             uint64_t *next_ms_out)
{
    Tern__NodeHelloResponse *response =
        tern__node_hello_response__unpack(NULL, call->response.len, call->response.data);
    if (response == NULL)
        return;
    if (!is_another(c, response->node_id)) {
        take_wishes(c, response);
        *next_ms_out = next_hello_ms(c, response, said);
    }
    tern__node_hello_response__free_unpacked(response, NULL);
}

static void side_hello_fiber(void *arg)
{
    struct side_hello *side = arg;
    struct control *c = side->control;
    while (!c->stopping) {
        uint64_t next_ms = loop_now_ms() + HELLO_INTERVAL_MS;
        if (side->director != c->director && c->identity.node_id != 0) {
            struct rpc_call call;
            struct said said;
            enum err err = call_hello(c, side->director, &call, &said);
            if (err == OK && call.status == OK) /* one that is not there hears of us when it is */
                take_side_answer(c, &call, &said, &next_ms);
            rpc_call_fini(&call);
        }
        if (!c->stopping) {
            enum err err = cond_wait(&c->ended, next_ms);
            (void)err;
        }
    }
    free(side);
    control_fiber_done(c);
}

enum err control_spawn_side_hellos(struct control *c)
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
