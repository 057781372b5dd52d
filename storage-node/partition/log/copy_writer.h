/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads that write rows of copies past the log (R24), so that each byte is written once and nobody's
 * group commit waits for it. One puts rows into the database's write buffers. The other sees to it that all
 * of them are on disk before the jobs that end copies go to the log: one writing-out for as many copies as
 * ended while the last one was under way, and for some time after it: each costs a handful of files and
 * syncs, which the log's syncs wait for, and with many small copies a writing-out would follow the other
 * without a break. Both give way to other threads. */
#ifndef STORAGE_NODE_PARTITION_LOG_COPY_WRITER_H
#define STORAGE_NODE_PARTITION_LOG_COPY_WRITER_H

#include "storage-node/partition/bulk/copy_gate.h"
#include "storage-node/partition/log/log_job.h"

enum {
    COPY_WRITER_SHARE = 1,          /* a writing-out that took t is followed by no other for so many t, ... */
    COPY_WRITER_PAUSE_MAX_MS = 100, /* ... and this at most */
    COPY_WRITER_NICE = 5, /* more, and it would hold RocksDB's locks while others have the processors */
};

struct copy_writer;

/* `give_back` gets the unlogged jobs, one by one; `pass_on` all others, which go to the log in this order.
 * Both are called on the threads. What is written passes COPY_GATE_WRITTEN of `gates` (NULL: nothing does).
 */
struct copy_writer *copy_writer_start(struct kv *kv, struct copy_gates *gates,
                                      void (*give_back)(void *arg, struct inbox_item *jobs), void *give_arg,
                                      void (*pass_on)(void *arg, struct inbox_chain *jobs), void *pass_arg);
/* Jobs submitted before are written and passed on. */
void copy_writer_stop(struct copy_writer **writer);
void copy_writer_submit(struct copy_writer *writer, struct inbox_chain *jobs);

#endif
