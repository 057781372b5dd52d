/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/log_writer.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

struct log_writer {
    struct kv *kv;
    void (*give_back)(void *arg, struct inbox_item *jobs);
    void *arg;
    struct inbox inbox;
    struct inbox_item stop; /* pushed last */
    struct log_writer_stats stats;
    pthread_t thread;
};

enum item_kind { ITEM_JOB, ITEM_STOP };

static size_t job_bytes(const struct inbox_item *item)
{
    const struct log_job *job = (const struct log_job *)item;
    return job->bytes.len + job->value_bytes;
}

/* The head of `list` whose bytes fit one batch; *rest_out is what follows. */
static struct inbox_item *split(struct inbox_item *list, size_t *count_out, size_t *bytes_out,
                                struct inbox_item **rest_out)
{
    struct inbox_item *last = list;
    *bytes_out = job_bytes(list);
    *count_out = 1;
    while (last->next != NULL && last->next->kind == ITEM_JOB &&
           *bytes_out + job_bytes(last->next) <= LOG_BATCH_BYTES_MAX) {
        last = last->next;
        *bytes_out += job_bytes(last);
        (*count_out)++;
    }
    *rest_out = last->next;
    last->next = NULL;
    return list;
}

static void write_batch(struct log_writer *w, struct kv_batch *batch, struct inbox_item *jobs, size_t count,
                        size_t bytes)
{
    uint64_t start = clock_mono_ns();
    enum err err = log_commit(w->kv, batch, jobs, NULL);
    if (err != OK)
        log_fatal("log_writer", "the log cannot be written, nothing may be acknowledged: %s", err_text(err));
    atomic_fetch_add_explicit(&w->stats.batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->stats.jobs, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->stats.bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->stats.sync_ns, clock_mono_ns() - start, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->stats.queued, count, memory_order_relaxed);
    w->give_back(w->arg, jobs);
}

static void *run(void *arg)
{
    struct log_writer *w = arg;
    struct kv_batch *batch = kv_batch_new(w->kv);
    bool stop = false;
    while (!stop) {
        struct inbox_item *list = inbox_wait(&w->inbox, UINT64_MAX);
        while (list != NULL) {
            if (list->kind == ITEM_STOP) {
                stop = true;
                list = list->next;
                continue;
            }
            size_t count, bytes;
            struct inbox_item *rest, *jobs = split(list, &count, &bytes, &rest);
            write_batch(w, batch, jobs, count, bytes);
            list = rest;
        }
    }
    kv_batch_free(&batch);
    return NULL;
}

struct log_writer *log_writer_start(struct kv *kv, void (*give_back)(void *arg, struct inbox_item *jobs),
                                    void *arg)
{
    struct log_writer *w = NEW(struct log_writer);
    w->kv = kv;
    w->give_back = give_back;
    w->arg = arg;
    w->stop.kind = ITEM_STOP;
    if (pthread_create(&w->thread, NULL, run, w) != 0)
        log_fatal("log_writer", "cannot start a thread");
    pthread_setname_np(w->thread, "log-writer");
    return w;
}

void log_writer_stop(struct log_writer **out)
{
    struct log_writer *w = *out;
    if (w == NULL)
        return;
    inbox_push(&w->inbox, &w->stop);
    pthread_join(w->thread, NULL);
    free(w);
    *out = NULL;
}

void log_writer_submit(struct log_writer *w, struct inbox_chain *jobs)
{
    uint64_t count = 0;
    for (struct inbox_item *item = jobs->first; item != NULL; item = item->next) {
        item->kind = ITEM_JOB;
        count++;
    }
    atomic_fetch_add_explicit(&w->stats.queued, count, memory_order_relaxed);
    inbox_push_chain(&w->inbox, jobs);
}

const struct log_writer_stats *log_writer_get_stats(const struct log_writer *w)
{
    return &w->stats;
}
