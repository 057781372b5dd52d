/* SPDX-License-Identifier: Apache-2.0 */
/* A transaction is an ordered overlay of pending rows above any kv: reads look there first. RocksDB's own
 * write batch with index copies every value it reads and rebuilds its index at each rollback; this one does
 * neither. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/kv/txn_priv.h"

struct kv_txn *kv_txn_new(struct kv *kv)
{
    struct kv_txn *t = NEW(struct kv_txn);
    t->kv = kv;
    for (int family = 0; family < KV_FAMILY_COUNT; family++)
        skiplist_init(&t->rows[family], sizeof(struct pending), &t->arena);
    return t;
}

void kv_txn_free(struct kv_txn **txn)
{
    struct kv_txn *t = *txn;
    *txn = NULL;
    if (t == NULL)
        return;
    arena_fini(&t->arena);
    free(t->undo);
    kv_batch_free(&t->batch);
    free(t);
}

static void set_pending(struct kv_txn *t, enum kv_family family, struct slice key, enum pending_kind kind,
                        struct slice value)
{
    struct pending *p = skiplist_put(&t->rows[family], key)->payload;
    if (t->marked) {
        if (t->undo_count == t->undo_cap) {
            t->undo_cap = t->undo_cap * 2 + 32;
            t->undo = xrealloc(t->undo, t->undo_cap * sizeof *t->undo);
        }
        t->undo[t->undo_count++] = (struct pending_undo){ p, *p };
    }
    t->count += p->kind == PENDING_NONE;
    *p = (struct pending){ kind, value };
}

void kv_txn_put(struct kv_txn *t, enum kv_family family, struct slice key, struct slice value)
{
    set_pending(t, family, key, PENDING_PUT, arena_slice(&t->arena, value));
}

void kv_txn_delete(struct kv_txn *t, enum kv_family family, struct slice key)
{
    set_pending(t, family, key, PENDING_DELETE, SLICE_NULL);
}

enum err kv_txn_get(struct kv_txn *t, enum kv_family family, struct slice key, struct kv_value *out)
{
    struct skip_node *n = skiplist_find(&t->rows[family], key);
    const struct pending *p = n == NULL ? NULL : n->payload;
    if (p == NULL || p->kind == PENDING_NONE)
        return kv_get(t->kv, NULL, family, key, out);
    *out = (struct kv_value){ .bytes = p->value };
    return p->kind == PENDING_PUT ? OK : ERR_NOT_FOUND;
}

size_t kv_txn_count(const struct kv_txn *t)
{
    return t->count;
}

static void reset(struct kv_txn *t)
{
    for (int family = 0; family < KV_FAMILY_COUNT; family++)
        skiplist_clear(&t->rows[family]);
    arena_clear(&t->arena);
    t->undo_count = 0;
    t->marked = false;
    t->count = 0;
}

enum err kv_txn_commit(struct kv_txn *t)
{
    if (t->batch == NULL)
        t->batch = kv_batch_new(t->kv);
    kv_batch_clear(t->batch);
    for (enum kv_family family = 0; family < KV_FAMILY_COUNT; family++) {
        for (struct skip_node *n = skiplist_first(&t->rows[family]); n != NULL; n = skiplist_next(n)) {
            const struct pending *p = n->payload;
            if (p->kind == PENDING_PUT)
                kv_batch_put(t->batch, family, n->key, p->value);
            else if (p->kind == PENDING_DELETE)
                kv_batch_delete(t->batch, family, n->key);
        }
    }
    TRY(kv_write(t->kv, t->batch));
    reset(t);
    return OK;
}

void kv_txn_mark(struct kv_txn *t)
{
    t->marked = true;
    t->undo_count = 0;
}

void kv_txn_rollback_to_mark(struct kv_txn *t)
{
    while (t->undo_count > 0) {
        struct pending_undo *u = &t->undo[--t->undo_count];
        t->count -= u->before.kind == PENDING_NONE;
        *u->at = u->before;
    }
}
