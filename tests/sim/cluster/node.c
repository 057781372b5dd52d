/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/call.h"
#include "tests/sim/cluster/control.h"

enum { SLOW_SYNC_MS = 700, WORK_MS_MAX = 30 };

/* ---- clocks */

struct partition_now node_now(const struct node *n)
{
    uint64_t boot_ns =
        n->clock_offset + n->c->now / 1000000 * n->clock_ppm + n->c->now % 1000000 * n->clock_ppm / 1000000;
    uint64_t real_ms = UINT64_C(1700000000000) + n->c->now / MS;
    return (struct partition_now){ boot_ns, boot_ns / MS, real_ms + (uint64_t)n->real_skew_ms };
}

uint64_t node_true_time(const struct node *n, uint64_t boot_ns)
{
    if (boot_ns == REPLICA_NEVER)
        return UINT64_MAX;
    if (boot_ns <= n->clock_offset)
        return 0;
    uint64_t passed = boot_ns - n->clock_offset;
    return passed / n->clock_ppm * 1000000 + passed % n->clock_ppm * 1000000 / n->clock_ppm + 1000;
}

static struct node *reading;

uint64_t node_reader_clock(void)
{
    struct cluster *c = reading->c;
    struct node *n = reading;
    /* A thread may be stopped anywhere, for instance here. */
    if (!c->nested && cluster_chance(c, c->calm ? 0 : 30)) {
        c->nested = true;
        cluster_run(c, c->now + cluster_below(c, c->reader_stop));
        c->nested = false;
    }
    reading = n;
    return node_now(n).boot_ns;
}

void node_reader_begin(struct node *n)
{
    n->reading = true;
    reading = n;
}

void node_reader_end(struct node *n)
{
    n->reading = false;
}

/* Applying takes its time, so that some turns end before all is applied. */
static struct cluster *applying;

static uint64_t apply_clock(void)
{
    static uint64_t ns;
    return ns += cluster_below(applying, 3 * MS);
}

/* ---- what the worker asks of the world */

static void on_submit(void *arg, struct inbox_chain *jobs)
{
    struct node *n = arg;
    if (n->queue.last != NULL)
        n->queue.last->next = jobs->first;
    else
        n->queue.first = jobs->first;
    n->queue.last = jobs->last;
    *jobs = (struct inbox_chain){ 0 };
}

static void on_work(void *arg, struct partition_work *work)
{
    struct node *n = arg;
    if (n->works.first == NULL)
        n->work_at = n->c->now + cluster_below(n->c, WORK_MS_MAX * MS);
    inbox_chain_add(&n->works, &work->item);
}

static void on_fatal(void *arg, const char *what, enum err err)
{
    struct node *n = arg;
    if (!n->excused && !n->dying)
        cluster_fail(n->c, "node %u had to stop: %s: %s", n->self.id, what, err_text(err));
    n->dying = true;
}

static void on_notify(void *arg, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                      struct slice packed)
{
    process_notify(arg, end_of_frontend(peer->bytes[0]), method, partition, packed);
}

static void on_ask(void *arg, const struct partition_ask *ask)
{
    struct node *n = arg;
    if (!n->dying)
        control_ask(n->control, ask);
}

/* ---- birth */

void node_start_workers(struct node *n)
{
    struct cluster *c = n->c;
    n->workers = 1 + (uint32_t)cluster_below(c, WORKERS_SIM_MAX);
    n->pool = xcalloc(1, sizeof *n->pool + n->workers * sizeof n->pool->workers[0]);
    n->pool->options = (struct worker_pool_options){ .kv = n->kv,
                                                     .directory = n->directory,
                                                     .self = n->self,
                                                     .workers = n->workers,
                                                     .notify = on_notify,
                                                     .notify_arg = n,
                                                     .read = c->reads_commit ? call_committed : NULL,
                                                     .read_arg = n,
                                                     .ask = on_ask,
                                                     .ask_arg = n,
                                                     .peers = n->transports,
                                                     .log_keep_count = c->log_keep,
                                                     .copy_chunk_bytes = c->copy_chunk,
                                                     .append_count_max = c->append_count,
                                                     .machine_version_max = n->speaks,
                                                     .fault_list = n->faults,
                                                     .board = n->board,
                                                     .faults = &c->breaks.storage };
    n->pool->seam = (struct worker_seam){ .arg = n, .submit = on_submit, .fatal = on_fatal, .work = on_work };
    for (uint32_t i = 0; i < n->workers; i++) {
        worker_init(n->pool, i);
        apply_round_set_clock(n->pool->workers[i].round, apply_clock);
    }
    n->turn_at = c->now;
}

/* Its workers begin when a director has said who it is. */
static void boot(struct node *n)
{
    struct cluster *c = n->c;
    n->up = true;
    n->speaks = n->program;
    n->boot = cluster_rand(c) | 1;
    n->process = (struct process){ .node = n, .end = n->slot, .boot = n->boot };
    n->dying = n->excused = false;
    n->beat_number = 0;
    memset(n->sent, 0, sizeof n->sent);
    memset(n->checked, 0, sizeof n->checked);
    memset(n->half, 0, sizeof n->half);
    memset(n->heard, 0, sizeof n->heard);
    if (kv_sync(n->kv) != OK || store_identity_open(n->kv, &n->identity) != OK)
        cluster_fail(c, "node %u: the database does not open", n->self.id);
    struct cursor store = cursor_of(slice_of(n->identity.store_id, STORE_ID_SIZE));
    n->self = (struct replica_node){ .store = cursor_be64(&store), .id = n->identity.node_id };
    n->directory = directory_new();
    n->turn_at = UINT64_MAX;
    control_boot(n);
    cluster_trace(c, "node %u boots", n->self.id);
}

struct node *node_new(struct cluster *c, int slot)
{
    struct node *n = NEW(struct node);
    n->c = c;
    n->slot = slot;
    n->process = (struct process){ .node = n, .end = slot };
    n->clock_offset = cluster_below(c, 1000000 * MS);
    n->clock_ppm = cluster_chance(c, 500) ? 810000 + cluster_below(c, 380001) : 1000000;
    n->real_skew_ms = (int64_t)cluster_below(c, 4000) - 2000;
    n->kv = kv_open_mem();
    n->batch = kv_batch_new(n->kv);
    n->program = 1;
    snprintf(n->name, sizeof n->name, "machine-%d", slot);
    snprintf(n->zone, sizeof n->zone, "z%d", slot);
    n->start_at = c->now + cluster_below(c, 50 * MS);
    links_init(n);
    return n;
}

void node_free(struct node **out)
{
    struct node *n = *out;
    node_kill(n, 0);
    links_fini(n);
    kv_batch_free(&n->batch);
    kv_close(&n->kv);
    free(n);
    *out = NULL;
}

/* ---- the log writer */

static void give_back(struct node *n, struct inbox_item *jobs)
{
    while (jobs != NULL) {
        struct inbox_item *next = jobs->next;
        uint32_t partition = partition_id(((struct log_job *)jobs)->partition);
        jobs->kind = ITEM_WRITTEN;
        inbox_push(&n->pool->workers[partition % n->workers].inbox, jobs);
        jobs = next;
    }
}

static void begin_batch(struct node *n)
{
    struct cluster *c = n->c;
    if (n->writing != NULL || n->queue.first == NULL)
        return;
    n->writing = n->queue.first;
    n->queue = (struct inbox_chain){ 0 };
    n->sync_at = c->now + 20000 + cluster_below(c, 2 * c->sync_ns);
    if (!c->calm && cluster_chance(c, c->slow_sync))
        n->sync_at += cluster_below(c, SLOW_SYNC_MS * MS);
}

enum err node_write_unlogged(struct node *n, struct inbox_item *jobs)
{
    for (struct inbox_item *item = jobs; item != NULL; item = item->next) {
        if (((const struct log_job *)item)->way == LOG_JOB_UNLOGGED)
            TRY(log_job_write_unlogged(n->kv, n->batch, (const struct log_job *)item));
    }
    return log_persist(n->kv, jobs, &n->c->breaks.storage);
}

static enum err write_jobs(struct node *n, struct inbox_item *jobs)
{
    TRY(node_write_unlogged(n, jobs));
    return log_commit(n->kv, n->batch, jobs, &n->c->breaks.storage);
}

static void end_batch(struct node *n)
{
    struct inbox_item *jobs = n->writing;
    if (write_jobs(n, jobs) != OK) {
        if (!n->excused)
            cluster_fail(n->c, "node %u: the log could not be written", n->self.id);
        n->dying = true; /* as the log writer's thread: the process ends, nobody hears of the batch (P9) */
        return;
    }
    n->c->totals.batches++;
    n->writing = NULL;
    give_back(n, jobs);
    n->turn_at = n->c->now;
    begin_batch(n);
}

/* ---- the bulk thread */

struct partition_work *node_pop_work(struct node *n)
{
    struct inbox_item *item = n->works.first;
    n->works.first = item->next;
    if (n->works.first == NULL)
        n->works.last = NULL;
    return (struct partition_work *)item;
}

static void do_work(struct node *n)
{
    struct partition_work *work = node_pop_work(n);
    uint32_t partition = partition_id(work->partition);
    work->run(work);
    work->item.kind = ITEM_WORKED;
    inbox_push(&n->pool->workers[partition % n->workers].inbox, &work->item);
    n->work_at = n->c->now + cluster_below(n->c, WORK_MS_MAX * MS);
    n->turn_at = n->c->now;
}

/* ---- turns */

bool node_is_full(const struct node *n)
{
    return n->c->now < n->full_until;
}

uint64_t node_next(const struct node *n)
{
    if (!n->up)
        return n->dead ? UINT64_MAX : n->start_at;
    if (n->dying)
        return n->reading ? UINT64_MAX : n->c->now;
    uint64_t at = control_next(n);
    if (n->turn_at < at)
        at = n->turn_at;
    if (n->writing != NULL && n->sync_at < at)
        at = n->sync_at;
    if (n->works.first != NULL && n->work_at < at)
        at = n->work_at;
    return at > n->paused_until ? at : n->paused_until;
}

void node_poke(struct node *n)
{
    if (n->pool == NULL)
        return;
    uint64_t at = n->c->now + 5000 + cluster_below(n->c, 50000);
    if (at < n->turn_at)
        n->turn_at = at;
}

static void turn(struct node *n)
{
    struct partition_now now = node_now(n);
    applying = n->c;
    n->turn_at = UINT64_MAX;
    for (uint32_t i = 0; i < n->workers && !n->dying; i++) {
        struct worker *w = &n->pool->workers[i];
        worker_turn(w, inbox_take(&w->inbox), now);
        uint64_t next = node_true_time(n, worker_next_ns(w));
        if (next < n->turn_at)
            n->turn_at = next;
    }
    if (n->turn_at <= n->c->now)
        n->turn_at = n->c->now + 1000;
    begin_batch(n);
    if (!n->dying)
        checks_node(n);
}

static void run(struct node *n)
{
    struct cluster *c = n->c;
    if (!n->up) {
        boot(n);
        return;
    }
    if (!n->dying && control_next(n) <= c->now)
        control_run(n);
    if (n->writing != NULL && n->sync_at <= c->now)
        end_batch(n);
    if (!n->dying && n->works.first != NULL && n->work_at <= c->now)
        do_work(n);
    if (!n->dying && n->turn_at <= c->now)
        turn(n);
    if (n->dying && !c->failed && !n->reading)
        node_kill(n, cluster_below(c, 500 * MS));
}

void node_run(struct node *n)
{
    if (node_next(n) > n->c->now)
        return;
    struct process *before = surroundings_enter(&n->process);
    run(n);
    surroundings_enter(before);
}

/* ---- looks */

struct partition *node_partition(const struct node *n, int partition)
{
    if (!n->up || n->pool == NULL)
        return NULL;
    const struct worker *w = &n->pool->workers[(uint32_t)partition % n->workers];
    return w->slots[(uint32_t)partition / n->workers].p;
}

struct partition_public *node_public(const struct node *n, int partition)
{
    return n->up ? directory_find(n->directory, (uint32_t)partition) : NULL;
}

struct node *node_find(struct cluster *c, uint32_t id)
{
    for (int i = 0; i < c->slots; i++) {
        if (id != 0 && c->nodes[i]->self.id == id)
            return c->nodes[i];
    }
    return NULL;
}
