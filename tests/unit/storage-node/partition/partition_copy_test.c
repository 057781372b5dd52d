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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(half_a_copy_is_not_told_of, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
