/* SPDX-License-Identifier: Apache-2.0 */
/* Peers that nobody asks for any more, with a clock that the test moves on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "proto/cluster.pb-c.h"

static uint64_t ahead_ms;

uint64_t __real_clock_mono_ms(void);
uint64_t __wrap_clock_mono_ms(void);

uint64_t __wrap_clock_mono_ms(void)
{
    return __real_clock_mono_ms() + ahead_ms;
}

static struct rpc_client *client;

static struct rpc_peer *peer_at(unsigned port)
{
    char endpoint[RPC_ENDPOINT_MAX];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", port);
    struct rpc_peer *peer = rpc_client_peer(client, endpoint, RPC_ROLE_STORAGE_NODE);
    assert_non_null(peer);
    return peer;
}

static void idle_fiber(void *arg)
{
    (void)arg;
    Tern__Setting setting = TERN__SETTING__INIT;
    struct rpc_call call = { .method = 1, .deadline_ms = 60 * 60 * 1000, .request = &setting.base };
    assert_int_equal(rpc_submit(peer_at(1), &call), OK); /* nobody is there: it waits */
    peer_at(2);
    peer_at(3);
    ahead_ms += RPC_PEER_IDLE_MS - 1000;
    peer_at(2);
    peer_at(4);
    assert_int_equal(rpc_client_peers(client), 4);
    ahead_ms += 1000;
    peer_at(3); /* is found before it is missed */
    assert_int_equal(rpc_client_peers(client), 4);
    ahead_ms += RPC_PEER_IDLE_MS - 1000;
    fiber_yield();
    peer_at(5); /* those at 2 and 4 go; one has a call under way, the other was asked for lately */
    assert_int_equal(rpc_client_peers(client), 3);
    rpc_call_fini(&call);
    ahead_ms += RPC_PEER_IDLE_MS;
    peer_at(6);
    assert_int_equal(rpc_client_peers(client), 1);
    loop_stop(loop_self());
}

static void nothing_fiber(void *arg)
{
    (void)arg;
    fiber_yield();
    loop_stop(loop_self());
}

static void idle_peers_go(void **state)
{
    struct loop *loop;
    int sockets_max;
    (void)state;
    void *zmq = rpc_context_new();
    sockets_max = zmq_ctx_get(zmq, ZMQ_MAX_SOCKETS);
    assert_int_equal(sockets_max, RPC_SOCKETS_MAX);
    assert_int_equal(loop_new(&loop), OK);
    client = rpc_client_new(loop, zmq, NULL, NULL, NULL);
    assert_int_equal(fiber_spawn(loop, "test", idle_fiber, NULL), OK);
    loop_run(loop);
    rpc_client_free(&client);
    assert_int_equal(fiber_spawn(loop, "test", nothing_fiber, NULL), OK);
    loop_run(loop); /* the loop lets go of what was closed */
    loop_free(&loop);
    zmq_ctx_term(zmq);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(idle_peers_go) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
