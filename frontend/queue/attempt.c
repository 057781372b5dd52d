/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt at one item: its message streams from the queue's partition to its recipients' homes, and is
 * delivered under the id that it had when it came. Whoever has it already takes no second one. */
#include "frontend/queue/queue_priv.h"
#include "lib/base/log.h"
#include "lib/mail/summary.h"

enum { READ_SIZE = 256 * 1024 };

struct attempt {
    struct queue *queue;
    const struct queue_item *item;
    struct queue_report *report;
    struct delivery_target *targets; /* of those who are tried */
    size_t *numbers;                 /* their places among the item's recipients */
    size_t count;
    struct upload *upload;
    struct summary_builder *summary;
    bool source_failed; /* the queue's partition, not those of the recipients */
};

static uint32_t backoff_ms(uint32_t attempts)
{
    uint64_t delay_ms = QUEUE_BACKOFF_FIRST_MS;
    for (uint32_t i = 1; i < attempts && delay_ms < QUEUE_BACKOFF_MAX_MS; i++)
        delay_ms *= 2;
    return (uint32_t)(delay_ms < QUEUE_BACKOFF_MAX_MS ? delay_ms : QUEUE_BACKOFF_MAX_MS);
}

/* The mail was taken on: only an account that is gone ends its way. Whatever else is said may pass, and is
 * tried until it is too old. */
static void settle(struct attempt *a, size_t recipient, enum err err)
{
    enum queue_outcome outcome = QUEUE_OUTCOME_LATER;
    if (err == OK)
        outcome = QUEUE_OUTCOME_DELIVERED;
    else if (err == ERR_NOT_FOUND)
        outcome = QUEUE_OUTCOME_FAILED;
    const char *why = err == ERR_NOT_FOUND ? "the account does not exist any more" : err_text(err);
    a->report->outcomes[recipient] = outcome;
    a->report->errors[recipient] = err == OK ? NULL : why;
    queue_count_outcome(outcome);
}

/* Who can be tried: the others are put off. */
static void choose_targets(struct attempt *a, struct arena *arena)
{
    size_t most = a->item->recipient_count;
    a->targets = ARENA_ARRAY(arena, struct delivery_target, most);
    a->numbers = ARENA_ARRAY(arena, size_t, most);
    for (size_t i = 0; i < most; i++) {
        struct account_ref account = a->item->recipients[i].account;
        if (queue_home_is_away(a->queue, account.home)) {
            settle(a, i, ERR_UNAVAILABLE);
        } else {
            a->numbers[a->count] = i;
            a->targets[a->count++].account = account;
        }
    }
}

static void begin_upload(struct attempt *a, struct arena *arena)
{
    uint32_t *homes = ARENA_ARRAY(arena, uint32_t, a->count);
    for (size_t i = 0; i < a->count; i++)
        homes[i] = a->targets[i].account.home;
    a->upload = upload_new(a->queue->store, homes, a->count);
    upload_limit_wait(a->upload, QUEUE_DELIVER_WAIT_MS);
    a->summary = summary_builder_new(SUMMARY_STORED_MAX);
}

/* The message from one partition to the others, never more of it in memory than a chunk each way. Yields. */
static enum err stream(struct attempt *a)
{
    enum err err = OK;
    struct buf page = { 0 }, summary = { 0 };
    for (uint64_t at = 0; err == OK && at < a->item->size; at += page.len) {
        buf_clear(&page);
        err = store_queue_body_read(a->queue->store, &a->item->id, at, READ_SIZE, &page);
        if (err == OK && page.len == 0)
            err = ERR_CORRUPT;
        a->source_failed = err != OK;
        if (err != OK)
            break;
        summary_builder_push(a->summary, buf_slice(&page));
        if (upload_write(a->upload, buf_slice(&page)) != OK)
            err = ERR_UNAVAILABLE; /* chunks alone are no delivery; and nobody is left to have one */
    }
    if (err == OK) {
        if (a->item->smtputf8)
            summary_builder_international(a->summary);
        summary_builder_finish(a->summary, &summary);
        upload_finish(a->upload, buf_slice(&summary));
    }
    buf_fini(&page);
    buf_fini(&summary);
    return err;
}

static void settle_targets(struct attempt *a)
{
    for (size_t i = 0; i < a->count; i++) {
        enum err err = a->targets[i].status;
        if (err == OK)
            queue_home_served(a->queue, a->targets[i].account.home);
        else if (!a->source_failed && err_class(err) != ERR_CLASS_CALLER)
            queue_home_failed(a->queue, a->targets[i].account.home);
        settle(a, a->numbers[i], err);
    }
}

enum err queue_attempt(struct queue *q, const struct queue_item *item, struct arena *arena,
                       struct queue_report *out)
{
    struct attempt a = { .queue = q, .item = item, .report = out };
    out->outcomes = ARENA_ARRAY(arena, enum queue_outcome, item->recipient_count);
    out->errors = ARENA_ARRAY(arena, const char *, item->recipient_count);
    out->delay_ms = backoff_ms(item->attempts);
    choose_targets(&a, arena);
    if (a.count == 0)
        return OK;
    begin_upload(&a, arena);
    enum err err = stream(&a);
    if (err == OK)
        store_deliver(q->store, a.upload, item->delivery, a.targets, a.count);
    for (size_t i = 0; err != OK && i < a.count; i++)
        a.targets[i].status = err;
    if (err != ERR_NOT_FOUND)
        settle_targets(&a);
    upload_free(&a.upload);
    summary_builder_free(&a.summary);
    return err == ERR_NOT_FOUND ? err : OK;
}
