/* SPDX-License-Identifier: Apache-2.0 */
/* The database in RocksDB. */
#include <dirent.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "storage-node/kv/rocks_crc.h"
#include "storage-node/kv/rocks_failures.h"
#include "storage-node/kv/rocks_priv.h"

enum { BACKGROUND_NICE = 5 };

/* Names on disk: never change them. */
static const char *const family_names[KV_FAMILY_COUNT] = {
    [KV_META] = "default", [KV_LOG] = "log", [KV_STATE] = "state", [KV_BODY] = "body", [KV_INDEX] = "index",
};

static const char not_cached[] = "Result incomplete"; /* how RocksDB says that it would have to read */

enum { OPEN_ROOM_MIN = 4 * 1024 * 1024 }; /* bytes: a new log, manifest and options, and a table or two */

enum err rocks_err(const char *doing, char *message)
{
    if (message == NULL)
        return OK;
    enum err err = ERR_IO;
    if (strncmp(message, "Corruption", strlen("Corruption")) == 0)
        err = ERR_CORRUPT;
    else if (strstr(message, "No space left") != NULL)
        err = ERR_NO_SPACE;
    log_error("kv", "%s: %s", doing, message);
    rocksdb_free(message);
    return err;
}

/* ---- reading */

/* One that may not wait takes no snapshot: RocksDB makes and releases these under its mutex, which it also
 * holds while it begins another log: for up to 28 ms where one look-up in a hundred had to wait for it. What
 * is read without is of this moment as long as nothing was written since, and that costs no lock to find out.
 * The mutex is still taken once a thread after each change of the tables, when buffers are full or written
 * out. */
static struct kv_view *view_new(struct kv *kv, bool cached)
{
    struct rocks *r = rocks_of(kv);
    struct rocks_view *view = NEW(struct rocks_view);
    view->cached = cached;
    if (cached) {
        view->sequence = rocksdb_get_latest_sequence_number(r->db);
        view->read = r->read_cached;
    } else {
        view->snapshot = rocksdb_create_snapshot(r->db);
        view->read = rocksdb_readoptions_create();
        rocksdb_readoptions_set_snapshot(view->read, view->snapshot);
    }
    return &view->base;
}

static void view_free(struct kv_view *base)
{
    struct rocks_view *view = (struct rocks_view *)base;
    if (!view->cached) {
        rocksdb_readoptions_destroy(view->read);
        rocksdb_release_snapshot(rocks_of(base->kv)->db, view->snapshot);
    }
    free(view);
}

static void unpin(void *pin)
{
    rocksdb_pinnableslice_destroy(pin);
}

static enum err get_row(struct kv *kv, const struct rocks_view *view, enum kv_family family, struct slice key,
                        struct kv_value *out)
{
    struct rocks *r = rocks_of(kv);
    const rocksdb_readoptions_t *read = view == NULL ? r->read : view->read;
    char *message = NULL;
    rocksdb_pinnableslice_t *pin =
        rocksdb_get_pinned_cf(r->db, read, r->families[family], (const char *)key.data, key.len, &message);
    if (message != NULL && strncmp(message, not_cached, strlen(not_cached)) == 0) {
        rocksdb_free(message);
        return ERR_BUSY;
    }
    if (message != NULL)
        return rocks_err("get", message);
    if (pin == NULL)
        return ERR_NOT_FOUND;
    out->pin = pin;
    out->unpin = unpin;
    out->bytes.data = (const uint8_t *)rocksdb_pinnableslice_value(pin, &out->bytes.len);
    return OK;
}

/* Of the moment of the view; and RocksDB says "empty" too of a key that may be in a table that it would have
 * to open first. */
static bool is_sure(struct kv *kv, const struct rocks_view *view, enum err err, const struct kv_value *value)
{
    bool is_empty = err == OK && value->bytes.len == 0;
    return !is_empty && rocksdb_get_latest_sequence_number(rocks_of(kv)->db) == view->sequence;
}

static enum err get(struct kv *kv, const struct kv_view *base, enum kv_family family, struct slice key,
                    struct kv_value *out)
{
    const struct rocks_view *view = (const struct rocks_view *)base;
    enum err err = get_row(kv, view, family, key, out);
    if (view == NULL || !view->cached || is_sure(kv, view, err, out))
        return err;
    if (err == OK)
        kv_value_release(out);
    return ERR_BUSY;
}

/* ---- writing */

static struct kv_batch *batch_new(struct kv *kv)
{
    struct rocks_batch *b = NEW(struct rocks_batch);
    b->rocks = rocks_of(kv);
    b->batch = rocksdb_writebatch_create();
    return &b->base;
}

static void batch_free(struct kv_batch *base)
{
    struct rocks_batch *b = (struct rocks_batch *)base;
    rocksdb_writebatch_destroy(b->batch);
    free(b);
}

static void batch_clear(struct kv_batch *base)
{
    struct rocks_batch *b = (struct rocks_batch *)base;
    rocksdb_writebatch_clear(b->batch);
    b->bodies_deleted = 0;
}

static void batch_put(struct kv_batch *base, enum kv_family family, struct slice key, struct slice value)
{
    struct rocks_batch *b = (struct rocks_batch *)base;
    rocksdb_writebatch_put_cf(b->batch, b->rocks->families[family], (const char *)key.data, key.len,
                              (const char *)value.data, value.len);
}

static void batch_delete(struct kv_batch *base, enum kv_family family, struct slice key)
{
    struct rocks_batch *b = (struct rocks_batch *)base;
    rocksdb_writebatch_delete_cf(b->batch, b->rocks->families[family], (const char *)key.data, key.len);
    b->bodies_deleted += family == KV_BODY;
}

static void batch_delete_range(struct kv_batch *base, enum kv_family family, struct slice from,
                               struct slice to)
{
    struct rocks_batch *b = (struct rocks_batch *)base;
    rocksdb_writebatch_delete_range_cf(b->batch, b->rocks->families[family], (const char *)from.data,
                                       from.len, (const char *)to.data, to.len);
}

static enum err write_batch(struct kv *kv, struct kv_batch *base)
{
    struct rocks *r = rocks_of(kv);
    if (base->count == 0)
        return OK;
    char *message = NULL;
    struct rocks_batch *b = (struct rocks_batch *)base;
    rocksdb_write(r->db, r->write, b->batch, &message);
    if (b->bodies_deleted > 0)
        atomic_fetch_add_explicit(&r->bodies_deleted, b->bodies_deleted, memory_order_relaxed);
    return rocks_write_err(r, "write", message);
}

static enum err sync_all(struct kv *kv)
{
    char *message = NULL;
    rocksdb_flush_wal(rocks_of(kv)->db, 1, &message);
    return rocks_write_err(rocks_of(kv), "sync of the write-ahead log", message);
}

/* ---- care */

/* RocksDB has no figure for it: the sum of the *.log files. */
static uint64_t wal_bytes(const char *path)
{
    uint64_t sum = 0;
    DIR *dir = opendir(path);
    if (dir == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        size_t len = strlen(e->d_name);
        struct stat st;
        if (len > 4 && strcmp(e->d_name + len - 4, ".log") == 0 &&
            fstatat(dirfd(dir), e->d_name, &st, 0) == 0)
            sum += (uint64_t)st.st_blocks * 512;
    }
    closedir(dir);
    return sum;
}

uint64_t rocks_property(const struct rocks *r, enum kv_family family, const char *name)
{
    uint64_t value = 0;
    return rocksdb_property_int_cf(r->db, r->families[family], name, &value) == 0 ? value : 0;
}

bool rocks_is_stalled(const struct rocks *r)
{
    return rocks_property(r, KV_META, "rocksdb.is-write-stopped") != 0 ||
           rocks_property(r, KV_META, "rocksdb.actual-delayed-write-rate") != 0;
}

static void stats(struct kv *kv, struct kv_stats *out)
{
    const struct rocks *r = rocks_of(kv);
    for (enum kv_family family = 0; family < KV_FAMILY_COUNT; family++) {
        out->disk_bytes += rocks_property(r, family, "rocksdb.total-sst-files-size");
        out->disk_bytes += rocks_property(r, family, "rocksdb.total-blob-file-size");
        out->memtable_bytes += rocks_property(r, family, "rocksdb.cur-size-all-mem-tables");
    }
    out->wal_bytes = wal_bytes(r->path);
    out->disk_bytes += out->wal_bytes;
    out->write_stalled = rocks_is_stalled(r);
}

static uint64_t size_of_range(struct kv *kv, enum kv_family family, struct slice from, struct slice to)
{
    const struct rocks *r = rocks_of(kv);
    const char *from_data = (const char *)from.data, *to_data = (const char *)to.data;
    char *message = NULL;
    uint64_t size = 0;
    rocksdb_approximate_sizes_cf(r->db, r->families[family], 1, &from_data, &from.len, &to_data, &to.len,
                                 &size, &message);
    return rocks_err("size of a range", message) == OK ? size : 0;
}

static void close_rocks(struct kv *kv)
{
    struct rocks *r = rocks_of(kv);
    rocks_blobs_stop(&r->blobs);
    for (int family = 0; r->db != NULL && family < KV_FAMILY_COUNT; family++)
        rocksdb_column_family_handle_destroy(r->families[family]);
    if (r->db != NULL)
        rocksdb_close(r->db);
    rocks_options_fini(r);
    free(r->path);
    free(r);
}

static const struct kv_ops rocks_ops = {
    .close = close_rocks,
    .view_new = view_new,
    .view_free = view_free,
    .get = get,
    .iter_new = rocks_iter_new,
    .batch_new = batch_new,
    .batch_free = batch_free,
    .batch_clear = batch_clear,
    .batch_put = batch_put,
    .batch_delete = batch_delete,
    .batch_delete_range = batch_delete_range,
    .write = write_batch,
    .sync = sync_all,
    .write_unlogged = rocks_write_unlogged,
    .persist = rocks_persist,
    .stats = stats,
    .size = size_of_range,
};

/* On a full disk RocksDB would end the process by an assertion, which tells a person nothing. */
static enum err check_room(const char *path)
{
    struct statvfs disk;
    if (statvfs(path, &disk) != 0)
        return OK; /* yet to be made; opening says what is wrong */
    uint64_t free = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (free >= OPEN_ROOM_MIN)
        return OK;
    log_error("kv", "the disk of %s is full: %llu KiB are free, opening the database needs %d", path,
              (unsigned long long)(free >> 10), OPEN_ROOM_MIN >> 10);
    return ERR_NO_SPACE;
}

/* RocksDB makes its threads as it opens, and they inherit how this one gives way: they have gigabytes to
 * write out and to merge, others have people to answer. */
static void *open_giving_way(void *arg)
{
    struct rocks *r = arg;
    char *message = NULL;
    if (setpriority(PRIO_PROCESS, (id_t)gettid(), BACKGROUND_NICE) != 0)
        log_debug("kv", "the kernel refuses another priority");
    r->db = rocksdb_open_column_families(r->db_options, r->path, KV_FAMILY_COUNT, family_names,
                                         (const rocksdb_options_t *const *)r->family_options, r->families,
                                         &message);
    return message;
}

static char *open_database(struct rocks *r)
{
    pthread_t thread;
    void *message = NULL;
    if (pthread_create(&thread, NULL, open_giving_way, r) != 0)
        log_fatal("kv", "cannot start a thread");
    pthread_join(thread, &message);
    return message;
}

const char *rocks_family_name(enum kv_family family)
{
    return family_names[family];
}

enum err rocks_open(const struct kv_options *options, bool still, struct rocks **out)
{
    struct rocks *r = NEW(struct rocks);
    r->base.ops = &rocks_ops;
    r->path = xstrdup(options->path);
    r->failures = rocks_failures_count();
    rocks_options_init(r, options);
    for (int family = 0; still && family < KV_FAMILY_COUNT; family++)
        rocksdb_options_set_disable_auto_compactions(r->family_options[family], 1);
    char *message = open_database(r);
    if (message != NULL) {
        struct kv *failed = &r->base;
        r->db = NULL;
        kv_close(&failed);
        return rocks_err("open", message);
    }
    if (!still)
        r->blobs = rocks_blobs_start(r);
    *out = r;
    return OK;
}

enum err kv_open_rocksdb(const struct kv_options *options, struct kv **out)
{
    struct rocks *r;
    TRY(check_room(options->path));
    TRY(rocks_mend(options));
    TRY(rocks_open(options, false, &r));
    if (!rocks_crc_was_called())
        log_info("kv", "RocksDB computes its checksums itself: slower, if the processor could help");
    if (!rocks_failures_are_heard())
        log_warn("kv", "this RocksDB is another: what it fails to write in the background is noticed late");
    *out = &r->base;
    return OK;
}
