/* SPDX-License-Identifier: Apache-2.0 */
/* Members: the counterexamples of R2, R3, R5..R8. */
#include "tests/unit/storage-node/replica/trace.h"

/* Node `n` becomes primary of a new epoch with these members, told to nobody. */
static void make_primary(struct vc *vc, int n, const char *members)
{
    struct replica_conf next = *vc_conf(vc);
    next.primary = vc->nodes[n].id;
    next.since = next.epoch + 1;
    next.member_count = 0;
    for (const char *m = members; *m != '\0'; m++)
        next.members[next.member_count++] = vc->nodes[*m - 'A'].id;
    next.handover = false;
    vc_make_conf(vc, &next);
}

/* "The epoch is durable before the first send or ack in it." A sends nothing of epoch 1 before its own fsync
 * of it; what it sends later it may lose, but then it asks for a new epoch, and an old Ack counts for
 * nothing. */
static void a_lost_entry_never_shares_its_name(void **state) /* R3, R4 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 3, "ABC");
    assert_false(on_its_way(&vc, A, B, REPLICA_MSG_APPEND));
    settle(&vc, 500);
    write_one(&vc, A, 11); /* X as (1,2), sent before A's fsync */
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B);
    lose(&vc, A, C, REPLICA_MSG_APPEND);
    restart(&vc, A); /* A has lost X; B's Ack is on its way */
    vc_learn(&vc, A, 1);
    deliver(&vc, A, DIR, MSG_ASK);
    deliver(&vc, DIR, A, MSG_ANSWER);
    deliver(&vc, B, A, REPLICA_MSG_ACK);
    sync_disk(&vc, A);
    assert_int_equal(info_of(&vc, A).epoch, 2);
    assert_false(info_of(&vc, A).active);
    settle(&vc, 2000);
    write_one(&vc, A, 12); /* Y */
    settle(&vc, 300);
    for (int n = A; n <= C; n++) {
        assert_true(has_applied(&vc, n, 12));
        assert_false(has_applied(&vc, n, 11));
    }
    trace_fini(&vc);
}

/* "A log is cut only where an Append conflicts." B, told that it is no member, keeps w. */
static void becoming_a_learner_drops_nothing(void **state) /* R6 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B);
    uint64_t last = info_of(&vc, B).last;
    make_primary(&vc, A, "A");
    vc_learn(&vc, B, 2);
    assert_int_equal(info_of(&vc, B).last, last);
    restart(&vc, B);
    assert_int_equal(info_of(&vc, B).last, last);
    lose_all(&vc);
    trace_fini(&vc);
}

static void a_repeated_append_cuts_nothing(void **state) /* R6 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    repeat(&vc, A, B, REPLICA_MSG_APPEND);
    write_one(&vc, A, 2);
    vc_deliver(&vc, vc.pool_count - 1, false); /* the Append of 2 */
    uint64_t last = info_of(&vc, B).last;
    sync_disk(&vc, B);
    deliver(&vc, A, B, REPLICA_MSG_APPEND); /* that of 1, again */
    assert_int_equal(info_of(&vc, B).last, last);
    settle(&vc, 100);
    assert_true(has_applied(&vc, B, 2));
    trace_fini(&vc);
}

/* "Commit and ack only what was verified in this epoch." B has a stale entry that C, the new primary, has
 * not. */
static void stale_entries_are_neither_acked_nor_applied(void **state) /* R5, R7, R8 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 3, "ABC");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    write_one(&vc, A, 2);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B); /* B: barrier, 1, 2; C: barrier */
    lose_all(&vc);
    vc_crash(&vc, A, 0);
    make_primary(&vc, C, "BC");
    vc_learn(&vc, C, 2);
    sync_disk(&vc, C); /* C: barrier, barrier of 2 */
    vc_learn(&vc, B, 2);
    vc_beat(&vc, C, B);
    deliver(&vc, C, B, REPLICA_MSG_BEAT);
    assert_false(has_applied(&vc, B, 1));
    deliver(&vc, C, B, REPLICA_MSG_APPEND); /* the barrier: cuts 1 and 2 */
    assert_int_equal(info_of(&vc, B).last, 2);
    assert_false(on_its_way(&vc, B, C, REPLICA_MSG_ACK)); /* not before the disk has cut and barrier */
    sync_disk(&vc, B);
    deliver(&vc, B, C, REPLICA_MSG_ACK);
    vc.now += 1600 * MS;
    vc_tick(&vc, C);
    assert_true(info_of(&vc, C).active);
    settle(&vc, 400);
    assert_false(has_applied(&vc, B, 1));
    trace_fini(&vc);
}

/* "A beat's commit = 2 makes B apply its own stale entry 2": the same with an Append that stops before it. */
static void commit_reaches_only_what_was_verified(void **state) /* R8 */
{
    (void)state;
    struct vc vc;
    struct replica_cfg cfg = { .min_members = 1, .append_count_max = 1 };
    trace_init_cfg(&vc, 3, "ABC", &cfg);
    settle(&vc, 500);
    write_one(&vc, A, 1);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    write_one(&vc, A, 2);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B); /* B: barrier, 1, 2; C: barrier, 1 */
    sync_disk(&vc, C);
    lose_all(&vc);
    vc_crash(&vc, A, 0);
    cut_link(&vc, B, DIR);
    make_primary(&vc, C, "C");
    vc_learn(&vc, C, 2);
    settle(&vc, 1600);
    assert_int_equal(info_of(&vc, C).commit, 3);
    struct replica_conf next = *vc_conf(&vc);
    next.learners[next.learner_count++] = vc.nodes[B].id;
    vc_make_conf(&vc, &next);
    vc_learn(&vc, B, 3);
    vc_learn(&vc, C, 3);
    sync_disk(&vc, C);
    deliver(&vc, C, B, REPLICA_MSG_APPEND);
    deliver(&vc, B, C, REPLICA_MSG_REFUSE);
    deliver(&vc, C, B, REPLICA_MSG_APPEND); /* entry 2 with commit 3: B keeps it, and its stale entry 3 */
    assert_int_equal(info_of(&vc, B).commit, 2);
    assert_false(has_applied(&vc, B, 2));
    settle(&vc, 1000);
    trace_fini(&vc);
}

/* R7: "also for entries this node wrote as a former primary and never synced." */
static void an_ack_speaks_for_the_disk(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    sync_disk(&vc, B); /* B has 1 on disk, A only in memory */
    lose_all(&vc);
    make_primary(&vc, B, "AB");
    vc_learn(&vc, B, 2);
    sync_disk(&vc, B);
    deliver(&vc, B, A, REPLICA_MSG_APPEND); /* 1, which A keeps, and the barrier */
    assert_int_equal(info_of(&vc, A).role, REPLICA_IDLE);
    assert_false(on_its_way(&vc, A, B, REPLICA_MSG_ACK));
    sync_disk(&vc, A);
    deliver(&vc, A, B, REPLICA_MSG_ACK);
    vc.now += 1600 * MS;
    vc_tick(&vc, B);
    assert_true(has_applied(&vc, B, 1));
    lose_all(&vc);
    trace_fini(&vc);
}

static void a_gap_is_refused_and_filled(void **state) /* R5 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    lose(&vc, A, B, REPLICA_MSG_APPEND);
    write_one(&vc, A, 2);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    deliver(&vc, B, A, REPLICA_MSG_REFUSE);
    deliver(&vc, A, B, REPLICA_MSG_APPEND); /* both */
    sync_disk(&vc, A);
    sync_disk(&vc, B);
    deliver(&vc, B, A, REPLICA_MSG_ACK);
    assert_true(has_applied(&vc, A, 2));
    trace_fini(&vc);
}

static void what_is_lost_is_sent_again(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    lose(&vc, A, B, REPLICA_MSG_APPEND);
    settle(&vc, 300);
    assert_true(has_applied(&vc, A, 1));
    trace_fini(&vc);
}

/* R2; and the answer says nothing of where the logs join, so the primary must not take it for that. */
static void an_append_of_the_past_is_refused_without_harm(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    write_one(&vc, A, 1);
    repeat(&vc, A, B, REPLICA_MSG_APPEND); /* one more of it is still on its way */
    sync_disk(&vc, A);
    sync_disk(&vc, B);
    deliver(&vc, B, A, REPLICA_MSG_ACK);
    sync_disk(&vc, A);
    vc_trim(&vc, A, info_of(&vc, A).applied);
    struct replica_conf next = *vc_conf(&vc); /* something small changes: the same primary goes on (R9) */
    vc_make_conf(&vc, &next);
    vc_learn(&vc, A, 2);
    vc_learn(&vc, B, 2);
    deliver(&vc, A, B, REPLICA_MSG_APPEND);
    deliver(&vc, B, A, REPLICA_MSG_REFUSE);
    settle(&vc, 500);
    write_one(&vc, A, 2);
    settle(&vc, 50);
    assert_true(has_applied(&vc, A, 2));
    trace_fini(&vc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lost_entry_never_shares_its_name),
        cmocka_unit_test(becoming_a_learner_drops_nothing),
        cmocka_unit_test(a_repeated_append_cuts_nothing),
        cmocka_unit_test(stale_entries_are_neither_acked_nor_applied),
        cmocka_unit_test(commit_reaches_only_what_was_verified),
        cmocka_unit_test(an_ack_speaks_for_the_disk),
        cmocka_unit_test(a_gap_is_refused_and_filled),
        cmocka_unit_test(what_is_lost_is_sent_again),
        cmocka_unit_test(an_append_of_the_past_is_refused_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
