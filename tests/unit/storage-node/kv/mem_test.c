/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts and failures of the database in memory. */
#include "tests/unit/storage-node/kv/kv_test_util.h"

static void test_crash_keeps_a_prefix(void **state)
{
    struct kv *kv = ((struct kv_fixture *)*state)->kv;
    put(kv, KV_STATE, "a", "1");
    put(kv, KV_STATE, "b", "1");
    assert_int_equal(kv_sync(kv), OK);
    put(kv, KV_STATE, "a", "2");
    del(kv, KV_STATE, "b");
    put(kv, KV_STATE, "c", "2");
    kv_mem_crash(kv, 2);
    expect(kv, NULL, KV_STATE, "a", "2");
    expect(kv, NULL, KV_STATE, "b", NULL);
    expect(kv, NULL, KV_STATE, "c", NULL);
    /* What a crash left is on disk. */
    put(kv, KV_STATE, "a", "3");
    kv_mem_crash(kv, 0);
    expect(kv, NULL, KV_STATE, "a", "2");
}

static void test_crash_undoes_all(void **state)
{
    struct kv *kv = ((struct kv_fixture *)*state)->kv;
    for (char c = 'a'; c <= 'd'; c++)
        put(kv, KV_LOG, (char[]){ c, 0 }, "x");
    assert_int_equal(kv_sync(kv), OK);
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_delete_range(b, KV_LOG, S("a"), S("c"));
    kv_batch_put(b, KV_LOG, S("a"), S("y"));
    kv_batch_put(b, KV_LOG, S("a"), S("z"));
    assert_int_equal(kv_write(kv, b), OK);
    kv_batch_free(&b);
    kv_mem_crash(kv, 0);
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_LOG, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("")), true, "a=x b=x c=x d=x ");
    kv_iter_free(&it);
}

static void test_failure_on_demand(void **state)
{
    struct kv *kv = ((struct kv_fixture *)*state)->kv;
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(b, KV_STATE, S("a"), S("1"));
    kv_mem_fail_after(kv, 2, ERR_NO_SPACE);
    assert_int_equal(kv_sync(kv), OK);
    assert_int_equal(kv_write(kv, b), ERR_NO_SPACE);
    expect(kv, NULL, KV_STATE, "a", NULL);
    assert_int_equal(kv_write(kv, b), OK);
    expect(kv, NULL, KV_STATE, "a", "1");
    kv_batch_free(&b);
    struct kv_txn *t = kv_txn_new(kv);
    kv_txn_put(t, KV_STATE, S("t"), S("1"));
    kv_mem_fail_after(kv, 1, ERR_IO);
    assert_int_equal(kv_txn_commit(t), ERR_IO);
    expect(kv, NULL, KV_STATE, "t", NULL);
    kv_txn_free(&t);
    kv_mem_fail_after(kv, 1, ERR_IO);
    assert_int_equal(kv_sync(kv), ERR_IO);
    kv_mem_crash(kv, 0);
    expect(kv, NULL, KV_STATE, "a", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_crash_keeps_a_prefix, setup_mem, teardown),
        cmocka_unit_test_setup_teardown(test_crash_undoes_all, setup_mem, teardown),
        cmocka_unit_test_setup_teardown(test_failure_on_demand, setup_mem, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
