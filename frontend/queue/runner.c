/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "frontend/queue/queue_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
    MAP_WAIT_MS = 1000,
    STOP_CHECK_MS = 10,
    DUE_SLACK_MS = 5, /* clocks tick in whole milliseconds */
};

void queue_sleep(struct queue *q, uint64_t ms)
{
    if (!atomic_load(&q->stopping)) {
        enum err err = cond_wait(&q->ended, loop_deadline_ms(ms));
        (void)err; /* the time is up, or nothing is begun any more */
    }
}

bool queue_spawn(struct queue *q, const char *name, void (*fn)(void *arg), void *arg)
{
    if (fiber_spawn(q->loop, name, fn, arg) != OK)
        return false;
    q->fibers++;
    return true;
}

void queue_fiber_ends(struct queue *q)
{
    q->fibers--;
}

void queue_wake(struct queue *q, uint32_t partition)
{
    q->slots[partition].wake_ms = 0;
    q->slots[partition].woken = true;
    cond_broadcast(&q->changed);
}

void queue_schedule(struct queue *q, uint32_t partition, uint64_t now_ms, uint64_t next_ms)
{
    struct queue_slot *slot = &q->slots[partition];
    slot->next_ms = next_ms;
    if (next_ms == 0)
        slot->wake_ms = DEADLINE_NEVER;
    else
        slot->wake_ms = loop_deadline_ms((next_ms > now_ms ? next_ms - now_ms : 0) + DUE_SLACK_MS);
}

/* ---- workers */

struct worker {
    struct queue *queue;
    uint32_t partition;
};

static void worker_fiber(void *arg)
{
    struct worker *w = arg;
    struct queue *q = w->queue;
    queue_work(q, w->partition);
    struct queue_slot *slot = &q->slots[w->partition];
    slot->busy = false;
    if (slot->woken)
        slot->wake_ms = 0;
    q->workers--;
    cond_broadcast(&q->changed);
    free(w);
    queue_fiber_ends(q);
}

static bool start_worker(struct queue *q, uint32_t partition)
{
    struct worker *w = NEW(struct worker);
    *w = (struct worker){ q, partition };
    if (!queue_spawn(q, "queue-worker", worker_fiber, w)) {
        free(w);
        return false;
    }
    q->slots[partition].busy = true;
    q->slots[partition].woken = false;
    q->slots[partition].wake_ms = DEADLINE_NEVER; /* until it says when */
    q->workers++;
    return true;
}

/* Start workers for what is due; when to look again. `*from` goes round, so that every partition has its
 * turn. */
static uint64_t start_workers(struct queue *q, uint32_t *from)
{
    uint64_t now_ms = loop_now_ms(), first_ms = DEADLINE_NEVER;
    uint32_t begin = *from;
    for (uint32_t i = 0; i < q->slot_count; i++) {
        uint32_t partition = (begin + i) % q->slot_count;
        struct queue_slot *slot = &q->slots[partition];
        if (slot->busy || slot->wake_ms == DEADLINE_NEVER)
            continue;
        if (slot->wake_ms > now_ms) {
            first_ms = slot->wake_ms < first_ms ? slot->wake_ms : first_ms;
        } else if (q->workers == QUEUE_WORKERS_MAX) {
            return DEADLINE_NEVER; /* the end of one will be told */
        } else if (start_worker(q, partition)) {
            *from = partition + 1;
        } else {
            return loop_deadline_ms(QUEUE_TROUBLE_MS);
        }
    }
    return first_ms;
}

static void make_slots(struct queue *q)
{
    uint32_t count = store_partition_count(q->store);
    struct queue_slot *slots = NEW_ARRAY(struct queue_slot, count);
    for (uint32_t i = 0; i < count; i++)
        slots[i].wake_ms = DEADLINE_NEVER;
    q->slot_count = count;
    atomic_store(&q->slots, slots);
}

static void run_fiber(void *arg)
{
    struct queue *q = arg;
    while (!atomic_load(&q->stopping) && store_wait_ready(q->store, loop_deadline_ms(MAP_WAIT_MS)) != OK)
        continue;
    uint32_t from = 0;
    if (!atomic_load(&q->stopping)) {
        make_slots(q);
        if (!queue_spawn(q, "queue-scan", queue_scan_fiber, q) ||
            !queue_spawn(q, "queue-watch", queue_watch_fiber, q) ||
            !queue_spawn(q, "queue-homes", queue_homes_fiber, q))
            log_fatal("queue", "cannot start");
    }
    while (!atomic_load(&q->stopping)) {
        uint64_t until_ms = start_workers(q, &from);
        enum err err = cond_wait(&q->changed, until_ms);
        (void)err; /* a timeout is when something is due */
    }
    queue_fiber_ends(q);
}

/* ---- start and end */

struct queue *queue_start(struct loop *loop, struct store *store, const char *holder)
{
    struct queue *q = NEW(struct queue);
    q->loop = loop;
    q->store = store;
    q->holder = xstrdup(holder);
    queue_figures_register();
    if (!queue_spawn(q, "queue", run_fiber, q))
        log_fatal("queue", "cannot start");
    return q;
}

void queue_drain(struct queue *q)
{
    atomic_store(&q->stopping, true);
    cond_broadcast(&q->changed);
    cond_broadcast(&q->homes_changed);
    cond_broadcast(&q->ended);
}

void queue_stop(struct queue **queue)
{
    struct queue *q = *queue;
    if (q == NULL)
        return;
    queue_drain(q);
    while (q->fibers > 0)
        fiber_sleep_ms(STOP_CHECK_MS);
    free(q->slots);
    free(q->holder);
    free(q);
    *queue = NULL;
}
