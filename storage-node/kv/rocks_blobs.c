/* SPDX-License-Identifier: Apache-2.0 */
/* The space of deleted bodies: a thread that asks for it back.
 *
 * While RocksDB's collection of blob files is on, every compaction moves all bodies it meets in the oldest
 * share of the files, garbage there or not: left on, a busy node writes that share of its mail again and
 * again. So it is on only during passes of our own, from the moment when enough is garbage until little is.
 * (Its own forced passes never come: they want the oldest files referred to by some tables and the next ones
 * by others, but our keys order by partition, so that every table refers to the oldest files.)
 *
 * What is garbage RocksDB learns when a compaction drops a deleted row. A node that only deletes, because its
 * disk is full, writes too little for that: after enough deletions a pass is made for it, too. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "storage-node/kv/rocks_priv.h"

enum {
    LOOK_INTERVAL_S = 1,
    GARBAGE_BEGIN_PERCENT = 30, /* of the bytes in blob files */
    GARBAGE_END_PERCENT = 10,
    STEP_PERMILLE_MAX = 250,  /* of the blob files are moved by one pass ... */
    STEP_MIB_MAX = 16 * 1024, /* ... or about so much, or half of what is free, if that is less */
    DELETED_PERCENT = 10,     /* of the rows: reason enough to find out what became garbage ... */
    DELETED_MIN = 500,        /* ... if there are that many */
    BOTTOMMOST_FORCE = 2,     /* kForce */
};

struct rocks_blobs {
    struct rocks *rocks;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    bool broken; /* a pass failed: the next write says why, this thread does no more */
};

/* What one pass may write: the old files go only when it is done. */
static uint64_t step_mib(const struct rocks *r)
{
    struct statvfs disk;
    uint64_t room = STEP_MIB_MAX;
    if (statvfs(r->path, &disk) == 0)
        room = ((uint64_t)disk.f_bavail * disk.f_frsize >> 20) / 2;
    return room < STEP_MIB_MAX ? room : STEP_MIB_MAX;
}

/* The share of the oldest files that a pass moves: one at least. */
static unsigned step_permille(const struct rocks *r)
{
    uint64_t mib = rocks_property(r, KV_BODY, "rocksdb.live-blob-file-size") >> 20;
    uint64_t files = rocks_property(r, KV_BODY, "rocksdb.num-blob-files");
    uint64_t share = step_mib(r) * 1000 / (mib + 1), one_file = files == 0 ? 1000 : 1000 / files + 1;
    share = share > STEP_PERMILLE_MAX ? STEP_PERMILLE_MAX : share;
    share = share < one_file ? one_file : share;
    return share > 1000 ? 1000 : (unsigned)share;
}

static enum err set_collecting(struct rocks *r, bool on, unsigned permille)
{
    char share[16];
    snprintf(share, sizeof share, "%u.%03u", permille / 1000, permille % 1000);
    const char *const keys[] = { "enable_blob_garbage_collection", "blob_garbage_collection_age_cutoff" };
    const char *const values[] = { on ? "true" : "false", share };
    char *message = NULL;
    rocksdb_set_options_cf(r->db, r->families[KV_BODY], 2, keys, values, &message);
    return rocks_err("setting the collection of blob files", message);
}

/* Every table of the family once; what it moves depends on whether collecting is on. */
static void compact(struct rocks *r)
{
    rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();
    rocksdb_compactoptions_set_exclusive_manual_compaction(o, 0);
    rocksdb_compactoptions_set_bottommost_level_compaction(o, BOTTOMMOST_FORCE);
    rocksdb_compact_range_cf_opt(r->db, r->families[KV_BODY], o, NULL, 0, NULL, 0);
    rocksdb_compactoptions_destroy(o);
}

static bool is_stopping(struct rocks_blobs *b)
{
    pthread_mutex_lock(&b->lock);
    bool stopping = b->stopping;
    pthread_mutex_unlock(&b->lock);
    return stopping;
}

static uint64_t garbage_percent(const struct rocks *r)
{
    uint64_t total = rocks_property(r, KV_BODY, "rocksdb.live-blob-file-size");
    uint64_t garbage = rocks_property(r, KV_BODY, "rocksdb.live-blob-file-garbage-size");
    return total == 0 ? 0 : garbage * 100 / total;
}

static bool many_deleted(const struct rocks *r)
{
    uint64_t deleted = atomic_load_explicit(&r->bodies_deleted, memory_order_relaxed);
    return deleted >= DELETED_MIN &&
           deleted >= rocks_property(r, KV_BODY, "rocksdb.estimate-num-keys") / 100 * DELETED_PERCENT;
}

/* As many passes as it takes, but at most twice around: what is garbage by then is new. */
static enum err collect(struct rocks_blobs *b)
{
    struct rocks *r = b->rocks;
    uint64_t percent = garbage_percent(r);
    unsigned permille = step_permille(r), passes_max = 2 * 1000 / permille;
    log_info("kv", "collecting deleted bodies garbage=%llu%%", (unsigned long long)percent);
    TRY(set_collecting(r, true, permille));
    for (unsigned i = 0; i < passes_max && percent >= GARBAGE_END_PERCENT && !is_stopping(b); i++) {
        compact(r);
        percent = garbage_percent(r);
    }
    log_info("kv", "collected deleted bodies garbage=%llu%%", (unsigned long long)percent);
    return is_stopping(b) ? OK : set_collecting(r, false, permille);
}

static void look(struct rocks_blobs *b)
{
    struct rocks *r = b->rocks;
    enum err err = OK;
    if (many_deleted(r)) {
        atomic_store_explicit(&r->bodies_deleted, 0, memory_order_relaxed);
        compact(r);
    }
    if (garbage_percent(r) >= GARBAGE_BEGIN_PERCENT && !is_stopping(b))
        err = collect(b);
    b->broken = err != OK;
}

static void *run(void *arg)
{
    struct rocks_blobs *b = arg;
    pthread_mutex_lock(&b->lock);
    while (!b->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += LOOK_INTERVAL_S;
        if (pthread_cond_timedwait(&b->wake, &b->lock, &until) != ETIMEDOUT || b->broken)
            continue;
        pthread_mutex_unlock(&b->lock);
        look(b);
        pthread_mutex_lock(&b->lock);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

struct rocks_blobs *rocks_blobs_start(struct rocks *r)
{
    struct rocks_blobs *b = NEW(struct rocks_blobs);
    pthread_condattr_t attr;
    b->rocks = r;
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&b->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&b->thread, NULL, run, b) != 0)
        log_fatal("kv", "cannot start a thread");
    pthread_setname_np(b->thread, "blobs");
    return b;
}

void rocks_blobs_stop(struct rocks_blobs **out)
{
    struct rocks_blobs *b = *out;
    if (b == NULL)
        return;
    pthread_mutex_lock(&b->lock);
    b->stopping = true;
    pthread_cond_signal(&b->wake);
    pthread_mutex_unlock(&b->lock);
    rocksdb_cancel_all_background_work(b->rocks->db, 1); /* ends a pass under way */
    pthread_join(b->thread, NULL);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->wake);
    free(b);
    *out = NULL;
}
