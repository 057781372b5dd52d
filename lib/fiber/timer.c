/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fiber/timer.h"

#include <assert.h>

#include "lib/fiber/loop_priv.h"

void timer_start(struct loop *loop, struct timer *t, uint64_t deadline_ms, void (*fn)(void *arg), void *arg)
{
    assert(loop_self() == loop || !loop->running);
    wheel_remove(t);
    if (deadline_ms == DEADLINE_NEVER)
        return;
    t->deadline_ms = deadline_ms;
    t->fn = fn;
    t->arg = arg;
    wheel_insert(&loop->wheel, t);
}

void timer_stop(struct timer *t)
{
    wheel_remove(t);
}

bool timer_is_running(const struct timer *t)
{
    return t->prev_next != NULL;
}
