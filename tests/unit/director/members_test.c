/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of the servers that keep the coordination store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "director/director_priv.h"

enum { NOW = 1000 * 1000 };

struct fake {
    struct coordination base;
    struct coordination_member members[COORDINATION_MEMBERS_MAX];
    size_t count;
    const char *leader; /* another that leads; "": none */
};

static bool leads(struct coordination *c)
{
    return false;
}

static void leader(struct coordination *c, struct buf *out)
{
    buf_add_str(out, ((struct fake *)c)->leader);
}

static size_t members(struct coordination *c, struct coordination_member out[static COORDINATION_MEMBERS_MAX])
{
    const struct fake *fake = (const struct fake *)c;
    memcpy(out, fake->members, sizeof fake->members);
    return fake->count;
}

static const struct coordination_ops ops = { .leads = leads, .leader = leader, .members = members };

/* All are well. */
static struct fake make(size_t count, const char *name)
{
    static const char *const endpoints[] = { "http://a:1", "http://b:2", "http://c:3", "http://d:4",
                                             "http://e:5" };
    struct fake fake = { .base.ops = &ops, .count = count, .leader = name };
    for (size_t i = 0; i < count; i++)
        fake.members[i] =
            (struct coordination_member){ .endpoint = endpoints[i], .health = COORDINATION_WELL };
    return fake;
}

static void fail_member(struct fake *fake, size_t i, enum coordination_health health, uint64_t for_ms,
                        const char *why)
{
    fake->members[i].health = health;
    fake->members[i].since_mono_ms = NOW - for_ms;
    strcpy(fake->members[i].why, why);
}

static void assert_problem(struct fake *fake, const char *expected)
{
    struct director d = { .coordination = &fake->base };
    struct buf out = { 0 };
    assert_int_equal(members_problem(&d, NOW, &out), expected[0] != '\0');
    assert_string_equal(buf_cstr(&out), expected);
    buf_fini(&out);
}

static void test_nothing_to_tell(void **state)
{
    static const struct coordination_ops embedded = { 0 };
    struct fake fake = make(3, "other");
    fake.members[1].health = COORDINATION_NOT_ASKED;
    strcpy(fake.members[1].why, "not known yet");
    assert_problem(&fake, "");
    fake.base.ops = &embedded;
    assert_problem(&fake, "");
    assert_true(coordination_is_led(&fake.base));
    assert_int_equal(coordination_members(NULL, fake.members), 0);
    assert_false(coordination_is_led(NULL));
}

static void test_one_of_three(void **state)
{
    struct fake fake = make(3, "other");
    fail_member(&fake, 2, COORDINATION_SILENT, 40 * 1000, "connection refused");
    assert_problem(&fake,
                   "etcd at http://c:3 has not answered for 40 s (connection refused): 2 of 3 are left, the "
                   "loss of one more stops changes. Start what is down; of what runs, see the log.");
    fail_member(&fake, 2, COORDINATION_UNWELL, 180 * 1000, "alarm:NOSPACE");
    assert_problem(&fake,
                   "etcd at http://c:3 has not been well for 3 min (alarm:NOSPACE): 2 of 3 are left, the "
                   "loss of one more stops changes. Start what is down; of what runs, see the log.");
}

static void test_one_of_five(void **state)
{
    struct fake fake = make(5, "other");
    fail_member(&fake, 0, COORDINATION_SILENT, 0, "timed out");
    assert_problem(
        &fake, "etcd at http://a:1 has not answered for 0 s (timed out): 4 of 5 are left, the loss of 2 more "
               "stops changes. Start what is down; of what runs, see the log.");
}

static void test_two_of_three(void **state)
{
    struct fake fake = make(3, "");
    fail_member(&fake, 0, COORDINATION_SILENT, 7000, "timed out");
    fail_member(&fake, 1, COORDINATION_UNWELL, 4000, "it knows no leader");
    assert_problem(
        &fake, "etcd at http://a:1 has not answered for 7 s (timed out), at http://b:2 has not been well for "
               "4 s (it knows no leader): 1 of 3 is left, 2 must be for anything to be changed. Start what "
               "is down; of what runs, see the log.");
    fake.leader = "other"; /* one that answers may keep its lease and refuse changes, if its disk is full */
    assert_problem(
        &fake, "etcd at http://a:1 has not answered for 7 s (timed out), at http://b:2 has not been well for "
               "4 s (it knows no leader): 1 of 3 is left, 2 must be for anything to be changed. Start what "
               "is down; of what runs, see the log.");
    fail_member(&fake, 1, COORDINATION_SILENT, 4000,
                "timed out"); /* so etcd is not as this director sees it */
    assert_problem(
        &fake,
        "etcd at http://a:1 has not answered for 7 s (timed out), at http://b:2 has not answered for 4 s "
        "(timed out): 1 of 3 is left, too few, but a director leads: it is the way from this one to "
        "etcd that is broken. Start what is down; of what runs, see the log.");
}

/* It stands among the problems, whether partitions are placed yet or not. */
static void test_problems(void **state)
{
    struct fake fake = make(3, "other");
    struct director d = { .coordination = &fake.base };
    struct summary sum = { 0 };
    char *texts[PROBLEMS_MAX];
    fail_member(&fake, 2, COORDINATION_SILENT, 40 * 1000, "connection refused");
    d.map.partition_count = 1;
    for (uint32_t placed = 0; placed <= 1; placed++) {
        bool found = false;
        struct conf conf = { .partition = 0, .epoch = placed };
        d.map.placed_count = placed;
        d.map.confs = &conf;
        size_t count = problems_find(&d, &sum, NOW, texts);
        for (size_t i = 0; i < count; i++) {
            found = found || strstr(texts[i], "etcd at http://c:3 has not answered") == texts[i];
            free(texts[i]);
        }
        assert_true(found);
    }
}

static void test_gauges(void **state)
{
    struct fake fake = make(3, "other");
    struct metric_gauge all = { 0 }, well = { 0 };
    struct director d = { .coordination = &fake.base, .figures = { .members = &all, .members_well = &well } };
    fail_member(&fake, 2, COORDINATION_UNWELL, 40 * 1000, "no space");
    members_gauges(&d);
    assert_int_equal(all.value, 3);
    assert_int_equal(well.value, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_tell), cmocka_unit_test(test_one_of_three),
        cmocka_unit_test(test_one_of_five),     cmocka_unit_test(test_two_of_three),
        cmocka_unit_test(test_problems),        cmocka_unit_test(test_gauges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
