/* SPDX-License-Identifier: Apache-2.0 */
/* Asking how the queue of every partition is: for what other front-ends put there, or leased and never
 * reported, and for the figures. A node is asked once for all that it leads; what it does not answer for (the
 * map was old, a seat has just changed hands, it is silent) is asked for one by one. */
#include <stdlib.h>

#include "frontend/queue/queue_priv.h"
#include "lib/base/alloc.h"

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

static void take(struct queue *q, uint32_t partition, const struct queue_status *status)
{
    struct queue_slot *slot = &q->slots[partition];
    slot->status = *status;
    /* When that is, in our time, only its next lease can tell. */
    if (status->next_ms != slot->next_ms && !slot->busy && status->next_ms != 0)
        queue_wake(q, partition);
}

static void look(struct queue *q, struct queue_round *r, uint32_t partition)
{
    struct queue_status status;
    if (queue_round_ask(q, r, partition, &status))
        take(q, partition, &status);
}

/* ---- whole nodes */

struct of_node {
    uint32_t partitions[STORE_QUEUE_TOTALS_MAX];
    bool answered[STORE_QUEUE_TOTALS_MAX];
    struct queue_status statuses[STORE_QUEUE_TOTALS_MAX];
    size_t count;
};

/* `first` and those behind it that the same node leads; all are marked. */
static void gather(struct queue *q, uint32_t first, struct of_node *of)
{
    uint32_t node, other;
    uint64_t epoch;
    bool led = store_partition_primary(q->store, first, &node, &epoch);
    of->count = 0;
    q->slots[first].look = QUEUE_LOOK_ALONE;
    for (uint32_t p = first; led && p < q->slot_count && of->count < STORE_QUEUE_TOTALS_MAX; p++) {
        if ((p == first || q->slots[p].look == QUEUE_LOOK_DUE) &&
            store_partition_primary(q->store, p, &other, &epoch) && other == node) {
            q->slots[p].look = QUEUE_LOOK_ALONE;
            of->partitions[of->count++] = p;
        }
    }
}

void queue_look_at_nodes(struct queue *q)
{
    struct of_node *of = NEW(struct of_node);
    for (uint32_t p = 0; p < q->slot_count; p++)
        q->slots[p].look = QUEUE_LOOK_DUE;
    for (uint32_t p = 0; p < q->slot_count && !atomic_load(&q->stopping); p++) {
        if (q->slots[p].look != QUEUE_LOOK_DUE)
            continue;
        gather(q, p, of);
        if (of->count == 0 ||
            store_queue_totals(q->store, of->partitions, of->count, of->answered, of->statuses) != OK)
            continue;
        for (size_t i = 0; i < of->count; i++) {
            if (!of->answered[i])
                continue;
            q->slots[of->partitions[i]].look = QUEUE_LOOK_DONE;
            take(q, of->partitions[i], &of->statuses[i]);
        }
    }
    free(of);
}

/* ---- fibers */

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

static void sleep_until(struct queue *q, uint64_t due_ms)
{
    uint64_t now_ms = loop_now_ms();
    if (due_ms > now_ms)
        queue_sleep(q, due_ms - now_ms);
}

/* What is left, no faster than if all were, and at once if it is little: the last look at it may have been at
 * the beginning of the last round. */
static void look_alone(struct queue *q, struct queue_round *r, uint64_t begun_ms, uint64_t round_ms)
{
    uint32_t asked = 0;
    queue_round_begin(q, r);
    for (uint32_t i = 0; i < q->slot_count && !atomic_load(&q->stopping); i++) {
        uint32_t p = queue_round_at(q, r, i);
        if (q->slots[p].look != QUEUE_LOOK_ALONE)
            continue;
        look(q, r, p);
        asked++;
        sleep_until(q, begun_ms + round_ms * asked / q->slot_count);
    }
}

void queue_scan_fiber(void *arg)
{
    struct queue *q = arg;
    uint64_t round_ms = QUEUE_SCAN_FIRST_MS;
    struct queue_round round = { 0 };
    while (!atomic_load(&q->stopping)) {
        uint64_t begun_ms = loop_now_ms();
        queue_look_at_nodes(q);
        look_alone(q, &round, begun_ms, round_ms);
        queue_figures_set(q);
        sleep_until(q, begun_ms + round_ms);
        round_ms = QUEUE_SCAN_MS;
    }
    queue_fiber_ends(q);
}
