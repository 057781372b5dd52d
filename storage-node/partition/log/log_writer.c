/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/log/log_writer.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "storage-node/partition/log/copy_writer.h"

struct log_writer {
    struct kv *kv;
    struct copy_gates *gates;
    void (*give_back)(void *arg, struct inbox_item *jobs);
    void *arg;
    struct copy_writer *copies;
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

/* A batch in the making. */
struct portion {
    struct inbox_chain jobs;
    size_t count, bytes;
};

/* Move jobs from the front of `from`, as many as a batch has room for, and one at least. */
static void take(struct inbox_chain *from, struct portion *out)
{
    while (from->first != NULL &&
           (out->count == 0 || out->bytes + job_bytes(from->first) <= LOG_BATCH_BYTES_MAX)) {
        struct inbox_item *item = from->first;
        from->first = item->next;
        if (from->first == NULL)
            from->last = NULL;
        out->bytes += job_bytes(item);
        out->count++;
        inbox_chain_add(&out->jobs, item);
    }
}

/* To the end of `chain`; true if the list held the end of all. */
static bool gather(struct inbox_item *list, struct inbox_chain *chain)
{
    bool stop = false;
    for (struct inbox_item *next; list != NULL; list = next) {
        next = list->next;
        if (list->kind == ITEM_STOP)
            stop = true;
        else
            inbox_chain_add(chain, list);
    }
    return stop;
}

/* Entries are what people wait for; marks of copies are not. */
static void tell_waits(struct log_writer *w, const struct inbox_item *jobs)
{
    uint64_t first = UINT64_MAX;
    for (const struct inbox_item *item = jobs; item != NULL; item = item->next) {
        const struct log_job *job = (const struct log_job *)item;
        if (job->held_count > 0 && job->submitted_mono_ns < first)
            first = job->submitted_mono_ns;
    }
    if (first != UINT64_MAX)
        copy_gates_waited(w->gates, COPY_WAIT_COMMIT, clock_mono_ns() - first);
}

static void write_batch(struct log_writer *w, struct kv_batch *batch, const struct portion *p)
{
    uint64_t start = clock_mono_ns();
    enum err err = log_commit(w->kv, batch, p->jobs.first, NULL);
    if (err != OK)
        log_fatal("log_writer", "the log cannot be written, nothing may be acknowledged: %s%s", err_text(err),
                  err == ERR_CORRUPT ? "; if it ends so at each start: docs/operations.md" : "");
    atomic_fetch_add_explicit(&w->stats.batches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->stats.jobs, p->count, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->stats.bytes, p->bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&w->stats.sync_ns, clock_mono_ns() - start, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->stats.queued, p->count, memory_order_relaxed);
    tell_waits(w, p->jobs.first);
    w->give_back(w->arg, p->jobs.first);
}

static void *run(void *arg)
{
    struct log_writer *w = arg;
    struct kv_batch *batch = kv_batch_new(w->kv);
    struct inbox_chain jobs = { 0 };
    bool stop = false;
    while (!stop || jobs.first != NULL) {
        bool idle = !stop && jobs.first == NULL;
        stop = gather(inbox_wait(&w->inbox, idle ? UINT64_MAX : 0), &jobs) || stop;
        struct portion p = { 0 };
        take(&jobs, &p);
        if (p.count > 0)
            write_batch(w, batch, &p);
    }
    kv_batch_free(&batch);
    return NULL;
}

/* To the log's thread. */
static void pass_on(void *arg, struct inbox_chain *jobs)
{
    struct log_writer *w = arg;
    uint64_t count = 0, now = jobs->first == NULL ? 0 : clock_mono_ns();
    for (struct inbox_item *item = jobs->first; item != NULL; item = item->next) {
        ((struct log_job *)item)->submitted_mono_ns = now;
        item->kind = ITEM_JOB;
        count++;
    }
    atomic_fetch_add_explicit(&w->stats.queued, count, memory_order_relaxed);
    inbox_push_chain(&w->inbox, jobs);
}

struct log_writer *log_writer_start(struct kv *kv, struct copy_gates *gates,
                                    void (*give_back)(void *arg, struct inbox_item *jobs), void *arg)
{
    struct log_writer *w = NEW(struct log_writer);
    w->kv = kv;
    w->gates = gates;
    w->give_back = give_back;
    w->arg = arg;
    w->copies = copy_writer_start(kv, gates, give_back, arg, pass_on, w);
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
    copy_writer_stop(&w->copies);
    inbox_push(&w->inbox, &w->stop);
    pthread_join(w->thread, NULL);
    free(w);
    *out = NULL;
}

void log_writer_submit(struct log_writer *w, struct inbox_chain *jobs)
{
    struct inbox_chain logged = { 0 }, copies = { 0 };
    for (struct inbox_item *next, *item = jobs->first; item != NULL; item = next) {
        next = item->next;
        bool log = ((const struct log_job *)item)->way == LOG_JOB_LOGGED;
        inbox_chain_add(log ? &logged : &copies, item);
    }
    *jobs = (struct inbox_chain){ 0 };
    copy_writer_submit(w->copies, &copies);
    pass_on(w, &logged);
}

const struct log_writer_stats *log_writer_get_stats(const struct log_writer *w)
{
    return &w->stats;
}
