/* SPDX-License-Identifier: Apache-2.0 */
/* Walking the database in memory. An iterator is a view too, so the nodes it stands on stay. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "storage-node/kv/mem_priv.h"

struct mem_iter {
    struct kv_iter base;
    struct mem *mem;
    struct mem_view own; /* keeps nodes and versions, at `seq` or older */
    uint64_t seq;
    const struct skiplist *rows;
    struct buf lower, upper;
    struct skip_node *node;
    struct version *version;
};

static void iter_free(struct kv_iter *base)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->mem->mutex);
    mem_view_unlink(it->mem, &it->own);
    pthread_mutex_unlock(&it->mem->mutex);
    buf_fini(&it->lower);
    buf_fini(&it->upper);
    free(it);
}

static bool in_bounds(const struct mem_iter *it, const struct skip_node *n)
{
    return slice_cmp(n->key, buf_slice(&it->lower)) >= 0 &&
           (it->upper.len == 0 || slice_cmp(n->key, buf_slice(&it->upper)) < 0);
}

/* Stand on the first visible row from `n` on, in one direction. */
static bool settle(struct mem_iter *it, struct skip_node *n, bool forward)
{
    it->node = NULL;
    it->version = NULL;
    for (; n != NULL && in_bounds(it, n); n = forward ? skiplist_next(n) : skiplist_below(it->rows, n->key)) {
        struct version *v = mem_visible(n, it->seq);
        if (v != NULL) {
            it->node = n;
            it->version = v;
            return true;
        }
    }
    return false;
}

static bool seek(struct kv_iter *base, struct slice key)
{
    struct mem_iter *it = (struct mem_iter *)base;
    if (slice_cmp(key, buf_slice(&it->lower)) < 0)
        key = buf_slice(&it->lower);
    pthread_mutex_lock(&it->mem->mutex);
    bool found = settle(it, skiplist_seek(it->rows, key), true);
    pthread_mutex_unlock(&it->mem->mutex);
    return found;
}

/* Last row before the upper bound, with the mutex held. */
static struct skip_node *last_node(const struct mem_iter *it)
{
    return it->upper.len == 0 ? skiplist_last(it->rows) : skiplist_below(it->rows, buf_slice(&it->upper));
}

static bool seek_prev(struct kv_iter *base, struct slice key)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->mem->mutex);
    struct skip_node *n = skiplist_find(it->rows, key);
    if (n == NULL)
        n = skiplist_below(it->rows, key);
    if (it->upper.len > 0 && slice_cmp(key, buf_slice(&it->upper)) >= 0)
        n = last_node(it);
    bool found = settle(it, n, false);
    pthread_mutex_unlock(&it->mem->mutex);
    return found;
}

static bool seek_last(struct kv_iter *base)
{
    struct mem_iter *it = (struct mem_iter *)base;
    pthread_mutex_lock(&it->mem->mutex);
    bool found = settle(it, last_node(it), false);
    pthread_mutex_unlock(&it->mem->mutex);
    return found;
}

static bool step(struct kv_iter *base, bool forward)
{
    struct mem_iter *it = (struct mem_iter *)base;
    if (it->node == NULL)
        return false;
    pthread_mutex_lock(&it->mem->mutex);
    struct skip_node *n = forward ? skiplist_next(it->node) : skiplist_below(it->rows, it->node->key);
    bool found = settle(it, n, forward);
    pthread_mutex_unlock(&it->mem->mutex);
    return found;
}

static bool next(struct kv_iter *base)
{
    return step(base, true);
}

static bool prev(struct kv_iter *base)
{
    return step(base, false);
}

static struct slice key_of(const struct kv_iter *base)
{
    return ((const struct mem_iter *)base)->node->key;
}

static struct slice value_of(const struct kv_iter *base)
{
    const struct version *v = ((const struct mem_iter *)base)->version;
    return slice_of(v->bytes, v->len);
}

static enum err err_of(const struct kv_iter *base)
{
    return OK;
}

static const struct kv_iter_ops mem_iter_ops = {
    .free = iter_free,
    .seek = seek,
    .seek_prev = seek_prev,
    .seek_last = seek_last,
    .next = next,
    .prev = prev,
    .key = key_of,
    .value = value_of,
    .err = err_of,
};

struct kv_iter *mem_iter_new(struct kv *kv, const struct kv_view *view, enum kv_family family,
                             struct slice lower, struct slice upper)
{
    struct mem_iter *it = NEW(struct mem_iter);
    it->base.ops = &mem_iter_ops;
    it->mem = mem_of(kv);
    it->rows = &it->mem->rows[family];
    buf_add_slice(&it->lower, lower);
    buf_add_slice(&it->upper, upper);
    pthread_mutex_lock(&it->mem->mutex);
    mem_view_link(it->mem, &it->own);
    it->seq = view == NULL ? it->own.seq : ((const struct mem_view *)view)->seq;
    pthread_mutex_unlock(&it->mem->mutex);
    return &it->base;
}
