/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: put, leased, reported, changed by people; fences, repeats, bounds, and that nothing stays
 * behind. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

#include "lib/base/alloc.h"
#include "proto/queue.pb-c.h"
#include "storage-node/mailbox/queue_rows.h"

enum { LEASE_MS = 30000, HOUR_MS = 3600 * 1000 };

struct put {
    Tern__QueuePutRequest request;
    Tern__QueueNewRecipient recipients[4], *pointers[4];
};

static void prepare(struct fixture *f, struct put *p, size_t count)
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

static enum err put_with_body(struct fixture *f, struct put *p)
{
    f->body = slice_str(mail);
    return fixture_write(f, METHOD_QUEUE_PUT, &p->request.base);
}

static struct put *put(struct fixture *f, size_t count)
{
    struct put *p = ARENA_NEW(&f->arena, struct put);
    prepare(f, p, count);
    assert_int_equal(put_with_body(f, p), OK);
    return p;
}

static Tern__QueueLeaseResponse *lease_early(struct fixture *f, uint32_t limit, uint64_t early_before_ms)
{
    Tern__QueueLeaseRequest request = TERN__QUEUE_LEASE_REQUEST__INIT;
    request.limit = limit;
    request.lease_ms = LEASE_MS;
    request.holder = (char *)"frontend-1";
    request.early_before_ms = early_before_ms;
    assert_int_equal(fixture_write(f, METHOD_QUEUE_LEASE, &request.base), OK);
    return fixture_unpack(f, &tern__queue_lease_response__descriptor, &f->result.response);
}

static Tern__QueueLeaseResponse *lease(struct fixture *f)
{
    return lease_early(f, QUEUE_LEASE_MAX, 0);
}

/* Report on the first recipients of one item, an outcome each ("dlf": delivered, later, failed); the item's
 * status in the answer. */
static enum err report(struct fixture *f, const Tern__QueueItem *item, uint64_t fence, const char *outcomes,
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

static enum err change(struct fixture *f, ProtobufCBinaryData id, Tern__QueueChange what)
{
    Tern__QueueChangeRequest request = TERN__QUEUE_CHANGE_REQUEST__INIT;
    request.item_id = id;
    request.change = what;
    return fixture_write(f, METHOD_QUEUE_CHANGE, &request.base);
}

static Tern__QueueStatusResponse *status(struct fixture *f)
{
    Tern__QueueStatusRequest request = TERN__QUEUE_STATUS_REQUEST__INIT;
    assert_int_equal(fixture_read(f, METHOD_QUEUE_STATUS, &request.base), OK);
    return fixture_unpack(f, &tern__queue_status_response__descriptor, &f->response);
}

static Tern__QueueItem *show(struct fixture *f, ProtobufCBinaryData id)
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

static enum err read_body(struct fixture *f, ProtobufCBinaryData id, uint64_t offset, uint32_t length)
{
    Tern__QueueBodyRequest request = TERN__QUEUE_BODY_REQUEST__INIT;
    request.item_id = id;
    request.offset = offset;
    request.length = length;
    return fixture_read(f, METHOD_QUEUE_BODY, &request.base);
}

/* Nothing is left of any item but the totals, once bodies are swept. */
static void expect_empty(struct fixture *f)
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

static void test_put_lease_deliver(void **state)
{
    struct fixture *f = *state;
    struct put *p = put(f, 2);
    Tern__QueueStatusResponse *s = status(f);
    assert_int_equal(s->items, 1);
    assert_int_equal(s->bytes, strlen(mail));
    assert_int_equal(s->next_ms, f->time_ms);
    assert_int_equal(s->oldest_ms, f->time_ms);

    Tern__QueueLeaseResponse *l = lease(f);
    assert_int_equal(l->n_items, 1);
    assert_int_equal(l->now_ms, f->time_ms);
    assert_int_equal(l->next_ms, f->time_ms + LEASE_MS);
    Tern__QueueItem *item = l->items[0];
    assert_memory_equal(item->item_id.data, p->request.item_id.data, REQUEST_ID_SIZE);
    assert_memory_equal(item->delivery_id.data, p->request.delivery_id.data, REQUEST_ID_SIZE);
    assert_string_equal(item->sender, "a@x");
    assert_int_equal(item->size, strlen(mail));
    assert_int_equal(item->attempts, 1);
    assert_int_equal(item->n_recipients, 2);
    assert_int_equal(item->recipients[1]->number, 1);
    assert_int_equal(item->recipients[1]->account, 101);
    assert_int_equal(item->recipients[1]->home, 3);
    assert_int_equal(lease(f)->n_items, 0);

    assert_int_equal(read_body(f, item->item_id, 0, 1000), OK);
    assert_int_equal(f->rows.len, strlen(mail));
    assert_memory_equal(f->rows.data, mail, strlen(mail));
    assert_int_equal(read_body(f, item->item_id, 6, 3), OK);
    assert_memory_equal(f->rows.data, mail + 6, 3);
    assert_int_equal(report(f, item, item->fence, "dd", 0), OK);
    assert_null(show(f, item->item_id));
    assert_int_equal(read_body(f, item->item_id, 0, 10), ERR_NOT_FOUND);
    expect_empty(f);
}

static void test_put_again(void **state)
{
    struct fixture *f = *state;
    struct put *p = put(f, 1);
    size_t rows = count_rows(f, KV_STATE), bodies = count_rows(f, KV_BODY);
    assert_int_equal(fixture_repeat(f), OK); /* the same request */
    assert_int_equal(count_rows(f, KV_BODY), bodies);
    assert_int_equal(put_with_body(f, p), OK); /* the same item by another request */
    assert_int_equal(count_rows(f, KV_BODY), bodies);
    assert_int_equal(count_rows(f, KV_STATE), rows + 1); /* its REQUEST row */
    assert_int_equal(status(f)->items, 1);
}

static void test_put_refusals(void **state)
{
    struct fixture *f = *state;
    struct put p;
    char longest[QUEUE_PATH_MAX + 2];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
#define EXPECT_REFUSED(change, want)                  \
    do {                                              \
        prepare(f, &p, 1);                            \
        change;                                       \
        assert_int_equal(put_with_body(f, &p), want); \
    } while (0)
    EXPECT_REFUSED(p.request.item_id.len = 15, ERR_INVALID);
    EXPECT_REFUSED(p.request.delivery_id.len = 0, ERR_INVALID);
    EXPECT_REFUSED(p.request.n_recipients = 0, ERR_INVALID);
    EXPECT_REFUSED(p.request.sender = longest, ERR_INVALID);
    EXPECT_REFUSED(p.recipients[0].path = longest, ERR_INVALID);
    EXPECT_REFUSED(p.recipients[0].path = (char *)"", ERR_INVALID);
    EXPECT_REFUSED(p.recipients[0].account = 0, ERR_INVALID);
    EXPECT_REFUSED(p.request.size++, ERR_INVALID);
    EXPECT_REFUSED(p.request.upload_id = fixture_id(f), ERR_INVALID);
    EXPECT_REFUSED(p.request.delay_ms = QUEUE_DELAY_MS_MAX + 1, ERR_INVALID);
    prepare(f, &p, 1);
    p.request.upload_id = fixture_id(f);
    assert_int_equal(fixture_write(f, METHOD_QUEUE_PUT, &p.request.base), ERR_NOT_FOUND);
    assert_int_equal(status(f)->items, 0);
    assert_int_equal(count_rows(f, KV_BODY), 0);
}

static void test_put_of_an_upload(void **state)
{
    struct fixture *f = *state;
    Tern__UploadChunkRequest chunk = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    chunk.upload_id = fixture_id(f);
    f->body = slice_of(mail, 10);
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    chunk.offset = 10;
    chunk.last = true;
    f->body = slice_of(mail + 10, strlen(mail) - 10);
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    struct put p;
    prepare(f, &p, 1);
    p.request.upload_id = chunk.upload_id;
    assert_int_equal(fixture_write(f, METHOD_QUEUE_PUT, &p.request.base), OK);
    assert_int_equal(read_body(f, p.request.item_id, 0, 1000), OK);
    assert_int_equal(f->rows.len, strlen(mail));
    assert_memory_equal(f->rows.data, mail, strlen(mail));
    assert_int_equal(change(f, p.request.item_id, TERN__QUEUE_CHANGE__QUEUE_DELETE), OK);
    expect_empty(f);
}

static void test_later_and_backoff(void **state)
{
    struct fixture *f = *state;
    put(f, 2);
    Tern__QueueItem *item = lease(f)->items[0];
    assert_int_equal(report(f, item, item->fence, "dl", 1000), OK);
    assert_int_equal(lease(f)->n_items, 0);
    Tern__QueueItem *shown = show(f, item->item_id);
    assert_int_equal(shown->pending, 1);
    assert_int_equal(shown->lease_until_ms, 0);
    assert_int_equal(shown->recipients[0]->state, TERN__QUEUE_STATE__QUEUE_DONE);
    assert_int_equal(shown->recipients[1]->state, TERN__QUEUE_STATE__QUEUE_PENDING);
    assert_string_equal(shown->recipients[1]->error, "temporarily unavailable");
    f->time_ms += 1000;
    Tern__QueueLeaseResponse *l = lease(f);
    assert_int_equal(l->n_items, 1);
    assert_int_equal(l->items[0]->attempts, 2);
    assert_int_equal(l->items[0]->n_recipients, 1); /* who is done is not tried again */
    assert_int_equal(l->items[0]->recipients[0]->number, 1);
    assert_int_equal(report(f, item, l->items[0]->fence, "ld", 0), OK); /* a done one stays done */
    expect_empty(f);
}

static void test_fence(void **state)
{
    struct fixture *f = *state;
    put(f, 1);
    Tern__QueueItem *first = lease(f)->items[0];
    f->time_ms += LEASE_MS; /* whoever had it is dead, or slow */
    Tern__QueueItem *second = lease(f)->items[0];
    assert_int_equal(second->fence, first->fence + 1);
    assert_int_equal(report(f, first, first->fence, "f", 0), ERR_CONFLICT);
    assert_int_equal(report(f, first, second->fence + 1, "f", 0), ERR_CONFLICT);
    assert_int_equal(show(f, first->item_id)->pending, 1);
    assert_int_equal(report(f, second, second->fence, "l", 5), OK);
    assert_int_equal(report(f, second, second->fence, "d", 0), ERR_CONFLICT); /* that lease has ended */
    f->time_ms += 5;
    Tern__QueueItem *third = lease(f)->items[0];
    assert_int_equal(report(f, third, third->fence, "d", 0), OK);
    assert_int_equal(report(f, third, third->fence, "d", 0), ERR_NOT_FOUND);
    expect_empty(f);
}

/* A lease that ran out and that nobody took over still counts. */
static void test_late_report(void **state)
{
    struct fixture *f = *state;
    put(f, 1);
    Tern__QueueItem *item = lease(f)->items[0];
    f->time_ms += 10 * LEASE_MS;
    assert_int_equal(report(f, item, item->fence, "d", 0), OK);
    expect_empty(f);
}

static void test_lease_repeated(void **state)
{
    struct fixture *f = *state;
    put(f, 1);
    Tern__QueueLeaseResponse *l = lease(f);
    assert_int_equal(fixture_repeat(f), OK);
    Tern__QueueLeaseResponse *again =
        fixture_unpack(f, &tern__queue_lease_response__descriptor, &f->result.response);
    assert_int_equal(again->n_items, 1);
    assert_int_equal(again->items[0]->fence, l->items[0]->fence);
}

static void test_early(void **state)
{
    struct fixture *f = *state;
    put(f, 1);
    put(f, 1);
    uint64_t start = f->time_ms + 1;
    for (int i = 0; i < 2; i++) {
        Tern__QueueItem *item = lease_early(f, 1, 0)->items[0];
        assert_int_equal(report(f, item, item->fence, "l", 60000), OK);
    }
    assert_int_equal(lease(f)->n_items, 0);
    assert_int_equal(lease_early(f, 10, start)->n_items, 0); /* tried since */
    Tern__QueueLeaseResponse *l = lease_early(f, 1, UINT64_MAX);
    assert_int_equal(l->n_items, 1);
    assert_int_equal(report(f, l->items[0], l->items[0]->fence, "l", 60000), OK);
    l = lease_early(f, 10, l->now_ms); /* a second round of the same pass: only the other one */
    assert_int_equal(l->n_items, 1);
    assert_int_equal(lease_early(f, 10, UINT64_MAX)->n_items, 1); /* what is leased stays so */
}

static void test_failed_stays(void **state)
{
    struct fixture *f = *state;
    struct put *p = put(f, 2);
    Tern__QueueItem *item = lease(f)->items[0];
    assert_int_equal(report(f, item, item->fence, "df", 0), OK);
    Tern__QueueStatusResponse *s = status(f);
    assert_int_equal(s->items, 1);
    assert_int_equal(s->failed, 1);
    assert_int_equal(s->next_ms, 0);
    f->time_ms += 100 * LEASE_MS;
    assert_int_equal(lease(f)->n_items, 0);
    assert_int_equal(change(f, p->request.item_id, TERN__QUEUE_CHANGE__QUEUE_RETRY), OK);
    assert_int_equal(status(f)->failed, 0);
    Tern__QueueLeaseResponse *l = lease(f);
    assert_int_equal(l->n_items, 1);
    assert_int_equal(l->items[0]->n_recipients, 1);
    assert_int_equal(report(f, item, l->items[0]->fence, "dd", 0), OK);
    expect_empty(f);
}

static void test_too_old(void **state)
{
    struct fixture *f = *state;
    struct put *p = put(f, 1);
    f->time_ms += QUEUE_AGE_MAX_MS - 5000;
    Tern__QueueItem *item = lease(f)->items[0];
    assert_int_equal(report(f, item, item->fence, "l", 1000), OK);
    assert_int_equal(status(f)->failed, 0);
    f->time_ms += 1000;
    item = lease(f)->items[0];
    assert_int_equal(report(f, item, item->fence, "l", 60000), OK);
    Tern__QueueItem *shown = show(f, p->request.item_id);
    assert_int_equal(shown->failed, 1);
    assert_int_equal(shown->pending, 0);
    assert_string_equal(shown->recipients[0]->error, "temporarily unavailable");
    assert_int_equal(status(f)->failed, 1);
}

static void test_hold(void **state)
{
    struct fixture *f = *state;
    struct put *p = put(f, 1);
    ProtobufCBinaryData id = p->request.item_id;
    assert_int_equal(change(f, id, TERN__QUEUE_CHANGE__QUEUE_HOLD), OK);
    assert_int_equal(change(f, id, TERN__QUEUE_CHANGE__QUEUE_HOLD), OK);
    assert_int_equal(status(f)->held, 1);
    assert_int_equal(lease_early(f, 10, UINT64_MAX)->n_items, 0);
    assert_int_equal(change(f, id, TERN__QUEUE_CHANGE__QUEUE_RELEASE), OK);
    assert_int_equal(status(f)->held, 0);
    Tern__QueueItem *item = lease(f)->items[0];
    assert_int_equal(change(f, id, TERN__QUEUE_CHANGE__QUEUE_HOLD), OK); /* in the middle of an attempt */
    f->time_ms += 2 * LEASE_MS;
    assert_int_equal(lease(f)->n_items, 0);
    assert_int_equal(report(f, item, item->fence, "l", 10), OK);
    f->time_ms += 10;
    assert_int_equal(lease(f)->n_items, 0);
    assert_int_equal(change(f, id, TERN__QUEUE_CHANGE__QUEUE_RETRY), OK); /* also ends the hold */
    item = lease(f)->items[0];
    assert_int_equal(change(f, id, TERN__QUEUE_CHANGE__QUEUE_DELETE), OK);
    assert_int_equal(report(f, item, item->fence, "d", 0), ERR_NOT_FOUND);
    assert_int_equal(change(f, id, TERN__QUEUE_CHANGE__QUEUE_RELEASE), ERR_NOT_FOUND);
    expect_empty(f);
}

static void test_list_pages(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 7; i++)
        put(f, 1);
    Tern__QueueListRequest request = TERN__QUEUE_LIST_REQUEST__INIT;
    request.limit = 3;
    size_t seen = 0;
    bool more = true;
    while (more) {
        assert_int_equal(fixture_read(f, METHOD_QUEUE_LIST, &request.base), OK);
        Tern__QueueListResponse *list =
            fixture_unpack(f, &tern__queue_list_response__descriptor, &f->response);
        more = list->more;
        for (size_t i = 0; i < list->n_items; i++) {
            assert_true(request.after.len == 0 ||
                        memcmp(request.after.data, list->items[i]->item_id.data, REQUEST_ID_SIZE) < 0);
            request.after = list->items[i]->item_id;
            seen++;
        }
    }
    assert_int_equal(seen, 7);
    assert_null(show(f, fixture_id(f)));
}

/* The most and longest recipients still fit an entry. */
static void test_largest_put_fits(void **state)
{
    struct fixture *f = *state;
    struct put p;
    char longest[QUEUE_PATH_MAX + 1];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    Tern__QueueNewRecipient one = TERN__QUEUE_NEW_RECIPIENT__INIT, *all[QUEUE_RECIPIENTS_MAX];
    one.path = longest;
    one.account = UINT64_MAX;
    one.home = UINT32_MAX;
    for (size_t i = 0; i < QUEUE_RECIPIENTS_MAX; i++)
        all[i] = &one;
    prepare(f, &p, 1);
    p.request.sender = longest;
    p.request.recipients = all;
    p.request.n_recipients = QUEUE_RECIPIENTS_MAX;
    p.request.size = UINT64_MAX;
    p.request.upload_id = fixture_id(f);
    struct slice packed = { 0 };
    packed.len = tern__queue_put_request__get_packed_size(&p.request);
    packed.data = arena_alloc(&f->arena, packed.len);
    tern__queue_put_request__pack(&p.request, (uint8_t *)packed.data);
    assert_int_equal(machine_check(METHOD_QUEUE_PUT, packed, 0), OK);
    p.request.size = strlen(mail);
    p.request.upload_id.len = 0;
    assert_int_equal(put_with_body(f, &p), OK);
    size_t rows = count_rows(f, KV_STATE);
    Tern__QueueLeaseResponse *l = lease(f);
    assert_int_equal(l->items[0]->n_recipients, QUEUE_RECIPIENTS_MAX);
    assert_int_equal(count_rows(f, KV_STATE), rows); /* such an answer is not remembered */
    assert_int_equal(fixture_repeat(f), OK);
    l = fixture_unpack(f, &tern__queue_lease_response__descriptor, &f->result.response);
    assert_int_equal(l->n_items, 0);
}

/* While a large message is on its way nobody else begins with it: two who take turns would never be done. */
static void test_lease_of_large_message_is_longer(void **state)
{
    enum { CHUNKS = 250 };
    struct fixture *f = *state;
    char *bytes = xcalloc(1, BODY_CHUNK_MAX);
    Tern__UploadChunkRequest chunk = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    chunk.upload_id = fixture_id(f);
    for (int i = 0; i < CHUNKS; i++) {
        f->body = slice_of(bytes, BODY_CHUNK_MAX);
        chunk.offset = (uint64_t)i * BODY_CHUNK_MAX;
        chunk.last = i == CHUNKS - 1;
        assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    }
    free(bytes);
    struct put p;
    prepare(f, &p, 1);
    p.request.upload_id = chunk.upload_id;
    p.request.size = (uint64_t)CHUNKS * BODY_CHUNK_MAX;
    assert_int_equal(fixture_write(f, METHOD_QUEUE_PUT, &p.request.base), OK);
    Tern__QueueItem *item = lease(f)->items[0];
    uint64_t travel_ms = p.request.size / QUEUE_LEASE_BYTES_PER_MS;
    assert_int_equal(item->lease_until_ms, f->time_ms + LEASE_MS + travel_ms);
    f->time_ms += LEASE_MS + travel_ms / 2;
    assert_int_equal(lease(f)->n_items, 0);
    assert_int_equal(report(f, item, item->fence, "d", 0), OK);
    expect_empty(f);
}

/* An item whose bytes are missing is damage, not an item that somebody deleted. */
static void test_lost_bytes_are_told(void **state)
{
    struct fixture *f = *state;
    struct put *p = put(f, 1);
    struct buf key = { 0 };
    struct kv_batch *batch = kv_batch_new(f->kv);
    machine_body_key(PARTITION, f->index, &key);
    kv_batch_delete(batch, KV_BODY, buf_slice(&key));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&key);
    f->damaged = true;
    assert_int_equal(read_body(f, p->request.item_id, 0, 1000), ERR_CORRUPT);
    assert_int_equal(read_body(f, fixture_id(f), 0, 1000), ERR_NOT_FOUND);
}

/* Random operations against a list of what should be there: whatever happens, each recipient ends delivered,
 * failed or deleted, no lease is given twice, and the totals agree. */
enum { MODEL_ITEMS = 12, MODEL_STEPS = 3000 };
struct model_item {
    bool there, held;
    Tern__QueueItem leased; /* fence and id of the newest lease; fence 0: none */
    uint64_t lease_until;
    unsigned pending, failed;
    char states[5]; /* 'p', 'd', 'f' */
    ProtobufCBinaryData id;
};

static struct model_item *find_model(struct model_item *items, ProtobufCBinaryData id)
{
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        if (items[i].there && memcmp(items[i].id.data, id.data, id.len) == 0)
            return &items[i];
    }
    return NULL;
}

static void model_put(struct fixture *f, struct model_item *m)
{
    if (m->there)
        return;
    size_t count = 1 + (size_t)rand() % 4;
    *m = (struct model_item){ .there = true, .pending = (unsigned)count, .states = "pppp" };
    m->states[count] = '\0';
    m->id = put(f, count)->request.item_id;
}

static void model_lease(struct fixture *f, struct model_item *items)
{
    Tern__QueueLeaseResponse *l = lease_early(f, 1 + (uint32_t)rand() % 3, rand() % 3 == 0 ? UINT64_MAX : 0);
    for (size_t i = 0; i < l->n_items; i++) {
        struct model_item *m = find_model(items, l->items[i]->item_id);
        assert_non_null(m);
        assert_false(m->held);
        assert_true(m->lease_until <= l->now_ms);
        assert_int_equal(l->items[i]->n_recipients, m->pending);
        assert_true(l->items[i]->fence > m->leased.fence);
        m->leased.fence = l->items[i]->fence;
        m->lease_until = l->now_ms + LEASE_MS;
    }
}

static void model_report(struct fixture *f, struct model_item *m)
{
    if (!m->there)
        return;
    char outcomes[5] = "";
    size_t count = strlen(m->states);
    for (size_t i = 0; i < count; i++)
        outcomes[i] = "dllf"[rand() % 4];
    Tern__QueueItem item = { .item_id = m->id };
    bool good = rand() % 5 != 0;
    enum err err = report(f, &item, m->leased.fence - !good, outcomes, (uint32_t)rand() % 500);
    if (!good || m->lease_until == 0) {
        assert_int_equal(err, ERR_CONFLICT);
        return;
    }
    assert_int_equal(err, OK);
    m->lease_until = 0;
    m->pending = m->failed = 0;
    for (size_t i = 0; i < count; i++) {
        if (m->states[i] == 'p' && outcomes[i] != 'l')
            m->states[i] = outcomes[i];
        m->pending += m->states[i] == 'p';
        m->failed += m->states[i] == 'f';
    }
    m->there = m->pending + m->failed > 0;
}

static void model_change(struct fixture *f, struct model_item *m)
{
    if (!m->there)
        return;
    Tern__QueueChange what = (Tern__QueueChange)(rand() % 4);
    assert_int_equal(change(f, m->id, what), OK);
    m->there = what != TERN__QUEUE_CHANGE__QUEUE_DELETE;
    m->held = what == TERN__QUEUE_CHANGE__QUEUE_HOLD;
    if (what == TERN__QUEUE_CHANGE__QUEUE_RETRY) {
        m->pending += m->failed;
        m->failed = 0;
        for (char *c = m->states; *c != '\0'; c++)
            *c = *c == 'f' ? 'p' : *c;
    }
}

static void model_check(struct fixture *f, const struct model_item *items)
{
    uint64_t count = 0, held = 0, failed = 0;
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        const struct model_item *m = &items[i];
        count += m->there;
        held += m->there && m->held;
        failed += m->there && m->pending == 0;
        if (!m->there)
            continue;
        Tern__QueueItem *shown = show(f, m->id);
        assert_non_null(shown);
        assert_int_equal(shown->pending, m->pending);
        assert_int_equal(shown->failed, m->failed);
        for (size_t j = 0; j < shown->n_recipients; j++)
            assert_int_equal("pdf"[shown->recipients[j]->state], m -> states[j]);
    }
    Tern__QueueStatusResponse *s = status(f);
    assert_int_equal(s->items, count);
    assert_int_equal(s->held, held);
    assert_int_equal(s->failed, failed);
    assert_int_equal(s->bytes, count * strlen(mail));
}

static void test_model(void **state)
{
    struct fixture *f = *state;
    struct model_item items[MODEL_ITEMS] = { 0 };
    srand(20261122);
    for (int step = 0; step < MODEL_STEPS; step++) {
        struct model_item *m = &items[rand() % MODEL_ITEMS];
        switch (rand() % 6) {
        case 0:
            model_put(f, m);
            break;
        case 1:
            model_change(f, m);
            break;
        case 2:
            f->time_ms += (uint64_t)rand() % (LEASE_MS * 2);
            break;
        case 3:
            model_lease(f, items);
            break;
        default:
            model_report(f, m);
        }
        if (step % 10 == 0)
            model_check(f, items);
    }
    for (size_t i = 0; i < MODEL_ITEMS; i++) {
        if (items[i].there)
            assert_int_equal(change(f, items[i].id, TERN__QUEUE_CHANGE__QUEUE_DELETE), OK);
    }
    for (int i = 0; i < 10; i++) {
        f->time_ms += 2 * HOUR_MS;
        fixture_sweep(f);
    }
    expect_empty(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_put_lease_deliver),
        TEST(test_put_again),
        TEST(test_put_refusals),
        TEST(test_put_of_an_upload),
        TEST(test_later_and_backoff),
        TEST(test_fence),
        TEST(test_late_report),
        TEST(test_lease_repeated),
        TEST(test_early),
        TEST(test_failed_stays),
        TEST(test_too_old),
        TEST(test_hold),
        TEST(test_list_pages),
        TEST(test_largest_put_fits),
        TEST(test_lease_of_large_message_is_longer),
        TEST(test_lost_bytes_are_told),
        TEST(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
