/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/storage/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/log/rows.h"

enum { FAIL_AFTER_MAX = 40, KEEP_MAX = 6, SETTLE_ROUNDS = 400 };

static const struct replica_node self = { .store = 99, .id = WORLD_NODE };
static struct world *current;

uint64_t world_boot_ns(void)
{
    return current->boot_ns;
}

uint64_t world_rand(struct world *w) /* splitmix64 */
{
    uint64_t z = (w->rand += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t world_below(struct world *w, uint64_t n)
{
    return world_rand(w) % n;
}

bool world_chance(struct world *w, uint64_t per_mille)
{
    return world_below(w, 1000) < per_mille;
}

struct partition_now world_now(const struct world *w)
{
    return (struct partition_now){ w->boot_ns, w->boot_ns / 1000000, w->real_ms };
}

void world_fail(struct world *w, const char *fmt, ...)
{
    va_list ap;
    if (w->failed)
        return;
    w->failed = true;
    va_start(ap, fmt);
    vsnprintf(w->failure, sizeof w->failure, fmt, ap);
    va_end(ap);
}

/* ---- what leaves the partitions */

static void on_submit(void *arg, struct log_job *job)
{
    struct world *w = arg;
    inbox_chain_add(&w->jobs, &job->item);
}

static void on_notify(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                      struct slice packed)
{
    struct world *w = arg;
    w->notices++;
}

static void on_ask(void *arg, const struct partition_ask *ask)
{
    struct world *w = arg;
    if (!w->calm && world_chance(w, 200))
        return; /* lost on the way: the replica asks again */
    struct world_ask *a = NEW(struct world_ask);
    a->ask = *ask;
    a->next = w->asks;
    w->asks = a;
}

/* ---- marks of the state */

static uint64_t hash_state(struct world *w, uint32_t partition)
{
    struct buf lower = { 0 }, upper = { 0 };
    uint64_t hash = 1;
    machine_key_range(partition, &lower, &upper);
    struct kv_iter *it = kv_iter_new(w->kv, NULL, KV_STATE, buf_slice(&lower), buf_slice(&upper));
    for (bool more = kv_iter_seek(it, buf_slice(&lower)); more; more = kv_iter_next(it)) {
        uint64_t parts[3] = { hash, hash_xxh3(kv_iter_key(it)), hash_xxh3(kv_iter_value(it)) };
        hash = hash_xxh3(slice_of(parts, sizeof parts));
    }
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
    return hash;
}

static struct state_mark *find_mark(struct world_partition *wp, uint64_t index)
{
    for (size_t i = wp->mark_count; i > 0; i--) {
        if (wp->marks[i - 1].index == index)
            return &wp->marks[i - 1];
    }
    return NULL;
}

/* The same entries give the same state, whenever and however often they are applied. */
static void mark_state(struct world *w, uint32_t partition)
{
    struct world_partition *wp = &w->parts[partition];
    struct replica_info info;
    partition_info(wp->p, &info);
    uint64_t hash = hash_state(w, partition);
    struct state_mark *known = find_mark(wp, info.applied);
    if (known != NULL && known->hash != hash)
        world_fail(w, "partition %u: two states at index %llu", partition, (unsigned long long)info.applied);
    if (known != NULL)
        return;
    if (wp->mark_count == wp->mark_cap) {
        wp->mark_cap = wp->mark_cap == 0 ? 256 : wp->mark_cap * 2;
        wp->marks = xrealloc(wp->marks, wp->mark_cap * sizeof *wp->marks);
    }
    wp->marks[wp->mark_count++] = (struct state_mark){ info.applied, hash };
}

static void check_recovered_state(struct world *w, uint32_t partition)
{
    struct world_partition *wp = &w->parts[partition];
    struct replica_info info;
    partition_info(wp->p, &info);
    struct state_mark *mark = find_mark(wp, info.applied);
    if (mark == NULL)
        world_fail(w, "partition %u: recovered at index %llu, which was never reached", partition,
                   (unsigned long long)info.applied);
    else if (mark->hash != hash_state(w, partition))
        world_fail(w, "partition %u: the state recovered is not that of its applied index %llu", partition,
                   (unsigned long long)info.applied);
    /* Entries beyond the log's end are gone; others may take their numbers. */
    size_t kept = 0;
    for (size_t i = 0; i < wp->mark_count; i++) {
        if (wp->marks[i].index <= info.last)
            wp->marks[kept++] = wp->marks[i];
    }
    wp->mark_count = kept;
}

/* ---- life and death */

static struct replica_conf conf_of(const struct world_partition *wp)
{
    struct replica_conf conf = { .epoch = wp->epoch, .since = 1, .primary = self, .member_count = 1 };
    conf.members[0] = self;
    return conf;
}

static void must(struct world *w, enum err err)
{
    if (err != OK)
        world_crash(w);
}

static void boot(struct world *w)
{
    w->round = apply_round_new(w->kv);
    for (uint32_t i = 0; i < WORLD_PARTITIONS; i++) {
        struct world_partition *wp = &w->parts[i];
        struct partition_options options = {
            .id = i,
            .self = self,
            .min_members = 1,
            .kv = w->kv,
            .host = &w->host,
            .pub = &wp->pub,
            .stats = &w->stats,
            .nonce = world_rand(w),
            .log_keep_count = w->log_keep,
            .faults = w->faults,
        };
        wp->pub = (struct partition_public){ 0 };
        if (partition_open(&options, world_now(w), &wp->p) != OK || atomic_load(&wp->pub.stopped)) {
            world_fail(w, "partition %u does not open", i);
            return;
        }
        if (wp->mark_count == 0 && w->crashes == 0)
            mark_state(w, i);
        else
            check_recovered_state(w, i);
        struct replica_conf conf = conf_of(wp);
        if (partition_conf(wp->p, world_now(w), &conf, 0) != OK)
            world_fail(w, "partition %u refuses its configuration", i);
    }
}

static void die(struct world *w)
{
    w->crashing = true;
    while (w->jobs.first != NULL) {
        struct log_job *job = (struct log_job *)w->jobs.first;
        w->jobs.first = w->jobs.first->next;
        partition_written(job->partition, job);
    }
    w->jobs.last = NULL;
    for (uint32_t i = 0; i < WORLD_PARTITIONS; i++)
        partition_close(&w->parts[i].p);
    apply_round_free(&w->round);
    while (w->asks != NULL) {
        struct world_ask *next = w->asks->next;
        free(w->asks);
        w->asks = next;
    }
    w->crashing = false;
}

void world_crash(struct world *w)
{
    if (w->failed)
        return;
    w->crashes++;
    die(w);
    kv_mem_fail_after(w->kv, 0, OK);
    /* A killed process loses nothing that was written; a power cut all that was not synced, but for a prefix.
     */
    kv_mem_crash(w->kv, world_chance(w, 300) ? SIZE_MAX : world_below(w, KEEP_MAX));
    world_advance(w, 1 + world_below(w, 500));
    if (w->trace)
        fprintf(stderr, "[%llu] crash\n", (unsigned long long)w->boot_ns / 1000000);
    boot(w);
}

void world_init(struct world *w, uint64_t seed, const struct storage_faults *faults)
{
    *w = (struct world){
        .rand = seed, .faults = faults, .boot_ns = UINT64_C(1000000000000), .real_ms = UINT64_C(1700000000000)
    };
    current = w;
    w->log_keep = 1 + (uint32_t)world_below(w, 60);
    w->kv = kv_open_mem();
    w->batch = kv_batch_new(w->kv);
    w->host = (struct partition_host){ w, on_submit, on_notify, on_ask, &peer_transport_none, NULL, NULL };
    for (uint32_t i = 0; i < WORLD_PARTITIONS; i++)
        w->parts[i].epoch = 1;
    boot(w);
}

void world_fini(struct world *w)
{
    die(w);
    for (uint32_t i = 0; i < WORLD_PARTITIONS; i++)
        free(w->parts[i].marks);
    kv_batch_free(&w->batch);
    kv_close(&w->kv);
}

/* ---- what happens inside the node */

static void step_log_writer(struct world *w, uint64_t count)
{
    struct inbox_chain taken = { 0 };
    while (count-- > 0 && w->jobs.first != NULL) {
        struct inbox_item *item = w->jobs.first;
        w->jobs.first = item->next;
        if (w->jobs.first == NULL)
            w->jobs.last = NULL;
        inbox_chain_add(&taken, item);
    }
    if (taken.first == NULL)
        return;
    enum err err = log_commit(w->kv, w->batch, taken.first, w->faults);
    w->commits++;
    w->crashing = err != OK; /* nobody hears of a batch that failed */
    while (taken.first != NULL) {
        struct log_job *job = (struct log_job *)taken.first;
        taken.first = taken.first->next;
        partition_written(job->partition, job);
    }
    must(w, err);
}

static void step_apply(struct world *w, uint32_t first, uint32_t count)
{
    struct partition *list[WORLD_PARTITIONS];
    bool had[WORLD_PARTITIONS];
    for (uint32_t i = 0; i < count; i++) {
        list[i] = w->parts[(first + i) % WORLD_PARTITIONS].p;
        had[i] = partition_has_committed(list[i]);
    }
    enum err err = partition_apply(w->round, list, count, world_now(w));
    for (uint32_t i = 0; err == OK && i < count; i++) {
        uint32_t id = (first + i) % WORLD_PARTITIONS;
        if (atomic_load(&w->parts[id].pub.stopped))
            world_fail(w, "partition %u stopped", id);
        else if (had[i])
            mark_state(w, id);
    }
    must(w, err);
}

static void step_director(struct world *w)
{
    struct world_ask *a = w->asks;
    if (a == NULL)
        return;
    w->asks = a->next;
    struct world_partition *wp = &w->parts[a->ask.partition];
    if (a->ask.type == REPLICA_ASK_PROMOTE && a->ask.epoch == wp->epoch)
        wp->epoch++;
    struct replica_conf conf = conf_of(wp);
    bool lost = !w->calm && world_chance(w, 100);
    enum err err = lost ? OK : partition_conf(wp->p, world_now(w), &conf, a->ask.id);
    free(a);
    must(w, err);
}

static void step_tick(struct world *w)
{
    for (uint32_t i = 0; i < WORLD_PARTITIONS && !w->failed; i++) {
        struct partition *p = w->parts[i].p;
        if (partition_next_tick(p) > w->boot_ns)
            continue;
        enum err err = partition_tick(p, world_now(w));
        if (err != OK) {
            world_crash(w);
            return;
        }
    }
}

void world_advance(struct world *w, uint64_t ms)
{
    w->boot_ns += ms * 1000000;
    /* The clock that people read may go back (R15 rests on entry times, which do not). */
    w->real_ms += ms;
    if (!w->calm && world_chance(w, 5))
        w->real_ms -= world_below(w, 2000);
}

void world_step(struct world *w)
{
    uint32_t p = (uint32_t)world_below(w, WORLD_PARTITIONS);
    if (w->failed)
        return;
    if (!w->calm && world_chance(w, 4))
        kv_mem_fail_after(w->kv, 1 + world_below(w, FAIL_AFTER_MAX), ERR_IO);
    if (!w->calm && world_chance(w, 2)) {
        world_crash(w);
        return;
    }
    switch (world_below(w, 8)) {
    case 0:
    case 1:
        must(w, partition_flush(w->parts[p].p, world_now(w)));
        break;
    case 2:
    case 3:
        step_log_writer(w, 1 + world_below(w, 8));
        break;
    case 4:
    case 5:
        step_apply(w, p, 1 + (uint32_t)world_below(w, WORLD_PARTITIONS));
        break;
    case 6:
        step_director(w);
        break;
    default:
        world_advance(w, world_below(w, 30));
        step_tick(w);
        break;
    }
}

void world_push(struct world *w, struct partition_request *request)
{
    partition_push(w->parts[request->partition].p, world_now(w), request);
}

void world_settle(struct world *w)
{
    bool was_calm = w->calm;
    w->calm = true;
    kv_mem_fail_after(w->kv, 0, OK);
    for (int i = 0; i < SETTLE_ROUNDS && !w->failed; i++) {
        for (uint32_t p = 0; p < WORLD_PARTITIONS; p++)
            must(w, partition_flush(w->parts[p].p, world_now(w)));
        step_log_writer(w, UINT64_MAX);
        for (uint32_t p = 0; p < WORLD_PARTITIONS; p++)
            must(w, partition_flush(w->parts[p].p, world_now(w)));
        step_apply(w, 0, WORLD_PARTITIONS);
        step_director(w);
        world_advance(w, 10);
        step_tick(w);
    }
    w->calm = was_calm;
}
