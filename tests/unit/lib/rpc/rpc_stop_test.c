/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a server: its last answers arrive, and nobody holds it up. */
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/farewell.h"
#include "tests/unit/lib/rpc/rpc_fixture.h"

enum {
    CALLS = REQUESTS_MAX,
    BUSY_MS = 100, /* a loop has something else to do */
    HANGS_S = 60,
};

static struct {
    pthread_t thread;
    atomic_bool done;
    uint64_t took_ms;
} stop;

/* ---- a clock that stands still for who ends a server: what it waits for then does not end by its time,
 * however busy the machine is, but only by what it waits for */

static _Thread_local uint64_t still_ms; /* 0: it goes on */

uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);

uint64_t __wrap_clock_mono_ms(void)
{
    return still_ms != 0 ? still_ms : __real_clock_mono_ms();
}

/* ---- a server ends on a thread of its own, as another program would */

static void *stop_main(void *arg)
{
    (void)arg;
    uint64_t start = clock_mono_ms();
    rpc_server_stop(t.server);
    rpc_server_stop(t.server);
    release_held(); /* answered behind the end of the thread: still sent */
    rpc_server_free(&t.server);
    stop.took_ms = clock_mono_ms() - start;
    atomic_store(&stop.done, true);
    return NULL;
}

/* Does not come back from a wait whose only end is its time. */
static void *stop_in_no_time(void *arg)
{
    still_ms = __real_clock_mono_ms();
    alarm(HANGS_S);
    stop_main(arg);
    alarm(0);
    still_ms = 0;
    return NULL;
}

static void begin_stop(void)
{
    atomic_store(&stop.done, false);
    assert_int_equal(pthread_create(&stop.thread, NULL, stop_in_no_time, NULL), 0);
}

static void await_stop(void)
{
    while (!atomic_load(&stop.done))
        fiber_sleep_ms(1);
    pthread_join(stop.thread, NULL);
}

static void submit_held(struct rpc_call *calls)
{
    for (int i = 0; i < CALLS; i++) {
        calls[i] = make_call(HOLD, 5000, setting());
        assert_int_equal(rpc_submit(t.peer, &calls[i]), OK);
    }
    while (held_count() < CALLS)
        fiber_sleep_ms(1);
}

static void all_are_answered(struct rpc_call *calls)
{
    for (int i = 0; i < CALLS; i++) {
        assert_int_equal(rpc_wait(&calls[i]), OK);
        assert_int_equal(calls[i].status, OK);
        rpc_call_fini(&calls[i]);
    }
}

static void queued_fiber(void)
{
    struct rpc_call calls[CALLS];
    submit_held(calls);
    begin_stop();
    all_are_answered(calls);
    await_stop();
    assert_int_equal(t.notices, 0); /* the farewell is the client's own */
}

static void what_is_queued_at_stop_is_sent(void **state)
{
    (void)state;
    run_fiber(t.loop, queued_fiber);
}

static void busy_fiber(void)
{
    struct rpc_call calls[CALLS];
    submit_held(calls);
    begin_stop();
    usleep(BUSY_MS * 1000); /* the whole loop */
    assert_false(atomic_load(&stop.done));
    all_are_answered(calls);
    await_stop();
}

static void a_busy_client_is_waited_for(void **state)
{
    (void)state;
    run_fiber(t.loop, busy_fiber);
}

static void one_that_does_not_read_is_not_waited_for_long(void **state)
{
    (void)state;
    run_fiber(t.loop, echo);
    stop_main(NULL); /* no loop turns */
    assert_true(stop.took_ms >= FAREWELL_WAIT_MS);
    assert_true(stop.took_ms < 10 * FAREWELL_WAIT_MS);
}

static void one_that_is_gone_is_not_waited_for(void **state)
{
    (void)state;
    run_fiber(t.loop, echo);
    rpc_client_free(&t.client);
    run_fiber(t.loop, nothing);
    stop_in_no_time(NULL);
}

static void nobody_is_waited_for_without_answers(void **state)
{
    (void)state;
    stop_in_no_time(NULL);
}

/* ---- who is told */

static struct rpc_peer_id peer_id(unsigned number)
{
    struct rpc_peer_id id = { .len = 1 + sizeof number };
    id.bytes[0] = 1;
    memcpy(id.bytes + 1, &number, sizeof number);
    return id;
}

static void each_peer_is_noted_once_and_no_more_than_fit(void **state)
{
    static struct farewell farewell;
    (void)state;
    for (unsigned i = 0; i < 2 * FAREWELL_PEERS_MAX; i++) {
        struct rpc_peer_id id = peer_id(i);
        farewell_note(&farewell, &id);
        farewell_note(&farewell, &id);
        assert_int_equal(farewell.count, i < FAREWELL_PEERS_MAX ? i + 1 : FAREWELL_PEERS_MAX);
    }
    struct doors none = { 0 };
    farewell_wait(&farewell, &none); /* all are gone */
    assert_int_equal(farewell.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_queued_at_stop_is_sent),
        TEST(a_busy_client_is_waited_for),
        TEST(one_that_does_not_read_is_not_waited_for_long),
        TEST(one_that_is_gone_is_not_waited_for),
        TEST(nobody_is_waited_for_without_answers),
        cmocka_unit_test(each_peer_is_noted_once_and_no_more_than_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
