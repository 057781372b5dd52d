/* SPDX-License-Identifier: Apache-2.0 */
/* One request to a partition, until it has a final answer.
 *
 * Each try goes to the primary that the map names (or that the last NOT_PRIMARY hinted at). What its end
 * means:
 * - an answer of the caller's or the system's class is final;
 * - NOT_PRIMARY, STALE_MAP: nothing happened. Fetch the map, go to the hint or wait for a change;
 * - UNAVAILABLE, BUSY, TIMEOUT as answers: nothing happened. Try again a little later;
 * - EXPIRED: nothing happened, our idea of time was old. A new id, unless an earlier try is in doubt, and
 * also then if the id was made before any node had told us the time: nobody takes one of 1970;
 * - UNSUPPORTED: nothing happened, the node's program is older than ours. Final, and temporary for whoever
 *   asked: the node is about to be upgraded;
 * - IN_DOUBT, or no answer (in time, or before a map named another primary): it may have happened. Again with
 *   the same request id, which has no second effect.
 * When the deadline ends this, a write that may have happened is IN_DOUBT; anything else did not happen. */
#include <assert.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/fiber/fiber.h"
#include "lib/store/store_priv.h"

enum {
    TRY_MS = 5000,    /* one try's patience */
    PAUSE_MIN_MS = 4, /* after "not now" or "not here", doubled each time: a seat that is handed over is
                         free again after some milliseconds, one whose holder died after seconds */
    PAUSE_MAX_MS = 50,
    HINTS_MAX = 3,                          /* hints of one call that are followed at once */
    OLDER_TOLD_MS = 10 * 1000,              /* between two lines of the log about older nodes */
    CLOCKS_APART_MAX_MS = 24 * 3600 * 1000, /* of any two nodes (CLOCK_SKEW_MAX_MS of a storage node) */
};

static void make_request_id(struct call *call)
{
    uint64_t time_ms = call->store->time_seen_ms;
    for (int i = 0; i < 8; i++)
        call->request_id[i] = (uint8_t)(time_ms >> 8 * (7 - i));
    rand_bytes(call->request_id + 8, 8);
}

static uint64_t time_left(const struct call *call)
{
    uint64_t now = loop_now_ms();
    return call->deadline_ms > now ? call->deadline_ms - now : 0;
}

static enum err send_try(struct call *call, const char *hint)
{
    char *endpoint = call->endpoint;
    if (hint[0] != '\0')
        memcpy(endpoint, hint, RPC_ENDPOINT_MAX);
    else
        TRY(map_primary(call->store, call->partition, endpoint));
    struct rpc_peer *peer = rpc_client_peer(call->store->rpc, endpoint, RPC_ROLE_STORAGE_NODE);
    if (peer == NULL)
        return ERR_UNAVAILABLE;
    uint64_t left = time_left(call);
    call->rpc = (struct rpc_call){
        .method = call->method,
        .partition = call->partition,
        .map_version = store_map_version(call->store),
        .deadline_ms = (uint32_t)(left < TRY_MS ? left : TRY_MS),
        .request_id = call->is_write ? call->request_id : NULL,
        .request = call->request,
        .body = call->body,
    };
    enum err err = rpc_submit(peer, &call->rpc);
    if (err == OK) {
        LIST_INSERT_HEAD(&call->store->calls, call, entry);
        call->listed = true;
    }
    return err;
}

static void unlist(struct call *call)
{
    if (call->listed)
        LIST_REMOVE(call, entry);
    call->listed = false;
}

/* A primary that was replaced will not answer, and if it did nobody should wait for it. */
void calls_on_map(struct store *store)
{
    struct call *call;
    char endpoint[RPC_ENDPOINT_MAX];
    LIST_FOREACH (call, &store->calls, entry) {
        if (map_primary(store, call->partition, endpoint) == OK && strcmp(endpoint, call->endpoint) != 0)
            rpc_call_abandon(&call->rpc);
    }
}

static void set_deadline(struct call *call)
{
    call->deadline_ms = loop_deadline_ms(call->timeout_ms != 0 ? call->timeout_ms : STORE_DEADLINE_MS);
}

void call_begin(struct store *store, struct call *call)
{
    enum method_kind kind;
    bool known = method_find(call->method, &kind);
    assert(known);
    call->store = store;
    call->is_write = known && kind == METHOD_WRITE;
    set_deadline(call);
    if (call->is_write)
        make_request_id(call);
    call->begun = true;
    call->begin_err = send_try(call, "");
}

static void learn(struct call *call)
{
    struct store *store = call->store;
    if (call->rpc.time_ms > store->time_seen_ms)
        store->time_seen_ms = call->rpc.time_ms;
    if (call->rpc.peer_map_version > store_map_version(store))
        map_want(store, call->rpc.peer_map_version);
}

/* A newer map ends the pause: it may say where to go. */
static void pause_call(struct call *call)
{
    uint64_t pause_ms = PAUSE_MIN_MS << call->pauses;
    if (pause_ms >= PAUSE_MAX_MS)
        pause_ms = PAUSE_MAX_MS;
    else
        call->pauses++;
    map_want(call->store, 0);
    uint64_t until = loop_deadline_ms(pause_ms);
    enum err err = map_wait_change(call->store, until < call->deadline_ms ? until : call->deadline_ms);
    (void)err; /* changed or not, the next try looks at the map there is */
}

/* No try under this id can have had an effect: it is older than what any node remembers of ids, by the clock
 * of the one that has just refused it and by that of every other. */
static bool id_is_of_no_time(const struct call *call)
{
    struct cursor c = cursor_of(slice_of(call->request_id, sizeof call->request_id));
    return cursor_be64(&c) == 0 && call->rpc.time_ms > (uint64_t)REQUEST_RETENTION_MS + CLOCKS_APART_MAX_MS;
}

/* What to do after a try that ended with `err`: true if it is final. May yield. */
static bool try_is_final(struct call *call, enum err err, char hint[static RPC_ENDPOINT_MAX])
{
    hint[0] = '\0';
    switch (err) {
    case ERR_NOT_PRIMARY:
    case ERR_STALE_MAP:
        map_want(call->store, 0);
        /* Nodes that hint at each other know no better than we do. */
        if (call->rpc.primary_hint[0] != '\0' && call->hints_followed++ < HINTS_MAX)
            memcpy(hint, call->rpc.primary_hint, sizeof call->rpc.primary_hint);
        else
            pause_call(call);
        return false;
    case ERR_EXPIRED:
        if (id_is_of_no_time(call))
            call->maybe_done = false;
        if (call->maybe_done || !call->is_write)
            return true;
        if (call->expired_count++ > 0) /* the first answer told us the time; the next ones should not come */
            fiber_sleep_ms(PAUSE_MAX_MS);
        make_request_id(call);
        return false;
    case ERR_BUSY:
        fiber_sleep_ms(PAUSE_MAX_MS);
        return false;
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_IN_DOUBT:
        pause_call(call);
        return false;
    default:
        return true;
    }
}

/* Nobody who asks us for what we know is at fault for that (ADR 0024). */
static enum err older_node(const struct call *call)
{
    struct store *store = call->store;
    uint64_t now = loop_now_ms();
    if (store->older_told_ms == 0 || now - store->older_told_ms >= OLDER_TOLD_MS) {
        store->older_told_ms = now;
        log_warn("store", "the storage node at %s does not know %s: its program is older than this one",
                 call->endpoint, method_name(call->method));
    }
    return ERR_UNAVAILABLE;
}

static enum err wait_try(struct call *call)
{
    enum err err = rpc_wait(&call->rpc);
    unlist(call);
    if (err == OK) {
        learn(call);
        err = call->rpc.status;
        if (err == ERR_IN_DOUBT)
            call->maybe_done = true;
    } else {
        call->maybe_done = true;
    }
    return err;
}

enum err call_end(struct call *call)
{
    enum err err = call->begin_err;
    char hint[RPC_ENDPOINT_MAX] = "";
    bool tried = false;
    assert(!call->ahead || !call->is_write);
    if (call->ahead)
        set_deadline(call);
    for (;;) {
        if (tried)
            err = send_try(call, hint);
        tried = true;
        if (err == OK)
            err = wait_try(call);
        if (err == OK || try_is_final(call, err, hint))
            break;
        rpc_call_fini(&call->rpc);
        if (time_left(call) == 0 || call->store->stopping)
            break;
    }
    if (err == ERR_UNSUPPORTED)
        err = older_node(call);
    if (err == OK || err_class(err) == ERR_CLASS_CALLER || err_class(err) == ERR_CLASS_SYSTEM)
        return err;
    log_debug("store", "%s partition=%u gave up: %s", method_name(call->method), call->partition,
              err_name(err));
    if (call->is_write && call->maybe_done)
        return ERR_IN_DOUBT;
    return err == ERR_BUSY || err == ERR_TIMEOUT ? err : ERR_UNAVAILABLE;
}

enum err call_run(struct store *store, struct call *call)
{
    call_begin(store, call);
    return call_end(call);
}

enum err call_response(const struct call *call, const ProtobufCMessageDescriptor *descriptor,
                       void *response_out)
{
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, NULL, call->rpc.response.len, call->rpc.response.data);
    if (message == NULL) {
        log_error("store", "%s: answer does not decode", method_name(call->method));
        return ERR_PROTOCOL;
    }
    *(ProtobufCMessage **)response_out = message;
    return OK;
}

struct slice call_body(const struct call *call)
{
    return call->rpc.response_body;
}

void call_fini(struct call *call)
{
    unlist(call);
    if (call->begun)
        rpc_call_fini(&call->rpc);
    call->begun = false;
}

enum err call_simple(struct store *store, uint32_t method, uint32_t partition,
                     const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                     void *response_out)
{
    return call_within(store, 0, method, partition, request, descriptor, response_out);
}

enum err call_within(struct store *store, uint32_t timeout_ms, uint32_t method, uint32_t partition,
                     const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                     void *response_out)
{
    struct call call = {
        .method = method, .partition = partition, .request = request, .timeout_ms = timeout_ms
    };
    enum err err = call_run(store, &call);
    if (err == OK)
        err = call_response(&call, descriptor, response_out);
    call_fini(&call);
    return err;
}
