/* SPDX-License-Identifier: Apache-2.0 */
/* What people see of the queue and do about it: failed items, retry, hold, release, delete, lists. */
#include "tests/unit/storage-node/mailbox/queue/queue_fixture.h"

#include <string.h>

#include "storage-node/mailbox/queue/queue_rows.h"

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

/* An account takes no delivery id that is older than its memory of them: a person's late try needs a new one.
 */
static void test_late_retry_can_be_delivered(void **state)
{
    enum { DAY_MS = 24 * HOUR_MS };
    struct fixture *f = *state;
    uint64_t account = create_account(f, "bob@example.test", 0);
    struct put *p = put(f, 1);
    f->time_ms += 5 * DAY_MS + HOUR_MS;
    Tern__QueueItem *item = lease(f)->items[0];
    assert_int_equal(report(f, item, item->fence, "l", 0), OK);
    assert_int_equal(change(f, p->request.item_id, TERN__QUEUE_CHANGE__QUEUE_RETRY), OK);
    item = lease(f)->items[0];
    assert_memory_equal(item->delivery_id.data, p->request.delivery_id.data, REQUEST_ID_SIZE);
    assert_int_equal(report(f, item, item->fence, "l", 0), OK);
    f->time_ms += 4 * DAY_MS;
    assert_int_equal(change(f, p->request.item_id, TERN__QUEUE_CHANGE__QUEUE_RETRY), OK);
    item = lease(f)->items[0];
    assert_int_equal(deliver_text(f, &account, 1, mail, p->request.delivery_id), ERR_INVALID);
    assert_int_equal(deliver_text(f, &account, 1, mail, item->delivery_id), OK);
    assert_int_equal(report(f, item, item->fence, "d", 0), OK);
    assert_null(show(f, p->request.item_id));
}

static void test_release_after_a_long_hold(void **state)
{
    struct fixture *f = *state;
    struct put *p = put(f, 1);
    assert_int_equal(change(f, p->request.item_id, TERN__QUEUE_CHANGE__QUEUE_HOLD), OK);
    f->time_ms += DELIVERY_RETENTION_MS;
    assert_int_equal(change(f, p->request.item_id, TERN__QUEUE_CHANGE__QUEUE_RELEASE), OK);
    Tern__QueueItem *item = lease(f)->items[0];
    assert_memory_not_equal(item->delivery_id.data, p->request.delivery_id.data, REQUEST_ID_SIZE);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_failed_stays),
        TEST(test_too_old),
        TEST(test_late_retry_can_be_delivered),
        TEST(test_release_after_a_long_hold),
        TEST(test_hold),
        TEST(test_list_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
