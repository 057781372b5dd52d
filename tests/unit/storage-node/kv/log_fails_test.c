/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th write or sync of the log's files fails, once, for every n of a run in which three threads use the
 * database as a storage node does: one writes entries and syncs, one writes without, one has buffers written
 * out. From then on no sync may be told a success; and what was is there when the database is opened after
 * the process has died. RocksDB writes and syncs through the functions of this program; each run is a
 * process.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "tests/unit/storage-node/kv/kv_test_util.h"

enum {
    FAILS_MAX = 24, /* n */
    ENTRIES = 400,
    ENTRY_SIZE = 16 << 10,
    STATE_SIZE = 64 << 10,
    PERSIST_EVERY_US = 2000,
    AFTERWARDS = 40, /* syncs that are tried, ... */
    PAUSE_US = 1000, /* ... with this between them: RocksDB goes on meanwhile */
};

/* How a run ended. */
enum { WELL, UNTRUE_SYNC = 10, NOTHING_FAILED, NOT_OPENED };

static struct shared {
    atomic_int acked; /* entries below it are on disk, the database said */
    atomic_int calls; /* writes and syncs of logs */
} * shared;

static int fail_at, fail_with; /* fixed before a run's threads */
static atomic_bool failed;

static bool is_log(int fd)
{
    char link[64], name[256];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, name, sizeof name);
    return len > 4 && memcmp(name + len - 4, ".log", 4) == 0;
}

/* This call is the one. */
static bool is_to_fail(int fd)
{
    if (fail_at == 0 || !is_log(fd) || atomic_fetch_add(&shared->calls, 1) + 1 != fail_at)
        return false;
    atomic_store(&failed, true);
    errno = fail_with;
    return true;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    return is_to_fail(fd) ? -1 : syscall(SYS_write, fd, bytes, count);
}

int fdatasync(int fd)
{
    return is_to_fail(fd) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return is_to_fail(fd) ? -1 : (int)syscall(SYS_fsync, fd);
}

/* ---- a run */

static struct kv *kv;
static atomic_bool over;

static enum err put_bytes(enum kv_family family, uint32_t number, size_t size)
{
    struct buf key = { 0 }, value = { 0 };
    struct kv_batch *b = kv_batch_new(kv);
    buf_add_be32(&key, number);
    memset(buf_reserve(&value, size), (int)number, size);
    value.len = size;
    kv_batch_put(b, family, buf_slice(&key), buf_slice(&value));
    enum err err = kv_write(kv, b);
    kv_batch_free(&b);
    buf_fini(&key);
    buf_fini(&value);
    return err;
}

static void *apply(void *arg)
{
    for (uint32_t i = 0; !atomic_load(&over) && put_bytes(KV_STATE, i, STATE_SIZE) == OK; i++)
        usleep(PAUSE_US);
    return NULL;
}

static void *persist(void *arg)
{
    while (!atomic_load(&over) && kv_persist(kv) == OK)
        usleep(PERSIST_EVERY_US);
    return NULL;
}

static bool is_untrue(void)
{
    bool before = atomic_load(&failed);
    return kv_sync(kv) == OK && before;
}

/* Entries until one is refused, and then some. */
static int commit_entries(void)
{
    for (int i = 0; i < ENTRIES; i++) {
        if (put_bytes(KV_LOG, (uint32_t)i, ENTRY_SIZE) != OK)
            break;
        bool before = atomic_load(&failed);
        if (kv_sync(kv) != OK)
            break;
        if (before)
            return UNTRUE_SYNC;
        atomic_store(&shared->acked, i + 1);
    }
    if (!atomic_load(&failed))
        return NOTHING_FAILED;
    for (int i = 0; i < AFTERWARDS; i++) {
        if (is_untrue())
            return UNTRUE_SYNC;
        usleep(PAUSE_US);
    }
    return WELL;
}

static int run(const struct kv_options *options)
{
    pthread_t threads[2];
    if (kv_open_rocksdb(options, &kv) != OK)
        return NOT_OPENED;
    pthread_create(&threads[0], NULL, apply, NULL);
    pthread_create(&threads[1], NULL, persist, NULL);
    int how = commit_entries();
    atomic_store(&over, true);
    return how; /* the process dies as it is */
}

static int run_in_a_process(const struct kv_options *options, int n, int with)
{
    int status;
    atomic_store(&shared->acked, 0);
    atomic_store(&shared->calls, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        fail_at = n;
        fail_with = with;
        _exit(run(options));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT)
        return WELL; /* RocksDB asserts that nobody writes on after some failures: so nobody does */
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void assert_all_there(const struct kv_options *options)
{
    struct buf key = { 0 };
    assert_int_equal(kv_open_rocksdb(options, &kv), OK);
    for (int i = 0; i < atomic_load(&shared->acked); i++) {
        struct kv_value value = { 0 };
        buf_clear(&key);
        buf_add_be32(&key, (uint32_t)i);
        assert_int_equal(kv_get(kv, NULL, KV_LOG, buf_slice(&key), &value), OK);
        assert_int_equal(value.bytes.len, ENTRY_SIZE);
        kv_value_release(&value);
    }
    kv_close(&kv);
    buf_fini(&key);
}

static void remove_folder(const char *path)
{
    char *command = xasprintf("rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    free(command);
}

static void fail_each(int with)
{
    for (int n = 1; n <= FAILS_MAX; n++) {
        struct kv_fixture f = { 0 };
        snprintf(f.path, sizeof f.path, "/tmp/kv_test.XXXXXX");
        assert_non_null(mkdtemp(f.path));
        struct kv_options options = fixture_options(&f);
        options.memory_limit = 0; /* the least: much is written out */
        int how = run_in_a_process(&options, n, with);
        if (how != WELL)
            fail_msg("call %d of the log failed with \"%s\": the run ended as %d", n, strerror(with), how);
        assert_all_there(&options);
        remove_folder(f.path);
    }
}

static void test_a_full_disk(void **state)
{
    fail_each(ENOSPC);
}

static void test_a_disk_that_fails(void **state)
{
    fail_each(EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_a_disk_that_fails),
    };
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
