/* SPDX-License-Identifier: Apache-2.0 */
/* A worker without its threads: what a node does that comes back with copies on its disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "storage-node/partition/log/rows.h"
#include "storage-node/partition/worker/worker_priv.h"

enum { PARTITION = 4, OLD = 3, RECOVERED = 1027, WORKERS = 2 /* the first one has it */ };

static const struct replica_node self = { .store = 11, .id = 1 }, old_primary = { .store = 22, .id = 2 },
                                 new_primary = { .store = 33, .id = 3 };

struct fixture {
    struct kv *kv;
    struct worker_pool *pool;
    struct peer_transport peers[WORKERS];
    unsigned acks, grants, waiting; /* waiting: sent since the last flush */
    uint64_t now_ns;
};

static void on_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct fixture *f = arg;
    f->acks += msg->type == REPLICA_MSG_ACK;
    f->waiting++;
}

static void on_flush(void *arg)
{
    struct fixture *f = arg;
    f->waiting = 0;
}

static void on_beats(void *arg, const struct beats *beats)
{
    struct fixture *f = arg;
    if (beats->answer)
        f->grants += beats->count;
}

static void on_ask(void *arg, const struct partition_ask *ask) {}

static void on_fatal(void *arg, const char *what, enum err err)
{
    fail_msg("%s: %s", what, err_text(err));
}

/* The log writer's part, at once. */
static void on_submit(void *arg, struct inbox_chain *jobs)
{
    struct fixture *f = arg;
    struct kv_batch *batch = kv_batch_new(f->kv);
    assert_int_equal(log_commit(f->kv, batch, jobs->first, NULL), OK);
    kv_batch_free(&batch);
    for (struct inbox_item *item = jobs->first; item != NULL; item = item->next)
        item->kind = ITEM_WRITTEN;
    inbox_push_chain(&f->pool->workers[0].inbox, jobs);
}

static void turns_of(struct fixture *f, int worker)
{
    struct worker *w = &f->pool->workers[worker];
    for (struct inbox_item *items; (items = inbox_take(&w->inbox)) != NULL;) {
        f->now_ns += REPLICA_MS;
        worker_turn(w, items, (struct partition_now){ .boot_ns = f->now_ns });
        assert_int_equal(f->waiting, 0);
    }
}

static void turns(struct fixture *f)
{
    turns_of(f, 0);
}

/* The disk has a copy that was a member's in epoch OLD. */
static void leave_a_record(struct kv *kv)
{
    struct partition_record record = { .dep = OLD };
    struct buf key = { 0 }, value = { 0 };
    struct kv_batch *batch = kv_batch_new(kv);
    record_key(PARTITION, &key);
    record_encode(&record, &value);
    kv_batch_put(batch, KV_META, buf_slice(&key), buf_slice(&value));
    assert_int_equal(kv_write(kv, batch), OK);
    kv_batch_free(&batch);
    buf_fini(&key);
    buf_fini(&value);
}

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->kv = kv_open_mem();
    for (int i = 0; i < WORKERS; i++)
        f->peers[i] = (struct peer_transport){ f, on_send, on_beats, on_flush, NULL };
    f->pool = xcalloc(1, sizeof *f->pool + WORKERS * sizeof f->pool->workers[0]);
    f->pool->options = (struct worker_pool_options){ .kv = f->kv,
                                                     .directory = directory_new(),
                                                     .self = self,
                                                     .workers = WORKERS,
                                                     .board = board_new(),
                                                     .ask = on_ask,
                                                     .peers = f->peers };
    f->pool->seam = (struct worker_seam){ .arg = f, .submit = on_submit, .fatal = on_fatal };
    leave_a_record(f->kv);
    for (uint32_t i = 0; i < WORKERS; i++)
        worker_init(f->pool, i);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < WORKERS; i++) {
        worker_close(&f->pool->workers[i]);
        worker_free(&f->pool->workers[i]);
    }
    board_free(&f->pool->options.board);
    directory_free(&f->pool->options.directory);
    free(f->pool);
    kv_close(&f->kv);
    free(f);
    return 0;
}

/* An Append without entries and a beat of the primary of epoch OLD. */
static void old_primary_calls(struct fixture *f)
{
    struct beat_part part = { .partition = PARTITION, .epoch = OLD };
    struct beats beats = { .peer = old_primary, .boot = 1, .number = 1, .parts = &part, .count = 1 };
    struct worker_message *m = NEW(struct worker_message);
    struct inbox_chain messages = { 0 };
    m->partition = PARTITION;
    m->msg = (struct replica_msg){ .type = REPLICA_MSG_APPEND, .peer = old_primary, .epoch = OLD };
    f->acks = f->grants = 0;
    inbox_chain_add(&messages, &m->item);
    worker_pool_messages(f->pool, &messages);
    assert_null(messages.first);
    worker_pool_beats(f->pool, &beats);
    turns(f);
}

static void director_says(struct fixture *f, const struct replica_conf *conf)
{
    worker_pool_conf(f->pool, PARTITION, conf, 0, 1);
    turns(f);
}

static void a_member_acks_and_grants(void **state)
{
    struct fixture *f = *state;
    const struct replica_conf conf = {
        .epoch = OLD, .since = 1, .primary = old_primary, .member_count = 2, .members = { old_primary, self }
    };
    director_says(f, &conf);
    old_primary_calls(f);
    assert_int_equal(f->acks, 1);
    assert_int_equal(f->grants, 1);
}

/* R29: the old primary was given up but has not heard of it. A member that returns to its side before it
 * heard a director would let both serve. */
static void who_returns_hears_a_director_first(void **state)
{
    struct fixture *f = *state;
    const struct replica_conf conf = { .epoch = RECOVERED,
                                       .since = RECOVERED,
                                       .recovered = RECOVERED,
                                       .primary = new_primary,
                                       .member_count = 1,
                                       .members = { new_primary } };
    old_primary_calls(f);
    assert_int_equal(f->acks, 0);
    assert_int_equal(f->grants, 0);
    director_says(f, &conf);
    old_primary_calls(f);
    assert_int_equal(f->acks, 0);
    assert_int_equal(f->grants, 0);
}

/* The epoch that the board says the copy knows. */
static uint64_t known(struct fixture *f)
{
    struct board_copy copy = { 0 };
    assert_int_equal(board_copies(f->pool->options.board, true, &copy, 1), 1);
    return copy.known;
}

/* A copy that is being deleted hears that it is wanted again, and hears it once: that opens the next one. */
static void a_copy_that_goes_makes_room_for_the_next(void **state)
{
    struct fixture *f = *state;
    struct replica_conf conf = {
        .epoch = OLD + 1, .since = 1, .primary = old_primary, .member_count = 1, .members = { old_primary }
    };
    director_says(f, &conf);
    worker_pool_drop(f->pool, PARTITION);
    struct replica_conf again = conf;
    again.learners[again.learner_count++] = self;
    again.epoch++;
    worker_pool_conf(f->pool, PARTITION, &again, 0, 1);
    worker_pool_conf(f->pool, PARTITION, &conf, 0, 1); /* an older one that comes late */
    turns(f);
    assert_int_equal(atomic_load(&f->pool->workers[0].stats.partitions), 1);
    worker_pool_drop(f->pool, PARTITION); /* it is named: it stays */
    turns(f);
    assert_int_equal(atomic_load(&f->pool->workers[0].stats.partitions), 1);
    conf.epoch = again.epoch + 1;
    director_says(f, &conf);
    worker_pool_drop(f->pool, PARTITION);
    turns(f);
    assert_int_equal(atomic_load(&f->pool->workers[0].stats.partitions), 0);
}

/* R27: a director is told what is so after it asked, what waits in the inbox included. */
static void what_was_told_is_no_older_than_its_asking(void **state)
{
    struct fixture *f = *state;
    struct replica_conf conf = {
        .epoch = OLD + 1, .since = OLD + 1, .primary = self, .member_count = 1, .members = { self }
    };
    worker_pool_conf(f->pool, PARTITION, &conf, 0, 1);
    turns_of(f, 0);
    uint64_t first = worker_pool_tell(f->pool); /* the copy has its first entry by now */
    turns_of(f, 0);
    assert_int_equal(worker_pool_told(f->pool), 0); /* the other has not told */
    turns_of(f, 1);
    assert_int_equal(worker_pool_told(f->pool), first);
    assert_int_equal(known(f), OLD + 1);
    uint64_t second = worker_pool_tell(f->pool);
    conf.epoch++;
    worker_pool_conf(f->pool, PARTITION, &conf, 0, 1);
    uint64_t third = worker_pool_tell(f->pool); /* they are to tell already, one before it heard of that */
    turns_of(f, 0);
    turns_of(f, 1);
    assert_int_equal(known(f), OLD + 1);
    assert_int_equal(worker_pool_told(f->pool), second);
    for (int i = 0; i < 3; i++) { /* one that tells often does not make up for the other */
        worker_pool_tell(f->pool);
        turns_of(f, 1);
    }
    assert_int_equal(worker_pool_told(f->pool), second);
    turns_of(f, 0);
    assert_true(worker_pool_told(f->pool) >= third);
    assert_int_equal(known(f), OLD + 2);
}

/* What the board says of it: the epoch that it knows, and whether there is a copy. */
static uint64_t told(struct fixture *f, size_t *copies_out)
{
    uint64_t epochs[PARTITION + 1] = { 0 };
    worker_pool_tell(f->pool);
    turns(f);
    board_raise_known(f->pool->options.board, epochs, PARTITION + 1);
    *copies_out = board_copy_count(f->pool->options.board, true);
    return epochs[PARTITION];
}

/* R27: a learner that has nothing yet knows an epoch that nobody else may know; what is deleted is told of no
 * more, not even if it went before it was told of again. */
static void what_has_no_copy_tells_its_epoch(void **state)
{
    struct fixture *f = *state;
    struct replica_conf conf = {
        .epoch = OLD + 3, .since = 1, .primary = old_primary, .member_count = 1, .members = { old_primary }
    };
    struct board_copy copy = { .partition = PARTITION, .epoch = OLD, .last = 9, .known = OLD };
    size_t copies;
    conf.learners[conf.learner_count++] = self;
    director_says(f, &conf);
    assert_int_equal(told(f, &copies), OLD + 3);
    assert_int_equal(copies, 0);
    conf.learner_count = 0;
    conf.epoch++;
    director_says(f, &conf);
    board_put_copy(f->pool->options.board, &copy); /* it had one when it was told of last */
    worker_pool_drop(f->pool, PARTITION);
    turns(f);
    assert_int_equal(atomic_load(&f->pool->workers[0].stats.partitions), 0);
    assert_int_equal(told(f, &copies), 0);
    assert_int_equal(copies, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_member_acks_and_grants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_returns_hears_a_director_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_copy_that_goes_makes_room_for_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_no_copy_tells_its_epoch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_told_is_no_older_than_its_asking, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
