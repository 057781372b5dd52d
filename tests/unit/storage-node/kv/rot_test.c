/* SPDX-License-Identifier: Apache-2.0 */
/* Any byte of the files of bodies goes bad: what is read is what was written, or refused (P9). */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/storage-node/kv/kv_test_util.h"

enum {
    ROWS = 3,
    ROT = 0x55,
    TABLE_FRONT = 96, /* the block with the rows */
    TABLE_STRIDE = 29,
};

/* One lies in the table, the others in a blob file; the last one is compressed. */
static const char *const keys[ROWS] = { "1 first", "2 second", "3 third" };
static char values[ROWS][2048];

static void make_values(void)
{
    unsigned state = 1;
    memset(values, 0, sizeof values);
    strcpy(values[0], "a short body");
    for (size_t i = 0; i < 400; i++) {
        state = state * 1103515245 + 12345;
        values[1][i] = (char)('!' + (state >> 16) % 90);
    }
    while (strlen(values[2]) + 40 < sizeof values[2])
        strcat(values[2], "the same words again and again, ");
}

static void fill(struct kv_fixture *f)
{
    struct kv_batch *b = kv_batch_new(f->kv);
    make_values();
    for (int i = 0; i < ROWS; i++)
        kv_batch_put(b, KV_BODY, slice_str(keys[i]), slice_str(values[i]));
    assert_int_equal(kv_write_unlogged(f->kv, b), OK);
    assert_int_equal(kv_persist(f->kv), OK);
    kv_batch_free(&b);
}

/* The newest file with that end of its name, opened; its size in *size_out. */
static int open_file(const struct kv_fixture *f, const char *end, off_t *size_out)
{
    unsigned long newest = 0;
    char *name;
    struct stat st;
    DIR *dir = opendir(f->path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char *rest;
        unsigned long number = strtoul(e->d_name, &rest, 10);
        if (strcmp(rest, end) == 0 && number > newest)
            newest = number;
    }
    closedir(dir);
    assert_true(newest > 0);
    name = xasprintf("%s/%06lu%s", f->path, newest, end);
    int fd = open(name, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *size_out = st.st_size;
    free(name);
    return fd;
}

static void flip(int fd, off_t at)
{
    uint8_t byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= ROT;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static bool is_refusal(enum err err)
{
    return err == ERR_CORRUPT || err == ERR_IO;
}

/* How many of two ways to read all of it were refused. */
static unsigned read_all(struct kv *kv, off_t at)
{
    unsigned refused = 0;
    for (int i = 0; i < ROWS; i++) {
        struct kv_value v;
        enum err err = kv_get(kv, NULL, KV_BODY, slice_str(keys[i]), &v);
        if (err != OK && !is_refusal(err))
            fail_msg("byte %ld: get of row %d: %s", (long)at, i, err_name(err));
        if (err == OK && !slice_eq_str(v.bytes, values[i]))
            fail_msg("byte %ld: other bytes of row %d", (long)at, i);
        refused += err != OK;
        kv_value_release(&v);
    }
    int row = 0;
    struct kv_iter *it = kv_iter_new(kv, NULL, KV_BODY, SLICE_NULL, SLICE_NULL);
    for (bool on_row = kv_iter_seek(it, SLICE_LIT("")); on_row; on_row = kv_iter_next(it)) {
        struct slice value = kv_iter_value(it);
        if (kv_iter_err(it) != OK)
            break;
        if (row == ROWS || !slice_eq_str(kv_iter_key(it), keys[row]) || !slice_eq_str(value, values[row]))
            fail_msg("byte %ld: the walk sees another row", (long)at);
        row++;
    }
    enum err err = kv_iter_err(it);
    if (is_refusal(err))
        refused++;
    else if (err != OK || row != ROWS)
        fail_msg("byte %ld: the walk sees %d rows: %s", (long)at, row, err_name(err));
    kv_iter_free(&it);
    return refused;
}

static void test_rot_in_a_blob_file(void **state)
{
    struct kv_fixture *f = *state;
    off_t size;
    unsigned refused = 0;
    fill(f);
    assert_int_equal(read_all(f->kv, -1), 0);
    int fd = open_file(f, ".blob", &size);
    for (off_t at = 0; at < size; at++) {
        flip(fd, at);
        refused += read_all(f->kv, at) > 0;
        flip(fd, at);
    }
    assert_true(refused > strlen(values[1])); /* not one byte of what is stored as it came goes unnoticed */
    assert_int_equal(read_all(f->kv, -1), 0);
    close(fd);
}

/* Tables are read through a cache: opened anew for each byte, which takes long. So behind the rows only some
 * are tried. */
static void test_rot_in_a_table(void **state)
{
    struct kv_fixture *f = *state;
    struct kv_options options = fixture_options(f);
    off_t size;
    unsigned refused = 0;
    fill(f);
    int fd = open_file(f, ".sst", &size);
    kv_close(&f->kv);
    for (off_t at = 0; at < size; at += at < TABLE_FRONT ? 1 : TABLE_STRIDE) {
        flip(fd, at);
        enum err err = kv_open_rocksdb(&options, &f->kv);
        if (err == OK) {
            refused += read_all(f->kv, at) > 0;
            kv_close(&f->kv);
        } else {
            assert_true(is_refusal(err));
            refused++;
        }
        flip(fd, at);
    }
    close(fd);
    assert_true(refused > 0);
    assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK);
    assert_int_equal(read_all(f->kv, -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rot_in_a_blob_file, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_rot_in_a_table, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
