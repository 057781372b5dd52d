/* SPDX-License-Identifier: Apache-2.0 */
/* The format of a storage node's folder as a whole, beside the versions that rows have: one number, raised
 * when a program that knows only an older one would misread what is there.
 *
 *   KV_META  "F"   format
 */
#ifndef STORAGE_NODE_PARTITION_LOG_FORMAT_H
#define STORAGE_NODE_PARTITION_LOG_FORMAT_H

#include "lib/base/err.h"
#include "storage-node/kv/kv.h"

enum { STORE_FORMAT = 1 };

/* Before anything else is read: may this program use the database? An empty one, and one from before there
 * was this row, is given it (written and synced before it returns). ERR_UNSUPPORTED, logged: a later program
 * wrote it, or one that put a checksum of its own behind each body (docs/adr/0022-crc-for-rocksdb.md).
 * ERR_IO, ERR_NO_SPACE, ERR_CORRUPT. */
MUST_CHECK enum err store_format_open(struct kv *kv);
/* Likewise, before anything is mended, and nothing is written: a folder that does not say is OK. */
MUST_CHECK enum err store_format_check(struct kv *kv);

#endif
