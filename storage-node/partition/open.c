/* SPDX-License-Identifier: Apache-2.0 */
/* What a partition's rows say at start, told to the core. The node synced the database before (replica.h:
 * EV_START speaks of the disk). */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/partition/partition_priv.h"

struct epoch_runs {
    struct replica_run *list;
    uint32_t count, cap;
};

static enum err get_meta(struct partition *p, struct kv_value *out)
{
    return kv_get(p->kv, NULL, KV_META, buf_slice(&p->key), out);
}

static enum err load_record(struct partition *p, bool *found_out)
{
    struct kv_value value = { 0 };
    record_key(p->id, &p->key);
    enum err err = get_meta(p, &value);
    *found_out = err == OK;
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK)
        err = record_decode(value.bytes, &p->record);
    if (err == ERR_CORRUPT)
        p->record = (struct partition_record){ 0 };
    if (err == OK && p->record.damaged && !p->record.installing) /* half a copy is wiped anyway */
        err = ERR_CORRUPT;
    kv_value_release(&value);
    return err;
}

static enum err load_applied(struct partition *p)
{
    struct kv_value value = { 0 };
    applied_key(p->id, &p->key);
    enum err err = get_meta(p, &value);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK)
        err = applied_decode(value.bytes, &p->applied);
    if (err != OK)
        p->applied = (struct partition_applied){ 0 };
    kv_value_release(&value);
    return err;
}

static enum err find_last(struct partition *p, uint64_t *last_out)
{
    struct buf upper = { 0 };
    log_key(p->id, 0, &p->key);
    log_key(p->id, UINT64_MAX, &upper);
    struct kv_iter *it = kv_iter_new(p->kv, NULL, KV_LOG, buf_slice(&p->key), buf_slice(&upper));
    enum err err = OK;
    *last_out = p->record.base_index;
    if (kv_iter_seek_last(it)) {
        if (!log_key_index(kv_iter_key(it), last_out) || *last_out < p->record.base_index)
            err = ERR_CORRUPT;
    } else {
        err = kv_iter_err(it);
    }
    kv_iter_free(&it);
    buf_fini(&upper);
    return err;
}

static enum err read_row(struct partition *p, uint64_t index, uint64_t *epoch_out, uint64_t *time_out)
{
    struct kv_value value = { 0 };
    struct slice entry, request;
    struct entry_header header;
    log_key(p->id, index, &p->key);
    enum err err = kv_get(p->kv, NULL, KV_LOG, buf_slice(&p->key), &value);
    if (err == ERR_NOT_FOUND)
        err = ERR_CORRUPT; /* the log has no gaps */
    if (err == OK)
        err = log_row_decode(value.bytes, epoch_out, &entry);
    if (err == OK && time_out != NULL) {
        err = entry_decode(entry, &header, &request);
        *time_out = err == OK ? header.time_ms : 0;
    }
    kv_value_release(&value);
    return err;
}

static void add_run(struct epoch_runs *runs, uint64_t first, uint64_t epoch)
{
    if (runs->count == runs->cap) {
        runs->cap = runs->cap == 0 ? 8 : runs->cap * 2;
        runs->list = xrealloc(runs->list, runs->cap * sizeof *runs->list);
    }
    runs->list[runs->count++] = (struct replica_run){ first, epoch };
}

/* Epochs never fall along a log, so each run's end is found by halving: a start reads a few rows, not the
 * log. */
static enum err find_runs(struct partition *p, uint64_t last, struct epoch_runs *runs)
{
    uint64_t first = p->record.base_index + 1;
    while (first <= last) {
        uint64_t epoch, other, low = first, high = last;
        TRY(read_row(p, first, &epoch, NULL));
        while (low < high) {
            uint64_t middle = low + (high - low + 1) / 2;
            TRY(read_row(p, middle, &other, NULL));
            if (other == epoch)
                low = middle;
            else
                high = middle - 1;
        }
        add_run(runs, first, epoch);
        first = low + 1;
    }
    return OK;
}

static enum err load_time(struct partition *p, uint64_t last)
{
    uint64_t epoch, time_ms = 0;
    TRY(machine_time(p->kv, NULL, p->id, &p->applied_time));
    atomic_store(&p->pub->time_ms, p->applied_time);
    p->entry_time = p->applied_time;
    if (last > p->record.base_index)
        TRY(read_row(p, last, &epoch, &time_ms));
    if (time_ms > p->entry_time)
        p->entry_time = time_ms;
    return OK;
}

/* Versions never fall along a log: the newest entry has the highest. */
static enum err check_version(struct partition *p, uint64_t last)
{
    uint8_t version;
    TRY(partition_version_at(p, last, &version));
    if (version <= p->version_max)
        return OK;
    partition_version_refuse(p, version);
    return ERR_UNSUPPORTED;
}

enum err partition_load(struct partition *p, uint64_t nonce, struct partition_now now)
{
    struct replica_event event = { .type = REPLICA_EV_START, .now = now.boot_ns };
    struct epoch_runs runs = { 0 };
    uint64_t last = 0;
    enum err err;
    TRY(load_record(p, &event.start.record));
    p->recorded = event.start.record;
    TRY(load_applied(p));
    TRY(find_last(p, &last));
    TRY(check_version(p, last));
    TRY(load_time(p, last));
    TRY_GOTO(find_runs(p, last, &runs), out);
    if (STORAGE_FAULT(p->faults, skip_replay))
        p->applied.index = last;
    if (p->applied.index > p->record.commit)
        p->record.commit = p->applied.index; /* the record's is lazy */
    p->complete_from = last;
    p->apply_wanted = p->apply_to = p->applied_durable = p->mark = p->applied.index;
    atomic_store(&p->pub->applied, p->applied.index);
    event.start.installing = p->record.installing;
    event.start.dep = p->record.dep;
    event.start.base_index = p->record.base_index;
    event.start.base_epoch = p->record.base_epoch;
    event.start.last = last;
    event.start.applied = p->applied.index;
    event.start.commit = p->record.commit;
    event.start.runs = runs.list;
    event.start.run_count = runs.count;
    event.start.nonce = nonce;
    err = partition_step(p, &event, now);
    if (err == OK)
        partition_publish(p);
out:
    free(runs.list);
    return err;
}

enum err partition_load_damaged(struct partition *p, uint64_t nonce, struct partition_now now)
{
    struct replica_event event = { .type = REPLICA_EV_START, .now = now.boot_ns };
    event.start.record = true;
    event.start.damaged = true;
    event.start.dep = p->record.dep;
    event.start.nonce = nonce;
    TRY(partition_step(p, &event, now));
    partition_publish(p);
    return OK;
}

enum err partition_entry(struct partition *p, uint64_t index, uint64_t *epoch_out, struct buf *entry_out,
                         struct buf *body_out)
{
    struct log_entry *e = log_ring_find(&p->ring, index);
    struct kv_value value = { 0 };
    struct slice entry, request;
    struct entry_header header;
    buf_clear(entry_out);
    buf_clear(body_out);
    if (e != NULL && e->body.len == e->body_len) {
        *epoch_out = e->epoch;
        buf_add_slice(entry_out, log_entry_bytes(e));
        buf_add_slice(body_out, e->body);
        return OK;
    }
    log_key(p->id, index, &p->key);
    TRY(kv_get(p->kv, NULL, KV_LOG, buf_slice(&p->key), &value));
    enum err err = log_row_decode(value.bytes, epoch_out, &entry);
    if (err == OK)
        err = entry_decode(entry, &header, &request);
    if (err == OK)
        buf_add_slice(entry_out, entry);
    kv_value_release(&value);
    if (err != OK || header.body_len == 0)
        return err;
    buf_clear(&p->key);
    machine_body_key(p->id, index, &p->key);
    err = kv_get(p->kv, NULL, KV_BODY, buf_slice(&p->key), &value);
    if (err == OK)
        buf_add_slice(body_out, value.bytes);
    kv_value_release(&value);
    /* Freed since: whoever replays this entry is told by a later one that expunges it. */
    return err == ERR_NOT_FOUND ? OK : err;
}
