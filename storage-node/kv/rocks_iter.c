/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/kv/rocks_priv.h"

struct rocks_iter {
    struct kv_iter base;
    rocksdb_iterator_t *it;
    rocksdb_readoptions_t *read;
    uint8_t bounds[]; /* lower, then upper: RocksDB keeps pointers to them */
};

static rocksdb_iterator_t *rocksdb_of(const struct kv_iter *base)
{
    return ((const struct rocks_iter *)base)->it;
}

static void iter_free(struct kv_iter *base)
{
    struct rocks_iter *it = (struct rocks_iter *)base;
    rocksdb_iter_destroy(it->it);
    rocksdb_readoptions_destroy(it->read);
    free(it);
}

static bool seek(struct kv_iter *base, struct slice key)
{
    rocksdb_iter_seek(rocksdb_of(base), (const char *)key.data, key.len);
    return rocksdb_iter_valid(rocksdb_of(base));
}

static bool seek_prev(struct kv_iter *base, struct slice key)
{
    rocksdb_iter_seek_for_prev(rocksdb_of(base), (const char *)key.data, key.len);
    return rocksdb_iter_valid(rocksdb_of(base));
}

static bool seek_last(struct kv_iter *base)
{
    rocksdb_iter_seek_to_last(rocksdb_of(base));
    return rocksdb_iter_valid(rocksdb_of(base));
}

static bool next(struct kv_iter *base)
{
    if (!rocksdb_iter_valid(rocksdb_of(base)))
        return false;
    rocksdb_iter_next(rocksdb_of(base));
    return rocksdb_iter_valid(rocksdb_of(base));
}

static bool prev(struct kv_iter *base)
{
    if (!rocksdb_iter_valid(rocksdb_of(base)))
        return false;
    rocksdb_iter_prev(rocksdb_of(base));
    return rocksdb_iter_valid(rocksdb_of(base));
}

static struct slice key_of(const struct kv_iter *base)
{
    struct slice s;
    s.data = (const uint8_t *)rocksdb_iter_key(rocksdb_of(base), &s.len);
    return s;
}

static struct slice value_of(const struct kv_iter *base)
{
    struct slice s;
    s.data = (const uint8_t *)rocksdb_iter_value(rocksdb_of(base), &s.len);
    return s;
}

static enum err err_of(const struct kv_iter *base)
{
    char *message = NULL;
    rocksdb_iter_get_error(rocksdb_of(base), &message);
    return rocks_err("iterate", message);
}

static const struct kv_iter_ops rocks_iter_ops = {
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

struct kv_iter *rocks_iter_new(struct kv *kv, const struct kv_view *view, enum kv_family family,
                               struct slice lower, struct slice upper)
{
    struct rocks *r = rocks_of(kv);
    struct rocks_iter *it = xcalloc(1, sizeof *it + lower.len + upper.len);
    it->base.ops = &rocks_iter_ops;
    it->read = rocksdb_readoptions_create();
    if (view != NULL)
        rocksdb_readoptions_set_snapshot(it->read, ((const struct rocks_view *)view)->snapshot);
    if (lower.len > 0) {
        memcpy(it->bounds, lower.data, lower.len);
        rocksdb_readoptions_set_iterate_lower_bound(it->read, (const char *)it->bounds, lower.len);
    }
    if (upper.len > 0) {
        memcpy(it->bounds + lower.len, upper.data, upper.len);
        rocksdb_readoptions_set_iterate_upper_bound(it->read, (const char *)it->bounds + lower.len,
                                                    upper.len);
    }
    it->it = rocksdb_create_iterator_cf(r->db, it->read, r->families[family]);
    return &it->base;
}
