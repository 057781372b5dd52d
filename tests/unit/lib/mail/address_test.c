/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mail/address.h"

struct good {
    const char *text, *canonical, *tag;
};

static const struct good good[] = {
    { "bob@example.test", "bob@example.test", NULL },
    { "Bob@EXAMPLE.test", "bob@example.test", NULL },
    { "bob+Lists@example.test", "bob@example.test", "Lists" },
    { "bob+a+b@example.test", "bob@example.test", "a+b" },
    { "bob+@example.test", "bob@example.test", "" },
    { "+bob@example.test", "+bob@example.test", NULL },
    { "+bob+x@example.test", "+bob@example.test", "x" },
    { "\"bob\"@example.test", "bob@example.test", NULL },
    { "\"b\\ob\"@example.test", "bob@example.test", NULL },
    { "\"a b\"@example.test", "\"a b\"@example.test", NULL },
    { "\"a@b\"@example.test", "\"a@b\"@example.test", NULL },
    { "\"a\\\"b\"@example.test", "\"a\\\"b\"@example.test", NULL },
    { "\"bob+x y\"@example.test", "bob@example.test", "x y" },
    { "bob.+x@example.test", "\"bob.\"@example.test", "x" },
    { "a.b!#$%&'*-/=?^_`{|}~@x", "a.b!#$%&'*-/=?^_`{|}~@x", NULL },
    { "j\xc3\x96rg@b\xc3\xbc"
      "cher.example",
      "j\xc3\xb6rg@xn--bcher-kva.example", NULL },
    { "jo\xcc\x88rg@bu\xcc\x88"
      "cher.example",
      "j\xc3\xb6rg@xn--bcher-kva.example", NULL },
    { "x@XN--BCHER-KVA.example", "x@xn--bcher-kva.example", NULL },
    { "stra\xc3\x9f"
      "e@example.test",
      "strasse@example.test", NULL },
    { "\xe2\x84\xaa@example.test", "k@example.test", NULL }, /* KELVIN SIGN */
    { "x@[192.0.2.1]", "x@[192.0.2.1]", NULL },
    { "x@[IPv6:2001:DB8:0:0::1]", "x@[ipv6:2001:db8::1]", NULL },
    { "x@[tag:Content]", "x@[tag:content]", NULL },
};

static const char *const bad[] = {
    "",
    "@",
    "bob",
    "bob@",
    "@example.test",
    ".bob@example.test",
    "bob.@example.test",
    "b..ob@example.test",
    "bob @example.test",
    "bob@example..test",
    "bob@.test",
    "bob@example.test.",
    "bob@-x.test",
    "bob@x-.test",
    "bob@exa_mple.test",
    "bob@a b",
    "<bob@example.test>",
    "bob@x@y",
    "\"bob@example.test",
    "\"\"@example.test",
    "\"bob\"x@example.test",
    "\"a\nb\"@example.test",
    "\"a\\\"@example.test",
    "bob(c)@example.test",
    "b\x80@x.test",
    "bob@\xff.test",
    "b\xc2\x85@x.test",
    "bob@[]",
    "bob@[1.2.3]",
    "bob@[192.0.2.1",
    "bob@[IPv6:xyz]",
    "bob@[a[b]",
    "bob@[:x]",
    "@a,@b:bob@example.test",
    "bob@ex\xe2\x80\x8d"
    "ample.test",
};

static void test_good(void **state)
{
    struct arena arena = { 0 };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct address a, again;
        print_message("%s\n", good[i].text);
        assert_int_equal(address_parse(slice_str(good[i].text), &arena, &a), OK);
        assert_string_equal(arena_strdup(&arena, a.canonical), good[i].canonical);
        assert_int_equal(a.tag.data != NULL, good[i].tag != NULL);
        if (good[i].tag != NULL)
            assert_string_equal(arena_strdup(&arena, a.tag), good[i].tag);
        assert_int_equal(address_parse(a.canonical, &arena, &again), OK);
        assert_true(slice_eq(a.canonical, again.canonical));
    }
    arena_fini(&arena);
}

static void test_bad(void **state)
{
    struct arena arena = { 0 };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct address a;
        print_message("%s\n", bad[i]);
        assert_int_equal(address_parse(slice_str(bad[i]), &arena, &a), ERR_SYNTAX);
    }
    struct address a;
    assert_int_equal(address_parse(SLICE_LIT("b\0b@example.test"), &arena, &a), ERR_SYNTAX);
    arena_fini(&arena);
}

static enum err parse_sizes(size_t local, size_t label, size_t labels)
{
    struct arena arena = { 0 };
    struct address a;
    char text[1024];
    size_t len = local;
    memset(text, 'a', local);
    for (size_t i = 0; i < labels; i++) {
        text[len++] = i == 0 ? '@' : '.';
        memset(text + len, 'b', label);
        len += label;
    }
    enum err err = address_parse(slice_of(text, len), &arena, &a);
    arena_fini(&arena);
    return err;
}

static void test_bounds(void **state)
{
    assert_int_equal(parse_sizes(64, 63, 1), OK);
    assert_int_equal(parse_sizes(65, 63, 1), ERR_TOO_BIG);
    assert_int_equal(parse_sizes(1, 64, 1), ERR_TOO_BIG);
    assert_int_equal(parse_sizes(62, 63, 3), OK);          /* 254 octets */
    assert_int_equal(parse_sizes(63, 63, 3), ERR_TOO_BIG); /* 255 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
