/* SPDX-License-Identifier: Apache-2.0 */
/* Random schedules on a virtual cluster of one partition. A seed decides everything, so a failing seed
 * repeats.
 *
 *   replica_sim --seed N [--trace]         one run (--messages: with all but the beats)
 *   replica_sim --seeds A:B                runs A..B-1
 *   replica_sim --break RULE --seeds A:B   breaks a rule (R3 R4 R6 R7 R8 R12b R14 R16 R21 R24 R25); exit
 * status 0 if some run notices (by an invariant; being stuck does not count) replica_sim --smoke what the
 * tests run: some seeds, and every break
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/replica/vcluster.h"

#define MS         REPLICA_MS
#define NEVER      REPLICA_NEVER
#define READS_MAX  8
#define WRITES_MAX 400
#define HEAL_NS    (60000 * MS)

struct read {
    int node, stage;
    uint64_t boot, at, acked, applied;
};

struct breaks {
    struct replica_faults core;
    bool r14;    /* the reader takes the state first and checks the lease later */
    int weather; /* if > 0: the weather in which such a break does most harm, counted from 1 */
};

struct sim {
    struct vc vc;
    uint64_t rand;
    struct breaks breaks;
    uint64_t loss, dup, dup_chunk, slow; /* per mille */
    uint64_t delay_ns, ask_delay_ns;
    uint64_t slow_sync, apply_lag_ns, quiet_ns;
    uint64_t fault_ns; /* mean time between faults */
    bool healing;
    size_t weather;
    uint64_t end_chaos, end;
    uint64_t tick_at[VC_NODES_MAX], beat_at[VC_NODES_MAX], sync_at[VC_NODES_MAX], apply_at[VC_NODES_MAX];
    uint64_t start_at[VC_NODES_MAX], paused_until[VC_NODES_MAX];
    size_t sync_count[VC_NODES_MAX];
    uint64_t cut_until[VC_NODES_MAX + 1][VC_NODES_MAX + 1]; /* one direction */
    uint64_t client_at, fault_at, director_at, read_at, director_down_until;
    struct read reads[READS_MAX];
    uint64_t writes, healed_answers, healed_reads, lost_disks;
};

static uint64_t next(struct sim *s) /* splitmix64 */
{
    uint64_t z = (s->rand += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t below(struct sim *s, uint64_t n)
{
    return n == 0 ? 0 : next(s) % n;
}

static bool chance(struct sim *s, uint64_t per_mille)
{
    return below(s, 1000) < per_mille;
}

static uint64_t around(struct sim *s, uint64_t mean) /* 0 .. 2 * mean */
{
    return below(s, 2 * mean + 1);
}

static bool route(struct vc *vc, struct vmsg *m)
{
    struct sim *s = vc->route_arg;
    m->at = vc->now + 20000 + around(s, s->delay_ns);
    if (s->healing)
        return true;
    if (vc->now < s->cut_until[m->from][m->to] || chance(s, s->loss))
        return false;
    if (chance(s, s->slow))
        m->at += below(s, 3000 * MS);
    if (m->kind == VM_ASK) /* what hangs on the answer is at risk for longer */
        m->at += below(s, s->ask_delay_ns + 1);
    return true;
}

/* ---- what happens by itself -------------------------------------------------------------------------- */

static void plan_node(struct sim *s, int n)
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
        s->beat_at[n] = vc->now + below(s, REPLICA_BEAT_NS);
    if (s->sync_at[n] == NEVER && node->disk.count > 0) {
        s->sync_count[n] = node->disk.count;
        s->sync_at[n] = vc->now + 50000 + around(s, 2 * MS);
        if (!s->healing && chance(s, s->slow_sync))
            s->sync_at[n] += below(s, 2500 * MS);
    }
    if (s->apply_at[n] == NEVER && node->apply_to > node->disk.mem.applied)
        s->apply_at[n] = vc->now + around(s, s->apply_lag_ns);
}

static void beats(struct sim *s, int n)
{
    for (int to = 0; to < s->vc.count; to++)
        if (to != n)
            vc_beat(&s->vc, n, to);
}

static void node_events(struct sim *s, int n)
{
    struct vc *vc = &s->vc;
    uint64_t now = vc->now;
    if (s->start_at[n] <= now) {
        s->start_at[n] = NEVER;
        vc_start(vc, n);
        if (s->healing || !chance(s, 200))
            vc_push(vc, n,
                    s->healing ? vc->epoch : 1 + vc->epoch - 1 - below(s, vc->epoch < 3 ? vc->epoch : 3));
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
        vc_apply(vc, n, applied + 1 + below(s, vc->nodes[n].apply_to - applied));
    }
}

/* ---- clients ----------------------------------------------------------------------------------------- */

static int some_primary(struct sim *s)
{
    int first = (int)below(s, (uint64_t)s->vc.count);
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

static void client(struct sim *s)
{
    int n = some_primary(s);
    uint64_t values[5];
    uint32_t count = 1 + (uint32_t)below(s, 5);
    s->client_at = s->vc.now + around(s, s->quiet_ns);
    if (n < 0 || (s->writes >= WRITES_MAX && !s->healing))
        return;
    for (uint32_t i = 0; i < count; i++)
        values[i] = ++s->writes;
    if (vc_propose(&s->vc, n, values, count) == OK)
        vc_trace(&s->vc, "%d takes writes %" PRIu64 "..%" PRIu64, n + 1, values[0], values[count - 1]);
}

/* R14: arrival, then the clock, then the state; all in one process. (The other way round, a lease lost and
 * won again in between would bless a stale state: --break R14.) */
static void read_step(struct sim *s, struct read *rd)
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
        rd->at = s->vc.now + (chance(s, 100) ? below(s, 2000 * MS) : below(s, 2 * MS));
        return;
    }
    rd->stage = 0;
    s->vc.reads++;
    if (s->healing)
        s->healed_reads++;
    if (rd->applied < rd->acked)
        vc_violate(&s->vc, "a read at node %d misses entry %" PRIu64 ", acknowledged before it came",
                   rd->node + 1, rd->acked);
}

static void new_read(struct sim *s)
{
    s->read_at = s->vc.now + around(s, 20 * MS);
    int n = (int)below(s, (uint64_t)s->vc.count);
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
        s->reads[i].at = s->vc.now + below(s, 2 * MS);
        return;
    }
}

/* ---- faults ------------------------------------------------------------------------------------------ */

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
    return conf->member_count >= 3 && !replica_node_eq(conf->primary, id);
}

static void crash(struct sim *s, int n)
{
    struct vnode *node = &s->vc.nodes[n];
    if (!node->up)
        return;
    vc_crash(&s->vc, n, below(s, node->disk.count + 1));
    if (chance(s, 50) && s->lost_disks < 2 && may_lose_disk(s, n)) {
        vc_lose_disk(&s->vc, n);
        s->lost_disks++;
    }
    s->start_at[n] = s->vc.now + (chance(s, 500) ? below(s, 100 * MS) : below(s, 5000 * MS));
    s->paused_until[n] = 0;
}

static void cut(struct sim *s, int a, int b, uint64_t ns)
{
    s->cut_until[a][b] = s->vc.now + ns;
    if (!chance(s, 200))
        s->cut_until[b][a] = s->vc.now + ns;
}

/* What a run mostly suffers from; rare meetings of rare faults want their own weather. */
static const uint8_t weathers[][10] = {
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, /* everything */
    { 3, 3, 3, 4, 4, 5, 5, 6, 6, 8 }, /* cut links and pauses: leases */
    { 0, 0, 5, 9, 9, 9, 9, 9, 9, 9 }, /* cut logs: snapshots */
    { 0, 0, 0, 1, 1, 2, 2, 2, 3, 7 }, /* crashes */
};

static void fault(struct sim *s)
{
    struct vc *vc = &s->vc;
    int n = (int)below(s, (uint64_t)vc->count), m = (int)below(s, (uint64_t)vc->count);
    s->fault_at = vc->now + around(s, s->fault_ns);
    switch (weathers[s->weather][below(s, 10)]) {
    case 0:
    case 1:
    case 2:
        crash(s, n);
        break;
    case 3:
    case 4:
        if (n != m)
            cut(s, n, m, below(s, 4000 * MS));
        break;
    case 5:
        for (int i = 0; i <= VC_DIRECTOR; i++)
            if (i != n && (i < vc->count || (i == VC_DIRECTOR && chance(s, 300))))
                cut(s, n, i, below(s, 4000 * MS));
        break;
    case 6:
        s->paused_until[n] = vc->now + below(s, 3000 * MS);
        vc_trace(vc, "%d is paused", n + 1);
        break;
    case 7:
        if (vc->nodes[n].up && n != m)
            vc_handover(vc, n, m);
        break;
    case 8:
        s->director_down_until = vc->now + below(s, 3000 * MS);
        break;
    default: {
        const struct vimage *im = s->breaks.core.r25 ? &vc->nodes[n].disk.mem : &vc->nodes[n].disk.dur;
        uint64_t limit = s->breaks.core.r25 ? im->last : im->applied;
        if (vc->nodes[n].up && limit > 0)
            vc_trim(vc, n, 1 + below(s, limit));
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
static void director(struct sim *s)
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

static void heal(struct sim *s)
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

/* ---- one run ----------------------------------------------------------------------------------------- */

static void setup(struct sim *s, uint64_t seed, const struct breaks *breaks)
{
    *s = (struct sim){ .rand = seed * UINT64_C(0x2545f4914f6cdd1d) + 1 };
    s->breaks = *breaks;
    struct replica_cfg cfg = { .min_members = 1, .faults = &s->breaks.core };
    int count = 3 + (int)below(s, 2);
    cfg.append_count_max = 1 + (uint32_t)below(s, 6);
    cfg.near_count = 1 + (uint32_t)below(s, 8);
    cfg.inflight_bytes_max = 100 + (uint32_t)below(s, 400);
    cfg.catchup_count_max = 1 + (uint32_t)below(s, 100);
    cfg.min_members = (uint8_t)(1 + below(s, 2));
    vc_init(&s->vc, count, 1u | (unsigned)below(s, 1u << count), &cfg);
    for (int i = 0; i < count; i++) {
        s->vc.nodes[i].clock_offset = below(s, 1000000 * MS);
        s->vc.nodes[i].clock_ppm = chance(s, 500) ? 810000 + below(s, 380001) : 1000000;
        s->start_at[i] = below(s, 50 * MS);
        s->tick_at[i] = s->beat_at[i] = s->sync_at[i] = s->apply_at[i] = NEVER;
    }
    s->vc.route = route;
    s->vc.route_arg = s;
    s->vc.lazy_apply = true;
    s->loss = below(s, 3) * below(s, 60);
    s->dup = below(s, 3) * below(s, 60);
    s->dup_chunk = below(s, 3) * below(s, 400);
    s->delay_ns = MS / 10 + below(s, 10 * MS);
    s->slow = below(s, 3) * below(s, 30);
    s->ask_delay_ns = below(s, 3) * below(s, 1000 * MS);
    s->slow_sync = below(s, 3) * below(s, 40);
    s->apply_lag_ns = MS / 10 + below(s, 5 * MS);
    s->quiet_ns = 10 * MS + below(s, 400 * MS);
    s->fault_ns = 100 * MS + below(s, 2000 * MS);
    s->end_chaos = 5000 * MS + below(s, 30000 * MS);
    s->end = s->end_chaos + HEAL_NS;
    s->fault_at = 200 * MS;
    s->weather = below(s, sizeof weathers / sizeof *weathers);
    if (breaks->weather == 0)
        return;
    s->weather = (size_t)breaks->weather - 1;
    s->ask_delay_ns = 1500 * MS;
    s->dup_chunk = 600;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t soonest(struct sim *s)
{
    struct vc *vc = &s->vc;
    uint64_t at = min64(min64(s->client_at, s->fault_at), min64(s->director_at, s->read_at));
    for (int i = 0; i < vc->count; i++) {
        uint64_t own = min64(min64(s->tick_at[i], s->beat_at[i]), min64(s->sync_at[i], s->apply_at[i]));
        if (own < s->paused_until[i])
            own = s->paused_until[i];
        at = min64(at, min64(own, s->start_at[i]));
    }
    for (size_t i = 0; i < vc->pool_count; i++)
        at = min64(at, vc->pool[i]->at);
    for (int i = 0; i < READS_MAX; i++)
        if (s->reads[i].stage != 0)
            at = min64(at, s->reads[i].at);
    if (!s->healing)
        at = min64(at, s->end_chaos);
    return at;
}

static void deliveries(struct sim *s)
{
    struct vc *vc = &s->vc;
    for (size_t i = 0; i < vc->pool_count && vc->violation[0] == '\0';) {
        struct vmsg *m = vc->pool[i];
        if (m->at > vc->now) {
            i++;
            continue;
        }
        if (m->to == VC_DIRECTOR ? vc->now < s->director_down_until : vc->now < s->paused_until[m->to]) {
            m->at = m->to == VC_DIRECTOR ? s->director_down_until : s->paused_until[m->to];
            continue;
        }
        bool chunk = m->kind == VM_PEER && m->msg.type == REPLICA_MSG_CHUNK;
        bool again = !s->healing && chance(s, chunk ? s->dup_chunk : s->dup);
        if (again)
            m->at = vc->now + 1 + (chance(s, 300) ? below(s, 3000 * MS) : below(s, 20 * MS));
        vc_deliver(vc, i, again);
        i = 0;
    }
}

static bool all_is_well(struct sim *s)
{
    struct vc *vc = &s->vc;
    const struct replica_conf *conf = vc_conf(vc);
    if (vc->answers < s->healed_answers + 5 || s->healed_reads < 5 || conf->member_count != vc->count)
        return false;
    for (int i = 0; i < vc->count; i++)
        if (!vc_conf_has(conf->members, conf->member_count, vc->nodes[i].id) ||
            vc->nodes[i].disk.mem.applied < vc->acked)
            return false;
    return true;
}

static void turn(struct sim *s)
{
    struct vc *vc = &s->vc;
    if (!s->healing && vc->now >= s->end_chaos)
        heal(s);
    deliveries(s);
    for (int i = 0; i < vc->count && vc->violation[0] == '\0'; i++)
        node_events(s, i);
    if (s->client_at <= vc->now)
        client(s);
    if (s->read_at <= vc->now)
        new_read(s);
    for (int i = 0; i < READS_MAX; i++)
        if (s->reads[i].stage != 0 && s->reads[i].at <= vc->now)
            read_step(s, &s->reads[i]);
    if (s->fault_at <= vc->now)
        fault(s);
    if (s->director_at <= vc->now)
        director(s);
    for (int i = 0; i < vc->count; i++)
        plan_node(s, i);
}

static void trace_node(struct vc *vc, int n)
{
    struct replica_info info = { 0 };
    if (vc->nodes[n].up)
        replica_info(vc->nodes[n].r, &info);
    vc_trace(vc,
             "%d: role %d active %d accepting %d epoch %" PRIu64 " log %" PRIu64 "..%" PRIu64
             " durable %" PRIu64 " commit %" PRIu64 " applied %" PRIu64 " unsynced %zu",
             n + 1, info.role, info.active, info.accepting, info.epoch, info.base, info.last, info.durable,
             info.commit, info.applied, vc->nodes[n].disk.count);
}

static bool trace_messages;

enum verdict { WELL, STUCK, BROKEN };

static enum verdict run(uint64_t seed, const struct breaks *breaks, bool trace, bool quiet)
{
    static struct sim s;
    setup(&s, seed, breaks);
    s.vc.trace = trace;
    s.vc.trace_messages = trace && trace_messages;
    bool well = false;
    while (s.vc.violation[0] == '\0' && !well && s.vc.now < s.end) {
        uint64_t at = soonest(&s);
        if (at > s.vc.now)
            s.vc.now = at;
        turn(&s);
        well = s.healing && all_is_well(&s);
    }
    bool stuck = !well && s.vc.violation[0] == '\0';
    if (stuck)
        vc_violate(&s.vc, "60 s after the faults stopped it does not serve with all its members");
    else
        vc_check_final(&s.vc);
    if (s.vc.violation[0] != '\0' && !quiet)
        printf("seed %" PRIu64 ": %s\n", seed, s.vc.violation);
    for (int i = 0; trace && i < s.vc.count; i++)
        trace_node(&s.vc, i);
    if (trace)
        printf("epochs %zu answers %" PRIu64 " reads %" PRIu64 " committed %" PRIu64 " at %.1f s\n",
               s.vc.epoch, s.vc.answers, s.vc.reads, s.vc.committed_len, (double)s.vc.now / 1e9);
    enum verdict verdict = stuck ? STUCK : s.vc.violation[0] != '\0' ? BROKEN : WELL;
    vc_fini(&s.vc);
    return verdict;
}

/* ---- main -------------------------------------------------------------------------------------------- */

struct rule {
    const char *name;
    size_t offset;
    int weather;
};

#define RULE(name, field, weather)                    \
    {                                                 \
        name, offsetof(struct breaks, field), weather \
    }
static const struct rule rules[] = {
    RULE("R3", core.r3, 0),   RULE("R4", core.r4, 0),     RULE("R6", core.r6, 0),   RULE("R7", core.r7, 0),
    RULE("R8", core.r8, 0),   RULE("R12b", core.r12b, 2), RULE("R14", r14, 0),      RULE("R16", core.r16, 0),
    RULE("R21", core.r21, 0), RULE("R24", core.r24, 3),   RULE("R25", core.r25, 0),
};

static bool notices(const struct rule *rule, uint64_t from, uint64_t to, bool trace)
{
    struct breaks breaks = { .weather = rule->weather };
    *((bool *)&breaks + rule->offset) = true;
    for (uint64_t seed = from; seed < to; seed++) {
        if (run(seed, &breaks, trace, true) == BROKEN) {
            printf("%s broken: noticed by seed %" PRIu64 "\n", rule->name, seed);
            run(seed, &breaks, false, false);
            return true;
        }
    }
    printf("%s broken: not noticed by seeds %" PRIu64 ":%" PRIu64 "\n", rule->name, from, to);
    return false;
}

static const struct rule *find_rule(const char *name)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcasecmp(rules[i].name, name) == 0)
            return &rules[i];
    fprintf(stderr, "replica_sim: no such rule: %s\n", name);
    exit(2);
}

static bool run_all(uint64_t from, uint64_t to, bool trace)
{
    struct breaks none = { 0 };
    bool ok = true;
    for (uint64_t seed = from; seed < to; seed++)
        ok = run(seed, &none, trace, false) == WELL && ok;
    return ok;
}

#define SMOKE_SEEDS       50
#define SMOKE_BREAK_SEEDS 600

static bool smoke(void)
{
    bool ok = run_all(1, 1 + SMOKE_SEEDS, false);
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        ok = notices(&rules[i], 1, 1 + SMOKE_BREAK_SEEDS, false) && ok;
    return ok;
}

int main(int argc, char **argv)
{
    uint64_t from = 1, to = 101;
    bool trace = false;
    const struct rule *rule = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0)
            return smoke() ? 0 : 1;
        if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else if (strcmp(argv[i], "--messages") == 0) {
            trace = trace_messages = true;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            from = strtoull(argv[++i], NULL, 10);
            to = from + 1;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            char *end;
            from = strtoull(argv[++i], &end, 10);
            to = *end == ':' ? strtoull(end + 1, NULL, 10) : from + 1;
        } else if (strcmp(argv[i], "--break") == 0 && i + 1 < argc) {
            rule = find_rule(argv[++i]);
        } else {
            fprintf(stderr, "usage: replica_sim [--smoke] [--seed N | --seeds A:B] [--break RULE] [--trace | "
                            "--messages]\n");
            return 2;
        }
    }
    if (rule != NULL)
        return notices(rule, from, to, trace) ? 0 : 1;
    return run_all(from, to, trace) ? 0 : 1;
}
