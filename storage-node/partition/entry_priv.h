/* SPDX-License-Identifier: Apache-2.0 */
/* Entries in memory: from the moment they are proposed (or received) until they are applied and the log
 * writer gave them back. */
#ifndef STORAGE_NODE_PARTITION_ENTRY_PRIV_H
#define STORAGE_NODE_PARTITION_ENTRY_PRIV_H

#include "storage-node/partition/log/rows.h"
#include "storage-node/partition/partition.h"

struct log_entry {
    uint64_t index, epoch;
    uint64_t time_ms;  /* the entry's */
    uint32_t body_len; /* what belongs beside it, in memory (body) or only on disk */
    struct buf row;    /* log row: LOG_ROW_PREFIX, then the entry */
    struct slice body; /* borrowed from the request, or own_body */
    struct buf own_body;
    struct partition_request *request; /* who waits for the outcome (reads: linked by next); NULL: nobody */
    uint32_t refs;                     /* of one thread: the ring, jobs under way */
    bool failed; /* IN_DOUBT is to be answered once the log writer gave the entry back */
};

struct slice log_entry_bytes(const struct log_entry *e); /* without the row's prefix */
void log_entry_ref(struct log_entry *e);

/* Entries by index, without gaps: first .. next-1. Zero-initialised is empty. */
struct log_ring {
    struct log_entry **slots;
    uint64_t first, next;
    size_t cap; /* power of two */
};

void log_ring_fini(struct log_ring *r); /* drops its references */
/* Takes the caller's reference. The index must be r->next, unless the ring is empty. */
void log_ring_push(struct log_ring *r, struct log_entry *e);
struct log_entry *log_ring_find(const struct log_ring *r, uint64_t index);
void log_ring_drop_front(struct log_ring *r, uint64_t through); /* entries <= through */
/* Removes the newest entry and hands its reference to the caller; NULL if none is at or above `from`. */
struct log_entry *log_ring_pop_back(struct log_ring *r, uint64_t from);

#endif
