/* SPDX-License-Identifier: Apache-2.0 */
/* Copies, trimming, deletion: R24, R25 and what the simulator found around them. */
#include "tests/unit/storage-node/replica/trace.h"

/* A alone with `writes` writes and its log cut at the front up to `trim`; C (empty) is learner in conf(2),
 * told to both, nothing delivered yet. */
static void init_copy(struct vc *vc, uint64_t writes, uint64_t trim)
{
    trace_init(vc, 3, "A");
    settle(vc, 50);
    for (uint64_t i = 1; i <= writes; i++)
        write_one(vc, A, 100 + i);
    settle(vc, 50);
    if (trim > 0)
        vc_trim(vc, A, trim);
    struct replica_conf next = *vc_conf(vc);
    next.learners[next.learner_count++] = vc->nodes[C].id;
    vc_make_conf(vc, &next);
    vc_learn(vc, C, 2);
    vc_learn(vc, A, 2);
    sync_disk(vc, A);
}

static void a_whole_log_needs_no_snapshot(void **state) /* R5 */
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 0);
    deliver(&vc, A, C, REPLICA_MSG_APPEND); /* from beyond the commit index */
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    assert_true(on_its_way(&vc, A, C, REPLICA_MSG_APPEND)); /* from the beginning */
    settle(&vc, 1000);
    assert_true(has_applied(&vc, C, 110));
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

static void nothing_of_a_long_log_needs_one(void **state) /* R24 */
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 80, 0);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    assert_true(on_its_way(&vc, A, C, REPLICA_MSG_CHUNK));
    settle(&vc, 3000);
    assert_true(has_applied(&vc, C, 180));
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

static const struct replica_action *find_action(const struct replica_actions *actions, uint32_t type)
{
    for (uint32_t i = 0; i < actions->count; i++) {
        if (actions->list[i].type == type)
            return &actions->list[i];
    }
    return NULL;
}

/* A young partition's new primary comes from a restart that forgot what was committed: until it is active
 * there is no state to send, however long its log is. */
static void nothing_applied_is_no_state(void **state) /* R24 */
{
    (void)state;
    const struct replica_node self = { .store = 11, .id = 1 }, learner = { .store = 22, .id = 2 };
    struct replica_run run = { .first = 1, .epoch = 2 };
    struct replica_conf conf = { .epoch = 4,
                                 .since = 4,
                                 .primary = self,
                                 .member_count = 1,
                                 .members = { self },
                                 .learner_count = 1,
                                 .learners = { learner } };
    struct replica_event events[] = {
        { .type = REPLICA_EV_START,
          .start = { .record = true, .dep = 2, .last = 100, .runs = &run, .run_count = 1 } },
        { .type = REPLICA_EV_CONF, .conf = { .conf = &conf } },
        { .type = REPLICA_EV_DURABLE, .durable = { .token = 1 } },
        { .type = REPLICA_EV_MSG,
          .msg = { .type = REPLICA_MSG_REFUSE,
                   .peer = learner,
                   .epoch = 4,
                   .refuse = { .prev = 50, .nonce = 7 } } },
    };
    struct replica_cfg cfg = { .self = self, .min_members = 1 };
    struct replica *r = replica_new(&cfg);
    struct replica_actions actions = { 0 };
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        events[i].now = (i + 1) * MS;
        replica_step(r, &events[i], &actions);
    }
    assert_null(find_action(&actions, REPLICA_ACT_SNAP_SEND));
    const struct replica_action *sent = find_action(&actions, REPLICA_ACT_SEND);
    assert_non_null(sent);
    assert_int_equal(sent->send.type, REPLICA_MSG_APPEND);
    assert_int_equal(sent->send.append.prev_index, 0);
    replica_free(&r);
    replica_actions_fini(&actions);
}

static void a_cut_log_needs_one(void **state) /* R24 */
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    deliver(&vc, A, C, REPLICA_MSG_CHUNK);
    assert_false(on_its_way(&vc, C, A, REPLICA_MSG_CHUNK_ACK)); /* not before it is on disk */
    sync_disk(&vc, C);
    assert_true(vc.nodes[C].disk.dur.installing);
    for (int i = 0; i < 3; i++) {
        deliver(&vc, C, A, REPLICA_MSG_CHUNK_ACK);
        deliver(&vc, A, C, REPLICA_MSG_CHUNK);
        sync_disk(&vc, C);
    }
    assert_false(vc.nodes[C].disk.dur.installing);
    assert_int_equal(info_of(&vc, C).base, 11);
    assert_int_equal(info_of(&vc, C).commit, 11);
    deliver(&vc, C, A, REPLICA_MSG_ACK);
    settle(&vc, 1000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

/* "A late one would wipe a node that has meanwhile become a member." */
static void a_late_chunk_wipes_nobody(void **state)
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    repeat(&vc, A, C, REPLICA_MSG_CHUNK);
    struct vmsg *late = vc.pool[--vc.pool_count]; /* taken aside: settle() delivers all it finds */
    settle(&vc, 1000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    write_one(&vc, A, 1);
    settle(&vc, 300);
    uint64_t applied = info_of(&vc, C).applied;
    late->msg.epoch = vc.epoch;   /* even as of this epoch: its nonce is void, */
    late->msg.chunk.nonce -= 100; /* or even of an earlier process */
    vc.pool[vc.pool_count++] = late;
    deliver(&vc, A, C, REPLICA_MSG_CHUNK);
    assert_int_equal(info_of(&vc, C).applied, applied);
    assert_false(vc.nodes[C].disk.mem.installing);
    settle(&vc, 300);
    trace_fini(&vc);
}

/* "A crash in the middle would leave half a state." */
static void a_crash_in_the_middle_begins_again(void **state)
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    deliver(&vc, A, C, REPLICA_MSG_CHUNK);
    sync_disk(&vc, C);
    restart(&vc, C);
    assert_int_equal(vc.nodes[C].disk.mem.state[1], 0); /* wiped */
    assert_int_equal(info_of(&vc, C).last, 0);
    settle(&vc, 3000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    assert_true(has_applied(&vc, C, 110));
    trace_fini(&vc);
}

static void a_silent_sender_is_given_up(void **state)
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    deliver(&vc, A, C, REPLICA_MSG_CHUNK);
    cut_link(&vc, A, C);
    lose_all(&vc);
    settle(&vc, 3300);
    assert_false(vc.nodes[C].disk.mem.installing); /* wiped, ready for another */
    heal_link(&vc, A, C);
    settle(&vc, 3000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

/* At a low rate, with many copies under way, the next chunk is long in coming: meanwhile the last one is
 * repeated. */
static void a_slow_sender_is_not_given_up(void **state)
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    repeat(&vc, A, C, REPLICA_MSG_CHUNK);
    struct vmsg *first = vc.pool[--vc.pool_count]; /* taken aside: settle() delivers all it finds */
    sync_disk(&vc, C);
    cut_link(&vc, A, C);
    lose_all(&vc);
    for (int i = 0; i < 5; i++) {
        settle(&vc, 2000);
        vc.pool[vc.pool_count++] = first;
        repeat(&vc, A, C, REPLICA_MSG_CHUNK);
        vc.pool_count--;
    }
    assert_true(vc.nodes[C].disk.mem.installing);
    vc.pool[vc.pool_count++] = first;
    lose_all(&vc);
    settle(&vc, 3300);
    assert_false(vc.nodes[C].disk.mem.installing);
    heal_link(&vc, A, C);
    settle(&vc, 3000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

/* The epoch may grow while a snapshot comes in: the Ack that ends it must still come. */
static void a_copy_survives_a_small_change(void **state) /* R3, R9 */
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    deliver(&vc, A, C, REPLICA_MSG_CHUNK);
    struct replica_conf next = *vc_conf(&vc);
    vc_make_conf(&vc, &next);
    vc_learn(&vc, C, 3);
    vc_learn(&vc, A, 3);
    settle(&vc, 2000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

/* A nonce that was used up must not answer for a later snapshot. */
static void a_late_refuse_does_not_hang_the_copy(void **state)
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    repeat(&vc, C, A, REPLICA_MSG_REFUSE);
    struct vmsg *late = NULL;
    for (size_t i = 0; i < vc.pool_count; i++)
        if (vc.pool[i]->msg.type == REPLICA_MSG_REFUSE) {
            late = vc.pool[i];
            vc.pool[i] = vc.pool[--vc.pool_count];
        }
    assert_non_null(late);
    cut_link(&vc, A, DIR); /* it stays a learner */
    settle(&vc, 500);
    assert_true(has_applied(&vc, C, 110));
    vc.pool[vc.pool_count++] = late;
    deliver(&vc, C, A, REPLICA_MSG_REFUSE);
    heal_link(&vc, A, DIR);
    write_one(&vc, A, 1);
    settle(&vc, 3000);
    assert_true(has_applied(&vc, C, 1));
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

static void the_front_is_cut_up_to_what_is_applied(void **state) /* R25 */
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    for (uint64_t i = 1; i <= 5; i++)
        write_one(&vc, A, i);
    settle(&vc, 300);
    write_one(&vc, A, 6); /* not committed */
    vc_trim(&vc, A, 7);
    assert_int_equal(info_of(&vc, A).base, 6);
    vc_trim(&vc, A, 3); /* behind it: nothing */
    assert_int_equal(info_of(&vc, A).base, 6);
    settle(&vc, 300);
    restart(&vc, B); /* a member always joins again at the base */
    vc_learn(&vc, B, 1);
    settle(&vc, 500);
    write_one(&vc, A, 7);
    settle(&vc, 300);
    assert_true(has_applied(&vc, B, 7));
    trace_fini(&vc);
}

static void a_learner_in_catch_up_is_waited_for(void **state) /* R25 */
{
    (void)state;
    struct vc vc;
    init_copy(&vc, 10, 5);
    deliver(&vc, A, C, REPLICA_MSG_APPEND);
    deliver(&vc, C, A, REPLICA_MSG_REFUSE); /* the snapshot is of index 11 */
    for (uint64_t i = 1; i <= 5; i++)
        write_one(&vc, A, i);
    sync_disk(&vc, A);
    vc_trim(&vc, A, 16);
    assert_int_equal(info_of(&vc, A).base, 11);
    settle(&vc, 1000);
    assert_int_equal(vc_conf(&vc)->member_count, 2);
    trace_fini(&vc);
}

static void a_copy_is_deleted_only_if_nobody_counts_on_it(void **state)
{
    (void)state;
    struct vc vc;
    trace_init(&vc, 2, "AB");
    settle(&vc, 500);
    vc_drop_copy(&vc, B);
    assert_int_equal(vc.nodes[B].last_reject, ERR_CONFLICT);
    struct replica_conf next = *vc_conf(&vc);
    next.member_count = 1;
    vc_make_conf(&vc, &next);
    vc_learn(&vc, B, 2);
    vc_drop_copy(&vc, B);
    sync_disk(&vc, B);
    assert_false(vc.nodes[B].disk.dur.record);
    assert_true(info_of(&vc, B).halted);
    restart(&vc, B); /* with an older map, in which it is a member: R26 */
    vc_learn(&vc, B, 2);
    assert_int_equal(info_of(&vc, B).role, REPLICA_IDLE);
    lose_all(&vc);
    trace_fini(&vc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_log_needs_no_snapshot),
        cmocka_unit_test(nothing_of_a_long_log_needs_one),
        cmocka_unit_test(nothing_applied_is_no_state),
        cmocka_unit_test(a_cut_log_needs_one),
        cmocka_unit_test(a_late_chunk_wipes_nobody),
        cmocka_unit_test(a_crash_in_the_middle_begins_again),
        cmocka_unit_test(a_silent_sender_is_given_up),
        cmocka_unit_test(a_slow_sender_is_not_given_up),
        cmocka_unit_test(a_copy_survives_a_small_change),
        cmocka_unit_test(a_late_refuse_does_not_hang_the_copy),
        cmocka_unit_test(the_front_is_cut_up_to_what_is_applied),
        cmocka_unit_test(a_learner_in_catch_up_is_waited_for),
        cmocka_unit_test(a_copy_is_deleted_only_if_nobody_counts_on_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
