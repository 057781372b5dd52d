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

static void try_everything(struct queue *q)
{
    for (uint32_t p = 0; p < q->slot_count; p++) {
        if (q->slots[p].next_ms == 0)
            continue;
        q->slots[p].early_before_ms = UINT64_MAX;
        queue_wake(q, p);
    }
}

void queue_homes_look(struct queue *q, struct queue_round *r)
{
    struct queue_status status;
    bool found = false;
    queue_round_begin(q, r);
    for (uint32_t i = 0; i < q->slot_count && !atomic_load(&q->stopping); i++) {
        uint32_t p = queue_round_at(q, r, i);
        struct queue_slot *slot = &q->slots[p];
        if (!atomic_load(&slot->away) || slot->probe_ms > loop_now_ms() || !queue_round_ask(q, r, p, &status))
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
    struct queue_round round = { 0 };
    while (!atomic_load(&q->stopping)) {
        if (any_away(q)) {
            queue_homes_look(q, &round);
            queue_sleep(q, QUEUE_PROBE_MS);
        } else {
            enum err err = cond_wait(&q->homes_changed, DEADLINE_NEVER);
            (void)err;
        }
    }
    queue_fiber_ends(q);
}
