/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/fiber/stack_priv.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/fiber/fiber.h"
#include "lib/fiber/sanitizer_priv.h"

/* Sanitizers put redzones between locals and call deep functions of their own. */
enum { STACK_SIZE = FIBER_STACK_SIZE * (SANITIZED ? 4 : 1) };

size_t stack_size(void)
{
    return STACK_SIZE;
}

static void *stack_map(void)
{
    uint8_t *base = mmap(NULL, STACK_GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    if (mprotect(base, STACK_GUARD_SIZE, PROT_NONE) != 0) { /* vm.max_map_count */
        munmap(base, STACK_GUARD_SIZE + STACK_SIZE);
        return NULL;
    }
    return base + STACK_GUARD_SIZE;
}

static void stack_unmap(void *low)
{
    munmap((uint8_t *)low - STACK_GUARD_SIZE, STACK_GUARD_SIZE + STACK_SIZE);
}

static struct stack *stack_link_of(void *low)
{
    return (struct stack *)((uint8_t *)low + STACK_SIZE) - 1;
}

static void *stack_low_of(struct stack *link)
{
    return (uint8_t *)(link + 1) - STACK_SIZE;
}

static void *pop(struct stack **list, size_t *count)
{
    struct stack *link = *list;
    if (link == NULL)
        return NULL;
    *list = link->next;
    (*count)--;
    return stack_low_of(link);
}

static void push(struct stack **list, size_t *count, void *low)
{
    struct stack *link = stack_link_of(low);
    link->next = *list;
    *list = link;
    (*count)++;
}

void *stack_get(struct stack_pool *pool)
{
    void *low = pop(&pool->hot, &pool->hot_count);
    if (low == NULL)
        low = pop(&pool->cold, &pool->cold_count);
    return low != NULL ? low : stack_map();
}

/* Pages that were never written read as zero. */
static void stack_measure(struct stack_pool *pool, const void *low)
{
    const uint64_t *word = low, *end = word + STACK_SIZE / sizeof *word;
    while (word < end && *word == 0)
        word++;
    size_t used = (size_t)((const uint8_t *)end - (const uint8_t *)word);
    if (used > pool->used_max)
        pool->used_max = used;
}

void stack_put(struct stack_pool *pool, void *low)
{
    sanitizer_stack_unpoison(low, STACK_SIZE); /* the fiber jumped away from frames that never returned */
    if (pool->measure)
        stack_measure(pool, low);
    else if (pool->hot_count < FIBER_STACKS_CACHED_HOT_MAX) {
        push(&pool->hot, &pool->hot_count, low);
        return;
    }
    if (pool->hot_count + pool->cold_count >= FIBER_STACKS_CACHED_MAX) {
        stack_unmap(low);
        return;
    }
    madvise(low, STACK_SIZE, MADV_DONTNEED);
    push(&pool->cold, &pool->cold_count, low);
}

void stack_pool_fini(struct stack_pool *pool)
{
    void *low;
    while ((low = pop(&pool->hot, &pool->hot_count)) != NULL)
        stack_unmap(low);
    while ((low = pop(&pool->cold, &pool->cold_count)) != NULL)
        stack_unmap(low);
}
