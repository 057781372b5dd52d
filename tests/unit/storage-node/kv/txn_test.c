/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: reading through what is pending, over both databases. */
#include "tests/unit/storage-node/kv/kv_test_util.h"

static struct kv *kv_of(void **state)
{
    return ((struct kv_fixture *)*state)->kv;
}

static void txn_put(struct kv_txn *t, const char *key, const char *value)
{
    kv_txn_put(t, KV_STATE, slice_str(key), slice_str(value));
}

static void txn_expect(struct kv_txn *t, const char *key, const char *want)
{
    struct kv_value v;
    assert_int_equal(kv_txn_get(t, KV_STATE, slice_str(key), &v), want == NULL ? ERR_NOT_FOUND : OK);
    if (want != NULL)
        assert_true(slice_eq_str(v.bytes, want));
    kv_value_release(&v);
}

static void test_pending_rows_are_seen_inside_only(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_STATE, "a", "1");
    put(kv, KV_STATE, "b", "1");
    struct kv_txn *t = kv_txn_new(kv);
    txn_put(t, "a", "2");
    kv_txn_delete(t, KV_STATE, S("b"));
    txn_put(t, "c", "2");
    assert_int_equal(kv_txn_count(t), 3);
    txn_expect(t, "a", "2");
    txn_expect(t, "b", NULL);
    txn_expect(t, "c", "2");
    expect(kv, NULL, KV_STATE, "a", "1");
    expect(kv, NULL, KV_STATE, "c", NULL);
    assert_int_equal(kv_txn_commit(t), OK);
    assert_int_equal(kv_txn_count(t), 0);
    expect(kv, NULL, KV_STATE, "a", "2");
    expect(kv, NULL, KV_STATE, "b", NULL);
    expect(kv, NULL, KV_STATE, "c", "2");
    txn_put(t, "d", "3");
    kv_txn_free(&t);
    expect(kv, NULL, KV_STATE, "d", NULL);
}

static void test_savepoint(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_STATE, "a", "1");
    put(kv, KV_STATE, "z", "1");
    struct kv_txn *t = kv_txn_new(kv);
    txn_put(t, "b", "2");
    kv_txn_mark(t);
    txn_put(t, "b", "3");
    txn_put(t, "b", "4");
    kv_txn_delete(t, KV_STATE, S("a"));
    txn_put(t, "c", "5");
    kv_txn_rollback_to_mark(t);
    txn_expect(t, "a", "1");
    txn_expect(t, "b", "2");
    txn_expect(t, "c", NULL);
    assert_int_equal(kv_txn_count(t), 1);
    struct kv_iter *it = kv_txn_iter(t, KV_STATE, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("")), true, "a=1 b=2 z=1 ");
    kv_iter_free(&it);
    kv_txn_mark(t);
    txn_put(t, "z", "6");
    assert_int_equal(kv_txn_commit(t), OK);
    expect(kv, NULL, KV_STATE, "a", "1");
    expect(kv, NULL, KV_STATE, "b", "2");
    expect(kv, NULL, KV_STATE, "c", NULL);
    expect(kv, NULL, KV_STATE, "z", "6");
    kv_txn_free(&t);
}

static void test_iterator_merges(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_STATE, "b", "1");
    put(kv, KV_STATE, "d", "1");
    put(kv, KV_STATE, "f", "1");
    put(kv, KV_STATE, "h", "1");
    struct kv_txn *t = kv_txn_new(kv);
    txn_put(t, "a", "2");
    txn_put(t, "c", "2");
    txn_put(t, "d", "2");
    kv_txn_delete(t, KV_STATE, S("f"));
    kv_txn_delete(t, KV_STATE, S("g"));
    txn_put(t, "i", "2");
    struct kv_iter *it = kv_txn_iter(t, KV_STATE, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("")), true, "a=2 b=1 c=2 d=2 h=1 i=2 ");
    expect_walk(it, kv_iter_seek_last(it), false, "i=2 h=1 d=2 c=2 b=1 a=2 ");
    expect_walk(it, kv_iter_seek_prev(it, S("g")), false, "d=2 c=2 b=1 a=2 ");
    assert_true(kv_iter_seek(it, S("d")));
    assert_true(kv_iter_prev(it));
    assert_true(slice_eq_str(kv_iter_key(it), "c"));
    assert_true(kv_iter_next(it));
    assert_true(kv_iter_next(it));
    assert_true(slice_eq_str(kv_iter_key(it), "h"));
    assert_true(kv_iter_prev(it));
    assert_true(slice_eq_str(kv_iter_key(it), "d"));
    kv_iter_free(&it);
    it = kv_txn_iter(t, KV_STATE, S("b"), S("d"));
    expect_walk(it, kv_iter_seek(it, S("")), true, "b=1 c=2 ");
    expect_walk(it, kv_iter_seek_last(it), false, "c=2 b=1 ");
    kv_iter_free(&it);
    kv_txn_free(&t);
}

/* A transaction's walk, in both directions with turns, agrees with the same rows written for good. */
static void test_random_walks(void **state)
{
    struct kv *kv = kv_of(state);
    struct kv *plain = kv_open_mem();
    unsigned seed = 11;
    struct kv_txn *t = kv_txn_new(kv);
    for (int i = 0; i < 600; i++) {
        char key[8], value[8];
        snprintf(key, sizeof key, "%03d", rand_r(&seed) % 300);
        snprintf(value, sizeof value, "%d", i);
        bool in_txn = i >= 300;
        if (rand_r(&seed) % 3 == 0) {
            del(plain, KV_STATE, key);
            if (in_txn)
                kv_txn_delete(t, KV_STATE, slice_str(key));
            else
                del(kv, KV_STATE, key);
        } else {
            put(plain, KV_STATE, key, value);
            if (in_txn)
                txn_put(t, key, value);
            else
                put(kv, KV_STATE, key, value);
        }
    }
    struct kv_iter *a = kv_txn_iter(t, KV_STATE, S("050"), S("250"));
    struct kv_iter *b = kv_iter_new(plain, NULL, KV_STATE, S("050"), S("250"));
    for (int i = 0; i < 3000; i++) {
        char key[8];
        snprintf(key, sizeof key, "%03d", rand_r(&seed) % 300);
        bool on_a, on_b;
        switch (rand_r(&seed) % 12) {
        case 0:
            on_a = kv_iter_seek(a, slice_str(key));
            on_b = kv_iter_seek(b, slice_str(key));
            break;
        case 1:
            on_a = kv_iter_seek_prev(a, slice_str(key));
            on_b = kv_iter_seek_prev(b, slice_str(key));
            break;
        case 2:
            on_a = kv_iter_seek_last(a);
            on_b = kv_iter_seek_last(b);
            break;
        case 3:
        case 4:
        case 5:
        case 6:
            on_a = kv_iter_prev(a);
            on_b = kv_iter_prev(b);
            break;
        default:
            on_a = kv_iter_next(a);
            on_b = kv_iter_next(b);
        }
        assert_int_equal(on_a, on_b);
        if (on_a) {
            assert_true(slice_eq(kv_iter_key(a), kv_iter_key(b)));
            assert_true(slice_eq(kv_iter_value(a), kv_iter_value(b)));
        }
    }
    kv_iter_free(&a);
    kv_iter_free(&b);
    kv_txn_free(&t);
    kv_close(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_pending_rows_are_seen_inside_only),
        ON_BOTH(test_savepoint),
        ON_BOTH(test_iterator_merges),
        ON_BOTH(test_random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
