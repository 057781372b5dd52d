/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fiber/fiber.h"

#include <assert.h>

#include "lib/fiber/loop_priv.h"
#include "lib/fiber/sanitizer_priv.h"

/* Boost.Context's assembly, called as its own C++ wrappers do: boost/context/detail/fcontext.hpp. */
struct transfer {
    void *context; /* where the jump came from; valid for one jump back */
    void *data;
};
extern struct transfer jump_fcontext(void *to, void *data);
extern void *make_fcontext(void *stack_top, size_t size, void (*fn)(struct transfer));

enum fiber_state {
    FIBER_READY, /* in a queue */
    FIBER_RUNNING,
    FIBER_WAITING,  /* until a wake or its timer */
    FIBER_SLEEPING, /* until its timer only */
    FIBER_DONE,
};

/* Lives at the top of its own stack. */
struct fiber {
    struct loop *loop;
    const char *name;
    void (*fn)(void *arg);
    void *arg;
    void *context; /* where to go on, while not running */
    struct fiber *queue_next;
    struct fiber *all_next, **all_prev_next;
    struct timer timer;
    void *stack_low;
    void *fake_stack; /* AddressSanitizer's */
    void *tsan;
    enum fiber_state state;
    bool wake_pending;
};

static void queue_push(struct fiber_queue *q, struct fiber *f)
{
    if (q->head == NULL)
        q->tail = &q->head;
    f->queue_next = NULL;
    *q->tail = f;
    q->tail = &f->queue_next;
}

static struct fiber *queue_pop(struct fiber_queue *q)
{
    struct fiber *f = q->head;
    if (f != NULL)
        q->head = f->queue_next;
    return f;
}

static size_t usable_size(const struct fiber *f)
{
    return (size_t)((const char *)f - (const char *)f->stack_low) & ~(size_t)63;
}

/* Back to the loop; returns when the fiber is resumed. */
static void switch_out(struct fiber *f)
{
    struct loop *loop = f->loop;
    sanitizer_leave(f->state == FIBER_DONE ? NULL : &f->fake_stack, loop->main_stack_low,
                    loop->main_stack_size);
    sanitizer_thread_switch(loop->main_tsan);
    struct transfer from = jump_fcontext(loop->main_context, NULL);
    sanitizer_arrive(f->fake_stack, &loop->main_stack_low, &loop->main_stack_size);
    loop->main_context = from.context;
}

static void fiber_entry(struct transfer from)
{
    struct fiber *f = from.data;
    sanitizer_arrive(NULL, &f->loop->main_stack_low, &f->loop->main_stack_size);
    f->loop->main_context = from.context;
    f->fn(f->arg);
    f->state = FIBER_DONE;
    switch_out(f);
    __builtin_unreachable();
}

static void fiber_release(struct fiber *f)
{
    struct loop *loop = f->loop;
    assert(!timer_is_running(&f->timer));
    *f->all_prev_next = f->all_next;
    if (f->all_next != NULL)
        f->all_next->all_prev_next = f->all_prev_next;
    sanitizer_thread_free(f->tsan);
    stack_put(&loop->stacks, f->stack_low);
    loop->stats.fibers--;
}

static void fiber_resume(struct fiber *f)
{
    struct loop *loop = f->loop;
    assert(loop->current == NULL && f->state == FIBER_READY);
    loop->current = f;
    loop->stats.switches++;
    f->state = FIBER_RUNNING;
    sanitizer_leave(&loop->main_fake_stack, f->stack_low, usable_size(f));
    sanitizer_thread_switch(f->tsan);
    struct transfer back = jump_fcontext(f->context, f);
    sanitizer_arrive(loop->main_fake_stack, NULL, NULL);
    f->context = back.context;
    loop->current = NULL;
    if (f->state == FIBER_DONE)
        fiber_release(f);
}

enum err fiber_spawn(struct loop *loop, const char *name, void (*fn)(void *arg), void *arg)
{
    assert(loop_self() == loop || !loop->running);
    if (loop->stats.fibers >= loop->fiber_max)
        return ERR_LIMIT;
    char *low = stack_get(&loop->stacks);
    if (low == NULL)
        return ERR_LIMIT;
    struct fiber *f = (struct fiber *)((uintptr_t)(low + stack_size() - sizeof *f) & ~(uintptr_t)63);
    *f = (struct fiber){ .loop = loop, .name = name, .fn = fn, .arg = arg, .stack_low = low };
    f->context = make_fcontext(low + usable_size(f), usable_size(f), fiber_entry);
    f->tsan = sanitizer_thread_new();
    f->all_next = loop->all;
    f->all_prev_next = &loop->all;
    if (f->all_next != NULL)
        f->all_next->all_prev_next = &f->all_next;
    loop->all = f;
    loop->stats.fibers_spawned++;
    if (++loop->stats.fibers > loop->stats.fibers_max_seen)
        loop->stats.fibers_max_seen = loop->stats.fibers;
    queue_push(&loop->ready, f); /* state is FIBER_READY */
    return OK;
}

struct fiber *fiber_self(void)
{
    struct loop *loop = loop_self();
    return loop == NULL ? NULL : loop->current;
}

const char *fiber_name(const struct fiber *f)
{
    return f->name;
}

static void make_ready(struct fiber *f)
{
    timer_stop(&f->timer);
    f->state = FIBER_READY;
    queue_push(&f->loop->ready, f);
}

static void on_timer(void *arg)
{
    make_ready(arg);
}

void fiber_wake(struct fiber *f)
{
    assert(f->state != FIBER_DONE && loop_self() == f->loop);
    f->wake_pending = true;
    if (f->state == FIBER_WAITING)
        make_ready(f);
}

enum err fiber_suspend_until(uint64_t deadline_ms)
{
    struct fiber *f = fiber_self();
    assert(f != NULL);
    if (!f->wake_pending) {
        timer_start(f->loop, &f->timer, deadline_ms, on_timer, f);
        f->state = FIBER_WAITING;
        switch_out(f);
    }
    enum err err = f->wake_pending ? OK : ERR_TIMEOUT;
    f->wake_pending = false;
    return err;
}

void fiber_suspend(void)
{
    enum err err = fiber_suspend_until(DEADLINE_NEVER);
    assert(err == OK);
    (void)err;
}

void fiber_yield(void)
{
    struct fiber *f = fiber_self();
    assert(f != NULL);
    f->state = FIBER_READY;
    queue_push(&f->loop->later, f);
    switch_out(f);
}

void fiber_sleep_ms(uint64_t ms)
{
    struct fiber *f = fiber_self();
    assert(f != NULL && ms != DEADLINE_NEVER);
    timer_start(f->loop, &f->timer, loop_deadline_ms(ms), on_timer, f);
    f->state = FIBER_SLEEPING;
    switch_out(f);
}

size_t fiber_stack_left(void)
{
    const struct fiber *f = fiber_self();
    assert(f != NULL);
    return (size_t)((const char *)__builtin_frame_address(0) - (const char *)f->stack_low);
}

void fiber_run_ready(struct loop *loop)
{
    struct fiber_queue batch = loop->ready;
    loop->ready = (struct fiber_queue){ 0 };
    struct fiber *f;
    while ((f = queue_pop(&batch)) != NULL)
        fiber_resume(f);
}

void fiber_wake_later(struct loop *loop)
{
    struct fiber *f;
    while ((f = queue_pop(&loop->later)) != NULL)
        queue_push(&loop->ready, f);
}

bool fiber_any_ready(const struct loop *loop)
{
    return loop->ready.head != NULL;
}

void fiber_drop_all(struct loop *loop)
{
    while (loop->all != NULL) {
        timer_stop(&loop->all->timer);
        fiber_release(loop->all);
    }
    loop->ready = loop->later = (struct fiber_queue){ 0 };
}

bool fiber_current_guard(const void **low_out, size_t *size_out, const char **name_out)
{
    const struct fiber *f = fiber_self();
    if (f == NULL)
        return false;
    *low_out = (const char *)f->stack_low - STACK_GUARD_SIZE;
    *size_out = STACK_GUARD_SIZE;
    *name_out = f->name;
    return true;
}
