/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that move copies pause as they are told to, and no longer. */
#include "storage-node/partition/bulk/copy_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/clock.h"

#define MS UINT64_C(1000000)

enum { CHUNK = 16 * 1024, CHUNKS = 400, TRIES_MAX = 5, PATIENCE_MS = 30 * 1000 };

static void one_that_is_slow_pauses(void **state)
{
    (void)state;
    struct copy_gates *g = copy_gates_new(CHUNK * 10);
    uint64_t begin = clock_mono_ns();
    copy_gates_pass(g, COPY_GATE_SENT, CHUNK * 2);
    assert_true(clock_mono_ns() - begin >= (200 - COPY_PACE_SLACK_MS) * MS);
    const struct copy_gate_stats *stats = copy_gates_get_stats(g, COPY_GATE_SENT);
    assert_int_equal(atomic_load(&stats->bytes), CHUNK * 2);
    assert_true(atomic_load(&stats->paused_ns) >= (200 - COPY_PACE_SLACK_MS) * MS);
    assert_int_equal(atomic_load(&stats->rate), CHUNK * 10);
    copy_gates_free(&g);
}

static uint64_t time_of_chunks(void)
{
    struct copy_gates *g = copy_gates_new(0);
    uint64_t begin = clock_mono_ns();
    for (int i = 0; i < CHUNKS; i++)
        copy_gates_pass(g, COPY_GATE_WRITTEN, CHUNK);
    uint64_t took = clock_mono_ns() - begin;
    copy_gates_free(&g);
    return took;
}

/* A pause is as long as it must be: chunks of a tenth of a millisecond do not take ten. The machine may: not
 * every time. */
static void one_that_is_quick_hardly_pauses(void **state)
{
    (void)state;
    uint64_t took = UINT64_MAX;
    for (int i = 0; i < TRIES_MAX && took >= 2000 * MS; i++)
        took = time_of_chunks();
    assert_true(took < 2000 * MS);
}

static void open_gates_hold_up_nobody(void **state)
{
    (void)state;
    struct copy_gates *g = copy_gates_new(1);
    uint64_t begin = clock_mono_ns();
    copy_gates_open(g);
    copy_gates_pass(g, COPY_GATE_SENT, CHUNK);
    assert_true(clock_mono_ns() - begin < 60 * 1000 * MS);
    copy_gates_free(&g);
}

static bool is_slower(struct copy_gates *g, int gate)
{
    return atomic_load(&copy_gates_get_stats(g, gate)->rate) < COPY_PACE_START;
}

static void waits_reach_both(void **state)
{
    (void)state;
    struct copy_gates *g = copy_gates_new(0);
    uint64_t begin = clock_mono_ns();
    while (clock_mono_ns() - begin < PATIENCE_MS * MS &&
           !(is_slower(g, COPY_GATE_SENT) && is_slower(g, COPY_GATE_WRITTEN))) {
        for (int gate = 0; gate < COPY_GATE_COUNT; gate++)
            copy_gates_pass(g, gate, CHUNK);
        copy_gates_waited(g, COPY_WAIT_REQUEST, 10 * 1000 * MS);
    }
    for (int gate = 0; gate < COPY_GATE_COUNT; gate++)
        assert_true(is_slower(g, gate));
    copy_gates_free(&g);
}

static void nothing_is_paced_without_gates(void **state)
{
    (void)state;
    copy_gates_waited(NULL, COPY_WAIT_COMMIT, MS);
    copy_gates_pass(NULL, COPY_GATE_SENT, UINT64_MAX);
    copy_gates_open(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_slow_pauses),        cmocka_unit_test(one_that_is_quick_hardly_pauses),
        cmocka_unit_test(open_gates_hold_up_nobody),      cmocka_unit_test(waits_reach_both),
        cmocka_unit_test(nothing_is_paced_without_gates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
