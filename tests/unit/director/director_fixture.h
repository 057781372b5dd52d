/* SPDX-License-Identifier: Apache-2.0 */
/* A whole director with its store, asked over ZeroMQ as nodes and front-ends do. */
#ifndef TESTS_UNIT_DIRECTOR_DIRECTOR_FIXTURE_H
#define TESTS_UNIT_DIRECTOR_DIRECTOR_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "director/director.h"
#include "lib/base/buf.h"
#include "proto/cluster.pb-c.h"
#include "proto/methods.h"
#include "proto/rpc.pb-c.h"

struct fixture {
    char folder[64];
    void *zmq;
    struct director *director;
    uint64_t calls;
    void *sockets[8];
    size_t socket_count;
};

/* A test over a director of its own: 256 partitions of one copy, placed when the first node is here. */
#define TEST(name) cmocka_unit_test_setup_teardown(name, director_setup, director_teardown)
int director_setup(void **state);
int director_teardown(void **state);
/* Start one over the fixture's store, as it stands there. */
enum err try_start(struct fixture *f, uint32_t partitions, uint32_t initial_nodes);
/* The same director once more; a connection to it. */
void *restart(struct fixture *f);
/* A connection of a node, a front end or ternctl; closed by the test's end. */
void *connect_to(struct fixture *f);

void send_request(struct fixture *f, void *socket, uint32_t method, const ProtobufCMessage *request);
/* The next message: its header (the caller's), and the payload in `out` if wanted. */
Tern__ResponseHeader *receive(void *socket, struct buf *out);
/* Ask and take the answer, passing over notices. */
enum err ask(struct fixture *f, void *socket, uint32_t method, const ProtobufCMessage *request,
             struct buf *out);

/* ---- requests most tests need; what they return is the caller's */

struct hello {
    uint8_t id[16];
    Tern__NodeInfo node;
    Tern__NodeHelloRequest request;
};
/* A hello of the node whose store id begins with `store`; it tells of every copy that it has, of none, but
 * looked before anybody asked. */
void prepare_hello(struct hello *h, uint8_t store, const char *endpoint);
/* Send one, again while the director hears others first, and another if it is asked for what it has now; the
 * node id it was given. */
uint32_t hello(struct fixture *f, void *socket, uint8_t store, const char *endpoint);
Tern__MapResponse *ask_map(struct fixture *f, void *socket, uint64_t have, bool subscribe);
/* The map once all partitions are placed; or only wait. */
Tern__MapResponse *wait_placed(struct fixture *f, void *socket);
void place(struct fixture *f, void *socket);
enum err domain_add(struct fixture *f, void *socket, const char *name);

#endif
