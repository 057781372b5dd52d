/* SPDX-License-Identifier: Apache-2.0 */
/* A log of arbitrary entries applied to an empty partition, each request also tried as every read. An entry
 * is refused or has its effect; rows never come to contradict each other (that would be ERR_CORRUPT), and
 * nothing crashes.
 *
 * Input: varbytes entry, varbytes body, again and again. */
#include <stdint.h>
#include <stdlib.h>

#include "lib/base/log.h"
#include "storage-node/mailbox/machine.h"

enum { PARTITION = 7, ENTRIES_MAX = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t reads[] = {
#define PICK_READ(symbol) METHOD_##symbol,
#define PICK_WRITE(symbol)
#define PICK_MEMORY(symbol)
#define PICK_NODE(symbol)
#define PICK_CLUSTER(symbol)
#define PICK_NOTICE(symbol)
#define PICK_(symbol, number, kind, proto, func) PICK_##kind(symbol)
    METHOD_LIST(PICK_)
};

static void try_reads(struct kv *kv, struct slice request)
{
    struct buf response = { 0 }, body = { 0 };
    for (size_t i = 0; i < sizeof reads / sizeof reads[0]; i++) {
        enum err err = machine_read(kv, NULL, PARTITION, reads[i], request, &response, &body);
        if (err_class(err) == ERR_CLASS_SYSTEM)
            abort();
    }
    buf_fini(&response);
    buf_fini(&body);
}

static void put_body(struct kv *kv, uint64_t index, struct slice body)
{
    struct buf key = { 0 };
    struct kv_batch *b = kv_batch_new(kv);
    machine_body_key(PARTITION, index, &key);
    kv_batch_put(b, KV_BODY, buf_slice(&key), body);
    if (kv_write(kv, b) != OK)
        abort();
    kv_batch_free(&b);
    buf_fini(&key);
}

static void apply(struct kv *kv, struct kv_txn *txn, uint64_t index, struct slice entry, struct slice body,
                  struct machine_result *result)
{
    struct entry_header header;
    struct slice request;
    bool known = entry_decode(entry, &header, &request) == OK;
    if (known && header.body_len != body.len)
        return; /* the driver sees to that */
    put_body(kv, index, body);
    enum err err = machine_apply(txn, PARTITION, index, entry, result);
    if (err != (known ? OK : ERR_CORRUPT) || err_class(result->status) == ERR_CLASS_SYSTEM)
        abort();
    if (kv_txn_commit(txn) != OK)
        abort();
    if (!known)
        return;
    if (err_class(machine_check(header.version, header.method, request, body.len)) == ERR_CLASS_SYSTEM)
        abort();
    try_reads(kv, request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_set_level(LOG_LEVEL_ERROR);
    struct kv *kv = kv_open_mem();
    struct kv_txn *txn = kv_txn_new(kv);
    struct machine_result result = { 0 };
    struct cursor c = cursor_of(slice_of(data, size));
    for (uint64_t index = 1; index <= ENTRIES_MAX && c.rest.len > 0 && !c.bad; index++) {
        struct slice entry = cursor_varbytes(&c);
        struct slice body = cursor_varbytes(&c);
        if (!c.bad)
            apply(kv, txn, index, entry, body, &result);
    }
    machine_result_fini(&result);
    kv_txn_free(&txn);
    kv_close(&kv);
    return 0;
}
