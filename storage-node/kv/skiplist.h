/* SPDX-License-Identifier: Apache-2.0 */
/* An ordered map from byte strings to a payload of fixed size: what a transaction has pending, and the rows
 * of the database in memory. Heights come from a fixed seed, so the same calls build the same list. */
#ifndef STORAGE_NODE_KV_SKIPLIST_H
#define STORAGE_NODE_KV_SKIPLIST_H

#include "lib/base/arena.h"
#include "lib/base/slice.h"

enum { SKIPLIST_LEVELS = 16 };

struct skip_node {
    struct slice key; /* behind the payload */
    void *payload;    /* zeroed when the node is made */
    struct skip_node *next[];
};

struct skiplist {
    struct skip_node *head[SKIPLIST_LEVELS];
    size_t payload_size;
    struct arena *arena; /* NULL: nodes are on the heap */
    uint32_t seed;
    size_t count;
};

void skiplist_init(struct skiplist *l, size_t payload_size, struct arena *arena);
/* Forget all nodes; frees them if they are on the heap (their payloads own nothing then). */
void skiplist_clear(struct skiplist *l);
/* The node of exactly this key, or NULL. */
struct skip_node *skiplist_find(const struct skiplist *l, struct slice key);
/* The node of this key, made if missing. */
struct skip_node *skiplist_put(struct skiplist *l, struct slice key);
/* Take the node out and free it (heap only). */
void skiplist_remove(struct skiplist *l, struct slice key);

struct skip_node *skiplist_first(const struct skiplist *l);
struct skip_node *skiplist_last(const struct skiplist *l);
struct skip_node *skiplist_seek(const struct skiplist *l, struct slice key);  /* first at or after */
struct skip_node *skiplist_below(const struct skiplist *l, struct slice key); /* last before */
static inline struct skip_node *skiplist_next(const struct skip_node *n)
{
    return n->next[0];
}

#endif
