/* SPDX-License-Identifier: Apache-2.0 */
/* QUEUE_TOTALS: one answer for many partitions, each judged by its own lease (R14). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "proto/queue.pb-c.h"
#include "storage-node/mailbox/queue/queue_rows.h"
#include "storage-node/mailbox/rows/keys.h"
#include "storage-node/partition/read/reader.h"

/* Primary with an empty queue, with mail in it, with a lease that is over; a member; one whose row is
 * damaged; nothing here. */
enum { EMPTY = 1, HOLDING = 2, LATE = 3, MEMBER = 4, DAMAGED = 5, ABSENT = 6, NOW = 1000, ITEMS = 7 };

struct fixture {
    struct kv *kv;
    struct directory *directory;
    enum err status;
    Tern__QueueTotalsResponse *response;
};

static uint64_t fake_clock(void)
{
    return NOW;
}

static void on_done(struct partition_request *request, const struct partition_answer *answer)
{
    struct fixture *f = *(struct fixture **)request->peer.bytes;
    f->status = answer->status;
    if (answer->response != NULL)
        f->response =
            tern__queue_totals_response__unpack(NULL, answer->response->len, answer->response->data);
}

static void put_totals(struct fixture *f, uint32_t partition, struct slice row)
{
    struct key key;
    struct kv_batch *batch = kv_batch_new(f->kv);
    key_queue_totals(&key, partition);
    kv_batch_put(batch, KV_STATE, key_slice(&key), row);
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
}

static void lead(struct fixture *f, uint32_t partition, uint64_t until)
{
    struct partition_public *pub = directory_get(f->directory, partition);
    atomic_store(&pub->role, (uint32_t)(until == 0 ? REPLICA_MEMBER : REPLICA_PRIMARY));
    atomic_store(&pub->read_until, until);
}

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    struct queue_totals_row totals = { .items = ITEMS, .bytes = 70, .held = 1, .failed = 2 };
    struct buf row = { 0 };
    f->kv = kv_open_mem();
    f->directory = directory_new();
    queue_totals_encode(&totals, &row);
    put_totals(f, HOLDING, buf_slice(&row));
    put_totals(f, LATE, buf_slice(&row));
    put_totals(f, MEMBER, buf_slice(&row));
    put_totals(f, DAMAGED, SLICE_LIT("?"));
    buf_fini(&row);
    lead(f, EMPTY, NOW + 1);
    lead(f, HOLDING, NOW + 1);
    lead(f, LATE, NOW);
    lead(f, MEMBER, 0);
    lead(f, DAMAGED, NOW + 1);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    directory_free(&f->directory);
    kv_close(&f->kv);
    free(f);
    return 0;
}

static void ask(struct fixture *f, struct slice packed, uint64_t deadline_ms)
{
    struct partition_request request = {
        .method = METHOD_QUEUE_TOTALS, .kind = METHOD_NODE, .deadline_mono_ms = deadline_ms, .done = on_done
    };
    request.request = packed;
    *(struct fixture **)request.peer.bytes = f;
    f->response = NULL;
    reader_totals(f->kv, f->directory, &request, fake_clock, 1);
}

static void ask_for(struct fixture *f, uint32_t *partitions, size_t count)
{
    Tern__QueueTotalsRequest message = TERN__QUEUE_TOTALS_REQUEST__INIT;
    struct buf packed = { 0 };
    message.partitions = partitions;
    message.n_partitions = count;
    size_t size = tern__queue_totals_request__get_packed_size(&message);
    packed.len = tern__queue_totals_request__pack(&message, buf_reserve(&packed, size + 1));
    ask(f, buf_slice(&packed), UINT64_MAX);
    buf_fini(&packed);
}

static void each_partition_has_its_own_lease(void **state)
{
    struct fixture *f = *state;
    uint32_t all[] = { ABSENT, EMPTY, HOLDING, LATE, MEMBER, UINT32_MAX };
    ask_for(f, all, sizeof all / sizeof all[0]);
    assert_int_equal(f->status, OK);
    assert_int_equal(f->response->n_rows, 1);
    assert_int_equal(f->response->rows[0]->partition, HOLDING);
    assert_int_equal(f->response->rows[0]->status->items, ITEMS);
    assert_int_equal(f->response->rows[0]->status->failed, 2);
    static const uint32_t unknown[] = { ABSENT, LATE, MEMBER, UINT32_MAX };
    assert_int_equal(f->response->n_unknown, sizeof unknown / sizeof unknown[0]);
    assert_memory_equal(f->response->unknown, unknown, sizeof unknown);
    tern__queue_totals_response__free_unpacked(f->response, NULL);
}

/* P9: the worker hears of it, and the others are answered for. */
static void a_damaged_row_is_told(void **state)
{
    struct fixture *f = *state;
    uint32_t all[] = { DAMAGED, HOLDING };
    ask_for(f, all, 2);
    assert_int_equal(f->response->n_rows, 1);
    assert_int_equal(f->response->n_unknown, 1);
    assert_int_equal(f->response->unknown[0], DAMAGED);
    assert_true(atomic_load(&directory_find(f->directory, DAMAGED)->damaged));
    assert_false(atomic_load(&directory_find(f->directory, HOLDING)->damaged));
    tern__queue_totals_response__free_unpacked(f->response, NULL);
}

static void bounds(void **state)
{
    struct fixture *f = *state;
    uint32_t *many = NEW_ARRAY(uint32_t, QUEUE_TOTALS_MAX + 1);
    ask_for(f, many, QUEUE_TOTALS_MAX + 1);
    assert_int_equal(f->status, ERR_LIMIT);
    ask_for(f, many, QUEUE_TOTALS_MAX);
    assert_int_equal(f->status, OK);
    assert_int_equal(f->response->n_unknown, QUEUE_TOTALS_MAX);
    tern__queue_totals_response__free_unpacked(f->response, NULL);
    free(many);
    ask(f, SLICE_LIT("\x0a\x7f"), UINT64_MAX);
    assert_int_equal(f->status, ERR_INVALID);
    ask(f, SLICE_NULL, 1);
    assert_int_equal(f->status, ERR_TIMEOUT);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_partition_has_its_own_lease),
        TEST(a_damaged_row_is_told),
        TEST(bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
