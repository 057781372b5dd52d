/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/header.h"
#include "tests/unit/lib/mail/message_util.h"

static void fields_are_read_leniently(void **state)
{
    static const struct {
        const char *block;
        const char *fields; /* name=value| ... */
    } table[] = {
        { "", "" },
        { "\r\n", "" },
        { "A: 1\r\n\r\nB: 2\r\n", "A= 1|" },
        { "A: 1\nB:2\n\n", "A= 1|B=2|" },
        { "A: 1\r\n 2\r\n\t3\r\nB: 4", "A= 1\r\n 2\r\n\t3|B= 4|" },
        { "A : 1\r\n", "A= 1|" },
        { "From bob@example.org Thu Jan  1 00:00:00 1970\r\nA: 1\r\n", "A= 1|" },
        { "no colon\r\nA: 1\r\n", "A= 1|" },
        { "no colon\r\n but: goes on\r\nA: 1\r\n", "A= 1|" },
        { " stray\r\nA: 1\r\n", "A= 1|" },
        { ": nameless\r\nA: 1\r\n", "A= 1|" },
        { "A:\r\nB:\r\n", "A=|B=|" },
        { "A: 1\r\n \r\nB: 2\r\n", "A= 1\r\n |B= 2|" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct slice rest = slice_str(table[i].block);
        struct header_field field;
        struct buf got = { 0 };
        while (header_next(&rest, &field))
            buf_addf(&got, "%.*s=%.*s|", SLICE_FMT(field.name), SLICE_FMT(field.value));
        assert_slice(buf_slice(&got), table[i].fields);
        buf_fini(&got);
    }
}

static void values_are_unfolded(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    assert_slice(header_unfold(&arena, slice_str(" one\r\n two\n\tthree \r\n ")), "one two\tthree");
    assert_slice(header_unfold(&arena, slice_of(" a\0b", 4)), "a?b");
    assert_slice(header_unfold(&arena, slice_str(" ")), "");
    assert_non_null(header_unfold(&arena, slice_str("")).data);
    arena_fini(&arena);
}

static void filter_keeps_what_was_asked_for(void **state)
{
    (void)state;
    struct slice block = slice_str("A: 1\r\nb: 2\r\n 3\r\nC: 4\r\nA: 5\r\n\r\nbody: 6\r\n");
    const struct slice names[] = { SLICE_LIT("a"), SLICE_LIT("B"), SLICE_LIT("X") };
    struct buf out = { 0 };
    header_filter(block, names, 3, false, &out);
    assert_slice(buf_slice(&out), "A: 1\r\nb: 2\r\n 3\r\nA: 5\r\n\r\n");
    buf_clear(&out);
    header_filter(block, names, 3, true, &out);
    assert_slice(buf_slice(&out), "C: 4\r\n\r\n");
    buf_clear(&out);
    header_filter(slice_str("A: 1"), names, 1, false, &out);
    assert_slice(buf_slice(&out), "A: 1\r\n\r\n");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_read_leniently),
        cmocka_unit_test(values_are_unfolded),
        cmocka_unit_test(filter_keeps_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
