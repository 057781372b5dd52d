/* SPDX-License-Identifier: Apache-2.0 */
/* The database in memory. Each row is a chain of versions, newest first; a view is a sequence number and sees
 * the newest version that is not above it. Versions that no view can see go at the next write of their row.
 */
#ifndef STORAGE_NODE_KV_MEM_PRIV_H
#define STORAGE_NODE_KV_MEM_PRIV_H

#include <pthread.h>

#include "storage-node/kv/kv_priv.h"
#include "storage-node/kv/skiplist.h"

struct version {
    uint64_t seq;
    struct version *older;
    bool deleted;
    size_t len;
    uint8_t bytes[];
};

/* Payload of a row's node. */
struct row_chain {
    struct version *newest;
};

/* A live view or iterator, in a list by age. */
struct mem_view {
    struct kv_view base;
    uint64_t seq;
    struct mem_view *newer, *older;
};

/* One row of a batch that is not known to be on disk: how to take it back, and how to do it again. */
struct change {
    enum kv_family family;
    bool absent, deletes;
    struct slice key, before, after; /* in the batch's arena */
};
struct pending {
    struct pending *older, *newer;
    struct arena arena;
    struct change *items;
    size_t count, cap;
    bool unlogged;
    bool durable[KV_FAMILY_COUNT]; /* a logged batch: all or none */
};

struct dead_key {
    enum kv_family family;
    struct slice key; /* on the heap */
};

struct mem {
    struct kv base;
    pthread_mutex_t mutex;
    struct skiplist rows[KV_FAMILY_COUNT];
    uint64_t seq; /* of the newest write */
    struct mem_view *newest_view, *oldest_view;
    struct pending *newest, *oldest; /* what is not on disk, and all that was written since */
    struct dead_key *dead; /* deleted while a view was open: nodes to remove when the last is gone */
    size_t dead_count, dead_cap;
    size_t fail_after; /* 0: never */
    enum err fail_err;
    size_t bytes;
};

static inline struct mem *mem_of(struct kv *kv)
{
    return (struct mem *)kv;
}

/* The version of a row that a view at `seq` sees, or NULL. Called with the mutex held. */
static inline struct version *mem_visible(const struct skip_node *n, uint64_t seq)
{
    struct version *v = ((struct row_chain *)n->payload)->newest;
    while (v != NULL && v->seq > seq)
        v = v->older;
    return v == NULL || v->deleted ? NULL : v;
}

/* With the mutex held. */
void mem_view_link(struct mem *m, struct mem_view *view);
void mem_view_unlink(struct mem *m, struct mem_view *view);

void mem_set_row(struct mem *m, enum kv_family family, struct slice key, bool deleted, struct slice value);

/* mem_pending.c, with the mutex held. */
void mem_pending_add(struct mem *m, struct pending *p);
/* All that was written is on disk, with or past the log. */
void mem_pending_durable(struct mem *m, bool unlogged);
void mem_pending_drop_all(struct mem *m);

struct kv_iter *mem_iter_new(struct kv *kv, const struct kv_view *view, enum kv_family family,
                             struct slice lower, struct slice upper);
struct kv_batch *mem_batch_new(struct kv *kv);
void mem_batch_free(struct kv_batch *b);
void mem_batch_clear(struct kv_batch *b);
void mem_batch_put(struct kv_batch *b, enum kv_family family, struct slice key, struct slice value);
void mem_batch_delete(struct kv_batch *b, enum kv_family family, struct slice key);
void mem_batch_delete_range(struct kv_batch *b, enum kv_family family, struct slice from, struct slice to);

enum mem_op_kind { MEM_PUT, MEM_DELETE, MEM_DELETE_RANGE };
struct mem_op {
    enum mem_op_kind kind;
    enum kv_family family;
    struct slice key, value; /* of a range: from, to */
};
struct mem_batch {
    struct kv_batch base;
    struct arena arena;
    struct mem_op *ops;
    size_t op_count, op_cap;
};

#endif
