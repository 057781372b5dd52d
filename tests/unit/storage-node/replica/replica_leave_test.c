/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged copy leaves and comes back (R28). */
#include "tests/unit/storage-node/replica/trace.h"

static void init(struct vc *vc, int count, const char *members)
{
    trace_init(vc, count, members);
    settle(vc, 500);
    for (uint64_t i = 1; i <= 5; i++)
        write_one(vc, A, 100 + i);
    settle(vc, 500);
}

static bool is_member(const struct vc *vc, int n)
{
    const struct replica_conf *conf = &vc->confs[vc->epoch - 1];
    return vc_conf_has(conf->members, conf->member_count, vc->nodes[n].id);
}

static void a_backup_leaves_and_comes_back(void **state)
{
    (void)state;
    struct vc vc;
    init(&vc, 3, "ABC");
    vc_leave(&vc, B);
    assert_true(info_of(&vc, B).leaving);
    assert_true(on_its_way(&vc, B, DIR, MSG_ASK)); /* at once, to be evicted */
    deliver(&vc, B, DIR, MSG_ASK);
    assert_false(is_member(&vc, B));
    assert_int_equal(info_of(&vc, B).last, 6); /* nothing is deleted before it knows */
    deliver(&vc, DIR, B, MSG_ANSWER);
    assert_false(info_of(&vc, B).leaving && info_of(&vc, B).last > 0);
    settle(&vc, 3000);
    assert_false(info_of(&vc, B).leaving);
    assert_true(is_member(&vc, B));
    assert_true(has_applied(&vc, B, 105));
    trace_fini(&vc);
}

static void a_primary_falls_silent(void **state)
{
    (void)state;
    struct vc vc;
    init(&vc, 3, "ABC");
    assert_true(vc_serving(&vc, A));
    vc_leave(&vc, A);
    assert_false(vc_serving(&vc, A));
    assert_false(on_its_way(&vc, A, DIR, MSG_ASK)); /* R20: it cannot be evicted */
    settle(&vc, 6000);
    assert_true(is_member(&vc, A));
    assert_true(info_of(&vc, B).active || info_of(&vc, C).active);
    assert_false(info_of(&vc, A).leaving);
    trace_fini(&vc);
}

static void who_leaves_grants_and_acks_nothing(void **state)
{
    (void)state;
    struct vc vc;
    init(&vc, 3, "ABC");
    vc_leave(&vc, B);
    lose_all(&vc);
    cut_link(&vc, B, DIR);
    cut_link(&vc, A, DIR);
    write_one(&vc, A, 7);
    settle(&vc, 1500);
    assert_false(vc_serving(&vc, A)); /* its lease of B ran out */
    assert_false(has_applied(&vc, A, 7));
    assert_int_equal(info_of(&vc, B).last, 6); /* and not wiped while it is counted */
    heal_link(&vc, B, DIR);
    heal_link(&vc, A, DIR);
    settle(&vc, 5000);
    assert_true(has_applied(&vc, B, 7));
    trace_fini(&vc);
}

static void the_last_copy_stays(void **state)
{
    (void)state;
    struct vc vc;
    init(&vc, 1, "A");
    vc_leave(&vc, A);
    assert_int_equal(vc.nodes[A].last_reject, ERR_CONFLICT);
    assert_true(vc.nodes[A].reports & 1u << REPLICA_LAST_COPY);
    assert_true(info_of(&vc, A).active);
    trace_fini(&vc);
}

/* What it wiped it must not be made to lead by an older map, nor acknowledge as if it had it. */
static void a_restart_with_an_older_map_leads_nothing(void **state)
{
    (void)state;
    struct vc vc;
    init(&vc, 2, "AB");
    vc_leave(&vc, A);
    settle(&vc, 1700); /* B has taken over */
    vc_learn(&vc, A, vc.epoch);
    sync_disk(&vc, A);
    restart(&vc, A);
    vc_learn(&vc, A, 1);
    assert_int_equal(info_of(&vc, A).role, REPLICA_IDLE);
    assert_true(info_of(&vc, A).epoch > 1);
    settle(&vc, 4000);
    assert_true(has_applied(&vc, A, 105));
    trace_fini(&vc);
}

/* A learner may be joiner in the primary's eyes: it is dropped before it is wiped. */
static void a_learner_asks_to_be_dropped(void **state)
{
    (void)state;
    struct vc vc;
    init(&vc, 2, "A");
    struct replica_conf next = *vc_conf(&vc);
    next.learners[next.learner_count++] = vc.nodes[B].id;
    vc_make_conf(&vc, &next);
    vc_learn(&vc, A, 2);
    vc_learn(&vc, B, 2);
    cut_link(&vc, A, DIR);
    settle(&vc, 500);
    assert_true(has_applied(&vc, B, 105));
    lose_all(&vc);
    vc_leave(&vc, B);
    assert_int_equal(info_of(&vc, B).last, 6);
    assert_true(on_its_way(&vc, B, DIR, MSG_ASK));
    deliver(&vc, B, DIR, MSG_ASK);
    assert_int_equal(vc_conf(&vc)->learner_count, 0);
    heal_link(&vc, A, DIR);
    settle(&vc, 4000);
    assert_true(is_member(&vc, B));
    trace_fini(&vc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backup_leaves_and_comes_back),
        cmocka_unit_test(a_primary_falls_silent),
        cmocka_unit_test(who_leaves_grants_and_acks_nothing),
        cmocka_unit_test(the_last_copy_stays),
        cmocka_unit_test(a_restart_with_an_older_map_leads_nothing),
        cmocka_unit_test(a_learner_asks_to_be_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
