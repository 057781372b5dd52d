/* SPDX-License-Identifier: Apache-2.0 */
/* Every row that the driver itself keeps: the node's identity, a partition's record, its applied index, its
 * log. (The state machine's rows are in storage-node/mailbox/rows/keys.h.) Numbers in keys are big-endian;
 * every value starts with a version byte.
 *
 *   KV_META  "S"              store identity (R26)
 *   KV_META  "P" partition    record: what replication must remember (commit, log base ...)
 *   KV_META  "A" partition    applied index, written in the batch of the state it describes
 *   KV_LOG   partition index  epoch, entry without body
 *   KV_BODY  partition index  the body beside the entry: machine_body_key()
 */
#ifndef STORAGE_NODE_PARTITION_LOG_ROWS_H
#define STORAGE_NODE_PARTITION_LOG_ROWS_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "storage-node/kv/kv.h"

enum { STORE_ID_SIZE = 16, CLUSTER_ID_SIZE = 16, LOG_ROW_PREFIX = 9 /* version, epoch; the entry follows */ };

/* Who this database is (R26): random, made with the empty database. */
struct store_identity {
    uint8_t store_id[STORE_ID_SIZE];
    uint32_t node_id; /* given by the director; 0: not yet */
    bool joined;      /* the next one means something */
    uint8_t cluster_id[CLUSTER_ID_SIZE];
    uint32_t last_node_id; /* the highest of any node that the cluster's maps named: directors whose store
                              was put back from an older copy give none up to there again (R26) */
};

/* Reads it, or makes it if the database is empty of it (written and synced before it returns). ERR_IO,
 * ERR_NO_SPACE, ERR_CORRUPT. */
MUST_CHECK enum err store_identity_open(struct kv *kv, struct store_identity *out);
/* Remember the node ids and the cluster; synced. */
MUST_CHECK enum err store_identity_save(struct kv *kv, const struct store_identity *id);
/* What a map says: the first one makes the disk its cluster's; the ids of nodes are remembered. Saved if
 * anything of it is news. ERR_DENIED: it is another cluster's; and as store_identity_save. */
MUST_CHECK enum err store_identity_take_map(struct kv *kv, struct store_identity *id, struct slice cluster_id,
                                            uint32_t last_node_id);

/* Some partition has a record here: it has, or had, a copy, or took part in it. An error counts as one. */
bool store_has_records(struct kv *kv);

struct partition_record {
    uint64_t dep;
    uint64_t commit; /* lazily: at least this much is committed */
    uint64_t base_index, base_epoch;
    bool installing;
    bool damaged; /* some of its rows are gone: it is opened as a copy that cannot be read (R28) */
};

struct partition_applied {
    uint64_t index;
    uint64_t chain;      /* hash chain over all entries applied: equal on replicas at an equal index */
    uint64_t body_bytes; /* of the bodies that rows refer to, as applied: equal on replicas likewise */
    uint8_t version;     /* state-machine version of the newest entry applied; 0: there is none */
};

void record_key(uint32_t partition, struct buf *out);
void record_encode(const struct partition_record *r, struct buf *out);
MUST_CHECK enum err record_decode(struct slice value, struct partition_record *out);

void applied_key(uint32_t partition, struct buf *out);
void applied_encode(const struct partition_applied *a, struct buf *out);
/* ERR_CORRUPT; ERR_UNSUPPORTED: a later program wrote it. */
MUST_CHECK enum err applied_decode(struct slice value, struct partition_applied *out);

/* All records of the node: from record_range's lower to its upper bound; the id of one record's key (false:
 * no such key). */
void record_range(struct buf *lower, struct buf *upper);
bool record_key_partition(struct slice key, uint32_t *partition_out);

void log_key(uint32_t partition, uint64_t index, struct buf *out);
/* The row's head; the entry is added behind it. */
void log_row_begin(uint64_t epoch, struct buf *out);
void log_row_set_epoch(struct buf *row, uint64_t epoch);
/* *entry_out borrows from `value`. ERR_CORRUPT. */
MUST_CHECK enum err log_row_decode(struct slice value, uint64_t *epoch_out, struct slice *entry_out);
bool log_key_index(struct slice key, uint64_t *index_out);

#endif
