/* SPDX-License-Identifier: Apache-2.0 */
/* Promises and leases: the counterexamples of R12, R14, R16, R17, R22. */
#include "tests/unit/storage-node/replica/trace.h"

/* "Promise per partition, and the new primary waits G after its own last promise." The A-B link is silent for
 * G; B asks to be promoted; the link heals and B answers A's beat again; the delayed compare-and-swap then
 * succeeds. */
static void late_promotion_waits_for_the_last_promise(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    assert_true(vc_serving(&vc, A));
    cut_link(&vc, A, DIR); /* or A would have B evicted */
    cut_link(&vc, B, DIR);
    cut_link(&vc, A, B);
    settle(&vc, 1600);
    assert_false(vc_serving(&vc, A));
    heal_link(&vc, B, DIR);
    vc.now += 500 * MS;
    vc_tick(&vc, B);
    assert_true(on_its_way(&vc, B, DIR, MSG_ASK));

    heal_link(&vc, A, B);
    vc_beat(&vc, A, B);
    deliver(&vc, A, B, REPLICA_MSG_BEAT);
    deliver(&vc, B, A, REPLICA_MSG_BEAT_ACK);
    assert_true(vc_serving(&vc, A)); /* again */

    deliver(&vc, B, DIR, MSG_ASK);
    deliver(&vc, DIR, B, MSG_ANSWER);
    sync_disk(&vc, B);
    assert_int_equal(info_of(&vc, B).role, REPLICA_PRIMARY);
    assert_false(info_of(&vc, B).active); /* alone in conf(2), barrier on disk, and still it waits */
    vc.now += 990 * MS;
    vc_tick(&vc, B);
    assert_true(vc_serving(&vc, A));
    vc.now += 600 * MS; /* G since the promise; A's lease ended L after its beat */
    vc_tick(&vc, B);
    assert_false(vc_serving(&vc, A));
    assert_true(vc_serving(&vc, B));
    lose_all(&vc);
    trace_fini(&vc);
}

/* "At process start all promises count as made now." B answers A, restarts, learns that it is primary. */
static void a_restart_does_not_forget_promises(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    vc_beat(&vc, A, B);
    deliver(&vc, A, B, REPLICA_MSG_BEAT);
    deliver(&vc, B, A, REPLICA_MSG_BEAT_ACK);
    restart(&vc, B);
    struct replica_conf next = *vc_conf(&vc);
    next.primary = vc.nodes[B].id;
    next.since = 2;
    next.member_count = 1;
    next.members[0] = next.primary;
    vc_make_conf(&vc, &next);
    vc_learn(&vc, B, 2);
    sync_disk(&vc, B);
    assert_true(vc_serving(&vc, A));
    assert_false(info_of(&vc, B).active);
    vc.now += 1499 * MS;
    vc_tick(&vc, B);
    assert_false(info_of(&vc, B).active);
    vc.now += 2 * MS;
    vc_tick(&vc, B);
    assert_true(info_of(&vc, B).active);
    lose_all(&vc);
    trace_fini(&vc);
}

/* "A lease runs from when the beat was sent": an answer that took L brings nothing. */
static void a_lease_runs_from_the_sending(void **state) /* R17 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    vc_beat(&vc, A, B);
    uint64_t sent = vc.now;
    vc.now += 900 * MS;
    deliver(&vc, A, B, REPLICA_MSG_BEAT);
    deliver(&vc, B, A, REPLICA_MSG_BEAT_ACK);
    assert_true(vc.nodes[A].lease_until == sent + REPLICA_LEASE_NS);
    assert_true(vc_serving(&vc, A));
    vc.now += 101 * MS;
    assert_false(vc_serving(&vc, A)); /* by the clock alone: no tick came (R14) */
    lose_all(&vc);
    trace_fini(&vc);
}

static void an_older_answer_does_not_shorten(void **state) /* R17: the newest wins */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    vc_beat(&vc, A, B);
    vc.now += 100 * MS;
    vc_beat(&vc, A, B);
    uint64_t sent = vc.now;
    vc_deliver(&vc, 1, false); /* the second beat */
    deliver(&vc, B, A, REPLICA_MSG_BEAT_ACK);
    deliver(&vc, A, B, REPLICA_MSG_BEAT);
    deliver(&vc, B, A, REPLICA_MSG_BEAT_ACK);
    assert_true(vc.nodes[A].lease_until == sent + REPLICA_LEASE_NS);
    trace_fini(&vc);
}

static void no_promise_to_a_primary_of_the_past(void **state) /* R16 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 3, "ABC");
    settle(&vc, 500);
    vc_beat(&vc, A, C);
    struct replica_conf next = *vc_conf(&vc);
    next.primary = vc.nodes[B].id;
    next.since = 2;
    next.member_count = 2;
    next.members[0] = vc.nodes[B].id;
    next.members[1] = vc.nodes[C].id;
    vc_make_conf(&vc, &next);
    vc_learn(&vc, C, 2);
    deliver(&vc, A, C, REPLICA_MSG_BEAT);
    assert_false(on_its_way(&vc, C, A, REPLICA_MSG_BEAT_ACK));
    deliver(&vc, C, A, REPLICA_MSG_REFUSE); /* but A gets to know that there is something to ask for */
    assert_true(on_its_way(&vc, A, DIR, MSG_ASK));
    deliver(&vc, A, DIR, MSG_ASK);
    deliver(&vc, DIR, A, MSG_ANSWER);
    assert_int_equal(info_of(&vc, A).role, REPLICA_IDLE);
    lose_all(&vc);
    trace_fini(&vc);
}

/* Committing and answering need no lease (R13); a read does (R14). */
static void commits_need_no_lease(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    vc.now += 1200 * MS;
    assert_false(vc_serving(&vc, A));
    write_one(&vc, A, 5);
    sync_disk(&vc, A);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B);
    deliver(&vc, B, A, REPLICA_MSG_ACK);
    assert_true(has_applied(&vc, A, 5));
    assert_false(vc_serving(&vc, A));
    lose_all(&vc);
    trace_fini(&vc);
}

/* R12, R22: the old primary stops before it asks; so the heir need not wait. */
static void a_handover_stops_first_and_waits_for_nothing(void **state)
{
    (void)state;
    struct vc vc;
    uint64_t value = 9;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    settle(&vc, 50);
    vc_handover(&vc, A, B);
    assert_false(vc_serving(&vc, A));
    assert_int_equal(vc_propose(&vc, A, &value, 1), ERR_UNAVAILABLE);
    uint64_t before = vc.now;
    settle(&vc, 250);
    assert_int_equal(info_of(&vc, A).role, REPLICA_MEMBER); /* it stays a member */
    assert_true(vc_serving(&vc, B));
    assert_true(vc.now - before < REPLICA_LEASE_NS);
    write_one(&vc, B, 2);
    settle(&vc, 50);
    assert_true(has_applied(&vc, B, 2));
    trace_fini(&vc);
}

/* R22: after the request only a learned configuration gives the seat back. */
static void an_unanswered_handover_ends_by_promoting_oneself(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    cut_link(&vc, A, DIR);
    vc_handover(&vc, A, B);
    settle(&vc, 1000);
    assert_false(vc_serving(&vc, A));
    assert_false(info_of(&vc, A).accepting);
    settle(&vc, 1000);
    heal_link(&vc, A, DIR);
    settle(&vc, 600);
    assert_int_equal(vc_conf(&vc)->epoch, 2);
    assert_true(info_of(&vc, A).accepting);
    assert_true(vc_serving(&vc, A));
    trace_fini(&vc);
}

/* R8, R5: what was verified is forgotten by a restart; while nobody writes, beats alone must bring it back
 * (cluster_sim, weather 3, seed 8). */
static void an_idle_member_applies_after_a_restart(void **state)
{
    struct vc vc;
    trace_init(&vc, 3, "ABC");
    settle(&vc, 1000);
    vc.lazy_apply = true; /* on every disk, committed, applied by nobody yet */
    write_one(&vc, A, 8);
    settle(&vc, 300);
    vc_crash(&vc, C, 0);
    vc.lazy_apply = false;
    vc_apply(&vc, A, info_of(&vc, A).commit);
    vc_apply(&vc, B, info_of(&vc, B).commit);
    vc_start(&vc, C);
    vc_learn(&vc, C, vc.epoch);
    settle(&vc, 1000);
    assert_true(has_applied(&vc, C, 8));
    assert_int_equal(info_of(&vc, C).commit, info_of(&vc, A).commit);
    trace_fini(&vc);
}

/* R19: epochs that change nothing but learners do not make a dead primary look alive (cluster_sim, weather 2,
 * seed 551). */
static void learners_do_not_hide_a_dead_primary(void **state)
{
    struct vc vc;
    trace_init(&vc, 4, "ABC");
    settle(&vc, 1000);
    vc_crash(&vc, A, 0);
    for (int i = 0; i < 8 && vc_conf(&vc)->primary.id == 1; i++) {
        struct replica_conf next = *vc_conf(&vc);
        next.learner_count = (uint8_t)(1 - next.learner_count);
        next.learners[0] = vc.nodes[D].id;
        vc_make_conf(&vc, &next);
        vc_learn(&vc, B, vc.epoch);
        vc_learn(&vc, C, vc.epoch);
        settle(&vc, 1000);
    }
    assert_int_not_equal(vc_conf(&vc)->primary.id, 1);
    trace_fini(&vc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_promotion_waits_for_the_last_promise),
        cmocka_unit_test(a_restart_does_not_forget_promises),
        cmocka_unit_test(a_lease_runs_from_the_sending),
        cmocka_unit_test(an_older_answer_does_not_shorten),
        cmocka_unit_test(no_promise_to_a_primary_of_the_past),
        cmocka_unit_test(commits_need_no_lease),
        cmocka_unit_test(a_handover_stops_first_and_waits_for_nothing),
        cmocka_unit_test(an_unanswered_handover_ends_by_promoting_oneself),
        cmocka_unit_test(an_idle_member_applies_after_a_restart),
        cmocka_unit_test(learners_do_not_hide_a_dead_primary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
