/* SPDX-License-Identifier: Apache-2.0 */
/* Random users, power cuts at any write, restarts, repeats: everything acknowledged is there, once.
 *
 *   storage_sim --seed N                     one run
 *   storage_sim --seeds A:B                  runs A .. B-1
 *   storage_sim --break NAME --seeds A:B     with something broken, until a run notices; --seed N: that run
 *   storage_sim --breaks                     what can be broken
 *   storage_sim --smoke                      what the tests run
 *
 * Exit status 0: all was well, or the break was noticed by a run that is well without it; 1: not so; 2:
 * usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/log.h"
#include "tests/sim/common/seeds.h"
#include "tests/sim/storage/bodies.h"
#include "tests/sim/storage/client.h"
#include "tests/sim/storage/mirror.h"

enum {
    STEPS = 3000,
    IDLE_STEPS_MAX = 6,
    COPY_STEPS = 600, /* between copies to another node */
    COPY_AGE = 100,   /* steps since what is sent was there */
    LONG_PAUSE_MS = 3 * 3600 * 1000,
    SMOKE_SEEDS = 60
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

struct job {
    struct storage_faults faults;
    bool trace;
};

static void print_run(uint64_t seed, const struct world *w, const struct clients *c, const struct mirror *m)
{
    uint64_t copies, copy_crashes;
    mirror_figures(m, &copies, &copy_crashes);
    printf(
        "seed %llu: %s; %llu crashes, %llu acknowledged, %llu repeated, %llu batches, %llu log entries cut, "
        "%llu reads (%llu refused), %llu copies (%llu crashes)\n",
        (unsigned long long)seed, w->failed ? w->failure : "ok", (unsigned long long)w->crashes,
        (unsigned long long)c->acked, (unsigned long long)c->repeated, (unsigned long long)w->commits,
        (unsigned long long)cut_entries(w), (unsigned long long)c->reads,
        (unsigned long long)c->reads_refused, (unsigned long long)copies, (unsigned long long)copy_crashes);
}

static bool run(void *arg, uint64_t seed, bool whole, bool quiet)
{
    const struct job *job = arg;
    struct world w;
    struct clients c;
    world_init(&w, seed, whole ? NULL : &job->faults);
    w.trace = job->trace;
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
    if (!quiet)
        print_run(seed, &w, &c, mirror);
    else if (w.failed)
        printf("seed %llu: %s\n", (unsigned long long)seed, w.failure);
    fflush(stdout);
    mirror_free(&mirror);
    bool good = !w.failed;
    world_fini(&w);
    clients_fini(&c);
    return good;
}

static bool find_break(const char *name, struct storage_faults *out)
{
    for (size_t i = 0; i < BREAK_COUNT; i++) {
        if (strcmp(breaks[i].name, name) != 0)
            continue;
        *out = breaks[i].faults;
        return true;
    }
    return false;
}

static int list_breaks(void)
{
    for (size_t i = 0; i < BREAK_COUNT; i++)
        printf("%s\n", breaks[i].name);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: storage_sim --smoke | --breaks | [--break NAME] --seed N [--trace] | "
                    "[--break NAME] --seeds A:B [--quiet]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct seeds seeds = { 0 };
    struct job job = { 0 };
    for (int i = 1; i < argc; i++) {
        if (!seeds_take(&seeds, SMOKE_SEEDS, argc, argv, &i))
            return usage();
    }
    if (seeds.list)
        return list_breaks();
    if (seeds.to <= seeds.from || (seeds.broken != NULL && !find_break(seeds.broken, &job.faults)))
        return usage();
    job.trace = seeds.trace;
    if (!job.trace)
        log_set_level(LOG_LEVEL_ERROR + 1); /* partitions that stop are what a break is about */
    return seeds_play(&seeds, run, &job);
}
