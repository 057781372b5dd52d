/* SPDX-License-Identifier: Apache-2.0 */
/* What every member of the seam promises, one table run over each of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "director/coordination/embedded.h"
#include "director/coordination/etcd.h"
#include "etcd_process.h"
#include "store_probe.h"

static struct etcds etcds; /* one, for all tests; each has its own prefix */
static int stores_made;

struct fixture {
    bool is_etcd;
    char folder[64], prefix[32];
    struct probe probe;
};

static struct coordination *open_store(struct fixture *f)
{
    struct coordination *store = NULL;
    if (!f->is_etcd) {
        assert_int_equal(embedded_open(f->folder, &store), OK);
        return store;
    }
    struct etcd_options options = { .endpoints = etcds.endpoints,
                                    .endpoint_count = 1,
                                    .prefix = f->prefix,
                                    .ca = "",
                                    .certificate = "",
                                    .key = "",
                                    .name = "test" };
    assert_int_equal(etcd_open(&options, &store), OK);
    return store;
}

static int setup(void **state, bool is_etcd)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->is_etcd = is_etcd;
    snprintf(f->prefix, sizeof f->prefix, "/test%d/", ++stores_made);
    strcpy(f->folder, "/tmp/store_test_XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    *state = f;
    if (!is_etcd || etcds.count > 0)
        probe_open(&f->probe, open_store(f));
    return 0;
}

static int setup_embedded(void **state)
{
    return setup(state, false);
}

static int setup_etcd(void **state)
{
    return setup(state, true);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    probe_close(&f->probe);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    free(f);
    return system(command);
}

static struct probe *probe_of(void **state)
{
    struct fixture *f = *state;
    if (f->is_etcd && etcds.count == 0)
        skip();
    return &f->probe;
}

static void assert_told(struct probe *p, const char *expected)
{
    char *lines = probe_lines(p);
    assert_string_equal(lines, expected);
    free(lines);
}

static void test_compare_and_swap(void **state)
{
    struct probe *p = probe_of(state);
    assert_int_equal(probe_put(p, "a", 0, "1"), OK);
    uint64_t first = p->revision;
    assert_int_equal(p->last_mod, first);
    assert_int_equal(probe_put(p, "a", 0, "2"), ERR_CONFLICT);
    assert_int_equal(p->revision, first);
    assert_int_equal(probe_put(p, "a", first, "2"), OK);
    uint64_t second = p->revision;
    assert_true(second > first);
    assert_int_equal(probe_put(p, "a", first, "3"), ERR_CONFLICT);
    struct coordination_change gone = { SLICE_LIT("a"), second, COORDINATION_DELETE, SLICE_NULL };
    assert_int_equal(probe_run(p, &gone, 1), OK);
    uint64_t third = p->revision;
    assert_int_equal(probe_run(p, &gone, 1), ERR_CONFLICT);
    assert_true(p->revision >= third);
    assert_int_equal(probe_put(p, "a", 0, "4"), OK);
    assert_told(p, "a=1\na=2\na-\na=4\n");
}

static void test_barrier(void **state)
{
    struct probe *p = probe_of(state);
    assert_int_equal(probe_put(p, "a", 0, "1"), OK);
    uint64_t written = p->revision;
    assert_int_equal(probe_run(p, NULL, 0), OK);
    assert_true(p->revision >= written);
    assert_true(p->told >= p->revision);
}

static void test_all_or_none(void **state)
{
    struct probe *p = probe_of(state);
    struct coordination_change both[] = { { SLICE_LIT("x"), 0, COORDINATION_PUT, SLICE_LIT("1") },
                                          { SLICE_LIT("y"), 7777777, COORDINATION_PUT, SLICE_LIT("1") } };
    assert_int_equal(probe_run(p, both, 2), ERR_CONFLICT);
    both[1].expected_mod = 0;
    assert_int_equal(probe_run(p, both, 2), OK);
    uint64_t x = p->revision;
    struct coordination_change guarded[] = { { SLICE_LIT("x"), x, COORDINATION_CHECK, SLICE_NULL },
                                             { SLICE_LIT("z"), 0, COORDINATION_PUT, SLICE_LIT("1") } };
    assert_int_equal(probe_run(p, guarded, 2), OK);
    assert_int_equal(probe_run(p, guarded, 1), OK); /* only conditions */
    assert_int_equal(probe_put(p, "x", x, "2"), OK);
    guarded[1].key = SLICE_LIT("w");
    assert_int_equal(probe_run(p, guarded, 2), ERR_CONFLICT);
    assert_told(p, "x=1\ny=1\nz=1\nx=2\n");
}

static void test_most_changes(void **state)
{
    struct probe *p = probe_of(state);
    static struct coordination_change changes[COORDINATION_CHANGES_MAX + 1];
    static char keys[COORDINATION_CHANGES_MAX + 1][8];
    for (size_t i = 0; i <= COORDINATION_CHANGES_MAX; i++) {
        snprintf(keys[i], sizeof keys[i], "k%zu", i);
        changes[i] = (struct coordination_change){ slice_str(keys[i]), 0, COORDINATION_PUT, SLICE_LIT("v") };
    }
    assert_int_equal(probe_run(p, changes, COORDINATION_CHANGES_MAX + 1), ERR_INVALID);
    assert_int_equal(probe_run(p, changes, COORDINATION_CHANGES_MAX), OK);
    for (size_t i = 0; i < COORDINATION_CHANGES_MAX; i++) {
        changes[i].action = COORDINATION_DELETE;
        changes[i].expected_mod = p->revision;
    }
    assert_int_equal(probe_run(p, changes, COORDINATION_CHANGES_MAX), OK);
}

/* Bytes that are not text, and sizes up to the bounds. */
static void test_bytes_and_bounds(void **state)
{
    struct probe *p = probe_of(state);
    char *big = calloc(1, COORDINATION_VALUE_MAX + 2);
    memset(big, '\xff', COORDINATION_VALUE_MAX + 1);
    assert_int_equal(probe_put(p, "k", 0, big), ERR_INVALID);
    assert_int_equal(probe_put(p, big, 0, "v"), ERR_INVALID);
    assert_int_equal(probe_put(p, "", 0, "v"), ERR_INVALID);
    big[COORDINATION_VALUE_MAX] = '\0';
    assert_int_equal(probe_put(p, "k", 0, big), OK);
    assert_int_equal(p->lines.len, COORDINATION_VALUE_MAX + 3);
    assert_memory_equal(p->lines.data + 2, big, COORDINATION_VALUE_MAX);
    big[COORDINATION_KEY_MAX] = '\0';
    assert_int_equal(probe_put(p, big, 0, ""), OK);
    free(big);
}

static void test_many_in_flight(void **state)
{
    enum { COUNT = 1000 };
    struct probe *p = probe_of(state);
    struct coordination_change *changes = calloc(COUNT, sizeof *changes);
    struct coordination_txn *txns = calloc(COUNT, sizeof *txns);
    for (size_t i = 0; i < COUNT; i++) {
        changes[i] = (struct coordination_change){ i % 2 ? SLICE_LIT("odd") : SLICE_LIT("even"), 0,
                                                   COORDINATION_PUT, SLICE_LIT("v") };
        txns[i] =
            (struct coordination_txn){ .changes = &changes[i], .count = 1, .done = probe_on_done, .arg = p };
        assert_int_equal(coordination_submit(p->store, &txns[i]), OK);
    }
    probe_wait_done(p, COUNT);
    assert_int_equal(p->results[OK], 2); /* of those that name the same mod exactly one wins */
    assert_int_equal(p->results[ERR_CONFLICT], COUNT - 2);
    assert_int_equal(p->lines.len, strlen("even=v\nodd=v\n"));
    free(changes);
    free(txns);
}

/* Closing answers everything that was taken. */
static void test_close_answers(void **state)
{
    enum { COUNT = 200 };
    struct fixture *f = *state;
    struct probe *p = probe_of(state);
    struct coordination_change *changes = calloc(COUNT, sizeof *changes);
    struct coordination_txn *txns = calloc(COUNT, sizeof *txns);
    for (size_t i = 0; i < COUNT; i++) {
        changes[i] = (struct coordination_change){ SLICE_LIT("a"), 0, COORDINATION_PUT, SLICE_LIT("v") };
        txns[i] = (struct coordination_txn){
            .changes = &changes[i], .count = i % 3 ? 1 : 0, .done = probe_on_done, .arg = p
        };
        assert_int_equal(coordination_submit(p->store, &txns[i]), OK);
    }
    coordination_close(&p->store);
    assert_int_equal(p->done_count, COUNT);
    free(changes);
    free(txns);
    buf_fini(&p->lines);
    probe_open(p, open_store(f));
}

/* What was written is there after a new start, without what was deleted; mods go on. */
static void test_reopen(void **state)
{
    struct fixture *f = *state;
    struct probe *p = probe_of(state);
    assert_int_equal(probe_put(p, "a", 0, "1"), OK);
    uint64_t mod = p->revision;
    assert_int_equal(probe_put(p, "b", 0, "2"), OK);
    assert_int_equal(probe_put(p, "c", 0, "3"), OK);
    struct coordination_change gone = { SLICE_LIT("c"), p->revision, COORDINATION_DELETE, SLICE_NULL };
    assert_int_equal(probe_run(p, &gone, 1), OK);
    assert_int_equal(probe_put(p, "a", mod, "4"), OK);
    mod = p->revision;
    probe_close(p);
    probe_open(p, open_store(f));
    assert_told(p, "a=4\nb=2\n");
    assert_int_equal(probe_put(p, "a", mod, "5"), OK);
    assert_true(p->revision > mod);
}

/* More rows than one page of etcd's. */
static void test_many_rows(void **state)
{
    enum { BATCHES = 9, EACH = COORDINATION_CHANGES_MAX };
    static struct coordination_change changes[EACH];
    static char keys[EACH][24];
    struct fixture *f = *state;
    struct probe *p = probe_of(state);
    for (size_t batch = 0; batch < BATCHES; batch++) {
        for (size_t i = 0; i < EACH; i++) {
            snprintf(keys[i], sizeof keys[i], "row/%04zu", batch * EACH + i);
            changes[i] =
                (struct coordination_change){ slice_str(keys[i]), 0, COORDINATION_PUT, SLICE_LIT("v") };
        }
        assert_int_equal(probe_run(p, changes, EACH), OK);
    }
    probe_close(p);
    probe_open(p, open_store(f));
    assert_int_equal(p->lines.len, (size_t)BATCHES * EACH * strlen("row/0000=v\n"));
    char *lines = probe_lines(p);
    for (size_t i = 0; i < (size_t)BATCHES * EACH; i++) {
        snprintf(keys[0], sizeof keys[0], "row/%04zu=v\n", i);
        assert_memory_equal(lines + i * strlen(keys[0]), keys[0], strlen(keys[0]));
    }
    free(lines);
}

static void test_leads(void **state)
{
    struct probe *p = probe_of(state);
    for (int i = 0; i < 3000 && !coordination_leads(p->store); i++)
        usleep(10000);
    assert_true(coordination_leads(p->store));
}

/* A director that ends still finishes what waited: nothing of that may lead or be taken any more. */
static void test_closed(void **state)
{
    struct probe *p = probe_of(state);
    struct coordination_txn txn = { .done = NULL };
    struct buf leader = { 0 };
    coordination_close(&p->store);
    assert_null(p->store);
    assert_false(coordination_leads(p->store));
    assert_int_equal(coordination_submit(p->store, &txn), ERR_UNAVAILABLE);
    coordination_leader(p->store, &leader);
    assert_int_equal(leader.len, 0);
}

#define BOTH(test)                                                   \
    cmocka_unit_test_setup_teardown(test, setup_embedded, teardown), \
        cmocka_unit_test_setup_teardown(test, setup_etcd, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_compare_and_swap), BOTH(test_barrier),
        BOTH(test_all_or_none),      BOTH(test_most_changes),
        BOTH(test_bytes_and_bounds), BOTH(test_many_in_flight),
        BOTH(test_close_answers),    BOTH(test_reopen),
        BOTH(test_many_rows),        BOTH(test_leads),
        BOTH(test_closed),
    };
    if (etcds_are_installed())
        etcds_start(&etcds, 1);
    else
        fprintf(stderr, "etcd is not installed: its half of the table is skipped\n");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (etcds.count > 0)
        etcds_stop(&etcds);
    return failed;
}
