/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a replica as partition's driver is: performs the actions in their order, on a virtual disk.
 */
#include "tests/sim/replica/vcluster.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"

static void step(struct vc *vc, int n, struct replica_event *ev);

void vc_trace(struct vc *vc, const char *fmt, ...)
{
    va_list ap;
    if (!vc->trace)
        return;
    printf("%9.3f ", (double)vc->now / 1e9);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void vc_init(struct vc *vc, int count, unsigned members, const struct replica_cfg *cfg)
{
    *vc = (struct vc){ .count = count, .cfg = *cfg };
    struct replica_conf first = { .since = 1 };
    for (int i = 0; i < count; i++) {
        struct vnode *node = &vc->nodes[i];
        node->id = (struct replica_node){ .id = (uint32_t)i + 1, .store = ++vc->stores };
        node->clock_ppm = 1000000;
        if (members & (1u << i))
            first.members[first.member_count++] = node->id;
    }
    first.primary = vc->nodes[0].id;
    vc_make_conf(vc, &first);
}

static void close_snap(struct vsnap *snap)
{
    free(snap->values);
    *snap = (struct vsnap){ 0 };
}

static void stop_process(struct vnode *node)
{
    replica_free(&node->r);
    node->up = false;
    node->lease_until = 0;
    node->proposal_count = 0;
    node->apply_to = 0;
    for (int i = 0; i < VC_NODES_MAX; i++)
        close_snap(&node->snaps[i]);
}

void vc_fini(struct vc *vc)
{
    for (int i = 0; i < vc->count; i++) {
        stop_process(&vc->nodes[i]);
        vdisk_fini(&vc->nodes[i].disk);
        free(vc->nodes[i].proposals);
    }
    while (vc->pool_count > 0)
        vc_drop(vc, vc->pool_count - 1);
    free(vc->pool);
    free(vc->confs);
    free(vc->committed);
}

uint64_t vc_clock(const struct vc *vc, int n)
{
    const struct vnode *node = &vc->nodes[n];
    return node->clock_offset + (uint64_t)((unsigned __int128)vc->now * node->clock_ppm / 1000000);
}

static int node_of(const struct vc *vc, struct replica_node id)
{
    (void)vc;
    return (int)id.id - 1;
}

/* ---- the pool ---------------------------------------------------------------------------------------- */

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

static void post(struct vc *vc, struct vmsg *m)
{
    m->at = vc->now;
    if (vc->route == NULL || vc->route(vc, m))
        put(vc, m);
    else
        free_msg(m);
}

static struct vmsg *new_msg(struct vc *vc, enum vmsg_kind kind, int from, int to)
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
    struct vmsg *m = new_msg(vc, VM_PUSH, VC_DIRECTOR, n);
    m->conf = vc->confs[epoch - 1];
    post(vc, m);
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
    int to = node_of(vc, a->send.peer);
    struct vmsg *m = new_msg(vc, VM_PEER, n, to);
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
    post(vc, m);
}

static void open_snap(struct vnode *node, struct vsnap *snap)
{
    const struct vimage *mem = &node->disk.mem;
    close_snap(snap);
    snap->open = true;
    snap->index = mem->applied;
    snap->index_epoch = replica_epoch_at(node->r, snap->index);
    snap->values = xmemdup(mem->state, (snap->index + 1) * sizeof *mem->state);
}

static void do_snap_send(struct vc *vc, int n, const struct replica_action *a)
{
    struct vnode *node = &vc->nodes[n];
    int to = node_of(vc, a->snap_send.to);
    struct vsnap *snap = &node->snaps[to];
    if (a->snap_send.seq == 0)
        open_snap(node, snap);
    if (!snap->open) {
        vc_violate(vc, "node %u is asked for a chunk of no snapshot", node->id.id);
        return;
    }
    struct vmsg *m = new_msg(vc, VM_PEER, n, to);
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
    post(vc, m);
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
        node->checked = node->apply_to = 0;
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
    struct vmsg *m = new_msg(vc, VM_ASK, n, VC_DIRECTOR);
    static const char *const names[] = { "read", "promote", "evict", "add", "handover", "add-learner" };
    m->ask = a->ask.type;
    m->ask_node = a->ask.node;
    m->ask_by = vc->nodes[n].id;
    m->ask_id = a->ask.id;
    m->msg.epoch = a->ask.epoch;
    vc_trace(vc, "%u asks %s(%lu, %u)", vc->nodes[n].id.id, names[a->ask.type], a->ask.epoch, a->ask.node.id);
    post(vc, m);
}

static void do_batch(struct vnode *node, struct vbatch batch)
{
    if (batch.type == VB_WIPE)
        node->checked = node->apply_to = 0;
    vdisk_write(&node->disk, batch);
}

static void perform(struct vc *vc, int n, const struct replica_action *a, const struct vmsg *cause)
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
        close_snap(&node->snaps[node_of(vc, a->snap_end.to)]);
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

static void trace_state(struct vc *vc, int n, const struct replica_info *was)
{
    struct replica_info is;
    replica_info(vc->nodes[n].r, &is);
    if (is.role == was->role && is.active == was->active && is.epoch == was->epoch)
        return;
    static const char *const roles[] = { "idle", "learner", "member", "primary" };
    vc_trace(vc, "%u is %s of %lu%s, log %lu..%lu commit %lu", vc->nodes[n].id.id, roles[is.role], is.epoch,
             is.active ? " active" : "", is.base, is.last, is.commit);
}

static void step_msg(struct vc *vc, int n, struct replica_event *ev, const struct vmsg *cause)
{
    struct vnode *node = &vc->nodes[n];
    struct replica_actions out = { 0 };
    struct replica_info was;
    replica_info(node->r, &was);
    ev->now = vc_clock(vc, n);
    replica_step(node->r, ev, &out);
    for (uint32_t i = 0; i < out.count; i++)
        perform(vc, n, &out.list[i], cause);
    node->next_tick = out.next_tick;
    replica_actions_fini(&out);
    trace_state(vc, n, &was);
    if (!vc->lazy_apply && vc->violation[0] == '\0' && node->apply_to > node->disk.mem.applied)
        vc_apply(vc, n, node->apply_to);
    vc_check(vc);
}

static void step(struct vc *vc, int n, struct replica_event *ev)
{
    step_msg(vc, n, ev, NULL);
}

/* ---- what the driver does on its own ----------------------------------------------------------------- */

static struct replica_run *runs_of(const struct vimage *im, uint32_t *count_out)
{
    struct replica_run *runs = NEW_ARRAY(struct replica_run, im->last - im->base + 1);
    uint32_t count = 0;
    for (uint64_t i = im->base + 1; i <= im->last; i++)
        if (count == 0 || runs[count - 1].epoch != im->log[i].epoch)
            runs[count++] = (struct replica_run){ i, im->log[i].epoch };
    *count_out = count;
    return runs;
}

void vc_start(struct vc *vc, int n)
{
    struct vnode *node = &vc->nodes[n];
    assert(!node->up);
    struct replica_cfg cfg = vc->cfg;
    cfg.self = node->id;
    node->r = replica_new(&cfg);
    node->up = true;
    node->boot++;
    vdisk_crash(&node->disk, 0);
    const struct vimage *im = &node->disk.mem;
    node->checked = node->apply_to = im->applied;
    struct replica_event ev = { .type = REPLICA_EV_START };
    ev.start.record = im->record;
    ev.start.installing = im->installing;
    ev.start.dep = im->dep;
    ev.start.base_index = im->base;
    ev.start.base_epoch = im->base_epoch;
    ev.start.last = im->last;
    ev.start.applied = im->applied;
    ev.start.commit = im->commit;
    struct replica_run *runs = runs_of(im, &ev.start.run_count);
    ev.start.runs = runs;
    ev.start.nonce = node->boot * 1000003 + node->id.store * 7919; /* unlike those of other processes */
    vc_trace(vc, "%u starts, log %lu..%lu", node->id.id, im->base, im->last);
    step(vc, n, &ev);
    free(runs);
}

void vc_crash(struct vc *vc, int n, size_t keep)
{
    vc_trace(vc, "%u crashes, %zu of %zu unsynced batches survive", vc->nodes[n].id.id, keep,
             vc->nodes[n].disk.count);
    stop_process(&vc->nodes[n]);
    vdisk_crash(&vc->nodes[n].disk, keep);
}

void vc_lose_disk(struct vc *vc, int n)
{
    assert(!vc->nodes[n].up);
    vc_trace(vc, "%u loses its disk", vc->nodes[n].id.id);
    vdisk_lose(&vc->nodes[n].disk);
    vc->nodes[n].id.store = ++vc->stores;
}

void vc_tick(struct vc *vc, int n)
{
    struct replica_event ev = { .type = REPLICA_EV_TICK };
    step(vc, n, &ev);
}

enum err vc_propose(struct vc *vc, int n, const uint64_t *values, uint32_t count)
{
    struct vnode *node = &vc->nodes[n];
    struct replica_entry *entries = NEW_ARRAY(struct replica_entry, count);
    struct replica_event ev = { .type = REPLICA_EV_PROPOSE };
    struct replica_info info;
    replica_info(node->r, &info);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (struct replica_entry){ 0, 10, (void *)(uintptr_t)values[i] };
    ev.propose.entries = entries;
    ev.propose.count = count;
    if (node->proposal_count + count > node->proposal_cap) {
        node->proposal_cap = (node->proposal_count + count) * 2;
        node->proposals = xrealloc(node->proposals, node->proposal_cap * sizeof *node->proposals);
    }
    for (uint32_t i = 0; i < count; i++) /* the next indexes, if it is not rejected */
        node->proposals[node->proposal_count++] = (struct vproposal){ info.last + 1 + i, values[i] };
    uint64_t rejected = node->rejected;
    step(vc, n, &ev);
    free(entries);
    if (node->rejected == rejected)
        return OK;
    node->proposal_count -= count;
    return node->last_reject;
}

void vc_sync(struct vc *vc, int n, size_t batches)
{
    struct replica_event ev = { .type = REPLICA_EV_DURABLE };
    ev.durable.token = vdisk_sync(&vc->nodes[n].disk, batches);
    if (ev.durable.token != 0)
        step(vc, n, &ev);
}

/* P1: what is answered is on the disk of every member of the configuration that counts now. */
static void check_answer(struct vc *vc, uint64_t index)
{
    const struct replica_conf *conf = vc_conf(vc);
    for (int i = 0; i < vc->count; i++) {
        const struct vnode *node = &vc->nodes[i];
        const struct vimage *dur = &node->disk.dur;
        if (!vc_conf_has(conf->members, conf->member_count, node->id))
            continue;
        bool has = index <= dur->base ||
                   (index <= dur->last && dur->log[index].epoch == vc->committed[index].epoch &&
                    dur->log[index].value == vc->committed[index].value);
        if (!has)
            vc_violate(vc, "entry %lu is answered, but member %u has it not on disk", index, node->id.id);
    }
}

static void answer(struct vc *vc, struct vnode *node, uint64_t upto)
{
    size_t kept = 0;
    for (size_t i = 0; i < node->proposal_count; i++) {
        struct vproposal p = node->proposals[i];
        if (p.index > upto) {
            node->proposals[kept++] = p;
            continue;
        }
        if (vc->committed[p.index].value != p.value)
            vc_violate(vc, "proposal %lu of node %u is answered, but %lu is committed", p.value, node->id.id,
                       vc->committed[p.index].value);
        check_answer(vc, p.index);
        node->answered++;
        vc->answers++;
        if (p.index > vc->acked)
            vc->acked = p.index;
    }
    node->proposal_count = kept;
}

/* One sequence for all: what anybody applies is compared with what the first one applied. */
static void note_committed(struct vc *vc, struct vnode *node, uint64_t upto)
{
    const struct vimage *mem = &node->disk.mem;
    if (upto >= vc->committed_cap) {
        vc->committed_cap = upto * 2 + 64;
        vc->committed = xrealloc(vc->committed, vc->committed_cap * sizeof *vc->committed);
    }
    for (uint64_t i = mem->applied + 1; i <= upto; i++) {
        if (i > mem->last || mem->log[i].epoch == 0)
            vc_violate(vc, "node %u applies entry %lu that it has not", node->id.id, i);
        else if (i > vc->committed_len)
            vc->committed[++vc->committed_len] = mem->log[i];
        else if (vc->committed[i].value != mem->log[i].value || vc->committed[i].epoch != mem->log[i].epoch)
            vc_violate(vc, "node %u applies (%lu,%lu) value %lu, but (%lu,%lu) value %lu is committed",
                       node->id.id, mem->log[i].epoch, i, mem->log[i].value, vc->committed[i].epoch, i,
                       vc->committed[i].value);
    }
}

void vc_apply(struct vc *vc, int n, uint64_t upto)
{
    struct vnode *node = &vc->nodes[n];
    if (upto > node->apply_to)
        upto = node->apply_to;
    if (upto <= node->disk.mem.applied)
        return;
    note_committed(vc, node, upto);
    if (vc->violation[0] != '\0')
        return;
    vdisk_write(&node->disk, (struct vbatch){ .type = VB_APPLY, .index = upto });
    answer(vc, node, upto);
    struct replica_event ev = { .type = REPLICA_EV_APPLIED };
    ev.applied.index = upto;
    step(vc, n, &ev);
}

void vc_trim(struct vc *vc, int n, uint64_t index)
{
    struct replica_event ev = { .type = REPLICA_EV_TRIM };
    ev.trim.index = index;
    step(vc, n, &ev);
}

void vc_handover(struct vc *vc, int n, int heir)
{
    struct replica_event ev = { .type = REPLICA_EV_HANDOVER };
    ev.handover.heir = vc->nodes[heir].id;
    step(vc, n, &ev);
}

void vc_drop_copy(struct vc *vc, int n)
{
    struct replica_event ev = { .type = REPLICA_EV_DROP };
    step(vc, n, &ev);
}

void vc_beat(struct vc *vc, int from, int to)
{
    struct vnode *node = &vc->nodes[from];
    struct replica_msg msg = { .type = REPLICA_MSG_BEAT, .peer = node->id };
    if (!replica_beat(node->r, vc->nodes[to].id, &msg.epoch, &msg.beat.commit))
        return;
    struct vmsg *m = new_msg(vc, VM_PEER, from, to);
    m->msg = msg;
    m->boot = node->boot;
    m->sent_at = vc_clock(vc, from);
    post(vc, m);
}

void vc_learn(struct vc *vc, int n, uint64_t epoch)
{
    struct replica_event ev = { .type = REPLICA_EV_CONF };
    ev.conf.conf = &vc->confs[epoch - 1];
    step(vc, n, &ev);
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
    step_msg(vc, m->to, &ev, m);
}

static void deliver_ask(struct vc *vc, const struct vmsg *m)
{
    bool made = vc_decide(vc, m);
    struct vmsg *back = new_msg(vc, VM_ANSWER, VC_DIRECTOR, m->from);
    back->to_store = m->ask_by.store;
    back->conf = *vc_conf(vc);
    back->ask_id = m->ask_id;
    back->boot = vc->nodes[m->from].boot;
    post(vc, back);
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
            step(vc, m->to, &ev);
    }
    if (keep)
        put(vc, m);
    else
        free_msg(m);
}
