/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/storage/mirror.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/log/rows.h"

enum {
    STEPS_MAX = 20000, /* of one copy, until faults end */
    CALM_STEPS = 20000,
    CHUNKS_MAX = 60, /* about half of a copy's */
    KEEP_MAX = 4,
    FLUSHED_MAX = 12,
    TAIL_MAX = 40,
    CRASHES_PER_MILLE = 4,
};

static const struct replica_node self = { .store = 77, .id = 2 };
static const struct replica_node sender = { .store = 99, .id = WORLD_NODE };

/* The rows of one moment, as a chunk has them: family, key, value. */
struct picture {
    struct buf rows;
    uint64_t index, epoch;
};

enum sending { SEND_PROBE, SEND_CHUNKS, SEND_TAIL, SEND_DONE };

struct mirror {
    struct world *w;
    uint32_t partition;
    struct kv *kv;
    struct kv_batch *batch;
    struct apply_round *round;
    struct partition *p;
    struct partition_public pub;
    struct partition_stats stats;
    struct partition_host host;
    struct peer_transport peers;
    struct inbox_chain logged, copies; /* at the log writer's threads */
    struct picture next;               /* taken, to be sent */
    uint64_t epoch;                    /* of the configuration */

    enum sending sending;
    uint64_t nonce, seq;
    size_t at, chunk_bytes, chunk_end; /* in next.rows */
    uint64_t acked;
    bool calm;
    uint64_t arrived, crashes;
};

/* ---- the disk */

static bool read_meta(struct mirror *m, void (*key_of)(uint32_t, struct buf *), struct kv_value *out)
{
    struct buf key = { 0 };
    key_of(m->partition, &key);
    enum err err = kv_get(m->kv, NULL, KV_META, buf_slice(&key), out);
    buf_fini(&key);
    return err == OK;
}

static bool is_installing(struct mirror *m)
{
    struct kv_value value = { 0 };
    struct partition_record record = { 0 };
    bool installing =
        read_meta(m, record_key, &value) && record_decode(value.bytes, &record) == OK && record.installing;
    kv_value_release(&value);
    return installing;
}

static uint64_t applied_index(struct mirror *m)
{
    struct kv_value value = { 0 };
    struct partition_applied applied = { 0 };
    if (read_meta(m, applied_key, &value) && applied_decode(value.bytes, &applied) != OK)
        world_fail(m->w, "mirror: the applied row");
    kv_value_release(&value);
    return applied.index;
}

static void add_rows(struct kv *kv, uint32_t partition, enum kv_family family, uint64_t index,
                     struct buf *out)
{
    struct buf lower = { 0 }, upper = { 0 };
    if (family == KV_STATE) {
        machine_key_range(partition, &lower, &upper);
    } else {
        machine_body_key(partition, 0, &lower);
        machine_body_key(partition, index + 1, &upper);
    }
    struct kv_iter *it = kv_iter_new(kv, NULL, family, buf_slice(&lower), buf_slice(&upper));
    for (bool more = kv_iter_seek(it, buf_slice(&lower)); more; more = kv_iter_next(it)) {
        buf_add_byte(out, (uint8_t)family);
        buf_add_varbytes(out, kv_iter_key(it));
        buf_add_varbytes(out, kv_iter_value(it));
    }
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
}

static void check_rows(struct mirror *m, const char *when)
{
    struct buf rows = { 0 };
    uint64_t index = applied_index(m);
    if (is_installing(m) || (index != 0 && index != m->next.index))
        return; /* begun again anyway; or of entries behind the copy, which the last check sees */
    struct slice expected = SLICE_NULL;
    add_rows(m->kv, m->partition, KV_STATE, index, &rows);
    add_rows(m->kv, m->partition, KV_BODY, index, &rows);
    if (index != 0) {
        struct cursor c = cursor_of(buf_slice(&m->next.rows));
        cursor_u8(&c); /* the applied row */
        cursor_varbytes(&c);
        cursor_varbytes(&c);
        expected = c.rest;
    }
    if (!slice_eq(buf_slice(&rows), expected))
        world_fail(m->w, "mirror: %s at index %llu, without the mark: %zu bytes of rows, not %zu", when,
                   (unsigned long long)index, rows.len, expected.len);
    buf_fini(&rows);
}

/* ---- life and death */

static void on_submit(void *arg, struct log_job *job)
{
    struct mirror *m = arg;
    inbox_chain_add(job->way == LOG_JOB_LOGGED ? &m->logged : &m->copies, &job->item);
}

static void on_ask(void *arg, const struct partition_ask *ask) {}

static void on_send(void *arg, struct partition *p, const struct replica_msg *msg)
{
    struct mirror *m = arg;
    if (!m->calm && world_chance(m->w, 100))
        return; /* lost */
    if (msg->type == REPLICA_MSG_REFUSE && m->sending < SEND_TAIL &&
        (m->sending == SEND_PROBE || msg->refuse.nonce != m->nonce)) {
        m->sending = SEND_CHUNKS;
        m->nonce = msg->refuse.nonce;
        m->seq = 0;
        m->at = m->chunk_end = 0;
    } else if (msg->type == REPLICA_MSG_CHUNK_ACK && m->sending == SEND_CHUNKS &&
               msg->chunk_ack.nonce == m->nonce && msg->chunk_ack.seq == m->seq) {
        m->seq++;
        m->at = m->chunk_end;
        m->chunk_end = 0;
    } else if (msg->type == REPLICA_MSG_ACK && msg->ack.match > m->acked) {
        m->acked = msg->ack.match;
    }
}

static void on_beats(void *arg, const struct beats *beats) {}

static void on_flush(void *arg) {}

static void boot(struct mirror *m)
{
    struct partition_options options = { .id = m->partition,
                                         .self = self,
                                         .min_members = 1,
                                         .kv = m->kv,
                                         .host = &m->host,
                                         .pub = &m->pub,
                                         .stats = &m->stats,
                                         .nonce = world_rand(m->w),
                                         .faults = m->w->faults };
    struct replica_conf conf = { .epoch = m->epoch,
                                 .since = 1,
                                 .primary = sender,
                                 .member_count = 1,
                                 .members = { sender },
                                 .learner_count = 1,
                                 .learners = { self } };
    m->pub = (struct partition_public){ 0 };
    m->sending = SEND_PROBE;
    m->acked = 0;
    m->chunk_end = 0;
    m->round = apply_round_new(m->kv);
    if (partition_open(&options, world_now(m->w), &m->p) != OK || atomic_load(&m->pub.stopped) ||
        partition_conf(m->p, world_now(m->w), &conf, 0) != OK)
        world_fail(m->w, "mirror: the partition does not open");
}

static void give_all_back(struct inbox_chain *jobs)
{
    for (struct inbox_item *next, *item = jobs->first; item != NULL; item = next) {
        next = item->next;
        partition_written(((struct log_job *)item)->partition, (struct log_job *)item);
    }
    *jobs = (struct inbox_chain){ 0 };
}

static void die(struct mirror *m)
{
    give_all_back(&m->logged);
    give_all_back(&m->copies);
    partition_close(&m->p);
    apply_round_free(&m->round);
}

static void crash(struct mirror *m)
{
    struct world *w = m->w;
    m->crashes++;
    die(m);
    kv_mem_flush(m->kv, KV_STATE, world_below(w, FLUSHED_MAX));
    kv_mem_flush(m->kv, KV_BODY, world_below(w, FLUSHED_MAX));
    kv_mem_crash(m->kv, world_chance(w, 300) ? SIZE_MAX : world_below(w, KEEP_MAX));
    check_rows(m, "after a crash");
    world_advance(w, 1 + world_below(w, 500));
    boot(m);
}

struct mirror *mirror_new(struct world *w, uint32_t partition)
{
    struct mirror *m = NEW(struct mirror);
    m->w = w;
    m->partition = partition;
    m->kv = kv_open_mem();
    m->batch = kv_batch_new(m->kv);
    m->peers = (struct peer_transport){ m, on_send, on_beats, on_flush, NULL };
    m->host = (struct partition_host){ m, on_submit, NULL, on_ask, &m->peers, NULL, NULL };
    return m;
}

void mirror_free(struct mirror **out)
{
    struct mirror *m = *out;
    kv_batch_free(&m->batch);
    kv_close(&m->kv);
    buf_fini(&m->next.rows);
    free(m);
    *out = NULL;
}

/* ---- the sender */

void mirror_take(struct mirror *m)
{
    struct world *w = m->w;
    struct replica_info info;
    struct kv_value value = { 0 };
    struct buf key = { 0 };
    partition_info(w->parts[m->partition].p, &info);
    applied_key(m->partition, &key);
    buf_clear(&m->next.rows);
    m->next.index = info.applied;
    m->next.epoch = info.epoch;
    if (kv_get(w->kv, NULL, KV_META, buf_slice(&key), &value) != OK || info.applied != info.last)
        m->next.index = 0; /* nothing to be sent */
    buf_add_byte(&m->next.rows, KV_META);
    buf_add_varbytes(&m->next.rows, buf_slice(&key));
    buf_add_varbytes(&m->next.rows, value.bytes);
    add_rows(w->kv, m->partition, KV_STATE, info.applied, &m->next.rows);
    add_rows(w->kv, m->partition, KV_BODY, info.applied, &m->next.rows);
    kv_value_release(&value);
    buf_fini(&key);
}

static void must(struct mirror *m, enum err err)
{
    if (err != OK && !m->w->failed)
        world_fail(m->w, "mirror: %s", err_text(err));
}

/* Its log never joins: the copy is the only way. */
static void send_probe(struct mirror *m)
{
    struct replica_msg msg = { .type = REPLICA_MSG_APPEND, .peer = sender, .epoch = m->epoch };
    msg.append.prev_index = m->next.index;
    msg.append.prev_epoch = m->next.epoch;
    msg.append.commit = m->next.index;
    must(m, partition_message(m->p, world_now(m->w), &msg));
}

static size_t row_end(struct slice rows, size_t at)
{
    struct cursor c = cursor_of(slice_of(rows.data + at, rows.len - at));
    cursor_u8(&c);
    cursor_varbytes(&c);
    cursor_varbytes(&c);
    return rows.len - c.rest.len;
}

static void send_chunk(struct mirror *m)
{
    struct slice rows = buf_slice(&m->next.rows);
    struct buf chunk = { 0 };
    if (m->chunk_end == 0) {
        size_t bytes = 1 + world_below(m->w, m->chunk_bytes);
        for (m->chunk_end = m->at; m->chunk_end < rows.len && m->chunk_end < m->at + bytes;)
            m->chunk_end = row_end(rows, m->chunk_end);
    }
    buf_add(&chunk, rows.data + m->at, m->chunk_end - m->at);
    struct replica_msg msg = { .type = REPLICA_MSG_CHUNK,
                               .peer = sender,
                               .epoch = m->epoch,
                               .chunk = { .term = m->epoch,
                                          .nonce = m->nonce,
                                          .seq = m->seq,
                                          .index = m->next.index,
                                          .index_epoch = m->next.epoch,
                                          .last = m->chunk_end == rows.len,
                                          .handle = &chunk } };
    must(m, partition_message(m->p, world_now(m->w), &msg));
    buf_fini(&chunk);
}

/* Entries behind the copy, from the world's log. */
static void send_tail(struct mirror *m)
{
    struct partition *from = m->w->parts[m->partition].p;
    struct replica_entry entries[TAIL_MAX];
    struct buf entry = { 0 }, body = { 0 };
    uint32_t count = 0;
    uint64_t prev = m->acked, epoch;
    while (count < TAIL_MAX && partition_entry(from, prev + 1 + count, &epoch, &entry, &body) == OK) {
        struct log_entry *e = log_entry_new(buf_slice(&entry), buf_slice(&body));
        entries[count++] = (struct replica_entry){ .epoch = epoch, .size = log_entry_size(e), .handle = e };
    }
    buf_fini(&entry);
    buf_fini(&body);
    if (count == 0) {
        m->sending = SEND_DONE;
        return;
    }
    struct replica_msg msg = { .type = REPLICA_MSG_APPEND, .peer = sender, .epoch = m->epoch };
    msg.append.prev_index = prev;
    msg.append.prev_epoch = prev == m->next.index ? m->next.epoch : 0;
    msg.append.commit = prev + count;
    msg.append.count = count;
    msg.append.entries = entries;
    must(m, partition_message(m->p, world_now(m->w), &msg));
}

static void send_next(struct mirror *m)
{
    if (m->acked >= m->next.index && m->sending < SEND_TAIL)
        m->sending = SEND_TAIL;
    switch (m->sending) {
    case SEND_PROBE:
        send_probe(m);
        break;
    case SEND_CHUNKS:
        if (m->at < m->next.rows.len)
            send_chunk(m);
        break;
    case SEND_TAIL:
        send_tail(m);
        break;
    case SEND_DONE:
        break;
    }
}

/* ---- the threads */

static struct inbox_item *pop(struct inbox_chain *chain)
{
    struct inbox_item *item = chain->first;
    chain->first = item->next;
    if (chain->first == NULL)
        chain->last = NULL;
    item->next = NULL;
    return item;
}

static void step_copies(struct mirror *m)
{
    if (m->copies.first == NULL)
        return;
    struct inbox_item *item = pop(&m->copies);
    struct log_job *job = (struct log_job *)item;
    if (job->way == LOG_JOB_UNLOGGED) {
        must(m, log_job_write_unlogged(m->kv, m->batch, job));
        partition_written(job->partition, job);
    } else {
        must(m, log_persist(m->kv, item, m->w->faults));
        inbox_chain_add(&m->logged, item);
    }
}

static void step_log(struct mirror *m)
{
    if (m->logged.first == NULL)
        return;
    struct inbox_item *item = pop(&m->logged);
    if (!m->calm && world_chance(m->w, 50)) { /* the power goes between write and sync */
        kv_batch_clear(m->batch);
        log_job_fill((struct log_job *)item, m->batch);
        must(m, kv_write(m->kv, m->batch));
        kv_batch_clear(m->batch);
        partition_written(m->p, (struct log_job *)item);
        crash(m);
        return;
    }
    must(m, log_commit(m->kv, m->batch, item, m->w->faults));
    partition_written(m->p, (struct log_job *)item);
}

static void step(struct mirror *m)
{
    struct world *w = m->w;
    if (!m->calm && world_chance(w, CRASHES_PER_MILLE)) {
        crash(m);
        return;
    }
    switch (world_below(w, 8)) {
    case 0:
        send_next(m);
        break;
    case 1:
    case 2:
        step_copies(m);
        break;
    case 3:
    case 4:
        step_log(m);
        break;
    case 5:
        kv_mem_flush(m->kv, world_chance(w, 500) ? KV_STATE : KV_BODY, world_below(w, 3));
        break;
    case 6:
        must(m, partition_apply(m->round, &m->p, 1, world_now(w)));
        break;
    default:
        world_advance(w, world_below(w, 10));
        must(m, partition_tick(m->p, world_now(w)));
        break;
    }
    must(m, partition_flush(m->p, world_now(w)));
}

/* What is there in the end, if the entries of the log led to where the world is. */
static void check_end(struct mirror *m)
{
    struct buf here = { 0 }, there = { 0 };
    struct replica_info info, source;
    partition_info(m->p, &info);
    partition_info(m->w->parts[m->partition].p, &source);
    check_rows(m, "at the end");
    if (info.applied == source.applied) {
        add_rows(m->kv, m->partition, KV_STATE, info.applied, &here);
        add_rows(m->w->kv, m->partition, KV_STATE, info.applied, &there);
        if (!slice_eq(buf_slice(&here), buf_slice(&there)))
            world_fail(m->w, "mirror: another state at index %llu", (unsigned long long)info.applied);
    }
    buf_fini(&here);
    buf_fini(&there);
}

void mirror_copy(struct mirror *m)
{
    struct world *w = m->w;
    struct replica_info info;
    bool was_calm = w->calm;
    partition_info(w->parts[m->partition].p, &info);
    if (w->failed || m->next.index == 0)
        return;
    w->calm = true; /* nothing happens to the world meanwhile */
    m->calm = false;
    m->epoch = info.epoch;
    m->chunk_bytes = 1 + m->next.rows.len / (1 + world_below(w, CHUNKS_MAX));
    boot(m);
    for (int i = 0; i < STEPS_MAX + CALM_STEPS && !w->failed && m->sending != SEND_DONE; i++) {
        m->calm = i >= STEPS_MAX;
        step(m);
    }
    m->calm = true;
    for (int i = 0; i < 200 && !w->failed; i++)
        step(m);
    if (m->sending != SEND_DONE)
        world_fail(w, "mirror: the copy never arrives");
    check_end(m);
    if (!w->failed)
        crash(m);
    die(m);
    m->arrived++;
    w->calm = was_calm;
}

void mirror_figures(const struct mirror *m, uint64_t *copies_out, uint64_t *crashes_out)
{
    *copies_out = m->arrived;
    *crashes_out = m->crashes;
}
