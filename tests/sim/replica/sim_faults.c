/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong, and the director, who keeps out of it. */
#include "tests/sim/replica/sim.h"

static bool somebody_leaves(struct sim *s)
{
    for (int i = 0; i < s->vc.count; i++) {
        struct replica_info info = { 0 };
        if (s->vc.nodes[i].up)
            replica_info(s->vc.nodes[i].r, &info);
        if (info.leaving)
            return true;
    }
    return false;
}

/* A disk may go if its data is elsewhere for sure: the node is no member, or a backup of three or more. */
static bool may_lose_disk(struct sim *s, int n)
{
    const struct replica_conf *conf = vc_conf(&s->vc);
    struct replica_node id = s->vc.nodes[n].id;
    for (size_t i = 0; i < s->vc.pool_count; i++)
        if (s->vc.pool[i]->kind == VM_ASK && s->vc.pool[i]->from == n)
            return false; /* it may yet be made primary */
    for (uint8_t i = 0; i < conf->member_count; i++)
        if (!replica_node_eq(s->vc.nodes[conf->members[i].id - 1].id, conf->members[i]))
            return false; /* one is lost already */
    if (!vc_conf_has(conf->members, conf->member_count, id))
        return true;
    return conf->member_count >= 3 && !replica_node_eq(conf->primary, id) && !somebody_leaves(s);
}

/* One damaged copy at a time, so that what was acknowledged is somewhere else. */
static bool may_be_damaged(struct sim *s, int n)
{
    const struct replica_conf *conf = vc_conf(&s->vc);
    if (conf->member_count == 1 && vc_conf_has(conf->members, 1, s->vc.nodes[n].id))
        return false; /* the last one, though it may not have heard; it would wait for a person */
    for (size_t i = 0; i < s->vc.pool_count; i++)
        if (s->vc.pool[i]->kind == VM_ASK && s->vc.pool[i]->from == n)
            return false; /* it may yet be made the only member */
    for (int i = 0; i < s->vc.count; i++)
        if (!s->vc.nodes[i].up)
            return false; /* it may be the only one that has all */
    return s->lost_disks == 0 && !somebody_leaves(s);
}

static void crash(struct sim *s, int n)
{
    struct vnode *node = &s->vc.nodes[n];
    if (!node->up)
        return;
    vc_crash(&s->vc, n, sim_below(s, node->disk.count + 1));
    if (sim_chance(s, 50) && s->lost_disks < 2 && may_lose_disk(s, n)) {
        uint64_t store = node->id.store;
        vc_lose_disk(&s->vc, n);
        if (s->breaks.core.r26) /* then the empty disk is not another node, either */
            node->id.store = store;
        s->lost_disks++;
    }
    s->start_at[n] = s->vc.now + (sim_chance(s, 500) ? sim_below(s, 100 * MS) : sim_below(s, 5000 * MS));
    s->paused_until[n] = 0;
}

static void cut(struct sim *s, int a, int b, uint64_t ns)
{
    s->cut_until[a][b] = s->vc.now + ns;
    if (!sim_chance(s, 200))
        s->cut_until[b][a] = s->vc.now + ns;
}

/* What a run mostly suffers from; rare meetings of rare faults want their own weather. */
static const uint8_t weathers[][10] = {
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 },    /* everything */
    { 3, 3, 3, 4, 4, 5, 5, 6, 6, 8 },    /* cut links and pauses: leases */
    { 0, 0, 5, 9, 9, 9, 9, 9, 9, 9 },    /* cut logs: snapshots */
    { 0, 0, 0, 1, 1, 2, 2, 2, 3, 7 },    /* crashes */
    { 0, 3, 4, 5, 6, 7, 9, 10, 10, 10 }, /* damaged copies */
};

size_t sim_weather_count(void)
{
    return sizeof weathers / sizeof *weathers;
}

void sim_fault(struct sim *s)
{
    struct vc *vc = &s->vc;
    int n = (int)sim_below(s, (uint64_t)vc->count), m = (int)sim_below(s, (uint64_t)vc->count);
    s->fault_at = vc->now + sim_around(s, s->fault_ns);
    switch (weathers[s->weather][sim_below(s, 10)]) {
    case 0:
    case 1:
    case 2:
        crash(s, n);
        break;
    case 3:
    case 4:
        if (n != m)
            cut(s, n, m, sim_below(s, 4000 * MS));
        break;
    case 5:
        for (int i = 0; i <= VC_DIRECTOR; i++)
            if (i != n && (i < vc->count || (i == VC_DIRECTOR && sim_chance(s, 300))))
                cut(s, n, i, sim_below(s, 4000 * MS));
        break;
    case 6:
        s->paused_until[n] = vc->now + sim_below(s, 3000 * MS);
        vc_trace(vc, "%d is paused", n + 1);
        break;
    case 7:
        if (vc->nodes[n].up && n != m)
            vc_handover(vc, n, m);
        break;
    case 8:
        s->director_down_until = vc->now + sim_below(s, 3000 * MS);
        break;
    case 10:
        if (vc->nodes[n].up && may_be_damaged(s, n))
            vc_leave(vc, n);
        break;
    default: {
        const struct vimage *im = s->breaks.core.r25 ? &vc->nodes[n].disk.mem : &vc->nodes[n].disk.dur;
        uint64_t limit = s->breaks.core.r25 ? im->last : im->applied;
        if (vc->nodes[n].up && limit > 0)
            vc_trim(vc, n, 1 + sim_below(s, limit));
        break;
    }
    }
}

/* conf(1) must not be changed before its members have a record, or R26 would shut them all out. */
static bool is_born(struct vc *vc)
{
    bool born = vc->epoch > 1;
    for (int i = 0; i < vc->count; i++) {
        struct replica_info info = { 0 };
        if (vc->nodes[i].up)
            replica_info(vc->nodes[i].r, &info);
        born = born || info.active;
    }
    return born;
}

/* The director adds learners by itself (R23); nothing else. */
void sim_director(struct sim *s)
{
    struct vc *vc = &s->vc;
    s->director_at = vc->now + 700 * MS;
    if (vc->now < s->director_down_until)
        return;
    bool born = is_born(vc);
    for (int i = 0; i < vc->count; i++) {
        const struct replica_conf *conf = vc_conf(vc);
        bool stale = false;
        for (uint8_t k = 0; k < conf->member_count; k++)
            stale = stale || conf->members[k].id == vc->nodes[i].id.id;
        struct vmsg ask = { .kind = VM_ASK, .ask = REPLICA_ASK_ADD_LEARNER, .ask_node = vc->nodes[i].id };
        ask.msg.epoch = vc->epoch;
        if (!stale && born)
            vc_decide(vc, &ask);
    }
    for (int i = 0; i < vc->count; i++)
        vc_push(vc, i, vc->epoch);
}

void sim_heal(struct sim *s)
{
    struct vc *vc = &s->vc;
    vc_trace(vc, "faults stop");
    s->healing = true;
    s->quiet_ns += 100 * MS; /* a learner must be able to catch up */
    s->fault_at = NEVER;
    s->director_down_until = 0;
    for (int i = 0; i < vc->count; i++) {
        s->paused_until[i] = 0;
        if (!vc->nodes[i].up)
            s->start_at[i] = vc->now;
    }
    s->healed_answers = vc->answers;
}
