/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of one partition's driver: each test drives it by hand, on a database in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "proto/account.pb-c.h"
#include "proto/message.pb-c.h"
#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/board.h"
#include "storage-node/partition/faults.h"
#include "storage-node/partition/partition.h"
#include "storage-node/partition/reader.h"
#include "storage-node/partition/rows.h"

enum { PARTITION = 4, ANSWERS_MAX = 8192 };

static const struct replica_node self = { .store = 1, .id = 11 }, other = { .store = 2, .id = 12 };

struct fixture {
    struct kv *kv;
    struct kv_batch *batch;
    struct apply_round *round;
    struct partition *p;
    struct partition_public pub;
    struct partition_stats stats;
    struct faults *faults;
    struct partition_host host;
    struct partition_now now;
    struct inbox_chain jobs;
    uint32_t log_keep;
    unsigned asks, sends;
    struct partition_ask last_ask;
    enum err answers[ANSWERS_MAX];
    size_t answer_count;
    uint64_t account;
    uint32_t next_name;
};

struct request {
    struct partition_request base; /* first */
    struct fixture *f;
    struct buf packed, body;
};

static void on_submit(void *arg, struct log_job *job)
{
    struct fixture *f = arg;
    inbox_chain_add(&f->jobs, &job->item);
}

static void on_notify(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                      struct slice packed)
{
}

static void on_ask(void *arg, const struct partition_ask *ask)
{
    struct fixture *f = arg;
    f->asks++;
    f->last_ask = *ask;
}

static void on_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct fixture *f = arg;
    f->sends++;
}

static void on_beats(void *arg, const struct beats *beats) {}

static struct peer_transport peers = { NULL, on_send, on_beats };

static void open_partition(struct fixture *f)
{
    struct partition_options options = {
        .id = PARTITION,
        .self = self,
        .min_members = 1,
        .kv = f->kv,
        .host = &f->host,
        .pub = &f->pub,
        .stats = &f->stats,
        .log_keep_count = f->log_keep,
        .fault_list = f->faults,
    };
    assert_int_equal(partition_open(&options, f->now, &f->p), OK);
}

static void give_conf(struct fixture *f, uint64_t epoch, bool with_other, uint64_t ask_id)
{
    struct replica_conf conf = {
        .epoch = epoch, .since = 1, .primary = self, .member_count = with_other ? 2 : 1
    };
    conf.members[0] = self;
    conf.members[1] = other;
    assert_int_equal(partition_conf(f->p, f->now, &conf, ask_id), OK);
}

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->kv = kv_open_mem();
    f->faults = faults_new();
    f->batch = kv_batch_new(f->kv);
    f->round = apply_round_new(f->kv);
    peers.arg = f;
    f->host = (struct partition_host){ f, on_submit, on_notify, on_ask, &peers, NULL };
    f->now = (struct partition_now){ UINT64_C(5000000000), 5000, UINT64_C(1700000000000) };
    open_partition(f);
    *state = f;
    return 0;
}

/* The log writer's part: everything submitted is on disk. */
static void write_log(struct fixture *f)
{
    if (f->jobs.first == NULL)
        return;
    assert_int_equal(log_commit(f->kv, f->batch, f->jobs.first, NULL), OK);
    while (f->jobs.first != NULL) {
        struct log_job *job = (struct log_job *)f->jobs.first;
        f->jobs.first = f->jobs.first->next;
        partition_written(f->p, job);
    }
    f->jobs.last = NULL;
}

static void flush(struct fixture *f)
{
    assert_int_equal(partition_flush(f->p, f->now), OK);
}

static void apply(struct fixture *f)
{
    assert_int_equal(partition_apply(f->round, &f->p, 1, f->now), OK);
}

static void turn(struct fixture *f)
{
    for (int i = 0; i < 3; i++) {
        flush(f);
        write_log(f);
        flush(f);
        apply(f);
    }
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    write_log(f);
    partition_close(&f->p);
    faults_free(&f->faults);
    apply_round_free(&f->round);
    kv_batch_free(&f->batch);
    kv_close(&f->kv);
    free(f);
    return 0;
}

static void advance(struct fixture *f, uint64_t ms)
{
    f->now.boot_ns += ms * 1000000;
    f->now.mono_ms += ms;
    f->now.real_ms += ms;
}

/* ---- requests */

static void on_done(struct partition_request *r, const struct partition_answer *answer)
{
    struct request *request = (struct request *)r;
    struct fixture *f = request->f;
    assert_true(f->answer_count < ANSWERS_MAX);
    f->answers[f->answer_count++] = answer->status;
    if (r->method == METHOD_ACCOUNT_CREATE && answer->status == OK) {
        Tern__AccountCreateResponse *response =
            tern__account_create_response__unpack(NULL, answer->response->len, answer->response->data);
        f->account = response->account->id;
        tern__account_create_response__free_unpacked(response, NULL);
    }
    buf_fini(&request->packed);
    buf_fini(&request->body);
    free(request);
}

static void push(struct fixture *f, uint32_t method, enum method_kind kind, const ProtobufCMessage *message,
                 struct slice body, uint64_t deadline_in_ms)
{
    struct request *r = NEW(struct request);
    r->f = f;
    r->packed.len = protobuf_c_message_pack(
        message, buf_reserve(&r->packed, protobuf_c_message_get_packed_size(message) + 1));
    buf_add_slice(&r->body, body);
    r->base =
        (struct partition_request){ .partition = PARTITION, .method = method, .kind = kind, .done = on_done };
    r->base.request = buf_slice(&r->packed);
    r->base.body = buf_slice(&r->body);
    r->base.deadline_mono_ms = f->now.mono_ms + deadline_in_ms;
    uint32_t name = ++f->next_name;
    for (int i = 0; i < 8; i++)
        r->base.request_id[i] = (uint8_t)(f->now.real_ms >> (56 - 8 * i));
    memcpy(r->base.request_id + 8, &name, sizeof name);
    partition_push(f->p, f->now, &r->base);
}

static void push_account(struct fixture *f, const char *address)
{
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    Tern__Credential credential = TERN__CREDENTIAL__INIT;
    request.address = (char *)address;
    request.credential = &credential;
    push(f, METHOD_ACCOUNT_CREATE, METHOD_WRITE, &request.base, SLICE_NULL, 1000);
}

static void push_alias(struct fixture *f, uint64_t deadline_in_ms)
{
    Tern__AliasPutRequest request = TERN__ALIAS_PUT_REQUEST__INIT;
    char *targets[] = { (char *)"x@example.test" };
    char address[64];
    snprintf(address, sizeof address, "alias%u@example.test", f->next_name);
    request.address = address;
    request.targets = targets;
    request.n_targets = 1;
    push(f, METHOD_ALIAS_PUT, METHOD_WRITE, &request.base, SLICE_NULL, deadline_in_ms);
}

static enum err last_answer(const struct fixture *f)
{
    assert_true(f->answer_count > 0);
    return f->answers[f->answer_count - 1];
}

static struct replica_info info_of(struct fixture *f)
{
    struct replica_info info;
    partition_info(f->p, &info);
    return info;
}

/* ---- tests */

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
        TEST(test_unreadable_entry_of_a_peer_is_refused),
        TEST(test_damaged_row_stops_the_partition),
        TEST(test_damaged_member_leaves),
        TEST(test_some_damage_leaves_in_order),
        TEST(test_copies_that_differ_are_told),
        TEST(test_restored_store_is_a_fault),
        TEST(test_damage_met_while_applying),
        TEST(test_reads_need_a_lease),
        TEST(test_memory_needs_a_lease),
        TEST(test_sweeps_what_is_due),
        TEST(test_time_never_goes_back),
        TEST(test_applying_is_bounded_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
