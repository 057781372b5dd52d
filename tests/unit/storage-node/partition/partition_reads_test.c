/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that wait for a commit instead of trusting a lease (`linearizable_reads = "barrier"`). */
#include "tests/unit/storage-node/partition/partition_fixture.h"

static unsigned served;

static void on_read(void *arg, struct partition_request *request)
{
    served++;
    partition_request_end(request, OK, 0);
}

static int set_up_reads(void **state)
{
    int failed = set_up(state);
    struct fixture *f = *state;
    f->host.read = on_read;
    served = 0;
    return failed;
}

static void push_read(struct fixture *f, uint64_t deadline_in_ms)
{
    Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    request.address = (char *)"nobody@example.test";
    push(f, METHOD_ADDRESS_LOOKUP, METHOD_READ, &request.base, SLICE_NULL, deadline_in_ms);
}

static void test_a_read_waits_for_a_commit(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    uint64_t last = info_of(f).last;
    push_read(f, 1000);
    push_read(f, 1000);
    flush(f);
    assert_int_equal(info_of(f).last, last + 1); /* one entry for both */
    apply(f);
    write_log(f);
    assert_int_equal(served, 0);
    flush(f);
    assert_int_equal(served, 0); /* committed, and not in the state that readers see */
    apply(f);
    assert_int_equal(served, 2);
    turn(f);
    assert_int_equal(served, 2);
    assert_int_equal(info_of(f).last, last + 1);
}

/* What was proposed before the read came says nothing of the time after. */
static void test_an_earlier_commit_will_not_do(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_read(f, 1000);
    flush(f);
    push_read(f, 1000);
    write_log(f);
    flush(f);
    apply(f);
    assert_int_equal(served, 1);
    write_log(f);
    flush(f);
    apply(f);
    assert_int_equal(served, 2);
}

static void test_it_sees_writes_answered_before_it(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_account(f, "a@example.test");
    push_read(f, 1000);
    turn(f);
    assert_int_equal(served, 1);
    assert_int_equal(last_answer(f), OK);
    assert_int_equal(info_of(f).applied, info_of(f).last);
}

/* The other one may have a primary's seat by now, or may not: without its word nothing is served, whatever
 * the clock says of a lease. */
static void test_all_members_must_have_acknowledged(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, true, 0);
    turn(f);
    struct replica_msg ack = { .type = REPLICA_MSG_ACK, .peer = other, .epoch = 1, .ack.match = 1 };
    assert_int_equal(partition_message(f->p, f->now, &ack), OK);
    turn(f);
    assert_true(info_of(f).active);
    push_read(f, 1000);
    turn(f);
    assert_int_equal(served, 0);
    ack.ack.match = info_of(f).last;
    assert_int_equal(partition_message(f->p, f->now, &ack), OK);
    turn(f);
    assert_int_equal(served, 1);
}

/* A read has done nothing: it may be asked again, elsewhere. */
static void test_a_lost_seat_leaves_no_doubt(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_read(f, 1000);
    flush(f);
    struct replica_conf conf = { .epoch = 2, .since = 2, .primary = other, .member_count = 2 };
    conf.members[0] = self;
    conf.members[1] = other;
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    write_log(f);
    assert_int_equal(last_answer(f), ERR_UNAVAILABLE);
    push_read(f, 1000);
    turn(f);
    assert_int_equal(last_answer(f), ERR_NOT_PRIMARY);
    assert_int_equal(served, 0);
}

static void test_late_ones_are_not_served(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    uint64_t last = info_of(f).last;
    push_read(f, 100);
    advance(f, 100);
    turn(f);
    assert_int_equal(last_answer(f), ERR_TIMEOUT);
    assert_int_equal(info_of(f).last, last);
}

static void test_they_are_bounded(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    for (int i = 0; i < GATHERED_MAX; i++)
        push_read(f, 1000);
    assert_int_equal(f->answer_count, 0);
    push_read(f, 1000);
    assert_int_equal(last_answer(f), ERR_BUSY);
    turn(f);
    assert_int_equal(served, GATHERED_MAX);
}

/* Nor do those pile up whose entry is not committed: others of this node's partitions need the room. */
static void test_so_are_those_that_wait_for_their_entry(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_read(f, 1000);
    flush(f);
    for (int i = 1; i < GATHERED_MAX; i++)
        push_read(f, 1000);
    flush(f);
    assert_int_equal(f->answer_count, 0);
    push_read(f, 1000);
    assert_int_equal(last_answer(f), ERR_BUSY);
    turn(f);
    assert_int_equal(served, GATHERED_MAX);
    f->answer_count = 0;
    for (int i = 0; i < GATHERED_MAX; i++) /* late ones make room again, too */
        push_read(f, 0);
    turn(f);
    assert_int_equal(last_answer(f), ERR_TIMEOUT);
    push_read(f, 1000);
    turn(f);
    assert_int_equal(last_answer(f), OK);
}

static void test_who_still_waits_is_answered_at_the_end(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_read(f, 1000);
    partition_close(&f->p);
    assert_int_equal(last_answer(f), ERR_UNAVAILABLE);
    open_partition(f);
}

static void test_without_a_reader_they_are_refused(void **state)
{
    struct fixture *f = *state;
    f->host.read = NULL;
    give_conf(f, 1, false, 0);
    turn(f);
    push_read(f, 1000);
    assert_int_equal(last_answer(f), ERR_UNSUPPORTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_reads, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_read_waits_for_a_commit),
        TEST(test_an_earlier_commit_will_not_do),
        TEST(test_it_sees_writes_answered_before_it),
        TEST(test_all_members_must_have_acknowledged),
        TEST(test_a_lost_seat_leaves_no_doubt),
        TEST(test_late_ones_are_not_served),
        TEST(test_they_are_bounded),
        TEST(test_so_are_those_that_wait_for_their_entry),
        TEST(test_who_still_waits_is_answered_at_the_end),
        TEST(test_without_a_reader_they_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
