/* SPDX-License-Identifier: Apache-2.0 */
/* What kv.h promises, over both databases. */
#include "tests/unit/storage-node/kv/kv_test_util.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { COUNT_TO = 5000 };

static struct kv *kv_of(void **state)
{
    return ((struct kv_fixture *)*state)->kv;
}

static void test_put_get_delete(void **state)
{
    struct kv *kv = kv_of(state);
    expect(kv, NULL, KV_STATE, "a", NULL);
    put(kv, KV_STATE, "a", "1");
    expect(kv, NULL, KV_STATE, "a", "1");
    expect(kv, NULL, KV_LOG, "a", NULL); /* families are apart */
    put(kv, KV_STATE, "a", "");
    expect(kv, NULL, KV_STATE, "a", "");
    del(kv, KV_STATE, "a");
    expect(kv, NULL, KV_STATE, "a", NULL);
    assert_int_equal(kv_sync(kv), OK);
}

static void test_large_values(void **state)
{
    struct kv *kv = kv_of(state);
    enum { SIZE = 300 * 1024 };
    char *body = xmalloc(SIZE);
    for (int i = 0; i < SIZE; i++)
        body[i] = (char)(i * 7 ^ i >> 9);
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(b, KV_BODY, S("k"), slice_of(body, SIZE));
    assert_int_equal(kv_batch_count(b), 1);
    assert_true(kv_batch_bytes(b) >= SIZE);
    assert_int_equal(kv_write(kv, b), OK);
    kv_batch_free(&b);
    struct kv_value v;
    assert_int_equal(kv_get(kv, NULL, KV_BODY, S("k"), &v), OK);
    assert_true(slice_eq(v.bytes, slice_of(body, SIZE)));
    kv_value_release(&v);
    free(body);
}

static void test_batch_is_ordered_and_reusable(void **state)
{
    struct kv *kv = kv_of(state);
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(b, KV_STATE, S("a"), S("1"));
    kv_batch_delete(b, KV_STATE, S("a"));
    kv_batch_put(b, KV_STATE, S("b"), S("1"));
    kv_batch_put(b, KV_STATE, S("b"), S("2"));
    kv_batch_put(b, KV_META, S("m"), S("3"));
    assert_int_equal(kv_batch_count(b), 5);
    assert_int_equal(kv_write(kv, b), OK);
    expect(kv, NULL, KV_STATE, "a", NULL);
    expect(kv, NULL, KV_STATE, "b", "2");
    expect(kv, NULL, KV_META, "m", "3");
    kv_batch_clear(b);
    assert_int_equal(kv_batch_count(b), 0);
    kv_batch_put(b, KV_STATE, S("c"), S("4"));
    assert_int_equal(kv_write(kv, b), OK);
    expect(kv, NULL, KV_STATE, "c", "4");
    kv_batch_free(&b);
}

static void test_delete_range(void **state)
{
    struct kv *kv = kv_of(state);
    for (char c = 'a'; c <= 'f'; c++)
        put(kv, KV_LOG, (char[]){ c, 0 }, "x");
    struct kv_view *before = kv_view_new(kv);
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_delete_range(b, KV_LOG, S("b"), S("e"));
    kv_batch_put(b, KV_LOG, S("c"), S("new"));
    assert_int_equal(kv_write(kv, b), OK);
    kv_batch_free(&b);
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_LOG, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("")), true, "a=x c=new e=x f=x ");
    kv_iter_free(&it);
    it = kv_iter_new(kv, before, KV_LOG, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("")), true, "a=x b=x c=x d=x e=x f=x ");
    kv_iter_free(&it);
    kv_view_free(&before);
}

static void test_view_is_of_its_moment(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_STATE, "a", "1");
    put(kv, KV_STATE, "b", "1");
    struct kv_view *first = kv_view_new(kv);
    put(kv, KV_STATE, "a", "2");
    del(kv, KV_STATE, "b");
    put(kv, KV_STATE, "c", "1");
    struct kv_view *second = kv_view_new(kv);
    put(kv, KV_STATE, "a", "3");
    put(kv, KV_STATE, "b", "3");
    expect(kv, first, KV_STATE, "a", "1");
    expect(kv, first, KV_STATE, "b", "1");
    expect(kv, first, KV_STATE, "c", NULL);
    expect(kv, second, KV_STATE, "a", "2");
    expect(kv, second, KV_STATE, "b", NULL);
    expect(kv, NULL, KV_STATE, "a", "3");
    struct kv_iter *it = kv_iter_new(kv, first, KV_STATE, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("a")), true, "a=1 b=1 ");
    kv_iter_free(&it);
    kv_view_free(&first);
    it = kv_iter_new(kv, second, KV_STATE, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("a")), true, "a=2 c=1 ");
    kv_iter_free(&it);
    kv_view_free(&second);
    expect(kv, NULL, KV_STATE, "b", "3");
}

/* ERR_BUSY, or as it was: `want` NULL is absent. */
static void expect_as_it_was(struct kv *kv, const struct kv_view *view, const char *key, const char *want)
{
    struct kv_value v = { 0 };
    enum err err = kv_get(kv, view, KV_STATE, slice_str(key), &v);
    if (err != ERR_BUSY)
        assert_int_equal(err, want == NULL ? ERR_NOT_FOUND : OK);
    if (err == OK)
        assert_true(slice_eq_str(v.bytes, want));
    kv_value_release(&v);
}

static void test_cached_view_is_of_its_moment(void **state)
{
    struct kv *kv = kv_of(state);
    put(kv, KV_STATE, "a", "1");
    struct kv_view *view = kv_view_new_cached(kv);
    expect(kv, view, KV_STATE, "a", "1");
    expect(kv, view, KV_STATE, "b", NULL);
    put(kv, KV_STATE, "a", "2");
    put(kv, KV_STATE, "b", "2");
    expect_as_it_was(kv, view, "a", "1");
    expect_as_it_was(kv, view, "b", NULL);
    kv_view_free(&view);
}

static void *count_up(void *arg)
{
    struct kv *kv = arg;
    char text[16];
    for (int i = 0; i < COUNT_TO; i++) {
        struct kv_batch *b = kv_batch_new(kv);
        snprintf(text, sizeof text, "%d", i);
        kv_batch_put(b, KV_STATE, S("a"), slice_str(text));
        kv_batch_put(b, KV_STATE, S("b"), slice_str(text));
        if (kv_write(kv, b) != OK)
            abort();
        kv_batch_free(&b);
    }
    return NULL;
}

/* Two rows that are always written alike are never read of two moments. */
static void test_cached_view_while_rows_change(void **state)
{
    struct kv *kv = kv_of(state);
    pthread_t writer;
    put(kv, KV_STATE, "a", "0");
    put(kv, KV_STATE, "b", "0");
    assert_int_equal(pthread_create(&writer, NULL, count_up, kv), 0);
    for (int i = 0; i < COUNT_TO; i++) {
        struct kv_view *view = kv_view_new_cached(kv);
        struct kv_value a = { 0 }, b = { 0 };
        if (kv_get(kv, view, KV_STATE, S("a"), &a) == OK && kv_get(kv, view, KV_STATE, S("b"), &b) == OK)
            assert_true(slice_eq(a.bytes, b.bytes));
        kv_value_release(&a);
        kv_value_release(&b);
        kv_view_free(&view);
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    struct kv_view *view = kv_view_new_cached(kv);
    expect(kv, view, KV_STATE, "a", "4999");
    kv_view_free(&view);
}

static void test_iterator_bounds(void **state)
{
    struct kv *kv = kv_of(state);
    for (char c = 'a'; c <= 'g'; c++)
        put(kv, KV_STATE, (char[]){ c, 0 }, "x");
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_STATE, S("b"), S("f"));
    expect_walk(it, kv_iter_seek(it, S("")), true, "b=x c=x d=x e=x ");
    expect_walk(it, kv_iter_seek(it, S("d")), true, "d=x e=x ");
    assert_false(kv_iter_seek(it, S("f")));
    expect_walk(it, kv_iter_seek_last(it), false, "e=x d=x c=x b=x ");
    expect_walk(it, kv_iter_seek_prev(it, S("cc")), false, "c=x b=x ");
    expect_walk(it, kv_iter_seek_prev(it, S("c")), false, "c=x b=x ");
    expect_walk(it, kv_iter_seek_prev(it, S("zz")), false, "e=x d=x c=x b=x ");
    assert_false(kv_iter_seek_prev(it, S("a")));
    assert_false(kv_iter_next(it)); /* not on a row */
    assert_true(kv_iter_seek(it, S("c")));
    assert_true(kv_iter_next(it));
    assert_true(kv_iter_prev(it));
    assert_true(slice_eq_str(kv_iter_key(it), "c"));
    kv_iter_free(&it);
}

static void test_iterator_keeps_its_state_while_rows_change(void **state)
{
    struct kv *kv = kv_of(state);
    for (char c = 'a'; c <= 'd'; c++)
        put(kv, KV_STATE, (char[]){ c, 0 }, "x");
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_STATE, SLICE_NULL, SLICE_NULL);
    assert_true(kv_iter_seek(it, S("b")));
    for (char c = 'a'; c <= 'd'; c++)
        del(kv, KV_STATE, (char[]){ c, 0 });
    put(kv, KV_STATE, "bb", "new");
    expect_walk(it, true, true, "b=x c=x d=x ");
    kv_iter_free(&it);
    it = kv_iter_new(kv, NULL, KV_STATE, SLICE_NULL, SLICE_NULL);
    expect_walk(it, kv_iter_seek(it, S("")), true, "bb=new ");
    kv_iter_free(&it);
}

/* Random writes against a plain array: every key agrees afterwards. */
static void test_random_writes(void **state)
{
    struct kv *kv = kv_of(state);
    enum { KEYS = 200, STEPS = 4000 };
    int have[KEYS] = { 0 }; /* 0: absent */
    unsigned seed = 7;
    struct kv_batch *b = kv_batch_new(kv);
    for (int i = 1; i <= STEPS; i++) {
        int key = rand_r(&seed) % KEYS;
        char name[16], value[16];
        snprintf(name, sizeof name, "k%03d", key);
        snprintf(value, sizeof value, "%d", i);
        if (rand_r(&seed) % 3 == 0) {
            kv_batch_delete(b, KV_STATE, slice_str(name));
            have[key] = 0;
        } else {
            kv_batch_put(b, KV_STATE, slice_str(name), slice_str(value));
            have[key] = i;
        }
        if (rand_r(&seed) % 10 == 0) {
            assert_int_equal(kv_write(kv, b), OK);
            kv_batch_clear(b);
        }
    }
    assert_int_equal(kv_write(kv, b), OK);
    kv_batch_free(&b);
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_STATE, SLICE_NULL, SLICE_NULL);
    bool on_row = kv_iter_seek(it, S("k"));
    for (int key = 0; key < KEYS; key++) {
        if (have[key] == 0)
            continue;
        char name[16], value[16];
        snprintf(name, sizeof name, "k%03d", key);
        snprintf(value, sizeof value, "%d", have[key]);
        assert_true(on_row);
        assert_true(slice_eq_str(kv_iter_key(it), name));
        assert_true(slice_eq_str(kv_iter_value(it), value));
        on_row = kv_iter_next(it);
    }
    assert_false(on_row);
    kv_iter_free(&it);
}

struct writer {
    struct kv *kv;
    int number;
    _Atomic int *failures;
};

static void *write_many(void *ctx)
{
    struct writer *w = ctx;
    struct kv_batch *b = kv_batch_new(w->kv);
    for (int i = 0; i < 200; i++) {
        char key[32];
        snprintf(key, sizeof key, "%d-%d", w->number, i);
        kv_batch_clear(b);
        kv_batch_put(b, KV_STATE, slice_str(key), S("v"));
        struct kv_value v;
        if (kv_write(w->kv, b) != OK || kv_get(w->kv, NULL, KV_STATE, slice_str(key), &v) != OK)
            atomic_fetch_add(w->failures, 1);
        else
            kv_value_release(&v);
        if (i % 50 == 0 && kv_sync(w->kv) != OK)
            atomic_fetch_add(w->failures, 1);
    }
    kv_batch_free(&b);
    return NULL;
}

static void test_threads(void **state)
{
    enum { THREADS = 4 };
    _Atomic int failures = 0;
    pthread_t threads[THREADS];
    struct writer writers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){ kv_of(state), i, &failures };
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
}

static void test_rocksdb_reopens(void **state)
{
    struct kv_fixture *f = *state;
    put(f->kv, KV_STATE, "a", "1");
    put(f->kv, KV_BODY, "b", "2");
    assert_int_equal(kv_sync(f->kv), OK);
    struct kv_stats stats;
    kv_get_stats(f->kv, &stats);
    assert_true(stats.wal_bytes > 0);
    assert_false(stats.write_stalled);
    kv_close(&f->kv);
    struct kv_options options = fixture_options(f);
    assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK);
    expect(f->kv, NULL, KV_STATE, "a", "1");
    expect(f->kv, NULL, KV_BODY, "b", "2");
    assert_true(kv_size(f->kv, KV_STATE, S("a"), S("b")) > 0); /* opening has written the buffers to tables */
    assert_int_equal(kv_size(f->kv, KV_STATE, S("x"), S("y")), 0);
}

static enum err get_cached(struct kv *kv, const char *key)
{
    struct kv_view *view = kv_view_new_cached(kv);
    struct kv_value value;
    enum err err = kv_get(kv, view, KV_STATE, slice_str(key), &value);
    kv_value_release(&value);
    kv_view_free(&view);
    return err;
}

/* What only the disk knows is neither found nor missing. (That a key is missing a filter in memory may tell.)
 */
static void test_rocksdb_cached_view_reads_no_file(void **state)
{
    struct kv_fixture *f = *state;
    put(f->kv, KV_STATE, "a", "1");
    put(f->kv, KV_STATE, "c", "1");
    kv_close(&f->kv);
    struct kv_options options = fixture_options(f);
    assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK); /* the buffers are tables now */
    assert_int_equal(get_cached(f->kv, "a"), ERR_BUSY);
    expect(f->kv, NULL, KV_STATE, "a", "1");
    assert_int_equal(get_cached(f->kv, "a"), OK);
    assert_int_equal(get_cached(f->kv, "b"), ERR_NOT_FOUND);
    put(f->kv, KV_STATE, "b", "1");
    assert_int_equal(get_cached(f->kv, "b"), OK);
}

/* A table that was not even opened yet is not in memory, whatever RocksDB makes of it: one that has many
 * opens only a few of them at start. */
static void test_rocksdb_cached_view_opens_no_file(void **state)
{
    static const char *const keys[] = { "a", "b", "c" };
    enum { TABLES = sizeof keys / sizeof keys[0], FILES_OPEN_MIN = 20 };
    struct kv_fixture *f = *state;
    for (size_t i = 0; i < TABLES; i++) {
        put(f->kv, KV_STATE, keys[i], "1");
        assert_int_equal(kv_persist(f->kv), OK);
    }
    kv_close(&f->kv);
    struct kv_options options = fixture_options(f);
    options.files_open_max = FILES_OPEN_MIN;
    assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK);
    for (size_t i = 0; i < TABLES; i++) {
        assert_int_equal(get_cached(f->kv, keys[i]), ERR_BUSY);
        expect(f->kv, NULL, KV_STATE, keys[i], "1");
        assert_int_equal(get_cached(f->kv, keys[i]), OK);
    }
}

/* A write-ahead log damaged in its middle must not open as if what lies behind had never been written. */
static void test_rocksdb_damaged_log_is_corrupt(void **state)
{
    struct kv_fixture *f = *state;
    char value[1000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    for (int i = 0; i < 200; i++)
        put(f->kv, KV_STATE, (char[]){ 'k', (char)('0' + i % 10), 0 }, value);
    assert_int_equal(kv_sync(f->kv), OK);
    char *copy = xasprintf("%s/copy", f->path);
    char *command = xasprintf(
        "mkdir '%s' && cp '%s'/[0-9A-Z]* '%s' && "
        "for l in '%s'/*.log; do printf XXXX | dd of=\"$l\" bs=1 seek=50000 conv=notrunc 2>/dev/null; done",
        copy, f->path, copy, copy);
    assert_int_equal(system(command), 0);
    struct kv_options options = fixture_options(f);
    options.path = copy;
    struct kv *damaged = NULL;
    assert_int_equal(kv_open_rocksdb(&options, &damaged), ERR_CORRUPT);
    free(command);
    free(copy);
}

/* A torn tail is what a power cut leaves: all before it counts. */
static void test_rocksdb_torn_tail(void **state)
{
    struct kv_fixture *f = *state;
    put(f->kv, KV_STATE, "first", "1");
    put(f->kv, KV_STATE, "last", "2");
    assert_int_equal(kv_sync(f->kv), OK);
    char *copy = xasprintf("%s/copy", f->path);
    char *command = xasprintf("mkdir '%s' && cp '%s'/[0-9A-Z]* '%s' && truncate -s -3 '%s'/*.log", copy,
                              f->path, copy, copy);
    assert_int_equal(system(command), 0);
    struct kv_options options = fixture_options(f);
    options.path = copy;
    struct kv *torn = NULL;
    assert_int_equal(kv_open_rocksdb(&options, &torn), OK);
    expect(torn, NULL, KV_STATE, "first", "1");
    expect(torn, NULL, KV_STATE, "last", NULL);
    kv_close(&torn);
    free(command);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_put_get_delete),
        ON_BOTH(test_large_values),
        ON_BOTH(test_batch_is_ordered_and_reusable),
        ON_BOTH(test_delete_range),
        ON_BOTH(test_view_is_of_its_moment),
        ON_BOTH(test_cached_view_is_of_its_moment),
        ON_BOTH(test_cached_view_while_rows_change),
        ON_BOTH(test_iterator_bounds),
        ON_BOTH(test_iterator_keeps_its_state_while_rows_change),
        ON_BOTH(test_random_writes),
        ON_BOTH(test_threads),
        cmocka_unit_test_setup_teardown(test_rocksdb_reopens, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_rocksdb_cached_view_reads_no_file, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_rocksdb_cached_view_opens_no_file, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_rocksdb_torn_tail, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_rocksdb_damaged_log_is_corrupt, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
