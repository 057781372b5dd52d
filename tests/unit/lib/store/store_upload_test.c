/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads and deliveries: what travels beside a command, what goes before it, and one partition that fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/store/message.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "tests/unit/lib/store/fake_cluster.h"

static struct store *store;

/* What came, by arrival within its method. */
static struct {
    uint8_t upload_id[16];
    size_t upload_id_len, summary_len, target_count;
    uint64_t offset, size;
    bool last;
} seen[FAKE_SEEN_MAX];
static uint32_t failing_partition; /* uploads to it fail; UINT32_MAX: none */

static void on_chunk(struct rpc_request *request, unsigned nth)
{
    Tern__UploadChunkRequest *r =
        tern__upload_chunk_request__unpack(NULL, request->request.len, request->request.data);
    seen[nth].upload_id_len = r->upload_id.len;
    memcpy(seen[nth].upload_id, r->upload_id.data, 16);
    seen[nth].summary_len = r->summary.len;
    seen[nth].offset = r->offset;
    seen[nth].last = r->last;
    tern__upload_chunk_request__free_unpacked(r, NULL);
    fake_reply(request, request->partition == failing_partition ? ERR_NO_SPACE : OK, NULL, SLICE_NULL);
}

static void on_deliver(struct rpc_request *request, unsigned nth)
{
    Tern__DeliverRequest *r =
        tern__deliver_request__unpack(NULL, request->request.len, request->request.data);
    Tern__DeliverResponse response = TERN__DELIVER_RESPONSE__INIT;
    seen[nth].target_count = r->n_targets;
    seen[nth].upload_id_len = r->message->upload_id.len;
    if (r->message->upload_id.len > 0)
        memcpy(seen[nth].upload_id, r->message->upload_id.data, sizeof seen[nth].upload_id);
    seen[nth].size = r->message->size;
    seen[nth].summary_len = r->message->summary.len;
    Tern__DeliverResult *results = NEW_ARRAY(Tern__DeliverResult, r->n_targets);
    response.results = NEW_ARRAY(Tern__DeliverResult *, r->n_targets);
    response.n_results = r->n_targets;
    for (size_t i = 0; i < r->n_targets; i++) {
        tern__deliver_result__init(&results[i]);
        results[i].status = r->targets[i]->account == 13 ? ERR_NOT_FOUND : OK;
        results[i].uid = (uint32_t)r->targets[i]->account;
        response.results[i] = &results[i];
    }
    fake_reply(request, OK, &response.base, SLICE_NULL);
    free(response.results);
    free(results);
    tern__deliver_request__free_unpacked(r, NULL);
}

static void on_request(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    switch (request->method) {
    case METHOD_UPLOAD_CHUNK:
        on_chunk(request, nth);
        return;
    case METHOD_DELIVER:
        on_deliver(request, nth);
        return;
    default:
        fake_reply(request, ERR_UNSUPPORTED, NULL, SLICE_NULL);
    }
}

static int setup(void **state)
{
    (void)state;
    memset(seen, 0, sizeof seen);
    failing_partition = UINT32_MAX;
    store = fake_start(on_request);
    return 0;
}

static struct upload *upload_of(const uint32_t *partitions, size_t count, size_t size)
{
    struct upload *u = upload_new(store, partitions, count);
    uint8_t *bytes = xcalloc(1, size);
    size_t half = size / 2; /* in two pieces that fit no chunk */
    assert_int_equal(upload_write(u, slice_of(bytes, half)), OK);
    assert_int_equal(upload_write(u, slice_of(bytes + half, size - half)), OK);
    assert_int_equal(upload_size(u), size);
    upload_finish(u, SLICE_LIT("summary"));
    free(bytes);
    return u;
}

static void deliver_small(void)
{
    static const uint32_t partitions[] = { 1, 2, 1 };
    struct delivery_target targets[] = { { .account = { 11, 1 } },
                                         { .account = { 12, 2 } },
                                         { .account = { 13, 1 } } };
    struct upload *u = upload_of(partitions, 3, BODY_CHUNK_MAX);
    store_deliver(store, u, delivery_id_new(), targets, 3);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), 0); /* one chunk travels beside the command */
    assert_int_equal(fake_count(METHOD_DELIVER), 2);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fake_seen(METHOD_DELIVER, i).body_len, BODY_CHUNK_MAX);
        assert_int_equal(seen[i].target_count, fake_seen(METHOD_DELIVER, i).partition == 1 ? 2 : 1);
        assert_int_equal(seen[i].summary_len, 7);
    }
    assert_true(targets[0].status == OK && targets[0].uid == 11);
    assert_true(targets[1].status == OK && targets[1].uid == 12);
    assert_int_equal(targets[2].status, ERR_NOT_FOUND);
    upload_free(&u);
    upload_free(&u);
}

static void a_small_message_goes_with_its_delivery(void **state)
{
    (void)state;
    fake_run(deliver_small);
}

static void deliver_large(void)
{
    static const uint32_t partition = 1;
    struct delivery_target target = { .account = { 11, 1 } };
    size_t size = 2 * BODY_CHUNK_MAX + 5;
    struct upload *u = upload_of(&partition, 1, size);
    store_deliver(store, u, delivery_id_new(), &target, 1);
    assert_int_equal(target.status, OK);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(seen[i].offset, i * (uint64_t)BODY_CHUNK_MAX);
        assert_int_equal(seen[i].last, i == 2);
        assert_int_equal(fake_seen(METHOD_UPLOAD_CHUNK, i).body_len, i == 2 ? 5 : BODY_CHUNK_MAX);
    }
    assert_int_equal(seen[0].size, size);
    assert_int_equal(fake_seen(METHOD_DELIVER, 0).body_len, 0);
    upload_free(&u);
}

static void a_large_message_goes_before(void **state)
{
    (void)state;
    fake_run(deliver_large);
}

static void one_partition_fails(void)
{
    static const uint32_t partitions[] = { 1, 2 };
    struct delivery_target targets[] = { { .account = { 11, 1 } }, { .account = { 12, 2 } } };
    failing_partition = 2;
    struct upload *u = upload_of(partitions, 2, BODY_CHUNK_MAX + 1);
    store_deliver(store, u, delivery_id_new(), targets, 2);
    assert_int_equal(targets[0].status, OK);
    assert_int_equal(targets[1].status, ERR_NO_SPACE);
    assert_int_equal(fake_count(METHOD_DELIVER), 1);
    upload_free(&u);

    /* With none left the writer hears of it. */
    static const uint8_t zeros[BODY_CHUNK_MAX];
    u = upload_new(store, &partitions[1], 1);
    assert_int_equal(upload_write(u, slice_of(zeros, sizeof zeros)), OK);
    assert_int_equal(upload_write(u, SLICE_LIT("x")), ERR_NO_SPACE);
    upload_free(&u);
}

static void a_failing_partition_is_told_apart(void **state)
{
    (void)state;
    fake_run(one_partition_fails);
}

enum { CROWD = 2 * DELIVER_TARGETS_MAX + 50 };

static void deliver_to_crowd(void)
{
    struct delivery_target *targets = NEW_ARRAY(struct delivery_target, CROWD);
    uint32_t *partitions = NEW_ARRAY(uint32_t, CROWD);
    for (size_t i = 0; i < CROWD; i++) {
        partitions[i] = 3;
        targets[i].account = (struct account_ref){ 1000 + i, 3 };
    }
    struct upload *u = upload_of(partitions, CROWD, BODY_CHUNK_MAX + 1);
    store_deliver(store, u, delivery_id_new(), targets, CROWD);
    assert_int_equal(fake_count(METHOD_DELIVER), 3);
    assert_int_equal(fake_count(METHOD_UPLOAD_CHUNK), 6); /* each delivery uses up a copy of its own */
    assert_memory_not_equal(seen[0].upload_id, seen[1].upload_id, 16);
    assert_memory_not_equal(seen[1].upload_id, seen[2].upload_id, 16);
    for (size_t i = 0; i < CROWD; i++)
        assert_true(targets[i].status == OK && targets[i].uid == 1000 + i);
    upload_free(&u);
    free(partitions);
    free(targets);
}

static void many_targets_are_split(void **state)
{
    (void)state;
    fake_run(deliver_to_crowd);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_small_message_goes_with_its_delivery),
        TEST(a_large_message_goes_before),
        TEST(a_failing_partition_is_told_apart),
        TEST(many_targets_are_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
