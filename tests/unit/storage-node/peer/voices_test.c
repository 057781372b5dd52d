/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage-node/peer/voices.h"

static const struct replica_node one = { .store = 5, .id = 1 }, again = { .store = 6, .id = 1 };

static void test_versions_of_both(void **state)
{
    static const struct {
        struct peer_speech a, b;
        uint8_t version;
    } rows[] = {
        { { 2, 2, 1 }, { 2, 2, 1 }, 2 }, { { 2, 4, 1 }, { 2, 2, 9 }, 2 }, { { 2, 4, 1 }, { 3, 5, 1 }, 4 },
        { { 2, 4, 1 }, { 4, 9, 1 }, 4 }, { { 2, 4, 1 }, { 5, 9, 1 }, 0 }, { { 2, 4, 1 }, { 1, 1, 1 }, 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(peer_version_of_both(rows[i].a, rows[i].b), rows[i].version);
        assert_int_equal(peer_version_of_both(rows[i].b, rows[i].a), rows[i].version);
    }
}

static void test_the_newest_word_counts(void **state)
{
    struct voices *k = voices_new((struct peer_speech){ PEER_VERSION_MIN, 4, 2 });
    assert_int_equal(voices_version(k, one), PEER_VERSION_MIN);
    assert_int_equal(voices_machine(k, one), 0);
    voices_hear(k, one, (struct peer_speech){ PEER_VERSION_MIN, 3, 7 });
    assert_int_equal(voices_version(k, one), 3);
    assert_int_equal(voices_machine(k, one), 7);
    assert_int_equal(voices_machine(k, again), 0); /* another disk is another node (R26) */
    voices_hear(k, one, (struct peer_speech){ PEER_VERSION_MIN, 9, 1 });
    assert_int_equal(voices_version(k, one), 4);
    assert_int_equal(voices_machine(k, one), 1);
    voices_free(&k);
}

static void test_strangers_are_counted(void **state)
{
    struct voices *k = voices_new((struct peer_speech){ PEER_VERSION_MIN, 3, 1 });
    voices_hear(k, one, (struct peer_speech){ 4, 5, 1 });
    voices_hear(k, one, (struct peer_speech){ 4, 5, 1 });
    assert_int_equal(voices_strangers(k), 1);
    assert_int_equal(voices_version(k, one), PEER_VERSION_MIN);
    voices_hear(k, again, (struct peer_speech){ 1, 1, 1 });
    assert_int_equal(voices_strangers(k), 2);
    voices_hear(k, one, (struct peer_speech){ 3, 5, 1 });
    assert_int_equal(voices_strangers(k), 1);
    assert_int_equal(voices_version(k, one), 3);
    voices_free(&k);
}

/* Who comes when the table is full is spoken to as if it had said nothing. */
static void test_more_than_there_is_room_for(void **state)
{
    struct voices *k = voices_new((struct peer_speech){ PEER_VERSION_MIN, 3, 1 });
    for (uint32_t i = 1; i <= VOICES_MAX + 1; i++)
        voices_hear(k, (struct replica_node){ .store = i, .id = i }, (struct peer_speech){ 2, 3, 2 });
    assert_int_equal(voices_machine(k, (struct replica_node){ .store = 1, .id = 1 }), 2);
    struct replica_node last = { .store = VOICES_MAX + 1, .id = VOICES_MAX + 1 };
    assert_int_equal(voices_machine(k, last), 0);
    assert_int_equal(voices_version(k, last), PEER_VERSION_MIN);
    voices_hear(k, last, (struct peer_speech){ 9, 9, 2 });
    assert_int_equal(voices_strangers(k), 0);
    voices_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_of_both),
        cmocka_unit_test(test_the_newest_word_counts),
        cmocka_unit_test(test_strangers_are_counted),
        cmocka_unit_test(test_more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
