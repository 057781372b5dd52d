/* SPDX-License-Identifier: Apache-2.0 */
/* A damaged table leaves the database, and the rest of its rows stays.
 *
 * RocksDB can take no block out of a table, and no merge gets past a damaged one. So, before anybody is
 * served:
 *   1. The database is opened such that nothing is merged.
 *   2. The table's rows, and whatever other tables have between its first and last key, are read group by
 *      group. A group that can be read is written anew: piece by piece, in one batch, its range is deleted
 *      and its rows are put. That hides all that any table has there, rows and marks of deletion alike. A
 *      group that cannot be read is lost: its owner hears of it and writes that down.
 *   3. That is synced. Nobody needs the table any more: it is kept in a folder, for a person, and taken out
 *      of RocksDB's list.
 * Whatever ends the process in between, the next start begins again; in the end the note about the table
 * goes. A second damaged table is met by the next merge and goes the same way.
 *
 * It is not done if the table holds rows of the node itself, or cannot be opened at all (its foot, which is
 * read as the database opens): such a node begins again with an empty folder. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "storage-node/kv/rocks_priv.h"

enum { PIECE_BYTES = 1 << 20, GROUPS_MAX = 1 << 16 };

static const uint64_t rewrite_max = 64ull << 30; /* bytes: more is fetched faster from other nodes */
static const char advice[] = "; the node must begin again with an empty folder (docs/operations.md)";

struct mend {
    const struct kv_options *options;
    struct kv *kv;
    enum kv_family family;
    struct rocks_table table;
    struct buf first, end; /* the table's keys: [first, end) */
    struct buf rows;       /* of a piece: lengths, key, value */
    uint64_t written, lost;
};

/* The table as RocksDB lists it; false: it is gone. */
static bool find_table(struct mend *m, uint64_t number)
{
    struct rocks *r = rocks_of(m->kv);
    const rocksdb_livefiles_t *files = rocksdb_livefiles(r->db);
    int count = rocksdb_livefiles_count(files), at = -1;
    for (int i = 0; i < count && at < 0; i++) {
        if (rocks_damaged_in(rocksdb_livefiles_name(files, i)) == number)
            at = i;
    }
    for (enum kv_family family = 0; at >= 0 && family < KV_FAMILY_COUNT; family++) {
        if (strcmp(rocksdb_livefiles_column_family_name(files, at), rocks_family_name(family)) == 0)
            m->family = family;
    }
    if (at >= 0) {
        size_t len;
        const char *key = rocksdb_livefiles_smallestkey(files, at, &len);
        buf_clear(&m->first);
        buf_add(&m->first, key, len);
        key = rocksdb_livefiles_largestkey(files, at, &len);
        buf_clear(&m->end);
        buf_add(&m->end, key, len);
        buf_add_byte(&m->end, 0);
        m->table = (struct rocks_table){
            .number = number,
            .family = rocksdb_column_family_handle_get_id(r->families[m->family]),
            .level = (uint32_t)rocksdb_livefiles_level(files, at),
        };
    }
    rocksdb_livefiles_destroy(files);
    return at >= 0;
}

/* ---- a group written anew */

static struct slice take_bytes(struct cursor *c)
{
    uint32_t len = cursor_be32(c);
    return cursor_bytes(c, len);
}

/* [from, to) holds the gathered rows and nothing else, from here on. */
static enum err write_piece(struct mend *m, struct slice from, struct slice to)
{
    struct cursor c = cursor_of(buf_slice(&m->rows));
    struct kv_batch *batch = kv_batch_new(m->kv);
    kv_batch_delete_range(batch, m->family, from, to);
    while (!cursor_done(&c)) {
        struct slice key = take_bytes(&c);
        kv_batch_put(batch, m->family, key, take_bytes(&c));
    }
    enum err err = kv_write(m->kv, batch);
    kv_batch_free(&batch);
    m->written += m->rows.len;
    buf_clear(&m->rows);
    return err != OK || m->written <= rewrite_max ? err : ERR_CORRUPT;
}

static void gather(struct mend *m, struct slice key, struct slice value)
{
    buf_add_be32(&m->rows, (uint32_t)key.len);
    buf_add_slice(&m->rows, key);
    buf_add_be32(&m->rows, (uint32_t)value.len);
    buf_add_slice(&m->rows, value);
}

static enum err rewrite(struct mend *m, struct kv_iter *it, struct slice lower, struct slice upper)
{
    struct buf from = { 0 };
    enum err err = OK;
    buf_clear(&m->rows);
    buf_add_slice(&from, lower);
    for (bool on_row = kv_iter_seek(it, lower); on_row && err == OK; on_row = kv_iter_next(it)) {
        if (m->rows.len >= PIECE_BYTES) {
            err = write_piece(m, buf_slice(&from), kv_iter_key(it));
            buf_clear(&from);
            buf_add_slice(&from, kv_iter_key(it));
        }
        gather(m, kv_iter_key(it), kv_iter_value(it));
    }
    if (err == OK)
        err = kv_iter_err(it);
    if (err == OK)
        err = write_piece(m, buf_slice(&from), upper);
    buf_fini(&from);
    return err;
}

static enum err mend_group(struct mend *m, uint32_t group)
{
    struct buf lower = { 0 }, upper = { 0 };
    buf_add_be32(&lower, group);
    if (slice_cmp(buf_slice(&lower), buf_slice(&m->first)) < 0) {
        buf_clear(&lower);
        buf_add_slice(&lower, buf_slice(&m->first));
    }
    if (group < UINT32_MAX)
        buf_add_be32(&upper, group + 1);
    if (upper.len == 0 || slice_cmp(buf_slice(&upper), buf_slice(&m->end)) > 0) {
        buf_clear(&upper);
        buf_add_slice(&upper, buf_slice(&m->end));
    }
    struct kv_iter *it = kv_iter_new(m->kv, NULL, m->family, buf_slice(&lower), buf_slice(&upper));
    enum err err = rewrite(m, it, buf_slice(&lower), buf_slice(&upper));
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
    if (err == ERR_CORRUPT && m->written <= rewrite_max) {
        m->lost++;
        log_error("kv", "rows of group %u in table %" PRIu64 " cannot be read", group, m->table.number);
        err = m->options->on_lost(m->options->arg, m->kv, group);
    }
    return err;
}

/* ---- a table */

static enum err mend_rows(struct mend *m)
{
    struct cursor first = cursor_of(buf_slice(&m->first)), last = cursor_of(buf_slice(&m->end));
    uint32_t group = cursor_be32(&first), end = cursor_be32(&last);
    if (m->family == KV_META || m->first.len < KV_GROUP_BYTES || end - group >= GROUPS_MAX) {
        log_error("kv", "table %" PRIu64 " is damaged and has rows of the node itself%s", m->table.number,
                  advice);
        return ERR_CORRUPT;
    }
    log_error("kv",
              "table %" PRIu64 " of %s is damaged: what can be read of it is written anew groups=%u..%u",
              m->table.number, rocks_family_name(m->family), group, end);
    enum err err = OK;
    for (uint32_t i = 0; i <= end - group && err == OK; i++)
        err = mend_group(m, group + i);
    if (err == OK)
        err = kv_sync(m->kv);
    if (err == ERR_CORRUPT)
        log_error("kv", "table %" PRIu64 " cannot be taken out%s", m->table.number, advice);
    return err;
}

/* What a person may want to look at: the last copy of a partition may be in it. */
static void keep_table(struct mend *m)
{
    const char *path = m->options->path;
    char *folder = xasprintf("%s/damaged", path);
    char *from = xasprintf("%s/%06" PRIu64 ".sst", path, m->table.number);
    char *to = xasprintf("%s/%06" PRIu64 ".sst", folder, m->table.number);
    if ((mkdir(folder, 0700) != 0 && errno != EEXIST) || (link(from, to) != 0 && errno != EEXIST))
        log_error("kv", "cannot keep %s in %s: %s", from, folder, strerror(errno));
    free(folder);
    free(from);
    free(to);
}

static enum err mend_table(struct mend *m, uint64_t number)
{
    struct rocks *r;
    enum err err = rocks_open(m->options, true, &r);
    if (err != OK) {
        log_error("kv", "the database with the damaged table %" PRIu64 " does not open%s", number, advice);
        return err;
    }
    m->kv = &r->base;
    m->written = m->lost = 0;
    bool there = find_table(m, number);
    if (there)
        err = mend_rows(m);
    kv_close(&m->kv);
    if (!there || err != OK)
        return err;
    keep_table(m);
    TRY(rocks_manifest_drop(m->options->path, &m->table));
    log_error("kv", "table %" PRIu64 " is taken out rewritten=%" PRIu64 " groups_lost=%" PRIu64, number,
              m->written, m->lost);
    return OK;
}

enum err rocks_mend(const struct kv_options *options)
{
    uint64_t numbers[ROCKS_DAMAGED_MAX];
    size_t count =
        options->on_lost == NULL ? 0 : rocks_damaged_list(options->path, numbers, ROCKS_DAMAGED_MAX);
    struct mend m = { .options = options };
    enum err err = OK;
    for (size_t i = 0; i < count && err == OK; i++)
        err = mend_table(&m, numbers[i]);
    buf_fini(&m.first);
    buf_fini(&m.end);
    buf_fini(&m.rows);
    return err != OK || count == 0 ? err : rocks_damaged_forget(options->path);
}
