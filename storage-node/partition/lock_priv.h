/* SPDX-License-Identifier: Apache-2.0 */
/* POP3's exclusive sessions: account -> token, leases in the primary's memory that end after LOCK_EXPIRY_MS
 * of silence. */
#ifndef STORAGE_NODE_PARTITION_LOCK_PRIV_H
#define STORAGE_NODE_PARTITION_LOCK_PRIV_H

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum { LOCKS_MAX = 50 * 1000 /* of a partition */, LOCK_TOKEN_MAX = 32 };

struct lock {
    struct lock *next;
    uint64_t account;
    uint64_t expires_mono_ms;
    uint8_t token[LOCK_TOKEN_MAX];
    uint8_t token_len;
};

/* Zero-initialised is empty. */
struct lock_table {
    struct lock **buckets;
    size_t bucket_count, count;
};

void lock_table_fini(struct lock_table *t);
/* Take or renew. ERR_IN_USE: another token holds it; ERR_LIMIT; ERR_INVALID: no token or too long. */
MUST_CHECK enum err lock_table_take(struct lock_table *t, uint64_t account, struct slice token,
                                    uint64_t now_mono_ms);
/* No effect if another token holds it. */
void lock_table_release(struct lock_table *t, uint64_t account, struct slice token);
void lock_table_expire(struct lock_table *t, uint64_t now_mono_ms);

#endif
