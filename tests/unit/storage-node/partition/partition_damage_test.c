/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that cannot be read, and copies that differ (P9, R28). */
#include "storage-node/partition/lost.h"
#include "tests/unit/storage-node/partition/partition_fixture.h"

/* P9: damage stops this partition, answers who waits, and nothing else. */
static void test_damaged_row_stops_the_partition(void **state)
{
    struct fixture *f = *state;
    struct buf key = { 0 };
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    flush(f);
    write_log(f);
    flush(f);
    /* The entry's own log row, after it left memory: here, the record of another version. */
    struct kv_batch *batch = kv_batch_new(f->kv);
    record_key(PARTITION, &key);
    kv_batch_put(batch, KV_META, buf_slice(&key), SLICE_LIT("\x07 not a record"));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&key);
    apply(f);
    partition_close(&f->p);
    open_partition(f);
    assert_true(atomic_load(&f->pub.stopped));
    assert_int_equal(faults_count(f->faults), 1); /* a person is told */
    give_conf(f, 2, false, 0);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(last_answer(f), ERR_UNAVAILABLE);
    f->now.boot_ns += REPLICA_GRANT_NS;
    assert_int_equal(partition_tick(f->p, f->now), OK);
    give_conf(f, 2, false, f->last_ask.id); /* the only member: nothing is deleted */
    turn(f);
    assert_true(atomic_load(&f->pub.stopped));
    assert_int_equal(atomic_load(&f->pub.wiped), 0);
}

/* Put a record that cannot be read in place of the partition's and open it again. */
static void damage_record(struct fixture *f)
{
    struct buf key = { 0 };
    struct kv_batch *batch = kv_batch_new(f->kv);
    record_key(PARTITION, &key);
    kv_batch_put(batch, KV_META, buf_slice(&key), SLICE_LIT("\x07 not a record"));
    partition_close(&f->p);
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&key);
    open_partition(f);
}

/* The configuration as the other member leads it. */
static void give_others_conf(struct fixture *f, uint64_t epoch, bool with_self, uint64_t ask_id)
{
    struct replica_conf conf = { .epoch = epoch, .since = 2, .primary = other, .member_count = 1 };
    conf.members[0] = other;
    if (with_self)
        conf.members[conf.member_count++] = self;
    assert_int_equal(partition_conf(f->p, f->now, &conf, ask_id), OK);
}

static bool has_rows(struct fixture *f)
{
    struct buf lower = { 0 }, upper = { 0 };
    machine_key_range(PARTITION, &lower, &upper);
    struct kv_iter *it = kv_iter_new(f->kv, NULL, KV_STATE, buf_slice(&lower), buf_slice(&upper));
    bool found = kv_iter_seek(it, buf_slice(&lower));
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
    return found;
}

/* R28: a member whose rows cannot be read is evicted, wiped, and may begin again. */
static void test_damaged_member_leaves(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    turn(f);
    assert_true(has_rows(f));
    damage_record(f);
    give_others_conf(f, 2, true, 0);
    turn(f);
    assert_int_equal(f->last_ask.type, REPLICA_ASK_READ); /* what it has promised it cannot tell */
    give_others_conf(f, 2, true, f->last_ask.id);
    turn(f);
    assert_int_equal(f->last_ask.type, REPLICA_ASK_EVICT);
    assert_true(has_rows(f));
    give_others_conf(f, 3, false, f->last_ask.id);
    turn(f);
    assert_false(has_rows(f));
    assert_false(atomic_load(&f->pub.stopped));
    assert_int_equal(faults_count(f->faults), 0);
    assert_int_equal(info_of(f).last, 0);
    assert_int_equal(info_of(f).dep, 3);
    assert_int_equal(f->last_ask.type, REPLICA_ASK_ADD_LEARNER);
    struct board_copy copy; /* there is none, and its epoch must be told all the same (R27) */
    assert_false(partition_copy(f->p, &copy));
    assert_int_equal(partition_known(f->p), 3);
}

/* Rows went with a damaged table: the copy serves nothing, leaves and is wiped, after a further restart too.
 */
static void test_copy_that_lost_rows_leaves(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    turn(f);
    partition_close(&f->p);
    assert_int_equal(partition_lost_rows(NULL, f->kv, PARTITION), OK);
    open_partition(f);
    assert_true(atomic_load(&f->pub.stopped));
    assert_int_equal(info_of(f).dep, 1); /* what it has promised it still knows */
    partition_close(&f->p);
    open_partition(f);
    assert_true(atomic_load(&f->pub.stopped));
    assert_true(has_rows(f));
    give_others_conf(f, 2, true, 0);
    turn(f);
    give_others_conf(f, 2, true, f->last_ask.id);
    turn(f);
    assert_int_equal(f->last_ask.type, REPLICA_ASK_EVICT);
    give_others_conf(f, 3, false, f->last_ask.id);
    turn(f);
    assert_false(has_rows(f));
    assert_false(atomic_load(&f->pub.stopped));
    partition_close(&f->p);
    open_partition(f);
    assert_false(atomic_load(&f->pub.stopped));
}

/* What comes back of a copy that had been wiped is deleted. */
static void test_lost_rows_of_no_copy(void **state)
{
    struct fixture *f = *state;
    struct buf key = { 0 };
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    turn(f);
    partition_close(&f->p);
    struct kv_batch *batch = kv_batch_new(f->kv);
    record_key(PARTITION, &key);
    kv_batch_delete(batch, KV_META, buf_slice(&key));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    assert_true(has_rows(f));
    assert_int_equal(partition_lost_rows(NULL, f->kv, PARTITION), OK);
    assert_false(has_rows(f));
    struct kv_value value = { 0 };
    assert_int_equal(kv_get(f->kv, NULL, KV_META, buf_slice(&key), &value), ERR_NOT_FOUND);
    buf_fini(&key);
    open_partition(f);
}

/* What a later program keeps of its copies only that program can mark. */
static void test_lost_rows_of_a_later_program(void **state)
{
    struct fixture *f = *state;
    struct buf key = { 0 };
    struct kv_value value = { 0 };
    struct slice later = SLICE_LIT("\2 record");
    partition_close(&f->p);
    struct kv_batch *batch = kv_batch_new(f->kv);
    record_key(PARTITION, &key);
    kv_batch_put(batch, KV_META, buf_slice(&key), later);
    kv_batch_put(batch, KV_META, SLICE_LIT("F"), SLICE_LIT("\1\0\0\0\2"));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    assert_int_equal(partition_lost_rows(NULL, f->kv, PARTITION), ERR_UNSUPPORTED);
    assert_int_equal(kv_get(f->kv, NULL, KV_META, buf_slice(&key), &value), OK);
    assert_true(slice_eq(value.bytes, later));
    kv_value_release(&value);
    buf_fini(&key);
}

/* A row that one reader missed: all goes on until another can have the seat. */
static void test_some_damage_leaves_in_order(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    turn(f);
    atomic_store(&f->pub.damaged, true);
    f->now.boot_ns += (uint64_t)SWEEP_INTERVAL_MS * 1000000;
    assert_int_equal(partition_tick(f->p, f->now), OK);
    assert_int_equal(faults_count(f->faults), 1);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(last_answer(f), OK); /* the last copy goes on */
    f->now.boot_ns += REPLICA_GRANT_NS;
    give_others_conf(f, 2, true, 0);
    f->now.boot_ns += REPLICA_LEASE_NS;
    assert_int_equal(partition_tick(f->p, f->now), OK);
    assert_int_equal(f->last_ask.type, REPLICA_ASK_EVICT);
    give_others_conf(f, 3, false, f->last_ask.id);
    turn(f);
    assert_false(has_rows(f));
    assert_int_equal(faults_count(f->faults), 0);
}

static void run_check(struct fixture *f)
{
    Tern__CheckRequest request = TERN__CHECK_REQUEST__INIT;
    push(f, METHOD_CHECK, METHOD_MEMORY, &request.base, SLICE_NULL, 1000);
    turn(f);
    assert_int_equal(last_answer(f), OK);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(partition_tick(f->p, f->now), OK);
        turn(f);
    }
}

/* All rows are read as of one entry; another copy that has others is told to a person. */
static void test_copies_that_differ_are_told(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    turn(f);
    run_check(f);
    assert_int_equal(atomic_load(&f->stats.checks), 1);
    assert_int_equal(faults_count(f->faults), 0);
    struct replica_msg msg = { .type = REPLICA_MSG_CHECK, .peer = other, .epoch = 2 };
    msg.check.index = info_of(f).applied;
    assert_int_equal(partition_message(f->p, f->now, &msg), OK); /* of no member */
    assert_int_equal(faults_count(f->faults), 0);
    give_conf(f, 2, true, 0);
    assert_int_equal(partition_message(f->p, f->now, &msg), OK);
    assert_int_equal(faults_list(f->faults, &fault, 1), 1);
    assert_int_equal(fault.kind, FAULT_CHECKSUM);
    assert_int_equal(atomic_load(&f->stats.check_differences), 1);
    msg.check.index--; /* late, of another entry */
    assert_int_equal(partition_message(f->p, f->now, &msg), OK);
    assert_int_equal(atomic_load(&f->stats.check_differences), 1);
}

/* Damage that only applying meets: whoever waits for the same round hears IN_DOUBT. */
static void test_damage_met_while_applying(void **state)
{
    struct fixture *f = *state;
    struct buf key = { 0 }, row = { 0 };
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    push_alias(f, 1000);
    flush(f);
    write_log(f);
    partition_close(&f->p); /* entries 2 and 3 are in the log, not applied */
    struct kv_batch *batch = kv_batch_new(f->kv);
    log_key(PARTITION, 2, &key);
    log_row_begin(1, &row);
    buf_add_str(&row, "no entry");
    kv_batch_put(batch, KV_LOG, buf_slice(&key), buf_slice(&row));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&key);
    buf_fini(&row);
    open_partition(f);
    give_conf(f, 1, false, 0);
    turn(f);
    assert_false(atomic_load(&f->pub.stopped));
    give_conf(f, 2, false, f->last_ask.id);
    turn(f);
    assert_true(atomic_load(&f->pub.stopped));
    assert_int_equal(atomic_load(&f->pub.read_until), 0);
    assert_int_equal(info_of(f).applied, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_damaged_row_stops_the_partition),
        TEST(test_damaged_member_leaves),
        TEST(test_some_damage_leaves_in_order),
        TEST(test_copies_that_differ_are_told),
        TEST(test_damage_met_while_applying),
        TEST(test_copy_that_lost_rows_leaves),
        TEST(test_lost_rows_of_no_copy),
        TEST(test_lost_rows_of_a_later_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
