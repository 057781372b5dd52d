/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/common/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool seeds_take(struct seeds *s, uint64_t smoke_count, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *value = *at + 1 < argc ? argv[*at + 1] : NULL;
    unsigned long long from, to;
    if (strcmp(word, "--smoke") == 0) {
        s->from = 1;
        s->to = 1 + smoke_count;
        s->quiet = true;
    } else if (strcmp(word, "--breaks") == 0) {
        s->list = true;
    } else if (strcmp(word, "--trace") == 0) {
        s->trace = true;
    } else if (strcmp(word, "--quiet") == 0) {
        s->quiet = true;
    } else if (value == NULL) {
        return false;
    } else if (strcmp(word, "--seed") == 0) {
        s->from = strtoull(value, NULL, 10);
        s->to = s->from + 1;
        ++*at;
    } else if (strcmp(word, "--seeds") == 0 && sscanf(value, "%llu:%llu", &from, &to) == 2) {
        s->from = from;
        s->to = to;
        ++*at;
    } else if (strcmp(word, "--break") == 0) {
        s->broken = value;
        ++*at;
    } else {
        return false;
    }
    return true;
}

static int run_all(const struct seeds *s, seeds_run *run, void *arg)
{
    uint64_t failed = 0;
    for (uint64_t seed = s->from; seed < s->to; seed++)
        failed += !run(arg, seed, true, s->quiet);
    printf("%llu passed, %llu failed\n", (unsigned long long)(s->to - s->from - failed),
           (unsigned long long)failed);
    return failed == 0 ? 0 : 1;
}

static int run_broken(const struct seeds *s, seeds_run *run, void *arg)
{
    for (uint64_t seed = s->from; seed < s->to; seed++) {
        if (run(arg, seed, false, true))
            continue;
        bool well = run(arg, seed, true, true);
        printf("%s broken: noticed by seed %llu%s\n", s->broken, (unsigned long long)seed,
               well ? "" : ", which fails without it too");
        return well ? 0 : 1;
    }
    printf("%s broken: not noticed by seeds %llu:%llu\n", s->broken, (unsigned long long)s->from,
           (unsigned long long)s->to);
    return 1;
}

int seeds_play(const struct seeds *s, seeds_run *run, void *arg)
{
    return s->broken != NULL ? run_broken(s, run, arg) : run_all(s, run, arg);
}
