/* SPDX-License-Identifier: Apache-2.0 */
/* The database in memory: rows, writes, and what a power cut takes back. */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/kv/mem_priv.h"

/* ---- views */

void mem_view_link(struct mem *m, struct mem_view *view)
{
    view->seq = m->seq;
    view->older = m->newest_view;
    view->newer = NULL;
    if (m->newest_view != NULL)
        m->newest_view->newer = view;
    else
        m->oldest_view = view;
    m->newest_view = view;
}

static void free_versions(struct version *v)
{
    while (v != NULL) {
        struct version *older = v->older;
        free(v);
        v = older;
    }
}

static void remove_row(struct mem *m, enum kv_family family, struct slice key)
{
    struct skip_node *n = skiplist_find(&m->rows[family], key);
    struct row_chain *chain = n == NULL ? NULL : n->payload;
    if (n == NULL || !chain->newest->deleted)
        return;
    free_versions(chain->newest);
    skiplist_remove(&m->rows[family], key);
}

void mem_view_unlink(struct mem *m, struct mem_view *view)
{
    if (view->newer != NULL)
        view->newer->older = view->older;
    else
        m->newest_view = view->older;
    if (view->older != NULL)
        view->older->newer = view->newer;
    else
        m->oldest_view = view->newer;
    if (m->oldest_view != NULL)
        return;
    for (size_t i = 0; i < m->dead_count; i++) {
        remove_row(m, m->dead[i].family, m->dead[i].key);
        free((void *)m->dead[i].key.data);
    }
    m->dead_count = 0;
}

static struct kv_view *view_new(struct kv *kv, bool cached)
{
    struct mem *m = mem_of(kv);
    struct mem_view *view = NEW(struct mem_view);
    pthread_mutex_lock(&m->mutex);
    mem_view_link(m, view);
    pthread_mutex_unlock(&m->mutex);
    return &view->base;
}

static void view_free(struct kv_view *base)
{
    struct mem *m = mem_of(base->kv);
    struct mem_view *view = (struct mem_view *)base;
    pthread_mutex_lock(&m->mutex);
    mem_view_unlink(m, view);
    pthread_mutex_unlock(&m->mutex);
    free(view);
}

static enum err get(struct kv *kv, const struct kv_view *view, enum kv_family family, struct slice key,
                    struct kv_value *out)
{
    struct mem *m = mem_of(kv);
    pthread_mutex_lock(&m->mutex);
    uint64_t seq = view == NULL ? m->seq : ((const struct mem_view *)view)->seq;
    struct skip_node *n = skiplist_find(&m->rows[family], key);
    struct version *v = n == NULL ? NULL : mem_visible(n, seq);
    if (v != NULL) {
        out->pin = xmemdup(v->bytes, v->len);
        out->unpin = free;
        out->bytes = slice_of(out->pin, v->len);
    }
    pthread_mutex_unlock(&m->mutex);
    return v == NULL ? ERR_NOT_FOUND : OK;
}

/* ---- writing. All with the mutex held. */

static void note_dead(struct mem *m, enum kv_family family, struct slice key)
{
    if (m->dead_count == m->dead_cap) {
        m->dead_cap = m->dead_cap * 2 + 16;
        m->dead = xrealloc(m->dead, m->dead_cap * sizeof *m->dead);
    }
    m->dead[m->dead_count++] =
        (struct dead_key){ .family = family, .key = slice_of(xmemdup(key.data, key.len), key.len) };
}

/* Cut off the versions behind the newest one that the oldest view can see. */
static void trim(struct mem *m, struct row_chain *chain)
{
    struct version *v = chain->newest;
    while (v->older != NULL && m->oldest_view != NULL && v->seq > m->oldest_view->seq)
        v = v->older;
    free_versions(v->older);
    v->older = NULL;
}

void mem_set_row(struct mem *m, enum kv_family family, struct slice key, bool deleted, struct slice value)
{
    struct skip_node *n =
        deleted ? skiplist_find(&m->rows[family], key) : skiplist_put(&m->rows[family], key);
    if (n == NULL)
        return;
    struct row_chain *chain = n->payload;
    struct version *v = xmalloc(sizeof *v + value.len);
    *v = (struct version){ .seq = m->seq, .older = chain->newest, .deleted = deleted, .len = value.len };
    if (value.len > 0)
        memcpy(v->bytes, value.data, value.len);
    chain->newest = v;
    trim(m, chain);
    if (deleted && m->oldest_view == NULL)
        remove_row(m, family, key);
    else if (deleted)
        note_dead(m, family, n->key);
}

static void remember(struct mem *m, struct pending *p, enum kv_family family, struct slice key, bool deletes,
                     struct slice after)
{
    if (p->count == p->cap) {
        p->cap = p->cap * 2 + 16;
        p->items = xrealloc(p->items, p->cap * sizeof *p->items);
    }
    struct skip_node *n = skiplist_find(&m->rows[family], key);
    struct version *v = n == NULL ? NULL : mem_visible(n, UINT64_MAX);
    p->items[p->count++] = (struct change){
        .family = family,
        .absent = v == NULL,
        .deletes = deletes,
        .key = arena_slice(&p->arena, key),
        .before = v == NULL ? SLICE_NULL : arena_slice(&p->arena, slice_of(v->bytes, v->len)),
        .after = deletes ? SLICE_NULL : arena_slice(&p->arena, after),
    };
}

static void apply_op(struct mem *m, struct pending *p, const struct mem_op *op)
{
    if (op->kind != MEM_DELETE_RANGE) {
        remember(m, p, op->family, op->key, op->kind == MEM_DELETE, op->value);
        mem_set_row(m, op->family, op->key, op->kind == MEM_DELETE, op->value);
        return;
    }
    struct skip_node *n = skiplist_seek(&m->rows[op->family], op->key);
    while (n != NULL && slice_cmp(n->key, op->value) < 0) {
        struct skip_node *next = skiplist_next(n);
        if (mem_visible(n, UINT64_MAX) != NULL) {
            remember(m, p, op->family, n->key, true, SLICE_NULL);
            mem_set_row(m, op->family, n->key, true, SLICE_NULL);
        }
        n = next;
    }
}

/* The error that kv_mem_fail_after asked for, once. */
static enum err due_failure(struct mem *m)
{
    if (m->fail_after == 0 || --m->fail_after > 0)
        return OK;
    return m->fail_err;
}

static enum err write_any(struct kv *kv, struct kv_batch *b, bool unlogged)
{
    struct mem *m = mem_of(kv);
    struct mem_batch *batch = (struct mem_batch *)b;
    pthread_mutex_lock(&m->mutex);
    enum err err = due_failure(m);
    if (err == OK && batch->op_count > 0) {
        struct pending *p = NEW(struct pending);
        p->unlogged = unlogged;
        mem_pending_add(m, p);
        m->seq++;
        for (size_t i = 0; i < batch->op_count; i++)
            apply_op(m, p, &batch->ops[i]);
        m->bytes += batch->base.bytes;
    }
    pthread_mutex_unlock(&m->mutex);
    return err;
}

static enum err write_batch(struct kv *kv, struct kv_batch *b)
{
    return write_any(kv, b, false);
}

static enum err write_unlogged(struct kv *kv, struct kv_batch *b)
{
    return write_any(kv, b, true);
}

static enum err make_durable(struct kv *kv, bool unlogged)
{
    struct mem *m = mem_of(kv);
    pthread_mutex_lock(&m->mutex);
    enum err err = due_failure(m);
    if (err == OK)
        mem_pending_durable(m, unlogged);
    pthread_mutex_unlock(&m->mutex);
    return err;
}

static enum err sync_all(struct kv *kv)
{
    return make_durable(kv, false);
}

static enum err persist(struct kv *kv)
{
    return make_durable(kv, true);
}

static void stats(struct kv *kv, struct kv_stats *out)
{
    struct mem *m = mem_of(kv);
    pthread_mutex_lock(&m->mutex);
    out->memtable_bytes = m->bytes;
    pthread_mutex_unlock(&m->mutex);
}

static void close_mem(struct kv *kv)
{
    struct mem *m = mem_of(kv);
    assert(m->oldest_view == NULL);
    mem_pending_drop_all(m);
    for (int family = 0; family < KV_FAMILY_COUNT; family++) {
        for (struct skip_node *n = skiplist_first(&m->rows[family]); n != NULL; n = skiplist_next(n))
            free_versions(((struct row_chain *)n->payload)->newest);
        skiplist_clear(&m->rows[family]);
    }
    free(m->dead);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

static const struct kv_ops mem_ops = {
    .close = close_mem,
    .view_new = view_new,
    .view_free = view_free,
    .get = get,
    .iter_new = mem_iter_new,
    .batch_new = mem_batch_new,
    .batch_free = mem_batch_free,
    .batch_clear = mem_batch_clear,
    .batch_put = mem_batch_put,
    .batch_delete = mem_batch_delete,
    .batch_delete_range = mem_batch_delete_range,
    .write = write_batch,
    .sync = sync_all,
    .write_unlogged = write_unlogged,
    .persist = persist,
    .stats = stats,
};

struct kv *kv_open_mem(void)
{
    struct mem *m = NEW(struct mem);
    m->base.ops = &mem_ops;
    pthread_mutex_init(&m->mutex, NULL);
    for (int family = 0; family < KV_FAMILY_COUNT; family++)
        skiplist_init(&m->rows[family], sizeof(struct row_chain), NULL);
    return &m->base;
}

/* ---- faults on demand */

void kv_mem_fail_after(struct kv *kv, size_t n, enum err err)
{
    struct mem *m = mem_of(kv);
    assert(kv->ops == &mem_ops);
    pthread_mutex_lock(&m->mutex);
    m->fail_after = n;
    m->fail_err = err;
    pthread_mutex_unlock(&m->mutex);
}
