/* SPDX-License-Identifier: Apache-2.0 */
/* Putting an item: repeats, uploads, refusals, the largest; and bytes that are lost. */
#include "tests/unit/storage-node/mailbox/queue/queue_fixture.h"

#include <string.h>

#include "storage-node/mailbox/queue/queue_rows.h"

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
    assert_int_equal(read_item(f, p.request.item_id, 0, 1000), OK);
    assert_int_equal(f->rows.len, strlen(mail));
    assert_memory_equal(f->rows.data, mail, strlen(mail));
    assert_int_equal(change(f, p.request.item_id, TERN__QUEUE_CHANGE__QUEUE_DELETE), OK);
    expect_empty(f);
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
    assert_int_equal(machine_check(MACHINE_VERSION, METHOD_QUEUE_PUT, packed, 0), OK);
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
    assert_int_equal(read_item(f, p->request.item_id, 0, 1000), ERR_CORRUPT);
    assert_int_equal(read_item(f, fixture_id(f), 0, 1000), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_put_again),        TEST(test_put_refusals),        TEST(test_put_of_an_upload),
        TEST(test_largest_put_fits), TEST(test_lost_bytes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
