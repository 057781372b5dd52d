/* SPDX-License-Identifier: Apache-2.0 */
/* How each of etcd's members is, for people: all endpoints are asked every HEALTH_MS, also those that nothing
 * else is asked of. What is found changes nothing but what is told; which endpoint is in use is decided by
 * the requests that matter (etcd_leave).
 *
 * Asked is maintenance/status. It needs no rights, and costs neither an entry in etcd's log, as /health of
 * 3.4 does, nor a read by way of the leader, of which a member that loses its leader meanwhile answers none
 * for seconds (etcd_txn.c). The price: a member whose disk stands still may go on to say that it is well. */
#include <inttypes.h>
#include <stdio.h>

#include "director/coordination/etcd_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

void health_open(struct etcd *e)
{
    for (size_t i = 0; i < e->endpoint_count; i++) {
        e->members[i].told.endpoint = e->endpoints[i];
        snprintf(e->members[i].told.why, sizeof e->members[i].told.why, "not known yet");
        buf_add_str(&e->members[i].call.body, "{}");
    }
}

static void tell(struct etcd *e, struct member *m, enum coordination_health health, struct slice why)
{
    bool was_well = !coordination_member_fails(&m->told);
    bool is_well = health == COORDINATION_WELL;
    if (was_well && !is_well)
        log_warn("etcd", "%s %s: %.*s", m->told.endpoint,
                 health == COORDINATION_SILENT ? "does not answer" : "is not well", (int)why.len, why.data);
    if (!was_well && is_well)
        log_info("etcd", "%s is well again, after %" PRIu64 " s", m->told.endpoint,
                 (e->now_ms - m->told.since_mono_ms) / 1000);
    pthread_mutex_lock(&e->lock);
    m->told.health = health;
    m->told.since_mono_ms = is_well ? 0 : m->wrong_ms;
    snprintf(m->told.why, sizeof m->told.why, "%.*s", (int)why.len, why.data);
    pthread_mutex_unlock(&e->lock);
}

/* What is wrong with the one that gave this answer replaces what is in `why`; nothing: it is well. */
static void judge(const struct etcd *e, const struct etcd_call *call, struct buf *why)
{
    struct etcd_answer answer;
    buf_clear(why);
    if (etcd_decode(buf_slice(&call->answer), &answer) != OK)
        buf_add_str(why, "what answers is no etcd with /v3");
    else if (answer.message != NULL)
        buf_add_str(why, answer.message);
    else if (e->cluster_id != 0 && answer.cluster_id != e->cluster_id)
        buf_add_str(why, "it belongs to another etcd");
    else
        etcd_decode_status(answer.body, why);
    etcd_answer_fini(&answer);
}

static void health_done(struct etcd_call *call)
{
    struct etcd *e = call->arg;
    struct member *m = &e->members[call->endpoint];
    struct buf why = { 0 };
    m->busy = false;
    if (call->status == 0)
        etcd_call_explain(call, &why);
    else
        judge(e, call, &why);
    m->wrong = why.len == 0 ? 0 : m->wrong + 1;
    m->next_ms = e->now_ms + (m->wrong == 0 || m->wrong >= HEALTH_TRIES ? HEALTH_MS : HEALTH_AGAIN_MS);
    if (m->wrong == 0)
        tell(e, m, COORDINATION_WELL, SLICE_NULL);
    else if (m->wrong >= HEALTH_TRIES)
        tell(e, m, call->status == 0 ? COORDINATION_SILENT : COORDINATION_UNWELL, buf_slice(&why));
    buf_fini(&why);
}

static void look(struct etcd *e, size_t i)
{
    struct member *m = &e->members[i];
    if (m->wrong == 0)
        m->wrong_ms = e->now_ms;
    m->busy = true;
    m->call.endpoint = i;
    m->call.path = "/v3/maintenance/status";
    m->call.timeout_ms = HEALTH_CALL_MS;
    m->call.done = health_done;
    m->call.arg = e;
    etcd_http_start(e->http, &m->call);
}

void health_tick(struct etcd *e)
{
    for (size_t i = 0; i < e->endpoint_count; i++) {
        if (!e->members[i].busy && e->now_ms >= e->members[i].next_ms)
            look(e, i);
    }
}

void health_end(struct etcd *e)
{
    for (size_t i = 0; i < e->endpoint_count; i++) {
        etcd_http_cancel(e->http, &e->members[i].call);
        e->members[i].busy = false;
    }
}

size_t health_members(struct coordination *c, struct coordination_member out[static COORDINATION_MEMBERS_MAX])
{
    struct etcd *e = (struct etcd *)c;
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->endpoint_count; i++)
        out[i] = e->members[i].told;
    pthread_mutex_unlock(&e->lock);
    return e->endpoint_count;
}

void health_close(struct etcd *e)
{
    for (size_t i = 0; i < e->endpoint_count; i++)
        etcd_call_fini(&e->members[i].call);
}
