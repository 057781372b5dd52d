/* SPDX-License-Identifier: Apache-2.0 */
/* The disk is full for a moment as something is written to the log's file, and then it is not: what was lost
 * on the way there is never told to be on disk. RocksDB writes through `write` of this program. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "tests/unit/storage-node/kv/kv_test_util.h"

enum {
    LARGE = 4 << 20, /* more than RocksDB keeps before it writes to the log's file */
    RECOVERS_WITHIN_MS = 1000,
};

static atomic_bool full;
static atomic_int refused;

static bool is_log(int fd)
{
    char link[64], name[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, name, sizeof name);
    return len > 4 && memcmp(name + len - 4, ".log", 4) == 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    if (atomic_load(&full) && is_log(fd)) {
        atomic_store(&full, false);
        atomic_fetch_add(&refused, 1);
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_write, fd, bytes, count);
}

static enum err put_large(struct kv *kv)
{
    struct buf value = { 0 };
    struct kv_batch *b = kv_batch_new(kv);
    for (size_t i = 0; i < LARGE; i++)
        buf_add_byte(&value, (uint8_t)i);
    kv_batch_put(b, KV_STATE, S("large"), buf_slice(&value));
    enum err err = kv_write(kv, b);
    kv_batch_free(&b);
    buf_fini(&value);
    return err;
}

/* Somebody else's write fails, and RocksDB goes on by itself as soon as there is room. */
static void no_sync_is_true_after_a_failed_write(void **state)
{
    struct kv_fixture *f = *state;
    atomic_store(&refused, 0);
    put(f->kv, KV_LOG, "entry", "1");
    atomic_store(&full, true);
    assert_int_equal(put_large(f->kv), ERR_NO_SPACE);
    assert_int_equal(atomic_load(&refused), 1);
    for (int ms = 0; ms < RECOVERS_WITHIN_MS; ms++) {
        assert_int_equal(kv_sync(f->kv), ERR_NO_SPACE);
        usleep(1000);
    }
}

static void a_sync_that_fails_is_told(void **state)
{
    struct kv_fixture *f = *state;
    atomic_store(&refused, 0);
    put(f->kv, KV_LOG, "entry", "1");
    atomic_store(&full, true);
    assert_int_equal(kv_sync(f->kv), ERR_NO_SPACE);
    assert_int_equal(atomic_load(&refused), 1);
    assert_int_equal(kv_sync(f->kv), ERR_NO_SPACE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sync_that_fails_is_told, setup_rocks, teardown),
        cmocka_unit_test_setup_teardown(no_sync_is_true_after_a_failed_write, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
