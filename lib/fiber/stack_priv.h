/* SPDX-License-Identifier: Apache-2.0 */
/* Fiber stacks: mapped with a guard below, kept for reuse in a bounded pool. */
#ifndef LIB_FIBER_STACK_PRIV_H
#define LIB_FIBER_STACK_PRIV_H

#include <stdbool.h>
#include <stddef.h>

/* Frames of at most 4 KiB are ours to keep; the guard is wider because library code may step farther. */
enum { STACK_GUARD_SIZE = 16 * 1024 };

struct stack {
    struct stack *next; /* lives at the stack's own top while it is free */
};

struct stack_pool {
    struct stack *hot, *cold; /* cold ones gave their pages back */
    size_t hot_count, cold_count;
    bool measure;
    size_t used_max; /* while measuring: deepest use of any stack that was put back */
};

/* Usable bytes of every stack. */
size_t stack_size(void);
/* The lowest usable address (the guard ends there), or NULL if the kernel gives no memory. */
void *stack_get(struct stack_pool *pool);
void stack_put(struct stack_pool *pool, void *low);
void stack_pool_fini(struct stack_pool *pool);

#endif
