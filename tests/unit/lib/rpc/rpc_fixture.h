/* SPDX-License-Identifier: Apache-2.0 */
/* Server and client over real ZeroMQ on loopback. The server's handler does what the request's method number
 * says; what it does not answer at once it keeps until the test lets go. */
#ifndef TESTS_UNIT_LIB_RPC_RPC_FIXTURE_H
#define TESTS_UNIT_LIB_RPC_RPC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/rpc/client.h"
#include "lib/rpc/server.h"
#include "proto/cluster.pb-c.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum {
    ECHO = 1,  /* answers with the request and its body */
    HOLD,      /* kept until release_held */
    REFUSE,    /* a status and everything the header can carry */
    GREAT,     /* 3 MiB of body */
    NOTICE,    /* sends a notice to the asker, then answers */
    STRANGE,   /* a status that nobody knows */
    LONG_HINT, /* a hint longer than an endpoint may be */
    REQUESTS_MAX = 8,
    GREAT_SIZE = 3 * 1024 * 1024,
};

struct rpc_fixture {
    void *zmq;
    struct loop *loop;
    struct rpc_server *server;
    struct rpc_client *client;
    struct rpc_peer *peer; /* that server */
    unsigned requests_max; /* of a server that is started */
    unsigned notices;
    uint64_t notice_value;
    /* Of requests that came. */
    atomic_uint requests;
    _Atomic uint64_t last_deadline_ms;
    _Atomic uint64_t last_left_ms; /* of it, when the request came */
    atomic_bool last_has_id;
};
extern struct rpc_fixture t;

/* A test over a server and a client. */
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, rpc_setup, rpc_teardown)
int rpc_setup(void **state);
int rpc_teardown(void **state);
/* The same as rpc_setup, with a server that takes so many requests at once. */
void rpc_begin(unsigned requests_max);
void start_server(const char *endpoint);
/* One that the client is connected to. What is given to a connection that has ended is lost, so this waits
 * until the client knows. Yields. */
void stop_server(void);
/* The server's handler, for a second server. */
void handle(struct rpc_request *req, void *arg);
/* In a fiber of its own: the loop lets go of what was closed. */
void nothing(void);

/* What is held of HOLD, and an answer to all of it. */
unsigned held_count(void);
void release_held(void);
/* Asserts that soon no request is under way: an answer is there a moment before it counts as given. */
void expect_none_pending(const struct rpc_server *server);

struct rpc_call make_call(uint32_t method, uint32_t deadline_ms, const Tern__Setting *request);
/* A small request, valid until the next. */
const Tern__Setting *setting(void);
/* One ECHO of 5 s; asserts that an answer comes. Yields. */
void echo(void);
/* A call of every kind, in full. Yields. */
void call_all(void);

#endif
