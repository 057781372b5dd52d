/* SPDX-License-Identifier: Apache-2.0 */
/* One member: no message, no wait, no timer. */
#include "tests/unit/storage-node/replica/trace.h"

static void a_write_needs_only_the_disk(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 1, "A");
    assert_int_equal(info_of(&vc, A).role, REPLICA_PRIMARY);
    assert_false(info_of(&vc, A).active); /* the barrier is not on disk yet */
    sync_disk(&vc, A);
    assert_true(info_of(&vc, A).active);
    write_one(&vc, A, 7);
    assert_false(has_applied(&vc, A, 7));
    sync_disk(&vc, A);
    assert_true(has_applied(&vc, A, 7));
    assert_int_equal(vc.answers, 1);
    assert_int_equal(vc.pool_count, 0);
    trace_fini(&vc);
}

static void its_lease_never_ends_and_it_wants_no_tick(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 1, "A");
    sync_disk(&vc, A);
    assert_true(vc.nodes[A].lease_until == REPLICA_NEVER);
    assert_true(vc.nodes[A].next_tick == REPLICA_NEVER);
    trace_fini(&vc);
}

static void before_the_barrier_nothing_is_taken(void **state)
{
    (void)state;
    struct vc vc;
    uint64_t value = 1;
    trace_init(&vc, 1, "A");
    assert_int_equal(vc_propose(&vc, A, &value, 1), ERR_UNAVAILABLE);
    assert_false(vc_serving(&vc, A));
    trace_fini(&vc);
}

static void after_a_restart_it_asks_for_a_new_epoch(void **state) /* R4 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 1, "A");
    sync_disk(&vc, A);
    write_one(&vc, A, 1);
    sync_disk(&vc, A);
    write_one(&vc, A, 2); /* not on disk */
    restart(&vc, A);
    assert_false(vc_serving(&vc, A));
    vc_learn(&vc, A, 1);
    assert_int_equal(info_of(&vc, A).role, REPLICA_MEMBER);
    deliver(&vc, A, DIR, MSG_ASK);
    deliver(&vc, DIR, A, MSG_ANSWER);
    assert_int_equal(info_of(&vc, A).epoch, 2);
    sync_disk(&vc, A);
    assert_true(info_of(&vc, A).active); /* no other node was ever primary: nothing to wait for */
    assert_true(vc_serving(&vc, A));
    assert_true(has_applied(&vc, A, 1));
    assert_false(has_applied(&vc, A, 2));
    write_one(&vc, A, 3);
    sync_disk(&vc, A);
    assert_true(has_applied(&vc, A, 3));
    trace_fini(&vc);
}

static void with_the_director_down_it_asks_again(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 1, "A");
    sync_disk(&vc, A);
    restart(&vc, A);
    vc_learn(&vc, A, 1);
    lose(&vc, A, DIR, MSG_ASK);
    vc.now += 499 * MS;
    vc_tick(&vc, A);
    assert_false(on_its_way(&vc, A, DIR, MSG_ASK));
    vc.now += 2 * MS;
    vc_tick(&vc, A);
    deliver(&vc, A, DIR, MSG_ASK);
    lose(&vc, DIR, A, MSG_ANSWER); /* it happened, but A does not know */
    vc.now += 501 * MS;
    vc_tick(&vc, A);
    deliver(&vc, A, DIR, MSG_ASK); /* of an epoch that is gone: answered with what is */
    deliver(&vc, DIR, A, MSG_ANSWER);
    sync_disk(&vc, A);
    assert_true(info_of(&vc, A).active);
    trace_fini(&vc);
}

static void what_was_committed_is_applied_at_start(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 1, "A");
    sync_disk(&vc, A);
    write_one(&vc, A, 1);
    sync_disk(&vc, A); /* applied, but that batch is not synced: lost below */
    assert_int_equal(vc.nodes[A].disk.dur.applied, 1);
    restart(&vc, A);
    vc_learn(&vc, A, 1);
    settle(&vc, 100);
    assert_true(has_applied(&vc, A, 1));
    trace_fini(&vc);
}

static void too_much_at_once_is_busy(void **state)
{
    (void)state;
    struct vc vc;
    struct replica_cfg cfg = { .min_members = 1, .pending_count_max = 2 };
    uint64_t values[3] = { 1, 2, 3 };
    trace_init_cfg(&vc, 1, "A", &cfg);
    sync_disk(&vc, A);
    assert_int_equal(vc_propose(&vc, A, values, 3), ERR_BUSY);
    assert_int_equal(vc_propose(&vc, A, values, 2), OK);
    assert_int_equal(vc_propose(&vc, A, values + 2, 1), ERR_BUSY);
    sync_disk(&vc, A);
    assert_int_equal(vc_propose(&vc, A, values + 2, 1), OK);
    trace_fini(&vc);
}

static void below_min_members_no_write_is_taken(void **state) /* R13 */
{
    (void)state;
    struct vc vc;
    struct replica_cfg cfg = { .min_members = 2 };
    uint64_t value = 1;
    trace_init_cfg(&vc, 1, "A", &cfg);
    sync_disk(&vc, A);
    assert_true(vc_serving(&vc, A)); /* reads are */
    assert_int_equal(vc_propose(&vc, A, &value, 1), ERR_UNAVAILABLE);
    trace_fini(&vc);
}

static void a_restored_store_is_noticed(void **state) /* R27 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 1, "A");
    sync_disk(&vc, A);
    for (uint64_t epoch = 1; epoch < 3; epoch++) { /* to epoch 3 */
        restart(&vc, A);
        vc_learn(&vc, A, epoch);
        settle(&vc, 50);
    }
    assert_int_equal(info_of(&vc, A).epoch, 3);
    restart(&vc, A);
    vc.epoch = 2;
    vc_learn(&vc, A, 2); /* a pushed map may be old: no reason for alarm */
    assert_false(info_of(&vc, A).halted);
    vc.now += 60 * MS;
    vc_tick(&vc, A);
    deliver(&vc, A, DIR, MSG_ASK);
    deliver(&vc, DIR, A, MSG_ANSWER); /* but this was read for us */
    assert_true(info_of(&vc, A).halted);
    assert_true(vc.nodes[A].reports & (1u << REPLICA_RESTORED_STORE));
    assert_false(vc_serving(&vc, A));
    vc.epoch = 3;
    struct replica_conf next = *vc_conf(&vc);
    next.since = 4;
    vc_make_conf(&vc, &next); /* it goes on above every dep */
    vc_learn(&vc, A, 4);
    assert_false(info_of(&vc, A).halted);
    settle(&vc, 1600); /* another history: promises are waited for again */
    assert_true(vc_serving(&vc, A));
    trace_fini(&vc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_write_needs_only_the_disk),
        cmocka_unit_test(its_lease_never_ends_and_it_wants_no_tick),
        cmocka_unit_test(before_the_barrier_nothing_is_taken),
        cmocka_unit_test(after_a_restart_it_asks_for_a_new_epoch),
        cmocka_unit_test(with_the_director_down_it_asks_again),
        cmocka_unit_test(what_was_committed_is_applied_at_start),
        cmocka_unit_test(too_much_at_once_is_busy),
        cmocka_unit_test(below_min_members_no_write_is_taken),
        cmocka_unit_test(a_restored_store_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
