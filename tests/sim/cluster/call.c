/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/call.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/partition/read/reader.h"
#include "storage-node/rpc/map_holder.h"
#include "tests/sim/cluster/node.h"
#include "tests/sim/common/mail.h"

enum { READER_NS = 300000 /* until a reading thread takes it up */ };

static void call_drop(struct event *e)
{
    struct call *call = (struct call *)e;
    buf_fini(&call->request);
    buf_fini(&call->body);
    buf_fini(&call->response);
    buf_fini(&call->bytes);
    free(call);
}

static void on_answer(struct cluster *c, struct event *e)
{
    struct call *call = (struct call *)e;
    call->answered(call);
    call_drop(e);
}

static void on_done(struct partition_request *request, const struct partition_answer *answer)
{
    struct call *call = (struct call *)((uint8_t *)request - offsetof(struct call, base));
    struct cluster *c = call->c;
    struct node *n = c->nodes[call->slot];
    uint64_t at;
    if (n->dying || n->boot != call->node_boot ||
        !network_route(c, n->slot, end_of_frontend(call->frontend), &at)) {
        call_drop(&call->event);
        return;
    }
    call->status = answer->status;
    call->time_ms = answer->time_ms;
    call->map_version = map_holder_version(n->map);
    if (answer->status != ERR_NOT_PRIMARY ||
        !map_holder_primary(n->map, call->base.partition, call->hint, sizeof call->hint))
        call->hint[0] = '\0';
    if (answer->response != NULL)
        buf_add_slice(&call->response, buf_slice(answer->response));
    if (answer->body != NULL)
        buf_add_slice(&call->bytes, buf_slice(answer->body));
    call->event.run = on_answer;
    cluster_post(c, &call->event, at);
}

static void serve(struct call *call, struct node *n)
{
    struct cluster *c = call->c;
    if (n->reading || c->nested) {
        partition_request_end(&call->base, ERR_BUSY, 0);
        return;
    }
    node_reader_begin(n);
    reader_serve(n->kv, node_public(n, (int)call->base.partition), &call->base, node_reader_clock, 0,
                 &c->breaks.storage);
    node_reader_end(n);
}

static void on_committed(struct cluster *c, struct event *e)
{
    struct call *call = (struct call *)e;
    struct node *n = c->nodes[call->slot];
    if (!n->up || n->dying || n->boot != call->node_boot)
        call_drop(e);
    else if (c->now < n->paused_until)
        cluster_post(c, e, n->paused_until);
    else
        serve(call, n);
}

void call_committed(void *arg, struct partition_request *request)
{
    struct call *call = (struct call *)((uint8_t *)request - offsetof(struct call, base));
    struct cluster *c = call->c;
    call->event.run = on_committed;
    cluster_post(c, &call->event, c->now + cluster_below(c, READER_NS));
}

/* The last map, as storage-node/rpc gives it. */
static void answer_map(struct call *call, struct node *n)
{
    struct buf packed = { 0 };
    struct map_ref *ref = map_holder_get(n->map);
    struct partition_answer answer = { .status = ref == NULL ? ERR_UNAVAILABLE : OK, .response = &packed };
    Tern__MapRequest *request = tern__map_request__unpack(NULL, call->request.len, call->request.data);
    Tern__MapResponse response = TERN__MAP_RESPONSE__INIT;
    if (request != NULL && ref != NULL && map_ref_map(ref)->version > request->have_version)
        response.map = (Tern__Map *)map_ref_map(ref);
    mail_pack(&response.base, &packed);
    on_done(&call->base, &answer);
    buf_fini(&packed);
    map_ref_release(&ref);
    if (request != NULL)
        tern__map_request__free_unpacked(request, NULL);
}

static void on_request(struct cluster *c, struct event *e)
{
    struct call *call = (struct call *)e;
    struct node *n = c->nodes[call->slot];
    if (n->up && c->now < n->paused_until) {
        cluster_post(c, e, n->paused_until);
        return;
    }
    if (!n->up || n->dying) {
        call_drop(e);
        return;
    }
    call->node_boot = n->boot;
    call->base.deadline_mono_ms = node_now(n).mono_ms + call->left_ms;
    if (call->base.method == METHOD_MAP) {
        answer_map(call, n);
    } else if (n->pool == NULL) {
        partition_request_end(&call->base, ERR_UNAVAILABLE, 0);
    } else if (node_is_full(n) && call->adds_mail) { /* disk_reserve, as storage-node/rpc does it */
        partition_request_end(&call->base, ERR_NO_SPACE, 0);
    } else if (call->base.kind == METHOD_READ && !c->reads_commit) {
        serve(call, n);
    } else {
        worker_pool_push(n->pool, &call->base);
        node_poke(n);
    }
}

struct call *call_new(struct cluster *c, int frontend, int slot, int partition, uint64_t left_ms)
{
    struct call *call = NEW(struct call);
    call->c = c;
    call->frontend = frontend;
    call->slot = slot;
    call->left_ms = left_ms;
    call->base.partition = (uint32_t)partition;
    call->base.done = on_done;
    call->event.run = on_request;
    call->event.drop = call_drop;
    return call;
}

void call_send(struct call *call)
{
    struct cluster *c = call->c;
    uint64_t at;
    call->base.request = buf_slice(&call->request);
    call->base.body = buf_slice(&call->body);
    if (!network_route(c, end_of_frontend(call->frontend), call->slot, &at))
        call_drop(&call->event);
    else if (call->base.kind == METHOD_READ)
        cluster_post(c, &call->event, at + cluster_below(c, READER_NS));
    else
        cluster_post(c, &call->event, at);
}
