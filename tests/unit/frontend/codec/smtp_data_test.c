/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "frontend/codec/smtp_data.h"
#include "lib/base/buf.h"

static const struct {
    const char *wire;
    size_t wire_len; /* 0: strlen */
    const char *text;
    unsigned faults;
    bool end;
    size_t left; /* octets behind the end */
} rows[] = {
    { "a\r\n.\r\n", 0, "a\r\n", 0, true, 0 },
    { ".\r\n", 0, "", 0, true, 0 },
    { "a\r\n..b\r\n.\r\nQUIT\r\n", 0, "a\r\n.b\r\n", 0, true, 6 },
    { "\r\n\r\n.\r\n", 0, "\r\n\r\n", 0, true, 0 },
    { "...\r\n.\r\n", 0, "..\r\n", 0, true, 0 },
    { ".a\r\n.\r\n", 0, "a\r\n", 0, true, 0 },
    { "a\r\n.\n", 0, "a\r\n\n", SMTP_DATA_BARE_LF, false, 0 },
    { "a\n.\r\nMAIL\r\n.\r\n", 0, "a\n.\r\nMAIL\r\n", SMTP_DATA_BARE_LF, true, 0 },
    { "a\r.\r\n.\r\n", 0, "a\r.\r\n", SMTP_DATA_BARE_CR, true, 0 },
    { "a\n.\n\r\n.\r\n", 0, "a\n.\n\r\n", SMTP_DATA_BARE_LF, true, 0 },
    { ".\rb\r\n.\r\n", 0, "\rb\r\n", SMTP_DATA_BARE_CR, true, 0 },
    { "a\r\r\n.\r\n", 0, "a\r\r\n", SMTP_DATA_BARE_CR, true, 0 },
    { "a\0b\r\n.\r\n", 8, "a", SMTP_DATA_NUL, true, 0 },
    { "no end\r\n", 0, "no end\r\n", 0, false, 0 },
};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* Feed `wire` in pieces of `piece` octets; returns octets used. */
static size_t feed(struct smtp_data *d, struct slice wire, size_t piece, struct buf *out)
{
    size_t used = 0;
    while (used < wire.len && d->state != SMTP_DATA_END) {
        struct slice part = slice_sub(wire, used, used + piece), text;
        while (part.len > 0 && d->state != SMTP_DATA_END) {
            size_t n = smtp_data_next(d, part, &text);
            assert_true(n > 0 || text.len > 0);
            buf_add_slice(out, text);
            part = slice_sub(part, n, part.len);
            used += n;
        }
    }
    return used;
}

static void check(size_t i, size_t piece)
{
    struct smtp_data d = { 0 };
    struct buf out = { 0 };
    struct slice wire =
        slice_of(rows[i].wire, rows[i].wire_len != 0 ? rows[i].wire_len : strlen(rows[i].wire));
    size_t used = feed(&d, wire, piece, &out);
    assert_int_equal(d.faults, rows[i].faults);
    assert_int_equal(d.state == SMTP_DATA_END, rows[i].end);
    assert_int_equal(wire.len - used, rows[i].left);
    if (!(rows[i].faults & SMTP_DATA_NUL))
        assert_true(slice_eq_str(buf_slice(&out), rows[i].text));
    buf_fini(&out);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        check(i, SIZE_MAX / 2);
}

static void test_in_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t piece = 1; piece < 5; piece++)
            check(i, piece);
    }
}

static unsigned check_text(struct slice text, size_t piece)
{
    struct smtp_data d = { 0 };
    for (size_t at = 0; at < text.len; at += piece)
        smtp_text_check(&d, slice_sub(text, at, at + piece));
    smtp_text_finish(&d);
    return d.faults;
}

static void test_text_check(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 6; piece++) {
        assert_int_equal(check_text(SLICE_LIT("a\r\nb\r\n"), piece), 0);
        assert_int_equal(check_text(SLICE_LIT("no end of line"), piece), 0);
        assert_int_equal(check_text(SLICE_LIT("\r\n.\r\n.."), piece), 0);
        assert_int_equal(check_text(SLICE_LIT("a\nb"), piece), SMTP_DATA_BARE_LF);
        assert_int_equal(check_text(SLICE_LIT("a\rb"), piece), SMTP_DATA_BARE_CR);
        assert_int_equal(check_text(SLICE_LIT("a\r"), piece), SMTP_DATA_BARE_CR);
        assert_int_equal(check_text(SLICE_LIT("a\r\r\n"), piece), SMTP_DATA_BARE_CR);
        assert_int_equal(check_text(SLICE_LIT("\r\0"), piece), SMTP_DATA_BARE_CR | SMTP_DATA_NUL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_in_pieces),
        cmocka_unit_test(test_text_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
