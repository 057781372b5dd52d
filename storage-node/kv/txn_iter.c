/* SPDX-License-Identifier: Apache-2.0 */
/* Walking a transaction: the rows below and the pending ones merged; of equal keys the pending one counts.
 * Both sides stand on a row at or after the current one when walking forward, at or before when walking back.
 */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"
#include "storage-node/kv/txn_priv.h"

struct txn_iter {
    struct kv_iter base;
    struct kv_iter *below;
    const struct skiplist *rows;
    struct buf lower, upper;
    struct buf at;          /* key to turn round at */
    struct skip_node *node; /* pending side, NULL at its end */
    bool below_valid;
    bool forward;
    bool on_pending; /* which side the current row is from */
    bool valid;
};

static void iter_free(struct kv_iter *base)
{
    struct txn_iter *it = (struct txn_iter *)base;
    kv_iter_free(&it->below);
    buf_fini(&it->lower);
    buf_fini(&it->upper);
    buf_fini(&it->at);
    free(it);
}

static const struct pending *pending_of(const struct skip_node *n)
{
    return n->payload;
}

static void step_pending(struct txn_iter *it)
{
    it->node = it->forward ? skiplist_next(it->node) : skiplist_below(it->rows, it->node->key);
}

/* Leave the pending side on a row that counts and is within the bounds, or at its end. */
static void settle_pending(struct txn_iter *it)
{
    while (it->node != NULL && pending_of(it->node)->kind == PENDING_NONE)
        step_pending(it);
    if (it->node == NULL)
        return;
    bool below_lower = slice_cmp(it->node->key, buf_slice(&it->lower)) < 0;
    bool past_upper = it->upper.len > 0 && slice_cmp(it->node->key, buf_slice(&it->upper)) >= 0;
    if (below_lower || past_upper)
        it->node = NULL;
}

static void step_below(struct txn_iter *it)
{
    it->below_valid = it->forward ? kv_iter_next(it->below) : kv_iter_prev(it->below);
}

/* Choose the nearer side; a pending deletion hides its row and is passed over. */
static bool choose(struct txn_iter *it)
{
    for (;;) {
        settle_pending(it);
        it->valid = it->node != NULL || it->below_valid;
        if (!it->valid)
            return false;
        it->on_pending = !it->below_valid;
        if (it->node != NULL && it->below_valid) {
            int order = slice_cmp(it->node->key, kv_iter_key(it->below));
            it->on_pending = it->forward ? order <= 0 : order >= 0;
            if (order == 0)
                step_below(it);
        }
        if (!it->on_pending || pending_of(it->node)->kind == PENDING_PUT)
            return true;
        step_pending(it);
    }
}

static bool seek(struct kv_iter *base, struct slice key)
{
    struct txn_iter *it = (struct txn_iter *)base;
    if (slice_cmp(key, buf_slice(&it->lower)) < 0)
        key = buf_slice(&it->lower);
    it->forward = true;
    it->node = skiplist_seek(it->rows, key);
    it->below_valid = kv_iter_seek(it->below, key);
    return choose(it);
}

static bool seek_last(struct kv_iter *base)
{
    struct txn_iter *it = (struct txn_iter *)base;
    it->forward = false;
    it->node = it->upper.len > 0 ? skiplist_below(it->rows, buf_slice(&it->upper)) : skiplist_last(it->rows);
    it->below_valid = kv_iter_seek_last(it->below);
    return choose(it);
}

static bool seek_prev(struct kv_iter *base, struct slice key)
{
    struct txn_iter *it = (struct txn_iter *)base;
    if (it->upper.len > 0 && slice_cmp(key, buf_slice(&it->upper)) >= 0)
        return seek_last(base);
    it->forward = false;
    it->node = skiplist_find(it->rows, key);
    if (it->node == NULL)
        it->node = skiplist_below(it->rows, key);
    it->below_valid = kv_iter_seek_prev(it->below, key);
    return choose(it);
}

static struct slice key_of(const struct kv_iter *base)
{
    const struct txn_iter *it = (const struct txn_iter *)base;
    return it->on_pending ? it->node->key : kv_iter_key(it->below);
}

/* Both sides to their first row strictly beyond the current key, the other way round. */
static bool turn(struct txn_iter *it, bool forward)
{
    buf_clear(&it->at);
    buf_add_slice(&it->at, key_of(&it->base));
    struct slice key = buf_slice(&it->at);
    it->forward = forward;
    if (forward) {
        it->node = skiplist_seek(it->rows, key);
        it->below_valid = kv_iter_seek(it->below, key);
    } else {
        it->node = skiplist_find(it->rows, key);
        if (it->node == NULL)
            it->node = skiplist_below(it->rows, key);
        it->below_valid = kv_iter_seek_prev(it->below, key);
    }
    if (it->node != NULL && slice_eq(it->node->key, key))
        step_pending(it);
    if (it->below_valid && slice_eq(kv_iter_key(it->below), key))
        step_below(it);
    return choose(it);
}

static bool step(struct kv_iter *base, bool forward)
{
    struct txn_iter *it = (struct txn_iter *)base;
    if (!it->valid)
        return false;
    if (it->forward != forward)
        return turn(it, forward);
    if (it->on_pending)
        step_pending(it);
    else
        step_below(it);
    return choose(it);
}

static bool next(struct kv_iter *base)
{
    return step(base, true);
}

static bool prev(struct kv_iter *base)
{
    return step(base, false);
}

static struct slice value_of(const struct kv_iter *base)
{
    const struct txn_iter *it = (const struct txn_iter *)base;
    return it->on_pending ? pending_of(it->node)->value : kv_iter_value(it->below);
}

static enum err err_of(const struct kv_iter *base)
{
    return kv_iter_err(((const struct txn_iter *)base)->below);
}

static const struct kv_iter_ops txn_iter_ops = {
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

struct kv_iter *kv_txn_iter(struct kv_txn *t, enum kv_family family, struct slice lower, struct slice upper)
{
    struct kv_iter *below = kv_iter_new(t->kv, NULL, family, lower, upper);
    if (skiplist_first(&t->rows[family]) == NULL)
        return below;
    struct txn_iter *it = NEW(struct txn_iter);
    it->base.ops = &txn_iter_ops;
    it->below = below;
    it->rows = &t->rows[family];
    buf_add_slice(&it->lower, lower);
    buf_add_slice(&it->upper, upper);
    return &it->base;
}
