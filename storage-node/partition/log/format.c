/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/log/format.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"

enum { ROW_VERSION = 1, SEAL_SIZE = 8 };

static const struct slice format_key = { (const uint8_t *)"F", 1 };

static enum err write_format(struct kv *kv)
{
    struct buf value = { 0 };
    buf_add_byte(&value, ROW_VERSION);
    buf_add_be32(&value, STORE_FORMAT);
    struct kv_batch *batch = kv_batch_new(kv);
    kv_batch_put(batch, KV_META, format_key, buf_slice(&value));
    enum err err = kv_write(kv, batch);
    if (err == OK)
        err = kv_sync(kv);
    kv_batch_free(&batch);
    buf_fini(&value);
    return err;
}

/* Behind its bytes a body had the sum of their hash and, times this, of its key's. */
static bool is_sealed(struct slice key, struct slice stored)
{
    static const uint64_t key_factor = 0x9e3779b97f4a7c15;
    if (stored.len < SEAL_SIZE)
        return false;
    struct slice bytes = slice_of(stored.data, stored.len - SEAL_SIZE);
    struct cursor seal = cursor_of(slice_sub(stored, bytes.len, stored.len));
    return cursor_be64(&seal) == hash_xxh3(bytes) + hash_xxh3(key) * key_factor;
}

/* All of them had it, so the first one tells. */
static enum err look_at_a_body(struct kv *kv)
{
    static const uint8_t last[] = { 0xff, 0xff, 0xff, 0xff };
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_BODY, SLICE_NULL, slice_of(last, sizeof last));
    enum err err = OK;
    if (!kv_iter_seek(it, SLICE_NULL)) {
        err = kv_iter_err(it);
    } else if (is_sealed(kv_iter_key(it), kv_iter_value(it))) {
        log_error("format",
                  "the folder is of a program that put a checksum behind each body; this one would take "
                  "it for mail. Start with an empty folder: the copies come from the other nodes");
        err = ERR_UNSUPPORTED;
    }
    kv_iter_free(&it);
    return err;
}

static enum err check_format(struct slice value)
{
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    uint32_t format = cursor_be32(&c);
    if (version == ROW_VERSION && (!cursor_done(&c) || format == 0))
        return ERR_CORRUPT;
    if (version == ROW_VERSION && format <= STORE_FORMAT)
        return OK;
    log_error("format",
              "the folder was written by a later program: its format is %u, this one knows %u. Start the "
              "later one, or one with an empty folder: the copies come from the other nodes",
              (unsigned)format, STORE_FORMAT);
    return ERR_UNSUPPORTED;
}

/* ERR_NOT_FOUND: it does not say. */
static enum err read_format(struct kv *kv)
{
    struct kv_value value = { 0 };
    enum err err = kv_get(kv, NULL, KV_META, format_key, &value);
    if (err == OK)
        err = check_format(value.bytes);
    kv_value_release(&value);
    return err;
}

enum err store_format_check(struct kv *kv)
{
    enum err err = read_format(kv);
    return err == ERR_NOT_FOUND ? OK : err;
}

enum err store_format_open(struct kv *kv)
{
    enum err err = read_format(kv);
    if (err != ERR_NOT_FOUND)
        return err;
    TRY(look_at_a_body(kv));
    return write_format(kv);
}
