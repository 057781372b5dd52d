/* SPDX-License-Identifier: Apache-2.0 */
/* RocksDB's checksum by the program's function; and all is well, if slower, with a librocksdb that keeps to
 * its own. */
#include "storage-node/kv/rocks_crc.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <rocksdb/c.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "tests/unit/storage-node/kv/kv_test_util.h"

enum { BODY_SIZE = 8192 }; /* into a blob file */

static const char OWN_OPTION[] = "--own-checksums"; /* what this program is called with by itself */

static const char *program;

/* First of all: nobody has called it but who opens a database. */
static void test_rocksdb_calls_it(void **state)
{
    assert_false(rocks_crc_was_called());
    assert_int_equal(setup_rocks(state), 0);
    assert_true(rocks_crc_was_called());
    assert_int_equal(teardown(state), 0);
}

/* RFC 3720 B.4, and the check value of CRC catalogues. */
static void test_known(void **state)
{
    char bytes[32];
    assert_int_equal(rocks_crc_extend(0, "", 0), 0);
    assert_int_equal(rocks_crc_extend(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(rocks_crc_extend(0, bytes, sizeof bytes), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(rocks_crc_extend(0, bytes, sizeof bytes), 0x62a8ab43);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    assert_int_equal(rocks_crc_extend(0, bytes, sizeof bytes), 0x46dd794e);
}

/* As RocksDB computes it, at every length and place; byte by byte too. */
static void test_as_rocksdb(void **state)
{
    enum { SIZE = 2100 };
    uint32_t (*theirs)(uint32_t crc, const char *data, size_t len);
    void *found = dlsym(RTLD_NEXT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
    assert_non_null(found);
    memcpy(&theirs, &found, sizeof theirs);
    assert_true(theirs != rocks_crc_extend);
    char *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 31 + i / 7);
    uint32_t one_by_one = 0;
    for (size_t len = 0; len < SIZE; len++) {
        const char *end = bytes + SIZE - len; /* a read behind it would be seen */
        assert_int_equal(rocks_crc_extend(0, bytes, len), theirs(0, bytes, len));
        assert_int_equal(rocks_crc_extend((uint32_t)len, end, len), theirs((uint32_t)len, end, len));
        assert_int_equal(one_by_one, theirs(0, bytes, len));
        one_by_one = rocks_crc_extend(one_by_one, bytes + len, 1);
    }
    free(bytes);
}

/* ---- a library that binds its own function */

static const char *make_body(char body[BODY_SIZE])
{
    for (size_t i = 0; i < BODY_SIZE - 1; i++)
        body[i] = (char)('a' + i * 7 % 26);
    body[BODY_SIZE - 1] = '\0';
    return body;
}

static void put_body(struct kv *kv, const char *key)
{
    char body[BODY_SIZE];
    put(kv, KV_BODY, key, make_body(body));
    assert_int_equal(kv_sync(kv), OK);
}

static bool has_body(struct kv *kv, const char *key)
{
    char body[BODY_SIZE];
    struct kv_value v;
    enum err err = kv_get(kv, NULL, KV_BODY, slice_str(key), &v);
    bool whole = err == OK && slice_eq_str(v.bytes, make_body(body));
    kv_value_release(&v);
    return whole;
}

/* In the other process: what is there is read, and more is written. */
static int run_with_own(const char *path)
{
    struct kv_fixture f = { 0 };
    snprintf(f.path, sizeof f.path, "%s", path);
    struct kv_options options = fixture_options(&f);
    if (kv_open_rocksdb(&options, &f.kv) != OK)
        return 2;
    if (!has_body(f.kv, "ours"))
        return 3;
    put_body(f.kv, "theirs");
    if (kv_persist(f.kv) != OK || !has_body(f.kv, "theirs"))
        return 4;
    kv_close(&f.kv);
    return rocks_crc_was_called() ? 5 : 0;
}

/* Have the dynamic linker look for what the library calls in the library first, as with -Bsymbolic. The entry
 * that goes for it only saves time. */
static void make_symbolic(struct buf *file)
{
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)file->data;
    const ElfW(Phdr) *segments = (const ElfW(Phdr) *)(file->data + head->e_phoff);
    for (size_t i = 0; i < head->e_phnum; i++) {
        ElfW(Dyn) *entry = (ElfW(Dyn) *)(file->data + segments[i].p_offset);
        for (size_t k = 0; segments[i].p_type == PT_DYNAMIC && entry[k].d_tag != DT_NULL; k++) {
            if (entry[k].d_tag == DT_RELACOUNT) {
                entry[k] = (ElfW(Dyn)){ .d_tag = DT_SYMBOLIC };
                return;
            }
        }
    }
    fail_msg("no entry to give up");
}

/* A symbolic copy of the librocksdb in use, in `folder`. */
static void copy_library(const char *folder)
{
    Dl_info used;
    void *function = dlsym(RTLD_DEFAULT, "rocksdb_open");
    assert_true(function != NULL && dladdr(function, &used) != 0);
    struct buf bytes = { 0 };
    struct stat st;
    FILE *in = fopen(used.dli_fname, "r");
    assert_non_null(in);
    assert_int_equal(fstat(fileno(in), &st), 0);
    assert_int_equal(fread(buf_reserve(&bytes, (size_t)st.st_size), 1, (size_t)st.st_size, in), st.st_size);
    bytes.len = (size_t)st.st_size;
    fclose(in);
    make_symbolic(&bytes);
    char *path = xasprintf("%s/%s", folder, strrchr(used.dli_fname, '/') + 1);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes.data, 1, bytes.len, out), bytes.len);
    assert_int_equal(fclose(out), 0);
    free(path);
    buf_fini(&bytes);
}

static void test_works_without(void **state)
{
    struct kv_fixture *f = *state;
    put_body(f->kv, "ours");
    assert_int_equal(kv_persist(f->kv), OK);
    kv_close(&f->kv);
    char folder[] = "/tmp/crc_test.XXXXXX";
    assert_non_null(mkdtemp(folder));
    copy_library(folder);
    char *command = xasprintf("LD_LIBRARY_PATH='%s' '%s' %s '%s'; status=$?; rm -r '%s'; exit $status",
                              folder, program, OWN_OPTION, f->path, folder);
    int status = system(command);
    free(command);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    struct kv_options options = fixture_options(f);
    assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK);
    assert_true(has_body(f->kv, "ours") && has_body(f->kv, "theirs"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rocksdb_calls_it),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_as_rocksdb),
        cmocka_unit_test_setup_teardown(test_works_without, setup_rocks, teardown),
    };
    if (argc == 3 && strcmp(argv[1], OWN_OPTION) == 0)
        return run_with_own(argv[2]);
    program = argv[0];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
