/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "frontend/codec/pop3_text.h"

static const struct {
    const char *message;
    uint64_t lines;
    const char *wire;
} rows[] = {
    { "A: b\r\n\r\nbody\r\n", POP3_ALL_LINES, "A: b\r\n\r\nbody\r\n.\r\n" },
    { "A: b\r\n\r\n.dot\r\n..\r\n", POP3_ALL_LINES, "A: b\r\n\r\n..dot\r\n...\r\n.\r\n" },
    { "A: b\r\n\r\nno end", POP3_ALL_LINES, "A: b\r\n\r\nno end\r\n.\r\n" },
    { "A: b\n\nunix\n", POP3_ALL_LINES, "A: b\r\n\r\nunix\r\n.\r\n" },
    { "a\rb\r\n", POP3_ALL_LINES, "a\rb\r\n.\r\n" },
    { "a\r\r\n", POP3_ALL_LINES, "a\r\r\n.\r\n" },
    { "\r.a\r\n", POP3_ALL_LINES, "\r.a\r\n.\r\n" },
    { "", POP3_ALL_LINES, ".\r\n" },
    { "A: b\r\n\r\n1\r\n2\r\n3\r\n", 0, "A: b\r\n\r\n.\r\n" },
    { "A: b\r\n\r\n1\r\n2\r\n3\r\n", 2, "A: b\r\n\r\n1\r\n2\r\n.\r\n" },
    { "A: b\r\n\r\n1\r\n", 9, "A: b\r\n\r\n1\r\n.\r\n" },
    { "A: b\r\n", 3, "A: b\r\n.\r\n" },
};

static void check(size_t i, size_t piece)
{
    struct pop3_text t = pop3_text_start(rows[i].lines);
    struct buf out = { 0 };
    struct slice message = slice_str(rows[i].message);
    for (size_t at = 0; at < message.len; at += piece)
        pop3_text_push(&t, slice_sub(message, at, at + piece), &out);
    pop3_text_finish(&t, &out);
    assert_string_equal(buf_cstr(&out), rows[i].wire);
    buf_fini(&out);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (size_t piece = 1; piece < 6; piece++)
            check(i, piece);
        check(i, 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_table) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
