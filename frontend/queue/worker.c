/* SPDX-License-Identifier: Apache-2.0 */
/* One partition's queue: lease what is due, attempt it, report, until nothing is due. */
#include "frontend/queue/queue_priv.h"
#include "lib/base/log.h"

struct batch {
    struct queue *queue;
    uint32_t partition;
    struct arena arena;
    struct queue_lease lease;
    struct queue_report reports[QUEUE_BATCH];
    size_t report_count;
    uint64_t give_back_ms; /* what is not begun by then is given back */
};

static void attempt(struct batch *b, const struct queue_item *item)
{
    struct queue_report *report = &b->reports[b->report_count];
    *report = (struct queue_report){ .item = item };
    bool too_late = atomic_load(&b->queue->stopping) || loop_now_ms() > b->give_back_ms;
    if (!too_late && queue_attempt(b->queue, item, &b->arena, report) == ERR_NOT_FOUND)
        return; /* somebody deleted it */
    b->report_count++;
}

/* What became of the items, to the log; the mail itself is safe whatever the report's fate. */
static void log_reports(const struct batch *b)
{
    for (size_t i = 0; i < b->report_count; i++) {
        const struct queue_report *r = &b->reports[i];
        char id[QUEUE_ID_TEXT_MAX];
        queue_id_format(&r->item->id, id);
        if (r->status != OK)
            log_info("queue", "report of item=%s not taken: %s", id, err_name(r->status));
        for (size_t j = 0; r->outcomes != NULL && j < r->item->recipient_count; j++) {
            struct slice path = r->item->recipients[j].path;
            if (r->outcomes[j] == QUEUE_OUTCOME_FAILED)
                log_warn("queue", "failed for good item=%s to=<%.*s> attempt=%u: %s; kept for a person", id,
                         SLICE_FMT(path), r->item->attempts, r->errors[j]);
            else if (r->outcomes[j] == QUEUE_OUTCOME_DELIVERED)
                log_info("queue", "delivered item=%s to=<%.*s> attempt=%u", id, SLICE_FMT(path),
                         r->item->attempts);
            else
                log_debug("queue", "put off item=%s to=<%.*s> attempt=%u: %s", id, SLICE_FMT(path),
                          r->item->attempts, r->errors[j]);
        }
    }
}

/* Lease, attempt, report. ERR_NOT_FOUND: nothing was due. Yields. */
static enum err work_once(struct batch *b, uint64_t early_before_ms)
{
    struct queue *q = b->queue;
    struct queue_lease_options options = { .limit = QUEUE_BATCH,
                                           .lease_ms = QUEUE_LEASE_MS,
                                           .holder = slice_str(q->holder),
                                           .early_before_ms = early_before_ms };
    uint64_t now_ms, next_ms;
    b->report_count = 0;
    b->give_back_ms = loop_deadline_ms(QUEUE_LEASE_MS - QUEUE_LEASE_RESERVE_MS);
    TRY(store_queue_lease(q->store, b->partition, &options, &b->arena, &b->lease));
    queue_schedule(q, b->partition, b->lease.now_ms, b->lease.next_ms);
    if (b->lease.count == 0)
        return ERR_NOT_FOUND;
    for (size_t i = 0; i < b->lease.count && i < QUEUE_BATCH; i++)
        attempt(b, &b->lease.items[i]);
    if (b->report_count == 0)
        return OK;
    enum err err = store_queue_report(q->store, b->reports, b->report_count, &now_ms, &next_ms);
    log_reports(b);
    if (err == OK)
        queue_schedule(q, b->partition, now_ms, next_ms);
    return err;
}

void queue_work(struct queue *q, uint32_t partition)
{
    struct queue_slot *slot = &q->slots[partition];
    struct arena arena = { 0 };
    struct batch *b = ARENA_NEW(&arena, struct batch);
    *b = (struct batch){ .queue = q, .partition = partition };
    uint64_t early_before_ms = slot->early_before_ms;
    uint64_t turn_ends_ms = loop_deadline_ms(QUEUE_TURN_MS);
    slot->early_before_ms = 0;
    enum err err = OK;
    while (err == OK && !atomic_load(&q->stopping) && loop_now_ms() < turn_ends_ms) {
        err = work_once(b, early_before_ms);
        if (early_before_ms == UINT64_MAX && (err == OK || err == ERR_NOT_FOUND))
            early_before_ms = b->lease.now_ms; /* what this pass has tried is not tried again by it */
        arena_clear(&b->arena);
    }
    if (err != ERR_NOT_FOUND && slot->early_before_ms == 0)
        slot->early_before_ms = early_before_ms; /* this pass has not come to its end */
    if (err == OK) {
        slot->woken = true;
    } else if (err != ERR_NOT_FOUND) {
        log_info("queue", "queue of partition=%u: %s", partition, err_name(err));
        slot->wake_ms = loop_deadline_ms(QUEUE_TROUBLE_MS);
    }
    arena_fini(&b->arena);
    arena_fini(&arena);
}
