/* SPDX-License-Identifier: Apache-2.0 */
/* Partitions that do not take mail: nothing is tried there until they answer again, and then everything at
 * once. A look is a read of the partition's queue, which only a primary that serves answers. */
#include "frontend/queue/queue_priv.h"
#include "lib/base/log.h"

void queue_home_served(struct queue *q, uint32_t partition)
{
    if (partition < q->slot_count)
        q->slots[partition].failures = 0;
}

/* One that answers reads and takes no mail (its disk is full, too few members) is asked ever less often. */
static uint64_t probe_delay_ms(unsigned failures)
{
    uint64_t delay_ms = failures <= 1 ? 0 : QUEUE_PROBE_MS;
    for (unsigned i = 1; i < failures && delay_ms < QUEUE_PROBE_MAX_MS; i++)
        delay_ms *= 2;
    return delay_ms < QUEUE_PROBE_MAX_MS ? delay_ms : QUEUE_PROBE_MAX_MS;
}

void queue_home_failed(struct queue *q, uint32_t partition)
{
    if (partition >= q->slot_count || atomic_exchange(&q->slots[partition].away, true))
        return;
    struct queue_slot *slot = &q->slots[partition];
    if (loop_now_ms() > slot->back_ms + QUEUE_PROBE_MAX_MS)
        slot->failures = 0;
    slot->failures++;
    slot->probe_ms = loop_deadline_ms(probe_delay_ms(slot->failures));
    log_info("queue", "partition=%u takes no mail; what is for it waits", partition);
    cond_broadcast(&q->homes_changed);
}

bool queue_home_is_away(const struct queue *q, uint32_t partition)
{
    const struct queue_slot *slots = atomic_load(&q->slots);
    return slots != NULL && partition < q->slot_count && atomic_load(&slots[partition].away);
}

static bool any_away(const struct queue *q)
{
    for (uint32_t p = 0; p < q->slot_count; p++) {
        if (atomic_load(&q->slots[p].away))
            return true;
    }
    return false;
}

/* True if it serves again. `silent_node` is the primary that did not answer last: others of it are not asked
 * in this round. Yields. */
static bool is_back(struct queue *q, uint32_t partition, uint32_t *silent_node)
{
    uint32_t node;
    uint64_t epoch;
    struct queue_status status;
    if (!store_partition_primary(q->store, partition, &node, &epoch) || node == *silent_node)
        return false;
    if (store_queue_status(q->store, partition, &status) == OK)
        return true;
    *silent_node = node;
    return false;
}

static void try_everything(struct queue *q)
{
    for (uint32_t p = 0; p < q->slot_count; p++) {
        if (q->slots[p].next_ms == 0)
            continue;
        q->slots[p].early_before_ms = UINT64_MAX;
        queue_wake(q, p);
    }
}

static void look_round(struct queue *q)
{
    uint32_t silent_node = 0; /* no node has this id */
    bool found = false;
    for (uint32_t p = 0; p < q->slot_count && !atomic_load(&q->stopping); p++) {
        struct queue_slot *slot = &q->slots[p];
        if (!atomic_load(&slot->away) || slot->probe_ms > loop_now_ms() || !is_back(q, p, &silent_node))
            continue;
        slot->back_ms = loop_now_ms();
        atomic_store(&slot->away, false);
        log_info("queue", "partition=%u takes mail again", p);
        found = true;
    }
    if (found)
        try_everything(q);
}

void queue_homes_fiber(void *arg)
{
    struct queue *q = arg;
    while (!atomic_load(&q->stopping)) {
        if (any_away(q)) {
            look_round(q);
            queue_sleep(q, QUEUE_PROBE_MS);
        } else {
            enum err err = cond_wait(&q->homes_changed, DEADLINE_NEVER);
            (void)err;
        }
    }
    queue_fiber_ends(q);
}
