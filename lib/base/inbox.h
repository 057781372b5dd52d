/* SPDX-License-Identifier: Apache-2.0 */
/* A queue from many threads to one: intrusive, lock-free, taken whole. A push costs a compare-and-swap and,
 * only when the owner sleeps, one futex call; under load the owner never sleeps and nobody pays for wake-ups.
 * It does not bound itself: what goes in was counted before (requests in flight, jobs of those requests). */
#ifndef LIB_BASE_INBOX_H
#define LIB_BASE_INBOX_H

#include <stdatomic.h>
#include <stdint.h>

struct inbox_item {
    struct inbox_item *next;
    uint32_t kind; /* the owner's */
};

/* Zero-initialised is empty. */
struct inbox {
    _Atomic(struct inbox_item *) head; /* newest first */
    _Atomic uint32_t sleeping;
};

/* Items in the order they were made: zero-initialised is empty. One thread's. */
struct inbox_chain {
    struct inbox_item *first, *last;
};

void inbox_chain_add(struct inbox_chain *chain, struct inbox_item *item);

/* Any thread. The items belong to the owner of the inbox now. */
void inbox_push(struct inbox *inbox, struct inbox_item *item);
/* All of the chain, in its order, with one wake-up; the chain is empty afterwards. */
void inbox_push_chain(struct inbox *inbox, struct inbox_chain *chain);

/* The owner: everything that was pushed, oldest first; NULL if nothing. */
struct inbox_item *inbox_take(struct inbox *inbox);
/* The same, after waiting up to timeout_ns (UINT64_MAX: for ever) for something to come. */
struct inbox_item *inbox_wait(struct inbox *inbox, uint64_t timeout_ns);

#endif
