/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/fiber share: the loop's state and the scheduler's few internal calls. */
#ifndef LIB_FIBER_LOOP_PRIV_H
#define LIB_FIBER_LOOP_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "lib/fiber/cond.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/stack_priv.h"
#include "lib/fiber/timer.h"

/* Fibers and hooks may wake each other so many times in a turn before I/O is looked at again. */
enum { LOOP_ROUNDS_A_TURN_MAX = 16 };

struct fiber_queue {
    struct fiber *head, **tail;
};

struct loop_post {
    struct loop_post *next;
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    uv_loop_t uv;
    uv_prepare_t turn; /* does the work of a turn, just before libuv waits */
    uv_idle_t no_wait; /* active while the next turn must come at once */
    uv_timer_t alarm;  /* ends the wait when the wheel has something to do */
    uv_async_t knock;  /* posts and stop from other threads */
    uint64_t alarm_ms; /* what `alarm` is set to */
    struct wheel wheel;
    struct loop_hook *hooks,
        *hook_next; /* hook_next: the iteration in progress, so that hooks may be removed */
    bool running;
    atomic_bool stopping;

    pthread_mutex_t post_lock; /* guards the two below */
    struct loop_post *posts, **posts_tail;

    struct fiber *current;
    struct fiber *all;
    struct fiber_queue ready; /* to run in this turn */
    struct fiber_queue later; /* yielded: to run in the next */
    size_t fiber_max;
    struct stack_pool stacks;
    void *main_context;         /* where the running fiber returns to */
    const void *main_stack_low; /* for AddressSanitizer */
    size_t main_stack_size;
    void *main_fake_stack;
    void *main_tsan;

    size_t work_in_flight, work_waiting;
    struct cond work_slot_free;
    struct loop_stats stats;
};

/* fiber.c */
void fiber_run_ready(struct loop *loop);  /* every fiber that is ready now, once */
void fiber_wake_later(struct loop *loop); /* what yielded becomes ready */
bool fiber_any_ready(const struct loop *loop);
void fiber_drop_all(struct loop *loop);
/* The address range of the running fiber's guard, for the overflow message; false outside a fiber. */
bool fiber_current_guard(const void **low_out, size_t *size_out, const char **name_out);

/* overflow.c: say which fiber ran over its stack before the process dies of it. */
struct overflow_watch {
    void *alternate_stack;
};
void overflow_watch_start(struct overflow_watch *w); /* this thread's signal stack, the process's handler */
void overflow_watch_stop(struct overflow_watch *w);

#endif
