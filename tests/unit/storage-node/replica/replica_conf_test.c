/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: the counterexamples of R9, R11, R13, R19..R21, R26. */
#include "tests/unit/storage-node/replica/trace.h"

static struct replica_conf *add_learner(struct vc *vc, int n)
{
    struct replica_conf next = *vc_conf(vc);
    next.learners[next.learner_count++] = vc->nodes[n].id;
    vc_make_conf(vc, &next);
    return vc_conf(vc);
}

/* "The joiner is in both sets before the request to add it." A commits w with A and B while Add(C) is in
 * flight; the add succeeds; C, without w, is promoted and cuts w at B. */
static void the_joiner_counts_before_it_is_asked_for(void **state) /* R11, R21 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 3, "AB");
    settle(&vc, 500);
    add_learner(&vc, C);
    cut_link(&vc, A, DIR);
    vc_learn(&vc, A, 2);
    vc_learn(&vc, C, 2);
    settle(&vc, 900); /* C catches up, brings its lease along, and becomes joiner */
    heal_link(&vc, A, DIR);
    vc.now += 500 * MS;
    vc_beat(&vc, A, B);
    vc_beat(&vc, A, C);
    deliver(&vc, A, B, REPLICA_MSG_BEAT);
    deliver(&vc, A, C, REPLICA_MSG_BEAT);
    deliver(&vc, B, A, REPLICA_MSG_BEAT_ACK);
    deliver(&vc, C, A, REPLICA_MSG_BEAT_ACK);
    vc_tick(&vc, A);
    assert_true(on_its_way(&vc, A, DIR, MSG_ASK));

    write_one(&vc, A, 77); /* w */
    sync_disk(&vc, A);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B);
    deliver(&vc, B, A, REPLICA_MSG_ACK);
    assert_false(has_applied(&vc, A, 77)); /* C has it not */
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    sync_disk(&vc, C);
    deliver(&vc, C, A, REPLICA_MSG_ACK);
    assert_true(has_applied(&vc, A, 77));

    deliver(&vc, A, DIR, MSG_ASK);
    assert_int_equal(vc_conf(&vc)->member_count, 3);
    lose_all(&vc);
    trace_fini(&vc);
}

/* The same race would let A serve on B's promise alone. */
static void reads_wait_for_the_joiner_too(void **state) /* R11, R14 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 3, "AB");
    settle(&vc, 500);
    add_learner(&vc, C);
    cut_link(&vc, A, DIR);
    vc_learn(&vc, A, 2);
    vc_learn(&vc, C, 2);
    settle(&vc, 900);
    assert_true(vc_serving(&vc, A));
    cut_link(&vc, A, C);
    settle(&vc, 1100);
    assert_false(vc_serving(&vc, A)); /* B alone answers */
    heal_link(&vc, A, DIR);
    settle(&vc, 900); /* to give the joiner up: Promote(e) by A itself */
    assert_true(vc_serving(&vc, A));
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

static void a_silent_member_is_evicted_and_comes_back(void **state) /* R9, R19, R21 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 3, "ABC");
    settle(&vc, 500);
    vc_crash(&vc, C, 0);
    settle(&vc, 1300);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    assert_true(vc_serving(&vc, A));
    write_one(&vc, A, 5);
    settle(&vc, 300); /* B learns the commit index by a beat */
    assert_true(has_applied(&vc, B, 5));
    vc_start(&vc, C);
    vc_learn(&vc, C, 1);
    settle(&vc, 4500); /* it asks Promote of an epoch that is gone, learns conf(2), asks to be learner */
    assert_int_equal(vc_conf(&vc)->member_count, 3);
    assert_true(has_applied(&vc, C, 5));
    trace_fini(&vc);
}

static void a_silent_primary_is_replaced(void **state) /* R10, R12, R19 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 3, "ABC");
    settle(&vc, 500);
    write_one(&vc, A, 5);
    settle(&vc, 300);
    vc_crash(&vc, A, 0);
    settle(&vc, 3200);
    int serving = vc_serving(&vc, B) ? B : C;
    assert_true(vc_serving(&vc, serving));
    assert_true(has_applied(&vc, serving, 5));
    vc_start(&vc, A);
    settle(&vc, 5000);
    assert_int_equal(vc_conf(&vc)->member_count, 3);
    assert_int_equal(info_of(&vc, A).role, REPLICA_MEMBER);
    trace_fini(&vc);
}

/* R9: started, active, log and leases stay; nothing is interrupted. */
static void a_primary_goes_on_over_a_small_change(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1); /* not acknowledged yet */
    add_learner(&vc, B);
    vc_conf(&vc)->learner_count = 0;
    vc_learn(&vc, A, 2);
    assert_true(info_of(&vc, A).active);
    assert_true(vc_serving(&vc, A));
    assert_int_equal(vc.nodes[A].failed, 0);
    deliver(&vc, A, B, REPLICA_MSG_APPEND); /* of epoch 1 */
    sync_disk(&vc, B);
    deliver(&vc, B, A, REPLICA_MSG_ACK);
    assert_false(has_applied(&vc, A, 1)); /* an Ack of epoch 1 does not count in 2 */
    settle(&vc, 300);
    assert_true(has_applied(&vc, A, 1));
    trace_fini(&vc);
}

/* R13: what is in the log still commits, but it was promised to more nodes: IN_DOUBT. */
static void falling_below_min_members_is_told(void **state)
{
    (void)state;
    struct vc vc;
    uint64_t value = 2;
    struct replica_cfg cfg = { .min_members = 2 };
    trace_init_cfg(&vc, 2, "AB", &cfg);
    settle(&vc, 500);
    cut_link(&vc, A, B);
    cut_link(&vc, B, DIR);
    write_one(&vc, A, 1);
    settle(&vc, 1700);
    assert_int_equal(vc_conf(&vc)->member_count, 2); /* B may return: without it nothing is taken */
    settle(&vc, 600);
    assert_int_equal(vc_conf(&vc)->member_count, 1);
    assert_int_equal(vc.nodes[A].failed, 1);
    assert_true(has_applied(&vc, A, 1));
    assert_true(vc_serving(&vc, A));
    assert_int_equal(vc_propose(&vc, A, &value, 1), ERR_UNAVAILABLE);
    heal_link(&vc, A, B);
    heal_link(&vc, B, DIR);
    settle(&vc, 5000);
    write_one(&vc, A, 3);
    settle(&vc, 300);
    assert_true(has_applied(&vc, B, 3));
    trace_fini(&vc);
}

static void the_losers_writes_are_in_doubt(void **state) /* R1 */
{
    (void)state;
    struct vc vc;
    uint64_t value = 2;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    struct replica_conf next = *vc_conf(&vc);
    next.primary = vc.nodes[B].id;
    next.since = 2;
    vc_make_conf(&vc, &next);
    vc_learn(&vc, A, 2);
    assert_int_equal(vc.nodes[A].failed, 1);
    assert_false(vc_serving(&vc, A));
    assert_int_equal(vc_propose(&vc, A, &value, 1), ERR_NOT_PRIMARY);
    assert_int_equal(info_of(&vc, A).primary.id, vc.nodes[B].id.id);
    lose_all(&vc);
    trace_fini(&vc);
}

/* "A node is its disk." */
static void a_member_without_a_record_takes_no_part(void **state) /* R26 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    add_learner(&vc, B);
    vc_conf(&vc)->learner_count = 0;
    vc_crash(&vc, B, 0);
    vdisk_lose(&vc.nodes[B].disk); /* the store id survived, the partition did not */
    vc_start(&vc, B);
    vc_learn(&vc, B, 2);
    vc_learn(&vc, A, 2);
    sync_disk(&vc, A);
    vc_beat(&vc, A, B);
    deliver(&vc, A, B, REPLICA_MSG_BEAT);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B);
    assert_false(on_its_way(&vc, B, A, REPLICA_MSG_BEAT_ACK));
    assert_false(on_its_way(&vc, B, A, REPLICA_MSG_ACK));
    settle(&vc, 6000); /* it has itself evicted, and comes back as a learner when the director adds it */
    assert_int_equal(vc_conf(&vc)->member_count, 1);
    add_learner(&vc, B);
    vc_learn(&vc, A, vc.epoch);
    vc_learn(&vc, B, vc.epoch);
    settle(&vc, 2000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

static void another_disk_is_another_node(void **state) /* R26 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    vc_crash(&vc, B, 0);
    vc_lose_disk(&vc, B);
    vc_start(&vc, B);
    vc_learn(&vc, B, 1);
    assert_int_equal(info_of(&vc, B).role, REPLICA_IDLE);
    settle(&vc, 1500);
    assert_int_equal(vc_conf(&vc)->member_count, 1);
    trace_fini(&vc);
}

static void a_configuration_that_cannot_be_is_ignored(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    struct replica_conf next = *vc_conf(&vc);
    next.primary = (struct replica_node){ .id = 9, .store = 9 }; /* no member */
    vc_make_conf(&vc, &next);
    vc_learn(&vc, A, 2);
    assert_int_equal(info_of(&vc, A).epoch, 1);
    assert_true(vc.nodes[A].reports & (1u << REPLICA_BAD_CONF));
    trace_fini(&vc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_joiner_counts_before_it_is_asked_for),
        cmocka_unit_test(reads_wait_for_the_joiner_too),
        cmocka_unit_test(a_silent_member_is_evicted_and_comes_back),
        cmocka_unit_test(a_silent_primary_is_replaced),
        cmocka_unit_test(a_primary_goes_on_over_a_small_change),
        cmocka_unit_test(falling_below_min_members_is_told),
        cmocka_unit_test(the_losers_writes_are_in_doubt),
        cmocka_unit_test(a_member_without_a_record_takes_no_part),
        cmocka_unit_test(another_disk_is_another_node),
        cmocka_unit_test(a_configuration_that_cannot_be_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
