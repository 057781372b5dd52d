/* SPDX-License-Identifier: Apache-2.0 */
/* What addresses stood for: learned, too old, too many, forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "frontend/smtp/known.h"

static struct account accounts[KNOWN_ACCOUNTS_MAX + 1];

static struct store_targets targets_of(size_t count)
{
    for (size_t i = 0; i < count; i++)
        accounts[i].ref = (struct account_ref){ 100 + i, (uint32_t)i };
    return (struct store_targets){ .accounts = accounts, .account_count = count };
}

static void test_learn_and_forget(void **state)
{
    (void)state;
    struct known *k = known_new();
    struct arena arena = { 0 };
    struct store_targets t = targets_of(3), out;
    struct slice bob = SLICE_LIT("bob@example.test");
    assert_false(known_find(k, bob, 0, &arena, &out));
    known_learn(k, bob, &t, 1000);
    assert_true(known_find(k, bob, 1000 + KNOWN_AGE_MAX_MS, &arena, &out));
    assert_int_equal(out.account_count, 3);
    assert_int_equal(out.accounts[2].ref.id, 102);
    assert_int_equal(out.accounts[2].ref.home, 2);
    assert_false(known_find(k, bob, 1001 + KNOWN_AGE_MAX_MS, &arena, &out));
    assert_false(known_find(k, SLICE_LIT("bob@example.tes"), 1000, &arena, &out));
    t = targets_of(1);
    known_learn(k, bob, &t, 2000); /* the newest counts */
    assert_true(known_find(k, bob, 1001 + KNOWN_AGE_MAX_MS, &arena, &out));
    assert_int_equal(out.account_count, 1);
    t = targets_of(KNOWN_ACCOUNTS_MAX + 1); /* grown too large: what was known is wrong now */
    known_learn(k, bob, &t, 3000);
    assert_false(known_find(k, bob, 3000, &arena, &out));
    t = targets_of(1);
    known_learn(k, bob, &t, 3000);
    known_forget(k, bob);
    assert_false(known_find(k, bob, 3000, &arena, &out));
    known_free(&k);
    known_free(&k);
    arena_fini(&arena);
}

static bool knows(const struct known *k, int number, struct arena *arena)
{
    struct store_targets out;
    return known_find(k, slice_str(arena_printf(arena, "u%d@example.test", number)), 0, arena, &out);
}

static void test_bound(void **state)
{
    (void)state;
    struct known *k = known_new();
    struct arena arena = { 0 };
    struct store_targets t = targets_of(1);
    for (int i = 0; i < KNOWN_ADDRESSES_MAX; i++)
        known_learn(k, slice_str(arena_printf(&arena, "u%d@example.test", i)), &t, 0);
    known_learn(k, SLICE_LIT("u0@example.test"), &t, 0); /* seen again: not the oldest any more */
    known_learn(k, SLICE_LIT("new@example.test"), &t, 0);
    assert_true(knows(k, 0, &arena));
    assert_false(knows(k, 1, &arena));
    assert_true(knows(k, 2, &arena));
    known_free(&k);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learn_and_forget),
        cmocka_unit_test(test_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
