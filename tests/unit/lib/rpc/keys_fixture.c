/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/rpc/keys_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/metrics.h"
#include "lib/fiber/fiber.h"
#include "proto/cluster.pb-c.h"
#include "tests/unit/lib/rpc/own_endpoint.h"

struct keys_fixture t;

/* ---- folders of keys */

void write_keys(const char *folder, struct role_keys roles[RPC_ROLE_COUNT])
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

void start_server_at(enum rpc_service service, enum rpc_role role, const char *folder, const char *endpoint)
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

void start_server(enum rpc_service service, enum rpc_role role, const char *folder)
{
    start_server_at(service, role, folder, own_endpoint());
}

void stop_server(void)
{
    rpc_server_free(&t.server);
    rpc_keys_close(&t.keys);
    zmq_ctx_term(t.zmq);
}

/* ---- a client */

struct client open_client(enum rpc_role role, const char *folder, enum rpc_role server)
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

void close_client(struct client *c)
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

enum err call_method(struct client *c, uint32_t method, uint32_t wait_ms)
{
    ask.client = c;
    ask.method = method;
    ask.wait_ms = wait_ms;
    run_fiber(t.loop, ask_fiber);
    return ask.err == OK ? ask.status : ask.err;
}

const char *call_detail(void)
{
    return ask.detail;
}

/* ---- figures */

uint64_t refused(const char *socket, const char *reason)
{
    /* Whoever sees the mismatch first hangs up, and then the other end knows no more than that. */
    if (strcmp(reason, "no_key") == 0)
        return refused(socket, "wrong_key") + refused(socket, "handshake");
    return atomic_load(&metrics_counter("tern_connections_refused_total",
                                        "Connections of other programs that were refused",
                                        METRIC_LABELS("socket", socket, "reason", reason))
                            ->value);
}

void wait_refused(const char *socket, const char *reason, uint64_t before)
{
    uint64_t until = clock_mono_ms() + WAIT_MS;
    /* ZeroMQ tries again on its own threads. */
    while (refused(socket, reason) <= before && clock_mono_ms() < until)
        usleep(5000);
    assert_true(refused(socket, reason) > before);
}

/* ---- a test's beginning and end */

int keys_setup(void **state)
{
    struct role_keys strange[RPC_ROLE_COUNT] = { 0 };
    (void)state;
    memset(&t, 0, sizeof t);
    make_folder(t.folder, t.roles);
    make_folder(t.strange, strange);
    assert_int_equal(loop_new(&t.loop), OK);
    return 0;
}

int keys_teardown(void **state)
{
    (void)state;
    loop_free(&t.loop);
    remove_folder(t.folder);
    remove_folder(t.strange);
    return 0;
}
