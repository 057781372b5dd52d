/* SPDX-License-Identifier: Apache-2.0 */
/* One change of RocksDB's list of tables, written from outside: its C interface has no way to take a damaged
 * table out of a level that others lie on.
 *
 * CURRENT names the list, MANIFEST-n: a log of changes in blocks of 32 KiB. A record in it is
 *   4 bytes masked CRC-32C of kind and payload, 2 bytes length, 1 byte kind (whole, first or last piece)
 * with numbers little-endian; fewer than 7 bytes at a block's end are zeros. A change is tags and varints.
 * The next opening reads them all and begins a new list, so at most one record is ever added to one. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "storage-node/kv/rocks_crc.h"
#include "storage-node/kv/rocks_priv.h"

enum {
    MANIFEST_BLOCK = 32 << 10,
    RECORD_HEAD = 7,
    RECORD_WHOLE = 1,
    RECORD_FIRST = 2,
    RECORD_LAST = 4,
    TAG_DELETED_FILE = 6, /* level, number */
    TAG_COLUMN_FAMILY = 200,
    CRC_MASK = (int)0xa282ead8,
    CURRENT_SIZE_MAX = 64,
};

static void add_piece(struct buf *out, uint8_t kind, struct slice piece)
{
    uint32_t crc = rocks_crc_extend(0, (const char *)&kind, 1);
    crc = rocks_crc_extend(crc, (const char *)piece.data, piece.len);
    crc = ((crc >> 15) | (crc << 17)) + (uint32_t)CRC_MASK;
    for (int shift = 0; shift < 32; shift += 8)
        buf_add_byte(out, (uint8_t)(crc >> shift));
    buf_add_byte(out, (uint8_t)piece.len);
    buf_add_byte(out, (uint8_t)(piece.len >> 8));
    buf_add_byte(out, kind);
    buf_add_slice(out, piece);
}

/* What is added to a list of `size` bytes; a change is much shorter than a block. */
static void add_record(struct buf *out, off_t size, struct slice change)
{
    size_t room = MANIFEST_BLOCK - (size_t)(size % MANIFEST_BLOCK);
    for (; room < RECORD_HEAD; room = room == 1 ? MANIFEST_BLOCK : room - 1)
        buf_add_byte(out, 0);
    if (room >= RECORD_HEAD + change.len) {
        add_piece(out, RECORD_WHOLE, change);
        return;
    }
    size_t first = room - RECORD_HEAD;
    add_piece(out, RECORD_FIRST, slice_of(change.data, first));
    add_piece(out, RECORD_LAST, slice_of(change.data + first, change.len - first));
}

/* The list's name with its folder; NULL: errno says why. */
static char *list_path(const char *path)
{
    char line[CURRENT_SIZE_MAX] = "";
    char *name = xasprintf("%s/CURRENT", path), *list = NULL;
    FILE *file = fopen(name, "re");
    if (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        list = xasprintf("%s/%s", path, line);
    }
    if (file != NULL)
        fclose(file);
    free(name);
    return list;
}

static bool append(const char *list, struct slice change)
{
    struct buf record = { 0 };
    struct stat st;
    int fd = open(list, O_WRONLY | O_APPEND | O_CLOEXEC);
    bool done = fd >= 0 && fstat(fd, &st) == 0;
    if (done) {
        add_record(&record, st.st_size, change);
        done = write(fd, record.data, record.len) == (ssize_t)record.len && fsync(fd) == 0;
        if (!done && ftruncate(fd, st.st_size) != 0) /* half a record would hide nothing, but look damaged */
            log_debug("kv", "cannot cut %s", list);
    }
    buf_fini(&record);
    if (fd >= 0)
        close(fd);
    return done;
}

enum err rocks_manifest_drop(const char *path, const struct rocks_table *table)
{
    struct buf change = { 0 };
    buf_add_varint(&change, TAG_DELETED_FILE);
    buf_add_varint(&change, table->level);
    buf_add_varint(&change, table->number);
    buf_add_varint(&change, TAG_COLUMN_FAMILY);
    buf_add_varint(&change, table->family);
    char *list = list_path(path);
    enum err err = OK;
    if (list == NULL || !append(list, buf_slice(&change))) {
        err = errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
        log_error("kv", "cannot write RocksDB's list of tables in %s: %s", path, strerror(errno));
    }
    free(list);
    buf_fini(&change);
    return err;
}
