/* SPDX-License-Identifier: Apache-2.0 */
/* The queue's legs: a front-end puts mail into it whose recipients cannot be reached now, and every front-end
 * looks for items that are due in all partitions, leases some, delivers them and reports. A front-end holds
 * nothing of it that matters: what it had leased, another takes over when the lease ends.
 *
 * One runner a process, on one loop; queue_put and queue_home_is_away may be called on any loop. */
#ifndef FRONTEND_QUEUE_QUEUE_H
#define FRONTEND_QUEUE_QUEUE_H

#include "lib/store/queue.h"

enum {
    QUEUE_HOME_WAIT_MS = 2500, /* how long a new message waits for its recipient's partition, at least ... */
    QUEUE_FIRST_DELAY_MS = 1000,    /* from there to the first attempt */
    QUEUE_HOME_WAIT_AWAY_MS = 1000, /* ... or, while one of its partitions is known to be away */
};

struct queue;

/* Start to work, when the store has a map. `holder` names this front-end for people (copied). Does not yield;
 * on the loop's thread, or before it runs. */
struct queue *queue_start(struct loop *loop, struct store *store, const char *holder);
/* Lease nothing more and give back what was not begun. On the runner's loop; does not yield. */
void queue_drain(struct queue *q);
/* Wait until all work has ended, and free it. On the runner's loop, in a fiber; nobody uses it any more.
 * Yields. */
void queue_stop(struct queue **q);

/* Put a message that came into the queue (see store_queue_put) through the caller's own store, and see to it
 * that it is delivered as soon as its recipients' partitions serve again. Yields. */
MUST_CHECK enum err queue_put(struct queue *q, struct store *store, struct upload *upload,
                              const struct queue_put *put);
/* This partition does not answer: keep an eye on it. From any loop; does not yield. */
void queue_home_suspect(struct queue *q, uint32_t partition);
/* Is this partition known not to answer? To wait less for it. */
bool queue_home_is_away(const struct queue *q, uint32_t partition);

#endif
