/* SPDX-License-Identifier: Apache-2.0 */
/* R threads that answer METHOD_READ and METHOD_NODE from a consistent view, so that a cold disk read delays
 * no write and no beat. What needs neither the disk nor much time is answered without them: waking one costs
 * more than such a read. The rule (R14): after the request arrived check the lease once by reading the clock,
 * then take the view. */
#ifndef STORAGE_NODE_PARTITION_READ_READER_H
#define STORAGE_NODE_PARTITION_READ_READER_H

#include "storage-node/partition/directory.h"
#include "storage-node/partition/request.h"

enum { READS_QUEUED_MAX = 20000 };

struct reader_stats {
    _Atomic uint64_t reads, ns, queued;
};

struct reader_pool;

struct reader_pool *reader_pool_start(struct kv *kv, struct directory *directory, uint32_t threads);
/* Reads that wait are answered ERR_UNAVAILABLE. */
void reader_pool_stop(struct reader_pool **pool);
/* Any thread that may not wait: answers a read of a few rows on the spot, if they are in memory. False: it
 * was not answered and is the caller's, to be submitted. */
MUST_CHECK bool reader_pool_try(struct reader_pool *pool, struct partition_request *request);
/* Any thread; takes the request. Beyond READS_QUEUED_MAX it is answered ERR_BUSY. */
void reader_pool_submit(struct reader_pool *pool, struct partition_request *request);
const struct reader_stats *reader_pool_get_stats(const struct reader_pool *pool);

/* Answer a read now, on this thread, if what it needs is in memory; false: not answered. */
MUST_CHECK bool reader_serve_cached(struct kv *kv, struct partition_public *pub,
                                    struct partition_request *request, uint64_t (*boot_ns)(void),
                                    uint64_t now_mono_ms);
/* Answer one read now, on this thread. `faults`: NULL but in a simulator. */
void reader_serve(struct kv *kv, struct partition_public *pub, struct partition_request *request,
                  uint64_t (*boot_ns)(void), uint64_t now_mono_ms, const struct storage_faults *faults);
/* Answer QUEUE_TOTALS, of whichever partitions, now, on this thread. */
void reader_totals(struct kv *kv, struct directory *directory, struct partition_request *request,
                   uint64_t (*boot_ns)(void), uint64_t now_mono_ms);

#endif
