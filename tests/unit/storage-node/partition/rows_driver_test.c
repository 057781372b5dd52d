/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage-node/partition/entry_priv.h"
#include "storage-node/partition/log/log_job.h"
#include "storage-node/partition/log/rows.h"

/* Every shorter value, and one with a byte too many, is refused. */
#define ASSERT_EXACT(bytes, decode_expr)                                           \
    do {                                                                           \
        struct buf longer_ = { 0 };                                                \
        buf_add_slice(&longer_, buf_slice(&(bytes)));                              \
        buf_add_byte(&longer_, 0);                                                 \
        for (size_t len_ = 0; len_ <= longer_.len; len_++) {                       \
            struct slice value = slice_of(longer_.data, len_);                     \
            assert_int_equal(decode_expr, len_ == (bytes).len ? OK : ERR_CORRUPT); \
        }                                                                          \
        buf_fini(&longer_);                                                        \
    } while (0)

static void test_record(void **state)
{
    struct partition_record in = { .dep = 3,
                                   .commit = 900,
                                   .base_index = 77,
                                   .base_epoch = 2,
                                   .installing = true },
                            out;
    struct buf b = { 0 };
    record_encode(&in, &b);
    assert_int_equal(record_decode(buf_slice(&b), &out), OK);
    assert_int_equal(out.dep, 3);
    assert_int_equal(out.commit, 900);
    assert_int_equal(out.base_index, 77);
    assert_int_equal(out.base_epoch, 2);
    assert_true(out.installing);
    assert_false(out.damaged);
    ASSERT_EXACT(b, record_decode(value, &out));
    in = (struct partition_record){ .dep = 4, .damaged = true };
    record_encode(&in, &b);
    assert_int_equal(record_decode(buf_slice(&b), &out), OK);
    assert_false(out.installing);
    assert_true(out.damaged);
    b.data[1] = 4; /* a flag of another version */
    assert_int_equal(record_decode(buf_slice(&b), &out), ERR_CORRUPT);
    b.data[0] = 9;
    assert_int_equal(record_decode(buf_slice(&b), &out), ERR_CORRUPT);
    buf_fini(&b);
}

static void test_applied(void **state)
{
    struct partition_applied in = { .index = 12, .chain = UINT64_MAX, .body_bytes = 7 }, out;
    struct buf b = { 0 };
    applied_encode(&in, &b);
    assert_int_equal(applied_decode(buf_slice(&b), &out), OK);
    assert_int_equal(out.index, 12);
    assert_true(out.chain == UINT64_MAX);
    assert_int_equal(out.body_bytes, 7);
    ASSERT_EXACT(b, applied_decode(value, &out));
    b.data[0] = 1; /* before bodies were counted */
    b.len -= 8;
    assert_int_equal(applied_decode(buf_slice(&b), &out), OK);
    assert_int_equal(out.index, 12);
    assert_int_equal(out.body_bytes, 0);
    ASSERT_EXACT(b, applied_decode(value, &out));
    assert_int_equal(out.version, 1);
    b.data[0] = 4;
    assert_int_equal(applied_decode(buf_slice(&b), &out), ERR_UNSUPPORTED);
    buf_fini(&b);
}

/* As long as the partition is of the first version, programs that know no other can read the row. */
static void test_applied_names_its_version(void **state)
{
    struct partition_applied in = { .index = 12, .chain = 5, .body_bytes = 7, .version = 1 }, out;
    struct buf b = { 0 };
    applied_encode(&in, &b);
    assert_int_equal(b.data[0], 2);
    in.version = 2;
    applied_encode(&in, &b);
    assert_int_equal(b.data[0], 3);
    assert_int_equal(applied_decode(buf_slice(&b), &out), OK);
    assert_int_equal(out.index, 12);
    assert_int_equal(out.body_bytes, 7);
    assert_int_equal(out.version, 2);
    ASSERT_EXACT(b, applied_decode(value, &out));
    b.data[b.len - 1] = 1;
    assert_int_equal(applied_decode(buf_slice(&b), &out), ERR_CORRUPT);
    buf_fini(&b);
}

static void test_log_row(void **state)
{
    struct buf b = { 0 };
    uint64_t epoch;
    struct slice entry;
    log_row_begin(0, &b);
    buf_add_str(&b, "entry");
    log_row_set_epoch(&b, UINT64_C(0x0102030405060708));
    assert_int_equal(log_row_decode(buf_slice(&b), &epoch, &entry), OK);
    assert_true(epoch == UINT64_C(0x0102030405060708));
    assert_true(slice_eq_str(entry, "entry"));
    for (size_t len = 0; len < LOG_ROW_PREFIX; len++)
        assert_int_equal(log_row_decode(slice_of(b.data, len), &epoch, &entry), ERR_CORRUPT);
    buf_fini(&b);
}

static void test_keys_order(void **state)
{
    struct buf a = { 0 }, b = { 0 };
    uint32_t partition;
    uint64_t index;
    log_key(7, 255, &a);
    log_key(7, 256, &b);
    assert_true(slice_cmp(buf_slice(&a), buf_slice(&b)) < 0);
    assert_true(log_key_index(buf_slice(&b), &index));
    assert_int_equal(index, 256);
    log_key(8, 0, &a);
    assert_true(slice_cmp(buf_slice(&b), buf_slice(&a)) < 0);
    record_key(70000, &a);
    assert_true(record_key_partition(buf_slice(&a), &partition));
    assert_int_equal(partition, 70000);
    applied_key(70000, &b);
    assert_false(record_key_partition(buf_slice(&b), &partition));
    assert_false(record_key_partition(SLICE_LIT("P"), &partition));
    buf_fini(&a);
    buf_fini(&b);
}

static void test_identity_is_made_once(void **state)
{
    struct kv *kv = kv_open_mem();
    struct store_identity first, again;
    assert_int_equal(store_identity_open(kv, &first), OK);
    assert_int_equal(first.node_id, 0);
    assert_false(first.joined);
    kv_mem_crash(kv, 0); /* it was synced */
    assert_int_equal(store_identity_open(kv, &again), OK);
    assert_memory_equal(first.store_id, again.store_id, STORE_ID_SIZE);
    again.node_id = 5;
    assert_int_equal(store_identity_save(kv, &again), OK);
    assert_int_equal(store_identity_open(kv, &first), OK);
    assert_int_equal(first.node_id, 5);
    again.joined = true;
    memset(again.cluster_id, 7, CLUSTER_ID_SIZE);
    assert_int_equal(store_identity_save(kv, &again), OK);
    assert_int_equal(store_identity_open(kv, &first), OK);
    assert_true(first.joined && first.node_id == 5);
    assert_memory_equal(first.cluster_id, again.cluster_id, CLUSTER_ID_SIZE);
    assert_int_equal(first.last_node_id, 0);
    kv_close(&kv);
    kv = kv_open_mem();
    assert_int_equal(store_identity_open(kv, &again), OK);
    assert_memory_not_equal(first.store_id, again.store_id,
                            STORE_ID_SIZE); /* another store is another node */
    kv_close(&kv);
}

static void test_identity_follows_maps(void **state)
{
    struct kv *kv = kv_open_mem();
    struct store_identity id, again;
    uint8_t cluster[CLUSTER_ID_SIZE] = { 1 }, other[CLUSTER_ID_SIZE] = { 2 };
    struct slice ours = slice_of(cluster, sizeof cluster);
    (void)state;
    assert_int_equal(store_identity_open(kv, &id), OK);
    assert_int_equal(store_identity_take_map(kv, &id, slice_of(cluster, 3), 4), ERR_DENIED);
    assert_false(id.joined);
    assert_int_equal(store_identity_take_map(kv, &id, ours, 4), OK);
    assert_int_equal(store_identity_take_map(kv, &id, ours, 9), OK);
    assert_int_equal(store_identity_take_map(kv, &id, ours, 5), OK); /* of a store that was put back */
    assert_int_equal(store_identity_take_map(kv, &id, slice_of(other, sizeof other), 12), ERR_DENIED);
    kv_mem_crash(kv, 0); /* it was synced */
    assert_int_equal(store_identity_open(kv, &again), OK);
    assert_true(again.joined);
    assert_memory_equal(again.cluster_id, cluster, CLUSTER_ID_SIZE);
    assert_int_equal(again.last_node_id, 9);
    kv_close(&kv);
}

static void test_a_store_has_records(void **state)
{
    struct kv *kv = kv_open_mem();
    struct store_identity id;
    struct partition_record record = { .dep = 1 };
    struct buf key = { 0 }, value = { 0 };
    (void)state;
    assert_int_equal(store_identity_open(kv, &id), OK);
    assert_false(store_has_records(kv));
    struct kv_batch *batch = kv_batch_new(kv);
    record_key(77, &key);
    record_encode(&record, &value);
    kv_batch_put(batch, KV_META, buf_slice(&key), buf_slice(&value));
    assert_int_equal(kv_write(kv, batch), OK);
    assert_true(store_has_records(kv));
    kv_batch_free(&batch);
    buf_fini(&key);
    buf_fini(&value);
    kv_close(&kv);
}

static enum err open_identity(struct slice row, struct store_identity *out)
{
    struct kv *kv = kv_open_mem();
    struct kv_batch *batch = kv_batch_new(kv);
    kv_batch_put(batch, KV_META, SLICE_LIT("S"), row);
    assert_int_equal(kv_write(kv, batch), OK);
    enum err err = store_identity_open(kv, out);
    kv_batch_free(&batch);
    kv_close(&kv);
    return err;
}

/* As it was written before nodes knew their cluster. */
static void test_identity_of_version_1(void **state)
{
    struct store_identity got;
    uint8_t row[1 + STORE_ID_SIZE + 4 + 1] = { 1, 9, 9 };
    size_t size = sizeof row - 1;
    row[size - 1] = 3;
    assert_int_equal(open_identity(slice_of(row, size), &got), OK);
    assert_true(got.node_id == 3 && !got.joined && got.store_id[0] == 9);
    assert_int_equal(open_identity(slice_of(row, size - 1), &got), ERR_CORRUPT);
    assert_int_equal(open_identity(slice_of(row, size + 1), &got), ERR_CORRUPT);
    row[0] = 3;
    assert_int_equal(open_identity(slice_of(row, size + 1), &got), ERR_CORRUPT);
}

static bool has(struct kv *kv, struct slice key)
{
    struct kv_value v = { 0 };
    enum err err = kv_get(kv, NULL, KV_LOG, key, &v);
    kv_value_release(&v);
    return err == OK;
}

static void test_group_commit(void **state)
{
    struct kv *kv = kv_open_mem();
    struct kv_batch *batch = kv_batch_new(kv);
    struct log_job *one = log_job_new(NULL, 1), *two = log_job_new(NULL, 2);
    struct inbox_chain chain = { 0 };
    log_job_put(one, KV_LOG, SLICE_LIT("a"), SLICE_LIT("borrowed"));
    log_job_put_copy(one, KV_LOG, SLICE_LIT("b"), SLICE_LIT("copied"));
    log_job_put_copy(one, KV_LOG, SLICE_LIT("c"), SLICE_LIT("deleted by the next"));
    log_job_delete(two, KV_LOG, SLICE_LIT("c"));
    log_job_put_copy(two, KV_LOG, SLICE_LIT("d"), SLICE_LIT("x"));
    log_job_delete_range(two, KV_LOG, SLICE_LIT("b"), SLICE_LIT("c"));
    inbox_chain_add(&chain, &one->item);
    inbox_chain_add(&chain, &two->item);
    assert_int_equal(log_commit(kv, batch, chain.first, NULL), OK);
    kv_mem_crash(kv, 0);
    assert_true(has(kv, SLICE_LIT("a")));
    assert_false(has(kv, SLICE_LIT("b")));
    assert_false(has(kv, SLICE_LIT("c")));
    assert_true(has(kv, SLICE_LIT("d")));
    kv_mem_fail_after(kv, 2, ERR_IO); /* the sync */
    assert_int_equal(log_commit(kv, batch, chain.first, NULL), ERR_IO);
    log_job_free(&one);
    log_job_free(&two);
    kv_batch_free(&batch);
    kv_close(&kv);
}

static void test_ring(void **state)
{
    struct log_ring ring = { 0 };
    for (uint64_t i = 5; i < 105; i++) {
        struct log_entry *e = log_entry_new(SLICE_LIT("entry"), SLICE_NULL);
        e->index = i;
        log_ring_push(&ring, e);
    }
    assert_null(log_ring_find(&ring, 4));
    assert_null(log_ring_find(&ring, 105));
    assert_int_equal(log_ring_find(&ring, 77)->index, 77);
    log_ring_drop_front(&ring, 50);
    assert_null(log_ring_find(&ring, 50));
    struct log_entry *e = log_ring_pop_back(&ring, 104);
    assert_int_equal(e->index, 104);
    log_entry_unref(e);
    assert_null(log_ring_pop_back(&ring, 104));
    for (uint64_t i = 104; i < 300; i++) {
        e = log_entry_new(SLICE_LIT("entry"), SLICE_LIT("body"));
        e->index = i;
        log_ring_push(&ring, e);
    }
    for (uint64_t i = 51; i < 300; i++)
        assert_int_equal(log_ring_find(&ring, i)->index, i);
    log_ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_applied),
        cmocka_unit_test(test_applied_names_its_version),
        cmocka_unit_test(test_log_row),
        cmocka_unit_test(test_keys_order),
        cmocka_unit_test(test_identity_is_made_once),
        cmocka_unit_test(test_identity_follows_maps),
        cmocka_unit_test(test_a_store_has_records),
        cmocka_unit_test(test_identity_of_version_1),
        cmocka_unit_test(test_group_commit),
        cmocka_unit_test(test_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
