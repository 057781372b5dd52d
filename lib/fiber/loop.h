/* SPDX-License-Identifier: Apache-2.0 */
/* One event loop a thread: a libuv loop, the fibers that run on it, its timers and its hooks.
 *
 * A turn: libuv delivers what happened -> due timers fire -> every ready fiber runs until it waits -> the
 * hooks run -> (again while hooks made fibers ready, a bounded number of rounds) -> libuv waits. If timers
 * are late because the loop was held up, the hooks run before them, too: what came is not too late because
 * nobody looked. Everything on a loop happens on its thread; only loop_post and loop_stop may be called from
 * others. */
#ifndef LIB_FIBER_LOOP_H
#define LIB_FIBER_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"

struct loop;
struct uv_loop_s;

/* "No deadline", wherever a deadline_ms is asked for. */
#define DEADLINE_NEVER UINT64_MAX

/* ERR_IO if the kernel gives no epoll or event fd. The thread that calls loop_run later is the loop's thread;
 * until then the creator may use the loop (spawn, listen). */
MUST_CHECK enum err loop_new(struct loop **loop_out);
/* Frees a loop that does not run. Fibers that still wait are dropped without unwinding (what they own leaks;
 * logged), so a program ends its sessions first. Streams and timers on the loop must be gone. */
void loop_free(struct loop **loop);

/* Turn until loop_stop. The loop is loop_self() meanwhile. */
void loop_run(struct loop *loop);
/* Make loop_run return after this turn. Thread-safe. */
void loop_stop(struct loop *loop);

/* The loop that runs on this thread, or NULL. */
struct loop *loop_self(void);
struct uv_loop_s *loop_uv(struct loop *loop);

/* Call fn(arg) on the loop's thread, outside any fiber, soon and in the order of the posts of one thread.
 * Thread-safe; the caller bounds how many posts may be under way. Posts to a loop that is never run again are
 * dropped by loop_free without a call. */
void loop_post(struct loop *loop, void (*fn)(void *arg), void *arg);

/* Milliseconds of CLOCK_MONOTONIC, the clock of all deadlines here (same as clock_mono_ms). */
uint64_t loop_now_ms(void);
/* now + timeout_ms; DEADLINE_NEVER stays that. */
uint64_t loop_deadline_ms(uint64_t timeout_ms);

/* A hook runs at the end of every turn, after the fibers (and at the beginning of a late one), on the loop's
 * thread and outside any fiber. It returns true if work remains: then the next turn comes at once instead of
 * waiting in the kernel (a ZeroMQ socket with input left; see design 11). The memory is the caller's and
 * stays put until removed. */
struct loop_hook {
    bool (*fn)(void *arg);
    void *arg;
    struct loop *loop; /* private, as what follows */
    struct loop_hook *next, **prev_next;
};
void loop_hook_add(struct loop *loop, struct loop_hook *hook, bool (*fn)(void *arg), void *arg);
void loop_hook_remove(struct loop_hook *hook); /* also from inside a hook; no effect if not added */

/* How many fibers may exist at once on this loop; LOOP_FIBER_MAX_DEFAULT at first. A process can map about
 * 32,000 stacks (vm.max_map_count). */
enum { LOOP_FIBER_MAX_DEFAULT = 10000 };
void loop_set_fiber_max(struct loop *loop, size_t fiber_max);

struct loop_stats {
    size_t fibers;               /* alive now */
    size_t fibers_max_seen;      /* most alive at once */
    uint64_t fibers_spawned;     /* since loop_new */
    uint64_t switches;           /* fiber resumptions since loop_new */
    uint64_t turns;              /* since loop_new */
    size_t stacks_cached;        /* free stacks kept for reuse */
    size_t stack_used_max_bytes; /* with loop_measure_stacks: deepest use by any fiber that ended */
    size_t work_in_flight;       /* work_run calls on the pool */
};
struct loop_stats loop_get_stats(const struct loop *loop); /* on the loop's thread */
/* Record how deep fibers' stacks get (costs a scan and fresh pages a fiber; for tests and tuning). */
void loop_measure_stacks(struct loop *loop, bool on);

#endif
