/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/mailbox/queue/queue_fixture.h"

#include <string.h>

#include "storage-node/mailbox/queue/queue_rows.h"

void prepare(struct fixture *f, struct put *p, size_t count)
{
    tern__queue_put_request__init(&p->request);
    p->request.item_id = fixture_id(f);
    p->request.delivery_id = fixture_id(f);
    p->request.sender = (char *)"a@x";
    p->request.size = strlen(mail);
    p->request.recipients = p->pointers;
    p->request.n_recipients = count;
    for (size_t i = 0; i < count; i++) {
        tern__queue_new_recipient__init(&p->recipients[i]);
        p->recipients[i].path = (char *)"bob@example.test";
        p->recipients[i].account = 100 + i;
        p->recipients[i].home = 3;
        p->pointers[i] = &p->recipients[i];
    }
}

enum err put_with_body(struct fixture *f, struct put *p)
{
    f->body = slice_str(mail);
    return fixture_write(f, METHOD_QUEUE_PUT, &p->request.base);
}

struct put *put(struct fixture *f, size_t count)
{
    struct put *p = ARENA_NEW(&f->arena, struct put);
    prepare(f, p, count);
    assert_int_equal(put_with_body(f, p), OK);
    return p;
}

Tern__QueueLeaseResponse *lease_early(struct fixture *f, uint32_t limit, uint64_t early_before_ms)
{
    Tern__QueueLeaseRequest request = TERN__QUEUE_LEASE_REQUEST__INIT;
    request.limit = limit;
    request.lease_ms = LEASE_MS;
    request.holder = (char *)"frontend-1";
    request.early_before_ms = early_before_ms;
    assert_int_equal(fixture_write(f, METHOD_QUEUE_LEASE, &request.base), OK);
    return fixture_unpack(f, &tern__queue_lease_response__descriptor, &f->result.response);
}

Tern__QueueLeaseResponse *lease(struct fixture *f)
{
    return lease_early(f, QUEUE_LEASE_MAX, 0);
}

enum err report(struct fixture *f, const Tern__QueueItem *item, uint64_t fence, const char *outcomes,
                uint32_t delay_ms)
{
    Tern__QueueRecipientReport recipients[4], *pointers[4];
    Tern__QueueReport one = TERN__QUEUE_REPORT__INIT, *all[] = { &one };
    Tern__QueueReportRequest request = TERN__QUEUE_REPORT_REQUEST__INIT;
    one.item_id = item->item_id;
    one.fence = fence;
    one.delay_ms = delay_ms;
    one.recipients = pointers;
    one.n_recipients = strlen(outcomes);
    for (size_t i = 0; i < one.n_recipients; i++) {
        tern__queue_recipient_report__init(&recipients[i]);
        recipients[i].number = (uint32_t)i;
        recipients[i].outcome = outcomes[i] == 'd'   ? TERN__QUEUE_OUTCOME__QUEUE_DELIVERED
                                : outcomes[i] == 'l' ? TERN__QUEUE_OUTCOME__QUEUE_LATER
                                                     : TERN__QUEUE_OUTCOME__QUEUE_GIVEN_UP;
        recipients[i].error = (char *)(outcomes[i] == 'd' ? "" : "temporarily unavailable");
        pointers[i] = &recipients[i];
    }
    request.reports = all;
    request.n_reports = 1;
    assert_int_equal(fixture_write(f, METHOD_QUEUE_REPORT, &request.base), OK);
    Tern__QueueReportResponse *response =
        fixture_unpack(f, &tern__queue_report_response__descriptor, &f->result.response);
    assert_int_equal(response->n_statuses, 1);
    return response->statuses[0];
}

enum err change(struct fixture *f, ProtobufCBinaryData id, Tern__QueueChange what)
{
    Tern__QueueChangeRequest request = TERN__QUEUE_CHANGE_REQUEST__INIT;
    request.item_id = id;
    request.change = what;
    return fixture_write(f, METHOD_QUEUE_CHANGE, &request.base);
}

Tern__QueueStatusResponse *status(struct fixture *f)
{
    Tern__QueueStatusRequest request = TERN__QUEUE_STATUS_REQUEST__INIT;
    assert_int_equal(fixture_read(f, METHOD_QUEUE_STATUS, &request.base), OK);
    return fixture_unpack(f, &tern__queue_status_response__descriptor, &f->response);
}

Tern__QueueItem *show(struct fixture *f, ProtobufCBinaryData id)
{
    Tern__QueueListRequest request = TERN__QUEUE_LIST_REQUEST__INIT;
    request.item_id = id;
    enum err err = fixture_read(f, METHOD_QUEUE_LIST, &request.base);
    if (err == ERR_NOT_FOUND)
        return NULL;
    assert_int_equal(err, OK);
    Tern__QueueListResponse *list = fixture_unpack(f, &tern__queue_list_response__descriptor, &f->response);
    assert_int_equal(list->n_items, 1);
    return list->items[0];
}

enum err read_item(struct fixture *f, ProtobufCBinaryData id, uint64_t offset, uint32_t length)
{
    Tern__QueueBodyRequest request = TERN__QUEUE_BODY_REQUEST__INIT;
    request.item_id = id;
    request.offset = offset;
    request.length = length;
    return fixture_read(f, METHOD_QUEUE_BODY, &request.base);
}

void expect_empty(struct fixture *f)
{
    Tern__QueueStatusResponse *s = status(f);
    assert_int_equal(s->items, 0);
    assert_int_equal(s->bytes, 0);
    assert_int_equal(s->held, 0);
    assert_int_equal(s->failed, 0);
    assert_int_equal(s->next_ms, 0);
    assert_int_equal(s->oldest_ms, 0);
    f->time_ms += 2 * HOUR_MS;
    fixture_sweep(f);
    assert_int_equal(count_rows(f, KV_BODY), 0);
    assert_int_equal(count_rows(f, KV_STATE), 2); /* CLOCK, QUEUE_TOTALS */
}
