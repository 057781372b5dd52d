/* SPDX-License-Identifier: Apache-2.0 */
/* Random users, power cuts at any write, restarts, repeats: everything acknowledged is there, once.
 *
 *   storage_sim --seed N [--trace]           one run
 *   storage_sim --seeds A:B                  runs A .. B-1
 *   storage_sim --break FAULT --seeds A:B    breaks the driver (see breaks below); exit status 0
 * if some run notices storage_sim --smoke                      what the tests run: some seeds, and every
 * break */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "tests/sim/storage/bodies.h"
#include "tests/sim/storage/client.h"
#include "tests/sim/storage/mirror.h"

enum {
    STEPS = 3000,
    IDLE_STEPS_MAX = 6,
    COPY_STEPS = 600, /* between copies to another node */
    COPY_AGE = 100,   /* steps since what is sent was there */
    LONG_PAUSE_MS = 3 * 3600 * 1000,
    SMOKE_SEEDS = 60,
    SMOKE_BREAK_SEEDS = 40
};

static const struct {
    const char *name;
    struct storage_faults faults;
} breaks[] = {
    { "sync", { .skip_sync = true } },
    { "applied", { .split_applied = true } },
    { "bodies", { .forget_bodies = true } },
    { "replay", { .skip_replay = true } },
    { "mark", { .unmarked_install = true } },
    { "late-mark", { .late_mark = true } },
    { "persist", { .unpersisted_install = true } },
};
enum { BREAK_COUNT = sizeof breaks / sizeof breaks[0] };

struct totals {
    uint64_t runs, crashes, acked, repeated, reads, reads_refused, commits, cut, copies, copy_crashes;
};

/* Hours pass while nobody asks for anything: what is remembered for a while is swept. */
static void long_pause(struct world *w, struct clients *c)
{
    w->calm = true;
    clients_finish(c);
    world_settle(w);
    world_advance(w, LONG_PAUSE_MS);
    world_settle(w);
    w->calm = false;
}

/* All accounts end: sweeps leave neither rows nor bytes of them. */
static void bury(struct world *w, struct clients *c)
{
    enum { PAUSES = 3 }; /* mailboxes and accounts, then their bodies, then what is remembered of requests */
    w->calm = false;
    clients_bury(c);
    for (int i = 0; i < PAUSES && !w->failed; i++) {
        world_settle(w);
        world_advance(w, LONG_PAUSE_MS);
    }
    world_settle(w);
    bodies_check(w, true);
}

/* What was there a while ago is sent to another node, as it was, with the entries since. */
static void copy(struct world *w, struct mirror *m, int step)
{
    bool take = step % COPY_STEPS == COPY_STEPS - 1 - COPY_AGE, send = step % COPY_STEPS == COPY_STEPS - 1;
    if (take || send)
        world_settle(w);
    if (take && !w->failed)
        mirror_take(m);
    if (send && !w->failed)
        mirror_copy(m);
}

static uint64_t cut_entries(const struct world *w)
{
    uint64_t sum = 0;
    for (int i = 0; i < WORLD_PARTITIONS; i++) {
        struct replica_info info;
        if (w->parts[i].p == NULL)
            continue;
        partition_info(w->parts[i].p, &info);
        sum += info.base;
    }
    return sum;
}

/* The failure's text goes to `failure_out`; true if the run was good. */
static bool run(uint64_t seed, const struct storage_faults *faults, bool trace, struct totals *totals,
                char failure_out[256])
{
    struct world w;
    struct clients c;
    world_init(&w, seed, faults);
    w.trace = trace;
    clients_init(&c, &w);
    struct mirror *mirror = mirror_new(&w, (uint32_t)world_below(&w, WORLD_PARTITIONS));
    uint64_t busy = 1 + world_below(&w, IDLE_STEPS_MAX);
    for (int i = 0; i < STEPS && !w.failed; i++) {
        if (world_below(&w, busy) == 0)
            clients_step(&c);
        world_step(&w);
        if (world_below(&w, STEPS) == 0)
            long_pause(&w, &c);
        copy(&w, mirror, i);
    }
    w.calm = true;
    if (!w.failed)
        clients_finish(&c);
    world_settle(&w);
    clients_check_all(&c);
    if (!w.failed) {
        world_crash(&w); /* once more, all being acknowledged */
        world_settle(&w);
        clients_check_all(&c);
    }
    bodies_check(&w, false);
    bury(&w, &c);
    uint64_t copies, copy_crashes;
    totals->runs++;
    totals->crashes += w.crashes;
    totals->acked += c.acked;
    totals->repeated += c.repeated;
    totals->reads += c.reads;
    totals->reads_refused += c.reads_refused;
    totals->commits += w.commits;
    totals->cut += cut_entries(&w);
    mirror_figures(mirror, &copies, &copy_crashes);
    totals->copies += copies;
    totals->copy_crashes += copy_crashes;
    mirror_free(&mirror);
    memcpy(failure_out, w.failure, sizeof w.failure);
    bool good = !w.failed;
    world_fini(&w);
    clients_fini(&c);
    return good;
}

static void print_totals(const struct totals *t)
{
    printf("%llu runs, %llu crashes, %llu acknowledged, %llu repeated, ", (unsigned long long)t->runs,
           (unsigned long long)t->crashes, (unsigned long long)t->acked, (unsigned long long)t->repeated);
    printf("%llu batches, %llu log entries cut, %llu reads (%llu refused), ", (unsigned long long)t->commits,
           (unsigned long long)t->cut, (unsigned long long)t->reads, (unsigned long long)t->reads_refused);
    printf("%llu copies (%llu crashes)\n", (unsigned long long)t->copies,
           (unsigned long long)t->copy_crashes);
}

static int run_seeds(uint64_t from, uint64_t to, const struct storage_faults *faults, bool trace)
{
    struct totals totals = { 0 };
    char failure[256];
    for (uint64_t seed = from; seed < to; seed++) {
        if (!run(seed, faults, trace, &totals, failure)) {
            printf("seed %llu: %s\n", (unsigned long long)seed, failure);
            return 1;
        }
    }
    print_totals(&totals);
    return 0;
}

/* 0 if some seed notices the break. */
static int run_break(size_t i, uint64_t from, uint64_t to)
{
    struct totals totals = { 0 };
    char failure[256];
    for (uint64_t seed = from; seed < to; seed++) {
        if (!run(seed, &breaks[i].faults, false, &totals, failure)) {
            printf("break %s: noticed with seed %llu: %s\n", breaks[i].name, (unsigned long long)seed,
                   failure);
            return 0;
        }
    }
    printf("break %s: NOT noticed in %llu runs\n", breaks[i].name, (unsigned long long)(to - from));
    return 1;
}

static int smoke(void)
{
    int failed = run_seeds(1, 1 + SMOKE_SEEDS, NULL, false);
    for (size_t i = 0; i < BREAK_COUNT; i++)
        failed |= run_break(i, 1, 1 + SMOKE_BREAK_SEEDS);
    return failed;
}

static int usage(void)
{
    fprintf(stderr, "usage: storage_sim --smoke | --seed N [--trace] | [--break FAULT] --seeds A:B\n");
    return 2;
}

int main(int argc, char **argv)
{
    unsigned long long from = 0, to = 0;
    int broken = -1;
    bool trace = false, smoke_wanted = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--smoke") == 0) {
            smoke_wanted = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            from = strtoull(argv[++i], NULL, 10);
            to = from + 1;
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc &&
                   sscanf(argv[i + 1], "%llu:%llu", &from, &to) == 2) {
            i++;
        } else if (strcmp(argv[i], "--break") == 0 && i + 1 < argc) {
            for (size_t b = 0; b < BREAK_COUNT; b++) {
                if (strcmp(breaks[b].name, argv[i + 1]) == 0)
                    broken = (int)b;
            }
            if (broken < 0)
                return usage();
            i++;
        } else {
            return usage();
        }
    }
    if (!trace)
        log_set_level(LOG_LEVEL_ERROR + 1); /* partitions that stop are what a break is about */
    if (smoke_wanted)
        return smoke();
    if (to == 0)
        return usage();
    return broken >= 0 ? run_break((size_t)broken, from, to) : run_seeds(from, to, NULL, trace);
}
