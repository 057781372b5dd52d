/* SPDX-License-Identifier: Apache-2.0 */
/* Directors by seed; see dsim.h.
 *
 *   director_sim --seed N [--trace]         one run
 *   director_sim --seeds A:B                runs A .. B-1
 *   director_sim --break NAME --seeds A:B   with something broken, until a run notices; --seed N: that run
 *   director_sim --breaks                   what can be broken
 *   director_sim --smoke                    what the tests run
 *   ... --haste                             operators call nodes lost that are only away
 *
 * Exit status 0: all was well, or the break was noticed by a run that is well without it; 1: not so; 2:
 * usage. */
#include <stdio.h>
#include <string.h>

#include "lib/base/log.h"
#include "tests/sim/common/seeds.h"
#include "tests/sim/director/dsim.h"

enum {
    SMOKE_SEEDS = 20,
    FAULTS_MS_MIN = 30000,
    CALM_MS = 600000, /* by then everything must be well again, if one copy moves at a time */
    LOOK_MS = 500,
    STEADY_MS = 5000, /* and stay so */
};

static bool settles(void)
{
    uint64_t end = sim->now + CALM_MS, well_since = 0;
    while (!sim->failed && sim->now < end && (well_since == 0 || sim->now < well_since + STEADY_MS)) {
        sim_run(sim->now + LOOK_MS);
        if (!check_settled(NULL))
            well_since = 0;
        else if (well_since == 0)
            well_since = sim->now;
    }
    return well_since != 0;
}

static void play(void)
{
    sim_run(FAULTS_MS_MIN + sim_below(3 * FAULTS_MS_MIN));
    if (sim->failed)
        return;
    weather_calm();
    uint64_t acked = sim->totals.acked;
    if (!settles()) {
        struct buf why = { 0 };
        check_settled(&why);
        sim_fail("not all is well %d s after the last fault: %s", CALM_MS / 1000, buf_cstr(&why));
        buf_fini(&why);
    } else if (sim->totals.acked == acked) {
        sim_fail("nothing is written after the last fault");
    }
}

struct job {
    struct dbreaks breaks;
    bool haste, trace;
};

static bool run(void *arg, uint64_t seed, bool whole, bool quiet)
{
    const struct job *job = arg;
    struct dbreaks none = { 0 };
    static struct sim s;
    sim_init(&s, seed, whole ? &none : &job->breaks, job->haste, job->trace);
    play();
    const struct totals *t = &s.totals;
    if (!quiet)
        printf("seed %llu: %s; %u partitions, %u copies, %llu s: %llu writes, %llu epochs (%llu promotions), "
               "%llu copies begun, %llu at once, %llu wishes; %llu crashes, %llu of directors, %llu leaders, "
               "%llu drains, %llu removals, %llu deaths; %llu conflicts, %llu in doubt, %llu reloads\n",
               (unsigned long long)seed, s.failed ? s.failure : "ok", s.partitions, s.copies,
               (unsigned long long)(s.now / 1000), (unsigned long long)t->acked,
               (unsigned long long)t->epochs, (unsigned long long)t->promotions,
               (unsigned long long)t->learners, (unsigned long long)t->moves_most,
               (unsigned long long)t->wishes, (unsigned long long)t->crashes,
               (unsigned long long)directors.totals.crashes, (unsigned long long)directors.totals.leaders,
               (unsigned long long)t->drains, (unsigned long long)t->removals, (unsigned long long)t->deaths,
               (unsigned long long)directors.totals.conflicts, (unsigned long long)directors.totals.doubts,
               (unsigned long long)directors.totals.reloads);
    else if (s.failed)
        printf("seed %llu: %s\n", (unsigned long long)seed, s.failure);
    fflush(stdout);
    bool good = !s.failed;
    sim_fini(&s);
    return good;
}

static int usage(void)
{
    fprintf(stderr,
            "usage: director_sim --smoke | --breaks | [--break NAME] --seed N [--trace] | [--break NAME] "
            "--seeds A:B [--quiet], any of them with --haste\n");
    return 2;
}

int main(int argc, char **argv)
{
    struct seeds seeds = { 0 };
    struct job job = { 0 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--haste") == 0)
            job.haste = true;
        else if (!seeds_take(&seeds, SMOKE_SEEDS, argc, argv, &i))
            return usage();
    }
    if (seeds.list) {
        dbreaks_list();
        return 0;
    }
    if (seeds.to <= seeds.from || (seeds.broken != NULL && !dbreaks_find(seeds.broken, &job.breaks)))
        return usage();
    job.haste = job.haste || job.breaks.mark;
    job.trace = seeds.trace;
    if (!job.trace)
        log_set_level(LOG_LEVEL_ERROR + 1); /* what breaks is what this is about */
    return seeds_play(&seeds, run, &job);
}
