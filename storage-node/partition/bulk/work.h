/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a lot, on another thread than the partition's: copies for learners and checks of what is on disk
 * must not delay beats, entries or reads. A partition gives a piece of work to partition_host.work; it is run
 * once, anywhere, and comes back through partition_worked. */
#ifndef STORAGE_NODE_PARTITION_BULK_WORK_H
#define STORAGE_NODE_PARTITION_BULK_WORK_H

#include <stddef.h>

#include "lib/base/err.h"
#include "lib/base/inbox.h"
#include "storage-node/partition/bulk/copy_gate.h"

struct partition;
struct partition_now;

struct partition_work {
    struct inbox_item item; /* first */
    struct partition *partition;
    /* Any thread: touches nothing of the partition but what it was lent; takes some ten milliseconds. */
    void (*run)(struct partition_work *work);
    /* The partition's thread, in the turn after it came back; the work is its maker's again. */
    enum err (*done)(struct partition_work *work, const struct partition_now *now);
    struct partition_work *next; /* the partition's */
    size_t paced_bytes;          /* set by `run`: what it read to be sent to another node */
};

/* The thread that runs the work of a node, in the order in which it came. */
struct bulk;

/* `give_back` is called on the bulk thread, once a piece of work; paced_bytes pass COPY_GATE_SENT of `gates`
 * first, so that copies leave room to others (NULL: nothing is paced). */
struct bulk *bulk_start(void (*give_back)(void *arg, struct partition_work *work), void *arg,
                        struct copy_gates *gates);
/* What was submitted before is run, at any pace if the gates are open. No effect on NULL. */
void bulk_stop(struct bulk **bulk);
/* Any thread. */
void bulk_submit(struct bulk *bulk, struct partition_work *work);

#endif
