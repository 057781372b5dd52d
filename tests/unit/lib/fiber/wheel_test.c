/* SPDX-License-Identifier: Apache-2.0 */
/* The wheel against a plain list of deadlines, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/fiber/wheel.h"

enum { TIMERS = 500, STEPS = 4000 };

static uint64_t seed = 88172645463325252u;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Near ones and far ones, on both sides of every level's edge. */
static uint64_t random_distance(void)
{
    return next_random() % (UINT64_C(1) << (next_random() % 34));
}

static void take_due(struct wheel *w, struct timer *timers, uint64_t now_ms)
{
    struct timer *t;
    uint64_t before_ms = 0;
    while ((t = wheel_next_due(w)) != NULL) {
        assert_true(t->deadline_ms <= now_ms);
        assert_true(t->deadline_ms >= before_ms);
        before_ms = t->deadline_ms;
    }
    for (int i = 0; i < TIMERS; i++)
        assert_true(timers[i].prev_next == NULL || timers[i].deadline_ms > now_ms);
}

static void same_as_a_plain_list(void **state)
{
    (void)state;
    struct wheel *w = NEW(struct wheel);
    struct timer *timers = NEW_ARRAY(struct timer, TIMERS);
    uint64_t now_ms = (UINT64_C(1) << 30) - 5000; /* soon across the end of the slots' reach */
    wheel_init(w, now_ms);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < 20; i++) {
            struct timer *t = &timers[next_random() % TIMERS];
            wheel_remove(t);
            t->deadline_ms = now_ms + random_distance();
            if (next_random() % 8 != 0)
                wheel_insert(w, t);
        }
        uint64_t earliest = UINT64_MAX;
        for (int i = 0; i < TIMERS; i++)
            if (timers[i].prev_next != NULL && timers[i].deadline_ms < earliest)
                earliest = timers[i].deadline_ms;
        uint64_t next_ms = wheel_next_ms(w);
        assert_true(next_ms <= earliest && next_ms >= w->now_ms);
        now_ms = next_random() % 2 && earliest != UINT64_MAX ? (earliest > now_ms ? earliest : now_ms)
                                                             : now_ms + random_distance() / 16;
        wheel_advance(w, now_ms);
        take_due(w, timers, now_ms);
    }
    for (int i = 0; i < TIMERS; i++)
        wheel_remove(&timers[i]);
    assert_true(wheel_next_ms(w) == UINT64_MAX);
    free(timers);
    free(w);
}

static void a_past_deadline_is_due_after_the_next_advance(void **state)
{
    (void)state;
    struct wheel *w = NEW(struct wheel);
    struct timer t = { .deadline_ms = 10 };
    wheel_init(w, 100);
    wheel_insert(w, &t);
    assert_null(wheel_next_due(w)); /* a timer that restarts itself cannot keep its own turn busy */
    assert_int_equal(wheel_next_ms(w), 100);
    wheel_advance(w, 100);
    assert_ptr_equal(wheel_next_due(w), &t);
    assert_null(wheel_next_due(w));
    free(w);
}

static void late_ones_come_in_their_order(void **state)
{
    (void)state;
    struct wheel *w = NEW(struct wheel);
    struct timer timers[4] = {
        { .deadline_ms = 5000 }, { .deadline_ms = 30 }, { .deadline_ms = 70 }, { .deadline_ms = 10 }
    };
    wheel_init(w, 10);
    for (int i = 0; i < 4; i++)
        wheel_insert(w, &timers[i]);
    wheel_advance(w, 60);
    wheel_advance(w, 10000);
    wheel_remove(&timers[0]); /* the last, and another comes behind the rest */
    wheel_insert(w, &timers[0]);
    wheel_advance(w, 10000);
    static const int order[] = { 3, 1, 2, 0 };
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(wheel_next_due(w), &timers[order[i]]);
    assert_null(wheel_next_due(w));
    free(w);
}

static void no_bit_stays_for_a_removed_timer(void **state)
{
    (void)state;
    struct wheel *w = NEW(struct wheel);
    wheel_init(w, 7);
    struct timer a = { .deadline_ms = 100000 }, b = { .deadline_ms = 100001 };
    wheel_insert(w, &a);
    wheel_insert(w, &b);
    wheel_remove(&a);
    assert_true(wheel_next_ms(w) <= 100001);
    wheel_remove(&b);
    assert_true(wheel_next_ms(w) == UINT64_MAX);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_a_plain_list),
        cmocka_unit_test(a_past_deadline_is_due_after_the_next_advance),
        cmocka_unit_test(late_ones_come_in_their_order),
        cmocka_unit_test(no_bit_stays_for_a_removed_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
