/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "director/coordination/embedded.h"
#include "lib/base/buf.h"

/* What the watcher saw, as lines "key=value@revision" or "key-@revision". */
struct seen {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct buf lines;
    size_t done_count;
    enum err result;
    uint64_t revision;
};

static char folder[64];

static void on_change(const struct coordination_row *rows, size_t count, uint64_t revision, void *arg)
{
    struct seen *seen = arg;
    pthread_mutex_lock(&seen->lock);
    for (size_t i = 0; i < count; i++) {
        buf_addf(&seen->lines, rows[i].deleted ? "%.*s-%.*s@%d\n" : "%.*s=%.*s@%d\n", SLICE_FMT(rows[i].key),
                 SLICE_FMT(rows[i].value), (int)rows[i].mod);
        assert_true(rows[i].mod <= revision);
    }
    pthread_mutex_unlock(&seen->lock);
}

static void on_done(struct coordination_txn *txn, enum err result, uint64_t revision, void *arg)
{
    struct seen *seen = arg;
    pthread_mutex_lock(&seen->lock);
    seen->result = result;
    seen->revision = revision;
    seen->done_count++;
    pthread_cond_signal(&seen->wake);
    pthread_mutex_unlock(&seen->lock);
}

static struct coordination *open_store(struct seen *seen)
{
    struct coordination *c = NULL;
    uint64_t revision;
    *seen = (struct seen){ .lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER };
    assert_int_equal(embedded_open(folder, &c), OK);
    struct coordination_watcher watcher = { .on_change = on_change, .arg = seen };
    assert_int_equal(coordination_load(c, &watcher, &revision), OK);
    return c;
}

static void wait_done(struct seen *seen, size_t count)
{
    pthread_mutex_lock(&seen->lock);
    while (seen->done_count < count)
        pthread_cond_wait(&seen->wake, &seen->lock);
    pthread_mutex_unlock(&seen->lock);
}

static enum err run_txn(struct coordination *c, struct seen *seen, struct coordination_change *changes,
                        size_t count)
{
    struct coordination_txn txn = { .changes = changes, .count = count, .done = on_done, .arg = seen };
    size_t before = seen->done_count;
    enum err err = coordination_submit(c, &txn);
    if (err != OK)
        return err;
    wait_done(seen, before + 1);
    return seen->result;
}

static enum err put(struct coordination *c, struct seen *seen, const char *key, uint64_t expected,
                    const char *value)
{
    struct coordination_change change = { slice_str(key), expected, COORDINATION_PUT, slice_str(value) };
    return run_txn(c, seen, &change, 1);
}

static int setup(void **state)
{
    strcpy(folder, "/tmp/embedded_test_XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int teardown(void **state)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void test_reopen(void **state)
{
    struct seen seen;
    struct coordination *c = open_store(&seen);
    assert_int_equal(put(c, &seen, "a", 0, "1"), OK);
    assert_int_equal(put(c, &seen, "b", 0, "2"), OK);
    assert_int_equal(put(c, &seen, "a", 1, "3"), OK);
    struct coordination *second = NULL;
    assert_int_equal(embedded_open(folder, &second), ERR_IN_USE);
    coordination_close(&c);
    buf_fini(&seen.lines);
    c = open_store(&seen);
    assert_string_equal(buf_cstr(&seen.lines), "a=3@3\nb=2@2\n");
    assert_int_equal(put(c, &seen, "a", 3, "4"), OK);
    assert_int_equal(seen.revision, 4);
    coordination_close(&c);
    buf_fini(&seen.lines);
}

/* A child counts up one row and tells, in shared memory, what was answered; it is killed. Nothing answered
 * may be missing. */
static void count_for_ever(volatile uint64_t *answered)
{
    struct seen seen;
    struct coordination *c = open_store(&seen);
    for (uint64_t n = 1;; n++) {
        char value[32];
        snprintf(value, sizeof value, "%d", (int)n);
        if (put(c, &seen, "n", n - 1, value) != OK)
            _exit(9);
        *answered = n;
    }
}

static void test_kill(void **state)
{
    uint64_t *answered = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(answered != MAP_FAILED);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        count_for_ever(answered);
    while (*(volatile uint64_t *)answered < 50)
        usleep(1000);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFSIGNALED(status));
    struct seen seen;
    struct coordination *c = open_store(&seen);
    int value = 0, mod = 0;
    assert_int_equal(sscanf(buf_cstr(&seen.lines), "n=%d@%d", &value, &mod), 2);
    assert_true((uint64_t)value >= *answered && (uint64_t)value <= *answered + 1);
    assert_int_equal(mod, value);
    coordination_close(&c);
    buf_fini(&seen.lines);
    munmap(answered, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kill, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
