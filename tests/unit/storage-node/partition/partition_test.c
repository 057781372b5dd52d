/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of one partition's driver: each test drives it by hand, on a database in memory. */
#include "tests/unit/storage-node/partition/partition_fixture.h"

static void test_answers_only_after_fsync_and_apply(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    assert_true(info_of(f).active);
    push_account(f, "a@example.test");
    assert_int_equal(f->answer_count, 0);
    flush(f);
    assert_non_null(f->jobs.first);
    assert_int_equal(f->answer_count, 0); /* proposed */
    apply(f);
    assert_int_equal(f->answer_count, 0); /* nothing is committed yet */
    write_log(f);
    assert_int_equal(f->answer_count, 0); /* on disk, the core has not heard of it */
    flush(f);
    assert_int_equal(f->answer_count, 0); /* committed */
    apply(f);
    assert_int_equal(f->answer_count, 1);
    assert_int_equal(last_answer(f), OK);
}

static void test_figures_for_the_director(void **state)
{
    struct fixture *f = *state;
    struct board_figures figures;
    assert_false(partition_figures(f->p, &figures));
    give_conf(f, 1, false, 0);
    turn(f);
    push_account(f, "a@example.test");
    turn(f);
    assert_true(partition_figures(f->p, &figures));
    assert_true(figures.active);
    assert_int_equal(figures.epoch, 1);
    assert_int_equal(figures.commit, info_of(f).commit);
    assert_int_equal(figures.peer_count, 0);
    assert_int_equal(figures.body_bytes, 0);
    give_conf(f, 2, true, 0); /* a member that does not answer */
    turn(f);
    assert_true(partition_figures(f->p, &figures));
    assert_int_equal(figures.peer_count, 1);
    assert_int_equal(figures.peers[0].node, other.id);
    assert_int_equal(figures.peers[0].behind, figures.last - figures.commit);
    assert_int_equal(figures.peers[0].copied_bytes, 0);
}

static void test_not_primary_without_configuration(void **state)
{
    struct fixture *f = *state;
    push_account(f, "a@example.test");
    turn(f);
    assert_int_equal(last_answer(f), ERR_NOT_PRIMARY);
    assert_null(f->jobs.first);
}

static void test_expired_deadline_is_not_proposed(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    uint64_t last = info_of(f).last;
    push_alias(f, 100);
    advance(f, 100);
    turn(f);
    assert_int_equal(last_answer(f), ERR_TIMEOUT);
    assert_int_equal(info_of(f).last, last);
}

static void test_malformed_request_is_refused_before_the_log(void **state)
{
    struct fixture *f = *state;
    Tern__AliasPutRequest request = TERN__ALIAS_PUT_REQUEST__INIT; /* no address */
    give_conf(f, 1, false, 0);
    turn(f);
    uint64_t last = info_of(f).last;
    push(f, METHOD_ALIAS_PUT, METHOD_WRITE, &request.base, SLICE_NULL, 1000);
    turn(f);
    assert_int_equal(err_class(last_answer(f)), ERR_CLASS_CALLER);
    assert_int_equal(info_of(f).last, last);
}

static void test_waiting_requests_are_bounded(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    for (int i = 0; i < GATHERED_MAX; i++)
        push_alias(f, 1000);
    assert_int_equal(f->answer_count, 0);
    push_alias(f, 1000);
    assert_int_equal(last_answer(f), ERR_BUSY);
    turn(f);
    assert_int_equal(f->answer_count, GATHERED_MAX + 1);
    assert_int_equal(last_answer(f), OK);
}

/* R4: a restarted primary never continues its epoch; it asks to be promoted and applies what its log holds.
 */
static void test_restart_asks_for_a_new_epoch_and_replays(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_account(f, "a@example.test");
    flush(f);
    write_log(f); /* the process dies before it is applied and answered */
    partition_close(&f->p);
    assert_int_equal(last_answer(f), ERR_IN_DOUBT);
    kv_mem_crash(f->kv, 0);
    open_partition(f);
    assert_int_equal(info_of(f).last, 2); /* barrier, account */
    give_conf(f, 1, false, 0);
    turn(f);
    assert_false(info_of(f).active);
    assert_int_equal(f->last_ask.type, REPLICA_ASK_PROMOTE);
    assert_int_equal(f->last_ask.epoch, 1);
    give_conf(f, 2, false, f->last_ask.id);
    turn(f);
    assert_true(info_of(f).active);
    push_account(f, "a@example.test");
    turn(f);
    assert_int_equal(last_answer(f), ERR_EXISTS); /* it had happened */
}

/* A seat that is lost answers IN_DOUBT, but not before the log writer lets go of the request's bytes. */
static void test_lost_seat_leaves_writes_in_doubt(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    flush(f);
    struct replica_conf conf = { .epoch = 2, .since = 2, .primary = other, .member_count = 2 };
    conf.members[0] = self;
    conf.members[1] = other;
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    assert_int_equal(f->answer_count, 0);
    assert_int_equal(atomic_load(&f->pub.read_until), 0);
    write_log(f);
    assert_int_equal(last_answer(f), ERR_IN_DOUBT);
    assert_int_equal(atomic_load(&f->pub.primary), other.id);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(last_answer(f), ERR_NOT_PRIMARY);
}

static void test_failed_log_is_an_error_to_the_caller(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_alias(f, 1000);
    turn(f);
    push_alias(f, 1000);
    flush(f);
    write_log(f);
    flush(f);
    kv_mem_fail_after(f->kv, 1, ERR_IO);
    assert_int_equal(partition_apply(f->round, &f->p, 1, f->now), ERR_IO);
    assert_int_equal(f->answer_count, 1); /* the second one is not answered */
}

static void test_log_is_cut_behind_the_applied_index(void **state)
{
    struct fixture *f = *state;
    partition_close(&f->p);
    f->log_keep = 10;
    open_partition(f);
    give_conf(f, 1, false, 0);
    for (int i = 0; i < 100; i++) {
        push_alias(f, 1000);
        turn(f);
    }
    struct replica_info info = info_of(f);
    assert_in_range(info.last - info.base, 9, 30);
    uint64_t epoch;
    struct buf entry = { 0 }, body = { 0 };
    assert_int_equal(partition_entry(f->p, info.base, &epoch, &entry, &body), ERR_NOT_FOUND);
    assert_int_equal(partition_entry(f->p, info.base + 1, &epoch, &entry, &body), OK);
    assert_int_equal(epoch, 1);
    buf_fini(&entry);
    buf_fini(&body);
    partition_close(&f->p); /* and it opens again */
    open_partition(f);
    assert_int_equal(info_of(f).base, info.base);
    assert_false(atomic_load(&f->pub.stopped));
}

static void test_two_members_wait_for_the_other(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, true, 0);
    turn(f);
    assert_false(info_of(f).active);
    assert_true(f->sends > 0); /* the barrier goes out through the transport */
    struct replica_msg ack = { .type = REPLICA_MSG_ACK, .peer = other, .epoch = 1, .ack.match = 1 };
    advance(f, 2000); /* G since the start: R12b */
    assert_int_equal(partition_message(f->p, f->now, &ack), OK);
    assert_int_equal(partition_tick(f->p, f->now), OK);
    turn(f);
    assert_true(info_of(f).active);
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(f->answer_count, 0); /* only our own disk has it */
    ack.ack.match = info_of(f).last;
    assert_int_equal(partition_message(f->p, f->now, &ack), OK);
    turn(f);
    assert_int_equal(last_answer(f), OK);
}

/* The same bytes, appended as a backup: the state is the primary's. */
static void test_backup_applies_what_it_is_sent(void **state)
{
    struct fixture *f = *state;
    struct replica_conf conf = { .epoch = 1, .since = 1, .primary = other, .member_count = 2 };
    struct entry_header header = { .version = MACHINE_VERSION,
                                   .method = ENTRY_BARRIER,
                                   .time_ms = f->now.real_ms };
    struct buf bytes = { 0 };
    conf.members[0] = other;
    conf.members[1] = self;
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    entry_encode(&header, SLICE_NULL, &bytes);
    struct replica_entry entry = { .epoch = 1, .size = (uint32_t)bytes.len };
    entry.handle = log_entry_new(buf_slice(&bytes), SLICE_NULL);
    struct replica_msg append = { .type = REPLICA_MSG_APPEND, .peer = other, .epoch = 1 };
    append.append.count = 1;
    append.append.entries = &entry;
    assert_int_equal(partition_message(f->p, f->now, &append), OK);
    turn(f);
    assert_int_equal(info_of(f).last, 1);
    assert_int_equal(info_of(f).applied, 0);
    append.append.count = 0;
    append.append.entries = NULL;
    append.append.prev_index = append.append.prev_epoch = append.append.commit = 1;
    assert_int_equal(partition_message(f->p, f->now, &append), OK);
    turn(f);
    assert_int_equal(info_of(f).applied, 1);
    buf_fini(&bytes);
}

/* A node that leaves waits for this before it has itself evicted: the configuration without it says nothing
 * of the hand-over, and the heir would wait until leases have run out. */
static void test_heir_is_awaited_until_its_barrier_is_committed(void **state)
{
    struct fixture *f = *state;
    struct replica_conf conf = {
        .epoch = 2, .since = 2, .primary = other, .member_count = 2, .handover = true
    };
    struct entry_header header = { .version = MACHINE_VERSION,
                                   .method = ENTRY_BARRIER,
                                   .time_ms = f->now.real_ms };
    struct buf bytes = { 0 };
    give_conf(f, 1, true, 0);
    turn(f);
    assert_false(partition_awaits_heir(f->p));
    conf.members[0] = other;
    conf.members[1] = self;
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    assert_true(partition_awaits_heir(f->p));
    entry_encode(&header, SLICE_NULL, &bytes);
    struct replica_entry entry = { .epoch = 2, .size = (uint32_t)bytes.len };
    entry.handle = log_entry_new(buf_slice(&bytes), SLICE_NULL);
    struct replica_msg append = { .type = REPLICA_MSG_APPEND, .peer = other, .epoch = 2 };
    append.append.count = 1;
    append.append.entries = &entry;
    append.append.prev_index = append.append.prev_epoch = 0;
    assert_int_equal(partition_message(f->p, f->now, &append), OK);
    turn(f);
    assert_true(partition_awaits_heir(f->p)); /* on this disk; the others' count as well */
    struct replica_msg beat = { .type = REPLICA_MSG_BEAT, .peer = other, .epoch = 2, .beat.commit = 1 };
    assert_int_equal(partition_message(f->p, f->now, &beat), OK);
    assert_false(partition_awaits_heir(f->p));
    turn(f);
    buf_fini(&bytes);
}

static void test_unreadable_entry_of_a_peer_is_refused(void **state)
{
    struct fixture *f = *state;
    struct replica_conf conf = { .epoch = 1, .since = 1, .primary = other, .member_count = 2 };
    conf.members[0] = other;
    conf.members[1] = self;
    assert_int_equal(partition_conf(f->p, f->now, &conf, 0), OK);
    struct replica_entry entry = { .epoch = 1,
                                   .size = 4,
                                   .handle = log_entry_new(SLICE_LIT("junk"), SLICE_LIT("body")) };
    struct replica_msg append = { .type = REPLICA_MSG_APPEND, .peer = other, .epoch = 1 };
    append.append.count = 1;
    append.append.entries = &entry;
    assert_int_equal(partition_message(f->p, f->now, &append), OK);
    assert_int_equal(info_of(f).last, 0);
}

/* R27: a store older than this disk is told to a person until it has gone on above what the disk knows. */
static void test_restored_store_is_a_fault(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    give_conf(f, 1, true, 0);
    turn(f);
    give_conf(f, 3, true, 0);
    turn(f);
    f->now.boot_ns += 2 * REPLICA_GRANT_NS; /* the other member is silent: it asks */
    assert_int_equal(partition_tick(f->p, f->now), OK);
    assert_true(f->asks > 0);
    give_conf(f, 2, true, f->last_ask.id);
    assert_int_equal(faults_list(f->faults, &fault, 1), 1);
    assert_int_equal(fault.kind, FAULT_REPLICA);
    assert_string_equal(fault.text, replica_reason_text(REPLICA_RESTORED_STORE));
    give_conf(f, 3, true, 0);
    assert_int_equal(faults_count(f->faults), 1);
    give_conf(f, 4, true, 0);
    assert_int_equal(faults_count(f->faults), 0);
}

static uint64_t fake_boot;

static uint64_t read_fake_boot(void)
{
    return fake_boot;
}

static enum err read_with_lease(struct fixture *f, uint64_t until, uint64_t now)
{
    struct request *r = NEW(struct request);
    Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    request.address = (char *)"nobody@example.test";
    r->f = f;
    r->packed.len = tern__address_lookup_request__pack(&request, buf_reserve(&r->packed, 100));
    r->base = (struct partition_request){
        .partition = PARTITION, .method = METHOD_ADDRESS_LOOKUP, .kind = METHOD_READ, .done = on_done
    };
    r->base.request = buf_slice(&r->packed);
    r->base.deadline_mono_ms = UINT64_MAX;
    atomic_store(&f->pub.read_until, until);
    fake_boot = now;
    reader_serve(f->kv, &f->pub, &r->base, read_fake_boot, 0, NULL);
    return last_answer(f);
}

/* R14 */
static void test_reads_need_a_lease(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(read_with_lease(f, 1000, 999), ERR_NOT_FOUND); /* served: nobody has the address */
    assert_int_equal(read_with_lease(f, 1000, 1000), ERR_NOT_PRIMARY);
    assert_int_equal(read_with_lease(f, 0, 0), ERR_NOT_PRIMARY);
    assert_int_equal(read_with_lease(f, REPLICA_NEVER, UINT64_MAX - 1), ERR_NOT_FOUND);
}

static void test_memory_needs_a_lease(void **state)
{
    struct fixture *f = *state;
    Tern__LockRequest request = TERN__LOCK_REQUEST__INIT;
    request.account = 1;
    request.token = (ProtobufCBinaryData){ 1, (uint8_t *)"t" };
    push(f, METHOD_LOCK, METHOD_MEMORY, &request.base, SLICE_NULL, 1000);
    assert_int_equal(last_answer(f), ERR_NOT_PRIMARY);
    give_conf(f, 1, false, 0);
    turn(f);
    push(f, METHOD_LOCK, METHOD_MEMORY, &request.base, SLICE_NULL, 1000);
    assert_int_equal(last_answer(f), OK);
}

static uint64_t watch_epoch(struct fixture *f)
{
    Tern__WatchRequest request = TERN__WATCH_REQUEST__INIT;
    request.watch = 1;
    request.account = f->account;
    push(f, METHOD_WATCH, METHOD_MEMORY, &request.base, SLICE_NULL, 1000);
    assert_int_equal(last_answer(f), OK);
    return f->watch_epoch;
}

/* R4 lets a node that is restarted serve in an epoch that its disk did not know, and without its watches. */
static void test_a_watch_is_registered_by_the_epoch_on_disk(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_account(f, "a@example.test");
    turn(f);
    assert_int_equal(watch_epoch(f), 1);
    give_conf(f, 2, false, 0);
    assert_int_equal(info_of(f).epoch, 2);
    assert_int_equal(watch_epoch(f), 1);
    turn(f);
    assert_int_equal(watch_epoch(f), 2);
}

static void test_sweeps_what_is_due(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_account(f, "a@example.test");
    turn(f);
    uint64_t last = info_of(f).last;
    advance(f, 2 * REQUEST_RETENTION_MS);
    assert_true(partition_next_tick(f->p) <= f->now.boot_ns);
    assert_int_equal(partition_tick(f->p, f->now), OK);
    turn(f);
    assert_int_equal(info_of(f).last, last + 1); /* the sweep */
    assert_int_equal(partition_tick(f->p, f->now), OK);
    turn(f);
    assert_int_equal(info_of(f).last, last + 1); /* nothing more is due */
    assert_true(partition_next_tick(f->p) > f->now.boot_ns);
}

/* The wall clock goes back: entries' times do not. */
static void test_time_never_goes_back(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    push_account(f, "a@example.test");
    turn(f);
    uint64_t time = atomic_load(&f->pub.time_ms);
    f->now.real_ms -= 3600 * 1000;
    push_alias(f, 1000);
    turn(f);
    assert_int_equal(atomic_load(&f->pub.time_ms), time);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* ---- turns */

static uint64_t slow_clock_ns;

/* Each look at the clock, one an entry, finds that 8 ms have passed. */
static uint64_t slow_clock(void)
{
    return slow_clock_ns += UINT64_C(8000000);
}

static void test_applying_is_bounded_by_time(void **state)
{
    struct fixture *f = *state;
    give_conf(f, 1, false, 0);
    turn(f);
    unsigned before = f->answer_count;
    for (int i = 0; i < 10; i++) {
        f->next_name++;
        push_alias(f, 1000);
    }
    flush(f);
    write_log(f);
    flush(f);
    apply_round_set_clock(f->round, slow_clock);
    apply(f);
    assert_true(partition_has_committed(f->p));
    assert_in_range(f->answer_count - before, 1, 3); /* those applied are answered, the others wait */
    for (int i = 0; i < 10; i++)
        apply(f);
    assert_false(partition_has_committed(f->p));
    assert_int_equal(f->answer_count - before, 10);
    assert_int_equal(last_answer(f), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_answers_only_after_fsync_and_apply),
        TEST(test_figures_for_the_director),
        TEST(test_not_primary_without_configuration),
        TEST(test_expired_deadline_is_not_proposed),
        TEST(test_malformed_request_is_refused_before_the_log),
        TEST(test_waiting_requests_are_bounded),
        TEST(test_restart_asks_for_a_new_epoch_and_replays),
        TEST(test_lost_seat_leaves_writes_in_doubt),
        TEST(test_failed_log_is_an_error_to_the_caller),
        TEST(test_log_is_cut_behind_the_applied_index),
        TEST(test_two_members_wait_for_the_other),
        TEST(test_backup_applies_what_it_is_sent),
        TEST(test_heir_is_awaited_until_its_barrier_is_committed),
        TEST(test_unreadable_entry_of_a_peer_is_refused),
        TEST(test_restored_store_is_a_fault),
        TEST(test_reads_need_a_lease),
        TEST(test_memory_needs_a_lease),
        TEST(test_a_watch_is_registered_by_the_epoch_on_disk),
        TEST(test_sweeps_what_is_due),
        TEST(test_time_never_goes_back),
        TEST(test_applying_is_bounded_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
