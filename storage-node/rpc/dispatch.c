/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/rpc/dispatch.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/rpc/endpoint.h"
#include "storage-node/rpc/dispatch_figures.h"

enum {
    READ_REQUEST_MAX = 1024 * 1024, /* a badly fragmented mailbox's UIDs: CHANGES, SEARCH, FETCH */
    MEMORY_REQUEST_MAX = 4096,      /* watches and locks */
};

struct dispatch {
    struct map_holder *map;
    _Atomic(struct worker_pool *) workers;
    _Atomic(struct reader_pool *) readers;
    _Atomic uint64_t bytes;
    _Atomic bool draining, disk_low, stalled;
    bool reads_commit;         /* set before it opens */
    pthread_mutex_t full_lock; /* guards what full_nodes points to */
    uint32_t *full_nodes;
    _Atomic size_t full_count;
    struct dispatch_figures figures;
};

/* A request on its way through the node. */
struct dispatched {
    struct partition_request base; /* first */
    struct dispatch *dispatch;
    struct rpc_request *rpc;
};

struct dispatch *dispatch_new(struct map_holder *map)
{
    struct dispatch *d = NEW(struct dispatch);
    d->map = map;
    pthread_mutex_init(&d->full_lock, NULL);
    dispatch_figures_init(&d->figures);
    return d;
}

void dispatch_free(struct dispatch **d)
{
    if (*d == NULL)
        return;
    assert(atomic_load(&(*d)->bytes) == 0);
    pthread_mutex_destroy(&(*d)->full_lock);
    free((*d)->full_nodes);
    free(*d);
    *d = NULL;
}

static size_t request_bytes(const struct rpc_request *rpc)
{
    return rpc->request.len + rpc->body.len;
}

/* ---- answers */

static void reply(struct dispatch *d, struct rpc_request *rpc, const struct partition_answer *answer)
{
    char hint[RPC_ENDPOINT_MAX];
    struct rpc_reply_info info = { .detail = answer->detail, .time_ms = answer->time_ms };
    info.map_version = map_holder_version(d->map);
    if (answer->status == ERR_NOT_PRIMARY && map_holder_primary(d->map, rpc->partition, hint, sizeof hint))
        info.primary_hint = hint;
    rpc_reply(&rpc, answer->status, &info, answer->response, answer->body);
}

static void reply_status(struct dispatch *d, struct rpc_request *rpc, enum err status, const char *detail)
{
    struct partition_answer answer = { .status = status, .detail = detail };
    dispatch_figures_count(&d->figures, rpc->method, status, 0);
    reply(d, rpc, &answer);
}

static void on_done(struct partition_request *request, const struct partition_answer *answer)
{
    struct dispatched *job = (struct dispatched *)request;
    struct dispatch *d = job->dispatch;
    uint64_t waited_ns = clock_mono_ns() - request->arrived_mono_ns;
    dispatch_figures_count(&d->figures, request->method, answer->status, waited_ns);
    if (request->kind == METHOD_WRITE && answer->status == OK)
        worker_pool_waited(atomic_load(&d->workers), waited_ns);
    atomic_fetch_sub(&d->bytes, request_bytes(job->rpc));
    reply(d, job->rpc, answer);
    free(job);
}

static void reply_map(struct dispatch *d, struct rpc_request *rpc)
{
    Tern__MapRequest *req = tern__map_request__unpack(NULL, rpc->request.len, rpc->request.data);
    if (req == NULL) {
        reply_status(d, rpc, ERR_INVALID, NULL);
        return;
    }
    struct map_ref *ref = map_holder_get(d->map);
    if (ref == NULL) {
        reply_status(d, rpc, ERR_UNAVAILABLE, "no map yet");
    } else {
        Tern__MapResponse response = TERN__MAP_RESPONSE__INIT;
        struct buf packed = { 0 };
        struct partition_answer answer = { .status = OK, .response = &packed };
        if (map_ref_map(ref)->version > req->have_version)
            response.map = (Tern__Map *)map_ref_map(ref);
        size_t size = tern__map_response__get_packed_size(&response);
        packed.len = tern__map_response__pack(&response, buf_reserve(&packed, size + 1));
        dispatch_figures_count(&d->figures, rpc->method, OK, 0);
        reply(d, rpc, &answer);
        buf_fini(&packed);
    }
    map_ref_release(&ref);
    tern__map_request__free_unpacked(req, NULL);
}

/* ---- requests */

/* Writes that need room on the disk; the others make or keep some. */
static bool adds_mail(uint32_t method)
{
    switch (method) {
    case METHOD_ACCOUNT_CREATE:
    case METHOD_ALIAS_PUT:
    case METHOD_MAILBOX_CREATE:
    case METHOD_UPLOAD_CHUNK:
    case METHOD_APPEND:
    case METHOD_DELIVER:
    case METHOD_COPY:
    case METHOD_COPY_STAGE:
    case METHOD_QUEUE_PUT:
        return true;
    default:
        return false;
    }
}

static bool is_listed(const uint32_t *ids, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

/* What a full disk has to take ends its node sooner or later. A partition can bear that as long as enough
 * members remain; else its writes would stop for good, the deletions that make room too. */
static bool lacks_room(struct dispatch *d, uint32_t partition)
{
    size_t full = 0, least = 1, members = 0;
    if (atomic_load_explicit(&d->full_count, memory_order_relaxed) == 0)
        return false;
    struct map_ref *ref = map_holder_get(d->map);
    const Tern__PartitionConf *conf =
        ref == NULL ? NULL : map_holder_find_partition(map_ref_map(ref), partition);
    pthread_mutex_lock(&d->full_lock);
    for (size_t i = 0; conf != NULL && i < conf->n_members; i++)
        full += is_listed(d->full_nodes, atomic_load(&d->full_count), conf->members[i]);
    pthread_mutex_unlock(&d->full_lock);
    if (conf != NULL) {
        least = map_ref_map(ref)->min_members > least ? map_ref_map(ref)->min_members : least;
        members = conf->n_members;
    }
    map_ref_release(&ref);
    return full > 0 && members - full < least;
}

static enum err check_write(struct dispatch *d, const struct rpc_request *rpc)
{
    if (!rpc->has_request_id)
        return ERR_INVALID;
    if (rpc->body.len > BODY_CHUNK_MAX || rpc->request.len > ENTRY_BYTES_MAX)
        return ERR_TOO_BIG;
    if (adds_mail(rpc->method) &&
        (atomic_load_explicit(&d->disk_low, memory_order_relaxed) || lacks_room(d, rpc->partition)))
        return ERR_NO_SPACE;
    if (atomic_load_explicit(&d->stalled, memory_order_relaxed))
        return ERR_BUSY;
    return OK;
}

static enum err check(struct dispatch *d, const struct rpc_request *rpc, enum method_kind kind)
{
    if (atomic_load(&d->draining) || atomic_load(&d->workers) == NULL)
        return ERR_UNAVAILABLE;
    if (rpc->partition >= PARTITION_COUNT_MAX)
        return ERR_INVALID;
    if (atomic_load_explicit(&d->bytes, memory_order_relaxed) + request_bytes(rpc) > DISPATCH_BYTES_MAX)
        return ERR_BUSY;
    switch (kind) {
    case METHOD_WRITE:
        return check_write(d, rpc);
    case METHOD_READ:
    case METHOD_NODE:
        return rpc->request.len > READ_REQUEST_MAX || rpc->body.len > 0 ? ERR_TOO_BIG : OK;
    default:
        return request_bytes(rpc) > MEMORY_REQUEST_MAX ? ERR_TOO_BIG : OK;
    }
}

static struct partition_request *wrap(struct dispatch *d, struct rpc_request *rpc, enum method_kind kind)
{
    struct dispatched *job = NEW(struct dispatched);
    struct partition_request *r = &job->base;
    job->dispatch = d;
    job->rpc = rpc;
    r->partition = rpc->partition;
    r->method = rpc->method;
    r->kind = kind;
    memcpy(r->request_id, rpc->request_id, REQUEST_ID_SIZE);
    r->deadline_mono_ms = rpc->deadline_mono_ms;
    r->request = rpc->request;
    r->body = rpc->body;
    r->peer.len = rpc->peer.len;
    memcpy(r->peer.bytes, rpc->peer.bytes, rpc->peer.len);
    r->arrived_mono_ns = clock_mono_ns();
    r->done = on_done;
    atomic_fetch_add(&d->bytes, request_bytes(rpc));
    return r;
}

_Static_assert((int)PARTITION_PEER_MAX >= (int)RPC_PEER_ID_MAX, "a connection's name must fit");

static void serve_read(struct dispatch *d, struct partition_request *request)
{
    struct reader_pool *readers = atomic_load(&d->readers);
    if (!reader_pool_try(readers, request))
        reader_pool_submit(readers, request);
}

void dispatch_handle(struct rpc_request *rpc, void *arg)
{
    struct dispatch *d = arg;
    enum method_kind kind;
    if (!method_find(rpc->method, &kind) || kind == METHOD_NOTICE ||
        (kind == METHOD_CLUSTER && rpc->method != METHOD_MAP)) {
        reply_status(d, rpc, ERR_UNSUPPORTED, "not a method of the storage node, or of a later one");
    } else if (rpc->method == METHOD_MAP) {
        reply_map(d, rpc);
    } else {
        enum err err = check(d, rpc, kind);
        if (err != OK)
            reply_status(d, rpc, err, NULL);
        else if ((kind == METHOD_READ && !d->reads_commit) || kind == METHOD_NODE)
            serve_read(d, wrap(d, rpc, kind));
        else
            worker_pool_push(atomic_load(&d->workers), wrap(d, rpc, kind));
    }
}

void dispatch_set_reads_commit(struct dispatch *d)
{
    d->reads_commit = true;
}

void dispatch_open(struct dispatch *d, struct worker_pool *workers, struct reader_pool *readers)
{
    atomic_store(&d->readers, readers);
    atomic_store(&d->workers, workers);
}

void dispatch_drain(struct dispatch *d)
{
    atomic_store(&d->draining, true);
}

void dispatch_set_disk_low(struct dispatch *d, bool low)
{
    if (atomic_exchange(&d->disk_low, low) == low)
        return;
    if (low)
        log_warn("node",
                 "the disk is nearly full (disk_reserve): new mail is refused, reading and deleting go on");
    else
        log_info("node", "the disk has room again: new mail is taken");
}

void dispatch_set_full_nodes(struct dispatch *d, const uint32_t *nodes, size_t count)
{
    pthread_mutex_lock(&d->full_lock);
    for (size_t i = 0; i < count; i++) {
        if (!is_listed(d->full_nodes, atomic_load(&d->full_count), nodes[i]))
            log_warn("node",
                     "the disk of node %u is nearly full: new mail is refused where too few other members "
                     "have room",
                     nodes[i]);
    }
    free(d->full_nodes);
    d->full_nodes = count == 0 ? NULL : xmemdup(nodes, count * sizeof *nodes);
    atomic_store(&d->full_count, count);
    pthread_mutex_unlock(&d->full_lock);
}

void dispatch_set_stalled(struct dispatch *d, bool stalled)
{
    atomic_store(&d->stalled, stalled);
}

uint64_t dispatch_bytes(const struct dispatch *d)
{
    return atomic_load(&d->bytes);
}

void dispatch_notify(void *server, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                     struct slice packed)
{
    struct rpc_peer_id id = { .len = peer->len };
    memcpy(id.bytes, peer->bytes, peer->len);
    rpc_notify(server, &id, method, partition, packed);
}
