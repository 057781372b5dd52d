/* SPDX-License-Identifier: Apache-2.0 */
/* What happens by itself: dice, network, nodes; and clients that write and read. */
#include <inttypes.h>

#include "tests/sim/replica/sim.h"

static uint64_t next_random(struct sim *s) /* splitmix64 */
{
    uint64_t z = (s->rand += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
    return n == 0 ? 0 : next_random(s) % n;
}

bool sim_chance(struct sim *s, uint64_t per_mille)
{
    return sim_below(s, 1000) < per_mille;
}

uint64_t sim_around(struct sim *s, uint64_t mean) /* 0 .. 2 * mean */
{
    return sim_below(s, 2 * mean + 1);
}

bool sim_route(struct vc *vc, struct vmsg *m)
{
    struct sim *s = vc->route_arg;
    m->at = vc->now + 20000 + sim_around(s, s->delay_ns);
    if (s->healing)
        return true;
    if (vc->now < s->cut_until[m->from][m->to] || sim_chance(s, s->loss))
        return false;
    if (sim_chance(s, s->slow))
        m->at += sim_below(s, 3000 * MS);
    if (m->kind == VM_ASK) /* what hangs on the answer is at risk for longer */
        m->at += sim_below(s, s->ask_delay_ns + 1);
    return true;
}

/* ---- what happens by itself -------------------------------------------------------------------------- */

void sim_plan_node(struct sim *s, int n)
{
    struct vc *vc = &s->vc;
    struct vnode *node = &vc->nodes[n];
    if (!node->up) {
        s->tick_at[n] = s->beat_at[n] = s->sync_at[n] = s->apply_at[n] = NEVER;
        return;
    }
    s->tick_at[n] = NEVER;
    if (node->next_tick != NEVER) {
        uint64_t local = node->next_tick > node->clock_offset ? node->next_tick - node->clock_offset : 0;
        uint64_t at = (uint64_t)((unsigned __int128)local * 1000000 / node->clock_ppm) + 1;
        s->tick_at[n] = at > vc->now ? at : vc->now + 1;
    }
    if (s->beat_at[n] == NEVER)
        s->beat_at[n] = vc->now + sim_below(s, REPLICA_BEAT_NS);
    if (s->sync_at[n] == NEVER && node->disk.count > 0) {
        s->sync_count[n] = node->disk.count;
        s->sync_at[n] = vc->now + 50000 + sim_around(s, 2 * MS);
        if (!s->healing && sim_chance(s, s->slow_sync))
            s->sync_at[n] += sim_below(s, 2500 * MS);
    }
    if (s->apply_at[n] == NEVER && node->apply_to > node->disk.mem.applied)
        s->apply_at[n] = vc->now + sim_around(s, s->apply_lag_ns);
}

static void beats(struct sim *s, int n)
{
    for (int to = 0; to < s->vc.count; to++)
        if (to != n)
            vc_beat(&s->vc, n, to);
}

void sim_node_events(struct sim *s, int n)
{
    struct vc *vc = &s->vc;
    uint64_t now = vc->now;
    if (s->start_at[n] <= now) {
        s->start_at[n] = NEVER;
        vc_start(vc, n);
        if (s->healing || !sim_chance(s, 200))
            vc_push(vc, n,
                    s->healing ? vc->epoch : 1 + vc->epoch - 1 - sim_below(s, vc->epoch < 3 ? vc->epoch : 3));
    }
    if (now < s->paused_until[n])
        return;
    if (s->tick_at[n] <= now)
        vc_tick(vc, n);
    if (s->beat_at[n] <= now) {
        s->beat_at[n] = now + REPLICA_BEAT_NS;
        beats(s, n);
    }
    if (s->sync_at[n] <= now) {
        s->sync_at[n] = NEVER;
        vc_sync(vc, n, s->sync_count[n]);
    }
    if (s->apply_at[n] <= now) {
        uint64_t applied = vc->nodes[n].disk.mem.applied;
        s->apply_at[n] = NEVER;
        vc_apply(vc, n, applied + 1 + sim_below(s, vc->nodes[n].apply_to - applied));
    }
}

/* ---- clients ----------------------------------------------------------------------------------------- */

static int some_primary(struct sim *s)
{
    int first = (int)sim_below(s, (uint64_t)s->vc.count);
    for (int i = 0; i < s->vc.count; i++) {
        int n = (first + i) % s->vc.count;
        struct replica_info info;
        if (!s->vc.nodes[n].up || s->vc.now < s->paused_until[n])
            continue;
        replica_info(s->vc.nodes[n].r, &info);
        if (info.role == REPLICA_PRIMARY)
            return n;
    }
    return -1;
}

void sim_client(struct sim *s)
{
    int n = some_primary(s);
    uint64_t values[5];
    uint32_t count = 1 + (uint32_t)sim_below(s, 5);
    s->client_at = s->vc.now + sim_around(s, s->quiet_ns);
    if (n < 0 || (s->writes >= WRITES_MAX && !s->healing))
        return;
    for (uint32_t i = 0; i < count; i++)
        values[i] = ++s->writes;
    if (vc_propose(&s->vc, n, values, count) == OK)
        vc_trace(&s->vc, "%d takes writes %" PRIu64 "..%" PRIu64, n + 1, values[0], values[count - 1]);
}

/* R14: arrival, then the clock, then the state; all in one process, and of a copy that was not deleted
 * meanwhile. (The other way round, a lease lost and
 * won again in between would bless a stale state: --break R14.) */
void sim_read_step(struct sim *s, struct read *rd)
{
    struct vnode *node = &s->vc.nodes[rd->node];
    if (s->vc.now < s->paused_until[rd->node]) {
        rd->at = s->paused_until[rd->node];
        return;
    }
    if (!node->up || node->boot != rd->boot) {
        rd->stage = 0;
        return;
    }
    bool check = (rd->stage == 1) != s->breaks.r14;
    if (check && !vc_serving(&s->vc, rd->node)) {
        rd->stage = 0;
        return;
    }
    if (!check)
        rd->applied = node->disk.mem.applied;
    if (rd->stage == 1) {
        rd->stage = 2;
        rd->at = s->vc.now + (sim_chance(s, 100) ? sim_below(s, 2000 * MS) : sim_below(s, 2 * MS));
        return;
    }
    rd->stage = 0;
    if (node->wipes != rd->wipes)
        return;
    s->vc.reads++;
    if (s->healing)
        s->healed_reads++;
    if (rd->applied < rd->acked)
        vc_violate(&s->vc, "a read at node %d misses entry %" PRIu64 ", acknowledged before it came",
                   rd->node + 1, rd->acked);
}

void sim_new_read(struct sim *s)
{
    s->read_at = s->vc.now + sim_around(s, 20 * MS);
    int n = (int)sim_below(s, (uint64_t)s->vc.count);
    struct replica_info info;
    if (!s->vc.nodes[n].up)
        return;
    replica_info(s->vc.nodes[n].r, &info);
    if (info.role != REPLICA_PRIMARY)
        return;
    for (int i = 0; i < READS_MAX; i++) {
        if (s->reads[i].stage != 0)
            continue;
        s->reads[i] =
            (struct read){ .node = n, .stage = 1, .boot = s->vc.nodes[n].boot, .acked = s->vc.acked };
        s->reads[i].at = s->vc.now + sim_below(s, 2 * MS);
        s->reads[i].wipes = s->vc.nodes[n].wipes;
        return;
    }
}
