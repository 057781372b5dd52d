/* SPDX-License-Identifier: Apache-2.0 */
/* Every kind of entry says which state-machine version brought it. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

static const struct {
    uint32_t number;
    enum method_kind kind;
} methods[] = {
#define METHOD_ROW_(symbol, number, kind, proto, func) { number, METHOD_##kind },
    METHOD_LIST(METHOD_ROW_)
#undef METHOD_ROW_
};

static void assert_named(uint32_t kind)
{
    if (machine_since(kind) < 1 || machine_since(kind) > MACHINE_VERSION)
        fail_msg("%s (%u) has no version: storage-node/mailbox/since.c", method_name(kind), kind);
}

static void test_every_method_that_writes_has_a_row(void **state)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (methods[i].kind == METHOD_WRITE)
            assert_named(methods[i].number);
        else
            assert_int_equal(machine_since(methods[i].number), 0);
    }
}

static void test_every_entry_of_the_primarys_own_has_a_row(void **state)
{
    for (uint32_t kind = ENTRY_BARRIER; kind < ENTRY_END; kind++)
        assert_named(kind);
    assert_int_equal(machine_since(ENTRY_END), 0);
}

static void test_what_is_no_method_has_none(void **state)
{
    assert_int_equal(machine_since(METHOD_NONE), 0);
    assert_int_equal(machine_since(UINT32_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_method_that_writes_has_a_row),
        cmocka_unit_test(test_every_entry_of_the_primarys_own_has_a_row),
        cmocka_unit_test(test_what_is_no_method_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
