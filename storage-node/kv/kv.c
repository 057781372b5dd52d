/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/kv.h"

#include <assert.h>

#include "storage-node/kv/kv_priv.h"

void kv_close(struct kv **kv)
{
    if (*kv != NULL)
        (*kv)->ops->close(*kv);
    *kv = NULL;
}

void kv_value_release(struct kv_value *v)
{
    if (v->pin != NULL)
        v->unpin(v->pin);
    *v = (struct kv_value){ 0 };
}

static struct kv_view *view_new(struct kv *kv, bool cached)
{
    struct kv_view *view = kv->ops->view_new(kv, cached);
    view->kv = kv;
    return view;
}

struct kv_view *kv_view_new(struct kv *kv)
{
    return view_new(kv, false);
}

struct kv_view *kv_view_new_cached(struct kv *kv)
{
    return view_new(kv, true);
}

void kv_view_free(struct kv_view **view)
{
    if (*view != NULL)
        (*view)->kv->ops->view_free(*view);
    *view = NULL;
}

enum err kv_get(struct kv *kv, const struct kv_view *view, enum kv_family family, struct slice key,
                struct kv_value *out)
{
    *out = (struct kv_value){ 0 };
    return kv->ops->get(kv, view, family, key, out);
}

struct kv_iter *kv_iter_new(struct kv *kv, const struct kv_view *view, enum kv_family family,
                            struct slice lower, struct slice upper)
{
    return kv->ops->iter_new(kv, view, family, lower, upper);
}

void kv_iter_free(struct kv_iter **it)
{
    if (*it != NULL)
        (*it)->ops->free(*it);
    *it = NULL;
}

bool kv_iter_seek(struct kv_iter *it, struct slice key)
{
    return it->ops->seek(it, key);
}

bool kv_iter_seek_prev(struct kv_iter *it, struct slice key)
{
    return it->ops->seek_prev(it, key);
}

bool kv_iter_seek_last(struct kv_iter *it)
{
    return it->ops->seek_last(it);
}

bool kv_iter_next(struct kv_iter *it)
{
    return it->ops->next(it);
}

bool kv_iter_prev(struct kv_iter *it)
{
    return it->ops->prev(it);
}

struct slice kv_iter_key(const struct kv_iter *it)
{
    return it->ops->key(it);
}

struct slice kv_iter_value(const struct kv_iter *it)
{
    return it->ops->value(it);
}

enum err kv_iter_err(const struct kv_iter *it)
{
    return it->ops->err(it);
}

struct kv_batch *kv_batch_new(struct kv *kv)
{
    struct kv_batch *b = kv->ops->batch_new(kv);
    b->ops = kv->ops;
    return b;
}

void kv_batch_free(struct kv_batch **b)
{
    if (*b != NULL)
        (*b)->ops->batch_free(*b);
    *b = NULL;
}

void kv_batch_clear(struct kv_batch *b)
{
    b->count = 0;
    b->bytes = 0;
    b->ops->batch_clear(b);
}

void kv_batch_put(struct kv_batch *b, enum kv_family family, struct slice key, struct slice value)
{
    b->count++;
    b->bytes += key.len + value.len;
    b->ops->batch_put(b, family, key, value);
}

void kv_batch_delete(struct kv_batch *b, enum kv_family family, struct slice key)
{
    b->count++;
    b->bytes += key.len;
    b->ops->batch_delete(b, family, key);
}

void kv_batch_delete_range(struct kv_batch *b, enum kv_family family, struct slice from, struct slice to)
{
    assert(slice_cmp(from, to) <= 0);
    b->count++;
    b->bytes += from.len + to.len;
    b->ops->batch_delete_range(b, family, from, to);
}

size_t kv_batch_bytes(const struct kv_batch *b)
{
    return b->bytes;
}

size_t kv_batch_count(const struct kv_batch *b)
{
    return b->count;
}

enum err kv_write(struct kv *kv, struct kv_batch *b)
{
    return kv->ops->write(kv, b);
}

enum err kv_sync(struct kv *kv)
{
    return kv->ops->sync(kv);
}

enum err kv_write_unlogged(struct kv *kv, struct kv_batch *b)
{
    return kv->ops->write_unlogged(kv, b);
}

enum err kv_persist(struct kv *kv)
{
    return kv->ops->persist(kv);
}

uint64_t kv_size(struct kv *kv, enum kv_family family, struct slice from, struct slice to)
{
    return kv->ops->size == NULL ? 0 : kv->ops->size(kv, family, from, to);
}

void kv_get_stats(struct kv *kv, struct kv_stats *out)
{
    *out = (struct kv_stats){ 0 };
    kv->ops->stats(kv, out);
}
