/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and their answers, alone and many at once; notices; endpoints at which no server starts. */
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/rpc/rpc_fixture.h"

static void calls_are_answered(void **state)
{
    (void)state;
    run_fiber(t.loop, call_all);
}

enum { MANY = 200, ROUNDS = 20 };
static unsigned many_left;
static struct fiber *many_waiter;

static void many_fiber(void *arg)
{
    char text[32];
    for (unsigned i = 0; i < ROUNDS; i++) {
        Tern__Setting s = TERN__SETTING__INIT;
        snprintf(text, sizeof text, "%lu.%u", (unsigned long)(uintptr_t)arg, i);
        s.name = text;
        struct rpc_call call = make_call(ECHO, 20000, &s);
        call.body = slice_str(text);
        assert_int_equal(rpc_call(t.peer, &call), OK);
        if (call.status == ERR_BUSY) { /* the server's bound */
            i--;
        } else {
            assert_int_equal(call.status, OK);
            assert_true(slice_eq_str(call.response_body, text));
        }
        rpc_call_fini(&call);
    }
    if (--many_left == 0)
        fiber_wake(many_waiter);
}

static void spawn_many(void)
{
    many_left = MANY;
    many_waiter = fiber_self();
    for (uintptr_t i = 0; i < MANY; i++)
        assert_int_equal(fiber_spawn(t.loop, "many", many_fiber, (void *)i), OK);
    while (many_left > 0)
        fiber_suspend();
}

static void many_calls_at_once_keep_apart(void **state)
{
    (void)state;
    run_fiber(t.loop, spawn_many);
    expect_none_pending(t.server);
}

static void notice_fiber(void)
{
    struct rpc_call call = make_call(NOTICE, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &call), OK);
    assert_int_equal(call.status, OK);
    rpc_call_fini(&call);
    for (int i = 0; i < 1000 && t.notices == 0; i++)
        fiber_sleep_ms(1);
    assert_int_equal(t.notices, 1);
    assert_int_equal(t.notice_value, 77);
}

static void notices_arrive(void **state)
{
    (void)state;
    run_fiber(t.loop, notice_fiber);
}

static void a_bad_endpoint_does_not_start(void **state)
{
    (void)state;
    struct rpc_server *server;
    struct rpc_server_options options = { .zmq = t.zmq, .handler = handle, .requests_max = 1 };
    options.endpoint = "tcp://0.0.0.0:0";
    assert_int_equal(rpc_server_start(&options, &server), ERR_DENIED);
    options.endpoint = "tcp:/nonsense";
    assert_int_equal(rpc_server_start(&options, &server), ERR_INVALID);
    options.endpoint = rpc_server_endpoint(t.server); /* in use */
    assert_int_equal(rpc_server_start(&options, &server), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(calls_are_answered),
        TEST(many_calls_at_once_keep_apart),
        TEST(notices_arrive),
        TEST(a_bad_endpoint_does_not_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
