/* SPDX-License-Identifier: Apache-2.0 */
/* One thread owns the database after load(): it takes all transactions that wait, judges them one after the
 * other against database and batch, writes the batch with one fsync, tells the watcher, and only then
 * answers. */
#include "director/coordination/embedded.h"

#include <pthread.h>
#include <rocksdb/c.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"

enum {
    FORMAT_VERSION = 1,
    GROUP_MAX = 512, /* transactions of one fsync */
    ROW_HEAD = 9,    /* version, mod */
};

/* Keys of the database: 'r' + row key -> version, mod (8, big-endian), value; 'm' + name -> figures of the
 * store itself. */
#define META_REVISION "mrevision"
#define META_FORMAT   "mformat"

struct embedded {
    struct coordination base;
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_readoptions_t *read_options;
    rocksdb_writeoptions_t *write_options;
    rocksdb_writebatch_wi_t *batch;
    uint64_t revision;
    struct coordination_watcher watcher;
    struct coordination_row told[COORDINATION_CHANGES_MAX]; /* what the watcher is told, the thread's */

    pthread_t thread;
    bool thread_started;
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t wake;
    struct coordination_txn *queue, **queue_tail;
    size_t in_flight;
    bool stopping;
};

/* A transaction of the group under way, and how it was judged. */
struct judged {
    struct coordination_txn *txn;
    enum err result;
    uint64_t revision;
};

static enum err rocksdb_failure(const char *what, char *message)
{
    enum err err = ERR_IO;
    if (strstr(message, "lock") != NULL || strstr(message, "LOCK") != NULL)
        err = ERR_IN_USE;
    else if (strstr(message, "orruption") != NULL)
        err = ERR_CORRUPT;
    log_error("embedded", "%s: %s", what, message);
    rocksdb_free(message);
    return err;
}

/* ---- rows */

static void row_key(struct buf *out, struct slice key)
{
    buf_clear(out);
    buf_add_byte(out, 'r');
    buf_add_slice(out, key);
}

static bool row_decode(struct slice bytes, uint64_t *mod_out, struct slice *value_out)
{
    struct cursor c = cursor_of(bytes);
    uint8_t version = cursor_u8(&c);
    *mod_out = cursor_be64(&c);
    *value_out = c.rest;
    return !c.bad && version == FORMAT_VERSION && *mod_out > 0;
}

/* The mod of a row as of database and batch together; 0 if there is none. A row that cannot be read ends the
 * process. */
static uint64_t current_mod(struct embedded *e, struct slice key, struct buf *scratch)
{
    size_t len;
    char *message = NULL;
    row_key(scratch, key);
    char *bytes = rocksdb_writebatch_wi_get_from_batch_and_db(
        e->batch, e->db, e->read_options, (const char *)scratch->data, scratch->len, &len, &message);
    if (message != NULL)
        log_fatal("embedded", "cannot read the store: %s", message);
    if (bytes == NULL)
        return 0;
    uint64_t mod;
    struct slice value;
    if (!row_decode(slice_of(bytes, len), &mod, &value))
        log_fatal("embedded", "a row of the store is damaged: %.*s", SLICE_FMT(key));
    rocksdb_free(bytes);
    return mod;
}

/* ---- one group of transactions */

static enum err judge(struct embedded *e, const struct coordination_txn *txn, struct buf *scratch)
{
    for (size_t i = 0; i < txn->count; i++) {
        if (current_mod(e, txn->changes[i].key, scratch) != txn->changes[i].expected_mod)
            return ERR_CONFLICT;
    }
    return OK;
}

static bool writes(const struct coordination_txn *txn)
{
    for (size_t i = 0; i < txn->count; i++) {
        if (txn->changes[i].action != COORDINATION_CHECK)
            return true;
    }
    return false;
}

static void add_to_batch(struct embedded *e, const struct coordination_change *change, struct buf *scratch)
{
    row_key(scratch, change->key);
    if (change->action == COORDINATION_DELETE) {
        rocksdb_writebatch_wi_delete(e->batch, (const char *)scratch->data, scratch->len);
    } else if (change->action == COORDINATION_PUT) {
        struct buf row = { 0 };
        buf_add_byte(&row, FORMAT_VERSION);
        buf_add_be64(&row, e->revision);
        buf_add_slice(&row, change->value);
        rocksdb_writebatch_wi_put(e->batch, (const char *)scratch->data, scratch->len, (const char *)row.data,
                                  row.len);
        buf_fini(&row);
    }
}

static void put_revision(struct embedded *e)
{
    struct buf value = { 0 };
    buf_add_be64(&value, e->revision);
    rocksdb_writebatch_wi_put(e->batch, META_REVISION, sizeof META_REVISION - 1, (const char *)value.data,
                              value.len);
    buf_fini(&value);
}

/* A transaction with two changes of one row would see its own first one as a conflict later: not worth
 * supporting. */
static struct judged process(struct embedded *e, struct coordination_txn *txn, struct buf *scratch)
{
    struct judged j = { .txn = txn, .result = judge(e, txn, scratch) };
    if (j.result == OK && writes(txn)) {
        e->revision++;
        for (size_t i = 0; i < txn->count; i++)
            add_to_batch(e, &txn->changes[i], scratch);
        put_revision(e);
    }
    j.revision = e->revision;
    return j;
}

static void write_batch(struct embedded *e)
{
    char *message = NULL;
    if (rocksdb_writebatch_wi_count(e->batch) == 0)
        return;
    rocksdb_write_writebatch_wi(e->db, e->write_options, e->batch, &message);
    if (message != NULL)
        log_fatal("embedded", "cannot write the store: %s", message);
    rocksdb_writebatch_wi_clear(e->batch);
}

static void tell_watcher(struct embedded *e, const struct judged *j)
{
    struct coordination_row *rows = e->told;
    size_t count = 0;
    for (size_t i = 0; i < j->txn->count; i++) {
        const struct coordination_change *change = &j->txn->changes[i];
        if (change->action == COORDINATION_CHECK)
            continue;
        rows[count++] = (struct coordination_row){ .key = change->key,
                                                   .value = change->action == COORDINATION_PUT ? change->value
                                                                                               : SLICE_NULL,
                                                   .mod = j->revision,
                                                   .deleted = change->action == COORDINATION_DELETE };
    }
    if (count > 0)
        e->watcher.on_change(rows, count, j->revision, e->watcher.arg);
}

static void process_group(struct embedded *e, struct coordination_txn *list)
{
    struct judged *group = NEW_ARRAY(struct judged, GROUP_MAX);
    struct buf scratch = { 0 };
    size_t count = 0;
    while (list != NULL) {
        struct coordination_txn *txn = list;
        list = txn->next;
        group[count++] = process(e, txn, &scratch);
    }
    write_batch(e);
    for (size_t i = 0; i < count; i++) {
        if (group[i].result == OK)
            tell_watcher(e, &group[i]);
        group[i].txn->done(group[i].txn, group[i].result, group[i].revision, group[i].txn->arg);
    }
    pthread_mutex_lock(&e->lock);
    e->in_flight -= count;
    pthread_mutex_unlock(&e->lock);
    buf_fini(&scratch);
    free(group);
}

/* At most GROUP_MAX transactions; NULL when stopping and nothing is left. */
static struct coordination_txn *take_group(struct embedded *e)
{
    pthread_mutex_lock(&e->lock);
    while (e->queue == NULL && !e->stopping)
        pthread_cond_wait(&e->wake, &e->lock);
    struct coordination_txn *list = e->queue;
    struct coordination_txn **at = &e->queue;
    for (size_t i = 0; i < GROUP_MAX && *at != NULL; i++)
        at = &(*at)->next;
    e->queue = *at;
    if (e->queue == NULL)
        e->queue_tail = &e->queue;
    if (list != NULL)
        *at = NULL;
    pthread_mutex_unlock(&e->lock);
    return list;
}

static void *run(void *arg)
{
    struct embedded *e = arg;
    struct coordination_txn *list;
    while ((list = take_group(e)) != NULL)
        process_group(e, list);
    return NULL;
}

/* ---- the seam */

static enum err embedded_submit(struct coordination *c, struct coordination_txn *txn)
{
    struct embedded *e = (struct embedded *)c;
    enum err err = OK;
    pthread_mutex_lock(&e->lock);
    if (e->in_flight >= COORDINATION_IN_FLIGHT_MAX || e->stopping) {
        err = ERR_BUSY;
    } else {
        txn->next = NULL;
        *e->queue_tail = txn;
        e->queue_tail = &txn->next;
        e->in_flight++;
        pthread_cond_signal(&e->wake);
    }
    pthread_mutex_unlock(&e->lock);
    return err;
}

static enum err load_rows(struct embedded *e, rocksdb_iterator_t *it)
{
    for (rocksdb_iter_seek(it, "r", 1); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        size_t key_len, value_len;
        const char *key = rocksdb_iter_key(it, &key_len);
        const char *bytes = rocksdb_iter_value(it, &value_len);
        struct coordination_row row = { .key = slice_of(key + 1, key_len - 1) };
        if (key[0] != 'r')
            break;
        if (!row_decode(slice_of(bytes, value_len), &row.mod, &row.value) || row.mod > e->revision) {
            log_error("embedded", "a row of the store is damaged: %.*s", SLICE_FMT(row.key));
            return ERR_CORRUPT;
        }
        e->watcher.on_change(&row, 1, e->revision, e->watcher.arg);
    }
    char *message = NULL;
    rocksdb_iter_get_error(it, &message);
    return message == NULL ? OK : rocksdb_failure("cannot read the store", message);
}

static enum err embedded_load(struct coordination *c, const struct coordination_watcher *watcher,
                              uint64_t *newest_out)
{
    struct embedded *e = (struct embedded *)c;
    e->watcher = *watcher;
    rocksdb_iterator_t *it = rocksdb_create_iterator(e->db, e->read_options);
    enum err err = load_rows(e, it);
    rocksdb_iter_destroy(it);
    if (err != OK)
        return err;
    *newest_out = e->revision;
    int rc = pthread_create(&e->thread, NULL, run, e);
    if (rc != 0) {
        log_error("embedded", "no thread: %s", strerror(rc));
        return ERR_IO;
    }
    pthread_setname_np(e->thread, "coordination");
    e->thread_started = true;
    return OK;
}

static void embedded_close(struct coordination *c)
{
    struct embedded *e = (struct embedded *)c;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    if (e->thread_started)
        pthread_join(e->thread, NULL);
    rocksdb_writebatch_wi_destroy(e->batch);
    if (e->db != NULL)
        rocksdb_close(e->db);
    rocksdb_writeoptions_destroy(e->write_options);
    rocksdb_readoptions_destroy(e->read_options);
    rocksdb_options_destroy(e->options);
    pthread_cond_destroy(&e->wake);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

/* ---- opening */

static const struct coordination_ops embedded_ops = {
    .load = embedded_load,
    .submit = embedded_submit,
    .close = embedded_close,
};

static void make_options(struct embedded *e)
{
    e->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(e->options, 1);
    rocksdb_options_set_paranoid_checks(e->options, 1);
    /* A torn tail was never answered; damage anywhere else must not pass for one. */
    rocksdb_options_set_wal_recovery_mode(e->options, rocksdb_tolerate_corrupted_tail_records_recovery);
    rocksdb_options_set_write_buffer_size(e->options, 4 << 20);
    rocksdb_options_set_max_open_files(e->options, 64);
    rocksdb_options_set_keep_log_file_num(e->options, 2);
    rocksdb_options_set_max_log_file_size(e->options, 1 << 20);
    e->read_options = rocksdb_readoptions_create();
    rocksdb_readoptions_set_verify_checksums(e->read_options, 1);
    e->write_options = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(e->write_options, 1);
}

/* A figure of the store itself; 0 if it was never written. */
static enum err read_meta(struct embedded *e, const char *name, uint64_t *out)
{
    size_t len;
    char *message = NULL;
    char *bytes = rocksdb_get(e->db, e->read_options, name, strlen(name), &len, &message);
    *out = 0;
    if (message != NULL)
        return rocksdb_failure("cannot read the store", message);
    if (bytes == NULL)
        return OK;
    struct cursor c = cursor_of(slice_of(bytes, len));
    *out = cursor_be64(&c);
    bool good = cursor_done(&c);
    rocksdb_free(bytes);
    if (!good)
        log_error("embedded", "%s is damaged", name);
    return good ? OK : ERR_CORRUPT;
}

static enum err check_format(struct embedded *e)
{
    uint64_t format;
    TRY(read_meta(e, META_FORMAT, &format));
    if (format > FORMAT_VERSION) {
        log_error("embedded", "the store was written by a newer version (format %u)", (unsigned)format);
        return ERR_UNSUPPORTED;
    }
    if (format == 0) {
        struct buf value = { 0 };
        buf_add_be64(&value, FORMAT_VERSION);
        rocksdb_writebatch_wi_put(e->batch, META_FORMAT, sizeof META_FORMAT - 1, (const char *)value.data,
                                  value.len);
        buf_fini(&value);
        write_batch(e);
    }
    return read_meta(e, META_REVISION, &e->revision);
}

enum err embedded_open(const char *path, struct coordination **out)
{
    struct embedded *e = NEW(struct embedded);
    char *message = NULL;
    e->base.ops = &embedded_ops;
    e->queue_tail = &e->queue;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->wake, NULL);
    make_options(e);
    e->batch = rocksdb_writebatch_wi_create(
        0, 1); /* overwrite: a later change of a key in the batch hides the earlier */
    e->db = rocksdb_open(e->options, path, &message);
    enum err err = message == NULL ? check_format(e) : rocksdb_failure("cannot open the store", message);
    if (err != OK) {
        embedded_close(&e->base);
        return err;
    }
    *out = &e->base;
    return OK;
}
