/* SPDX-License-Identifier: Apache-2.0 */
/* The seam between kv.h and its two implementations. Only for this folder. */
#ifndef STORAGE_NODE_KV_KV_PRIV_H
#define STORAGE_NODE_KV_KV_PRIV_H

#include "storage-node/kv/kv.h"

/* One row per implementation; each function as in kv.h. */
struct kv_ops {
    void (*close)(struct kv *kv);
    struct kv_view *(*view_new)(struct kv *kv, bool cached);
    void (*view_free)(struct kv_view *view);
    enum err (*get)(struct kv *kv, const struct kv_view *view, enum kv_family family, struct slice key,
                    struct kv_value *out);
    struct kv_iter *(*iter_new)(struct kv *kv, const struct kv_view *view, enum kv_family family,
                                struct slice lower, struct slice upper);
    struct kv_batch *(*batch_new)(struct kv *kv);
    void (*batch_free)(struct kv_batch *b);
    void (*batch_clear)(struct kv_batch *b);
    void (*batch_put)(struct kv_batch *b, enum kv_family family, struct slice key, struct slice value);
    void (*batch_delete)(struct kv_batch *b, enum kv_family family, struct slice key);
    void (*batch_delete_range)(struct kv_batch *b, enum kv_family family, struct slice from, struct slice to);
    enum err (*write)(struct kv *kv, struct kv_batch *b);
    enum err (*sync)(struct kv *kv);
    enum err (*write_unlogged)(struct kv *kv, struct kv_batch *b);
    enum err (*persist)(struct kv *kv);
    void (*stats)(struct kv *kv, struct kv_stats *out);
    uint64_t (*size)(struct kv *kv, enum kv_family family, struct slice from, struct slice to); /* or NULL */
};

struct kv_iter_ops {
    void (*free)(struct kv_iter *it);
    bool (*seek)(struct kv_iter *it, struct slice key);
    bool (*seek_prev)(struct kv_iter *it, struct slice key);
    bool (*seek_last)(struct kv_iter *it);
    bool (*next)(struct kv_iter *it);
    bool (*prev)(struct kv_iter *it);
    struct slice (*key)(const struct kv_iter *it);
    struct slice (*value)(const struct kv_iter *it);
    enum err (*err)(const struct kv_iter *it);
};

/* What every implementation's structs begin with. */
struct kv {
    const struct kv_ops *ops;
};
struct kv_view {
    struct kv *kv;
};
struct kv_iter {
    const struct kv_iter_ops *ops;
};
struct kv_batch {
    const struct kv_ops *ops;
    size_t count; /* operations */
    size_t bytes; /* of keys and values */
};

#endif
