/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "director/names.h"

static void test_domains(void **state)
{
    static const char *const good[] = { "example.test",
                                        "a",
                                        "a.b",
                                        "xn--bcher-kva.example",
                                        "1.2",
                                        "a-b.c--d",
                                        "a12345678901234567890123456789012345678901234567890123456789012.x" };
    static const char *const bad[] = {
        "",     ".",           "a.",    ".a",
        "a..b", "-a.b",        "a-.b",  "a.b-",
        "a_b",  "A.b",         "a b.c", "a/b",
        "a\n",  "b\xc3\xbc.x", "a.-b",  "a123456789012345678901234567890123456789012345678901234567890123.x"
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(names_is_domain(slice_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (names_is_domain(slice_str(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    }
    char longest[255];
    memset(longest, 'a', sizeof longest);
    for (size_t i = 50; i < sizeof longest; i += 50)
        longest[i] = '.';
    assert_true(names_is_domain(slice_of(longest, 253)));
    assert_false(names_is_domain(slice_of(longest, 254)));
}

static void test_settings(void **state)
{
    assert_true(names_is_setting(slice_str("scram.iterations_1")));
    assert_false(names_is_setting(slice_str("")));
    assert_false(names_is_setting(slice_str("a/b")));
    assert_false(names_is_setting(slice_str("A")));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_domains), cmocka_unit_test(test_settings) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
