/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fiber/work.h"

#include <assert.h>

#include "lib/fiber/loop_priv.h"

/* On the waiting fiber's stack: it cannot go away before the work is done. */
struct work {
    uv_work_t uv;
    void (*fn)(void *arg);
    void *arg;
    struct fiber *fiber;
    bool done;
};

static void on_pool_thread(uv_work_t *uv)
{
    struct work *work = uv->data;
    work->fn(work->arg);
}

static void on_done(uv_work_t *uv, int status)
{
    struct work *work = uv->data;
    (void)status; /* never cancelled */
    work->done = true;
    fiber_wake(work->fiber);
}

static enum err wait_for_slot(struct loop *loop)
{
    if (loop->work_in_flight < WORK_IN_FLIGHT_MAX && loop->work_waiting == 0)
        return OK;
    if (loop->work_waiting >= WORK_WAITING_MAX)
        return ERR_BUSY;
    loop->work_waiting++;
    while (loop->work_in_flight >= WORK_IN_FLIGHT_MAX) {
        enum err err = cond_wait(&loop->work_slot_free, DEADLINE_NEVER);
        assert(err == OK);
        (void)err;
    }
    loop->work_waiting--;
    return OK;
}

enum err work_run(void (*fn)(void *arg), void *arg)
{
    struct loop *loop = loop_self();
    TRY(wait_for_slot(loop));
    struct work work = { .fn = fn, .arg = arg, .fiber = fiber_self() };
    work.uv.data = &work;
    if (uv_queue_work(&loop->uv, &work.uv, on_pool_thread, on_done) != 0)
        return ERR_BUSY;
    loop->work_in_flight++;
    while (!work.done)
        fiber_suspend();
    loop->work_in_flight--;
    cond_signal(&loop->work_slot_free);
    return OK;
}
