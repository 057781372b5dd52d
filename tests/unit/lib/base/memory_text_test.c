/* SPDX-License-Identifier: Apache-2.0 */
/* Slices, cursors, buffers, arenas and base64: what every other layer takes for granted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/arena.h"
#include "lib/base/base64.h"
#include "lib/base/buf.h"

/* ---- slices */

static void slices_compare(void **state)
{
    (void)state;
    assert_true(slice_eq(SLICE_NULL, SLICE_LIT("")));
    assert_true(slice_eq_str(SLICE_LIT("a"), "a") && !slice_eq_str(SLICE_LIT("a"), "ab"));
    assert_false(slice_eq_str(SLICE_LIT("a\0"), "a"));
    assert_true(slice_eq_nocase_str(SLICE_LIT("MaIl"), "mAiL"));
    assert_false(slice_eq_nocase(SLICE_LIT("\xc4"), SLICE_LIT("\xe4"))); /* ASCII only */
    assert_false(slice_eq_nocase(SLICE_LIT("@"), SLICE_LIT("`")));
    assert_true(slice_starts(SLICE_LIT("abc"), SLICE_LIT("ab")) && slice_starts(SLICE_LIT("a"), SLICE_NULL));
    assert_false(slice_starts(SLICE_LIT("a"), SLICE_LIT("ab")));
    assert_true(slice_starts_nocase(SLICE_LIT("FROM:<"), "from:"));
    assert_true(slice_cmp(SLICE_LIT("a"), SLICE_LIT("b")) < 0 &&
                slice_cmp(SLICE_LIT("b"), SLICE_LIT("a")) > 0);
    assert_true(slice_cmp(SLICE_LIT("a"), SLICE_LIT("ab")) < 0 && slice_cmp(SLICE_NULL, SLICE_NULL) == 0);
    assert_true(slice_cmp(SLICE_LIT("\x80"), SLICE_LIT("\x7f")) > 0);
    assert_true(slice_find(SLICE_LIT("abcb"), 'b') == 1 && slice_find(SLICE_LIT("abc"), 'x') == -1);
    assert_true(slice_find(SLICE_NULL, 'x') == -1);
}

static void slices_are_cut(void **state)
{
    (void)state;
    struct slice s = SLICE_LIT("0123456789");
    assert_true(slice_eq_str(slice_sub(s, 2, 5), "234"));
    assert_true(slice_eq_str(slice_sub(s, 8, 99), "89"));
    assert_int_equal(slice_sub(s, 99, 100).len, 0);
    assert_int_equal(slice_sub(s, 5, 2).len, 0);
    assert_int_equal(slice_sub(SLICE_NULL, 0, 9).len, 0);
    assert_true(slice_eq_str(slice_trim(SLICE_LIT(" \t\r\na b\n ")), "a b"));
    assert_int_equal(slice_trim(SLICE_LIT(" \t ")).len, 0);
    assert_int_equal(slice_str(NULL).len, 0);
    char *copy = slice_dup(slice_sub(s, 0, 3));
    assert_string_equal(copy, "012");
    free(copy);
}

static void numbers_are_strict(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } rows[] = {
        { "0", 0, true, 0 },
        { "007", 7, true, 7 },
        { "8", 7, false, 0 },
        { "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
        { "18446744073709551616", UINT64_MAX, false, 0 },
        { "99999999999999999999999", UINT64_MAX, false, 0 },
        { "4294967295", UINT32_MAX, true, UINT32_MAX },
        { "4294967296", UINT32_MAX, false, 0 },
        { "", 9, false, 0 },
        { " 1", 9, false, 0 },
        { "1 ", 9, false, 0 },
        { "+1", 9, false, 0 },
        { "-1", 9, false, 0 },
        { "1x", 9, false, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = 0;
        if (slice_parse_u64(slice_str(rows[i].text), rows[i].max, &value) != rows[i].ok ||
            (rows[i].ok && value != rows[i].value))
            fail_msg("%s", rows[i].text);
    }
}

/* ---- cursors over what buffers wrote */

static void numbers_come_back(void **state)
{
    (void)state;
    static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, 1ull << 63, UINT64_MAX };
    struct buf b = { 0 };
    buf_add_byte(&b, 0xfe);
    buf_add_be16(&b, 0x1234);
    buf_add_be32(&b, 0x12345678);
    buf_add_be64(&b, 0x123456789abcdef0);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        buf_add_varint(&b, values[i]);
    buf_add_varbytes(&b, SLICE_LIT("bytes"));
    buf_add_varbytes(&b, SLICE_NULL);
    struct cursor c = cursor_of(buf_slice(&b));
    assert_int_equal(cursor_u8(&c), 0xfe);
    assert_int_equal(cursor_be16(&c), 0x1234);
    assert_int_equal(cursor_be32(&c), 0x12345678);
    assert_true(cursor_be64(&c) == 0x123456789abcdef0);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_true(cursor_varint(&c) == values[i]);
    assert_true(slice_eq_str(cursor_varbytes(&c), "bytes"));
    assert_false(cursor_done(&c));
    assert_int_equal(cursor_varbytes(&c).len, 0);
    assert_true(cursor_done(&c));
    assert_int_equal(cursor_u8(&c), 0); /* one too many */
    assert_true(c.bad && !cursor_done(&c));
    buf_fini(&b);
}

static void cursors_never_read_beyond(void **state)
{
    (void)state;
    static const struct {
        struct slice bytes;
        char get; /* 2 4 8, v: varint, b: varbytes */
    } rows[] = {
        { SLICE_LIT("\x01"), '2' },
        { SLICE_LIT("\x01\x02\x03"), '4' },
        { SLICE_LIT("\x01\x02\x03\x04\x05\x06\x07"), '8' },
        { SLICE_LIT("\x80"), 'v' },
        { SLICE_LIT("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 'v' },
        { SLICE_LIT("\x05pq"), 'b' },
        { SLICE_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01pq"), 'b' },
        { SLICE_NULL, 'v' },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t len = rows[i].bytes.len;
        uint8_t *exact = malloc(len == 0 ? 1 : len); /* so that a sanitizer sees the end */
        if (len > 0)
            memcpy(exact, rows[i].bytes.data, len);
        struct cursor c = cursor_of(slice_of(exact, len));
        uint64_t got = rows[i].get == '2'   ? cursor_be16(&c)
                       : rows[i].get == '4' ? cursor_be32(&c)
                       : rows[i].get == '8' ? cursor_be64(&c)
                       : rows[i].get == 'v' ? cursor_varint(&c)
                                            : cursor_varbytes(&c).len;
        if (!c.bad || got != 0)
            fail_msg("row %zu", i);
        assert_int_equal(cursor_bytes(&c, len + 1).len, 0);
        free(exact);
    }
}

/* ---- buffers */

static void buffers_grow(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_add(&b, NULL, 0);
    buf_add_slice(&b, SLICE_NULL);
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 10000; i++)
        buf_addf(&b, "%d,", i);
    buf_add_u64(&b, UINT64_MAX);
    assert_string_equal(buf_cstr(&b) + b.len - 20, "18446744073709551615");
    assert_int_equal(buf_cstr(&b)[b.len], '\0');
    buf_consume(&b, 4);
    assert_memory_equal(b.data, "2,3,", 4);
    buf_consume(&b, 1u << 30);
    assert_int_equal(b.len, 0);
    memcpy(buf_reserve(&b, 5), "hello", 5);
    b.len += 5;
    size_t len;
    uint8_t *bytes = buf_detach(&b, &len);
    assert_true(len == 5 && b.data == NULL && b.len == 0 && b.cap == 0);
    free(bytes);
    char *large = malloc(100001);
    memset(large, 'z', 100000);
    large[100000] = '\0';
    buf_addf(&b, "<%s>", large); /* more than any first guess */
    assert_int_equal(b.len, 100002);
    buf_clear(&b);
    buf_add_str(&b, "again");
    assert_true(slice_eq_str(buf_slice(&b), "again"));
    free(large);
    buf_fini(&b);
    buf_fini(&b);
}

/* ---- arenas */

static void arenas_give_zeroed_aligned_memory(void **state)
{
    (void)state;
    static const uint8_t zeros[100000];
    struct arena a = { 0 };
    for (int round = 0; round < 3; round++) {
        size_t total = 0;
        for (size_t size = 0; size < 200; size++) {
            uint8_t *p = arena_alloc(&a, size);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            assert_memory_equal(p, zeros, size);
            memset(p, 0xff, size); /* what the next round must not see */
            total += size;
        }
        uint8_t *large = arena_alloc(&a, sizeof zeros);
        assert_memory_equal(large, zeros, sizeof zeros);
        memset(large, 0xff, sizeof zeros);
        assert_true(a.used_total >= total + sizeof zeros);
        arena_clear(&a);
        assert_int_equal(a.used_total, 0);
    }
    assert_string_equal(arena_strdup(&a, SLICE_LIT("text")), "text");
    assert_string_equal(arena_strdup(&a, SLICE_NULL), "");
    assert_string_equal(arena_printf(&a, "%s-%d", "x", 7), "x-7");
    assert_true(slice_eq_str(arena_slice(&a, SLICE_LIT("copy")), "copy"));
    assert_non_null(ARENA_ARRAY(&a, uint64_t, 0));
    arena_fini(&a);
    arena_fini(&a);
}

/* ---- base64 */

static void base64_comes_back(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        { "", "" },
        { "f", "Zg==" },
        { "fo", "Zm8=" },
        { "foo", "Zm9v" },
        { "foob", "Zm9vYg==" },
        { "fooba", "Zm9vYmE=" },
        { "foobar", "Zm9vYmFy" },
        { "\xff\xfe\xfd", "//79" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf text = { 0 }, back = { 0 };
        base64_encode(slice_str(rows[i][0]), &text);
        assert_string_equal(buf_cstr(&text), rows[i][1]);
        assert_int_equal(base64_decode(buf_slice(&text), &back), OK);
        assert_true(slice_eq_str(buf_slice(&back), rows[i][0]));
        buf_fini(&text);
        buf_fini(&back);
    }
    struct buf text = { 0 }, back = { 0 };
    uint8_t all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    base64_encode(slice_of(all, sizeof all), &text);
    assert_int_equal(base64_decode(buf_slice(&text), &back), OK);
    assert_memory_equal(back.data, all, sizeof all);
    buf_fini(&text);
    buf_fini(&back);
}

static void base64_is_strict(void **state)
{
    (void)state;
    static const char *const bad[] = { "Z",      "Zg",   "Zg=",  "Zh==",       "Zm9=",
                                       "====",   "=g==", "Z===", "Zg==Zg==",   "Zm 9",
                                       "Zm9v\n", "Zm9-", "Zm9_", "\xc3\xa4==", "Zg=a" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf out = { 0 };
        buf_add_str(&out, "kept");
        if (base64_decode(slice_str(bad[i]), &out) != ERR_SYNTAX || out.len != 4)
            fail_msg("%s", bad[i]);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_compare),
        cmocka_unit_test(slices_are_cut),
        cmocka_unit_test(numbers_are_strict),
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(cursors_never_read_beyond),
        cmocka_unit_test(buffers_grow),
        cmocka_unit_test(arenas_give_zeroed_aligned_memory),
        cmocka_unit_test(base64_comes_back),
        cmocka_unit_test(base64_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
