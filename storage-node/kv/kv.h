/* SPDX-License-Identifier: Apache-2.0 */
/* Ordered key-value storage: one database a node, with a few families. Two implementations behind the same
 * functions: RocksDB, and memory (for tests and the simulator: it can lose what was not synced, and fail on
 * demand). kv knows neither mail nor replication.
 *
 * Keys order as bytes. A failed write, sync or checksum is never hidden: functions return ERR_IO,
 * ERR_NO_SPACE or ERR_CORRUPT, and the caller stops (P9); in RocksDB all that is written or synced later
 * fails likewise. Thread-safe but for batches, transactions, iterators and views, each of which belongs to
 * one thread at a time. */
#ifndef STORAGE_NODE_KV_KV_H
#define STORAGE_NODE_KV_KV_H

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum kv_family {
    KV_META,  /* the node itself: store id, versions, replica records */
    KV_LOG,   /* partition, index -> entry without body */
    KV_STATE, /* the mail state machines */
    KV_BODY,  /* partition, index -> message bytes beside that entry (blob files) */
    KV_INDEX, /* full-text postings (later) */
    KV_FAMILY_COUNT,
};

struct kv;
struct kv_view;
struct kv_iter;
struct kv_batch;
struct kv_txn;

/* Rows of one group are lost together: keys of all families but KV_META begin with its number, big-endian. */
enum { KV_GROUP_BYTES = 4 };

struct kv_options {
    const char *path;    /* folder of the database, made if missing */
    size_t memory_limit; /* bytes: block cache, blob cache and write buffers together */
    size_t wal_size_max; /* bytes of write-ahead log kept before a flush is forced (start time hangs on it) */
    int files_open_max;
    int background_threads;
    /* A group of which rows cannot be read, met while a damaged table is taken out (kv_open_rocksdb): from
     * now on some of them may be missing, and older ones may be there. Whoever owns them writes into `kv`
     * that it must not be trusted, or deletes it; on disk before the table goes, which it does not if this
     * is not OK. NULL: no table is taken out.
     */
    enum err (*on_lost)(void *arg, struct kv *kv, uint32_t group);
    void *arg;
};

/* Opens the database; ERR_CORRUPT if the write-ahead log is damaged anywhere but in a torn tail.
 *
 * A table that RocksDB could not merge, so that nothing could be written any more, is taken out first: what
 * can be read of its groups is written anew, `on_lost` hears of the others, and the table is kept in the
 * sub-folder "damaged". ERR_CORRUPT if that is not possible: rows of KV_META were in it, or the table cannot
 * even be opened. */
MUST_CHECK enum err kv_open_rocksdb(const struct kv_options *options, struct kv **out);
/* An empty database in memory. Writes are visible at once and durable after kv_sync. */
struct kv *kv_open_mem(void);
void kv_close(struct kv **kv); /* all views, iterators and batches are gone before */

/* A value that stays valid until it is released (pinned in the block cache or copied; one read through a
 * transaction at most until that is committed or freed). Zero-initialised is empty. */
struct kv_value {
    struct slice bytes;
    void *pin;
    void (*unpin)(void *pin);
};
void kv_value_release(struct kv_value *v);

/* ---- reading. A view is a consistent state: of the moment it was made. A NULL view reads the newest state.
 */
struct kv_view *kv_view_new(struct kv *kv);
/* Likewise, for kv_get on a thread that may not wait: what is not in memory is ERR_BUSY, and not looked for.
 * An empty value may be ERR_BUSY wherever it is, and all is, once anything was written since. */
struct kv_view *kv_view_new_cached(struct kv *kv);
void kv_view_free(struct kv_view **view);
/* ERR_NOT_FOUND if absent. */
MUST_CHECK enum err kv_get(struct kv *kv, const struct kv_view *view, enum kv_family family, struct slice key,
                           struct kv_value *out);

/* Walk keys in [lower, upper) (an empty upper: no bound; bounds are copied). Not positioned at first. */
struct kv_iter *kv_iter_new(struct kv *kv, const struct kv_view *view, enum kv_family family,
                            struct slice lower, struct slice upper);
void kv_iter_free(struct kv_iter **it);
/* Each returns true if the iterator now stands on a row; false at the end or on an error (see kv_iter_err).
 */
bool kv_iter_seek(struct kv_iter *it, struct slice key);      /* first row at or after key */
bool kv_iter_seek_prev(struct kv_iter *it, struct slice key); /* last row at or before key */
bool kv_iter_seek_last(struct kv_iter *it);
bool kv_iter_next(struct kv_iter *it);
bool kv_iter_prev(struct kv_iter *it);
struct slice kv_iter_key(const struct kv_iter *it); /* valid until the iterator moves */
struct slice kv_iter_value(const struct kv_iter *it);
MUST_CHECK enum err kv_iter_err(const struct kv_iter *it); /* OK, or why the walk ended early */

/* ---- writing blindly (the log). A batch is applied whole or not at all. */
struct kv_batch *kv_batch_new(struct kv *kv);
void kv_batch_free(struct kv_batch **b);
void kv_batch_clear(struct kv_batch *b);
void kv_batch_put(struct kv_batch *b, enum kv_family family, struct slice key, struct slice value);
void kv_batch_delete(struct kv_batch *b, enum kv_family family, struct slice key);
void kv_batch_delete_range(struct kv_batch *b, enum kv_family family, struct slice from,
                           struct slice to); /* [from, to) */
size_t kv_batch_bytes(const struct kv_batch *b);
size_t kv_batch_count(const struct kv_batch *b);
/* Visible to every later read on return; on disk only after a later kv_sync. */
MUST_CHECK enum err kv_write(struct kv *kv, struct kv_batch *b);
/* Everything written before the call is on stable storage (fsync of the write-ahead log) on return, but for
 * what went past the log. Other threads go on writing meanwhile. */
MUST_CHECK enum err kv_sync(struct kv *kv);
/* The same past the write-ahead log, for much that can be had again and is known to be incomplete until
 * kv_persist: visible at once; lost when the process ends, or on disk at any moment before, of each family as
 * much as it may be, in the order of writing. Waits while write buffers are full, so that those who write to
 * the log need not. Puts only, of KV_STATE and KV_BODY. */
MUST_CHECK enum err kv_write_unlogged(struct kv *kv, struct kv_batch *b);
/* What went past the log before the call is on stable storage on return. Takes as long as writing a write
 * buffer out; other threads go on writing meanwhile. */
MUST_CHECK enum err kv_persist(struct kv *kv);

/* ---- writing what depends on what is there (apply). A transaction reads through its own pending writes;
 * nothing is visible outside before kv_txn_commit, which applies all or nothing like kv_write. There is no
 * conflict check: the caller is the only writer of those keys. */
struct kv_txn *kv_txn_new(struct kv *kv);
void kv_txn_free(struct kv_txn **t); /* drops what was not committed */
void kv_txn_put(struct kv_txn *t, enum kv_family family, struct slice key, struct slice value);
void kv_txn_delete(struct kv_txn *t, enum kv_family family, struct slice key);
MUST_CHECK enum err kv_txn_get(struct kv_txn *t, enum kv_family family, struct slice key,
                               struct kv_value *out);
/* As kv_iter_new, over the pending writes too. No put or delete while the iterator is open. */
struct kv_iter *kv_txn_iter(struct kv_txn *t, enum kv_family family, struct slice lower, struct slice upper);
size_t kv_txn_count(const struct kv_txn *t);
MUST_CHECK enum err kv_txn_commit(struct kv_txn *t); /* empty and usable again afterwards */
/* Savepoint: what was put since the mark can be taken back (an entry that turns out to have no effect). */
void kv_txn_mark(struct kv_txn *t);
void kv_txn_rollback_to_mark(struct kv_txn *t);

/* ---- care. Figures for metrics; 0 where unknown. */
struct kv_stats {
    uint64_t disk_bytes;
    uint64_t memtable_bytes;
    uint64_t wal_bytes;
    bool write_stalled;
};
void kv_get_stats(struct kv *kv, struct kv_stats *out);
/* About how many bytes the rows of [from, to) take in the database's tables, compressed as they are there:
 * without what is still in write buffers and without blob files. May read from the disk; 0 if it cannot tell.
 */
uint64_t kv_size(struct kv *kv, enum kv_family family, struct slice from, struct slice to);

/* ---- memory only, for tests and the simulator. */
/* What a power cut leaves: everything not synced is gone, but for a prefix of it in write order of at most
 * `keep` batches; and what went past the log, but for what was persisted. */
void kv_mem_crash(struct kv *kv, size_t keep);
/* What went past the log to one family happens to get to the disk: the `count` oldest batches of it that are
 * not there. */
void kv_mem_flush(struct kv *kv, enum kv_family family, size_t count);
/* The n-th next kv_write, kv_txn_commit, kv_sync, kv_write_unlogged or kv_persist returns `err` and does
 * nothing (0: never). */
void kv_mem_fail_after(struct kv *kv, size_t n, enum err err);

#endif
