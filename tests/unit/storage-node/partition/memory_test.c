/* SPDX-License-Identifier: Apache-2.0 */
/* What a primary keeps in memory only: watches and locks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage-node/partition/lock_priv.h"
#include "storage-node/partition/watch_priv.h"

static struct partition_peer peer(uint8_t name)
{
    return (struct partition_peer){ .bytes = { name }, .len = 1 };
}

static void test_watches_match(void **state)
{
    struct watch_table t = { 0 };
    struct partition_peer one = peer(1), two = peer(2);
    assert_null(watch_table_match(&t, NULL, 5, 50));
    watch_table_remove(&t, &one, 1, 5, 50);
    struct watch *exact = watch_table_put(&t, &one, 1, 5, 50);
    struct watch *any = watch_table_put(&t, &two, 1, 5, 0);
    watch_table_put(&t, &one, 2, 6, 50);
    assert_ptr_equal(watch_table_put(&t, &one, 1, 5, 50), exact); /* renewed */
    assert_int_equal(t.count, 3);
    int seen = 0;
    for (struct watch *w = watch_table_match(&t, NULL, 5, 50); w != NULL;
         w = w->next == NULL ? NULL : watch_table_match(&t, w->next, 5, 50)) {
        assert_true(w == exact || w == any);
        seen++;
    }
    assert_int_equal(seen, 2);
    assert_ptr_equal(watch_table_match(&t, NULL, 5, 51), any);
    watch_table_remove(&t, &two, 1, 5, 0);
    assert_null(watch_table_match(&t, NULL, 5, 51));
    watch_table_fini(&t);
}

/* A front-end has one id for all that its sessions look at. */
static void test_one_peer_watches_many_mailboxes(void **state)
{
    struct watch_table t = { 0 };
    struct partition_peer one = peer(1);
    struct watch *inbox = watch_table_put(&t, &one, 1, 5, 50);
    struct watch *sent = watch_table_put(&t, &one, 1, 5, 51);
    assert_ptr_equal(watch_table_match(&t, NULL, 5, 50), inbox);
    assert_ptr_equal(watch_table_match(&t, NULL, 5, 51), sent);
    watch_table_remove(&t, &one, 1, 5, 51);
    assert_null(watch_table_match(&t, NULL, 5, 51));
    assert_ptr_equal(watch_table_match(&t, NULL, 5, 50), inbox);
    watch_table_fini(&t);
}

static void test_watches_expire_and_grow(void **state)
{
    struct watch_table t = { 0 };
    struct partition_peer p = peer(1);
    for (uint64_t i = 0; i < 10000; i++)
        watch_table_put(&t, &p, i, i, 0)->expires_mono_ms = i;
    watch_table_expire(&t, 4999);
    assert_int_equal(t.count, 5000);
    assert_null(watch_table_match(&t, NULL, 4999, 1));
    assert_non_null(watch_table_match(&t, NULL, 5000, 1));
    watch_table_fini(&t);
}

static void test_watches_are_bounded(void **state)
{
    struct watch_table t = { 0 };
    struct partition_peer p = peer(1);
    for (uint64_t i = 0; i < WATCHES_MAX; i++)
        assert_non_null(watch_table_put(&t, &p, i, i, 0));
    assert_null(watch_table_put(&t, &p, WATCHES_MAX, 1, 0));
    assert_non_null(watch_table_put(&t, &p, 7, 7, 0));
    watch_table_fini(&t);
}

static void test_locks(void **state)
{
    struct lock_table t = { 0 };
    struct slice a = SLICE_LIT("a"), b = SLICE_LIT("b");
    uint8_t big[LOCK_TOKEN_MAX + 1] = { 0 };
    lock_table_release(&t, 1, a);
    assert_int_equal(lock_table_take(&t, 1, a, 1000), OK);
    assert_int_equal(lock_table_take(&t, 1, b, 1000), ERR_IN_USE);
    assert_int_equal(lock_table_take(&t, 2, b, 1000), OK);
    assert_int_equal(lock_table_take(&t, 1, a, 50000), OK); /* renewed */
    assert_int_equal(lock_table_take(&t, 1, b, 1000 + 60000), ERR_IN_USE);
    assert_int_equal(lock_table_take(&t, 1, b, 50000 + 60000), OK); /* silent for too long */
    lock_table_release(&t, 1, a);
    assert_int_equal(lock_table_take(&t, 1, a, 50000 + 60000), ERR_IN_USE);
    lock_table_release(&t, 1, b);
    assert_int_equal(lock_table_take(&t, 1, a, 50000 + 60000), OK);
    assert_int_equal(lock_table_take(&t, 1, SLICE_NULL, 0), ERR_INVALID);
    assert_int_equal(lock_table_take(&t, 1, slice_of(big, sizeof big), 0), ERR_INVALID);
    lock_table_expire(&t, UINT64_MAX);
    assert_int_equal(t.count, 0);
    lock_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_watches_match),
        cmocka_unit_test(test_one_peer_watches_many_mailboxes),
        cmocka_unit_test(test_watches_expire_and_grow),
        cmocka_unit_test(test_watches_are_bounded),
        cmocka_unit_test(test_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
