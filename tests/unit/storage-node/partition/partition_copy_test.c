/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the state that a learner is sent (R24), as the driver sees it. */
#include "tests/unit/storage-node/partition/partition_fixture.h"

enum { INDEX = 50 };

static void send_message(struct fixture *f, struct replica_msg *msg)
{
    msg->peer = other;
    msg->epoch = 2;
    assert_int_equal(partition_message(f->p, f->now, msg), OK);
}

static void become_learner(struct fixture *f)
{
    const struct replica_conf conf = { .epoch = 2,
                                       .since = 1,
                                       .primary = other,
                                       .member_count = 1,
                                       .members = { other },
                                       .learner_count = 1,
                                       .learners = { self } };
    struct replica_msg probe = { .type = REPLICA_MSG_APPEND,
                                 .append = { .prev_index = INDEX, .prev_epoch = 2, .commit = INDEX } };
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    send_message(f, &probe); /* refused: a copy may come */
    assert_int_equal(f->sends, 1);
}

static void send_chunk(struct fixture *f, uint64_t seq, bool last)
{
    const struct partition_applied applied = { .index = INDEX };
    struct buf key = { 0 }, value = { 0 }, rows = { 0 };
    if (seq == 0) {
        applied_key(PARTITION, &key);
        applied_encode(&applied, &value);
        buf_add_byte(&rows, KV_META);
        buf_add_varbytes(&rows, buf_slice(&key));
        buf_add_varbytes(&rows, buf_slice(&value));
    }
    struct replica_msg msg = {
        .type = REPLICA_MSG_CHUNK,
        .chunk = { .term = 2, .seq = seq, .index = INDEX, .index_epoch = 2, .last = last, .handle = &rows }
    };
    send_message(f, &msg);
    buf_fini(&key);
    buf_fini(&value);
    buf_fini(&rows);
}

/* A person may let a partition go on from a copy that is told of: it must be there. */
static void half_a_copy_is_not_told_of(void **state)
{
    struct fixture *f = *state;
    struct board_copy copy;
    become_learner(f);
    send_chunk(f, 0, false);
    write_log(f);
    flush(f);
    assert_false(partition_copy(f->p, &copy));
    send_chunk(f, 1, true);
    assert_non_null(f->jobs.first); /* its rows may be put on disk for long */
    assert_false(partition_copy(f->p, &copy));
    write_log(f);
    flush(f);
    assert_true(partition_copy(f->p, &copy));
    assert_int_equal(copy.last, INDEX);
    assert_int_equal(copy.epoch, 2);
}

/* It ended before it heard that its first entry is committed: what it has may be all that is left. */
static void a_copy_with_nothing_applied_waits_for_a_person(void **state)
{
    struct fixture *f = *state;
    struct entry_header header = { .version = MACHINE_VERSION,
                                   .method = ENTRY_BARRIER,
                                   .time_ms = f->now.real_ms };
    struct buf bytes = { 0 };
    struct board_copy copy;
    become_learner(f);
    assert_false(partition_copy(f->p, &copy));
    entry_encode(&header, SLICE_NULL, &bytes);
    struct replica_entry entry = { .epoch = 2,
                                   .size = (uint32_t)bytes.len,
                                   .handle = log_entry_new(buf_slice(&bytes), SLICE_NULL) };
    struct replica_msg append = { .type = REPLICA_MSG_APPEND, .append = { .count = 1, .entries = &entry } };
    send_message(f, &append);
    turn(f);
    assert_int_equal(info_of(f).applied, 0);
    assert_true(partition_copy(f->p, &copy));
    assert_true(copy.spare);
    assert_int_equal(copy.last, 1);
    buf_fini(&bytes);
}

/* ---- the sending end */

enum { ACCOUNTS = 100, CHUNK = 1000, NONCE = 7 };

static struct partition_work *under_way;

static void keep_work(void *arg, struct partition_work *work)
{
    under_way = work;
}

static void end_work(struct fixture *f)
{
    struct partition_work *work = under_way;
    under_way = NULL;
    assert_non_null(work);
    work->run(work);
    partition_worked(f->p, work);
    flush(f);
}

static void ack_chunk(struct fixture *f, uint64_t seq)
{
    struct replica_msg ack = { .type = REPLICA_MSG_CHUNK_ACK,
                               .peer = other,
                               .epoch = 1,
                               .chunk_ack = { .term = 1, .nonce = NONCE, .seq = seq } };
    assert_int_equal(partition_message(f->p, f->now, &ack), OK);
}

/* A partition with so much in it that a learner is sent the state; its first chunk is being read. */
static void begin_to_send(struct fixture *f)
{
    const struct replica_conf conf = { .epoch = 1,
                                       .since = 1,
                                       .primary = self,
                                       .member_count = 1,
                                       .members = { self },
                                       .learner_count = 1,
                                       .learners = { other } };
    struct replica_msg refuse = {
        .type = REPLICA_MSG_REFUSE, .peer = other, .epoch = 1, .refuse = { .prev = 1, .nonce = NONCE }
    };
    partition_close(&f->p);
    f->copy_chunk = CHUNK;
    f->host.work = keep_work;
    open_partition(f);
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    turn(f);
    for (int i = 0; i < ACCOUNTS; i++) {
        char address[64];
        snprintf(address, sizeof address, "user%d@example.test", i);
        push_account(f, address);
        turn(f);
    }
    assert_int_equal(partition_message(f->p, f->now, &refuse), OK);
    assert_non_null(under_way);
}

/* Time goes by until the core asks again for what was not sent. */
static void wait_for_repeat(struct fixture *f)
{
    unsigned before = f->sends;
    for (int i = 0; i < 20 && f->sends == before; i++) {
        advance(f, 100);
        assert_int_equal(partition_tick(f->p, f->now), OK);
    }
    assert_int_not_equal(f->sends, before);
    assert_int_equal(f->last_sent.type, REPLICA_MSG_CHUNK);
}

/* Where the next chunk is long in being read, the learner hears of the last one again, and goes on waiting.
 */
static void a_slow_copy_gives_signs_of_life(void **state)
{
    struct fixture *f = *state;
    begin_to_send(f);
    end_work(f);
    assert_int_equal(f->last_sent.chunk.seq, 0);
    size_t first = f->last_rows;
    ack_chunk(f, 0);
    wait_for_repeat(f);
    assert_int_equal(f->last_sent.chunk.seq, 0);
    assert_int_equal(f->last_rows, first); /* it is no chunk without rows */
    end_work(f);
    assert_int_equal(f->last_sent.chunk.seq, 1);
    assert_true(f->last_rows >= CHUNK);
    ack_chunk(f, 1);
    wait_for_repeat(f);
    assert_int_equal(f->last_sent.chunk.seq, 1);
    assert_int_equal(f->last_rows, 0);
    end_work(f);
    assert_int_equal(f->last_sent.chunk.seq, 2);
    end_work(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(half_a_copy_is_not_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_with_nothing_applied_waits_for_a_person, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_copy_gives_signs_of_life, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
