/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of control threads and front-ends (lib/fiber/loop.h): real fibers, timers and conditions, turns
 * when the simulator gives them. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/fiber/loop_priv.h"
#include "tests/sim/cluster/process.h"

static struct loop *current;

struct loop *loop_self(void)
{
    return current;
}

uint64_t loop_now_ms(void)
{
    return clock_mono_ms();
}

uint64_t loop_deadline_ms(uint64_t timeout_ms)
{
    uint64_t now_ms = loop_now_ms();
    return timeout_ms > DEADLINE_NEVER - now_ms ? DEADLINE_NEVER : now_ms + timeout_ms;
}

enum err loop_new(struct loop **out)
{
    struct loop *loop = NEW(struct loop);
    wheel_init(&loop->wheel, loop_now_ms());
    loop->posts_tail = &loop->posts;
    loop->fiber_max = LOOP_FIBER_MAX_DEFAULT;
    *out = loop;
    return OK;
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct loop_post *post = NEW(struct loop_post);
    *post = (struct loop_post){ .fn = fn, .arg = arg };
    *loop->posts_tail = post;
    loop->posts_tail = &post->next;
}

/* Its turns come from outside. */
void loop_run(struct loop *loop)
{
    loop->running = true;
}

void loop_stop(struct loop *loop)
{
    loop->stopping = true;
}

bool process_loop_is_stopped(const struct loop *loop)
{
    return loop->stopping;
}

void process_loop_enter(struct loop *loop)
{
    current = loop;
}

void process_loop_leave(void)
{
    current = NULL;
}

uint64_t process_loop_next_ms(const struct loop *loop)
{
    return loop->posts != NULL || fiber_any_ready(loop) ? 0 : wheel_next_ms(&loop->wheel);
}

static void run_posts(struct loop *loop)
{
    struct loop_post *post = loop->posts;
    loop->posts = NULL;
    loop->posts_tail = &loop->posts;
    while (post != NULL) {
        struct loop_post *next = post->next;
        post->fn(post->arg);
        free(post);
        post = next;
    }
}

void process_loop_turn(struct loop *loop)
{
    struct timer *timer;
    process_loop_enter(loop);
    run_posts(loop);
    wheel_advance(&loop->wheel, loop_now_ms());
    while ((timer = wheel_next_due(&loop->wheel)) != NULL)
        timer->fn(timer->arg);
    for (int round = 0; round < LOOP_ROUNDS_A_TURN_MAX && fiber_any_ready(loop); round++)
        fiber_run_ready(loop);
    fiber_wake_later(loop);
    process_loop_leave();
}

void loop_free(struct loop **at)
{
    struct loop *loop = *at;
    if (loop == NULL)
        return;
    fiber_drop_all(loop);
    for (struct loop_post *post = loop->posts, *next; post != NULL; post = next) {
        next = post->next;
        free(post);
    }
    stack_pool_fini(&loop->stacks);
    free(loop);
    *at = NULL;
}
