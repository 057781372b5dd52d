/* SPDX-License-Identifier: Apache-2.0 */
/* Keys order by what they mean; entries decode only whole. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

#include "storage-node/mailbox/rows/keys.h"

static void expect_order(const struct key *below, const struct key *above)
{
    assert_true(slice_cmp(key_slice(below), key_slice(above)) < 0);
}

static void test_numbers_order(void **state)
{
    static const uint64_t modseqs[] = { 0, 1, 255, 256, 65535, 1 << 20, UINT64_C(1) << 40, UINT64_MAX };
    for (size_t i = 1; i < sizeof modseqs / sizeof modseqs[0]; i++) {
        struct key a, b;
        key_of_modseq(&a, 1, 2, KEY_CHANGE, 3, modseqs[i - 1], UINT32_MAX);
        key_of_modseq(&b, 1, 2, KEY_CHANGE, 3, modseqs[i], 0);
        expect_order(&a, &b);
    }
    struct key a, b;
    key_of_uid(&a, 1, UINT64_MAX, KEY_SUMMARY, UINT64_MAX, UINT32_MAX);
    key_clock(&b, 2);
    expect_order(&a, &b); /* partitions are apart */
}

static void test_behind(void **state)
{
    struct key prefix, behind, inside;
    key_of_mailbox(&prefix, 1, 2, KEY_MESSAGE, UINT64_MAX);
    behind = prefix;
    key_behind(&behind);
    key_of_uid(&inside, 1, 2, KEY_MESSAGE, UINT64_MAX, UINT32_MAX);
    expect_order(&inside, &behind);
    key_of_mailbox(&inside, 1, 2, KEY_SUMMARY, 0);
    assert_true(slice_cmp(key_slice(&behind), key_slice(&inside)) <= 0);
}

static void test_range_of_a_partition(void **state)
{
    struct buf lower = { 0 }, upper = { 0 };
    struct key first, last;
    for (uint32_t partition = 0; partition < 300; partition += 255) {
        machine_key_range(partition, &lower, &upper);
        key_begin(&first, partition, 0, 0);
        key_of_uid(&last, partition, UINT64_MAX, 0xff, UINT64_MAX, UINT32_MAX);
        assert_true(slice_cmp(buf_slice(&lower), key_slice(&first)) <= 0);
        assert_true(slice_cmp(key_slice(&last), buf_slice(&upper)) < 0);
    }
    machine_key_range(UINT32_MAX, &lower, &upper);
    assert_int_equal(upper.len, 0);
    buf_fini(&lower);
    buf_fini(&upper);
}

static void test_longest_keys_fit(void **state)
{
    static char text[KEY_REST_MAX];
    memset(text, 'x', sizeof text);
    struct key k;
    key_subscription(&k, 1, 2, slice_of(text, sizeof text));
    assert_int_equal(k.len, KEY_SIZE_MAX);
}

static void test_entry(void **state)
{
    struct entry_header in = { .version = 1,
                               .method = METHOD_APPEND,
                               .time_ms = 12345,
                               .request_id = "0123456789abcde",
                               .body_len = 77 };
    struct buf entry = { 0 };
    entry_encode(&in, SLICE_LIT("request"), &entry);
    struct entry_header out = { 0 };
    struct slice request;
    assert_int_equal(entry_decode(buf_slice(&entry), &out, &request), OK);
    assert_true(slice_eq_str(request, "request"));
    assert_int_equal(out.method, in.method);
    assert_int_equal(out.time_ms, in.time_ms);
    assert_int_equal(out.body_len, in.body_len);
    assert_memory_equal(out.request_id, in.request_id, REQUEST_ID_SIZE);
    for (size_t len = 0; len < entry.len - strlen("request"); len++)
        assert_int_equal(entry_decode(slice_of(entry.data, len), &out, &request), ERR_CORRUPT);
    entry.data[0] = UINT8_MAX; /* the header stays as it is in all versions */
    assert_int_equal(entry_decode(buf_slice(&entry), &out, &request), OK);
    assert_int_equal(out.version, UINT8_MAX);
    assert_int_equal(entry_version(buf_slice(&entry)), UINT8_MAX);
    assert_int_equal(entry_version(SLICE_NULL), 0);
    entry.data[0] = 0;
    assert_int_equal(entry_decode(buf_slice(&entry), &out, &request), ERR_CORRUPT);
    buf_fini(&entry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_order),
        cmocka_unit_test(test_behind),
        cmocka_unit_test(test_range_of_a_partition),
        cmocka_unit_test(test_longest_keys_fit),
        cmocka_unit_test(test_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
