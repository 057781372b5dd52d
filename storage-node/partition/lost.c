/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/lost.h"

#include "lib/base/log.h"
#include "storage-node/mailbox/machine.h"
#include "storage-node/partition/log/format.h"
#include "storage-node/partition/log/rows.h"

static void put_damaged(struct kv_batch *batch, uint32_t partition, struct partition_record *record)
{
    struct buf key = { 0 }, value = { 0 };
    record->damaged = true;
    record_key(partition, &key);
    record_encode(record, &value);
    kv_batch_put(batch, KV_META, buf_slice(&key), buf_slice(&value));
    buf_fini(&key);
    buf_fini(&value);
}

/* All keys of a partition, of whichever family, begin with its number. */
static void delete_rows(struct kv_batch *batch, uint32_t partition)
{
    static const enum kv_family families[] = { KV_LOG, KV_STATE, KV_BODY };
    struct buf lower = { 0 }, upper = { 0 };
    machine_key_range(partition, &lower, &upper);
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        kv_batch_delete_range(batch, families[i], buf_slice(&lower), buf_slice(&upper));
    buf_fini(&lower);
    buf_fini(&upper);
}

enum err partition_lost_rows(void *arg, struct kv *kv, uint32_t partition)
{
    struct partition_record record;
    struct kv_value value = { 0 };
    struct buf key = { 0 };
    (void)arg;
    /* A later program may keep its records otherwise: it would not find the mark, and trust the copy. */
    TRY(store_format_check(kv));
    struct kv_batch *batch = kv_batch_new(kv);
    record_key(partition, &key);
    enum err err = kv_get(kv, NULL, KV_META, buf_slice(&key), &value);
    if (err == OK && record_decode(value.bytes, &record) == OK) /* else it is opened as damaged anyway */
        put_damaged(batch, partition, &record);
    if (err == ERR_NOT_FOUND) {
        delete_rows(batch, partition);
        err = OK;
    }
    if (err == OK)
        err = kv_write(kv, batch);
    if (err == OK)
        err = kv_sync(kv);
    if (err == OK)
        log_error("partition", "rows are lost partition=%u", partition);
    kv_value_release(&value);
    kv_batch_free(&batch);
    buf_fini(&key);
    return err;
}
