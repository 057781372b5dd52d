/* SPDX-License-Identifier: Apache-2.0 */
/* A rate in bytes a second that many share, so that work in the background leaves the disk to others. */
#ifndef STORAGE_NODE_PARTITION_BULK_PACE_H
#define STORAGE_NODE_PARTITION_BULK_PACE_H

#include <stdatomic.h>
#include <stdint.h>

struct pace {
    uint64_t rate; /* bytes a second; 0: no bound */
    _Atomic uint64_t next_ns;
};

/* Any thread. `bytes` were used now: when the caller may go on, in the clock of `now_ns`. NULL: at once. */
uint64_t pace_take(struct pace *pace, uint64_t now_ns, uint64_t bytes);

#endif
