/* SPDX-License-Identifier: Apache-2.0 */
/* QUEUE_REPORT: what came of a lease. */
#include "storage-node/mailbox/queue/queue_edit.h"

static enum err check_report(const Tern__QueueReport *report)
{
    if (report->item_id.len != REQUEST_ID_SIZE || report->delay_ms > QUEUE_DELAY_MS_MAX)
        return ERR_INVALID;
    if (report->n_recipients > QUEUE_RECIPIENTS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < report->n_recipients; i++) {
        const Tern__QueueRecipientReport *r = report->recipients[i];
        if ((uint32_t)r->outcome > TERN__QUEUE_OUTCOME__QUEUE_GIVEN_UP || strlen(r->error) > QUEUE_ERROR_MAX)
            return ERR_INVALID;
    }
    return OK;
}

enum err check_queue_report(const Tern__QueueReportRequest *request, size_t body_len)
{
    if (body_len > 0 || request->n_reports == 0)
        return ERR_INVALID;
    if (request->n_reports > QUEUE_LEASE_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < request->n_reports; i++)
        TRY(check_report(request->reports[i]));
    return OK;
}

static uint32_t state_after(Tern__QueueOutcome outcome, bool too_old)
{
    if (outcome == TERN__QUEUE_OUTCOME__QUEUE_DELIVERED)
        return TERN__QUEUE_STATE__QUEUE_DONE;
    bool failed = outcome == TERN__QUEUE_OUTCOME__QUEUE_GIVEN_UP || too_old;
    return failed ? TERN__QUEUE_STATE__QUEUE_FAILED : TERN__QUEUE_STATE__QUEUE_PENDING;
}

/* Only those pending change: what is done stays done. */
static enum err settle_recipient(struct apply *a, struct queue_edit *e, const Tern__QueueRecipientReport *r,
                                 bool too_old)
{
    struct queue_recipient_row row;
    if (r->number >= e->item.recipient_count)
        return ERR_INVALID;
    TRY(queue_recipient(&a->state, e->id, r->number, &row));
    if (row.state != TERN__QUEUE_STATE__QUEUE_PENDING)
        return OK;
    row.state = state_after(r->outcome, too_old);
    row.error = slice_str(r->error);
    if (row.state != TERN__QUEUE_STATE__QUEUE_PENDING) {
        row.changed_ms = a->header->time_ms;
        e->state.pending--;
        e->state.failed += row.state == TERN__QUEUE_STATE__QUEUE_FAILED;
    }
    queue_put_recipient(a, e->id, r->number, &row);
    return OK;
}

static enum err settle(struct apply *a, const Tern__QueueReport *report, uint32_t *status_out)
{
    struct queue_edit e;
    enum err err = queue_open(a, slice_of_binary(report->item_id), &e);
    if (err == ERR_NOT_FOUND) {
        *status_out = ERR_NOT_FOUND;
        return OK;
    }
    TRY(err);
    if (e.state.lease_until_ms == 0 || e.state.fence != report->fence) {
        *status_out = ERR_CONFLICT;
        return OK;
    }
    uint64_t next_ms = a->header->time_ms + report->delay_ms;
    bool too_old = next_ms > e.item.created_ms + QUEUE_AGE_MAX_MS;
    for (size_t i = 0; i < report->n_recipients; i++)
        TRY(settle_recipient(a, &e, report->recipients[i], too_old));
    e.state.lease_until_ms = 0;
    e.state.next_ms = next_ms;
    if (e.state.pending == 0 && e.state.failed == 0)
        return queue_remove(a, &e);
    return queue_close(a, &e);
}

enum err apply_queue_report(struct apply *a, const Tern__QueueReportRequest *request)
{
    Tern__QueueReportResponse response = TERN__QUEUE_REPORT_RESPONSE__INIT;
    response.n_statuses = request->n_reports;
    response.statuses = ARENA_ARRAY(a->state.arena, uint32_t, request->n_reports);
    for (size_t i = 0; i < request->n_reports; i++)
        TRY(settle(a, request->reports[i], &response.statuses[i]));
    TRY(queue_next(&a->state, &response.next_ms));
    response.now_ms = a->header->time_ms;
    apply_respond(a, &response.base);
    return OK;
}
