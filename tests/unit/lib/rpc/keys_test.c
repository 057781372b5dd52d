/* SPDX-License-Identifier: Apache-2.0 */
/* Keys over real ZeroMQ on loopback: who gets in, who does not and how that is told, and an exchange of keys
 * while calls go on. Server and clients have a context each, as programs have. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/metrics.h"
#include "lib/fiber/fiber.h"
#include "lib/rpc/client.h"
#include "lib/rpc/keyfile.h"
#include "lib/rpc/server.h"
#include "proto/cluster.pb-c.h"
#include "proto/methods.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum { WAIT_MS = 20000, CALL_MS = 10000, SILENCE_MS = 400 };

static struct {
    char folder[64], strange[64]; /* keys of the cluster, and of another */
    struct role_keys roles[RPC_ROLE_COUNT];
    struct loop *loop;
    void *zmq; /* the server's */
    struct rpc_keys *keys;
    struct rpc_server *server;
    enum rpc_role last_role;
} t;

/* ---- folders of keys */

static void write_keys(const char *folder, struct role_keys roles[RPC_ROLE_COUNT])
{
    struct public_keys public = { 0 };
    for (int role = 1; role < RPC_ROLE_COUNT; role++) {
        for (int age = 0; age < KEY_AGES; age++)
            memcpy(public.keys[role][age], roles[role].pairs[age].public, KEY_TEXT_SIZE);
        assert_int_equal(keyfile_write(folder, (enum rpc_role)role, &roles[role]), OK);
    }
    assert_int_equal(keyfile_write_public(folder, &public), OK);
}

static void make_folder(char *out, struct role_keys roles[RPC_ROLE_COUNT])
{
    strcpy(out, "/tmp/tern-keys-XXXXXX");
    assert_non_null(mkdtemp(out));
    for (int role = 1; role < RPC_ROLE_COUNT; role++)
        key_pair_make(&roles[role].pairs[KEY_CURRENT]);
    write_keys(out, roles);
}

static void remove_folder(const char *folder)
{
    char path[KEY_PATH_MAX];
    for (int role = 1; role < RPC_ROLE_COUNT; role++) {
        assert_int_equal(keyfile_path(folder, (enum rpc_role)role, path), OK);
        unlink(path);
    }
    assert_int_equal(keyfile_public_path(folder, path), OK);
    unlink(path);
    rmdir(folder);
}

/* ---- the server */

static void handle(struct rpc_request *req, void *arg)
{
    struct buf response = { 0 };
    (void)arg;
    t.last_role = req->role;
    buf_add_slice(&response, req->request);
    rpc_reply(&req, OK, NULL, &response, NULL);
}

static void start_server_at(enum rpc_service service, enum rpc_role role, const char *folder,
                            const char *endpoint)
{
    t.zmq = zmq_ctx_new();
    assert_int_equal(rpc_keys_open(t.zmq, folder, role, &t.keys), OK);
    struct rpc_server_options options = { .zmq = t.zmq,
                                          .keys = t.keys,
                                          .service = service,
                                          .endpoint = endpoint,
                                          .requests_max = 100,
                                          .handler = handle };
    assert_int_equal(rpc_server_start(&options, &t.server), OK);
}

static void start_server(enum rpc_service service, enum rpc_role role, const char *folder)
{
    start_server_at(service, role, folder, "tcp://127.0.0.1:0");
}

static void stop_server(void)
{
    rpc_server_free(&t.server);
    rpc_keys_close(&t.keys);
    zmq_ctx_term(t.zmq);
}

/* ---- a client */

struct client {
    void *zmq;
    struct rpc_keys *keys;
    struct rpc_client *rpc;
    struct rpc_peer *peer;
};

static struct client open_client(enum rpc_role role, const char *folder, enum rpc_role server)
{
    struct client c = { .zmq = zmq_ctx_new() };
    assert_int_equal(rpc_keys_open(c.zmq, folder, role, &c.keys), OK);
    c.rpc = rpc_client_new(t.loop, c.zmq, c.keys, NULL, NULL);
    c.peer = rpc_client_peer(c.rpc, rpc_server_endpoint(t.server), server);
    assert_non_null(c.peer);
    return c;
}

static void nothing(void)
{
    fiber_yield();
}

static void close_client(struct client *c)
{
    rpc_client_free(&c->rpc);
    run_fiber(t.loop, nothing);
    rpc_keys_close(&c->keys);
    zmq_ctx_term(c->zmq);
}

static struct {
    struct client *client;
    uint32_t method, wait_ms;
    enum err err, status;
    char detail[RPC_DETAIL_MAX];
} ask;

static void ask_fiber(void)
{
    static Tern__Setting setting;
    tern__setting__init(&setting);
    setting.name = (char *)"name";
    struct rpc_call call = { .method = ask.method, .deadline_ms = ask.wait_ms, .request = &setting.base };
    ask.err = rpc_call(ask.client->peer, &call);
    ask.status = call.status;
    memcpy(ask.detail, call.detail, sizeof ask.detail);
    rpc_call_fini(&call);
}

static enum err call_method(struct client *c, uint32_t method, uint32_t wait_ms)
{
    ask.client = c;
    ask.method = method;
    ask.wait_ms = wait_ms;
    run_fiber(t.loop, ask_fiber);
    return ask.err == OK ? ask.status : ask.err;
}

/* ---- figures */

static uint64_t refused(const char *socket, const char *reason)
{
    /* Whoever sees the mismatch first hangs up, and then the other end knows no more than that. */
    if (strcmp(reason, "no_key") == 0)
        return refused(socket, "wrong_key") + refused(socket, "handshake");
    return atomic_load(&metrics_counter("tern_connections_refused_total",
                                        "Connections of other programs that were refused",
                                        METRIC_LABELS("socket", socket, "reason", reason))
                            ->value);
}

static void wait_refused(const char *socket, const char *reason, uint64_t before)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;
    /* ZeroMQ tries again on its own threads. */
    while (refused(socket, reason) <= before && clock_mono_ms() < until)
        usleep(5000);
    assert_true(refused(socket, reason) > before);
}

/* ---- fixture */

static int setup(void **state)
{
    struct role_keys strange[RPC_ROLE_COUNT] = { 0 };
    (void)state;
    memset(&t, 0, sizeof t);
    make_folder(t.folder, t.roles);
    make_folder(t.strange, strange);
    assert_int_equal(loop_new(&t.loop), OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(&t.loop);
    remove_folder(t.folder);
    remove_folder(t.strange);
    return 0;
}

/* ---- tests */

static void roles(void **state)
{
    static const struct {
        enum rpc_role role;
        enum rpc_service service;
        uint32_t method;
        bool connect, call;
    } rows[] = {
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_MAP, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_NODE_HELLO, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_CONF_CHANGE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_DOMAIN_ADD, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_DELIVER, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ACCOUNT_DELETE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ACCOUNT_UPDATE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ADDRESS_LIST, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ADDRESS_LOOKUP, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_QUEUE_LEASE, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_QUEUE_STATUS, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_QUEUE_CHANGE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_CHECK, true, false },
        { RPC_ROLE_CTL, RPC_SERVICE_STORAGE, METHOD_QUEUE_CHANGE, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_PEER, 0, false, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_BEAT, 0, false, false },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_DIRECTOR, METHOD_NODE_HELLO, true, true },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_DIRECTOR, METHOD_CONF_CHANGE, true, true },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_DIRECTOR, METHOD_NODE_REMOVE, true, false },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_STORAGE, METHOD_FETCH, false, false },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_PEER, 0, true, true },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_BEAT, 0, true, true },
        { RPC_ROLE_CTL, RPC_SERVICE_DIRECTOR, METHOD_DOMAIN_ADD, true, true },
        { RPC_ROLE_CTL, RPC_SERVICE_DIRECTOR, METHOD_NODE_HELLO, true, false },
        { RPC_ROLE_CTL, RPC_SERVICE_STORAGE, METHOD_ACCOUNT_CREATE, true, true },
        { RPC_ROLE_CTL, RPC_SERVICE_BEAT, 0, false, false },
        { RPC_ROLE_CTL, RPC_SERVICE_DIRECTOR, 9999, true,
          true }, /* "not a method" is the director's to say */
        { RPC_ROLE_DIRECTOR, RPC_SERVICE_STORAGE, METHOD_MAP, false, false },
        { RPC_ROLE_NONE, RPC_SERVICE_DIRECTOR, METHOD_MAP, false, false },
        { RPC_ROLE_NONE, RPC_SERVICE_PEER, 0, false, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rpc_role_may_connect(rows[i].role, rows[i].service) != rows[i].connect ||
            rpc_role_may_call(rows[i].role, rows[i].service, rows[i].method) != rows[i].call)
            fail_msg("row %zu", i);
    }
    for (int role = 1; role < RPC_ROLE_COUNT; role++)
        assert_int_equal(rpc_role_find(rpc_role_name((enum rpc_role)role)), role);
    assert_int_equal(rpc_role_find("none"), RPC_ROLE_NONE);
    assert_int_equal(rpc_role_find(NULL), RPC_ROLE_NONE);
    assert_int_equal(rpc_service_find("peer", 4), RPC_SERVICE_PEER);
    assert_int_equal(rpc_service_find("peers", 5), RPC_SERVICE_COUNT);
    assert_int_equal(rpc_service_find("", 0), RPC_SERVICE_COUNT);
}

static void right_keys(void **state)
{
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder);
    struct client frontend = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    struct client ctl = open_client(RPC_ROLE_CTL, t.folder, RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&frontend, METHOD_FETCH, CALL_MS), OK);
    assert_int_equal(t.last_role, RPC_ROLE_FRONTEND);
    assert_int_equal(call_method(&ctl, METHOD_ACCOUNT_CREATE, CALL_MS), OK);
    assert_int_equal(t.last_role, RPC_ROLE_CTL);
    assert_int_equal(call_method(&frontend, METHOD_ACCOUNT_CREATE, CALL_MS), ERR_DENIED);
    assert_string_equal(ask.detail, "a key of role frontend may not call ACCOUNT_CREATE");
    assert_int_equal(t.last_role, RPC_ROLE_CTL); /* it has not come that far */
    close_client(&frontend);
    close_client(&ctl);
    stop_server();
}

static void refuses(enum rpc_role role, const char *folder, const char *reason)
{
    uint64_t before = refused("storage", reason);
    struct client c = open_client(role, folder, RPC_ROLE_STORAGE_NODE);
    t.last_role = RPC_ROLE_DIRECTOR;
    assert_int_equal(call_method(&c, METHOD_FETCH, SILENCE_MS), ERR_TIMEOUT);
    assert_int_equal(t.last_role, RPC_ROLE_DIRECTOR);
    wait_refused("storage", reason, before);
    close_client(&c);
}

static void wrong_keys(void **state)
{
    struct role_keys impostor = { 0 };
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder);
    refuses(RPC_ROLE_FRONTEND, "", "no_key");
    refuses(RPC_ROLE_FRONTEND, t.strange,
            "wrong_key"); /* of another cluster: it expects another key of ours */
    refuses(RPC_ROLE_STORAGE_NODE, t.folder, "wrong_role");
    refuses(RPC_ROLE_DIRECTOR, t.folder, "wrong_role");
    /* It has our public key, but its own is on no list of ours: its folder says otherwise. */
    struct role_keys roles_there[RPC_ROLE_COUNT];
    memcpy(roles_there, t.roles, sizeof roles_there);
    key_pair_make(&impostor.pairs[KEY_CURRENT]);
    roles_there[RPC_ROLE_FRONTEND] = impostor;
    write_keys(t.strange, roles_there);
    refuses(RPC_ROLE_FRONTEND, t.strange, "unknown_key");
    /* And after all that, whoever may still can. */
    struct client c = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&c, METHOD_FETCH, CALL_MS), OK);
    close_client(&c);
    stop_server();
}

static void server_without_keys(void **state)
{
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, "");
    refuses(RPC_ROLE_FRONTEND, t.folder, "handshake"); /* it sees first that we have none, and hangs up */
    struct client c = open_client(RPC_ROLE_FRONTEND, "", RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&c, METHOD_ACCOUNT_CREATE, CALL_MS), OK);
    assert_int_equal(t.last_role, RPC_ROLE_NONE);
    close_client(&c);
    stop_server();
}

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

static void calls_go_on(struct client *c, uint32_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    do {
        assert_int_equal(call_method(c, METHOD_FETCH, CALL_MS), OK);
        struct client other = open_client(RPC_ROLE_CTL, t.folder, RPC_ROLE_STORAGE_NODE);
        assert_int_equal(call_method(&other, METHOD_FETCH, CALL_MS), OK);
        close_client(&other);
    } while (clock_mono_ms() < until);
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
    run_fiber(t.loop, short_while);
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

static void bad_files(void **state)
{
    static const char *const texts[] = {
        "",
        "role = \"ctl\";",
        "role = 7;",
        "role = \"ctl\"; current: { public = \"x\"; secret = \"y\"; };",
        "@include \"x\"\n",
    };
    struct role_keys out;
    struct public_keys public;
    struct buf errors = { 0 };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(keyfile_parse("x", RPC_ROLE_CTL, slice_str(texts[i]), &out, &errors), ERR_INVALID);
        assert_int_equal(keyfile_parse_public("x", slice_str(texts[i]), &public, &errors), ERR_INVALID);
    }
    assert_true(errors.len > 0);
    /* Another role's, no pair, the same key for two roles, nothing there. */
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_CTL, &out, &errors), OK);
    assert_string_equal(out.pairs[0].secret, t.roles[RPC_ROLE_CTL].pairs[0].secret);
    char from[KEY_PATH_MAX], to[KEY_PATH_MAX];
    assert_int_equal(keyfile_path(t.folder, RPC_ROLE_CTL, from), OK);
    assert_int_equal(keyfile_path(t.folder, RPC_ROLE_DIRECTOR, to), OK);
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_DIRECTOR, &out, &errors), ERR_INVALID);
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_CTL, &out, &errors), ERR_NOT_FOUND);
    t.roles[RPC_ROLE_CTL].pairs[0].secret[3] ^= 1;
    write_keys(t.folder, t.roles);
    assert_int_equal(keyfile_read(t.folder, RPC_ROLE_CTL, &out, &errors), ERR_INVALID);
    t.roles[RPC_ROLE_CTL].pairs[0] = t.roles[RPC_ROLE_DIRECTOR].pairs[0];
    write_keys(t.folder, t.roles);
    assert_int_equal(keyfile_read_public(t.folder, &public, &errors), ERR_INVALID);
    struct stat st;
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    /* A program whose files do not fit does not start. */
    struct rpc_keys *keys;
    void *zmq = zmq_ctx_new();
    assert_int_equal(rpc_keys_open(zmq, t.folder, RPC_ROLE_CTL, &keys), ERR_INVALID);
    assert_int_equal(rpc_keys_open(zmq, "/nowhere", RPC_ROLE_CTL, &keys), ERR_NOT_FOUND);
    zmq_ctx_term(zmq);
    buf_fini(&errors);
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
        cmocka_unit_test(roles),
        cmocka_unit_test_setup_teardown(right_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(server_without_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(server_learns_last, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_reload, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
