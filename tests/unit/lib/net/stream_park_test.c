/* SPDX-License-Identifier: Apache-2.0 */
/* Parked streams: what wakes them, once each, and ends while parked. */
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/net/pair_fixture.h"

static struct {
    unsigned count;
    enum stream_wake why;
    struct fiber *waiter;
} woken;

static void on_wake(struct stream *s, enum stream_wake why, void *arg)
{
    assert_ptr_equal(s, a);
    assert_null(fiber_self());
    assert_false(stream_is_parked(s));
    woken.count++;
    woken.why = why;
    fiber_wake(arg);
}

static enum stream_wake park_and_wait(uint64_t deadline_ms)
{
    unsigned before = woken.count;
    stream_park(a, deadline_ms, on_wake, fiber_self());
    assert_int_equal(woken.count, before); /* never inside the call */
    while (woken.count == before)
        fiber_suspend();
    assert_int_equal(woken.count, before + 1);
    return woken.why;
}

static void parker(void *arg)
{
    (void)arg;
    uint64_t before_ms = loop_now_ms();
    assert_int_equal(park_and_wait(loop_deadline_ms(20)), STREAM_WAKE_TIMEOUT);
    assert_true(loop_now_ms() >= before_ms + 20);

    assert_int_equal(stream_write_str(b, "hello"), OK);
    assert_int_equal(stream_flush(b), OK);
    assert_int_equal(park_and_wait(soon()), STREAM_WAKE_INPUT);
    assert_int_equal(stream_fill(a, 0), OK);
    assert_true(slice_eq_str(stream_input(a), "hello"));

    assert_int_equal(park_and_wait(soon()), STREAM_WAKE_INPUT); /* not consumed: wakes at once */
    stream_consume(a, 5);

    fixture_spawn(loop, (void (*)(void *))(uintptr_t)stream_unpark, a);
    assert_int_equal(park_and_wait(DEADLINE_NEVER), STREAM_WAKE_UNPARK);
    stream_unpark(a); /* not parked: no effect */

    stream_shutdown(b, 0);
    assert_int_equal(park_and_wait(soon()), STREAM_WAKE_INPUT);
    assert_int_equal(stream_fill(a, 0), ERR_CLOSED);
    assert_int_equal(park_and_wait(soon()), STREAM_WAKE_INPUT);

    stream_cancel_input(a);
    assert_int_equal(park_and_wait(soon()), STREAM_WAKE_CANCEL);
    unsigned before = woken.count;
    stream_park(a, DEADLINE_NEVER, on_wake, fiber_self());
    stream_close(&a); /* allowed, and nobody is called */
    fiber_sleep_ms(5);
    assert_int_equal(woken.count, before);
}

static void parking(void **state)
{
    (void)state;
    run(parker, NULL);
}

/* Input and unpark in the same turn: one wake, nothing lost, a thousand times. */
static void unpark_racer(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(stream_write_str(b, "x"), OK);
        assert_int_equal(stream_flush(b), OK);
        unsigned before = woken.count;
        stream_park(a, loop_deadline_ms((uint64_t)(i % 2)), on_wake, fiber_self());
        if (i % 3 == 0)
            fiber_yield();
        stream_unpark(a);
        if (i % 5 == 0)
            stream_cancel_input(b);
        while (woken.count == before)
            fiber_suspend();
        fiber_yield();
        assert_int_equal(woken.count, before + 1);
        assert_int_equal(stream_fill(a, soon()), OK);
        stream_consume(a, 1);
    }
}

static void wakes_race(void **state)
{
    (void)state;
    run(unpark_racer, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(parking),
        PAIR_TEST(wakes_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
