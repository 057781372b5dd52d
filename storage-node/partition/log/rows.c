/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/log/rows.h"

#include "lib/base/rand.h"

enum { RECORD_INSTALLING = 1, RECORD_DAMAGED = 2 };

enum {
    ROW_VERSION = 1,
    APPLIED_VERSION = 2,     /* 1: did not count the bodies */
    APPLIED_VERSION_NOW = 3, /* only above state-machine version 1: programs that know no other read 2 */
    IDENTITY_VERSION = 2,    /* 1: without a cluster */
};

static const struct slice identity_key = { (const uint8_t *)"S", 1 };
/* A row of its own: programs that know no such row read the one above. */
static const struct slice last_node_id_key = { (const uint8_t *)"N", 1 };

static enum err identity_decode(struct slice value, struct store_identity *out)
{
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    struct slice id = cursor_bytes(&c, STORE_ID_SIZE);
    out->node_id = cursor_be32(&c);
    out->joined = version == IDENTITY_VERSION && cursor_u8(&c) != 0;
    struct slice cluster = cursor_bytes(&c, out->joined ? CLUSTER_ID_SIZE : 0);
    if (version < 1 || version > IDENTITY_VERSION || !cursor_done(&c))
        return ERR_CORRUPT;
    memcpy(out->store_id, id.data, STORE_ID_SIZE);
    if (out->joined)
        memcpy(out->cluster_id, cluster.data, CLUSTER_ID_SIZE);
    return OK;
}

enum err store_identity_save(struct kv *kv, const struct store_identity *id)
{
    struct buf value = { 0 };
    buf_add_byte(&value, IDENTITY_VERSION);
    buf_add(&value, id->store_id, STORE_ID_SIZE);
    buf_add_be32(&value, id->node_id);
    buf_add_byte(&value, id->joined);
    if (id->joined)
        buf_add(&value, id->cluster_id, CLUSTER_ID_SIZE);
    struct kv_batch *batch = kv_batch_new(kv);
    kv_batch_put(batch, KV_META, identity_key, buf_slice(&value));
    buf_clear(&value);
    buf_add_byte(&value, ROW_VERSION);
    buf_add_be32(&value, id->last_node_id);
    kv_batch_put(batch, KV_META, last_node_id_key, buf_slice(&value));
    enum err err = kv_write(kv, batch);
    if (err == OK)
        err = kv_sync(kv);
    kv_batch_free(&batch);
    buf_fini(&value);
    return err;
}

static enum err open_last_node_id(struct kv *kv, uint32_t *out)
{
    struct kv_value value = { 0 };
    enum err err = kv_get(kv, NULL, KV_META, last_node_id_key, &value);
    *out = 0;
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK) {
        struct cursor c = cursor_of(value.bytes);
        uint8_t version = cursor_u8(&c);
        *out = cursor_be32(&c);
        err = version == ROW_VERSION && cursor_done(&c) ? OK : ERR_CORRUPT;
    }
    kv_value_release(&value);
    return err;
}

enum err store_identity_open(struct kv *kv, struct store_identity *out)
{
    struct kv_value value = { 0 };
    enum err err = kv_get(kv, NULL, KV_META, identity_key, &value);
    if (err == ERR_NOT_FOUND) {
        rand_bytes(out->store_id, STORE_ID_SIZE);
        out->node_id = out->last_node_id = 0;
        out->joined = false;
        return store_identity_save(kv, out);
    }
    if (err == OK)
        err = identity_decode(value.bytes, out);
    kv_value_release(&value);
    return err == OK ? open_last_node_id(kv, &out->last_node_id) : err;
}

enum err store_identity_take_map(struct kv *kv, struct store_identity *id, struct slice cluster_id,
                                 uint32_t last_node_id)
{
    if (cluster_id.len != CLUSTER_ID_SIZE ||
        (id->joined && memcmp(id->cluster_id, cluster_id.data, CLUSTER_ID_SIZE) != 0))
        return ERR_DENIED;
    if (id->joined && last_node_id <= id->last_node_id)
        return OK;
    memcpy(id->cluster_id, cluster_id.data, CLUSTER_ID_SIZE);
    id->joined = true;
    if (last_node_id > id->last_node_id)
        id->last_node_id = last_node_id;
    return store_identity_save(kv, id);
}

static void meta_key(uint8_t kind, uint32_t partition, struct buf *out)
{
    buf_clear(out);
    buf_add_byte(out, kind);
    buf_add_be32(out, partition);
}

void record_key(uint32_t partition, struct buf *out)
{
    meta_key('P', partition, out);
}

void record_range(struct buf *lower, struct buf *upper)
{
    buf_clear(lower);
    buf_add_byte(lower, 'P');
    buf_clear(upper);
    buf_add_byte(upper, 'P' + 1);
}

bool store_has_records(struct kv *kv)
{
    struct buf lower = { 0 }, upper = { 0 };
    record_range(&lower, &upper);
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_META, buf_slice(&lower), buf_slice(&upper));
    bool has = kv_iter_seek(it, buf_slice(&lower)) || kv_iter_err(it) != OK;
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
    return has;
}

bool record_key_partition(struct slice key, uint32_t *partition_out)
{
    struct cursor c = cursor_of(key);
    uint8_t kind = cursor_u8(&c);
    *partition_out = cursor_be32(&c);
    return kind == 'P' && cursor_done(&c);
}

void record_encode(const struct partition_record *r, struct buf *out)
{
    buf_clear(out);
    buf_add_byte(out, ROW_VERSION);
    buf_add_byte(out, (uint8_t)((r->installing ? RECORD_INSTALLING : 0) | (r->damaged ? RECORD_DAMAGED : 0)));
    buf_add_be64(out, r->dep);
    buf_add_be64(out, r->commit);
    buf_add_be64(out, r->base_index);
    buf_add_be64(out, r->base_epoch);
}

enum err record_decode(struct slice value, struct partition_record *out)
{
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    uint8_t flags = cursor_u8(&c);
    out->installing = (flags & RECORD_INSTALLING) != 0;
    out->damaged = (flags & RECORD_DAMAGED) != 0;
    out->dep = cursor_be64(&c);
    out->commit = cursor_be64(&c);
    out->base_index = cursor_be64(&c);
    out->base_epoch = cursor_be64(&c);
    return version == ROW_VERSION && flags <= (RECORD_INSTALLING | RECORD_DAMAGED) && cursor_done(&c)
               ? OK
               : ERR_CORRUPT;
}

void applied_key(uint32_t partition, struct buf *out)
{
    meta_key('A', partition, out);
}

void applied_encode(const struct partition_applied *a, struct buf *out)
{
    buf_clear(out);
    buf_add_byte(out, a->version > 1 ? APPLIED_VERSION_NOW : APPLIED_VERSION);
    buf_add_be64(out, a->index);
    buf_add_be64(out, a->chain);
    buf_add_be64(out, a->body_bytes);
    if (a->version > 1)
        buf_add_byte(out, a->version);
}

enum err applied_decode(struct slice value, struct partition_applied *out)
{
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    out->index = cursor_be64(&c);
    out->chain = cursor_be64(&c);
    out->body_bytes = version >= 2 ? cursor_be64(&c) : 0;
    out->version = version >= APPLIED_VERSION_NOW ? cursor_u8(&c) : 1;
    if (version > APPLIED_VERSION_NOW)
        return ERR_UNSUPPORTED;
    return version >= 1 && out->version > (version == APPLIED_VERSION_NOW) && cursor_done(&c) ? OK
                                                                                              : ERR_CORRUPT;
}

void log_key(uint32_t partition, uint64_t index, struct buf *out)
{
    buf_clear(out);
    buf_add_be32(out, partition);
    buf_add_be64(out, index);
}

bool log_key_index(struct slice key, uint64_t *index_out)
{
    struct cursor c = cursor_of(key);
    cursor_be32(&c);
    *index_out = cursor_be64(&c);
    return cursor_done(&c);
}

void log_row_begin(uint64_t epoch, struct buf *out)
{
    buf_clear(out);
    buf_add_byte(out, ROW_VERSION);
    buf_add_be64(out, epoch);
}

void log_row_set_epoch(struct buf *row, uint64_t epoch)
{
    for (int i = 0; i < 8; i++)
        row->data[1 + i] = (uint8_t)(epoch >> (56 - 8 * i));
}

enum err log_row_decode(struct slice value, uint64_t *epoch_out, struct slice *entry_out)
{
    struct cursor c = cursor_of(value);
    uint8_t version = cursor_u8(&c);
    *epoch_out = cursor_be64(&c);
    if (version != ROW_VERSION || c.bad)
        return ERR_CORRUPT;
    *entry_out = c.rest;
    return OK;
}
