/* SPDX-License-Identifier: Apache-2.0 */
/* A peer that goes away and comes back, and what reaches it then. */
#include <string.h>
#include <unistd.h>

#include "lib/fiber/fiber.h"
#include "tests/unit/lib/rpc/peer_state.h"
#include "tests/unit/lib/rpc/rpc_fixture.h"

/* More than the test sends. */
static int setup(void **state)
{
    (void)state;
    rpc_begin(100);
    return 0;
}

/* Whoever comes back is told what somebody still waits for, in order and with the time that is left, and
 * nothing else. */
enum { STALE = 30, AWAY_MS = 1000, PATIENCE_MS = 20000 };

static void stale_fiber(void)
{
    char endpoint[RPC_ENDPOINT_MAX];
    uint8_t id[16] = { 7 };
    struct rpc_call stale[STALE], given_up, calls[2];
    echo();
    snprintf(endpoint, sizeof endpoint, "%s", rpc_server_endpoint(t.server));
    stop_server();
    for (int i = 0; i < STALE; i++) {
        stale[i] = make_call(ECHO, 100, setting());
        stale[i].body = SLICE_LIT("body");
        assert_int_equal(rpc_submit(t.peer, &stale[i]), OK);
    }
    given_up = make_call(ECHO, PATIENCE_MS, setting());
    assert_int_equal(rpc_submit(t.peer, &given_up), OK);
    rpc_call_abandon(&given_up);
    for (int i = 0; i < 2; i++) {
        calls[i] = make_call(ECHO, PATIENCE_MS, setting());
        calls[i].body = i == 0 ? SLICE_LIT("first") : SLICE_LIT("second");
        calls[i].request_id = id;
        assert_int_equal(rpc_submit(t.peer, &calls[i]), OK);
    }
    memset(id, 0, sizeof id); /* was copied */
    fiber_sleep_ms(AWAY_MS);
    for (int i = 0; i < STALE / 2; i++) { /* the others have ended and nobody has looked */
        assert_int_equal(rpc_wait(&stale[i]), ERR_TIMEOUT);
        rpc_call_fini(&stale[i]);
    }
    t.requests = 0;
    start_server(endpoint);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rpc_wait(&calls[i]), OK);
        assert_true(slice_eq_str(calls[i].response_body, i == 0 ? "first" : "second"));
        rpc_call_fini(&calls[i]);
    }
    echo(); /* behind everything that waited */
    assert_int_equal(t.requests, 3);
    assert_int_equal(rpc_wait(&given_up), ERR_TIMEOUT);
    rpc_call_fini(&given_up);
    for (int i = STALE / 2; i < STALE; i++) {
        assert_int_equal(rpc_wait(&stale[i]), ERR_TIMEOUT);
        rpc_call_fini(&stale[i]);
    }
    assert_int_equal(rpc_client_calls(t.client), 0);
}

static void what_is_stale_is_not_sent(void **state)
{
    (void)state;
    run_fiber(t.loop, stale_fiber);
}

static void left_time_fiber(void)
{
    char endpoint[RPC_ENDPOINT_MAX];
    echo();
    snprintf(endpoint, sizeof endpoint, "%s", rpc_server_endpoint(t.server));
    stop_server();
    struct rpc_call call = make_call(ECHO, PATIENCE_MS, setting());
    assert_int_equal(rpc_submit(t.peer, &call), OK);
    fiber_sleep_ms(AWAY_MS);
    start_server(endpoint);
    assert_int_equal(rpc_wait(&call), OK);
    assert_true(t.last_left_ms <= PATIENCE_MS - AWAY_MS);
    rpc_call_fini(&call);
}

static void waiting_uses_up_the_time(void **state)
{
    (void)state;
    run_fiber(t.loop, left_time_fiber);
}

/* A client that stood still finds the answers of a server that has hung up meanwhile. ZeroMQ drops them when
 * it hears of that, and ends the process if it does in the middle of one. */
enum { UNREAD = 90 /* and a hundred frames */, STILL_US = 300 * 1000 };

static void unread_fiber(void)
{
    char endpoint[RPC_ENDPOINT_MAX];
    struct rpc_call calls[UNREAD];
    echo();
    snprintf(endpoint, sizeof endpoint, "%s", rpc_server_endpoint(t.server));
    for (int i = 0; i < UNREAD; i++) {
        calls[i] = make_call(ECHO, AWAY_MS, setting());
        assert_int_equal(rpc_submit(t.peer, &calls[i]), OK);
    }
    usleep(STILL_US); /* the loop does not turn */
    assert_true(peer_has_input(t.peer));
    rpc_server_free(&t.server);
    usleep(STILL_US);
    for (int i = 0; i < UNREAD; i++) {
        enum err err = rpc_wait(&calls[i]); /* read or dropped */
        assert_true(err == OK || err == ERR_TIMEOUT);
        rpc_call_fini(&calls[i]);
    }
    start_server(endpoint);
    echo();
}

static void unread_answers_are_dropped_whole(void **state)
{
    (void)state;
    run_fiber(t.loop, unread_fiber);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_stale_is_not_sent, setup, rpc_teardown),
        cmocka_unit_test_setup_teardown(waiting_uses_up_the_time, setup, rpc_teardown),
        cmocka_unit_test_setup_teardown(unread_answers_are_dropped_whole, setup, rpc_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
