/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

enum { BLOCK_SIZE = 4000, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    _Alignas(ALIGN) uint8_t data[];
};

static void free_blocks(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
}

void arena_fini(struct arena *a)
{
    free_blocks(a->head);
    *a = (struct arena){ 0 };
}

void arena_clear(struct arena *a)
{
    struct arena_block *keep = NULL;
    struct arena_block *block = a->head;
    while (block != NULL) {
        struct arena_block *next = block->next;
        if (keep == NULL && block->size == BLOCK_SIZE) {
            keep = block;
        } else {
            free(block);
        }
        block = next;
    }
    if (keep != NULL) {
        keep->next = NULL;
        keep->used = 0;
    }
    a->head = keep;
    a->used_total = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    assert(size <= SIZE_MAX - ALIGN);
    size = (size + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *block = a->head;
    if (block == NULL || block->size - block->used < size) {
        size_t block_size = size > BLOCK_SIZE / 4 ? size : BLOCK_SIZE;
        struct arena_block *fresh = xmalloc(sizeof *fresh + block_size);
        fresh->used = 0;
        fresh->size = block_size;
        /* A large piece gets a block of its own behind the head, so the head's free room is not lost. */
        if (block != NULL && block_size != BLOCK_SIZE) {
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            a->head = fresh;
        }
        block = fresh;
    }
    void *at = block->data + block->used;
    block->used += size;
    a->used_total += size;
    memset(at, 0, size);
    return at;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
    assert(size == 0 || count <= SIZE_MAX / size);
    return arena_alloc(a, count * size);
}

void *arena_memdup(struct arena *a, const void *src, size_t size)
{
    void *copy = arena_alloc(a, size);
    if (size > 0)
        memcpy(copy, src, size);
    return copy;
}

char *arena_strdup(struct arena *a, struct slice s)
{
    char *copy = arena_alloc(a, s.len + 1);
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    return copy;
}

struct slice arena_slice(struct arena *a, struct slice s)
{
    return slice_of(arena_memdup(a, s.data, s.len), s.len);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(len >= 0);
    char *out = arena_alloc(a, (size_t)len + 1);
    va_start(ap, fmt);
    vsnprintf(out, (size_t)len + 1, fmt, ap);
    va_end(ap);
    return out;
}
