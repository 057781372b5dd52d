/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "proto/message.pb-c.h"
#include "proto/queue.pb-c.h"
#include "tests/sim/storage/op.h"

enum { LEASE_MS = 3600 * 1000, SIZE_WANTED = 32 };

enum step { PUT, PUT_AGAIN, LEASE, LATER, LEASE_AGAIN, OLD_REPORT, DELIVER, DELIVER_AGAIN, DONE, DONE_AGAIN };

uint32_t queue_method(int step)
{
    static const uint32_t methods[] = {
        [PUT] = METHOD_QUEUE_PUT,           [PUT_AGAIN] = METHOD_QUEUE_PUT,
        [LEASE] = METHOD_QUEUE_LEASE,       [LATER] = METHOD_QUEUE_REPORT,
        [LEASE_AGAIN] = METHOD_QUEUE_LEASE, [OLD_REPORT] = METHOD_QUEUE_REPORT,
        [DELIVER] = METHOD_DELIVER,         [DELIVER_AGAIN] = METHOD_DELIVER,
        [DONE] = METHOD_QUEUE_REPORT,       [DONE_AGAIN] = METHOD_QUEUE_REPORT,
    };
    return (size_t)step < sizeof methods / sizeof methods[0] ? methods[step] : 0;
}

/* ---- requests */

static void make_put(struct op *op)
{
    Tern__QueuePutRequest request = TERN__QUEUE_PUT_REQUEST__INIT;
    Tern__QueueNewRecipient recipient = TERN__QUEUE_NEW_RECIPIENT__INIT, *list[] = { &recipient };
    recipient.path = op->targets[0]->address;
    recipient.account = op->targets[0]->id;
    mail_bytes(op->token, &op->body);
    request.item_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, op->named_id };
    request.delivery_id = request.item_id;
    request.size = op->body.len;
    request.n_recipients = 1;
    request.recipients = list;
    op_pack(op, &request.base);
}

static void make_lease(struct op *op)
{
    Tern__QueueLeaseRequest request = TERN__QUEUE_LEASE_REQUEST__INIT;
    static char holder[] = "worker";
    request.limit = SIZE_WANTED;
    request.lease_ms = LEASE_MS;
    request.holder = holder;
    op_pack(op, &request.base);
}

static void make_report(struct op *op, uint64_t fence, Tern__QueueOutcome outcome)
{
    Tern__QueueReportRequest request = TERN__QUEUE_REPORT_REQUEST__INIT;
    Tern__QueueReport report = TERN__QUEUE_REPORT__INIT, *reports[] = { &report };
    Tern__QueueRecipientReport said = TERN__QUEUE_RECIPIENT_REPORT__INIT, *list[] = { &said };
    said.outcome = outcome;
    report.item_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, op->named_id };
    report.fence = fence;
    report.n_recipients = 1;
    report.recipients = list;
    request.n_reports = 1;
    request.reports = reports;
    op_pack(op, &request.base);
}

void queue_make(struct op *op)
{
    buf_clear(&op->body);
    switch ((enum step)op->step) {
    case PUT:
    case PUT_AGAIN:
        make_put(op);
        break;
    case LEASE:
    case LEASE_AGAIN:
        make_lease(op);
        break;
    case LATER:
        make_report(op, op->fence, TERN__QUEUE_OUTCOME__QUEUE_LATER);
        break;
    case OLD_REPORT:
        make_report(op, op->fence - 1, TERN__QUEUE_OUTCOME__QUEUE_DELIVERED);
        break;
    case DELIVER:
    case DELIVER_AGAIN:
        mail_pack_delivery(op->token, op->named_id, &op->targets[0]->id, 1, &op->request, &op->body);
        break;
    case DONE:
    case DONE_AGAIN:
        make_report(op, op->fence, TERN__QUEUE_OUTCOME__QUEUE_DELIVERED);
        break;
    }
}

/* ---- answers */

/* Nobody else uses the partition's queue meanwhile: the one item is leased, and its number grows by one. */
static void after_lease(struct op *op)
{
    Tern__QueueLeaseResponse *r =
        tern__queue_lease_response__unpack(NULL, op->response.len, op->response.data);
    const Tern__QueueItem *item = r != NULL && r->n_items == 1 ? r->items[0] : NULL;
    if (item == NULL)
        world_fail(op->c->w, "a lease answered %zu items, not 1", r == NULL ? 0 : r->n_items);
    else if (item->item_id.len != REQUEST_ID_SIZE ||
             memcmp(item->item_id.data, op->named_id, REQUEST_ID_SIZE) != 0 || item->fence != op->fence + 1 ||
             item->n_recipients != 1 || item->size != mail_size(op->token))
        world_fail(op->c->w, "a lease answered another item, or number %llu after %llu",
                   (unsigned long long)item->fence, (unsigned long long)op->fence);
    op->fence++;
    if (r != NULL)
        tern__queue_lease_response__free_unpacked(r, NULL);
}

static void after_report(struct op *op, enum err want)
{
    Tern__QueueReportResponse *r =
        tern__queue_report_response__unpack(NULL, op->response.len, op->response.data);
    if (r == NULL || r->n_statuses != 1 || r->statuses[0] != (uint32_t)want)
        world_fail(op->c->w, "%s: step %d with the queue: a report was answered otherwise than %s",
                   op->targets[0]->address, op->step, err_name(want));
    if (r != NULL)
        tern__queue_report_response__free_unpacked(r, NULL);
}

static void after_second_delivery(struct op *op)
{
    Tern__DeliverResponse *r = tern__deliver_response__unpack(NULL, op->response.len, op->response.data);
    const struct known_mailbox *box = &op->targets[0]->boxes[0];
    bool found = false;
    for (size_t i = 0; r != NULL && r->n_results == 1 && i < box->count; i++)
        found |= box->messages[i].uid == r->results[0]->uid && box->messages[i].token == op->token;
    if (!found)
        world_fail(op->c->w, "%s: one delivery id became two messages (P2)", op->targets[0]->address);
    if (r != NULL)
        tern__deliver_response__free_unpacked(r, NULL);
}

void queue_evaluate(struct op *op)
{
    switch ((enum step)op->step) {
    case PUT:
    case PUT_AGAIN:
        break;
    case LEASE:
    case LEASE_AGAIN:
        after_lease(op);
        break;
    case LATER:
    case DONE:
        after_report(op, OK);
        break;
    case OLD_REPORT:
        after_report(op, ERR_CONFLICT);
        break;
    case DELIVER:
        op_evaluate_delivery(op);
        break;
    case DELIVER_AGAIN:
        after_second_delivery(op);
        break;
    case DONE_AGAIN:
        after_report(op, ERR_NOT_FOUND);
        op->c->queue_busy[op->partition] = false;
        break;
    }
}
