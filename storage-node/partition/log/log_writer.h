/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the group commit: takes what all workers want on disk, writes it as one batch, syncs once,
 * gives the jobs back. While it syncs, the next batch gathers. A failed write or sync ends the process (P9).
 *
 * A node that is sent the state of partitions is a member of others at the same time, whose writes must not
 * wait for that: rows of copies have a way of their own (copy_writer.h). */
#ifndef STORAGE_NODE_PARTITION_LOG_LOG_WRITER_H
#define STORAGE_NODE_PARTITION_LOG_LOG_WRITER_H

#include "storage-node/partition/bulk/copy_gate.h"
#include "storage-node/partition/log/log_job.h"

enum {
    LOG_BATCH_BYTES_MAX = 16 * 1024 * 1024, /* of one batch; a job more than that goes alone */
};

struct log_writer;

struct log_writer_stats {
    _Atomic uint64_t batches, jobs, bytes, sync_ns;
    _Atomic uint64_t queued; /* jobs waiting */
};

/* `give_back` is called on the writer's thread, once a batch, with its jobs linked by item.next, those of a
 * partition in order; with jobs of copies on another thread. Copies pass `gates`, which are told how long
 * entries took (NULL: nothing is paced). */
struct log_writer *log_writer_start(struct kv *kv, struct copy_gates *gates,
                                    void (*give_back)(void *arg, struct inbox_item *jobs), void *arg);
/* Jobs submitted before are written. */
void log_writer_stop(struct log_writer **writer);
/* Any thread; one wake-up for the chain. */
void log_writer_submit(struct log_writer *writer, struct inbox_chain *jobs);
const struct log_writer_stats *log_writer_get_stats(const struct log_writer *writer);

#endif
