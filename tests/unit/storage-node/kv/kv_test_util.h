/* SPDX-License-Identifier: Apache-2.0 */
/* Both databases behind one set of tests. */
#ifndef TESTS_UNIT_STORAGE_NODE_KV_KV_TEST_UTIL_H
#define TESTS_UNIT_STORAGE_NODE_KV_KV_TEST_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "storage-node/kv/kv.h"

struct kv_fixture {
    struct kv *kv;
    char path[64]; /* empty: in memory */
};

static inline struct kv_options fixture_options(const struct kv_fixture *f)
{
    return (struct kv_options){ .path = f->path,
                                .memory_limit = 32 << 20,
                                .wal_size_max = 16 << 20,
                                .files_open_max = 64,
                                .background_threads = 2 };
}

static inline int setup_mem(void **state)
{
    struct kv_fixture *f = NEW(struct kv_fixture);
    f->kv = kv_open_mem();
    *state = f;
    return 0;
}

static inline int setup_rocks(void **state)
{
    struct kv_fixture *f = NEW(struct kv_fixture);
    snprintf(f->path, sizeof f->path, "/tmp/kv_test.XXXXXX");
    if (mkdtemp(f->path) == NULL)
        return -1;
    struct kv_options options = fixture_options(f);
    *state = f;
    return kv_open_rocksdb(&options, &f->kv) == OK ? 0 : -1;
}

static inline int teardown(void **state)
{
    struct kv_fixture *f = *state;
    kv_close(&f->kv);
    if (f->path[0] != '\0') {
        char *command = xasprintf("rm -rf '%s'", f->path);
        int status = system(command);
        free(command);
        if (status != 0)
            return -1;
    }
    free(f);
    return 0;
}

#define ON_BOTH(test)                                         \
    { #test " (mem)", test, setup_mem, teardown, NULL },      \
    {                                                         \
#test " (rocksdb)", test, setup_rocks, teardown, NULL \
    }

#define S(text) SLICE_LIT(text)

static inline void put(struct kv *kv, enum kv_family family, const char *key, const char *value)
{
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(b, family, slice_str(key), slice_str(value));
    assert_int_equal(kv_write(kv, b), OK);
    kv_batch_free(&b);
}

static inline void del(struct kv *kv, enum kv_family family, const char *key)
{
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_delete(b, family, slice_str(key));
    assert_int_equal(kv_write(kv, b), OK);
    kv_batch_free(&b);
}

/* `want` NULL: absent. */
static inline void expect(struct kv *kv, const struct kv_view *view, enum kv_family family, const char *key,
                          const char *want)
{
    struct kv_value v;
    enum err err = kv_get(kv, view, family, slice_str(key), &v);
    assert_int_equal(err, want == NULL ? ERR_NOT_FOUND : OK);
    if (want != NULL)
        assert_true(slice_eq_str(v.bytes, want));
    kv_value_release(&v);
}

/* The walk as "a=1 b=2 ". */
static inline void expect_walk(struct kv_iter *it, bool on_row, bool forward, const char *want)
{
    char got[512] = "";
    size_t at = 0;
    for (; on_row; on_row = forward ? kv_iter_next(it) : kv_iter_prev(it))
        at += (size_t)snprintf(got + at, sizeof got - at, "%.*s=%.*s ", SLICE_FMT(kv_iter_key(it)),
                               SLICE_FMT(kv_iter_value(it)));
    assert_int_equal(kv_iter_err(it), OK);
    assert_string_equal(got, want);
}

#endif
