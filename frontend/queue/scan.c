/* SPDX-License-Identifier: Apache-2.0 */
/* Asking every partition in turn how its queue is: for what other front-ends put there, or leased and never
 * reported, and for the figures. */
#include "frontend/queue/queue_priv.h"

static void look(struct queue *q, uint32_t partition, uint32_t *silent_node)
{
    uint32_t node;
    uint64_t epoch;
    struct queue_slot *slot = &q->slots[partition];
    if (!store_partition_primary(q->store, partition, &node, &epoch) || node == *silent_node)
        return;
    if (store_queue_status(q->store, partition, &slot->status) != OK) {
        *silent_node = node;
        return;
    }
    /* When that is, in our time, only its next lease can tell. */
    if (slot->status.next_ms != slot->next_ms && !slot->busy && slot->status.next_ms != 0)
        queue_wake(q, partition);
}

/* Partitions that hold items, more often: a person may have changed one. */
void queue_watch_fiber(void *arg)
{
    struct queue *q = arg;
    while (!atomic_load(&q->stopping)) {
        uint32_t silent_node = 0;
        for (uint32_t p = 0; p < q->slot_count && !atomic_load(&q->stopping); p++) {
            if (q->slots[p].status.items > 0)
                look(q, p, &silent_node);
        }
        queue_sleep(q, QUEUE_WATCH_MS);
    }
    queue_fiber_ends(q);
}

void queue_scan_fiber(void *arg)
{
    struct queue *q = arg;
    uint64_t round_ms = QUEUE_SCAN_FIRST_MS;
    while (!atomic_load(&q->stopping)) {
        uint32_t silent_node = 0;
        uint64_t begun_ms = loop_now_ms();
        for (uint32_t p = 0; p < q->slot_count && !atomic_load(&q->stopping); p++) {
            look(q, p, &silent_node);
            uint64_t due_ms = begun_ms + round_ms * (p + 1) / q->slot_count, now_ms = loop_now_ms();
            if (due_ms > now_ms)
                queue_sleep(q, due_ms - now_ms);
        }
        queue_figures_set(q);
        round_ms = QUEUE_SCAN_MS;
    }
    queue_fiber_ends(q);
}
