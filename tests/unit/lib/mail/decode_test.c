/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/decode.h"
#include "tests/unit/lib/mail/message_util.h"

static const struct {
    enum decode_kind kind;
    const char *in, *out;
    bool damaged;
} table[] = {
    { DECODE_NONE, "a=20\r\n", "a=20\r\n", false },
    { DECODE_UNKNOWN, "a=20\r\n", "a=20\r\n", false },
    { DECODE_BASE64, "", "", false },
    { DECODE_BASE64, "SGVsbG8=", "Hello", false },
    { DECODE_BASE64, "SGVs\r\nbG8h\r\n", "Hello!", false },
    { DECODE_BASE64, "SGVsbA==\r\n", "Hell", false },
    { DECODE_BASE64, "SGVsbG8", "Hello", true },
    { DECODE_BASE64, "SGVsb", "Hel", true },
    { DECODE_BASE64, "SG!Vs*bG8=", "Hello", true },
    { DECODE_BASE64, "SGVsbA==SGVsbA==", "HellHell", true },
    { DECODE_BASE64, "====", "", true },
    { DECODE_BASE64, "AP//", "\0\xff\xff", false },
    { DECODE_QUOTED_PRINTABLE, "", "", false },
    { DECODE_QUOTED_PRINTABLE, "plain\r\nlines\r\n", "plain\r\nlines\r\n", false },
    { DECODE_QUOTED_PRINTABLE, "a=3Db=3d=\r\nc", "a=b=c", false },
    { DECODE_QUOTED_PRINTABLE, "a= \t\r\nb=\nc", "abc", false },
    { DECODE_QUOTED_PRINTABLE, "trailing  \t\r\nb=20 \r\n", "trailing\r\nb \r\n", false },
    { DECODE_QUOTED_PRINTABLE, "a b  c\td", "a b  c\td", false },
    { DECODE_QUOTED_PRINTABLE, "end  ", "end", false },
    { DECODE_QUOTED_PRINTABLE, "end=", "end", false },
    { DECODE_QUOTED_PRINTABLE, "end=4", "end=4", true },
    { DECODE_QUOTED_PRINTABLE, "a=XYb==41=4Z", "a=XYb=A=4Z", true },
    { DECODE_QUOTED_PRINTABLE, "a= b\r\n", "a= b\r\n", true },
    { DECODE_QUOTED_PRINTABLE, "a\rb\r\n\r\n", "a\rb\r\n\r\n", false },
    { DECODE_QUOTED_PRINTABLE, "\xc3\xa4=C3=A4", "\xc3\xa4\xc3\xa4", false },
};

static void pieces_of_any_size_decode_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct slice in = slice_str(table[i].in);
        size_t want = slice_eq_str(in, "AP//") ? 3 : strlen(table[i].out);
        for (size_t step = 1; step <= in.len + 1; step++) {
            struct decoder d;
            struct buf out = { 0 };
            decoder_init(&d, table[i].kind, true);
            for (size_t at = 0; at < in.len; at += step)
                decoder_push(&d, slice_sub(in, at, at + step), &out);
            assert_int_equal(decoder_finish(&d, &out), table[i].damaged ? ERR_SYNTAX : OK);
            if (out.len != want ||
                memcmp(out.data == NULL ? (uint8_t *)"" : out.data, table[i].out, want) != 0)
                fail_msg("%s in steps of %zu gives \"%.*s\"", table[i].in, step, SLICE_FMT(buf_slice(&out)));
            buf_fini(&out);
        }
    }
}

static void lenient_never_fails(void **state)
{
    (void)state;
    struct decoder d;
    struct buf out = { 0 };
    decoder_init(&d, DECODE_BASE64, false);
    decoder_push(&d, slice_str("!!"), &out);
    assert_int_equal(decoder_finish(&d, &out), OK);
    assert_true(d.damaged);
    buf_fini(&out);
}

static void endless_blanks_are_bounded(void **state)
{
    (void)state;
    struct decoder d;
    struct buf out = { 0 };
    decoder_init(&d, DECODE_QUOTED_PRINTABLE, false);
    for (int i = 0; i < 10 * DECODE_CARRY_MAX; i++)
        decoder_push(&d, slice_str(" "), &out);
    assert_int_equal(decoder_finish(&d, &out), OK);
    assert_true(out.len >= 9 * DECODE_CARRY_MAX);
    buf_fini(&out);
}

static void kinds_are_known(void **state)
{
    (void)state;
    assert_int_equal(decode_kind_of(SLICE_NULL), DECODE_NONE);
    assert_int_equal(decode_kind_of(slice_str("8BIT")), DECODE_NONE);
    assert_int_equal(decode_kind_of(slice_str("Base64")), DECODE_BASE64);
    assert_int_equal(decode_kind_of(slice_str("quoted-printable")), DECODE_QUOTED_PRINTABLE);
    assert_int_equal(decode_kind_of(slice_str("x-uuencode")), DECODE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_any_size_decode_alike),
        cmocka_unit_test(lenient_never_fails),
        cmocka_unit_test(endless_blanks_are_bounded),
        cmocka_unit_test(kinds_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
