/* SPDX-License-Identifier: Apache-2.0 */
/* A hierarchical timer wheel: pure, no clock of its own. Insert and remove are O(1); a timer is moved to a
 * finer level at most WHEEL_LEVELS times before it is due. Times are milliseconds; the slots reach to the end
 * of the current 12 days, what lies beyond waits in one list. */
#ifndef LIB_FIBER_WHEEL_H
#define LIB_FIBER_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 5 };

struct timer {
    struct timer *next, **prev_next; /* NULL prev_next: not running */
    uint64_t deadline_ms;
    struct wheel *wheel;
    void (*fn)(void *arg);
    void *arg;
};

struct wheel {
    uint64_t now_ms;             /* everything due up to here has been handed out */
    uint64_t used[WHEEL_LEVELS]; /* one bit a slot that holds timers */
    struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct timer *beyond; /* farther away than the slots reach */
    struct timer *past;   /* inserted when already due; handed out after the next advance */
    struct timer *due, **due_end;
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Add a timer that is not running; its deadline_ms is set by the caller (the past counts as due at once). */
void wheel_insert(struct wheel *w, struct timer *t);
void wheel_remove(struct timer *t); /* no effect if it is not running */
/* Move the time to now_ms (never back). What is due waits to be taken with wheel_next_due. */
void wheel_advance(struct wheel *w, uint64_t now_ms);
/* Take the next due timer (it no longer runs), or NULL: however late, in the order of their deadlines. */
struct timer *wheel_next_due(struct wheel *w);
/* A time at or before the earliest deadline at which wheel_advance has something to do; UINT64_MAX if empty.
 */
uint64_t wheel_next_ms(const struct wheel *w);

#endif
