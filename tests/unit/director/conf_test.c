/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule of R20-R23 with what it allows and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "director/conf.h"

#define PROMOTE      TERN__CONF_CHANGE__CONF_PROMOTE
#define EVICT        TERN__CONF_CHANGE__CONF_EVICT
#define ADD          TERN__CONF_CHANGE__CONF_ADD
#define HANDOVER     TERN__CONF_CHANGE__CONF_HANDOVER
#define ADD_LEARNER  TERN__CONF_CHANGE__CONF_ADD_LEARNER
#define DROP_LEARNER TERN__CONF_CHANGE__CONF_DROP_LEARNER

/* "epoch primary/since members|learners" with 'h' behind the epoch for handover. */
static const char *text_of(const struct conf *conf)
{
    static char text[256];
    int n = snprintf(text, sizeof text, "%d%s %u/%d ", (int)conf->epoch, conf->handover ? "h" : "",
                     conf->primary, (int)conf->since);
    for (int i = 0; i < conf->member_count; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%u", i > 0 ? "," : "", conf->members[i]);
    n += snprintf(text + n, sizeof text - (size_t)n, "|");
    for (int i = 0; i < conf->learner_count; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%u", i > 0 ? "," : "", conf->learners[i]);
    return text;
}

/* Epoch 5, node 1 primary since 3, members 1 2 3, learner 4, made by a hand-over. */
static struct conf start(void)
{
    struct conf conf = { .partition = 7, .epoch = 5, .primary = 1, .since = 3, .handover = true };
    conf.member_count = 3;
    conf.members[0] = 1;
    conf.members[1] = 2;
    conf.members[2] = 3;
    conf.learner_count = 1;
    conf.learners[0] = 4;
    return conf;
}

static const struct {
    const char *rule;
    int change;
    uint64_t epoch;
    uint32_t asker, subject;
    bool unknown; /* the subject is no registered node, or about to be removed */
    enum err err;
    const char *next;
} rows[] = {
    /* R20 Promote: members minus the old primary; the new term begins with the new epoch */
    { "a member becomes primary", PROMOTE, 5, 2, 0, false, OK, "6 2/6 2,3|4" },
    { "another member likewise", PROMOTE, 5, 3, 3, false, OK, "6 3/6 2,3|4" },
    { "a restarted primary keeps its members and its term", PROMOTE, 5, 1, 0, false, OK, "6 1/3 1,2,3|4" },
    { "a learner may not", PROMOTE, 5, 4, 0, false, ERR_DENIED, NULL },
    { "a stranger may not", PROMOTE, 5, 9, 0, false, ERR_DENIED, NULL },
    /* R20 Evict */
    { "the primary drops a member", EVICT, 5, 1, 3, false, OK, "6 1/3 1,2|4" },
    { "a member may not drop another", EVICT, 5, 2, 3, false, ERR_DENIED, NULL },
    { "a member may leave", EVICT, 5, 2, 2, false, OK, "6 1/3 1,3|4" },
    { "a member may not drop the primary", EVICT, 5, 2, 1, false, ERR_DENIED, NULL },
    { "the primary not itself", EVICT, 5, 1, 1, false, ERR_INVALID, NULL },
    { "not who is no member", EVICT, 5, 1, 4, false, ERR_INVALID, NULL },
    /* R21 Add */
    { "a learner becomes a member", ADD, 5, 1, 4, false, OK, "6 1/3 1,2,3,4|" },
    { "only the primary adds", ADD, 5, 2, 4, false, ERR_DENIED, NULL },
    { "the joiner itself may not", ADD, 5, 4, 4, false, ERR_DENIED, NULL },
    { "not who is no learner", ADD, 5, 1, 9, false, ERR_INVALID, NULL },
    { "a member is one already", ADD, 5, 1, 2, false, ERR_EXISTS, NULL },
    { "not who is about to be removed", ADD, 5, 1, 4, true, ERR_INVALID, NULL },
    /* R22 HandOver: the old primary stays, the mark is set */
    { "the primary hands over", HANDOVER, 5, 1, 2, false, OK, "6h 2/6 1,2,3|4" },
    { "nobody takes over", HANDOVER, 5, 2, 2, false, ERR_DENIED, NULL },
    { "not to a learner", HANDOVER, 5, 1, 4, false, ERR_INVALID, NULL },
    { "not to itself", HANDOVER, 5, 1, 1, false, ERR_EXISTS, NULL },
    { "not to who is about to be removed", HANDOVER, 5, 1, 2, true, ERR_INVALID, NULL },
    /* R23 learners */
    { "the director adds a learner", ADD_LEARNER, 5, 0, 9, false, OK, "6 1/3 1,2,3|4,9" },
    { "the primary does", ADD_LEARNER, 5, 1, 9, false, OK, "6 1/3 1,2,3|4,9" },
    { "it does itself", ADD_LEARNER, 5, 9, 9, false, OK, "6 1/3 1,2,3|4,9" },
    { "nobody else", ADD_LEARNER, 5, 2, 9, false, ERR_DENIED, NULL },
    { "not an unregistered node", ADD_LEARNER, 5, 9, 9, true, ERR_INVALID, NULL },
    { "not twice", ADD_LEARNER, 5, 4, 4, false, ERR_EXISTS, NULL },
    { "not a member", ADD_LEARNER, 5, 0, 2, false, ERR_EXISTS, NULL },
    { "not node 0", ADD_LEARNER, 5, 0, 0, false, ERR_INVALID, NULL },
    { "a learner is dropped", DROP_LEARNER, 5, 0, 4, false, OK, "6 1/3 1,2,3|" },
    { "not a member by that way", DROP_LEARNER, 5, 0, 2, false, ERR_INVALID, NULL },
    { "who is none is none", DROP_LEARNER, 5, 0, 9, false, ERR_EXISTS, NULL },
    { "a stranger drops nobody", DROP_LEARNER, 5, 9, 4, false, ERR_DENIED, NULL },
    /* e = the epoch compared */
    { "an old epoch", PROMOTE, 4, 2, 0, false, ERR_CONFLICT, NULL },
    { "an epoch to come", EVICT, 6, 1, 3, false, ERR_CONFLICT, NULL },
    { "epoch 0", ADD, 0, 1, 4, false, ERR_CONFLICT, NULL },
    { "reading changes nothing", TERN__CONF_CHANGE__CONF_READ, 5, 1, 0, false, ERR_INVALID, NULL },
};

static void test_rules(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conf current = start(), next = { 0 }, untouched = { 0 };
        struct conf_request request = { (Tern__ConfChange)rows[i].change, rows[i].epoch, rows[i].asker,
                                        rows[i].subject };
        enum err err = conf_change(&current, &request, !rows[i].unknown, &next);
        if (err != rows[i].err)
            fail_msg("%s: %s", rows[i].rule, err_name(err));
        if (err == OK && strcmp(text_of(&next), rows[i].next) != 0)
            fail_msg("%s: %s", rows[i].rule, text_of(&next));
        if (err != OK)
            assert_memory_equal(&next, &untouched, sizeof next);
        struct conf same = start();
        assert_memory_equal(&current, &same, sizeof same);
    }
}

/* What must look at the node's own row: whatever makes it more than it was. */
static void test_who_is_taken_in(void **state)
{
    struct conf none = { 0 }, conf = start(), next;
    struct conf_request add = { ADD, 5, 1, 4 }, hand_over = { HANDOVER, 5, 1, 2 },
                        promote = { PROMOTE, 5, 2, 0 }, learner = { ADD_LEARNER, 5, 0, 9 },
                        evict = { EVICT, 5, 1, 3 };
    for (uint32_t node = 1; node <= 5; node++)
        assert_int_equal(conf_admits(&none, &conf, node), node <= 4);
    assert_int_equal(conf_change(&conf, &add, true, &next), OK);
    for (uint32_t node = 1; node <= 9; node++)
        assert_int_equal(conf_admits(&conf, &next, node), node == 4);
    assert_int_equal(conf_change(&conf, &hand_over, true, &next), OK);
    for (uint32_t node = 1; node <= 9; node++)
        assert_int_equal(conf_admits(&conf, &next, node), node == 2);
    assert_int_equal(conf_change(&conf, &learner, true, &next), OK);
    for (uint32_t node = 1; node <= 9; node++)
        assert_int_equal(conf_admits(&conf, &next, node), node == 9);
    assert_int_equal(conf_change(&conf, &promote, false, &next), OK);
    for (uint32_t node = 1; node <= 9; node++)
        assert_false(conf_admits(&conf, &next, node));
    assert_int_equal(conf_change(&conf, &evict, false, &next), OK);
    for (uint32_t node = 1; node <= 9; node++)
        assert_false(conf_admits(&conf, &next, node));
}

/* A retry of a request that has won finds the next epoch: never a second effect. */
static void test_repeat_is_conflict(void **state)
{
    struct conf first = start(), second, third;
    struct conf_request request = { PROMOTE, 5, 2, 0 };
    assert_int_equal(conf_change(&first, &request, true, &second), OK);
    assert_int_equal(conf_change(&second, &request, true, &third), ERR_CONFLICT);
}

/* R23: whatever is asked, a member is left, and the primary is one. */
static void test_always_valid(void **state)
{
    uint32_t seed = 1;
    struct conf conf = start();
    int changes = 0;
    for (int i = 0; i < 200000; i++) {
        seed = seed * 1664525 + 1013904223;
        struct conf_request request = { (Tern__ConfChange)((seed >> 8) % 7), conf.epoch, (seed >> 12) % 7,
                                        (seed >> 20) % 7 };
        struct conf next;
        if (conf_change(&conf, &request, true, &next) != OK)
            continue;
        assert_true(conf_is_valid(&next));
        assert_int_equal(next.epoch, conf.epoch + 1);
        assert_true((next.primary == conf.primary) == (next.since == conf.since));
        assert_true(!next.handover || request.change == HANDOVER);
        conf = next;
        changes++;
    }
    assert_true(changes > 1000);
}

static void test_limit(void **state)
{
    struct conf conf = start(), next;
    for (uint32_t node = 10; conf.member_count + conf.learner_count < CONF_NODES_MAX; node++) {
        struct conf_request request = { ADD_LEARNER, conf.epoch, 0, node };
        assert_int_equal(conf_change(&conf, &request, true, &next), OK);
        conf = next;
    }
    struct conf_request request = { ADD_LEARNER, conf.epoch, 0, 99 };
    assert_int_equal(conf_change(&conf, &request, true, &next), ERR_LIMIT);
}

static void test_create(void **state)
{
    uint32_t members[] = { 4, 2, 9 };
    struct conf conf = conf_create(3, 4, members, 3);
    assert_string_equal(text_of(&conf), "1 4/1 4,2,9|");
}

static void test_proto(void **state)
{
    struct conf conf = start(), back = { 0 };
    Tern__PartitionConf proto;
    conf_to_proto(&conf, &proto);
    assert_int_equal(conf_from_proto(&proto, &back), OK);
    assert_memory_equal(&conf, &back, sizeof conf);
    proto.primary = 9; /* no member */
    assert_int_equal(conf_from_proto(&proto, &back), ERR_CORRUPT);
    proto.primary = 1;
    proto.n_members = 0;
    assert_int_equal(conf_from_proto(&proto, &back), ERR_CORRUPT);
    proto.n_members = CONF_NODES_MAX + 1;
    assert_int_equal(conf_from_proto(&proto, &back), ERR_CORRUPT);
    conf_to_proto(&conf, &proto);
    proto.since = 6;
    assert_int_equal(conf_from_proto(&proto, &back), ERR_CORRUPT);
    uint32_t twice[] = { 2, 3 };
    conf_to_proto(&conf, &proto);
    proto.n_learners = 2;
    proto.learners = twice;
    assert_int_equal(conf_from_proto(&proto, &back), ERR_CORRUPT);
}

/* From one copy alone, far above every epoch there was; later configurations remember it (R29). */
static void test_recover(void **state)
{
    const uint32_t members[] = { 1, 2, 3 };
    struct conf conf = conf_create(7, 1, members, 3), next;
    conf = conf_recover(&conf, 4, 0);
    assert_true(conf_is_valid(&conf));
    assert_int_equal(conf.partition, 7);
    assert_int_equal(conf.epoch, 1 + CONF_RECOVER_STEP);
    assert_int_equal(conf.recovered, conf.epoch);
    assert_int_equal(conf.since, conf.epoch);
    assert_int_equal(conf.primary, 4);
    assert_int_equal(conf.member_count, 1);
    struct conf_request request = { TERN__CONF_CHANGE__CONF_ADD_LEARNER, conf.epoch, 0, 2 };
    assert_int_equal(conf_change(&conf, &request, true, &next), OK);
    assert_int_equal(next.recovered, conf.epoch);
    Tern__PartitionConf proto;
    struct conf back;
    conf_to_proto(&next, &proto);
    assert_int_equal(conf_from_proto(&proto, &back), OK);
    assert_int_equal(back.recovered, conf.epoch);
    next = conf_recover(&conf, 4, 5000); /* above what a node knows and the store has forgotten */
    assert_int_equal(next.epoch, 5000 + CONF_RECOVER_STEP);
    proto.recovered = proto.epoch + 1;
    assert_int_equal(conf_from_proto(&proto, &back), ERR_CORRUPT);
}

/* Above every epoch that is known, with nothing lost: nobody's mailbox has a new UIDVALIDITY (R27). */
static void test_go_on(void **state)
{
    (void)state;
    const uint32_t members[] = { 1, 2, 3 };
    uint32_t learners[CONF_NODES_MAX + 4];
    struct conf first = conf_create(7, 1, members, 3);
    first.handover = true;
    struct conf conf = conf_go_on(&first, 4, 9, members, 3);
    assert_true(conf_is_valid(&conf));
    assert_true(conf.partition == 7 && conf.epoch == 10 && conf.since == 10 && conf.primary == 4);
    assert_true(conf.member_count == 1 && conf.members[0] == 4 && conf.learner_count == 3);
    assert_true(conf.recovered == 0 && !conf.handover);
    conf = conf_recover(&first, 4, 9); /* with a loss, also above */
    assert_int_equal(conf.epoch, 9 + CONF_RECOVER_STEP);
    struct conf again = conf_go_on(&conf, 2, 3, NULL, 0); /* what is void stays so */
    assert_true(again.epoch == conf.epoch + 1 && again.recovered == conf.recovered);
    for (uint32_t i = 0; i < CONF_NODES_MAX + 4; i++)
        learners[i] = i + 10;
    conf = conf_go_on(&first, 4, 9, learners, CONF_NODES_MAX + 4);
    assert_true(conf_is_valid(&conf));
    assert_int_equal(conf.learner_count, CONF_NODES_MAX - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_go_on),           cmocka_unit_test(test_recover),
        cmocka_unit_test(test_rules),           cmocka_unit_test(test_repeat_is_conflict),
        cmocka_unit_test(test_always_valid),    cmocka_unit_test(test_limit),
        cmocka_unit_test(test_create),          cmocka_unit_test(test_proto),
        cmocka_unit_test(test_who_is_taken_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
