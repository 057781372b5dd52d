/* SPDX-License-Identifier: Apache-2.0 */
/* The state-machine version of a partition's entries (R30). */
#include "storage-node/partition/partition_priv.h"
#include "tests/unit/storage-node/partition/partition_fixture.h"

static uint8_t alias_since = 1; /* for the test in which it came later */

uint8_t machine_since(uint32_t method)
{
    return method == METHOD_ALIAS_PUT ? alias_since : 1;
}

static void reopen(struct fixture *f, uint8_t version_max)
{
    write_log(f);
    partition_close(&f->p);
    faults_free(&f->faults);
    f->faults = faults_new();
    memset(&f->pub, 0, sizeof f->pub);
    f->version_max = version_max;
    f->sends = f->asks = 0;
    open_partition(f);
}

static void tick(struct fixture *f)
{
    advance(f, 1000);
    assert_int_equal(partition_tick(f->p, f->now), OK);
    turn(f);
}

static void ack_all(struct fixture *f, uint64_t epoch)
{
    struct replica_msg ack = { .type = REPLICA_MSG_ACK, .peer = other, .epoch = epoch };
    ack.ack.match = info_of(f).last;
    assert_int_equal(partition_message(f->p, f->now, &ack), OK);
    turn(f);
}

static void begin_with_other(struct fixture *f)
{
    give_conf(f, 1, true, 0);
    turn(f);
    ack_all(f, 1);
    tick(f);
    tick(f);
    assert_true(info_of(f).active);
}

static void begin_alone(struct fixture *f)
{
    give_conf(f, 1, false, 0);
    turn(f);
    tick(f);
}

static uint8_t version_of_entry(struct fixture *f, uint64_t index)
{
    struct buf entry = { 0 }, body = { 0 };
    uint64_t epoch;
    assert_int_equal(partition_entry(f->p, index, &epoch, &entry, &body), OK);
    uint8_t version = entry_version(buf_slice(&entry));
    buf_fini(&entry);
    buf_fini(&body);
    return version;
}

static void test_it_begins_at_one(void **state)
{
    struct fixture *f = *state;
    reopen(f, 3);
    give_conf(f, 1, true, 0);
    turn(f);
    assert_int_equal(version_of_entry(f, 1), 1);
}

static void test_a_sole_member_raises_it_by_an_entry(void **state)
{
    struct fixture *f = *state;
    reopen(f, 3);
    begin_alone(f);
    assert_int_equal(info_of(f).applied, 2);
    assert_int_equal(version_of_entry(f, 1), 1);
    assert_int_equal(version_of_entry(f, 2), 3);
    assert_int_equal(f->p->applied.version, 3);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(version_of_entry(f, 3), 3);
    tick(f);
    assert_int_equal(info_of(f).last, 3); /* once */
    assert_int_equal(partition_version_next(f->p), REPLICA_NEVER);
}

static void test_it_is_the_lowest_that_all_speak(void **state)
{
    struct fixture *f = *state;
    reopen(f, 3);
    begin_with_other(f);
    assert_int_equal(info_of(f).last, 1);
    f->other_speaks = 1;
    tick(f);
    assert_int_equal(info_of(f).last, 1);
    f->other_speaks = 2;
    tick(f);
    assert_int_equal(info_of(f).last, 2);
    assert_int_equal(version_of_entry(f, 2), 2);
    assert_int_equal(f->p->applied.version, 1); /* the other has not stored it */
    ack_all(f, 1);
    assert_int_equal(f->p->applied.version, 2);
    f->other_speaks = 9;
    tick(f);
    assert_int_equal(version_of_entry(f, 3), 3); /* no more than this node's own */
}

static void test_a_learner_counts(void **state)
{
    struct fixture *f = *state;
    const struct replica_conf conf = { .epoch = 1,
                                       .since = 1,
                                       .primary = self,
                                       .member_count = 1,
                                       .members = { self },
                                       .learner_count = 1,
                                       .learners = { other } };
    reopen(f, 2);
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    turn(f);
    tick(f);
    assert_true(info_of(f).active);
    assert_int_equal(info_of(f).last, 1);
    f->other_speaks = 2;
    tick(f);
    assert_int_equal(info_of(f).last, 2);
}

/* What came with a version waits for it. */
static void test_a_newer_method_is_refused_until_all_speak_it(void **state)
{
    struct fixture *f = *state;
    alias_since = 2;
    reopen(f, 2);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(last_answer(f), ERR_NOT_PRIMARY); /* which others may be that speak more */
    begin_with_other(f);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(last_answer(f), ERR_UNSUPPORTED);
    assert_int_equal(info_of(f).last, 1);
    f->other_speaks = 2;
    tick(f);
    assert_int_equal(info_of(f).last, 2);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(info_of(f).last, 3);
    ack_all(f, 1);
    assert_int_equal(last_answer(f), OK);
    alias_since = 1;
}

/* What a new primary finds in its log counts, not what once was in it. */
static struct replica_entry entry_of(struct fixture *f, uint64_t epoch, uint32_t method, uint8_t version)
{
    struct entry_header header = { .version = version, .method = method, .time_ms = f->now.real_ms };
    struct buf bytes = { 0 };
    entry_encode(&header, SLICE_NULL, &bytes);
    struct log_entry *e = log_entry_new(buf_slice(&bytes), SLICE_NULL);
    buf_fini(&bytes);
    return (struct replica_entry){ epoch, log_entry_size(e), e };
}

static void append(struct fixture *f, uint64_t epoch, uint64_t prev, uint64_t prev_epoch,
                   struct replica_entry *entry)
{
    struct replica_msg msg = { .type = REPLICA_MSG_APPEND, .peer = other, .epoch = epoch };
    msg.append.prev_index = prev;
    msg.append.prev_epoch = prev_epoch;
    msg.append.count = 1;
    msg.append.entries = entry;
    assert_int_equal(partition_message(f->p, f->now, &msg), OK);
    turn(f);
}

static void become_member(struct fixture *f, uint64_t epoch)
{
    struct replica_conf conf = { .epoch = epoch, .since = epoch, .primary = other, .member_count = 2 };
    conf.members[0] = other;
    conf.members[1] = self;
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
}

static void become_primary(struct fixture *f, uint64_t epoch)
{
    struct replica_conf conf = { .epoch = epoch, .since = epoch, .primary = self, .member_count = 1 };
    conf.members[0] = self;
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    turn(f);
}

static void test_a_new_primary_goes_on_with_its_logs(void **state)
{
    struct fixture *f = *state;
    reopen(f, 3);
    become_member(f, 1);
    struct replica_entry barrier = entry_of(f, 1, ENTRY_BARRIER, 1), raise = entry_of(f, 1, ENTRY_VERSION, 2);
    append(f, 1, 0, 0, &barrier);
    append(f, 1, 1, 1, &raise); /* not applied: nobody says it is committed */
    assert_int_equal(f->p->applied.version, 0);
    become_primary(f, 2);
    assert_int_equal(version_of_entry(f, 3), 2);
}

static void test_what_was_cut_does_not_count(void **state)
{
    struct fixture *f = *state;
    reopen(f, 2);
    become_member(f, 1);
    struct replica_entry barrier = entry_of(f, 1, ENTRY_BARRIER, 1), raise = entry_of(f, 1, ENTRY_VERSION, 2),
                         other_barrier = entry_of(f, 2, ENTRY_BARRIER, 1);
    append(f, 1, 0, 0, &barrier);
    append(f, 1, 1, 1, &raise);
    become_member(f, 2);
    append(f, 2, 1, 1, &other_barrier); /* in the raise's place */
    assert_int_equal(info_of(f).last, 2);
    f->version_max = 2;
    become_primary(f, 3);
    assert_int_equal(version_of_entry(f, 3), 1);
}

/* ---- older programs */

static void assert_version_fault(struct fixture *f)
{
    struct fault fault;
    assert_int_equal(faults_list(f->faults, &fault, 1), 1);
    assert_int_equal(fault.kind, FAULT_VERSION);
    assert_non_null(strstr(fault.text, "speaks up to 1"));
}

static void test_an_older_program_does_not_start_with_newer_data(void **state)
{
    struct fixture *f = *state;
    reopen(f, 2);
    begin_alone(f);
    push_alias(f, 1000);
    turn(f);
    reopen(f, 1);
    assert_version_fault(f);
    assert_true(atomic_load(&f->pub.stopped));
    give_conf(f, 1, true, 0);
    give_conf(f, 2, true, 0);
    tick(f);
    advance(f, 10 * 1000);
    tick(f);
    assert_int_equal(partition_drop(f->p, f->now), OK);
    push_alias(f, 1000);
    assert_int_equal(last_answer(f), ERR_UNAVAILABLE);
    assert_int_equal(f->asks, 0); /* neither leaves nor leads */
    assert_int_equal(f->sends, 0);
    assert_null(f->jobs.first);
    assert_int_equal(faults_count(f->faults), 1);
    reopen(f, 2);
    assert_int_equal(faults_count(f->faults), 0);
    assert_int_equal(info_of(f).applied, 3);
    assert_int_equal(f->p->applied.version, 2);
}

/* The raise is in the log alone: nobody has said that it is committed. */
static void test_nor_with_a_newer_log(void **state)
{
    struct fixture *f = *state;
    reopen(f, 2);
    become_member(f, 1);
    struct replica_entry raise = entry_of(f, 1, ENTRY_VERSION, 2);
    append(f, 1, 0, 0, &raise);
    reopen(f, 1);
    assert_version_fault(f);
    assert_true(f->p->too_new);
}

static void test_an_older_member_takes_no_newer_entry(void **state)
{
    struct fixture *f = *state;
    reopen(f, 1);
    become_member(f, 1);
    struct replica_entry barrier = entry_of(f, 1, ENTRY_BARRIER, 1), raise = entry_of(f, 1, ENTRY_VERSION, 2);
    append(f, 1, 0, 0, &barrier);
    unsigned sends = f->sends;
    append(f, 1, 1, 1, &raise);
    assert_int_equal(info_of(f).last, 1);
    assert_int_equal(f->sends, sends);
    assert_version_fault(f);
    assert_false(atomic_load(&f->pub.stopped));
}

static void test_an_older_learner_takes_no_newer_copy(void **state)
{
    struct fixture *f = *state;
    const struct replica_conf conf = { .epoch = 2,
                                       .since = 1,
                                       .primary = other,
                                       .member_count = 1,
                                       .members = { other },
                                       .learner_count = 1,
                                       .learners = { self } };
    const struct partition_applied applied = { .index = 50, .version = 2 };
    struct buf key = { 0 }, value = { 0 }, rows = { 0 };
    reopen(f, 1);
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    applied_key(PARTITION, &key);
    applied_encode(&applied, &value);
    buf_add_byte(&rows, KV_META);
    buf_add_varbytes(&rows, buf_slice(&key));
    buf_add_varbytes(&rows, buf_slice(&value));
    struct replica_msg probe = { .type = REPLICA_MSG_APPEND, .peer = other, .epoch = 2 };
    probe.append.prev_index = probe.append.commit = 50;
    probe.append.prev_epoch = 2;
    assert_int_equal(partition_message(f->p, f->now, &probe), OK);
    struct replica_msg chunk = { .type = REPLICA_MSG_CHUNK, .peer = other, .epoch = 2 };
    chunk.chunk.term = chunk.chunk.index_epoch = 2;
    chunk.chunk.index = 50;
    chunk.chunk.last = true;
    chunk.chunk.handle = &rows;
    assert_int_equal(partition_message(f->p, f->now, &chunk), OK);
    turn(f);
    assert_int_equal(info_of(f).last, 0);
    assert_version_fault(f);
    buf_fini(&key);
    buf_fini(&value);
    buf_fini(&rows);
}

static void test_a_row_of_a_later_program_is_no_damage(void **state)
{
    struct fixture *f = *state;
    begin_alone(f);
    struct buf key = { 0 };
    struct kv_batch *batch = kv_batch_new(f->kv);
    applied_key(PARTITION, &key);
    kv_batch_put(batch, KV_META, buf_slice(&key), SLICE_LIT("\x04 whatever"));
    assert_int_equal(kv_write(f->kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&key);
    reopen(f, 1);
    assert_version_fault(f);
    assert_true(f->p->too_new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_begins_at_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_sole_member_raises_it_by_an_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_it_is_the_lowest_that_all_speak, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_learner_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_newer_method_is_refused_until_all_speak_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_new_primary_goes_on_with_its_logs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_cut_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_older_program_does_not_start_with_newer_data, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_nor_with_a_newer_log, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_older_member_takes_no_newer_entry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_older_learner_takes_no_newer_copy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_row_of_a_later_program_is_no_damage, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
