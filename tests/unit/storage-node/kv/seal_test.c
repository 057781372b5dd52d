/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/rocks_seal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"

static struct buf stored_of(struct slice key, struct slice value)
{
    struct buf stored = { 0 };
    uint8_t seal[SEAL_SIZE];
    seal_make(key, value, seal);
    buf_add_slice(&stored, value);
    buf_add(&stored, seal, sizeof seal);
    return stored;
}

static void test_open(void **state)
{
    const struct slice values[] = { SLICE_LIT(""), SLICE_LIT("x"),
                                    SLICE_LIT("Subject: a mail\r\n\r\nof words") };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buf stored = stored_of(SLICE_LIT("key"), values[i]);
        struct slice value;
        assert_int_equal(seal_open(SLICE_LIT("key"), buf_slice(&stored), &value), OK);
        assert_true(slice_eq(value, values[i]));
        buf_fini(&stored);
    }
}

/* Every single bit counts, those of the seal itself included. */
static void test_flipped(void **state)
{
    struct buf stored = stored_of(SLICE_LIT("key"), SLICE_LIT("bytes of a body"));
    for (size_t bit = 0; bit < stored.len * 8; bit++) {
        struct slice value;
        stored.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(seal_open(SLICE_LIT("key"), buf_slice(&stored), &value), ERR_CORRUPT);
        stored.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&stored);
}

static void test_cut(void **state)
{
    struct buf stored = stored_of(SLICE_LIT("key"), SLICE_LIT("bytes of a body"));
    for (size_t len = 0; len < stored.len; len++) {
        struct slice value;
        assert_int_equal(seal_open(SLICE_LIT("key"), slice_of(stored.data, len), &value), ERR_CORRUPT);
    }
    buf_fini(&stored);
}

/* Whole, but another row's: a read that went to the wrong place of the disk. */
static void test_other_key(void **state)
{
    struct buf stored = stored_of(SLICE_LIT("key"), SLICE_LIT("bytes of a body"));
    struct slice value;
    assert_int_equal(seal_open(SLICE_LIT("kez"), buf_slice(&stored), &value), ERR_CORRUPT);
    buf_fini(&stored);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_flipped),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_other_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
