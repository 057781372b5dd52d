/* SPDX-License-Identifier: Apache-2.0 */
/* The driver of a replica as partition's driver is: performs the actions in their order, on a virtual disk.
 */
#include "tests/sim/replica/vcluster_priv.h"

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

void vc_close_snap(struct vsnap *snap)
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
        vc_close_snap(&node->snaps[i]);
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

void vc_step(struct vc *vc, int n, struct replica_event *ev, const struct vmsg *cause)
{
    struct vnode *node = &vc->nodes[n];
    struct replica_actions out = { 0 };
    struct replica_info was;
    replica_info(node->r, &was);
    ev->now = vc_clock(vc, n);
    replica_step(node->r, ev, &out);
    for (uint32_t i = 0; i < out.count; i++)
        vc_perform(vc, n, &out.list[i], cause);
    node->next_tick = out.next_tick;
    replica_actions_fini(&out);
    trace_state(vc, n, &was);
    if (!vc->lazy_apply && vc->violation[0] == '\0' && node->apply_to > node->disk.mem.applied)
        vc_apply(vc, n, node->apply_to);
    vc_check(vc);
}

static void step(struct vc *vc, int n, struct replica_event *ev)
{
    vc_step(vc, n, ev, NULL);
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

void vc_leave(struct vc *vc, int n)
{
    struct replica_event ev = { .type = REPLICA_EV_LEAVE };
    step(vc, n, &ev);
}

void vc_beat(struct vc *vc, int from, int to)
{
    struct vnode *node = &vc->nodes[from];
    struct replica_msg msg = { .type = REPLICA_MSG_BEAT, .peer = node->id };
    if (!replica_beat(node->r, vc->nodes[to].id, &msg.epoch, &msg.beat.commit))
        return;
    struct vmsg *m = vc_new_msg(vc, VM_PEER, from, to);
    m->msg = msg;
    m->boot = node->boot;
    m->sent_at = vc_clock(vc, from);
    vc_post(vc, m);
}

void vc_learn(struct vc *vc, int n, uint64_t epoch)
{
    struct replica_event ev = { .type = REPLICA_EV_CONF };
    ev.conf.conf = &vc->confs[epoch - 1];
    step(vc, n, &ev);
}
