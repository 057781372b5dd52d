/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that are on their way, and their delivery. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/replica/vcluster_priv.h"

static void free_msg(struct vmsg *m)
{
    free(m->entries);
    free(m->values);
    free(m);
}

static void put(struct vc *vc, struct vmsg *m)
{
    if (vc->pool_count == vc->pool_cap) {
        vc->pool_cap = vc->pool_cap == 0 ? 64 : vc->pool_cap * 2;
        vc->pool = xrealloc(vc->pool, vc->pool_cap * sizeof(struct vmsg *));
    }
    vc->pool[vc->pool_count++] = m;
}

void vc_post(struct vc *vc, struct vmsg *m)
{
    m->at = vc->now;
    if (vc->route == NULL || vc->route(vc, m))
        put(vc, m);
    else
        free_msg(m);
}

struct vmsg *vc_new_msg(struct vc *vc, enum vmsg_kind kind, int from, int to)
{
    struct vmsg *m = NEW(struct vmsg);
    m->kind = kind;
    m->from = from;
    m->to = to;
    m->to_store = to == VC_DIRECTOR ? 0 : vc->nodes[to].id.store;
    return m;
}

void vc_drop(struct vc *vc, size_t i)
{
    free_msg(vc->pool[i]);
    memmove(vc->pool + i, vc->pool + i + 1, (--vc->pool_count - i) * sizeof(struct vmsg *));
}

void vc_push(struct vc *vc, int n, uint64_t epoch)
{
    struct vmsg *m = vc_new_msg(vc, VM_PUSH, VC_DIRECTOR, n);
    m->conf = vc->confs[epoch - 1];
    vc_post(vc, m);
}

static void trace_msg(struct vc *vc, const struct vmsg *m)
{
    const struct replica_msg *x = &m->msg;
    if (x->type == REPLICA_MSG_APPEND)
        vc_trace(vc, "%d>%d append(%lu, %lu.%lu, %u, commit %lu)", m->from + 1, m->to + 1, x->epoch,
                 x->append.prev_epoch, x->append.prev_index, x->append.count, x->append.commit);
    else if (x->type == REPLICA_MSG_ACK)
        vc_trace(vc, "%d>%d ack(%lu, %lu)", m->from + 1, m->to + 1, x->epoch, x->ack.match);
    else if (x->type == REPLICA_MSG_REFUSE)
        vc_trace(vc, "%d>%d refuse(%lu, commit %lu, last %lu, prev %lu, nonce %lu)", m->from + 1, m->to + 1,
                 x->epoch, x->refuse.commit, x->refuse.last, x->refuse.prev, x->refuse.nonce);
    else if (x->type == REPLICA_MSG_CHUNK)
        vc_trace(vc, "%d>%d chunk(%lu, term %lu, nonce %lu, seq %lu%s, index %lu)", m->from + 1, m->to + 1,
                 x->epoch, x->chunk.term, x->chunk.nonce, x->chunk.seq, x->chunk.last ? " last" : "",
                 x->chunk.index);
    else if (x->type == REPLICA_MSG_CHUNK_ACK)
        vc_trace(vc, "%d>%d chunk-ack(%lu, nonce %lu, seq %lu)", m->from + 1, m->to + 1, x->epoch,
                 x->chunk_ack.nonce, x->chunk_ack.seq);
}

static void deliver_peer(struct vc *vc, struct vmsg *m)
{
    if (vc->trace_messages)
        trace_msg(vc, m);
    struct replica_event ev = { .type = REPLICA_EV_MSG, .msg = m->msg };
    if (m->msg.type == REPLICA_MSG_APPEND)
        ev.msg.append.entries = m->entries;
    if (m->msg.type == REPLICA_MSG_BEAT_ACK) {
        if (m->boot != vc->nodes[m->to].boot) /* R17 */
            return;
        ev.msg.beat_ack.sent_at = m->sent_at;
    }
    vc_step(vc, m->to, &ev, m);
}

static void deliver_ask(struct vc *vc, const struct vmsg *m)
{
    bool made = vc_decide(vc, m);
    struct vmsg *back = vc_new_msg(vc, VM_ANSWER, VC_DIRECTOR, m->from);
    back->to_store = m->ask_by.store;
    back->conf = *vc_conf(vc);
    back->ask_id = m->ask_id;
    back->boot = vc->nodes[m->from].boot;
    vc_post(vc, back);
    for (int i = 0; made && i < vc->count; i++)
        if (i != m->from)
            vc_push(vc, i, vc->epoch);
}

void vc_deliver(struct vc *vc, size_t i, bool keep)
{
    struct vmsg *m = vc->pool[i];
    memmove(vc->pool + i, vc->pool + i + 1, (--vc->pool_count - i) * sizeof(struct vmsg *));
    if (m->kind == VM_ASK) {
        deliver_ask(vc, m);
    } else if (vc->nodes[m->to].up && vc->nodes[m->to].id.store == m->to_store) {
        struct replica_event ev = { .type = REPLICA_EV_CONF };
        ev.conf.conf = &m->conf;
        if (m->kind == VM_ANSWER && m->boot == vc->nodes[m->to].boot)
            ev.conf.ask_id = m->ask_id;
        if (m->kind == VM_PEER)
            deliver_peer(vc, m);
        else
            vc_step(vc, m->to, &ev, NULL);
    }
    if (keep)
        put(vc, m);
    else
        free_msg(m);
}
