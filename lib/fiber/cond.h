/* SPDX-License-Identifier: Apache-2.0 */
/* A condition variable for the fibers of one loop (no lock needed: see fiber.h). Zero-initialised is ready to
 * use; needs no fini, but must outlive its waiters. */
#ifndef LIB_FIBER_COND_H
#define LIB_FIBER_COND_H

#include "lib/fiber/fiber.h"

struct cond_waiter;

struct cond {
    struct cond_waiter *head;
    struct cond_waiter **tail; /* NULL means &head */
};

/* Wait for a signal, in order of arrival. ERR_TIMEOUT once deadline_ms has passed without one. A signal that
 * came while nobody waited is not remembered: test the condition, then wait, in a loop. Yields. */
MUST_CHECK enum err cond_wait(struct cond *c, uint64_t deadline_ms);
/* Wake the longest waiter, if any. May be called from loop callbacks. Does not yield. */
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);
bool cond_has_waiters(const struct cond *c);

#endif
