/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that change while calls go on: an exchange in steps, one side that learns of it late, files that
 * cannot be used. */
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/metrics.h"
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/rpc/keys_fixture.h"
#include "tests/unit/lib/rpc/peer_state.h"

/* The steps of ternctl keys rotate, with each reading the files in turn, and new connections at every moment.
 */
static void next_step(int step)
{
    for (int role = 1; role < RPC_ROLE_COUNT; role++) {
        struct key_pair *pairs = t.roles[role].pairs;
        if (step == 1)
            key_pair_make(&pairs[KEY_NEXT]);
        if (step == 2) {
            pairs[KEY_PREVIOUS] = pairs[KEY_CURRENT];
            pairs[KEY_CURRENT] = pairs[KEY_NEXT];
            memset(&pairs[KEY_NEXT], 0, sizeof pairs[KEY_NEXT]);
        }
        if (step == 3)
            memset(&pairs[KEY_PREVIOUS], 0, sizeof pairs[KEY_PREVIOUS]);
    }
    write_keys(t.folder, t.roles);
}

/* So long at least, and until its connection has the newest keys. */
static void calls_go_on(struct client *c, uint32_t ms)
{
    uint64_t until = clock_mono_ms() + ms, end = until + PEER_STATE_MS;
    do {
        assert_true(clock_mono_ms() < end);
        assert_int_equal(call_method(c, METHOD_FETCH, CALL_MS), OK);
        struct client other = open_client(RPC_ROLE_CTL, t.folder, RPC_ROLE_STORAGE_NODE);
        assert_int_equal(call_method(&other, METHOD_FETCH, CALL_MS), OK);
        close_client(&other);
    } while (clock_mono_ms() < until || !peer_is_settled(c->peer));
}

static void rotation(void **state)
{
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder);
    struct client c = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    calls_go_on(&c, 0);
    for (int step = 1; step <= 3; step++) {
        next_step(step);
        calls_go_on(&c, 0); /* whoever starts has other files than those who run */
        struct rpc_keys *order[] = { step == 2 ? c.keys : t.keys, step == 2 ? t.keys : c.keys };
        for (int i = 0; i < 2; i++) {
            rpc_keys_reload(order[i]);
            calls_go_on(&c, 1200); /* an idle server looks every second */
        }
    }
    close_client(&c);
    stop_server();
}

static uint64_t handshakes_failed(void)
{
    return atomic_load(&metrics_counter("tern_handshakes_failed_total",
                                        "Connections to other programs that failed in the handshake", NULL)
                            ->value);
}

static void wait_fiber(void)
{
    uint64_t failed = handshakes_failed(), until = clock_mono_ms() + WAIT_MS;
    while (handshakes_failed() == failed && clock_mono_ms() < until)
        fiber_sleep_ms(5);
    assert_true(handshakes_failed() > failed);
}

static void short_while(void)
{
    fiber_sleep_ms(3 * RPC_KEYS_RETRY_MS); /* an idle server looks every second */
}

static const struct rpc_peer *settling;

static void settle_fiber(void)
{
    for (uint64_t end = clock_mono_ms() + PEER_STATE_MS; !peer_is_settled(settling); fiber_sleep_ms(5))
        assert_true(clock_mono_ms() < end);
}

/* A client speaks with its next key before the server has heard of it: refused, and tried again until the
 * server knows better; the old connection serves meanwhile. */
static void server_learns_last(void **state)
{
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder);
    struct client c = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&c, METHOD_FETCH, CALL_MS), OK);
    struct key_pair *pairs = t.roles[RPC_ROLE_FRONTEND].pairs;
    pairs[KEY_PREVIOUS] = pairs[KEY_CURRENT];
    key_pair_make(&pairs[KEY_CURRENT]);
    write_keys(t.folder, t.roles);
    rpc_keys_reload(c.keys);
    run_fiber(t.loop, wait_fiber);
    run_fiber(t.loop, wait_fiber);
    assert_int_equal(call_method(&c, METHOD_FETCH, CALL_MS), OK);
    rpc_keys_reload(t.keys);
    settling = c.peer;
    assert_false(peer_is_settled(c.peer));
    run_fiber(t.loop, settle_fiber);
    /* Now the old one goes: the client is there with the new one already. */
    memset(&pairs[KEY_PREVIOUS], 0, sizeof pairs[KEY_PREVIOUS]);
    write_keys(t.folder, t.roles);
    uint64_t before = refused("storage", "unknown_key");
    rpc_keys_reload(t.keys);
    run_fiber(t.loop, short_while);
    assert_int_equal(call_method(&c, METHOD_FETCH, CALL_MS), OK);
    assert_int_equal(refused("storage", "unknown_key"), before);
    close_client(&c);
    stop_server();
}

/* The server was started without keys by mistake, and then with: the same client gets through. */
static void comes_back(void **state)
{
    char endpoint[RPC_ENDPOINT_MAX];
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, "");
    strcpy(endpoint, rpc_server_endpoint(t.server));
    struct client c = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&c, METHOD_FETCH, SILENCE_MS), ERR_TIMEOUT);
    stop_server();
    start_server_at(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder, endpoint);
    uint64_t until = clock_mono_ms() + WAIT_MS;
    while (call_method(&c, METHOD_FETCH, SILENCE_MS) != OK)
        assert_true(clock_mono_ms() < until);
    close_client(&c);
    stop_server();
}

/* A reload that cannot be used changes nothing. */
static void bad_reload(void **state)
{
    char path[KEY_PATH_MAX];
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder);
    struct client c = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    assert_int_equal(keyfile_public_path(t.folder, path), OK);
    unlink(path);
    rpc_keys_reload(t.keys);
    rpc_keys_reload(c.keys);
    assert_int_equal(rpc_keys_generation(t.keys), 0);
    assert_int_equal(call_method(&c, METHOD_FETCH, CALL_MS), OK);
    write_keys(t.folder, t.roles);
    rpc_keys_reload(t.keys);
    assert_int_equal(rpc_keys_generation(t.keys), 0); /* the same keys */
    close_client(&c);
    stop_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rotation),
        TEST(comes_back),
        TEST(server_learns_last),
        TEST(bad_reload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
