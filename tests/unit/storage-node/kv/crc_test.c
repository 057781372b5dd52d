/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/kv/rocks_crc.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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
    void *rocksdb = dlopen("librocksdb.so.7.8", RTLD_LAZY | RTLD_NOLOAD);
    assert_non_null(rocksdb);
    void *found = dlsym(rocksdb, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
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
    dlclose(rocksdb);
}

static void test_rocksdb_calls_it(void **state)
{
    assert_true(rocks_crc_is_used());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_as_rocksdb),
        cmocka_unit_test(test_rocksdb_calls_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
