/* SPDX-License-Identifier: Apache-2.0 */
/* A table goes bad, and RocksDB meets it as it merges: nothing can be written any more. The next opening
 * takes the table out, loses what cannot be read and nothing else (P9). */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "storage-node/kv/rocks_priv.h"
#include "tests/unit/storage-node/kv/kv_test_util.h"

enum {
    GROUPS = 5,
    LOST_GROUP = 3,
    ROWS = 100, /* of a group: many blocks */
    VALUE_BYTES = 1500,
    FLUSHES = 12,      /* RocksDB merges after four, ... */
    FLUSHES_MAX = 300, /* ... as soon as its thread has a processor */
    WAIT_US = 100000,
};

struct state {
    struct kv_fixture *f;
    uint32_t lost[GROUPS];
    size_t lost_count;
};

static void row_key(uint32_t group, uint32_t row, struct buf *out)
{
    buf_clear(out);
    buf_add_be32(out, group);
    buf_add_be32(out, row);
}

/* Noise, so that it lies in the file as it is. */
static void row_value(uint32_t group, uint32_t row, uint32_t version, struct buf *out)
{
    uint32_t state = group * 7919 + row * 104729 + version * 15485863 + 1;
    buf_clear(out);
    for (size_t i = 0; i < VALUE_BYTES; i++) {
        state = state * 1103515245 + 12345;
        buf_add_byte(out, (uint8_t)(state >> 16));
    }
}

/* Row r of a group has version 2 if r is even, is deleted if r % 4 is 1, else version 1. */
static uint32_t expected_version(uint32_t row)
{
    return row % 2 == 0 ? 2 : row % 4 == 1 ? 0 : 1;
}

static void write_rows(struct kv *kv, enum kv_family family, uint32_t version)
{
    struct kv_batch *b = kv_batch_new(kv);
    struct buf key = { 0 }, value = { 0 };
    for (uint32_t i = 0; i < GROUPS * ROWS; i++) {
        uint32_t group = i / ROWS + 1, row = i % ROWS;
        row_key(group, row, &key);
        row_value(group, row, version, &value);
        if (version == 1 || row % 2 == 0)
            kv_batch_put(b, family, buf_slice(&key), buf_slice(&value));
        else if (expected_version(row) == 0)
            kv_batch_delete(b, family, buf_slice(&key));
    }
    assert_int_equal(kv_write(kv, b), OK);
    assert_int_equal(kv_persist(kv), OK);
    kv_batch_free(&b);
    buf_fini(&key);
    buf_fini(&value);
}

static bool is_lost(const struct state *s, uint32_t group)
{
    for (size_t i = 0; i < s->lost_count; i++) {
        if (s->lost[i] == group)
            return true;
    }
    return false;
}

static void check_rows(struct kv *kv, enum kv_family family, const struct state *s)
{
    struct buf key = { 0 }, want = { 0 };
    for (uint32_t i = 0; i < GROUPS * ROWS; i++) {
        uint32_t group = i / ROWS + 1, row = i % ROWS;
        struct kv_value got = { 0 };
        if (is_lost(s, group))
            continue;
        row_key(group, row, &key);
        row_value(group, row, expected_version(row), &want);
        enum err err = kv_get(kv, NULL, family, buf_slice(&key), &got);
        if (err != (expected_version(row) == 0 ? ERR_NOT_FOUND : OK))
            fail_msg("row %u of group %u: %s", row, group, err_name(err));
        assert_true(err != OK || slice_eq(got.bytes, buf_slice(&want)));
        kv_value_release(&got);
    }
    buf_fini(&key);
    buf_fini(&want);
}

/* Change one byte of that value in whichever table or file of bodies has it. */
static void flip(const struct kv_fixture *f, const char *end, struct slice value)
{
    int flipped = 0;
    DIR *dir = opendir(f->path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (strstr(e->d_name, end) == NULL)
            continue;
        int fd = openat(dirfd(dir), e->d_name, O_RDWR);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        uint8_t *bytes = xmalloc((size_t)st.st_size);
        assert_int_equal(read(fd, bytes, (size_t)st.st_size), st.st_size);
        uint8_t *at = memmem(bytes, (size_t)st.st_size, value.data, value.len);
        if (at != NULL) {
            uint8_t other = (uint8_t)~at[value.len / 2];
            assert_int_equal(pwrite(fd, &other, 1, at - bytes + (off_t)value.len / 2), 1);
            flipped++;
        }
        free(bytes);
        close(fd);
    }
    closedir(dir);
    assert_int_equal(flipped, 1);
}

/* Small tables, until RocksDB has merged; the error of the first write that failed. */
static enum err provoke(struct kv *kv, enum kv_family family, int flushes, bool waits)
{
    for (int i = 0; i < flushes; i++) {
        struct kv_batch *b = kv_batch_new(kv);
        kv_batch_put(b, family, SLICE_LIT("\0\0\0\1zzz"), SLICE_LIT("low"));
        kv_batch_put(b, family, SLICE_LIT("\0\0\0\5zzz"), SLICE_LIT("high"));
        enum err err = kv_write(kv, b);
        kv_batch_free(&b);
        if (err == OK)
            err = kv_persist(kv);
        if (err != OK)
            return err;
        if (i > 2 && waits)
            usleep(WAIT_US);
    }
    return OK;
}

static enum err on_lost(void *arg, struct kv *kv, uint32_t group)
{
    struct state *s = arg;
    assert_true(s->lost_count < GROUPS);
    s->lost[s->lost_count++] = group;
    put(kv, KV_META, "lost", "yes");
    return kv_sync(kv);
}

static enum err reopen(struct state *s)
{
    struct kv_options options = fixture_options(s->f);
    options.on_lost = on_lost;
    options.arg = s;
    kv_close(&s->f->kv);
    return kv_open_rocksdb(&options, &s->f->kv);
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(name, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static unsigned long newest_table(const struct kv_fixture *f)
{
    unsigned long newest = 0;
    DIR *dir = opendir(f->path);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        char *rest;
        unsigned long number = strtoul(e->d_name, &rest, 10);
        if (strcmp(rest, ".sst") == 0 && number > newest)
            newest = number;
    }
    closedir(dir);
    return newest;
}

/* As after a merge that met it. */
static void note(const struct kv_fixture *f, unsigned long table)
{
    char *name = xasprintf("%s/damaged-tables", f->path), *text = xasprintf("%lu\n", table);
    write_file(name, text);
    free(name);
    free(text);
}

static bool is_noted(const struct kv_fixture *f)
{
    char *name = xasprintf("%s/damaged-tables", f->path);
    bool there = access(name, F_OK) == 0;
    free(name);
    return there;
}

/* Damage the row of that version in the middle of LOST_GROUP, and see it through. */
static void damage_and_mend(struct state *s, enum kv_family family, uint32_t row, uint32_t version)
{
    struct buf value = { 0 };
    row_value(LOST_GROUP, row, version, &value);
    assert_int_equal(reopen(s), OK); /* nothing is cached */
    flip(s->f, ".sst", buf_slice(&value));
    buf_fini(&value);
    assert_int_equal(provoke(s->f->kv, family, FLUSHES_MAX, true), ERR_CORRUPT);
    assert_true(is_noted(s->f));
    assert_int_equal(reopen(s), OK);
    assert_false(is_noted(s->f));
    assert_int_equal(s->lost_count, 1);
    assert_int_equal(s->lost[0], LOST_GROUP);
    expect(s->f->kv, NULL, KV_META, "lost", "yes");
    check_rows(s->f->kv, family, s);
    assert_int_equal(provoke(s->f->kv, family, FLUSHES, false), OK);
    assert_int_equal(reopen(s), OK);
    check_rows(s->f->kv, family, s);
    assert_int_equal(s->lost_count, 1);
}

/* Level 0, and the damaged table has newer rows and marks of deletion over another one. */
static void test_newest_table(void **state)
{
    struct state s = { .f = *state };
    write_rows(s.f->kv, KV_STATE, 1);
    write_rows(s.f->kv, KV_STATE, 2);
    check_rows(s.f->kv, KV_STATE, &s);
    damage_and_mend(&s, KV_STATE, ROWS / 2, 2);
}

static void test_older_table(void **state)
{
    struct state s = { .f = *state };
    write_rows(s.f->kv, KV_STATE, 1);
    write_rows(s.f->kv, KV_STATE, 2);
    damage_and_mend(&s, KV_STATE, ROWS / 2 + 1, 1);
}

/* A table of the lowest level, once all was merged. */
static void test_merged_table(void **state)
{
    struct state s = { .f = *state };
    write_rows(s.f->kv, KV_STATE, 1);
    write_rows(s.f->kv, KV_STATE, 2);
    assert_int_equal(provoke(s.f->kv, KV_STATE, FLUSHES, true), OK);
    damage_and_mend(&s, KV_STATE, ROWS / 2, 2);
}

/* The node's own rows can be had from nobody. */
static void test_own_rows_are_not_given_up(void **state)
{
    struct state s = { .f = *state };
    struct buf key = { 0 }, value = { 0 };
    struct kv_batch *b = kv_batch_new(s.f->kv);
    for (uint32_t row = 0; row < ROWS; row++) {
        row_key(LOST_GROUP, row, &key);
        row_value(LOST_GROUP, row, 1, &value);
        kv_batch_put(b, KV_META, buf_slice(&key), buf_slice(&value));
    }
    assert_int_equal(kv_write(s.f->kv, b), OK);
    kv_batch_free(&b);
    assert_int_equal(reopen(&s), OK); /* opening writes the log's rows into tables */
    row_value(LOST_GROUP, ROWS / 2, 1, &value);
    kv_close(&s.f->kv);
    flip(s.f, ".sst", buf_slice(&value));
    note(s.f, newest_table(s.f));
    struct kv_options options = fixture_options(s.f);
    options.on_lost = on_lost;
    options.arg = &s;
    assert_int_equal(kv_open_rocksdb(&options, &s.f->kv), ERR_CORRUPT);
    assert_int_equal(s.lost_count, 0);
    assert_true(is_noted(s.f)); /* it will not start so again either */
    options.on_lost = NULL;
    assert_int_equal(kv_open_rocksdb(&options, &s.f->kv), OK); /* for the teardown */
    buf_fini(&key);
    buf_fini(&value);
}

/* A record of RocksDB's list may have to be cut at the end of a block. */
static void test_record_at_the_end_of_a_block(void **state)
{
    enum { BLOCK = 32 << 10, AROUND = 24, HEAD = 7, SIZE_MAX_ = BLOCK + 64 };
    static const uint8_t change[] = { 6, 2, 0x81, 1, 0xc8, 1, 3 }; /* level 2, table 129, family 3 */
    struct kv_fixture *f = *state;
    struct rocks_table table = { .number = 129, .family = 3, .level = 2 };
    uint8_t *bytes = xmalloc(SIZE_MAX_);
    kv_close(&f->kv);
    char *list = xasprintf("%s/MANIFEST-1", f->path), *current = xasprintf("%s/CURRENT", f->path);
    write_file(current, "MANIFEST-1\n");
    for (int size = BLOCK - AROUND; size <= BLOCK + 1; size++) {
        write_file(list, "");
        assert_int_equal(truncate(list, size), 0);
        assert_int_equal(rocks_manifest_drop(f->path, &table), OK);
        int fd = open(list, O_RDONLY);
        ssize_t len = pread(fd, bytes, SIZE_MAX_, 0);
        uint8_t got[sizeof change];
        size_t have = 0, at = (size_t)size;
        close(fd);
        if (BLOCK - size % BLOCK < HEAD)
            at = BLOCK;
        for (int piece = 0; have < sizeof change; piece++) {
            size_t piece_len = bytes[at + 4] | (size_t)bytes[at + 5] << 8;
            bool whole = piece == 0 && piece_len == sizeof change;
            assert_int_equal(bytes[at + 6], whole ? 1 : piece == 0 ? 2 : 4);
            assert_true(have + piece_len <= sizeof change);
            memcpy(got + have, bytes + at + HEAD, piece_len);
            have += piece_len;
            at += HEAD + piece_len;
        }
        assert_int_equal(at, len);
        assert_memory_equal(got, change, sizeof change);
    }
    free(bytes);
    free(list);
    free(current);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_newest_table, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_older_table, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_merged_table, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_own_rows_are_not_given_up, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(test_record_at_the_end_of_a_block, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
