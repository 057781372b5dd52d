/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "storage-node/partition/log/format.h"

static void put(struct kv *kv, enum kv_family family, struct slice key, struct slice value)
{
    struct kv_batch *batch = kv_batch_new(kv);
    kv_batch_put(batch, family, key, value);
    assert_int_equal(kv_write(kv, batch), OK);
    kv_batch_free(&batch);
}

static const struct slice body_key = SLICE_LIT("\0\0\0\7\0\0\0\0\0\0\0\1");

static void test_made_once(void **state)
{
    struct kv *kv = kv_open_mem();
    struct kv_value value = { 0 };
    assert_int_equal(store_format_open(kv), OK);
    assert_int_equal(kv_get(kv, NULL, KV_META, SLICE_LIT("F"), &value), OK);
    assert_true(slice_eq(value.bytes, SLICE_LIT("\1\0\0\0\1")));
    kv_value_release(&value);
    kv_mem_crash(kv, 0);
    assert_int_equal(kv_get(kv, NULL, KV_META, SLICE_LIT("F"), &value), OK); /* synced */
    kv_value_release(&value);
    assert_int_equal(store_format_open(kv), OK);
    kv_close(&kv);
}

static void test_others(void **state)
{
    static const struct {
        struct slice row;
        enum err err;
    } rows[] = {
        { SLICE_LIT("\1\0\0\0\1"), OK },
        { SLICE_LIT("\1\0\0\0\2"), ERR_UNSUPPORTED },
        { SLICE_LIT("\1\xff\xff\xff\xff"), ERR_UNSUPPORTED },
        { SLICE_LIT("\2 whatever"), ERR_UNSUPPORTED },
        { SLICE_LIT("\1\0\0\0\0"), ERR_CORRUPT },
        { SLICE_LIT("\1\0\0\1"), ERR_CORRUPT },
        { SLICE_LIT("\1\0\0\0\1\0"), ERR_CORRUPT },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct kv *kv = kv_open_mem();
        put(kv, KV_META, SLICE_LIT("F"), rows[i].row);
        assert_int_equal(store_format_open(kv), rows[i].err);
        kv_close(&kv);
    }
}

/* As a folder was before it said its format. */
static void test_one_that_does_not_say(void **state)
{
    struct kv *kv = kv_open_mem();
    put(kv, KV_BODY, body_key, SLICE_LIT("some mail"));
    assert_int_equal(store_format_open(kv), OK);
    kv_close(&kv);
}

static void test_one_with_checksums_behind_bodies(void **state)
{
    struct kv *kv = kv_open_mem();
    struct kv_value value = { 0 };
    struct buf body = { 0 };
    buf_add_str(&body, "some mail");
    buf_add_be64(&body, hash_xxh3(buf_slice(&body)) + hash_xxh3(body_key) * 0x9e3779b97f4a7c15);
    put(kv, KV_BODY, body_key, buf_slice(&body));
    assert_int_equal(store_format_open(kv), ERR_UNSUPPORTED);
    assert_int_equal(kv_get(kv, NULL, KV_META, SLICE_LIT("F"), &value), ERR_NOT_FOUND);
    buf_fini(&body);
    kv_close(&kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_one_that_does_not_say),
        cmocka_unit_test(test_one_with_checksums_behind_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
