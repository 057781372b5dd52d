/* SPDX-License-Identifier: Apache-2.0 */
/* Committed entries into the state: one transaction for all partitions of a worker that have some, each
 * partition's applied index in it. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "storage-node/partition/partition_priv.h"

struct apply_item {
    struct partition *p;
    uint64_t index;
    struct machine_result result;
};

struct apply_round {
    struct kv *kv;
    struct kv_txn *txn;
    struct apply_item *items; /* results keep their memory from round to round */
    size_t count, cap;
    uint64_t (*clock_ns)(void); /* NULL: no bound of time */
    uint64_t until_ns;
    size_t turns; /* which partition of a list comes first */
};

struct apply_round *apply_round_new(struct kv *kv)
{
    struct apply_round *round = NEW(struct apply_round);
    round->kv = kv;
    round->txn = kv_txn_new(kv);
    return round;
}

void apply_round_set_clock(struct apply_round *round, uint64_t (*clock_ns)(void))
{
    round->clock_ns = clock_ns;
}

static bool time_is_up(const struct apply_round *round)
{
    return round->clock_ns != NULL && round->clock_ns() >= round->until_ns;
}

/* At least one entry a turn, however late it is. */
static bool is_full(const struct apply_round *round)
{
    return round->count >= APPLY_ROUND_MAX || (round->count > 0 && time_is_up(round));
}

void apply_round_free(struct apply_round **out)
{
    struct apply_round *round = *out;
    if (round == NULL)
        return;
    for (size_t i = 0; i < round->cap; i++)
        machine_result_fini(&round->items[i].result);
    kv_txn_free(&round->txn);
    free(round->items);
    free(round);
    *out = NULL;
}

static struct apply_item *next_item(struct apply_round *round, struct partition *p, uint64_t index)
{
    if (round->count == round->cap) {
        size_t cap = round->cap == 0 ? 64 : round->cap * 2;
        round->items = xrealloc(round->items, cap * sizeof *round->items);
        memset(round->items + round->cap, 0, (cap - round->cap) * sizeof *round->items);
        round->cap = cap;
    }
    struct apply_item *item = &round->items[round->count++];
    item->p = p;
    item->index = index;
    machine_result_clear(&item->result);
    return item;
}

/* The bodies an entry set free go in the same batch: they are there exactly as long as a row refers to them.
 */
static void delete_bodies(struct apply_round *round, struct partition *p, const struct machine_result *result)
{
    for (size_t i = 0; i < result->free_body_count; i++) {
        for (uint64_t index = result->free_bodies[i].first; index <= result->free_bodies[i].last; index++) {
            buf_clear(&p->key);
            machine_body_key(p->id, index, &p->key);
            kv_txn_delete(round->txn, KV_BODY, buf_slice(&p->key));
        }
    }
}

static uint64_t chain_next(uint64_t chain, struct slice entry)
{
    uint64_t pair[2] = { chain, hash_xxh3(entry) };
    return hash_xxh3(slice_of(pair, sizeof pair));
}

/* STORAGE_FAULT(forget_requests): no request id is ever the same again. */
static void rename_request(uint64_t index, struct slice entry, struct buf *out)
{
    struct entry_header h;
    struct slice request;
    if (entry_decode(entry, &h, &request) != OK)
        return;
    for (int i = 0; i < 8; i++)
        h.request_id[REQUEST_ID_SIZE - 1 - i] ^= (uint8_t)(index >> (8 * i));
    entry_encode(&h, request, out);
}

static enum err apply_bytes(struct apply_round *round, struct partition *p, uint64_t index,
                            struct slice entry, uint32_t body_len)
{
    struct apply_item *item = next_item(round, p, index);
    struct buf renamed = { 0 };
    if (STORAGE_FAULT(p->faults, forget_requests))
        rename_request(index, entry, &renamed);
    enum err err =
        machine_apply(round->txn, p->id, index, renamed.len > 0 ? buf_slice(&renamed) : entry, &item->result);
    buf_fini(&renamed);
    TRY(err);
    delete_bodies(round, p, &item->result);
    /* Less than 0 it can only become where an earlier program did not count. */
    uint64_t bytes = p->applying.body_bytes + body_len, freed = item->result.free_body_bytes;
    p->applying.body_bytes = bytes > freed ? bytes - freed : 0;
    p->applying_check = entry_is_check(entry);
    if (entry_version(entry) > p->applying.version)
        p->applying.version = entry_version(entry);
    p->applying.index = index;
    p->applying.chain = chain_next(p->applying.chain, entry);
    return OK;
}

/* An entry that this process did not write: from the log. */
static enum err apply_from_log(struct apply_round *round, struct partition *p, uint64_t index)
{
    struct kv_value value = { 0 };
    struct slice entry, request;
    struct entry_header header;
    uint64_t epoch;
    log_key(p->id, index, &p->key);
    enum err err = kv_get(p->kv, NULL, KV_LOG, buf_slice(&p->key), &value);
    if (err == ERR_NOT_FOUND)
        return ERR_CORRUPT;
    TRY(err);
    TRY_GOTO(log_row_decode(value.bytes, &epoch, &entry), out);
    TRY_GOTO(entry_decode(entry, &header, &request), out);
    p->applying_time = header.time_ms;
    err = apply_bytes(round, p, index, entry, header.body_len);
out:
    kv_value_release(&value);
    return err;
}

static void put_applied(struct kv_txn *txn, struct partition *p)
{
    applied_key(p->id, &p->key);
    applied_encode(&p->applying, &p->value);
    kv_txn_put(txn, KV_META, buf_slice(&p->key), buf_slice(&p->value));
}

static enum err apply_partition(struct apply_round *round, struct partition *p)
{
    p->applying = p->applied;
    p->applying_time = 0;
    while (!p->applying_check && p->applying.index < p->apply_to && !is_full(round)) {
        uint64_t index = p->applying.index + 1;
        struct log_entry *e = log_ring_find(&p->ring, index);
        if (e == NULL) {
            TRY(apply_from_log(round, p, index));
        } else {
            p->applying_time = e->time_ms;
            TRY(apply_bytes(round, p, index, log_entry_bytes(e), e->body_len));
        }
    }
    if (p->applying.index > p->applied.index && !STORAGE_FAULT(p->faults, split_applied))
        put_applied(round->txn, p);
    return OK;
}

static void begin(struct apply_round *round, struct partition *const *list, size_t count)
{
    round->count = 0;
    for (size_t i = 0; i < count; i++) {
        list[i]->applying = list[i]->applied;
        list[i]->applying_time = 0;
        list[i]->applying_check = false;
    }
}

/* Fill the transaction. A partition with a damaged row is stopped and the others are filled in again without
 * it. */
static enum err fill(struct apply_round *round, struct partition *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct partition *p = list[(round->turns + i) % count];
        if (!partition_has_committed(p) || is_full(round))
            continue;
        enum err err = apply_partition(round, p);
        if (err == ERR_CORRUPT) {
            partition_stop(p, "applying an entry met a damaged row");
            kv_txn_free(&round->txn);
            round->txn = kv_txn_new(round->kv);
            begin(round, list, count);
            i = (size_t)-1; /* from the first again */
            continue;
        }
        TRY(err);
    }
    return OK;
}

static void answer(struct apply_item *item)
{
    struct partition *p = item->p;
    struct machine_result *result = &item->result;
    struct log_entry *e = log_ring_find(&p->ring, item->index);
    if (e != NULL)
        partition_answer_entry(p, e, result->status, &result->response);
    partition_notify_changes(p, result->changes, result->change_count);
    if (result->sweep_wanted)
        p->next_sweep_ns = 0; /* at the next tick */
}

static enum err cut_log(struct partition *p, struct partition_now now)
{
    if (p->applied.index - p->mark < p->keep_count && p->mark_bytes < p->keep_bytes)
        return OK;
    uint64_t to = p->mark < p->applied_durable ? p->mark : p->applied_durable;
    p->mark = p->applied.index;
    p->mark_bytes = 0;
    if (STORAGE_FAULT(p->faults, cut_ahead)) {
        struct replica_info info;
        replica_info(p->replica, &info);
        to = info.last;
    }
    if (to <= p->record.base_index)
        return OK;
    struct replica_event event = { .type = REPLICA_EV_TRIM, .now = now.boot_ns };
    event.trim.index = to;
    return partition_step(p, &event, now);
}

static void show_time(struct partition *p)
{
    if (p->applying_time <= p->applied_time || p->stopped)
        return;
    p->applied_time = p->applying_time;
    atomic_store_explicit(&p->pub->time_ms, p->applied_time, memory_order_relaxed);
}

/* The state is visible now: say so to whoever waits, then to the core. */
static enum err finish(struct partition *p, struct partition_now now)
{
    atomic_fetch_add_explicit(&p->stats->applied, p->applying.index - p->applied.index, memory_order_relaxed);
    p->applied = p->applying;
    if (p->applying_check)
        partition_check_begin(p);
    atomic_store_explicit(&p->pub->applied, p->applied.index, memory_order_relaxed);
    log_ring_drop_front(&p->ring, p->applied.index);
    if (p->sweep_index != 0 && p->sweep_index <= p->applied.index) {
        p->sweep_index = 0;
        p->next_sweep_ns = now.boot_ns; /* a sweep is bounded: is there more? */
    }
    struct replica_event event = { .type = REPLICA_EV_APPLIED, .now = now.boot_ns };
    event.applied.index = p->applied.index;
    TRY(partition_step(p, &event, now));
    return cut_log(p, now);
}

static enum err commit(struct apply_round *round, struct partition *const *list, size_t count)
{
    TRY(kv_txn_commit(round->txn));
    for (size_t i = 0; i < count; i++) {
        struct partition *p = list[i];
        if (!STORAGE_FAULT(p->faults, split_applied) || p->applying.index <= p->applied.index)
            continue;
        put_applied(round->txn, p);
        TRY(kv_txn_commit(round->txn));
    }
    return OK;
}

bool partition_has_committed(const struct partition *p)
{
    return !p->stopped && p->apply_to > p->applied.index;
}

static bool any_committed(struct partition *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (partition_has_committed(list[i]))
            return true;
    }
    return false;
}

enum err partition_apply(struct apply_round *round, struct partition *const *list, size_t count,
                         struct partition_now now)
{
    if (round->clock_ns != NULL)
        round->until_ns = round->clock_ns() + APPLY_TURN_MS * UINT64_C(1000000);
    while (any_committed(list, count)) {
        round->turns++;
        begin(round, list, count);
        TRY(fill(round, list, count));
        TRY(commit(round, list, count));
        for (size_t i = 0; i < count; i++)
            show_time(list[i]);
        for (size_t i = 0; i < round->count; i++)
            answer(&round->items[i]);
        for (size_t i = 0; i < count; i++) {
            if (!list[i]->stopped && list[i]->applying.index > list[i]->applied.index)
                TRY(finish(list[i], now));
        }
        if (time_is_up(round))
            break;
    }
    return OK;
}
