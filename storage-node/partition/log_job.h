/* SPDX-License-Identifier: Apache-2.0 */
/* What a partition wants on disk: a list of puts and deletes that lands in one batch. The log writer (a
 * thread, or the simulator) gathers jobs of all partitions, writes them as one batch, syncs once, and gives
 * them back. The jobs of one partition stay in order. */
#ifndef STORAGE_NODE_PARTITION_LOG_JOB_H
#define STORAGE_NODE_PARTITION_LOG_JOB_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "storage-node/kv/kv.h"
#include "storage-node/partition/breaks.h"
#include "storage-node/partition/inbox.h"

struct partition;
struct log_entry;

enum log_op_kind { LOG_OP_PUT, LOG_OP_DELETE, LOG_OP_DELETE_RANGE };

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
    uint64_t token;   /* of the replica core; 0: nobody waits for it */
    uint64_t applied; /* the partition's applied index when the job was made: durable with it */
    struct log_op *ops;
    size_t op_count, op_cap;
    size_t value_bytes;      /* of borrowed values */
    bool bulk;               /* of a copy of the state, or behind such a job: what is fresh may overtake it */
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
void log_job_hold(struct log_job *job, struct log_entry *entry);

/* Add a job's operations to a batch. */
void log_job_fill(const struct log_job *job, struct kv_batch *batch);

/* Write a chain of jobs (linked by item.next) as one batch and sync it: the group commit. The batch is
 * cleared before and after. Other than OK: the process must end (P9). */
MUST_CHECK enum err log_commit(struct kv *kv, struct kv_batch *batch, struct inbox_item *jobs,
                               const struct storage_faults *faults);

#endif
