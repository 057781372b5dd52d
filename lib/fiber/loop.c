/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fiber/loop.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/fiber/loop_priv.h"
#include "lib/fiber/sanitizer_priv.h"

static __thread struct loop *loop_of_thread;

struct loop *loop_self(void)
{
    return loop_of_thread;
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
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

/* --- a turn --- */

enum { LATE_MS = 100 /* for a timer: the loop was held up */ };

static void fire_timers(struct loop *loop)
{
    wheel_advance(&loop->wheel, loop_now_ms());
    struct timer *t;
    while ((t = wheel_next_due(&loop->wheel)) != NULL)
        t->fn(t->arg);
}

static bool run_hooks(struct loop *loop)
{
    bool more = false;
    for (struct loop_hook *hook = loop->hooks; hook != NULL; hook = loop->hook_next) {
        loop->hook_next = hook->next;
        more |= hook->fn(hook->arg);
    }
    return more;
}

static void on_alarm(uv_timer_t *handle)
{
    ((struct loop *)handle->data)->alarm_ms = DEADLINE_NEVER; /* the turn that follows fires the timers */
}

static void on_no_wait(uv_idle_t *handle)
{
    (void)handle;
}

/* The processor was elsewhere, or the whole machine stood still. What came meanwhile counts before the
 * deadlines that passed meanwhile: else an answer that is there would be too late. */
static void catch_up(struct loop *loop)
{
    uint64_t next_ms = wheel_next_ms(&loop->wheel), now_ms = loop_now_ms();
    if (now_ms > LATE_MS && next_ms < now_ms - LATE_MS)
        run_hooks(loop);
}

/* libuv computes how long it may wait after this, so arming the alarm or `no_wait` here takes effect at once.
 */
static void set_alarm(struct loop *loop)
{
    uint64_t next_ms = wheel_next_ms(&loop->wheel);
    if (next_ms == loop->alarm_ms)
        return;
    loop->alarm_ms = next_ms;
    if (next_ms == DEADLINE_NEVER) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    uint64_t uv_now_ms = uv_now(&loop->uv); /* the same clock, somewhat behind */
    uv_timer_start(&loop->alarm, on_alarm, next_ms > uv_now_ms ? next_ms - uv_now_ms : 0, 0);
}

static void on_turn(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    loop->stats.turns++;
    catch_up(loop);
    fire_timers(loop);
    bool more = false;
    for (int round = 0; round < LOOP_ROUNDS_A_TURN_MAX; round++) {
        fiber_run_ready(loop);
        more = run_hooks(loop);
        if (!fiber_any_ready(loop))
            break;
    }
    fiber_wake_later(loop);
    if (more || fiber_any_ready(loop))
        uv_idle_start(&loop->no_wait, on_no_wait);
    else
        uv_idle_stop(&loop->no_wait);
    set_alarm(loop);
}

/* --- from other threads --- */

static struct loop_post *take_posts(struct loop *loop)
{
    pthread_mutex_lock(&loop->post_lock);
    struct loop_post *posts = loop->posts;
    loop->posts = NULL;
    loop->posts_tail = &loop->posts;
    pthread_mutex_unlock(&loop->post_lock);
    return posts;
}

static void on_knock(uv_async_t *handle)
{
    struct loop *loop = handle->data;
    struct loop_post *post = take_posts(loop);
    while (post != NULL) {
        struct loop_post *next = post->next;
        post->fn(post->arg);
        free(post);
        post = next;
    }
    if (atomic_load(&loop->stopping))
        uv_stop(&loop->uv);
}

void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg)
{
    struct loop_post *post = NEW(struct loop_post);
    post->fn = fn;
    post->arg = arg;
    pthread_mutex_lock(&loop->post_lock);
    *loop->posts_tail = post;
    loop->posts_tail = &post->next;
    pthread_mutex_unlock(&loop->post_lock);
    uv_async_send(&loop->knock);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    uv_async_send(&loop->knock);
}

/* --- hooks, settings --- */

void loop_hook_add(struct loop *loop, struct loop_hook *hook, bool (*fn)(void *arg), void *arg)
{
    *hook = (struct loop_hook){ .fn = fn, .arg = arg, .loop = loop, .next = loop->hooks };
    hook->prev_next = &loop->hooks;
    if (hook->next != NULL)
        hook->next->prev_next = &hook->next;
    loop->hooks = hook;
}

void loop_hook_remove(struct loop_hook *hook)
{
    if (hook->prev_next == NULL)
        return;
    if (hook->loop->hook_next == hook)
        hook->loop->hook_next = hook->next;
    *hook->prev_next = hook->next;
    if (hook->next != NULL)
        hook->next->prev_next = hook->prev_next;
    hook->prev_next = NULL;
}

void loop_set_fiber_max(struct loop *loop, size_t fiber_max)
{
    loop->fiber_max = fiber_max;
}

void loop_measure_stacks(struct loop *loop, bool on)
{
    stack_pool_fini(&loop->stacks); /* only fresh stacks are zero where nobody wrote */
    loop->stacks.measure = on;
}

struct loop_stats loop_get_stats(const struct loop *loop)
{
    struct loop_stats stats = loop->stats;
    stats.stacks_cached = loop->stacks.hot_count + loop->stacks.cold_count;
    stats.stack_used_max_bytes = loop->stacks.used_max;
    stats.work_in_flight = loop->work_in_flight;
    return stats;
}

/* --- life --- */

enum err loop_new(struct loop **loop_out)
{
    struct loop *loop = NEW(struct loop);
    int rc = uv_loop_init(&loop->uv);
    if (rc == 0) {
        rc = uv_async_init(&loop->uv, &loop->knock, on_knock);
        if (rc != 0)
            uv_loop_close(&loop->uv);
    }
    if (rc != 0) {
        log_error("loop", "cannot make an event loop: %s", uv_strerror(rc));
        free(loop);
        return ERR_IO;
    }
    uv_prepare_init(&loop->uv, &loop->turn);
    uv_idle_init(&loop->uv, &loop->no_wait);
    uv_timer_init(&loop->uv, &loop->alarm);
    loop->turn.data = loop->no_wait.data = loop->alarm.data = loop->knock.data = loop;
    uv_prepare_start(&loop->turn, on_turn);
    loop->alarm_ms = DEADLINE_NEVER;
    wheel_init(&loop->wheel, loop_now_ms());
    pthread_mutex_init(&loop->post_lock, NULL);
    loop->posts_tail = &loop->posts;
    loop->fiber_max = LOOP_FIBER_MAX_DEFAULT;
    *loop_out = loop;
    return OK;
}

void loop_run(struct loop *loop)
{
    assert(loop_of_thread == NULL && !loop->running);
    struct overflow_watch watch;
    overflow_watch_start(&watch);
    loop_of_thread = loop;
    loop->running = true;
    loop->main_tsan = sanitizer_thread_here();
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    loop->running = false;
    loop_of_thread = NULL;
    atomic_store(&loop->stopping, false);
    overflow_watch_stop(&watch);
}

void loop_free(struct loop **loop_at)
{
    struct loop *loop = *loop_at;
    if (loop == NULL)
        return;
    assert(!loop->running && loop->work_in_flight == 0);
    if (loop->stats.fibers > 0)
        log_warn("loop", "%zu fibers were still waiting at the end, first of them: %s", loop->stats.fibers,
                 fiber_name(loop->all));
    fiber_drop_all(loop);
    for (struct loop_post *post = take_posts(loop), *next; post != NULL; post = next) {
        next = post->next;
        free(post);
    }
    uv_close((uv_handle_t *)&loop->turn, NULL);
    uv_close((uv_handle_t *)&loop->no_wait, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->knock, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* until what was closed, streams too, is gone */
    int rc = uv_loop_close(&loop->uv);
    if (rc != 0)
        log_error("loop", "handles are left open at the end: %s", uv_strerror(rc));
    stack_pool_fini(&loop->stacks);
    pthread_mutex_destroy(&loop->post_lock);
    free(loop);
    *loop_at = NULL;
}
