/* SPDX-License-Identifier: Apache-2.0 */
/* Whole clusters by seed; see cluster.h.
 *
 *   cluster_sim --seed N [--trace]           one run
 *   cluster_sim --seeds A:B                  runs A .. B-1
 *   cluster_sim --break NAME --seeds A:B     with something broken, until a run notices; --seed N: that run
 *   --weather N                            in that weather, whatever the seed says
 *   cluster_sim --breaks                     what can be broken
 *   cluster_sim --smoke                      what the tests run
 *
 * Exit status 0: all was well, or the break was noticed by a run that is well without it; 1: not so; 2:
 * usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "tests/sim/cluster/breaks.h"
#include "tests/sim/cluster/truth.h"
#include "tests/sim/common/seeds.h"

enum {
    SMOKE_SEEDS = 60,
    FAULTS_MS_MIN = 9000, /* with faults: as long, and at most as much again times three */
    CALM_MS = 120000,     /* by then everything must be well again */
    LOOK_MS = 100,
    FAIL_OVERS = 3, /* of which whoever watches must not suffer */
    FAIL_OVER_MS = 1500,
};

struct job {
    struct breaks breaks;
    int weather;
    bool trace;
};

static bool is_settled(struct cluster *c)
{
    struct buf why = { 0 };
    bool settled = truth_is_settled(c, &why);
    buf_fini(&why);
    return settled;
}

static bool is_well(struct cluster *c)
{
    return clients_idle(c) && is_settled(c) && checks_converged(c, false);
}

/* Until `done` holds, or for CALM_MS. */
static bool wait_until(struct cluster *c, bool (*done)(struct cluster *))
{
    uint64_t end = c->now + CALM_MS * MS;
    while (c->now < end && !c->failed && !done(c))
        cluster_run(c, c->now + LOOK_MS * MS);
    return !c->failed && done(c);
}

static bool is_restored(struct cluster *c)
{
    return !operators_restoring(c);
}

static bool is_read(struct cluster *c)
{
    return clients_finished(c) && is_well(c);
}

static void play(struct cluster *c)
{
    uint64_t faults_ms = FAULTS_MS_MIN + cluster_below(c, 3 * FAULTS_MS_MIN);
    cluster_run(c, c->now + faults_ms * MS);
    if (c->failed)
        return;
    weather_calm(c);
    cluster_run(c, c->now + 500 * MS);                /* clients go on for a while */
    if (c->seed % 2 == 1 && operators_restoring(c)) { /* nothing else goes wrong meanwhile */
        wait_until(c, is_restored);
        c->shaken_at = c->now;
    }
    for (int i = 0; i < FAIL_OVERS && c->seed % 2 == 1 && !c->failed; i++) {
        weather_fail_over(c);
        cluster_run(c, c->now + cluster_below(c, 2 * FAIL_OVER_MS) * MS);
    }
    clients_finish(c);
    if (!wait_until(c, is_read)) {
        checks_tell(c);
        struct buf why = { 0 };
        truth_is_settled(c, &why);
        cluster_fail(c, "not all is well %d s after the last fault: clients %s, copies %s, replicas %s",
                     CALM_MS / 1000, clients_finished(c) ? "well" : "wait",
                     why.len > 0 ? buf_cstr(&why) : "well", checks_converged(c, false) ? "well" : "differ");
        buf_fini(&why);
        return;
    }
    checks_converged(c, true);
    history_check(c);
}

static bool run(void *arg, uint64_t seed, bool whole, bool quiet)
{
    static struct cluster c;
    const struct job *job = arg;
    cluster_init(&c, seed, whole ? NULL : &job->breaks, job->weather, job->trace);
    play(&c);
    if (!quiet)
        printf("seed %llu: %s; weather %d, %d nodes, %d partitions: %llu writes, %llu reads, %llu repeated, "
               "%llu "
               "refused; %llu crashes, %llu of directors, %llu cuts, %llu copies (%llu torn, %llu by "
               "directors), %llu drains, %llu deaths, %llu removals, %llu new disks, %llu restored, %llu "
               "epochs; %llu states compared, %llu watches, %llu notices, %llu queued, %llu "
               "leased\n",
               (unsigned long long)seed, c.failed ? c.failure : "ok", c.weather, c.slots, c.partitions,
               (unsigned long long)c.totals.acked, (unsigned long long)c.totals.reads,
               (unsigned long long)c.totals.repeated, (unsigned long long)c.totals.refused,
               (unsigned long long)c.totals.crashes, (unsigned long long)directors.totals.crashes,
               (unsigned long long)c.totals.cuts, (unsigned long long)c.totals.installs,
               (unsigned long long)c.totals.torn, (unsigned long long)c.totals.learners,
               (unsigned long long)c.totals.drains, (unsigned long long)c.totals.deaths,
               (unsigned long long)c.totals.removals, (unsigned long long)c.totals.disks,
               (unsigned long long)c.totals.restores, (unsigned long long)c.totals.epochs,
               (unsigned long long)c.totals.compared, (unsigned long long)c.totals.watches,
               (unsigned long long)c.totals.notices, (unsigned long long)c.totals.queued,
               (unsigned long long)c.totals.leased);
    else if (c.failed)
        printf("seed %llu: %s\n", (unsigned long long)seed, c.failure);
    fflush(stdout);
    bool good = !c.failed;
    c.failed = true; /* nothing more is done on the way out */
    cluster_fini(&c);
    return good;
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: cluster_sim --smoke | --breaks | [--break NAME] --seed N [--trace] | [--break NAME] --seeds "
        "A:B [--quiet]\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct seeds seeds = { 0 };
    struct job job = { .weather = -1 };
    int weather = -1;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--weather") == 0 && i + 1 < argc)
            weather = atoi(argv[++i]) % weather_count();
        else if (!seeds_take(&seeds, SMOKE_SEEDS, argc, argv, &i))
            return usage();
    }
    if (seeds.list) {
        breaks_list();
        return 0;
    }
    if (seeds.to <= seeds.from ||
        (seeds.broken != NULL && !breaks_find(seeds.broken, &job.breaks, &job.weather)))
        return usage();
    if (weather >= 0)
        job.weather = weather;
    job.trace = seeds.trace;
    if (!job.trace)
        log_set_level(LOG_LEVEL_ERROR + 1); /* what breaks is what this is about */
    return seeds_play(&seeds, run, &job);
}
