/* SPDX-License-Identifier: Apache-2.0 */
/* Slow or blocking functions, and libraries that need deep stacks (GMime, argon2), on libuv's thread pool
 * (UV_THREADPOOL_SIZE threads, 4 by default, one pool a process) while the calling fiber waits. */
#ifndef LIB_FIBER_WORK_H
#define LIB_FIBER_WORK_H

#include "lib/fiber/fiber.h"

enum {
    WORK_IN_FLIGHT_MAX = 64, /* calls of one loop given to the pool at once */
    WORK_WAITING_MAX = 1024, /* fibers of one loop that may wait for their turn; more get ERR_BUSY */
};

/* Run fn(arg) on a pool thread and wait for its end (there is no way to stop it, so bound its time inside).
 * `arg` is borrowed: fn may use what the fiber owns, nothing else of the loop. ERR_BUSY: fn was not run.
 * Yields. */
MUST_CHECK enum err work_run(void (*fn)(void *arg), void *arg);

#endif
