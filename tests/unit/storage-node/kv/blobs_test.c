/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies in RocksDB's blob files: written once, and their space comes back. */
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/rand.h"
#include "tests/unit/storage-node/kv/kv_test_util.h"

enum { BODY_SIZE = 64 * 1024, BODIES = 1200, WAIT_MS_MAX = 60 * 1000 };

static void body_key(unsigned i, char key[16])
{
    snprintf(key, 16, "%u body %06u", i % 7, i); /* like partitions: new rows come between old ones */
}

static void put_bodies(struct kv *kv, unsigned from, unsigned to)
{
    uint8_t *bytes = xmalloc(BODY_SIZE);
    struct kv_batch *b = kv_batch_new(kv);
    for (unsigned i = from; i < to; i++) {
        char key[16];
        body_key(i, key);
        rand_bytes(bytes, BODY_SIZE);
        kv_batch_clear(b);
        kv_batch_put(b, KV_BODY, slice_str(key), slice_of(bytes, BODY_SIZE));
        assert_int_equal(kv_write(kv, b), OK);
    }
    kv_batch_free(&b);
    free(bytes);
}

/* The number in the name of the oldest blob file; 0: there is none. */
static unsigned long oldest_blob_file(const char *path)
{
    unsigned long oldest = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char *end;
        unsigned long number = strtoul(e->d_name, &end, 10);
        if (strcmp(end, ".blob") == 0 && (oldest == 0 || number < oldest))
            oldest = number;
    }
    closedir(dir);
    return oldest;
}

static uint64_t disk_bytes(struct kv *kv)
{
    struct kv_stats stats;
    kv_get_stats(kv, &stats);
    return stats.disk_bytes;
}

static void test_bodies_stay_where_they_are(void **state)
{
    struct kv_fixture *f = *state;
    put_bodies(f->kv, 0, BODIES / 3);
    unsigned long oldest = oldest_blob_file(f->path);
    assert_true(oldest > 0);
    put_bodies(f->kv, BODIES / 3, BODIES);
    usleep(500 * 1000); /* for compactions under way */
    assert_int_equal(oldest_blob_file(f->path), oldest);
}

static void delete_most(struct kv *kv)
{
    for (unsigned i = 0; i < BODIES; i++) {
        char key[16];
        body_key(i, key);
        if (i % 4 != 0)
            del(kv, KV_BODY, key);
    }
}

static void expect_the_rest(struct kv *kv)
{
    struct kv_value v;
    for (unsigned i = 0; i < BODIES; i++) {
        char key[16];
        body_key(i, key);
        assert_int_equal(kv_get(kv, NULL, KV_BODY, slice_str(key), &v), i % 4 == 0 ? OK : ERR_NOT_FOUND);
        assert_int_equal(v.bytes.len, i % 4 == 0 ? BODY_SIZE : 0);
        kv_value_release(&v);
    }
}

static void test_space_comes_back(void **state)
{
    struct kv_fixture *f = *state;
    put_bodies(f->kv, 0, BODIES);
    uint64_t full = disk_bytes(f->kv);
    assert_true(full > (uint64_t)BODIES * BODY_SIZE);
    delete_most(f->kv);
    int waited = 0;
    for (; waited < WAIT_MS_MAX && disk_bytes(f->kv) > full / 2; waited += 20)
        usleep(20 * 1000);
    assert_true(waited < WAIT_MS_MAX);
    expect_the_rest(f->kv);
}

/* At different moments of a pass, so far as time can tell. */
static void test_close_ends_a_pass(void **state)
{
    struct kv_fixture *f = *state;
    struct kv_options options = fixture_options(f);
    put_bodies(f->kv, 0, BODIES);
    delete_most(f->kv);
    for (unsigned ms = 1000; ms <= 1200; ms += 20) {
        usleep(ms * 1000);
        kv_close(&f->kv);
        assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK);
        expect_the_rest(f->kv);
        put_bodies(f->kv, 0, BODIES);
        delete_most(f->kv);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bodies_stay_where_they_are, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_space_comes_back, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_close_ends_a_pass, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
