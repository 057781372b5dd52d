/* SPDX-License-Identifier: Apache-2.0 */
/* A timer on a loop: 48 bytes, started and stopped in constant time, so that every parked session can have
 * one. Precision is one millisecond near its time, never early. Memory is the caller's; zero-initialised is
 * stopped. */
#ifndef LIB_FIBER_TIMER_H
#define LIB_FIBER_TIMER_H

#include "lib/fiber/loop.h"
#include "lib/fiber/wheel.h"

/* Call fn(arg) on the loop's thread, outside any fiber, once loop_now_ms() has reached deadline_ms (a past
 * one: in this turn or the next, never inside this call). Timers fire in the order of their deadlines, also
 * when the loop comes to them late. Restarts a running timer. DEADLINE_NEVER stops it. fn may start or stop
 * any timer, this one too. */
void timer_start(struct loop *loop, struct timer *t, uint64_t deadline_ms, void (*fn)(void *arg), void *arg);
void timer_stop(struct timer *t); /* no effect if it is not running */
bool timer_is_running(const struct timer *t);

#endif
