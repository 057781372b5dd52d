/* SPDX-License-Identifier: Apache-2.0 */
/* More calls than a server takes at once, and more than the queue to a peer holds. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/rpc/rpc_fixture.h"

static void busy_fiber(void)
{
    struct rpc_call calls[REQUESTS_MAX];
    for (int i = 0; i < REQUESTS_MAX; i++) {
        calls[i] = make_call(HOLD, 10000, setting());
        assert_int_equal(rpc_submit(t.peer, &calls[i]), OK);
    }
    while (held_count() < REQUESTS_MAX)
        fiber_sleep_ms(1);
    assert_int_equal(rpc_server_pending(t.server), REQUESTS_MAX);
    struct rpc_call one_more = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &one_more), OK);
    assert_int_equal(one_more.status, ERR_BUSY);
    rpc_call_fini(&one_more);
    release_held();
    for (int i = 0; i < REQUESTS_MAX; i++) {
        assert_int_equal(rpc_wait(&calls[i]), OK);
        assert_int_equal(calls[i].status, OK);
        rpc_call_fini(&calls[i]);
    }
    one_more = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_call(t.peer, &one_more), OK);
    assert_int_equal(one_more.status, OK);
    rpc_call_fini(&one_more);
}

static void beyond_the_bound_it_is_busy(void **state)
{
    (void)state;
    run_fiber(t.loop, busy_fiber);
}

static void queue_fiber(void)
{
    /* A peer that takes nothing: its queue fills, then calls are refused without having been sent. */
    struct rpc_peer *nobody = rpc_client_peer(t.client, "tcp://127.0.0.1:1", RPC_ROLE_STORAGE_NODE);
    struct rpc_call *calls = NEW_ARRAY(struct rpc_call, RPC_HWM + 10);
    size_t sent = 0;
    for (; sent < RPC_HWM + 10; sent++) {
        calls[sent] = make_call(ECHO, 60000, setting());
        calls[sent].body = SLICE_LIT("body");
        if (rpc_submit(nobody, &calls[sent]) != OK)
            break;
    }
    assert_true(sent >= 100 && sent <= RPC_HWM + 1);
    assert_int_equal(rpc_submit(nobody, &calls[sent]), ERR_BUSY);
    for (size_t i = 0; i < sent; i++)
        rpc_call_fini(&calls[i]);
    free(calls);
    /* Others are not concerned. */
    echo();
}

static void a_full_queue_refuses(void **state)
{
    (void)state;
    run_fiber(t.loop, queue_fiber);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(beyond_the_bound_it_is_busy),
        TEST(a_full_queue_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
