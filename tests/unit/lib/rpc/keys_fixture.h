/* SPDX-License-Identifier: Apache-2.0 */
/* Folders of keys, a server and clients that read them, over real ZeroMQ on loopback. Server and clients have
 * a context each, as programs have. */
#ifndef TESTS_UNIT_LIB_RPC_KEYS_FIXTURE_H
#define TESTS_UNIT_LIB_RPC_KEYS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/rpc/client.h"
#include "lib/rpc/keyfile.h"
#include "lib/rpc/server.h"
#include "proto/methods.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum { WAIT_MS = 20000, CALL_MS = 10000, SILENCE_MS = 400 };

struct keys_fixture {
    char folder[64], strange[64]; /* keys of the cluster, and of another */
    struct role_keys roles[RPC_ROLE_COUNT];
    struct loop *loop;
    void *zmq; /* the server's */
    struct rpc_keys *keys;
    struct rpc_server *server;
    enum rpc_role last_role; /* that asked something */
};
extern struct keys_fixture t;

/* A test with both folders. */
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, keys_setup, keys_teardown)
int keys_setup(void **state);
int keys_teardown(void **state);
/* Write all files of a folder anew. */
void write_keys(const char *folder, struct role_keys roles[RPC_ROLE_COUNT]);

/* A server of that role that reads this folder ("": has no keys); at a free port. */
void start_server(enum rpc_service service, enum rpc_role role, const char *folder);
void start_server_at(enum rpc_service service, enum rpc_role role, const char *folder, const char *endpoint);
void stop_server(void);

/* A client of that server. */
struct client {
    void *zmq;
    struct rpc_keys *keys;
    struct rpc_client *rpc;
    struct rpc_peer *peer;
};
struct client open_client(enum rpc_role role, const char *folder, enum rpc_role server);
void close_client(struct client *c);
/* One call in a fiber of its own: its status, or why there is none. */
enum err call_method(struct client *c, uint32_t method, uint32_t wait_ms);
/* The detail of the newest answer. */
const char *call_detail(void);

/* Connections to a socket of a service that were refused so far; and wait until there are more. */
uint64_t refused(const char *socket, const char *reason);
void wait_refused(const char *socket, const char *reason, uint64_t before);

#endif
