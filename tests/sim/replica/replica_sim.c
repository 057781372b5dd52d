/* SPDX-License-Identifier: Apache-2.0 */
/* Random schedules on a virtual cluster of one partition. A seed decides everything, so a failing seed
 * repeats.
 *
 *   replica_sim --seed N [--trace | --messages]  one run; with all messages but the beats
 *   replica_sim --seeds A:B                      runs A .. B-1
 *   replica_sim --break RULE --seeds A:B         with a rule broken, until a run notices it by an invariant
 *                                                (being stuck does not count); --seed N: that run
 *   replica_sim --breaks                         what can be broken
 *   replica_sim --smoke                          what the tests run
 *
 * Exit status 0: all was well, or the break was noticed by a run that is well without it; 1: not so; 2:
 * usage. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/common/seeds.h"
#include "tests/sim/replica/sim.h"

enum { SMOKE_SEEDS = 50 };

/* 0 in a third of the runs. (The order of two throws in one expression would be the compiler's choice.) */
static uint64_t often_none(struct sim *s, uint64_t n)
{
    uint64_t factor = sim_below(s, 3);
    return factor * sim_below(s, n);
}

static void setup(struct sim *s, uint64_t seed, const struct breaks *breaks)
{
    *s = (struct sim){ .rand = seed * UINT64_C(0x2545f4914f6cdd1d) + 1 };
    s->breaks = *breaks;
    struct replica_cfg cfg = { .min_members = 1, .faults = &s->breaks.core };
    int count = 3 + (int)sim_below(s, 2);
    cfg.append_count_max = 1 + (uint32_t)sim_below(s, 6);
    cfg.near_count = 1 + (uint32_t)sim_below(s, 8);
    cfg.inflight_bytes_max = 100 + (uint32_t)sim_below(s, 400);
    cfg.catchup_count_max = 1 + (uint32_t)sim_below(s, 100);
    cfg.min_members = (uint8_t)(1 + sim_below(s, 2));
    vc_init(&s->vc, count, 1u | (unsigned)sim_below(s, 1u << count), &cfg);
    for (int i = 0; i < count; i++) {
        s->vc.nodes[i].clock_offset = sim_below(s, 1000000 * MS);
        s->vc.nodes[i].clock_ppm = sim_chance(s, 500) ? 810000 + sim_below(s, 380001) : 1000000;
        s->start_at[i] = sim_below(s, 50 * MS);
        s->tick_at[i] = s->beat_at[i] = s->sync_at[i] = s->apply_at[i] = NEVER;
    }
    s->vc.route = sim_route;
    s->vc.route_arg = s;
    s->vc.lazy_apply = true;
    s->loss = often_none(s, 60);
    s->dup = often_none(s, 60);
    s->dup_chunk = often_none(s, 400);
    s->delay_ns = MS / 10 + sim_below(s, 10 * MS);
    s->slow = often_none(s, 30);
    s->ask_delay_ns = often_none(s, 1000 * MS);
    s->slow_sync = often_none(s, 40);
    s->apply_lag_ns = MS / 10 + sim_below(s, 5 * MS);
    s->quiet_ns = 10 * MS + sim_below(s, 400 * MS);
    s->fault_ns = 100 * MS + sim_below(s, 2000 * MS);
    s->end_chaos = 5000 * MS + sim_below(s, 30000 * MS);
    s->end = s->end_chaos + HEAL_NS;
    s->fault_at = 200 * MS;
    s->weather = sim_below(s, sim_weather_count());
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
        bool again = !s->healing && sim_chance(s, chunk ? s->dup_chunk : s->dup);
        if (again)
            m->at = vc->now + 1 + (sim_chance(s, 300) ? sim_below(s, 3000 * MS) : sim_below(s, 20 * MS));
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
        sim_heal(s);
    deliveries(s);
    for (int i = 0; i < vc->count && vc->violation[0] == '\0'; i++)
        sim_node_events(s, i);
    if (s->client_at <= vc->now)
        sim_client(s);
    if (s->read_at <= vc->now)
        sim_new_read(s);
    for (int i = 0; i < READS_MAX; i++)
        if (s->reads[i].stage != 0 && s->reads[i].at <= vc->now)
            sim_read_step(s, &s->reads[i]);
    if (s->fault_at <= vc->now)
        sim_fault(s);
    if (s->director_at <= vc->now)
        sim_director(s);
    for (int i = 0; i < vc->count; i++)
        sim_plan_node(s, i);
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

struct job {
    struct breaks breaks;
    bool trace, messages;
};

enum verdict { WELL, STUCK, BROKEN };

static enum verdict play(const struct job *job, uint64_t seed, const struct breaks *breaks, bool quiet)
{
    static struct sim s;
    setup(&s, seed, breaks);
    s.vc.trace = job->trace;
    s.vc.trace_messages = job->messages;
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
    for (int i = 0; job->trace && i < s.vc.count; i++)
        trace_node(&s.vc, i);
    bool broken = s.vc.violation[0] != '\0';
    if (broken || !quiet)
        printf("seed %" PRIu64 ": %s; epochs %zu answers %" PRIu64 " reads %" PRIu64 " committed %" PRIu64
               " at %.1f s\n",
               seed, broken ? s.vc.violation : "ok", s.vc.epoch, s.vc.answers, s.vc.reads, s.vc.committed_len,
               (double)s.vc.now / 1e9);
    vc_fini(&s.vc);
    return stuck ? STUCK : broken ? BROKEN : WELL;
}

static bool run(void *arg, uint64_t seed, bool whole, bool quiet)
{
    const struct job *job = arg;
    struct breaks none = { .weather = job->breaks.weather };
    enum verdict verdict = play(job, seed, whole ? &none : &job->breaks, quiet);
    return whole ? verdict == WELL : verdict != BROKEN;
}

/* ---- main -------------------------------------------------------------------------------------------- */

#define RULE(name, field, weather)                    \
    {                                                 \
        name, offsetof(struct breaks, field), weather \
    }
static const struct {
    const char *name;
    size_t offset;
    int weather;
} rules[] = {
    RULE("R2", core.r2, 0),     RULE("R3", core.r3, 0),   RULE("R4", core.r4, 0),   RULE("R5", core.r5, 0),
    RULE("R6", core.r6, 0),     RULE("R7", core.r7, 0),   RULE("R8", core.r8, 0),   RULE("R11", core.r11, 0),
    RULE("R12b", core.r12b, 2), RULE("R14", r14, 0),      RULE("R16", core.r16, 0), RULE("R17", core.r17, 2),
    RULE("R21", core.r21, 0),   RULE("R24", core.r24, 3), RULE("R25", core.r25, 0), RULE("R26", core.r26, 0),
    RULE("R28", core.r28, 5),
};
enum { RULE_COUNT = sizeof rules / sizeof rules[0] };

static bool find_break(const char *name, struct breaks *out)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (strcasecmp(rules[i].name, name) != 0)
            continue;
        *((bool *)out + rules[i].offset) = true;
        out->weather = rules[i].weather;
        return true;
    }
    return false;
}

static int list_breaks(void)
{
    for (size_t i = 0; i < RULE_COUNT; i++)
        printf("%s\n", rules[i].name);
    return 0;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: replica_sim --smoke | --breaks | [--break RULE] --seed N [--trace | --messages] | "
            "[--break RULE] --seeds A:B [--quiet]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct seeds seeds = { 0 };
    struct job job = { 0 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--messages") == 0)
            job.messages = true;
        else if (!seeds_take(&seeds, SMOKE_SEEDS, argc, argv, &i))
            return usage();
    }
    if (seeds.list)
        return list_breaks();
    if (seeds.to <= seeds.from || (seeds.broken != NULL && !find_break(seeds.broken, &job.breaks)))
        return usage();
    job.trace = seeds.trace || job.messages;
    return seeds_play(&seeds, run, &job);
}
