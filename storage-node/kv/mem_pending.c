/* SPDX-License-Identifier: Apache-2.0 */
/* What a power cut takes back. Batches are kept from the oldest that is not on disk: a crash undoes them all
 * and does again, in their order, what had got there. */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/kv/mem_priv.h"

void mem_pending_add(struct mem *m, struct pending *p)
{
    p->older = m->newest;
    if (m->newest != NULL)
        m->newest->newer = p;
    else
        m->oldest = p;
    m->newest = p;
}

static void drop_oldest(struct mem *m)
{
    struct pending *p = m->oldest;
    m->oldest = p->newer;
    if (m->oldest != NULL)
        m->oldest->older = NULL;
    else
        m->newest = NULL;
    arena_fini(&p->arena);
    free(p->items);
    free(p);
}

void mem_pending_drop_all(struct mem *m)
{
    while (m->oldest != NULL)
        drop_oldest(m);
}

static bool is_durable(const struct pending *p)
{
    bool durable = true;
    for (int family = 0; family < KV_FAMILY_COUNT; family++)
        durable = durable && p->durable[family];
    return durable;
}

static void set_durable(struct pending *p)
{
    for (int family = 0; family < KV_FAMILY_COUNT; family++)
        p->durable[family] = true;
}

static void drop_durable(struct mem *m)
{
    while (m->oldest != NULL && is_durable(m->oldest))
        drop_oldest(m);
}

void mem_pending_durable(struct mem *m, bool unlogged)
{
    for (struct pending *p = m->oldest; p != NULL; p = p->newer) {
        if (p->unlogged == unlogged)
            set_durable(p);
    }
    drop_durable(m);
}

static void undo(struct mem *m, const struct pending *p)
{
    m->seq++;
    for (size_t i = p->count; i > 0; i--) {
        const struct change *c = &p->items[i - 1];
        mem_set_row(m, c->family, c->key, c->absent, c->before);
    }
}

static void redo(struct mem *m, const struct pending *p)
{
    m->seq++;
    for (size_t i = 0; i < p->count; i++) {
        const struct change *c = &p->items[i];
        if (p->durable[c->family])
            mem_set_row(m, c->family, c->key, c->deletes, c->after);
    }
}

void kv_mem_crash(struct kv *kv, size_t keep)
{
    struct mem *m = mem_of(kv);
    assert(m->oldest_view == NULL);
    pthread_mutex_lock(&m->mutex);
    for (struct pending *p = m->oldest; p != NULL && keep > 0; p = p->newer) {
        if (p->unlogged || is_durable(p))
            continue;
        set_durable(p);
        keep--;
    }
    for (struct pending *p = m->newest; p != NULL; p = p->older)
        undo(m, p);
    for (struct pending *p = m->oldest; p != NULL; p = p->newer)
        redo(m, p);
    mem_pending_drop_all(m);
    pthread_mutex_unlock(&m->mutex);
}

void kv_mem_flush(struct kv *kv, enum kv_family family, size_t count)
{
    struct mem *m = mem_of(kv);
    pthread_mutex_lock(&m->mutex);
    for (struct pending *p = m->oldest; p != NULL && count > 0; p = p->newer) {
        if (!p->unlogged || p->durable[family])
            continue;
        p->durable[family] = true;
        count--;
    }
    drop_durable(m);
    pthread_mutex_unlock(&m->mutex);
}
