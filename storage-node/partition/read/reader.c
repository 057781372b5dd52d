/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/read/reader_priv.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "storage-node/mailbox/machine.h"

struct reader_pool {
    struct kv *kv;
    struct directory *directory;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct partition_request *first, **tail; /* linked by next */
    uint32_t queued, sleeping;
    bool stopping;
    struct reader_stats stats;
    uint32_t thread_count;
    pthread_t threads[];
};

enum err reader_may_answer(struct partition_public *pub, uint64_t (*boot_ns)(void))
{
    if (boot_ns() < atomic_load(&pub->read_until))
        return OK;
    if (atomic_load(&pub->stopped))
        return ERR_UNAVAILABLE;
    return atomic_load(&pub->role) == REPLICA_PRIMARY ? ERR_UNAVAILABLE : ERR_NOT_PRIMARY;
}

enum err reader_read(struct kv *kv, const struct kv_view *view, struct partition_public *pub,
                     const struct partition_request *request, struct buf *response, struct buf *body)
{
    enum err err =
        machine_read(kv, view, request->partition, request->method, request->request, response, body);
    if (err == ERR_CORRUPT || err == ERR_IO)
        atomic_store(&pub->damaged, true);
    if (err_class(err) == ERR_CLASS_SYSTEM)
        log_fault("reader", "read failed: %s partition=%u method=%s", err_text(err), request->partition,
                  method_name(request->method));
    return err;
}

/* False: more is needed than is in memory. */
static bool serve(struct kv *kv, bool cached, struct partition_public *pub, struct partition_request *request,
                  uint64_t (*boot_ns)(void), uint64_t now_mono_ms, const struct storage_faults *faults)
{
    struct buf response = { 0 }, body = { 0 };
    struct partition_answer answer = { .response = &response, .body = &body };
    if (pub == NULL || request->deadline_mono_ms <= now_mono_ms) {
        partition_request_end(request, pub == NULL ? ERR_NOT_PRIMARY : ERR_TIMEOUT, 0);
        return true;
    }
    /* The lease first, the state after it: the other way round a lease lost and won again in between would
     * bless an old state. But not so long after it that the copy was deleted meanwhile. */
    uint64_t wiped = atomic_load(&pub->wiped);
    struct kv_view *view = STORAGE_FAULT(faults, late_lease) ? kv_view_new(kv) : NULL;
    answer.status = STORAGE_FAULT(faults, skip_lease) ? OK : reader_may_answer(pub, boot_ns);
    if (view == NULL)
        view = cached ? kv_view_new_cached(kv) : kv_view_new(kv);
    answer.time_ms = atomic_load(&pub->time_ms);
    if (atomic_load(&pub->wiped) != wiped)
        answer.status = ERR_UNAVAILABLE;
    if (answer.status == OK)
        answer.status = reader_read(kv, view, pub, request, &response, &body);
    kv_view_free(&view);
    bool served = !cached || answer.status != ERR_BUSY;
    if (served)
        request->done(request, &answer);
    buf_fini(&response);
    buf_fini(&body);
    return served;
}

void reader_serve(struct kv *kv, struct partition_public *pub, struct partition_request *request,
                  uint64_t (*boot_ns)(void), uint64_t now_mono_ms, const struct storage_faults *faults)
{
    bool served = serve(kv, false, pub, request, boot_ns, now_mono_ms, faults);
    assert(served);
}

bool reader_serve_cached(struct kv *kv, struct partition_public *pub, struct partition_request *request,
                         uint64_t (*boot_ns)(void), uint64_t now_mono_ms)
{
    return serve(kv, true, pub, request, boot_ns, now_mono_ms, NULL);
}

static void count(struct reader_pool *pool, uint64_t arrived)
{
    atomic_fetch_add_explicit(&pool->stats.reads, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->stats.ns, clock_mono_ns() - arrived, memory_order_relaxed);
}

static bool reads_few_rows(const struct partition_request *request)
{
    return request->method == METHOD_ADDRESS_LOOKUP;
}

bool reader_pool_try(struct reader_pool *pool, struct partition_request *request)
{
    uint64_t arrived = request->arrived_mono_ns;
    if (!reads_few_rows(request) ||
        !reader_serve_cached(pool->kv, directory_find(pool->directory, request->partition), request,
                             clock_boot_ns, clock_mono_ms()))
        return false;
    count(pool, arrived);
    return true;
}

static struct partition_request *take(struct reader_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->stopping) {
        pool->sleeping++;
        pthread_cond_wait(&pool->wake, &pool->lock);
        pool->sleeping--;
    }
    struct partition_request *r = pool->stopping ? NULL : pool->first;
    if (r != NULL) {
        pool->first = r->next;
        if (pool->first == NULL)
            pool->tail = &pool->first;
        pool->queued--;
    }
    pthread_mutex_unlock(&pool->lock);
    return r;
}

static void *run(void *arg)
{
    struct reader_pool *pool = arg;
    struct partition_request *r;
    while ((r = take(pool)) != NULL) {
        uint64_t arrived = r->arrived_mono_ns;
        if (r->kind == METHOD_NODE)
            reader_totals(pool->kv, pool->directory, r, clock_boot_ns, clock_mono_ms());
        else
            reader_serve(pool->kv, directory_find(pool->directory, r->partition), r, clock_boot_ns,
                         clock_mono_ms(), NULL);
        count(pool, arrived);
        atomic_fetch_sub_explicit(&pool->stats.queued, 1, memory_order_relaxed);
    }
    return NULL;
}

struct reader_pool *reader_pool_start(struct kv *kv, struct directory *directory, uint32_t threads)
{
    struct reader_pool *pool = xcalloc(1, sizeof *pool + threads * sizeof pool->threads[0]);
    pool->kv = kv;
    pool->directory = directory;
    pool->tail = &pool->first;
    pool->thread_count = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    for (uint32_t i = 0; i < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, run, pool) != 0)
            log_fatal("reader", "cannot start a thread");
        pthread_setname_np(pool->threads[i], "reader");
    }
    return pool;
}

void reader_pool_stop(struct reader_pool **out)
{
    struct reader_pool *pool = *out;
    if (pool == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++)
        pthread_join(pool->threads[i], NULL);
    while (pool->first != NULL) {
        struct partition_request *r = pool->first;
        pool->first = r->next;
        partition_request_end(r, ERR_UNAVAILABLE, 0);
    }
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->wake);
    free(pool);
    *out = NULL;
}

void reader_pool_submit(struct reader_pool *pool, struct partition_request *request)
{
    bool full, wake = false;
    request->next = NULL;
    atomic_fetch_add_explicit(&pool->stats.queued, 1, memory_order_relaxed);
    pthread_mutex_lock(&pool->lock);
    full = pool->queued >= READS_QUEUED_MAX || pool->stopping;
    if (!full) {
        *pool->tail = request;
        pool->tail = &request->next;
        pool->queued++;
        wake = pool->sleeping > 0;
    }
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        pthread_cond_signal(&pool->wake);
    if (full) {
        atomic_fetch_sub_explicit(&pool->stats.queued, 1, memory_order_relaxed);
        partition_request_end(request, ERR_BUSY, 0);
    }
}

const struct reader_stats *reader_pool_get_stats(const struct reader_pool *pool)
{
    return &pool->stats;
}
