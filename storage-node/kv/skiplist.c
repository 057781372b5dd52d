/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/skiplist.h"

#include <stdlib.h>

#include "lib/base/alloc.h"

enum { SEED = 2463534242u };

void skiplist_init(struct skiplist *l, size_t payload_size, struct arena *arena)
{
    *l = (struct skiplist){ .payload_size = payload_size, .arena = arena, .seed = SEED };
}

void skiplist_clear(struct skiplist *l)
{
    if (l->arena == NULL) {
        struct skip_node *n = l->head[0];
        while (n != NULL) {
            struct skip_node *next = n->next[0];
            free(n);
            n = next;
        }
    }
    skiplist_init(l, l->payload_size, l->arena);
}

/* Links that lead to the first node at or after `key`, a level each; the one at level 0 is that node. */
static struct skip_node *find_links(const struct skiplist *l, struct slice key,
                                    struct skip_node *const *links[SKIPLIST_LEVELS])
{
    struct skip_node *const *at = l->head;
    struct skip_node *behind = NULL; /* known to be at or after key: no need to compare again */
    for (int level = SKIPLIST_LEVELS - 1; level >= 0; level--) {
        struct skip_node *n;
        while ((n = at[level]) != NULL && n != behind && slice_cmp(n->key, key) < 0)
            at = n->next;
        behind = n;
        if (links != NULL)
            links[level] = at + level;
    }
    return at[0];
}

struct skip_node *skiplist_seek(const struct skiplist *l, struct slice key)
{
    return find_links(l, key, NULL);
}

struct skip_node *skiplist_find(const struct skiplist *l, struct slice key)
{
    struct skip_node *n = find_links(l, key, NULL);
    return n != NULL && slice_eq(n->key, key) ? n : NULL;
}

struct skip_node *skiplist_below(const struct skiplist *l, struct slice key)
{
    struct skip_node *const *at = l->head;
    struct skip_node *below = NULL;
    for (int level = SKIPLIST_LEVELS - 1; level >= 0; level--) {
        struct skip_node *n;
        while ((n = at[level]) != NULL && slice_cmp(n->key, key) < 0) {
            below = n;
            at = n->next;
        }
    }
    return below;
}

struct skip_node *skiplist_last(const struct skiplist *l)
{
    struct skip_node *const *at = l->head;
    struct skip_node *last = NULL;
    for (int level = SKIPLIST_LEVELS - 1; level >= 0; level--) {
        for (; at[level] != NULL; at = last->next)
            last = at[level];
    }
    return last;
}

struct skip_node *skiplist_first(const struct skiplist *l)
{
    return l->head[0];
}

/* One level more with a chance of a quarter each. */
static int random_height(struct skiplist *l)
{
    l->seed ^= l->seed << 13;
    l->seed ^= l->seed >> 17;
    l->seed ^= l->seed << 5;
    int height = 1;
    for (uint32_t bits = l->seed; height < SKIPLIST_LEVELS && (bits & 3) == 0; bits >>= 2)
        height++;
    return height;
}

static struct skip_node *node_new(struct skiplist *l, struct slice key, int height)
{
    size_t links = (size_t)height * sizeof(struct skip_node *);
    size_t payload = (l->payload_size + 7) / 8 * 8;
    size_t size = sizeof(struct skip_node) + links + payload + key.len;
    struct skip_node *n = l->arena != NULL ? arena_alloc(l->arena, size) : xcalloc(1, size);
    uint8_t *behind = (uint8_t *)n + sizeof *n + links;
    n->payload = behind;
    if (key.len > 0)
        memcpy(behind + payload, key.data, key.len);
    n->key = slice_of(behind + payload, key.len);
    return n;
}

struct skip_node *skiplist_put(struct skiplist *l, struct slice key)
{
    struct skip_node *const *links[SKIPLIST_LEVELS];
    struct skip_node *found = find_links(l, key, links);
    if (found != NULL && slice_eq(found->key, key))
        return found;
    int height = random_height(l);
    struct skip_node *n = node_new(l, key, height);
    for (int level = 0; level < height; level++) {
        struct skip_node **link = (struct skip_node **)links[level];
        n->next[level] = *link;
        *link = n;
    }
    l->count++;
    return n;
}

void skiplist_remove(struct skiplist *l, struct slice key)
{
    struct skip_node *const *links[SKIPLIST_LEVELS];
    struct skip_node *found = find_links(l, key, links);
    if (found == NULL || !slice_eq(found->key, key))
        return;
    for (int level = 0; level < SKIPLIST_LEVELS; level++) {
        struct skip_node **link = (struct skip_node **)links[level];
        if (*link == found)
            *link = found->next[level];
    }
    l->count--;
    free(found);
}
