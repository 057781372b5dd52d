/* SPDX-License-Identifier: Apache-2.0 */
/* A batch for the database in memory: a list of operations. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/kv/mem_priv.h"

struct kv_batch *mem_batch_new(struct kv *kv)
{
    return &NEW(struct mem_batch)->base;
}

void mem_batch_free(struct kv_batch *b)
{
    struct mem_batch *batch = (struct mem_batch *)b;
    arena_fini(&batch->arena);
    free(batch->ops);
    free(batch);
}

void mem_batch_clear(struct kv_batch *b)
{
    struct mem_batch *batch = (struct mem_batch *)b;
    arena_clear(&batch->arena);
    batch->op_count = 0;
}

static void add_op(struct kv_batch *b, enum mem_op_kind kind, enum kv_family family, struct slice key,
                   struct slice value)
{
    struct mem_batch *batch = (struct mem_batch *)b;
    if (batch->op_count == batch->op_cap) {
        batch->op_cap = batch->op_cap * 2 + 16;
        batch->ops = xrealloc(batch->ops, batch->op_cap * sizeof *batch->ops);
    }
    batch->ops[batch->op_count++] = (struct mem_op){
        .kind = kind,
        .family = family,
        .key = arena_slice(&batch->arena, key),
        .value = arena_slice(&batch->arena, value),
    };
}

void mem_batch_put(struct kv_batch *b, enum kv_family family, struct slice key, struct slice value)
{
    add_op(b, MEM_PUT, family, key, value);
}

void mem_batch_delete(struct kv_batch *b, enum kv_family family, struct slice key)
{
    add_op(b, MEM_DELETE, family, key, SLICE_NULL);
}

void mem_batch_delete_range(struct kv_batch *b, enum kv_family family, struct slice from, struct slice to)
{
    add_op(b, MEM_DELETE_RANGE, family, from, to);
}
