/* SPDX-License-Identifier: Apache-2.0 */
/* Asking every partition in turn how its queue is: for what other front-ends put there, or leased and never
 * reported, and for the figures. */
#include "frontend/queue/queue_priv.h"

void queue_round_begin(const struct queue *q, struct queue_round *r)
{
    if (r->failed)
        r->begin = (r->first_failed + 1) % q->slot_count;
    r->failed = false;
    r->silent_count = 0;
}

uint32_t queue_round_at(const struct queue *q, const struct queue_round *r, uint32_t nth)
{
    return (r->begin + nth) % q->slot_count;
}

static bool is_silent(const struct queue_round *r, uint32_t node)
{
    for (unsigned i = 0; i < r->silent_count && i < QUEUE_SILENT_MAX; i++) {
        if (r->silent[i] == node)
            return true;
    }
    return false;
}

bool queue_round_ask(struct queue *q, struct queue_round *r, uint32_t partition, struct queue_status *out)
{
    uint32_t node;
    uint64_t epoch;
    struct queue_status status;
    if (!store_partition_primary(q->store, partition, &node, &epoch) || is_silent(r, node))
        return false;
    if (store_queue_status(q->store, partition, &status) == OK) {
        *out = status;
        return true;
    }
    r->silent[r->silent_count++ % QUEUE_SILENT_MAX] = node;
    if (!r->failed)
        r->first_failed = partition;
    r->failed = true;
    return false;
}

static void look(struct queue *q, struct queue_round *r, uint32_t partition)
{
    struct queue_slot *slot = &q->slots[partition];
    if (!queue_round_ask(q, r, partition, &slot->status))
        return;
    /* When that is, in our time, only its next lease can tell. */
    if (slot->status.next_ms != slot->next_ms && !slot->busy && slot->status.next_ms != 0)
        queue_wake(q, partition);
}

/* Partitions that hold items, more often: a person may have changed one. */
void queue_watch_fiber(void *arg)
{
    struct queue *q = arg;
    struct queue_round round = { 0 };
    while (!atomic_load(&q->stopping)) {
        queue_round_begin(q, &round);
        for (uint32_t i = 0; i < q->slot_count && !atomic_load(&q->stopping); i++) {
            uint32_t p = queue_round_at(q, &round, i);
            if (q->slots[p].status.items > 0)
                look(q, &round, p);
        }
        queue_sleep(q, QUEUE_WATCH_MS);
    }
    queue_fiber_ends(q);
}

void queue_scan_fiber(void *arg)
{
    struct queue *q = arg;
    uint64_t round_ms = QUEUE_SCAN_FIRST_MS;
    struct queue_round round = { 0 };
    while (!atomic_load(&q->stopping)) {
        uint64_t begun_ms = loop_now_ms();
        queue_round_begin(q, &round);
        for (uint32_t i = 0; i < q->slot_count && !atomic_load(&q->stopping); i++) {
            look(q, &round, queue_round_at(q, &round, i));
            uint64_t due_ms = begun_ms + round_ms * (i + 1) / q->slot_count, now_ms = loop_now_ms();
            if (due_ms > now_ms)
                queue_sleep(q, due_ms - now_ms);
        }
        queue_figures_set(q);
        round_ms = QUEUE_SCAN_MS;
    }
    queue_fiber_ends(q);
}
