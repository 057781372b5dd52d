/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and reports: who may try an item and when, fences, repeats, delays. */
#include "tests/unit/storage-node/mailbox/queue/queue_fixture.h"

#include <string.h>

#include "lib/base/alloc.h"

#include "storage-node/mailbox/queue/queue_rows.h"

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

    assert_int_equal(read_item(f, item->item_id, 0, 1000), OK);
    assert_int_equal(f->rows.len, strlen(mail));
    assert_memory_equal(f->rows.data, mail, strlen(mail));
    assert_int_equal(read_item(f, item->item_id, 6, 3), OK);
    assert_memory_equal(f->rows.data, mail + 6, 3);
    assert_int_equal(report(f, item, item->fence, "dd", 0), OK);
    assert_null(show(f, item->item_id));
    assert_int_equal(read_item(f, item->item_id, 0, 10), ERR_NOT_FOUND);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_put_lease_deliver),
        TEST(test_later_and_backoff),
        TEST(test_fence),
        TEST(test_late_report),
        TEST(test_lease_repeated),
        TEST(test_early),
        TEST(test_lease_of_large_message_is_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
