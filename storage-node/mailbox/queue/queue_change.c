/* SPDX-License-Identifier: Apache-2.0 */
/* QUEUE_CHANGE: what a person does to an item. */
#include "storage-node/mailbox/queue/queue_edit.h"

enum err check_queue_change(const Tern__QueueChangeRequest *request, size_t body_len)
{
    bool known = (uint32_t)request->change <= TERN__QUEUE_CHANGE__QUEUE_DELETE;
    return body_len > 0 || !known || request->item_id.len != REQUEST_ID_SIZE ? ERR_INVALID : OK;
}

/* Accounts know a delivery id for a while, and take none that is older. An item that waited so long gets a
 * new one, and only because a person wants it tried: who has the message already, though nobody could say so
 * then, gets it a second time. */
static void renew_delivery(struct apply *a, struct queue_edit *e)
{
    enum { KNOWN_MS = DELIVERY_RETENTION_MS - CLOCK_SKEW_MAX_MS };
    struct cursor c = cursor_of(e->item.delivery_id);
    uint64_t made_ms = cursor_be64(&c), now_ms = a->header->time_ms;
    if (now_ms < KNOWN_MS || made_ms >= now_ms - KNOWN_MS)
        return;
    e->item.delivery_id = apply_request_id(a);
    queue_put_item(a, e);
}

static enum err retry(struct apply *a, struct queue_edit *e)
{
    for (uint32_t i = 0; i < e->item.recipient_count; i++) {
        struct queue_recipient_row row;
        TRY(queue_recipient(&a->state, e->id, i, &row));
        if (row.state != TERN__QUEUE_STATE__QUEUE_FAILED)
            continue;
        row.state = TERN__QUEUE_STATE__QUEUE_PENDING;
        row.changed_ms = a->header->time_ms;
        queue_put_recipient(a, e->id, i, &row);
        e->state.failed--;
        e->state.pending++;
    }
    e->state.held = false;
    e->state.next_ms = a->header->time_ms;
    return OK;
}

enum err apply_queue_change(struct apply *a, const Tern__QueueChangeRequest *request)
{
    struct queue_edit e;
    TRY(queue_open(a, slice_of_binary(request->item_id), &e));
    Tern__QueueChangeResponse response = TERN__QUEUE_CHANGE_RESPONSE__INIT;
    apply_respond(a, &response.base);
    switch (request->change) {
    case TERN__QUEUE_CHANGE__QUEUE_RETRY:
        TRY(retry(a, &e));
        renew_delivery(a, &e);
        break;
    case TERN__QUEUE_CHANGE__QUEUE_HOLD:
        e.state.held = true;
        break;
    case TERN__QUEUE_CHANGE__QUEUE_RELEASE:
        e.state.held = false;
        renew_delivery(a, &e);
        break;
    default: /* QUEUE_DELETE */
        return queue_remove(a, &e);
    }
    return queue_close(a, &e);
}
