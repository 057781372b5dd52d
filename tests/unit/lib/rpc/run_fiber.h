/* SPDX-License-Identifier: Apache-2.0 */
/* Run a test's function in a fiber of a loop until it returns. */
#ifndef TESTS_UNIT_LIB_RPC_RUN_FIBER_H
#define TESTS_UNIT_LIB_RPC_RUN_FIBER_H

#include <stdio.h>
#include <stdlib.h>

#include "lib/fiber/fiber.h"
#include "lib/fiber/timer.h"

enum { RUN_FIBER_MAX_MS = 60 * 1000 };

struct run_fiber {
    void (*fn)(void);
    bool done;
};

static void run_fiber_main(void *arg)
{
    struct run_fiber *run = arg;
    run->fn();
    run->done = true;
    loop_stop(loop_self());
}

static void run_fiber_too_long(void *arg)
{
    (void)arg;
    fprintf(stderr, "the test does not end\n");
    abort();
}

static inline void run_fiber(struct loop *loop, void (*fn)(void))
{
    struct run_fiber run = { .fn = fn };
    struct timer timer = { 0 };
    timer_start(loop, &timer, loop_deadline_ms(RUN_FIBER_MAX_MS), run_fiber_too_long, NULL);
    if (fiber_spawn(loop, "test", run_fiber_main, &run) != OK)
        abort();
    loop_run(loop);
    timer_stop(&timer);
    if (!run.done)
        abort();
}

#endif
