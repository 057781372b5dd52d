/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/worker/worker_priv.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "storage-node/partition/log/rows.h"

void worker_must(struct worker *w, enum err err, const char *what)
{
    if (err != OK)
        w->pool->seam.fatal(w->pool->seam.arg, what, err);
}

static struct partition_now read_clocks(void)
{
    return (struct partition_now){ clock_boot_ns(), clock_mono_ms(), clock_real_ms() };
}

/* ---- the partitions' host */

static void host_submit(void *arg, struct log_job *job)
{
    struct worker *w = arg;
    inbox_chain_add(&w->jobs, &job->item);
    w->jobs_out++;
}

static void host_notify(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                        struct slice packed)
{
    struct worker *w = arg;
    w->pool->options.notify(w->pool->options.notify_arg, peer, method, partition, packed);
}

static void host_read(void *arg, struct partition_request *request)
{
    struct worker *w = arg;
    w->pool->options.read(w->pool->options.read_arg, request);
}

static void host_ask(void *arg, const struct partition_ask *ask)
{
    struct worker *w = arg;
    w->pool->options.ask(w->pool->options.ask_arg, ask);
}

static void host_work(void *arg, struct partition_work *work)
{
    struct worker *w = arg;
    w->works_out++;
    if (w->pool->seam.work != NULL) {
        w->pool->seam.work(w->pool->seam.arg, work);
    } else {
        work->run(work);
        w->works_out--;
        partition_worked(work->partition, work);
    }
}

/* ---- partitions of a worker */

static size_t slot_count(const struct worker *w)
{
    return PARTITION_COUNT_MAX / w->pool->options.workers + 1;
}

struct slot *worker_slot(struct worker *w, uint32_t partition)
{
    return partition < PARTITION_COUNT_MAX ? &w->slots[partition / w->pool->options.workers] : NULL;
}

void worker_warm(const struct slot *far, const struct slot *near)
{
    if (far != NULL && far->p != NULL)
        partition_warm(far->p);
    if (near != NULL && near->p != NULL)
        partition_warm_replica(near->p);
}

void worker_warm_around(const struct worker *w, size_t i)
{
    size_t far = i + WORKER_WARM_FAR, near = i + WORKER_WARM_NEAR;
    worker_warm(far < slot_count(w) ? &w->slots[far] : NULL, near < slot_count(w) ? &w->slots[near] : NULL);
}

void worker_touch(struct worker *w, struct slot *slot)
{
    if (slot->touched)
        return;
    slot->touched = true;
    w->touched[w->touched_count++] = slot->p;
}

static bool has_record(struct worker *w, uint32_t partition)
{
    struct buf key = { 0 };
    struct kv_value value = { 0 };
    record_key(partition, &key);
    enum err err = kv_get(w->pool->options.kv, NULL, KV_META, buf_slice(&key), &value);
    kv_value_release(&value);
    buf_fini(&key);
    if (err != ERR_NOT_FOUND)
        worker_must(w, err, "reading a partition's record");
    return err == OK;
}

static bool conf_names(const struct replica_conf *conf, struct replica_node node)
{
    for (int i = 0; i < conf->member_count; i++) {
        if (replica_node_eq(conf->members[i], node))
            return true;
    }
    for (int i = 0; i < conf->learner_count; i++) {
        if (replica_node_eq(conf->learners[i], node))
            return true;
    }
    return false;
}

static void open_partition(struct worker *w, struct slot *slot, const struct conf_item *c,
                           struct partition_now now)
{
    struct partition_options options = {
        .id = c->partition,
        .self = w->pool->options.self,
        .min_members = c->min_members,
        .kv = w->pool->options.kv,
        .host = &w->host,
        .pub = directory_get(w->pool->options.directory, c->partition),
        .stats = &w->stats.partition,
        .nonce = rand_u64(),
        .log_keep_count = w->pool->options.log_keep_count,
        .log_keep_bytes = w->pool->options.log_keep_bytes,
        .copy_chunk_bytes = w->pool->options.copy_chunk_bytes,
        .append_count_max = w->pool->options.append_count_max,
        .check_interval_ms = w->pool->options.check_interval_ms,
        .check_pace = &w->pool->check_pace,
        .machine_version_max = w->pool->options.machine_version_max,
        .faults = w->pool->options.faults,
        .fault_list = w->pool->options.fault_list,
    };
    worker_must(w, partition_open(&options, now, &slot->p), "opening a partition");
    atomic_fetch_add_explicit(&w->stats.partitions, 1, memory_order_relaxed);
}

/* The newest configuration may name this node again, and is not told twice. */
static void keep_for_later(struct slot *slot, struct conf_item *c)
{
    struct conf_item *other = slot->later;
    bool newer = other == NULL || c->conf.epoch >= other->conf.epoch;
    slot->later = newer ? c : other;
    slot->later->ask_id = 0; /* whoever asked goes */
    free(newer ? other : c);
}

static void close_gone(struct worker *w, struct slot *slot, struct inbox_chain *later)
{
    if (w->pool->options.board != NULL)
        board_forget(w->pool->options.board, partition_id(slot->p));
    partition_close(&slot->p);
    atomic_fetch_sub_explicit(&w->stats.partitions, 1, memory_order_relaxed);
    if (slot->later != NULL)
        inbox_chain_add(later, &slot->later->item);
    slot->later = NULL;
}

/* Only what a director said opens a copy: who comes back with one acks and grants nothing before it heard
 * whether that still counts (R29). */
static void take_conf(struct worker *w, struct conf_item *c, struct partition_now now)
{
    struct slot *slot = worker_slot(w, c->partition);
    if (slot != NULL && slot->p != NULL && partition_is_dropped(slot->p)) {
        keep_for_later(slot, c);
        return;
    }
    if (slot != NULL && slot->p == NULL && !w->stopping &&
        (conf_names(&c->conf, w->pool->options.self) || has_record(w, c->partition)))
        open_partition(w, slot, c, now);
    if (slot != NULL && slot->p != NULL) {
        partition_set_min_members(slot->p, c->min_members);
        worker_must(w, partition_conf(slot->p, now, &c->conf, c->ask_id), "taking a configuration");
        worker_touch(w, slot);
        if (c->conf.member_count + c->conf.learner_count > 1 && w->next_beat_ns == REPLICA_NEVER)
            w->next_beat_ns = now.boot_ns;
    }
    free(c);
}

static void take_request(struct worker *w, struct partition_request *r, struct partition_now now)
{
    struct slot *slot = worker_slot(w, r->partition);
    if (slot == NULL || slot->p == NULL || w->stopping) {
        partition_request_end(r, w->stopping ? ERR_UNAVAILABLE : ERR_NOT_PRIMARY, 0);
        return;
    }
    partition_push(slot->p, now, r);
    worker_touch(w, slot);
}

static void take_written(struct worker *w, struct log_job *job)
{
    struct partition *p = job->partition;
    w->jobs_out--;
    worker_touch(w, worker_slot(w, partition_id(p)));
    partition_written(p, job);
}

static void take_worked(struct worker *w, struct partition_work *work)
{
    w->works_out--;
    worker_touch(w, worker_slot(w, partition_id(work->partition)));
    partition_worked(work->partition, work);
}

static void take_message(struct worker *w, struct worker_message *m, struct partition_now now)
{
    struct slot *slot = worker_slot(w, m->partition);
    atomic_fetch_sub(&w->pool->message_bytes, m->size);
    if (slot != NULL && slot->p != NULL && !w->stopping) {
        if (m->msg.type == REPLICA_MSG_APPEND)
            m->msg.append.entries = m->entries;
        if (m->msg.type == REPLICA_MSG_CHUNK)
            m->msg.chunk.handle = &m->rows;
        worker_must(w, partition_message(slot->p, now, &m->msg), "a message of another node");
        if (m->msg.type == REPLICA_MSG_APPEND) /* its entries are gone */
            m->msg.append.count = 0;
        worker_touch(w, slot);
    }
    worker_message_free(m);
}

static void take_drop(struct worker *w, struct drop_item *d, struct partition_now now)
{
    struct slot *slot = worker_slot(w, d->partition);
    if (slot != NULL && slot->p != NULL && !w->stopping) {
        worker_must(w, partition_drop(slot->p, now), "dropping a copy");
        worker_touch(w, slot);
    }
    free(d);
}

static void tell(struct worker *w)
{
    struct board *board = w->pool->options.board;
    uint32_t open = atomic_load_explicit(&w->stats.partitions, memory_order_relaxed);
    uint64_t number = w->tell_number;
    atomic_store(&w->telling, false);
    for (size_t i = 0; board != NULL && open > 0 && i < slot_count(w); i++) {
        const struct partition *p = w->slots[i].p;
        struct board_figures figures;
        struct board_copy copy;
        if (p == NULL)
            continue;
        open--;
        worker_warm_around(w, i);
        if (partition_figures(p, &figures))
            board_put(board, partition_id(p), &figures);
        else
            board_remove(board, partition_id(p));
        if (partition_copy(p, &copy))
            board_put_copy(board, &copy);
        else
            board_remove_copy(board, partition_id(p));
        board_put_known(board, partition_id(p), partition_known(p));
    }
    if (number > atomic_load(&w->told))
        atomic_store(&w->told, number);
}

static void take_items(struct worker *w, struct inbox_item *item, struct partition_now now)
{
    while (item != NULL) {
        struct inbox_item *next = item->next;
        switch ((enum item_kind)item->kind) {
        case ITEM_REQUEST:
            take_request(w, (struct partition_request *)item, now);
            break;
        case ITEM_WRITTEN:
            take_written(w, (struct log_job *)item);
            break;
        case ITEM_WORKED:
            take_worked(w, (struct partition_work *)item);
            break;
        case ITEM_CONF:
            take_conf(w, (struct conf_item *)item, now);
            break;
        case ITEM_MESSAGE:
            take_message(w, (struct worker_message *)item, now);
            break;
        case ITEM_BEATS:
            worker_take_beats(w, (struct beats_item *)item, now);
            break;
        case ITEM_DROP:
            take_drop(w, (struct drop_item *)item, now);
            break;
        case ITEM_TELL:
            tell(w);
            break;
        case ITEM_WISH:
            worker_take_wish(w, (struct wish_item *)item, now);
            break;
        case ITEM_LEAVE:
            w->next_leave_ns = now.boot_ns;
            break;
        case ITEM_STOP:
            w->stopping = true;
            break;
        }
        item = next;
    }
}

/* ---- a turn */

void worker_want_tick(struct worker *w, const struct partition *p)
{
    uint64_t at = partition_next_tick(p), earliest = w->last_scan_ns + (uint64_t)WORKER_SCAN_MS * 1000000;
    if (at < earliest)
        at = earliest;
    if (at < w->next_scan_ns)
        w->next_scan_ns = at;
}

static void tick_all(struct worker *w, struct partition_now now)
{
    w->last_scan_ns = now.boot_ns;
    w->next_scan_ns = REPLICA_NEVER;
    uint32_t open = atomic_load_explicit(&w->stats.partitions, memory_order_relaxed);
    for (size_t i = 0; open > 0 && i < slot_count(w); i++) {
        struct slot *slot = &w->slots[i];
        if (slot->p == NULL)
            continue;
        open--;
        if (partition_next_tick(slot->p) <= now.boot_ns) {
            worker_must(w, partition_tick(slot->p, now), "a tick");
            worker_touch(w, slot);
        }
        worker_want_tick(w, slot->p);
    }
}

/* First what others are to write to their disks, then what we are. */
static void send_and_submit(struct worker *w)
{
    const struct peer_transport *peers = worker_peers(w);
    peers->flush(peers->arg);
    if (w->jobs.first != NULL)
        w->pool->seam.submit(w->pool->seam.arg, &w->jobs);
}

static void flush_touched(struct worker *w, struct partition_now now)
{
    for (size_t i = 0; i < w->touched_count; i++)
        worker_must(w, partition_flush(w->touched[i], now), "replication");
    send_and_submit(w);
    uint64_t start = clock_mono_ns();
    worker_must(w, partition_apply(w->round, w->touched, w->touched_count, now), "applying entries");
    atomic_fetch_add_explicit(&w->stats.apply_ns, clock_mono_ns() - start, memory_order_relaxed);
    send_and_submit(w);
    size_t left = 0;
    struct inbox_chain later = { 0 };
    for (size_t i = 0; i < w->touched_count; i++) {
        struct slot *slot = worker_slot(w, partition_id(w->touched[i]));
        slot->touched = false;
        if (partition_is_gone(slot->p)) {
            close_gone(w, slot, &later);
            continue;
        }
        worker_want_tick(w, slot->p);
        worker_beat_early(w, slot);
        if (partition_has_committed(slot->p)) { /* the time was up: goes on in the next turn */
            slot->touched = true;
            w->touched[left++] = slot->p;
        }
    }
    w->touched_count = left;
    take_items(w, later.first, now);
}

uint64_t worker_next_ns(const struct worker *w)
{
    if (w->touched_count > 0)
        return 0;
    uint64_t next = w->next_scan_ns < w->next_beat_ns ? w->next_scan_ns : w->next_beat_ns;
    return next < w->next_leave_ns ? next : w->next_leave_ns;
}

static uint64_t wait_ns(const struct worker *w)
{
    uint64_t now = clock_boot_ns(), next = worker_next_ns(w);
    if (next == REPLICA_NEVER)
        return UINT64_MAX;
    return next > now ? next - now : 0;
}

void worker_close(struct worker *w)
{
    for (size_t i = 0; i < slot_count(w); i++) {
        partition_close(&w->slots[i].p);
        free(w->slots[i].later);
        w->slots[i].later = NULL;
    }
}

void worker_turn(struct worker *w, struct inbox_item *items, struct partition_now now)
{
    take_items(w, items, now);
    if (now.boot_ns >= w->next_beat_ns && !w->stopping)
        worker_beat(w, now);
    if (now.boot_ns >= w->next_scan_ns && !w->stopping)
        tick_all(w, now);
    if (now.boot_ns >= w->next_leave_ns && !w->stopping)
        worker_hand_over(w, now);
    if (w->touched_count > 0)
        flush_touched(w, now);
    else
        send_and_submit(w);
    atomic_fetch_add_explicit(&w->stats.turns, 1, memory_order_relaxed);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    while (!w->stopping || w->jobs_out > 0 || w->works_out > 0) {
        struct inbox_item *items = inbox_wait(&w->inbox, wait_ns(w));
        worker_turn(w, items, read_clocks());
    }
    worker_close(w);
    return NULL;
}

void worker_init(struct worker_pool *pool, uint32_t i)
{
    struct worker *w = &pool->workers[i];
    w->pool = pool;
    w->index = i;
    w->next_scan_ns = w->next_beat_ns = w->next_leave_ns = REPLICA_NEVER;
    w->slots = NEW_ARRAY(struct slot, slot_count(w));
    w->touched = NEW_ARRAY(struct partition *, slot_count(w));
    w->round = apply_round_new(pool->options.kv);
    w->transport = (struct peer_transport){ w, worker_send, NULL, NULL, worker_speaks };
    w->host =
        (struct partition_host){ w, host_submit, host_notify, host_ask, &w->transport, host_work, NULL };
    if (pool->options.read != NULL)
        w->host.read = host_read;
}

void worker_start(struct worker_pool *pool, uint32_t i)
{
    struct worker *w = &pool->workers[i];
    worker_init(pool, i);
    apply_round_set_clock(w->round, clock_mono_ns);
    if (pthread_create(&w->thread, NULL, run, w) != 0)
        log_fatal("worker", "cannot start a thread");
    pthread_setname_np(w->thread, "worker");
}

void worker_free(struct worker *w)
{
    take_items(w, inbox_take(&w->inbox), read_clocks());
    apply_round_free(&w->round);
    free(w->slots);
    free(w->touched);
    free(w->granted.parts);
    for (size_t k = 0; k < w->list_cap; k++)
        free(w->lists[k].parts);
    free(w->lists);
}
