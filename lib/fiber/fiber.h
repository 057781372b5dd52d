/* SPDX-License-Identifier: Apache-2.0 */
/* Stackful fibers: straight-line code that waits without blocking its thread. A fiber stays on the loop
 * (thread) it was spawned on. It runs until it calls something marked "Yields"; nothing else on that loop
 * runs meanwhile, so data shared by the fibers of one loop needs no lock, but after a call that yields every
 * assumption about it must be checked again. See lib/fiber/README.md.
 *
 * The stack has FIBER_STACK_SIZE bytes and a guard below it: no large arrays, no recursion on outside input,
 * and libraries that were not written for small stacks run through work_run. */
#ifndef LIB_FIBER_FIBER_H
#define LIB_FIBER_FIBER_H

#include "lib/fiber/loop.h"

struct fiber;

enum {
    FIBER_STACK_SIZE = 64 * 1024,   /* sanitizer builds take four times as much */
    FIBER_STACKS_CACHED_MAX = 1024, /* free stacks kept by a loop ... */
    FIBER_STACKS_CACHED_HOT_MAX =
        32, /* ... of which so many keep their memory, the others only their addresses */
};

/* Start fn(arg) in a new fiber of `loop`, in this turn or the next, never inside this call. `name` is for
 * logs and must live as long as the fiber (a literal). Called on the loop's thread (from elsewhere: loop_post
 * first). ERR_LIMIT if the loop has its most fibers or the kernel gives no stack: nothing was started. */
MUST_CHECK enum err fiber_spawn(struct loop *loop, const char *name, void (*fn)(void *arg), void *arg);

/* The running fiber; NULL outside any fiber (loop callbacks). */
struct fiber *fiber_self(void);
const char *fiber_name(const struct fiber *f);

/* Wait until fiber_wake(self). A wake that came before is remembered (one, not counted) and makes this return
 * at once, so a caller always waits in a loop over its own condition. Yields. */
void fiber_suspend(void);
/* The same, until deadline_ms at most: ERR_TIMEOUT if no wake came. Yields. */
MUST_CHECK enum err fiber_suspend_until(uint64_t deadline_ms);
/* Make `f` ready. Same thread; no effect on a fiber that is ready already. The caller knows that `f` still
 * lives. */
void fiber_wake(struct fiber *f);

/* Let others run and I/O happen, then go on in the next turn. Yields. */
void fiber_yield(void);
/* Keeps a wake that comes meanwhile for the next suspend. Yields. */
void fiber_sleep_ms(uint64_t ms);

/* Bytes left on this fiber's stack; for asserts and measurements. */
size_t fiber_stack_left(void);

#endif
