/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of many partitions that change at the same moment: a line for all that go the same way. */
#include "director/tell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void add(struct tell *t, uint32_t partition, Tern__ConfChange change, uint32_t asker, uint32_t subject,
                uint64_t now)
{
    const struct conf_request asked = { .change = change, .asker = asker, .subject = subject };
    tell_add(t, partition, &asked, now);
}

static void assert_text(const struct tell *t, size_t index, const char *text)
{
    struct buf out = { 0 };
    tell_text(t, index, &out);
    assert_string_equal(buf_cstr(&out), text);
    buf_fini(&out);
}

static void test_a_node_is_lost(void **state)
{
    struct tell t = { 0 };
    for (uint32_t p = 0; p < 1024; p++) {
        add(&t, p, TERN__CONF_CHANGE__CONF_EVICT, p % 2 + 1, 3, p);
        if (p % 3 == 0)
            add(&t, p, TERN__CONF_CHANGE__CONF_PROMOTE, 1, 1, p);
    }
    assert_int_equal(t.count, 2);
    assert_text(&t, 0, "node 3 is no member any more of 1024 partitions (0, 1, 2, 3 ...)");
    assert_text(
        &t, 1,
        "node 1 becomes the primary of 342 partitions (0, 3, 6, 9 ...), whose primary was lost or restarted");
    tell_fini(&t);
}

static void test_each_way(void **state)
{
    struct tell t = { 0 };
    add(&t, 7, TERN__CONF_CHANGE__CONF_HANDOVER, 1, 2, 0);
    add(&t, 8, TERN__CONF_CHANGE__CONF_HANDOVER, 3, 2, 0);
    add(&t, 9, TERN__CONF_CHANGE__CONF_HANDOVER, 1, 2, 0);
    add(&t, 7, TERN__CONF_CHANGE__CONF_ADD, 1, 2, 0);
    add(&t, 7, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, 2, 0);
    add(&t, 7, TERN__CONF_CHANGE__CONF_DROP_LEARNER, 0, 2, 0);
    assert_int_equal(t.count, 5);
    assert_text(&t, 0, "node 1 hands over to node 2: 2 partitions (7, 9)");
    assert_text(&t, 1, "node 3 hands over to node 2: 1 partition (8)");
    assert_text(&t, 2, "node 2 has caught up and is a member of 1 partition (7)");
    assert_text(&t, 3, "node 2 is to have a copy of 1 partition (7)");
    assert_text(&t, 4, "node 2 is not waited for any more in 1 partition (7)");
    tell_fini(&t);
}

static void test_when(void **state)
{
    struct tell t = { 0 };
    tell_flush(&t, 0, true);
    add(&t, 1, TERN__CONF_CHANGE__CONF_EVICT, 1, 3, 5000);
    add(&t, 2, TERN__CONF_CHANGE__CONF_EVICT, 1, 3, 5900);
    tell_flush(&t, 5999, false);
    assert_int_equal(t.count, 1);
    tell_flush(&t, 6000, false);
    assert_int_equal(t.count, 0);
    add(&t, 3, TERN__CONF_CHANGE__CONF_EVICT, 1, 3, 6001); /* a second of its own */
    tell_flush(&t, 6500, false);
    assert_int_equal(t.count, 1);
    tell_flush(&t, 0, true);
    assert_int_equal(t.count, 0);
    for (uint32_t node = 1; node <= 1000; node++) /* more ways than are gathered */
        add(&t, 3, TERN__CONF_CHANGE__CONF_EVICT, 1, node, 7000);
    assert_in_range(t.count, 1, 256);
    tell_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_node_is_lost),
        cmocka_unit_test(test_each_way),
        cmocka_unit_test(test_when),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
