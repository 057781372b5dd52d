/* SPDX-License-Identifier: Apache-2.0 */
/* How a node's process ends, and what its disk holds afterwards. */
#include <stdlib.h>

#include "tests/sim/cluster/control.h"

enum { KEEP_MAX = 30, FLUSHED_MAX = 7 };

static void drop_jobs(struct inbox_item *jobs)
{
    while (jobs != NULL) {
        struct inbox_item *next = jobs->next;
        partition_written(((struct log_job *)jobs)->partition, (struct log_job *)jobs);
        jobs = next;
    }
}

/* What the worker would still get: jobs go back to their partitions, the rest is freed with the worker. */
static void empty_inbox(struct worker *w)
{
    struct inbox_item *item = inbox_take(&w->inbox), *rest = NULL;
    while (item != NULL) {
        struct inbox_item *next = item->next;
        item->next = NULL;
        if (item->kind == ITEM_WRITTEN) {
            drop_jobs(item);
        } else if (item->kind == ITEM_WORKED) {
            partition_worked(((struct partition_work *)item)->partition, (struct partition_work *)item);
        } else {
            item->next = rest;
            rest = item;
        }
        item = next;
    }
    w->stopping = true;
    while (rest != NULL) {
        struct inbox_item *next = rest->next;
        inbox_push(&w->inbox, rest);
        rest = next;
    }
}

/* A batch under way may have reached the page cache, and from there by chance the disk. */
static void write_half_batch(struct node *n)
{
    if (n->writing == NULL || !cluster_chance(n->c, 500))
        return;
    if (node_write_unlogged(n, n->writing) != OK)
        cluster_fail(n->c, "node %u: a write past the log", n->self.id);
    kv_batch_clear(n->batch);
    for (struct inbox_item *item = n->writing; item != NULL; item = item->next) {
        if (((const struct log_job *)item)->way != LOG_JOB_UNLOGGED)
            log_job_fill((const struct log_job *)item, n->batch);
    }
    if (kv_write(n->kv, n->batch) != OK)
        cluster_fail(n->c, "node %u: a write", n->self.id);
    kv_batch_clear(n->batch);
}

static void end_workers(struct node *n)
{
    drop_jobs(n->writing);
    drop_jobs(n->queue.first);
    n->writing = NULL;
    n->queue = (struct inbox_chain){ 0 };
    while (n->works.first != NULL) {
        struct partition_work *work = node_pop_work(n);
        work->run(work);
        partition_worked(work->partition, work);
    }
    for (uint32_t i = 0; i < n->workers; i++) {
        struct worker *w = &n->pool->workers[i];
        empty_inbox(w);
        drop_jobs(w->jobs.first);
        w->jobs = (struct inbox_chain){ 0 };
        worker_close(w);
        worker_free(w);
    }
    free(n->pool);
    n->pool = NULL;
}

static void end_process(struct node *n)
{
    struct process *before = surroundings_enter(&n->process);
    control_end(n);
    links_drop(n);
    kv_mem_fail_after(n->kv, 0, OK);
    write_half_batch(n);
    if (n->pool != NULL)
        end_workers(n);
    control_free_all(n);
    directory_free(&n->directory);
    surroundings_enter(before);
}

void node_kill(struct node *n, uint64_t down_ns)
{
    struct cluster *c = n->c;
    if (!n->up || n->reading)
        return;
    n->dying = true;
    end_process(n);
    /* A killed process loses nothing that was written; a power cut all that was not synced, but for a prefix.
     */
    /* How much of what went past the log was written out: chance, though not drawn. */
    kv_mem_flush(n->kv, KV_STATE, c->now % FLUSHED_MAX);
    kv_mem_flush(n->kv, KV_BODY, c->now / FLUSHED_MAX % FLUSHED_MAX);
    kv_mem_crash(n->kv, cluster_chance(c, 400) ? SIZE_MAX : cluster_below(c, KEEP_MAX));
    n->up = false;
    n->paused_until = 0;
    n->start_at = c->now + down_ns;
    c->totals.crashes++;
    for (int p = 0; p < c->partitions; p++)
        c->totals.torn += n->half[p];
    cluster_trace(c, "node %u is down for %.3f s", n->self.id, (double)down_ns / 1e9);
}

void node_replace_disk(struct node *n)
{
    struct cluster *c = n->c;
    kv_batch_free(&n->batch);
    kv_close(&n->kv);
    n->kv = kv_open_mem();
    n->batch = kv_batch_new(n->kv);
    c->totals.disks++;
    cluster_trace(c, "the disk of node %u is replaced by an empty one", n->self.id);
    n->self = (struct replica_node){ 0 };
}
