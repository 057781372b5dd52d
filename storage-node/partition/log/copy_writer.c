/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/log/copy_writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

struct copy_writer {
    struct kv *kv;
    struct copy_gates *gates;
    void (*give_back)(void *arg, struct inbox_item *jobs);
    void *give_arg;
    void (*pass_on)(void *arg, struct inbox_chain *jobs);
    void *pass_arg;
    struct inbox rows, ends;
    struct inbox_item rows_stop, ends_stop; /* pushed last */
    pthread_t rows_thread, ends_thread;
};

enum item_kind { ITEM_JOB, ITEM_STOP };

static void give_way(void)
{
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), COPY_WRITER_NICE) != 0)
        log_debug("copy_writer", "the kernel refuses another priority");
}

static void must(enum err err)
{
    if (err != OK)
        log_fatal("copy_writer", "a copy cannot be written: %s", err_text(err));
}

/* ---- rows */

static bool take_rows(struct copy_writer *w, struct kv_batch *batch, struct inbox_item *item)
{
    bool stop = false;
    for (struct inbox_item *next; item != NULL; item = next) {
        next = item->next;
        item->next = NULL;
        stop = stop || item->kind == ITEM_STOP;
        if (item->kind == ITEM_STOP)
            continue;
        if (((const struct log_job *)item)->way != LOG_JOB_UNLOGGED) {
            inbox_push(&w->ends, item);
            continue;
        }
        must(log_job_write_unlogged(w->kv, batch, (const struct log_job *)item));
        copy_gates_pass(w->gates, COPY_GATE_WRITTEN, ((const struct log_job *)item)->bytes.len);
        w->give_back(w->give_arg, item);
    }
    return stop;
}

static void *run_rows(void *arg)
{
    struct copy_writer *w = arg;
    struct kv_batch *batch = kv_batch_new(w->kv);
    give_way();
    while (!take_rows(w, batch, inbox_wait(&w->rows, UINT64_MAX)))
        continue;
    kv_batch_free(&batch);
    inbox_push(&w->ends, &w->ends_stop);
    return NULL;
}

/* ---- ends */

/* What waits to be passed on. */
struct ends {
    struct inbox_chain jobs;
    bool closing; /* one of them needs a writing-out */
    bool stop;
};

static void gather(struct ends *ends, struct inbox_item *item)
{
    for (struct inbox_item *next; item != NULL; item = next) {
        next = item->next;
        if (item->kind == ITEM_STOP) {
            ends->stop = true;
            continue;
        }
        ends->closing = ends->closing || ((const struct log_job *)item)->way == LOG_JOB_CLOSING;
        inbox_chain_add(&ends->jobs, item);
    }
}

static uint64_t pause_after(uint64_t took_ns)
{
    uint64_t most = COPY_WRITER_PAUSE_MAX_MS * UINT64_C(1000000);
    return took_ns < most / COPY_WRITER_SHARE ? took_ns * COPY_WRITER_SHARE : most;
}

static void *run_ends(void *arg)
{
    struct copy_writer *w = arg;
    uint64_t free_ns = 0; /* when the next writing-out may begin */
    give_way();
    for (bool stop = false; !stop;) {
        struct ends ends = { 0 };
        gather(&ends, inbox_wait(&w->ends, UINT64_MAX));
        uint64_t begin = clock_mono_ns();
        for (; ends.closing && !ends.stop && begin < free_ns; begin = clock_mono_ns())
            gather(&ends, inbox_wait(&w->ends, free_ns - begin));
        must(log_persist(w->kv, ends.jobs.first, NULL));
        if (ends.closing) {
            uint64_t end = clock_mono_ns();
            free_ns = end + pause_after(end - begin);
        }
        w->pass_on(w->pass_arg, &ends.jobs);
        stop = ends.stop;
    }
    return NULL;
}

/* ---- life */

struct copy_writer *copy_writer_start(struct kv *kv, struct copy_gates *gates,
                                      void (*give_back)(void *arg, struct inbox_item *jobs), void *give_arg,
                                      void (*pass_on)(void *arg, struct inbox_chain *jobs), void *pass_arg)
{
    struct copy_writer *w = NEW(struct copy_writer);
    *w = (struct copy_writer){ .kv = kv,
                               .gates = gates,
                               .give_back = give_back,
                               .give_arg = give_arg,
                               .pass_on = pass_on,
                               .pass_arg = pass_arg };
    w->rows_stop.kind = w->ends_stop.kind = ITEM_STOP;
    if (pthread_create(&w->rows_thread, NULL, run_rows, w) != 0 ||
        pthread_create(&w->ends_thread, NULL, run_ends, w) != 0)
        log_fatal("copy_writer", "cannot start a thread");
    pthread_setname_np(w->rows_thread, "copy-rows");
    pthread_setname_np(w->ends_thread, "copy-ends");
    return w;
}

void copy_writer_stop(struct copy_writer **out)
{
    struct copy_writer *w = *out;
    if (w == NULL)
        return;
    inbox_push(&w->rows, &w->rows_stop);
    pthread_join(w->rows_thread, NULL);
    pthread_join(w->ends_thread, NULL);
    free(w);
    *out = NULL;
}

void copy_writer_submit(struct copy_writer *w, struct inbox_chain *jobs)
{
    for (struct inbox_item *item = jobs->first; item != NULL; item = item->next)
        item->kind = ITEM_JOB;
    inbox_push_chain(&w->rows, jobs);
}
