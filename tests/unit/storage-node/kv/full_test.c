/* SPDX-License-Identifier: Apache-2.0 */
/* The disk is full for a moment as something is written to the log's file, and then it is not: what was lost
 * on the way there is never told to be on disk. RocksDB writes through `write` of this program. */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "tests/unit/storage-node/kv/kv_test_util.h"

enum {
    LARGE = 4 << 20, /* more than RocksDB keeps before it writes to the log's file */
    PATIENCE_MS = 30 * 1000,
    RECOVERS_WITHIN_MS = 1000,
    GOES_ON_WITHIN_MS = 50, /* with the other log */
};

static atomic_bool full;
static atomic_int refused;
static atomic_bool held; /* who was refused does not get on, whatever it would write next */
static _Thread_local bool was_refused;

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
        was_refused = true;
        errno = ENOSPC;
        return -1;
    }
    while (was_refused && fd == STDERR_FILENO && atomic_load(&held))
        usleep(1000);
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

static void *put_large_held(void *kv)
{
    enum err err = put_large(kv);
    return (void *)(uintptr_t)err;
}

/* RocksDB begins another when it goes on. */
static int count_logs(const struct kv_fixture *f)
{
    int count = 0;
    DIR *dir = opendir(f->path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        size_t len = strlen(e->d_name);
        count += len > 4 && strcmp(e->d_name + len - 4, ".log") == 0;
    }
    closedir(dir);
    return count;
}

/* The same, and whose write it was is not on the processor before RocksDB goes on. */
static void nor_while_the_writer_has_not_heard(void **state)
{
    struct kv_fixture *f = *state;
    pthread_t writer;
    void *err;
    atomic_store(&refused, 0);
    put(f->kv, KV_LOG, "entry", "1");
    was_refused = false; /* this thread, in another test */
    atomic_store(&held, true);
    atomic_store(&full, true);
    assert_int_equal(pthread_create(&writer, NULL, put_large_held, f->kv), 0);
    for (int ms = 0; ms < PATIENCE_MS && atomic_load(&refused) == 0; ms++) /* it, and not our sync */
        usleep(1000);
    assert_int_equal(atomic_load(&refused), 1);
    for (int ms = 0; ms < RECOVERS_WITHIN_MS && count_logs(f) < 2; ms++)
        usleep(1000);
    usleep(GOES_ON_WITHIN_MS * 1000);
    enum err synced = kv_sync(f->kv);
    atomic_store(&held, false);
    assert_int_equal(pthread_join(writer, &err), 0);
    assert_int_equal(synced, ERR_NO_SPACE);
    assert_int_equal((enum err)(uintptr_t)err, ERR_NO_SPACE);
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
        cmocka_unit_test_setup_teardown(nor_while_the_writer_has_not_heard, setup_rocks, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
