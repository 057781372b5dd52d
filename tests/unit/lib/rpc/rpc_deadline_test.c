/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that end at their deadline: nobody answers in time, nobody is there, or not yet again. */
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/rpc/peer_state.h"
#include "tests/unit/lib/rpc/rpc_fixture.h"

static void timeout_fiber(void)
{
    echo(); /* it stands: what follows is sent */
    struct rpc_call call = make_call(HOLD, 50, setting());
    uint64_t before = clock_mono_ms();
    assert_int_equal(rpc_call(t.peer, &call), ERR_TIMEOUT);
    assert_true(clock_mono_ms() - before >= 50);
    rpc_call_fini(&call);
    while (held_count() == 0)
        fiber_sleep_ms(1);
    release_held(); /* the answer comes too late: it is nobody's */
    fiber_sleep_ms(100);
    echo();

    /* Given up before it was waited for, and while. */
    call = make_call(HOLD, 60000, setting());
    assert_int_equal(rpc_submit(t.peer, &call), OK);
    rpc_call_abandon(&call);
    assert_int_equal(rpc_wait(&call), ERR_TIMEOUT);
    rpc_call_fini(&call);
    call = make_call(HOLD, 60000, setting());
    assert_int_equal(rpc_submit(t.peer, &call), OK);
    rpc_call_fini(&call); /* nobody waits at all */
    release_held();
}

static void calls_end_at_their_deadline(void **state)
{
    (void)state;
    run_fiber(t.loop, timeout_fiber);
}

enum { BRIEF_MS = 3000, LATE_MS = 200 };

/* As the loop waits for input: the answer comes, not before, and later the deadline passes. */
static void hold_up(void *arg)
{
    const struct rpc_call *call = arg;
    uint64_t end_ms = clock_mono_ms() + PEER_STATE_MS;
    for (; held_count() == 0; usleep(1000))
        assert_true(clock_mono_ms() < end_ms);
    release_held();
    for (; !peer_has_input(t.peer); usleep(1000))
        assert_true(clock_mono_ms() < end_ms);
    while (clock_mono_ms() < call->deadline_mono_ms + LATE_MS)
        usleep(1000);
}

static void held_up_fiber(void)
{
    echo();
    struct rpc_call call = make_call(HOLD, BRIEF_MS, setting());
    assert_int_equal(rpc_submit(t.peer, &call), OK);
    loop_post(t.loop, hold_up, &call);
    assert_int_equal(rpc_wait(&call), OK);
    rpc_call_fini(&call);
}

static void an_answer_that_is_there_is_not_late(void **state)
{
    (void)state;
    run_fiber(t.loop, held_up_fiber);
}

static void dead_peer_fiber(void)
{
    struct rpc_peer *nobody = rpc_client_peer(t.client, "tcp://127.0.0.1:1", RPC_ROLE_STORAGE_NODE);
    struct rpc_call call = make_call(ECHO, 100, setting());
    assert_non_null(nobody);
    assert_int_equal(rpc_call(nobody, &call), ERR_TIMEOUT);
    rpc_call_fini(&call);
    assert_null(rpc_client_peer(t.client, "what is this", RPC_ROLE_STORAGE_NODE));
    assert_ptr_equal(rpc_client_peer(t.client, "tcp://127.0.0.1:1", RPC_ROLE_STORAGE_NODE), nobody);
    assert_string_equal(rpc_peer_endpoint(nobody), "tcp://127.0.0.1:1");
}

static void a_peer_that_is_not_there(void **state)
{
    (void)state;
    run_fiber(t.loop, dead_peer_fiber);
}

static void restart_fiber(void)
{
    char endpoint[RPC_ENDPOINT_MAX];
    echo();
    snprintf(endpoint, sizeof endpoint, "%s", rpc_server_endpoint(t.server));
    stop_server();
    struct rpc_call call = make_call(ECHO, 200, setting());
    assert_int_equal(rpc_call(t.peer, &call), ERR_TIMEOUT);
    rpc_call_fini(&call);
    start_server(endpoint);
    call = make_call(ECHO, 10000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    rpc_call_fini(&call);
}

static void a_peer_that_comes_back(void **state)
{
    (void)state;
    run_fiber(t.loop, restart_fiber);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_end_at_their_deadline),
        TEST(an_answer_that_is_there_is_not_late),
        TEST(a_peer_that_is_not_there),
        TEST(a_peer_that_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
