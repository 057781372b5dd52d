/* SPDX-License-Identifier: Apache-2.0 */
/* What a partition wants on disk: a list of puts and deletes that lands in one batch. The log writer (a
 * thread, or the simulator) gathers jobs of all partitions, writes them as one batch, syncs once, and gives
 * them back. Rows of copies go past the log, in batches of their own. The jobs of one partition stay in
 * order. */
#ifndef STORAGE_NODE_PARTITION_LOG_LOG_JOB_H
#define STORAGE_NODE_PARTITION_LOG_LOG_JOB_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/base/inbox.h"
#include "storage-node/kv/kv.h"
#include "storage-node/partition/log/breaks.h"

struct partition;
struct log_entry;

enum log_op_kind { LOG_OP_PUT, LOG_OP_DELETE, LOG_OP_DELETE_RANGE };

enum log_job_way {
    LOG_JOB_LOGGED,   /* on disk when it is back */
    LOG_JOB_UNLOGGED, /* only written when it is back: lost with the process, or on disk in parts (kv.h) */
    LOG_JOB_BEHIND,   /* logged, after jobs of the partition that are on another way than the log's */
    LOG_JOB_CLOSING,  /* the same, and all that went past the log before is on disk before it */
};

struct log_op {
    enum log_op_kind kind;
    enum kv_family family;
    uint32_t key_at, key_len; /* in the job's bytes */
    uint32_t to_at, to_len;   /* DELETE_RANGE: the end; PUT with an own value: the value */
    struct slice value;       /* PUT with a borrowed value: valid until the job is back */
};

struct log_job {
    struct inbox_item item; /* first */
    struct partition *partition;
    uint64_t token;             /* of the replica core; 0: nobody waits for it */
    uint64_t submitted_mono_ns; /* on its way to the log; the log writer's */
    uint64_t applied;           /* the partition's applied index when the job was made: durable with it */
    struct log_op *ops;
    size_t op_count, op_cap;
    size_t value_bytes; /* of borrowed values */
    enum log_job_way way;
    struct buf bytes;        /* keys and own values */
    struct log_entry **held; /* entries whose bytes the ops borrow; references of the job */
    size_t held_count, held_cap;
};

struct log_job *log_job_new(struct partition *partition, uint64_t token);
/* Frees the job; its references to entries must have been given back (held_count 0). */
void log_job_free(struct log_job **job);
/* `value` is borrowed until the job is back. */
void log_job_put(struct log_job *job, enum kv_family family, struct slice key, struct slice value);
void log_job_put_copy(struct log_job *job, enum kv_family family, struct slice key, struct slice value);
void log_job_delete(struct log_job *job, enum kv_family family, struct slice key);
void log_job_delete_range(struct log_job *job, enum kv_family family, struct slice from, struct slice to);
/* What is in `bytes` becomes the job's; log_job_put_within puts pieces of it. No other puts or deletes. */
void log_job_take(struct log_job *job, struct buf *bytes);
void log_job_put_within(struct log_job *job, enum kv_family family, struct slice key, struct slice value);
void log_job_hold(struct log_job *job, struct log_entry *entry);

/* Add a job's operations to a batch. */
void log_job_fill(const struct log_job *job, struct kv_batch *batch);

/* Write the rows of one unlogged job. The batch is cleared before and after. Other than OK: the process must
 * end (P9). */
MUST_CHECK enum err log_job_write_unlogged(struct kv *kv, struct kv_batch *batch, const struct log_job *job);
/* If a job of the chain closes: put on disk what went past the log. Likewise. */
MUST_CHECK enum err log_persist(struct kv *kv, struct inbox_item *jobs, const struct storage_faults *faults);
/* Write the logged jobs of a chain (linked by item.next) as one batch and sync it: the group commit.
 * Likewise. */
MUST_CHECK enum err log_commit(struct kv *kv, struct kv_batch *batch, struct inbox_item *jobs,
                               const struct storage_faults *faults);

#endif
