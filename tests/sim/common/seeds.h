/* SPDX-License-Identifier: Apache-2.0 */
/* What a simulator is told on its command line, and runs by seed. */
#ifndef TESTS_SIM_COMMON_SEEDS_H
#define TESTS_SIM_COMMON_SEEDS_H

#include <stdbool.h>
#include <stdint.h>

struct seeds {
    uint64_t from, to;  /* from .. to - 1; none: 0, 0 */
    const char *broken; /* what is to be broken; NULL: nothing */
    bool list;          /* only say what can be broken */
    bool trace, quiet;
};

/* The argument at *at if it is one of --smoke (seeds 1 .. smoke_count), --seed, --seeds, --break, --breaks,
 * --trace, --quiet; *at is then its last word. False: it is not, or is not whole. */
bool seeds_take(struct seeds *s, uint64_t smoke_count, int argc, char **argv, int *at);

/* One run; true: all was well. `whole`: nothing is broken, whatever `arg` says. */
typedef bool seeds_run(void *arg, uint64_t seed, bool whole, bool quiet);

/* All runs, or, if something is broken, runs until one notices. The exit status: 0 if all was well, or the
 * break was noticed by a run that is well without it; else 1. Told on standard output. */
int seeds_play(const struct seeds *s, seeds_run *run, void *arg);

#endif
