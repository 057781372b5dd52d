/* SPDX-License-Identifier: Apache-2.0 */
/* What answers reads share. */
#ifndef STORAGE_NODE_PARTITION_READ_READER_PRIV_H
#define STORAGE_NODE_PARTITION_READ_READER_PRIV_H

#include "lib/base/buf.h"
#include "storage-node/partition/read/reader.h"

/* Why this node may not answer a read of the partition, or OK. Reads the clock, not a flag that a timer sets
 * (R14). */
MUST_CHECK enum err reader_may_answer(struct partition_public *pub, uint64_t (*boot_ns)(void));
/* machine_read, and what a damaged row leads to. */
MUST_CHECK enum err reader_read(struct kv *kv, const struct kv_view *view, struct partition_public *pub,
                                const struct partition_request *request, struct buf *response,
                                struct buf *body);

#endif
