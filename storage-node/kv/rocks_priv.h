/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORAGE_NODE_KV_ROCKS_PRIV_H
#define STORAGE_NODE_KV_ROCKS_PRIV_H

#include <rocksdb/c.h>
#include <stdatomic.h>

#include "storage-node/kv/kv_priv.h"

struct rocks {
    struct kv base;
    rocksdb_t *db;
    char *path;
    rocksdb_column_family_handle_t *families[KV_FAMILY_COUNT];
    rocksdb_options_t *db_options;
    rocksdb_options_t *family_options[KV_FAMILY_COUNT];
    rocksdb_cache_t *block_cache;
    rocksdb_readoptions_t *read;        /* the newest state */
    rocksdb_readoptions_t *read_cached; /* the same, as far as it is in memory */
    rocksdb_writeoptions_t *write, *write_unlogged;
    rocksdb_flushoptions_t *flush;
    struct rocks_blobs *blobs;
    _Atomic uint64_t bodies_deleted; /* rows, since somebody looked */
    atomic_int failed;               /* enum err: what the first write or sync that failed met */
    unsigned failures;               /* rocks_failures_count() before it was opened */
};

struct rocks_batch {
    struct kv_batch base;
    struct rocks *rocks;
    rocksdb_writebatch_t *batch;
    uint64_t bodies_deleted;
};

struct rocks_view {
    struct kv_view base;
    bool cached;                        /* kv_view_new_cached */
    const rocksdb_snapshot_t *snapshot; /* NULL: cached */
    uint64_t sequence;                  /* of what was written last, when it was made: if cached */
    rocksdb_readoptions_t *read;
};

static inline struct rocks *rocks_of(struct kv *kv)
{
    return (struct rocks *)kv;
}

/* The error behind a RocksDB message, logged here; frees the message. NULL is OK. */
enum err rocks_err(const char *doing, char *message);

/* How a write or sync ended; one of which this was not OK was the last that may end well, and none may that
 * ends after RocksDB failed to write something for anybody (rocks_failures.h). What waits to be written to
 * the log's file is thrown away when that fails, others' rows too; but once the disk has room again RocksDB
 * goes on by itself, with another file, and would call the next sync a success. A damaged table that the
 * message names is noted, for the next opening (rocks_damage.c). */
enum err rocks_write_err(struct rocks *r, const char *doing, char *message);

/* An integer property of one family, 0 if there is none. */
uint64_t rocks_property(const struct rocks *r, enum kv_family family, const char *name);

/* RocksDB makes those wait who write. */
bool rocks_is_stalled(const struct rocks *r);

/* rocks_unlogged.c */
enum err rocks_write_unlogged(struct kv *kv, struct kv_batch *base);
enum err rocks_persist(struct kv *kv);

/* Opens it as it is. `still`: RocksDB merges nothing by itself, and no thread collects bodies. Freed by
 * kv_close. */
enum err rocks_open(const struct kv_options *options, bool still, struct rocks **out);
const char *rocks_family_name(enum kv_family family);

/* rocks_damage.c: the tables noted in the folder. The list is short, and lives on disk until it is removed.
 */
enum { ROCKS_DAMAGED_MAX = 64 };
size_t rocks_damaged_list(const char *path, uint64_t *numbers, size_t max);
/* The number of the table that a message names, 0: none. */
uint64_t rocks_damaged_in(const char *message);
enum err rocks_damaged_forget(const char *path);

/* rocks_mend.c: take the noted tables out of the (closed) database, as kv_open_rocksdb says. */
enum err rocks_mend(const struct kv_options *options);

/* rocks_manifest.c: write into the closed database's list of tables that this one is gone. It must be there:
 * else the database does not open any more. Synced. ERR_IO, ERR_NO_SPACE. */
struct rocks_table {
    uint64_t number;
    uint32_t family; /* RocksDB's id of it */
    uint32_t level;
};
enum err rocks_manifest_drop(const char *path, const struct rocks_table *table);

/* A thread that gives the space of deleted bodies back. */
struct rocks_blobs *rocks_blobs_start(struct rocks *r);
void rocks_blobs_stop(struct rocks_blobs **blobs);

/* Set up all options, caches and bounds from what the caller asked for; undone by rocks_options_fini. */
void rocks_options_init(struct rocks *r, const struct kv_options *options);
void rocks_options_fini(struct rocks *r);

struct kv_iter *rocks_iter_new(struct kv *kv, const struct kv_view *view, enum kv_family family,
                               struct slice lower, struct slice upper);

#endif
