/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/partition/entry_priv.h"

enum { RING_CAP_MIN = 16 };

struct log_entry *log_entry_new(struct slice entry, struct slice body)
{
    struct log_entry *e = NEW(struct log_entry);
    e->refs = 1;
    log_row_begin(0, &e->row);
    buf_add_slice(&e->row, entry);
    if (body.len > 0) {
        buf_add_slice(&e->own_body, body);
        e->body = buf_slice(&e->own_body);
    }
    return e;
}

struct slice log_entry_bytes(const struct log_entry *e)
{
    return slice_sub(buf_slice(&e->row), LOG_ROW_PREFIX, e->row.len);
}

uint32_t log_entry_size(const struct log_entry *e)
{
    return (uint32_t)(e->row.len + e->body.len);
}

void log_entry_ref(struct log_entry *e)
{
    e->refs++;
}

void log_entry_unref(struct log_entry *e)
{
    assert(e->refs > 0);
    if (--e->refs > 0)
        return;
    assert(e->request == NULL);
    buf_fini(&e->row);
    buf_fini(&e->own_body);
    free(e);
}

static void grow(struct log_ring *r)
{
    size_t cap = r->cap == 0 ? RING_CAP_MIN : r->cap * 2;
    struct log_entry **slots = NEW_ARRAY(struct log_entry *, cap);
    for (uint64_t i = r->first; i < r->next; i++)
        slots[i & (cap - 1)] = r->slots[i & (r->cap - 1)];
    free(r->slots);
    r->slots = slots;
    r->cap = cap;
}

void log_ring_push(struct log_ring *r, struct log_entry *e)
{
    if (r->first == r->next)
        r->first = r->next = e->index;
    assert(e->index == r->next);
    if (r->next - r->first == r->cap)
        grow(r);
    r->slots[r->next++ & (r->cap - 1)] = e;
}

struct log_entry *log_ring_find(const struct log_ring *r, uint64_t index)
{
    return index >= r->first && index < r->next ? r->slots[index & (r->cap - 1)] : NULL;
}

void log_ring_drop_front(struct log_ring *r, uint64_t through)
{
    while (r->first < r->next && r->first <= through)
        log_entry_unref(r->slots[r->first++ & (r->cap - 1)]);
}

struct log_entry *log_ring_pop_back(struct log_ring *r, uint64_t from)
{
    if (r->first == r->next || r->next - 1 < from)
        return NULL;
    return r->slots[--r->next & (r->cap - 1)];
}

void log_ring_fini(struct log_ring *r)
{
    log_ring_drop_front(r, UINT64_MAX);
    free(r->slots);
    *r = (struct log_ring){ 0 };
}
