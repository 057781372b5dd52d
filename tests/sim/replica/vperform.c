/* SPDX-License-Identifier: Apache-2.0 */
/* Performs the actions of a replica in their order. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "tests/sim/replica/vcluster_priv.h"

static int node_of(struct replica_node id)
{
    return (int)id.id - 1;
}

/* ---- performing actions ------------------------------------------------------------------------------ */

static void do_write(struct vc *vc, struct vnode *node, const struct replica_action *a)
{
    struct vbatch b = { .type = VB_WRITE, .token = a->write.token, .dep = a->write.dep };
    b.commit = a->write.commit;
    b.cut_from = a->write.cut_from;
    b.first = a->write.first;
    b.count = a->write.count;
    b.ents = NEW_ARRAY(struct vent, b.count);
    for (uint32_t i = 0; i < b.count; i++) {
        if (a->write.barrier)
            b.ents[i] = (struct vent){ a->write.epoch, VC_BARRIER };
        else
            b.ents[i] = (struct vent){ a->write.entries[i].epoch, (uintptr_t)a->write.entries[i].handle };
    }
    const struct vimage *mem = &node->disk.mem;
    if (b.cut_from != 0 && b.cut_from <= mem->applied)
        vc_violate(vc, "node %u cuts an applied entry", node->id.id);
    else if (b.count > 0 && b.first != (b.cut_from != 0 ? b.cut_from : mem->last + 1))
        vc_violate(vc, "node %u leaves a gap in its log", node->id.id);
    if (vc->violation[0] == '\0')
        vdisk_write(&node->disk, b);
    else
        free(b.ents);
}

static void do_send(struct vc *vc, int n, const struct replica_action *a, const struct vmsg *cause)
{
    struct vnode *node = &vc->nodes[n];
    int to = node_of(a->send.peer);
    struct vmsg *m = vc_new_msg(vc, VM_PEER, n, to);
    m->msg = a->send;
    m->to_store = a->send.peer.store;
    m->msg.peer = node->id;
    if (a->send.type == REPLICA_MSG_APPEND) {
        const struct vimage *mem = &node->disk.mem;
        uint64_t first = a->send.append.prev_index + 1;
        m->entries = NEW_ARRAY(struct replica_entry, a->send.append.count);
        for (uint32_t i = 0; i < a->send.append.count; i++) {
            struct vent e = mem->log[first + i];
            if (e.epoch == 0)
                vc_violate(vc, "node %u sends an entry it has not (%lu)", node->id.id, first + i);
            m->entries[i] =
                (struct replica_entry){ e.epoch, e.value == VC_BARRIER ? 0 : 10, (void *)(uintptr_t)e.value };
        }
    } else if (a->send.type == REPLICA_MSG_BEAT_ACK) {
        m->boot = cause->boot;
        m->sent_at = cause->sent_at;
    }
    vc_post(vc, m);
}

static void open_snap(struct vnode *node, struct vsnap *snap)
{
    const struct vimage *mem = &node->disk.mem;
    vc_close_snap(snap);
    snap->open = true;
    snap->index = mem->applied;
    snap->index_epoch = replica_epoch_at(node->r, snap->index);
    snap->values = xmemdup(mem->state, (snap->index + 1) * sizeof *mem->state);
}

static void do_snap_send(struct vc *vc, int n, const struct replica_action *a)
{
    struct vnode *node = &vc->nodes[n];
    int to = node_of(a->snap_send.to);
    struct vsnap *snap = &node->snaps[to];
    if (a->snap_send.seq == 0)
        open_snap(node, snap);
    if (!snap->open) {
        vc_violate(vc, "node %u is asked for a chunk of no snapshot", node->id.id);
        return;
    }
    struct vmsg *m = vc_new_msg(vc, VM_PEER, n, to);
    m->to_store = a->snap_send.to.store;
    m->msg = (struct replica_msg){ .type = REPLICA_MSG_CHUNK, .peer = node->id, .epoch = a->snap_send.epoch };
    m->msg.chunk.term = a->snap_send.term;
    m->msg.chunk.nonce = a->snap_send.nonce;
    m->msg.chunk.seq = a->snap_send.seq;
    m->msg.chunk.index = snap->index;
    m->msg.chunk.index_epoch = snap->index_epoch;
    uint64_t first = a->snap_send.seq * VC_CHUNK + 1;
    uint64_t end = first + VC_CHUNK <= snap->index + 1 ? first + VC_CHUNK : snap->index + 1;
    m->msg.chunk.last = end == snap->index + 1;
    m->value_first = first;
    m->value_count = end - first;
    m->values = NEW_ARRAY(struct vent, m->value_count);
    for (uint64_t i = 0; i < m->value_count; i++)
        m->values[i] = (struct vent){ 1, snap->values[first + i] };
    vc_post(vc, m);
}

static void do_snap_write(struct vnode *node, const struct replica_action *a, const struct vmsg *cause)
{
    struct vbatch b = { .type = VB_CHUNK, .token = a->snap_write.token, .dep = a->snap_write.dep };
    b.first = cause->value_first;
    b.count = cause->value_count;
    b.ents = xmemdup(cause->values, b.count * sizeof *b.ents);
    b.index = a->snap_write.index;
    b.index_epoch = a->snap_write.index_epoch;
    b.chunk_first = a->snap_write.first;
    b.chunk_last = a->snap_write.last;
    if (b.chunk_first)
        node->checked = node->apply_to = 0, node->wipes++;
    vdisk_write(&node->disk, b);
}

static void do_fail(struct vnode *node, uint64_t after)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->proposal_count; i++)
        if (node->proposals[i].index <= after)
            node->proposals[kept++] = node->proposals[i];
        else
            node->failed++;
    node->proposal_count = kept;
}

static void do_ask(struct vc *vc, int n, const struct replica_action *a)
{
    struct vmsg *m = vc_new_msg(vc, VM_ASK, n, VC_DIRECTOR);
    static const char *const names[] = { "read",     "promote",     "evict",       "add",
                                         "handover", "add-learner", "drop-learner" };
    m->ask = a->ask.type;
    m->ask_node = a->ask.node;
    m->ask_by = vc->nodes[n].id;
    m->ask_id = a->ask.id;
    m->msg.epoch = a->ask.epoch;
    vc_trace(vc, "%u asks %s(%lu, %u)", vc->nodes[n].id.id, names[a->ask.type], a->ask.epoch, a->ask.node.id);
    vc_post(vc, m);
}

static void do_batch(struct vnode *node, struct vbatch batch)
{
    if (batch.type == VB_WIPE)
        node->checked = node->apply_to = 0, node->wipes++;
    vdisk_write(&node->disk, batch);
}

void vc_perform(struct vc *vc, int n, const struct replica_action *a, const struct vmsg *cause)
{
    struct vnode *node = &vc->nodes[n];
    switch (a->type) {
    case REPLICA_ACT_LEASE:
        node->lease_until = a->lease.until;
        break;
    case REPLICA_ACT_FAIL:
        do_fail(node, a->fail.after);
        break;
    case REPLICA_ACT_REJECT:
        node->rejected++;
        node->last_reject = a->reject.err;
        break;
    case REPLICA_ACT_STATE:
        break;
    case REPLICA_ACT_WRITE:
        do_write(vc, node, a);
        break;
    case REPLICA_ACT_SNAP_WRITE:
        do_snap_write(node, a, cause);
        break;
    case REPLICA_ACT_WIPE:
        do_batch(node, (struct vbatch){ .type = VB_WIPE,
                                        .token = a->wipe.token,
                                        .dep = a->wipe.dep,
                                        .keep_record = a->wipe.keep_record });
        break;
    case REPLICA_ACT_TRIM:
        do_batch(node, (struct vbatch){
                           .type = VB_TRIM, .index = a->trim.base_index, .index_epoch = a->trim.base_epoch });
        break;
    case REPLICA_ACT_SEND:
        do_send(vc, n, a, cause);
        break;
    case REPLICA_ACT_SNAP_SEND:
        do_snap_send(vc, n, a);
        break;
    case REPLICA_ACT_SNAP_END:
        vc_close_snap(&node->snaps[node_of(a->snap_end.to)]);
        break;
    case REPLICA_ACT_APPLY:
        node->apply_to = a->apply.index;
        break;
    case REPLICA_ACT_ASK:
        do_ask(vc, n, a);
        break;
    case REPLICA_ACT_REPORT:
        node->reports |= 1u << a->report.reason;
        vc_trace(vc, "%u reports: %s", node->id.id, replica_reason_text(a->report.reason));
        break;
    case REPLICA_ACT_STOP:
        vc_violate(vc, "node %u stops: %s", node->id.id, replica_reason_text(a->report.reason));
        break;
    }
}
