/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "proto/queue.pb-c.h"
#include "tests/sim/cluster/queue.h"

enum { LIST_MAX = 100, LEASE_MS_MIN = 200, LEASE_MS_MORE = 2500, DELAY_MS = 700, BODY_MAX = 1 << 20 };

static ProtobufCBinaryData id_of(uint8_t *id)
{
    return (ProtobufCBinaryData){ REQUEST_ID_SIZE, id };
}

/* ---- requests */

static void make_put(struct op *op)
{
    Tern__QueuePutRequest request = TERN__QUEUE_PUT_REQUEST__INIT;
    Tern__QueueNewRecipient recipients[TARGETS_MAX], *list[TARGETS_MAX];
    struct op *delivery = op->item->delivery;
    for (int i = 0; i < delivery->target_count; i++) {
        tern__queue_new_recipient__init(&recipients[i]);
        recipients[i].path = delivery->targets[i]->address;
        recipients[i].account = delivery->targets[i]->id;
        recipients[i].home = (uint32_t)delivery->partition;
        list[i] = &recipients[i];
    }
    mail_bytes(delivery->token, &op->body);
    request.item_id = id_of(op->item->id);
    request.delivery_id = id_of(delivery->named_id);
    request.size = op->body.len;
    request.delay_ms = (uint32_t)cluster_below(op->c, DELAY_MS);
    request.n_recipients = (size_t)delivery->target_count;
    request.recipients = list;
    mail_pack(&request.base, &op->request);
}

static void make_lease(struct op *op)
{
    static char holder[] = "worker";
    Tern__QueueLeaseRequest request = TERN__QUEUE_LEASE_REQUEST__INIT;
    request.limit = 1 + (uint32_t)cluster_below(op->c, HAND_MAX);
    request.lease_ms = LEASE_MS_MIN + (uint32_t)cluster_below(op->c, LEASE_MS_MORE);
    request.holder = holder;
    if (op->c->clients->finishing || cluster_chance(op->c, 200))
        request.early_before_ms = UINT64_MAX;
    mail_pack(&request.base, &op->request);
}

static void make_report(struct op *op)
{
    Tern__QueueReportRequest request = TERN__QUEUE_REPORT_REQUEST__INIT;
    Tern__QueueReport reports[HAND_MAX], *list[HAND_MAX];
    Tern__QueueRecipientReport said[HAND_MAX][TARGETS_MAX], *said_list[HAND_MAX][TARGETS_MAX];
    for (size_t i = 0; i < op->queued_count; i++) {
        const struct queued *q = &op->queued[i];
        tern__queue_report__init(&reports[i]);
        reports[i].item_id = id_of(q->item->id);
        reports[i].fence = q->fence;
        reports[i].delay_ms = (uint32_t)cluster_below(op->c, DELAY_MS);
        reports[i].recipients = said_list[i];
        for (int r = 0; r < TARGETS_MAX; r++) {
            if ((q->pending & 1u << r) == 0)
                continue;
            size_t at = reports[i].n_recipients++;
            tern__queue_recipient_report__init(&said[i][at]);
            said[i][at].number = (uint32_t)r;
            said[i][at].outcome = (Tern__QueueOutcome)q->outcomes[r];
            said_list[i][at] = &said[i][at];
        }
        list[i] = &reports[i];
    }
    request.n_reports = op->queued_count;
    request.reports = list;
    mail_pack(&request.base, &op->request);
}

void mailq_op_make(struct op *op)
{
    static const Tern__QueueChange changes[] = {
        TERN__QUEUE_CHANGE__QUEUE_RETRY,
        TERN__QUEUE_CHANGE__QUEUE_HOLD,
        TERN__QUEUE_CHANGE__QUEUE_RELEASE,
        TERN__QUEUE_CHANGE__QUEUE_DELETE,
    };
    Tern__QueueChangeRequest change = TERN__QUEUE_CHANGE_REQUEST__INIT;
    Tern__QueueListRequest items = TERN__QUEUE_LIST_REQUEST__INIT;
    Tern__QueueStatusRequest status = TERN__QUEUE_STATUS_REQUEST__INIT;
    Tern__QueueBodyRequest body = TERN__QUEUE_BODY_REQUEST__INIT;
    switch (op->kind) {
    case OP_QUEUE_PUT:
        make_put(op);
        break;
    case OP_QUEUE_LEASE:
        make_lease(op);
        break;
    case OP_QUEUE_REPORT:
        make_report(op);
        break;
    case OP_QUEUE_RETRY:
    case OP_QUEUE_HOLD:
    case OP_QUEUE_RELEASE:
    case OP_QUEUE_DELETE:
        change.item_id = id_of(op->item->id);
        change.change = changes[op->kind - OP_QUEUE_RETRY];
        mail_pack(&change.base, &op->request);
        break;
    case OP_QUEUE_LIST:
        items.limit = LIST_MAX;
        mail_pack(&items.base, &op->request);
        break;
    case OP_QUEUE_STATUS:
        mail_pack(&status.base, &op->request);
        break;
    default: /* OP_QUEUE_BODY */
        body.item_id = id_of(op->item->id);
        body.length = BODY_MAX;
        mail_pack(&body.base, &op->request);
        break;
    }
}

/* ---- answers */

static struct item *find_item(const struct op *op, ProtobufCBinaryData id)
{
    struct item *item = op->c->clients->items;
    while (item != NULL && (id.len != REQUEST_ID_SIZE || memcmp(item->id, id.data, REQUEST_ID_SIZE) != 0))
        item = item->next;
    return item;
}

static bool take_item(struct op *op, const Tern__QueueItem *in, struct queued *out)
{
    struct item *item = find_item(op, in->item_id);
    if (item == NULL || !item->may[op->partition]) {
        cluster_fail(op->c, "partition %d: the queue has an item of nobody's", op->partition);
        return false;
    }
    const struct op *delivery = item->delivery;
    if (in->delivery_id.len != REQUEST_ID_SIZE || in->size != mail_size(delivery->token) ||
        memcmp(in->delivery_id.data, delivery->named_id, REQUEST_ID_SIZE) != 0)
        cluster_fail(op->c, "partition %d: an item is not what was put", op->partition);
    *out =
        (struct queued){ .item = item, .fence = in->fence, .until_ms = in->lease_until_ms, .held = in->held };
    for (size_t i = 0; i < in->n_recipients; i++) {
        const Tern__QueueRecipient *r = in->recipients[i];
        if (r->number >= (uint32_t)delivery->target_count || r->account != delivery->targets[r->number]->id)
            return false;
        uint32_t bit = 1u << r->number;
        out->pending |= r->state == TERN__QUEUE_STATE__QUEUE_PENDING ? bit : 0;
        out->done |= r->state == TERN__QUEUE_STATE__QUEUE_DONE ? bit : 0;
        out->failed |= r->state == TERN__QUEUE_STATE__QUEUE_FAILED ? bit : 0;
    }
    return true;
}

static bool take_items(struct op *op, Tern__QueueItem **items, size_t count)
{
    op->queued = NEW_ARRAY(struct queued, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (!take_item(op, items[i], &op->queued[i]))
            return false;
        op->queued_count++;
    }
    return true;
}

bool mailq_leases(struct slice response)
{
    Tern__QueueLeaseResponse *r = tern__queue_lease_response__unpack(NULL, response.len, response.data);
    bool some = r != NULL && r->n_items > 0;
    if (r != NULL)
        tern__queue_lease_response__free_unpacked(r, NULL);
    return some;
}

static bool take_lease(struct op *op, struct slice in)
{
    Tern__QueueLeaseResponse *r = tern__queue_lease_response__unpack(NULL, in.len, in.data);
    if (r == NULL)
        return false;
    bool good = r->n_items <= HAND_MAX && take_items(op, r->items, r->n_items);
    op->time_ms = r->now_ms;
    tern__queue_lease_response__free_unpacked(r, NULL);
    return good;
}

static bool take_list(struct op *op, struct slice in)
{
    Tern__QueueListResponse *r = tern__queue_list_response__unpack(NULL, in.len, in.data);
    if (r == NULL)
        return false;
    bool good = take_items(op, r->items, r->n_items);
    op->whole = !r->more;
    for (size_t i = 0; good && i < op->queued_count; i++) {
        op->queued[i].item->failed[op->partition] |= op->queued[i].failed;
        op->queued[i].item->held[op->partition] |= op->queued[i].held;
    }
    tern__queue_list_response__free_unpacked(r, NULL);
    return good;
}

static bool take_report(struct op *op, struct slice in)
{
    Tern__QueueReportResponse *r = tern__queue_report_response__unpack(NULL, in.len, in.data);
    bool good = r != NULL && r->n_statuses == op->queued_count;
    for (size_t i = 0; good && i < r->n_statuses; i++) {
        op->queued[i].status = (enum err)r->statuses[i];
        good = r->statuses[i] == OK || r->statuses[i] == ERR_CONFLICT || r->statuses[i] == ERR_NOT_FOUND;
    }
    if (r != NULL)
        tern__queue_report_response__free_unpacked(r, NULL);
    return good;
}

static bool take_status(struct op *op, struct slice in)
{
    Tern__QueueStatusResponse *r = tern__queue_status_response__unpack(NULL, in.len, in.data);
    if (r == NULL)
        return false;
    op->items = r->items;
    op->held = r->held;
    bool good = (r->items == 0) == (r->bytes == 0) && r->failed <= r->items && r->held <= r->items;
    tern__queue_status_response__free_unpacked(r, NULL);
    return good;
}

static bool take_body(struct op *op, struct slice body)
{
    struct buf want = { 0 };
    mail_bytes(op->item->delivery->token, &want);
    bool good = slice_eq(body, buf_slice(&want));
    buf_fini(&want);
    return good;
}

bool mailq_op_take(struct op *op, struct slice response, struct slice body)
{
    switch (op->kind) {
    case OP_QUEUE_LEASE:
        return take_lease(op, response);
    case OP_QUEUE_REPORT:
        return take_report(op, response);
    case OP_QUEUE_LIST:
        return take_list(op, response);
    case OP_QUEUE_STATUS:
        return take_status(op, response);
    case OP_QUEUE_BODY:
        return take_body(op, body);
    default:
        return true;
    }
}
