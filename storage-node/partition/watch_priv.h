/* SPDX-License-Identifier: Apache-2.0 */
/* Who wants to hear of changes: (account, mailbox) -> (peer, watch id), in the primary's memory only. One
 * peer watches many mailboxes under one id. A watch that is not renewed ends. */
#ifndef STORAGE_NODE_PARTITION_WATCH_PRIV_H
#define STORAGE_NODE_PARTITION_WATCH_PRIV_H

#include "storage-node/partition/request.h"

enum { WATCHES_MAX = 100 * 1000 /* of a partition */ };

struct watch {
    struct watch *next;        /* of the account's bucket */
    uint64_t account, mailbox; /* mailbox 0: any */
    uint64_t id;
    uint64_t modseq; /* told up to here */
    uint64_t expires_mono_ms;
    struct partition_peer peer;
};

/* Zero-initialised is empty. */
struct watch_table {
    struct watch **buckets;
    size_t bucket_count, count;
};

void watch_table_fini(struct watch_table *t);
/* Add or renew. NULL if WATCHES_MAX are there. */
struct watch *watch_table_put(struct watch_table *t, const struct partition_peer *peer, uint64_t id,
                              uint64_t account, uint64_t mailbox);
void watch_table_remove(struct watch_table *t, const struct partition_peer *peer, uint64_t id,
                        uint64_t account, uint64_t mailbox);
void watch_table_expire(struct watch_table *t, uint64_t now_mono_ms);
/* First watch of the account's bucket that matches, at or behind `from` (NULL: the first): walk with w->next.
 */
struct watch *watch_table_match(const struct watch_table *t, struct watch *from, uint64_t account,
                                uint64_t mailbox);

#endif
