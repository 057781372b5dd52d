/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a server: its last answers arrive, and nobody holds it up. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "lib/rpc/farewell.h"
#include "lib/rpc/server.h"
#include "proto/cluster.pb-c.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum {
    ECHO = 1,
    HOLD,
    CALLS = 8,
    BUSY_MS = 100, /* a loop has something else to do */
};

static const Tern__Setting setting = TERN__SETTING__INIT;

static struct {
    void *zmq;
    struct loop *loop;
    struct rpc_server *server;
    struct rpc_client *client;
    struct rpc_peer *peer;
    pthread_mutex_t lock;
    struct rpc_request *held;
    atomic_uint held_count;
    unsigned notices;
    pthread_t stopper;
    atomic_bool stopped;
    uint64_t stop_ms; /* it took */
} t;

static void handle(struct rpc_request *req, void *arg)
{
    (void)arg;
    if (req->method == ECHO) {
        rpc_reply(&req, OK, NULL, NULL, NULL);
        return;
    }
    pthread_mutex_lock(&t.lock);
    req->next = t.held;
    t.held = req;
    pthread_mutex_unlock(&t.lock);
    atomic_fetch_add(&t.held_count, 1);
}

static void release_held(void)
{
    while (t.held != NULL) {
        struct rpc_request *req = t.held;
        t.held = req->next;
        rpc_reply(&req, OK, NULL, NULL, NULL);
    }
}

static void on_notice(uint32_t method, uint32_t partition, struct slice packed, void *arg)
{
    (void)method;
    (void)partition;
    (void)packed;
    (void)arg;
    t.notices++;
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    pthread_mutex_init(&t.lock, NULL);
    t.zmq = rpc_context_new();
    struct rpc_server_options options = {
        .zmq = t.zmq, .endpoint = "tcp://127.0.0.1:0", .requests_max = CALLS, .handler = handle
    };
    assert_int_equal(rpc_server_start(&options, &t.server), OK);
    assert_int_equal(loop_new(&t.loop), OK);
    t.client = rpc_client_new(t.loop, t.zmq, NULL, on_notice, NULL);
    t.peer = rpc_client_peer(t.client, rpc_server_endpoint(t.server), RPC_ROLE_STORAGE_NODE);
    assert_non_null(t.peer);
    return 0;
}

static void nothing(void)
{
    fiber_yield();
}

static int teardown(void **state)
{
    (void)state;
    rpc_client_free(&t.client);
    run_fiber(t.loop, nothing); /* the loop lets go of what was closed */
    loop_free(&t.loop);
    rpc_server_free(&t.server);
    zmq_ctx_term(t.zmq);
    pthread_mutex_destroy(&t.lock);
    return 0;
}

static struct rpc_call make_call(uint32_t method)
{
    return (
        struct rpc_call){ .method = method, .partition = 3, .deadline_ms = 5000, .request = &setting.base };
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
    t.stop_ms = clock_mono_ms() - start;
    atomic_store(&t.stopped, true);
    return NULL;
}

static void begin_stop(void)
{
    assert_int_equal(pthread_create(&t.stopper, NULL, stop_main, NULL), 0);
}

static void await_stop(void)
{
    while (!atomic_load(&t.stopped))
        fiber_sleep_ms(1);
    pthread_join(t.stopper, NULL);
}

static void submit_held(struct rpc_call *calls)
{
    for (int i = 0; i < CALLS; i++) {
        calls[i] = make_call(HOLD);
        assert_int_equal(rpc_submit(t.peer, &calls[i]), OK);
    }
    while (atomic_load(&t.held_count) < CALLS)
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
    assert_false(atomic_load(&t.stopped));
    all_are_answered(calls);
    await_stop();
}

static void a_busy_client_is_waited_for(void **state)
{
    (void)state;
    run_fiber(t.loop, busy_fiber);
}

static void echo_fiber(void)
{
    struct rpc_call call = make_call(ECHO);
    assert_int_equal(rpc_call(t.peer, &call), OK);
    rpc_call_fini(&call);
}

static void one_that_does_not_read_is_not_waited_for_long(void **state)
{
    (void)state;
    run_fiber(t.loop, echo_fiber);
    stop_main(NULL); /* no loop turns */
    assert_true(t.stop_ms >= FAREWELL_WAIT_MS);
    assert_true(t.stop_ms < 10 * FAREWELL_WAIT_MS);
}

static void one_that_is_gone_is_not_waited_for(void **state)
{
    (void)state;
    run_fiber(t.loop, echo_fiber);
    rpc_client_free(&t.client);
    run_fiber(t.loop, nothing);
    usleep(BUSY_MS * 1000); /* the server's ZeroMQ learns of it */
    stop_main(NULL);
    assert_true(t.stop_ms < FAREWELL_WAIT_MS);
}

static void nobody_is_waited_for_without_answers(void **state)
{
    (void)state;
    stop_main(NULL);
    assert_true(t.stop_ms < FAREWELL_WAIT_MS);
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
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
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
