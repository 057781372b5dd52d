/* SPDX-License-Identifier: Apache-2.0 */
/* The log's metadata against a plain array that does the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "storage-node/replica/replica_priv.h"

#define ENTRIES_MAX 40000

static uint64_t epochs[ENTRIES_MAX];
static uint32_t sizes[ENTRIES_MAX];

static void check(const struct rep_log *log)
{
    for (uint64_t i = log->base + 1; i <= log->last; i++)
        assert_int_equal(rep_log_epoch(log, i), epochs[i]);
    assert_int_equal(rep_log_epoch(log, log->last + 1), 0);
    assert_true(log->hot > log->base);
    uint32_t sum = 0;
    for (uint64_t i = log->hot; i <= log->last; i++) {
        sum += sizes[i];
        assert_int_equal(rep_log_bytes(log, log->hot, i), sum);
    }
}

static void append(struct rep_log *log, uint64_t epoch, uint32_t size)
{
    rep_log_append(log, epoch, size);
    epochs[log->last] = epoch;
    sizes[log->last] = size;
}

static void does_what_an_array_does(void **state)
{
    (void)state;
    struct rep_log log = { 0 };
    uint64_t epoch = 1;
    srand(1);
    rep_log_reset(&log, 0, 0);
    for (int step = 0; step < 3000; step++) {
        int what = rand() % 100;
        if (what < 70)
            append(&log, epoch, (uint32_t)rand() % 1000);
        else if (what < 80)
            epoch++;
        else if (what < 90 && log.last > log.base)
            rep_log_cut(&log, log.base + 1 + (uint64_t)rand() % (log.last - log.base));
        else if (log.last > log.base) {
            uint64_t to = log.base + 1 + (uint64_t)rand() % (log.last - log.base);
            uint64_t was = rep_log_epoch(&log, to);
            rep_log_trim(&log, to);
            assert_int_equal(log.base_epoch, was);
        }
        check(&log);
    }
    rep_log_fini(&log);
}

static void old_sizes_go_cold_first(void **state)
{
    (void)state;
    struct rep_log log = { 0 };
    rep_log_reset(&log, 0, 0);
    for (uint32_t i = 0; i < 3 * REP_LOG_HOT_MAX; i++)
        append(&log, 1 + i / 1000, 10 + i % 7);
    assert_int_equal(log.last + 1 - log.hot, REP_LOG_HOT_MAX);
    check(&log);
    rep_log_fini(&log);
}

static void loads_only_runs_that_cover_it(void **state)
{
    (void)state;
    static const struct {
        uint64_t base, base_epoch, last;
        uint32_t count;
        struct replica_run runs[3];
        bool ok;
    } rows[] = {
        { 0, 0, 0, 0, { { 0, 0 } }, true },
        { 5, 2, 5, 0, { { 0, 0 } }, true },
        { 0, 0, 4, 2, { { 1, 1 }, { 3, 2 } }, true },
        { 5, 2, 8, 1, { { 6, 2 } }, true },
        { 5, 2, 8, 0, { { 0, 0 } }, false },           /* nothing covers 6..8 */
        { 5, 2, 5, 1, { { 6, 2 } }, false },           /* a run beyond the end */
        { 5, 2, 8, 1, { { 5, 2 } }, false },           /* begins at the base */
        { 5, 2, 8, 1, { { 7, 2 } }, false },           /* begins too late */
        { 5, 2, 8, 1, { { 6, 1 } }, false },           /* epochs fall */
        { 0, 0, 4, 2, { { 1, 2 }, { 3, 1 } }, false }, /* epochs fall */
        { 0, 0, 4, 2, { { 1, 1 }, { 1, 2 } }, false }, /* indexes do not rise */
        { 0, 0, 4, 2, { { 1, 1 }, { 5, 2 } }, false }, /* beyond the end */
        { 5, 2, 4, 0, { { 0, 0 } }, false },           /* ends before the base */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct rep_log log = { 0 };
        rep_log_reset(&log, rows[i].base, rows[i].base_epoch);
        assert_int_equal(rep_log_load(&log, rows[i].last, rows[i].runs, rows[i].count), rows[i].ok);
        rep_log_fini(&log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(does_what_an_array_does),
        cmocka_unit_test(old_sizes_go_cold_first),
        cmocka_unit_test(loads_only_runs_that_cover_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
