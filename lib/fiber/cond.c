/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fiber/cond.h"

#include <assert.h>

/* On the waiting fiber's stack. */
struct cond_waiter {
    struct cond_waiter *next;
    struct fiber *fiber;
    bool signalled;
};

static void unlink_waiter(struct cond *c, struct cond_waiter *waiter)
{
    struct cond_waiter **at = &c->head;
    while (*at != waiter)
        at = &(*at)->next;
    *at = waiter->next;
    if (*at == NULL)
        c->tail = at;
}

enum err cond_wait(struct cond *c, uint64_t deadline_ms)
{
    struct cond_waiter waiter = { .fiber = fiber_self() };
    if (c->head == NULL)
        c->tail = &c->head;
    *c->tail = &waiter;
    c->tail = &waiter.next;
    while (!waiter.signalled) { /* a stray wake is not a signal */
        if (fiber_suspend_until(deadline_ms) != OK && !waiter.signalled) {
            unlink_waiter(c, &waiter);
            return ERR_TIMEOUT;
        }
    }
    return OK;
}

void cond_signal(struct cond *c)
{
    struct cond_waiter *waiter = c->head;
    if (waiter == NULL)
        return;
    c->head = waiter->next;
    waiter->signalled = true;
    fiber_wake(waiter->fiber);
}

void cond_broadcast(struct cond *c)
{
    while (c->head != NULL)
        cond_signal(c);
}

bool cond_has_waiters(const struct cond *c)
{
    return c->head != NULL;
}
