/* SPDX-License-Identifier: Apache-2.0 */
/* Memory by lifetime: everything taken from an arena is freed with it. Zero-initialised is empty.
 * A session keeps one per command and clears it when the command is answered. */
#ifndef LIB_BASE_ARENA_H
#define LIB_BASE_ARENA_H

#include "lib/base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t used_total; /* bytes handed out since the last clear */
};

void arena_fini(struct arena *a);
void arena_clear(struct arena *a); /* keeps one standard block for reuse */
/* Zeroed memory aligned for any type. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_memdup(struct arena *a, const void *src, size_t size);
char *arena_strdup(struct arena *a, struct slice s); /* NUL-terminated */
struct slice arena_slice(struct arena *a, struct slice s);
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), sizeof(type)))
#define ARENA_ARRAY(arena, type, count) ((type *)arena_alloc_array((arena), (count), sizeof(type)))
void *arena_alloc_array(struct arena *a, size_t count, size_t size);

#endif
