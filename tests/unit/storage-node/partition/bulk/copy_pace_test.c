/* SPDX-License-Identifier: Apache-2.0 */
/* How the pace of copies follows what others wait for. */
#include "storage-node/partition/bulk/copy_pace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS     UINT64_C(1000000)
#define MIB    (UINT64_C(1) << 20)
#define NORMAL (5 * MS)

enum { STEPS = 10 /* of a window */, WINDOWS_MANY = 200 };

struct scene {
    struct copy_pace pace;
    uint64_t now;
};

/* A window in which `rate` bytes a second are moved (0: none), and one write a step waits (0: nobody). */
static void window(struct scene *s, uint64_t rate, uint64_t request_ns, uint64_t commit_ns)
{
    for (int i = 0; i < STEPS; i++) {
        s->now += COPY_PACE_WINDOW_MS * MS / STEPS;
        if (rate > 0)
            copy_pace_take(&s->pace, s->now, rate * COPY_PACE_WINDOW_MS / 1000 / STEPS);
        if (request_ns > 0)
            copy_pace_waited(&s->pace, s->now, COPY_WAIT_REQUEST, request_ns);
        if (commit_ns > 0)
            copy_pace_waited(&s->pace, s->now, COPY_WAIT_COMMIT, commit_ns);
    }
}

static void windows(struct scene *s, int count, uint64_t rate, uint64_t request_ns)
{
    for (int i = 0; i < count; i++)
        window(s, rate, request_ns, 0);
}

/* Mail flows, no copies move; then they begin. */
static struct scene quiet(uint64_t ceiling)
{
    struct scene s = { .now = 1000 * MS };
    copy_pace_init(&s.pace, ceiling);
    windows(&s, WINDOWS_MANY, 0, NORMAL);
    return s;
}

static void full_speed_while_nobody_waits(void **state)
{
    (void)state;
    struct scene s = quiet(0);
    uint64_t before = s.pace.rate;
    windows(&s, COPY_PACE_QUIET_MS / COPY_PACE_WINDOW_MS, 50 * MIB, 0);
    assert_int_equal(s.pace.rate, before);
    windows(&s, 8, 50 * MIB, 0);
    assert_int_equal(s.pace.rate, COPY_PACE_FULL);
    assert_true(copy_pace_take(&s.pace, s.now, MIB) <= s.now + MS);
}

static void slow_waits_take_the_pace_down(void **state)
{
    (void)state;
    struct scene s = quiet(0);
    windows(&s, 20, 100 * MIB, NORMAL);
    uint64_t before = s.pace.rate;
    assert_true(before >= 100 * MIB);
    windows(&s, 3, 100 * MIB, NORMAL * COPY_PACE_SLOW + MS);
    assert_true(s.pace.rate <= 100 * MIB * 80 / 100); /* of what was moved, not of what might have been */
    assert_true(s.pace.rate >= 100 * MIB * 40 / 100);
}

/* Somebody comes every third of a second, and waits for long where copies move fast: what a disk can take
 * does not come back between two of them. */
static void one_at_a_time_is_noticed(void **state)
{
    enum { DISK = 300, BEARABLE = 40, EVERY = 3, SETTLED = 50 };
    (void)state;
    struct scene s = quiet(0);
    uint64_t waited = 0, slow = 0;
    for (int i = 0; i < WINDOWS_MANY; i++) {
        uint64_t rate = s.pace.rate < DISK * MIB ? s.pace.rate : DISK * MIB;
        bool is_slow = rate > BEARABLE * MIB;
        window(&s, rate, 0, 0);
        if (i % EVERY != 0)
            continue;
        copy_pace_waited(&s.pace, s.now, COPY_WAIT_REQUEST, is_slow ? NORMAL * 8 : NORMAL);
        waited += i >= SETTLED;
        slow += i >= SETTLED && is_slow;
    }
    assert_in_range(slow, 1, waited / 2);
}

/* What waited behind a burst is told of when it is over. */
static void a_cut_is_of_the_burst_before(void **state)
{
    (void)state;
    struct scene s = quiet(0);
    windows(&s, 3, 50 * MIB, NORMAL);
    window(&s, MIB, NORMAL * 4, 0);
    window(&s, MIB, NORMAL, 0);
    assert_in_range(s.pace.rate, 35 * MIB, 50 * MIB);
}

static void the_bound_is_not_slow(void **state)
{
    (void)state;
    struct scene s = quiet(0);
    uint64_t before = s.pace.rate;
    windows(&s, 5, 50 * MIB, NORMAL * COPY_PACE_SLOW);
    assert_true(s.pace.rate > before);
}

static void either_wait_counts(void **state)
{
    (void)state;
    struct scene s = { .now = 1000 * MS };
    copy_pace_init(&s.pace, 0);
    for (int i = 0; i < WINDOWS_MANY; i++)
        window(&s, 0, 20 * MS, 3 * MS);
    uint64_t before = s.pace.rate;
    for (int i = 0; i < 4; i++)
        window(&s, 60 * MIB, 20 * MS, 12 * MS); /* commits four times normal, and quicker than requests */
    assert_true(s.pace.rate < before);
}

static void never_below_the_floor(void **state)
{
    (void)state;
    struct scene s = quiet(0);
    windows(&s, 20, 20 * MIB, 1000 * MS);
    assert_int_equal(s.pace.rate, COPY_PACE_FLOOR);
    s.now += 10 * 1000 * MS;
    assert_true(copy_pace_take(&s.pace, s.now, COPY_PACE_FLOOR) - s.now <= 1000 * MS);
}

static void recovers_step_by_step(void **state)
{
    (void)state;
    struct scene s = quiet(0);
    windows(&s, 30, 20 * MIB, 300 * MS);
    uint64_t before = s.pace.rate;
    windows(&s, 11, 20 * MIB, NORMAL);
    assert_in_range(s.pace.rate, before + 9 * COPY_PACE_STEP, before + 12 * COPY_PACE_STEP);
}

static void never_above_the_ceiling(void **state)
{
    (void)state;
    struct scene s = quiet(3 * MIB);
    windows(&s, 50, MIB, 0);
    assert_int_equal(s.pace.rate, 3 * MIB);
    windows(&s, 50, MIB, 1000 * MS);
    assert_int_equal(s.pace.rate, 3 * MIB); /* which is below the floor */
}

/* Else a copy that lasts would become what is normal. */
static void normal_is_what_is_without_copies(void **state)
{
    (void)state;
    struct scene s = quiet(0);
    windows(&s, WINDOWS_MANY, 100 * MIB, NORMAL * COPY_PACE_SLOW);
    assert_int_equal(s.pace.waits[COPY_WAIT_REQUEST].normal_ns, NORMAL);
    windows(&s, WINDOWS_MANY, 0, 8 * MS);
    assert_in_range(s.pace.waits[COPY_WAIT_REQUEST].normal_ns, 7 * MS, 8 * MS);
}

/* A disk that is slower than was thought, and a node that never was without copies. */
static void what_is_slow_at_the_floor_is_normal(void **state)
{
    (void)state;
    struct scene s = { .now = 1000 * MS };
    copy_pace_init(&s.pace, 0);
    windows(&s, WINDOWS_MANY, 6 * MIB, 60 * MS);
    assert_true(s.pace.rate > COPY_PACE_FLOOR);
}

static void pauses_are_not_saved_up(void **state)
{
    (void)state;
    struct scene s = quiet(MIB);
    uint64_t free = copy_pace_take(&s.pace, s.now, MIB);
    assert_in_range(free - s.now, (1000 - COPY_PACE_SLACK_MS) * MS, 1000 * MS);
    s.now += 3600 * 1000 * MS;
    free = copy_pace_take(&s.pace, s.now, MIB);
    assert_in_range(free - s.now, (1000 - COPY_PACE_SLACK_MS) * MS, 1000 * MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_speed_while_nobody_waits),
        cmocka_unit_test(slow_waits_take_the_pace_down),
        cmocka_unit_test(one_at_a_time_is_noticed),
        cmocka_unit_test(a_cut_is_of_the_burst_before),
        cmocka_unit_test(the_bound_is_not_slow),
        cmocka_unit_test(either_wait_counts),
        cmocka_unit_test(never_below_the_floor),
        cmocka_unit_test(recovers_step_by_step),
        cmocka_unit_test(never_above_the_ceiling),
        cmocka_unit_test(normal_is_what_is_without_copies),
        cmocka_unit_test(what_is_slow_at_the_floor_is_normal),
        cmocka_unit_test(pauses_are_not_saved_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
