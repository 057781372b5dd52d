/* SPDX-License-Identifier: Apache-2.0 */
/* Writing past the log: what is there at once, and what after a process or the power has gone. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/storage-node/kv/kv_test_util.h"

static void put_unlogged(struct kv *kv, enum kv_family family, const char *key, const char *value)
{
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_put(b, family, slice_str(key), slice_str(value));
    assert_int_equal(kv_write_unlogged(kv, b), OK);
    kv_batch_free(&b);
}

static void delete_range(struct kv *kv, enum kv_family family, const char *from, const char *to)
{
    struct kv_batch *b = kv_batch_new(kv);
    kv_batch_delete_range(b, family, slice_str(from), slice_str(to));
    assert_int_equal(kv_write(kv, b), OK);
    assert_int_equal(kv_sync(kv), OK);
    kv_batch_free(&b);
}

static void test_visible_at_once(void **state)
{
    struct kv *kv = ((struct kv_fixture *)*state)->kv;
    put(kv, KV_STATE, "a", "1");
    put_unlogged(kv, KV_STATE, "a", "2");
    put_unlogged(kv, KV_BODY, "b", "2");
    expect(kv, NULL, KV_STATE, "a", "2");
    expect(kv, NULL, KV_BODY, "b", "2");
    assert_int_equal(kv_persist(kv), OK);
    put(kv, KV_STATE, "a", "3");
    expect(kv, NULL, KV_STATE, "a", "3");
    expect(kv, NULL, KV_BODY, "b", "2");
}

/* ---- RocksDB: a process that is killed */

static int setup_folder(void **state)
{
    struct kv_fixture *f = NEW(struct kv_fixture);
    snprintf(f->path, sizeof f->path, "/tmp/kv_test.XXXXXX");
    *state = f;
    return mkdtemp(f->path) == NULL ? -1 : 0;
}

static void act_persist(struct kv *kv)
{
    put(kv, KV_META, "mark", "1");
    assert_int_equal(kv_sync(kv), OK);
    put_unlogged(kv, KV_STATE, "a", "1");
    put_unlogged(kv, KV_BODY, "b", "1");
    assert_int_equal(kv_persist(kv), OK);
    put_unlogged(kv, KV_STATE, "c", "1");
    put(kv, KV_STATE, "d", "1");
    assert_int_equal(kv_sync(kv), OK);
}

static void act_delete(struct kv *kv)
{
    put(kv, KV_STATE, "a", "1");
    put_unlogged(kv, KV_STATE, "b", "1");
    delete_range(kv, KV_STATE, "a", "z");
    put_unlogged(kv, KV_STATE, "c", "1");
    assert_int_equal(kv_persist(kv), OK);
}

static void act_delete_last(struct kv *kv)
{
    put_unlogged(kv, KV_STATE, "a", "1");
    assert_int_equal(kv_persist(kv), OK);
    put_unlogged(kv, KV_STATE, "b", "1");
    delete_range(kv, KV_STATE, "a", "z");
}

static const struct {
    const char *name;
    void (*act)(struct kv *kv);
} acts[] = { { "persist", act_persist }, { "delete", act_delete }, { "delete-last", act_delete_last } };

/* In a process of its own: never returns. */
static int act_and_die(const char *path, const char *name)
{
    struct kv_fixture f = { 0 };
    snprintf(f.path, sizeof f.path, "%s", path);
    struct kv_options options = fixture_options(&f);
    struct kv *kv;
    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        if (strcmp(acts[i].name, name) != 0 || kv_open_rocksdb(&options, &kv) != OK)
            continue;
        acts[i].act(kv);
        kill(getpid(), SIGKILL);
    }
    return 1;
}

/* The database as a process leaves it that acts on it and is killed. */
static struct kv *killed_after(struct kv_fixture *f, const char *name)
{
    struct kv_options options = fixture_options(f);
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/proc/self/exe", "unlogged_test", f->path, name, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(kv_open_rocksdb(&options, &f->kv), OK);
    return f->kv;
}

static void test_killed_but_persisted(void **state)
{
    struct kv *kv = killed_after(*state, "persist");
    expect(kv, NULL, KV_META, "mark", "1");
    expect(kv, NULL, KV_STATE, "a", "1");
    expect(kv, NULL, KV_BODY, "b", "1");
    expect(kv, NULL, KV_STATE, "c", NULL); /* nothing has it */
    expect(kv, NULL, KV_STATE, "d", "1");
}

/* The log and what goes past it have one order. */
static void test_deletes_are_of_their_moment(void **state)
{
    struct kv *kv = killed_after(*state, "delete");
    expect(kv, NULL, KV_STATE, "a", NULL);
    expect(kv, NULL, KV_STATE, "b", NULL);
    expect(kv, NULL, KV_STATE, "c", "1");
    kv_close(&((struct kv_fixture *)*state)->kv);
    kv = killed_after(*state, "delete-last");
    expect(kv, NULL, KV_STATE, "a", NULL);
    expect(kv, NULL, KV_STATE, "b", NULL);
}

/* ---- in memory: the worst that may happen */

static void test_crash_takes_what_was_not_persisted(void **state)
{
    struct kv *kv = ((struct kv_fixture *)*state)->kv;
    put_unlogged(kv, KV_STATE, "a", "1");
    put(kv, KV_STATE, "b", "1");
    assert_int_equal(kv_persist(kv), OK);
    put_unlogged(kv, KV_STATE, "a", "2");
    put(kv, KV_STATE, "b", "2");
    put_unlogged(kv, KV_STATE, "b", "3");
    put(kv, KV_STATE, "c", "2");
    assert_int_equal(kv_sync(kv), OK);
    put(kv, KV_STATE, "c", "3");
    kv_mem_crash(kv, 0);
    expect(kv, NULL, KV_STATE, "a", "1");
    expect(kv, NULL, KV_STATE, "b", "2"); /* the log has it */
    expect(kv, NULL, KV_STATE, "c", "2");
}

static void test_crash_keeps_families_apart(void **state)
{
    struct kv *kv = ((struct kv_fixture *)*state)->kv;
    put_unlogged(kv, KV_STATE, "a", "1");
    put_unlogged(kv, KV_BODY, "a", "1");
    put_unlogged(kv, KV_BODY, "b", "1");
    kv_mem_flush(kv, KV_BODY, 2); /* of the first, with no row of the family, and the second */
    put_unlogged(kv, KV_BODY, "a", "2");
    kv_mem_crash(kv, 0);
    expect(kv, NULL, KV_STATE, "a", NULL);
    expect(kv, NULL, KV_BODY, "a", "1");
    expect(kv, NULL, KV_BODY, "b", NULL);
    kv_mem_crash(kv, 0);
    expect(kv, NULL, KV_BODY, "a", "1");
}

static void test_crash_after_a_delete(void **state)
{
    struct kv *kv = ((struct kv_fixture *)*state)->kv;
    put_unlogged(kv, KV_STATE, "a", "1");
    delete_range(kv, KV_STATE, "a", "z");
    put_unlogged(kv, KV_STATE, "b", "1");
    kv_mem_flush(kv, KV_STATE, 2);
    kv_mem_crash(kv, 0);
    expect(kv, NULL, KV_STATE, "a", NULL);
    expect(kv, NULL, KV_STATE, "b", "1");
}

int main(int argc, char **argv)
{
    if (argc == 3)
        return act_and_die(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {
        ON_BOTH(test_visible_at_once),
        cmocka_unit_test_setup_teardown(test_killed_but_persisted, setup_folder, teardown),
        cmocka_unit_test_setup_teardown(test_deletes_are_of_their_moment, setup_folder, teardown),
        cmocka_unit_test_setup_teardown(test_crash_takes_what_was_not_persisted, setup_mem, teardown),
        cmocka_unit_test_setup_teardown(test_crash_keeps_families_apart, setup_mem, teardown),
        cmocka_unit_test_setup_teardown(test_crash_after_a_delete, setup_mem, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
