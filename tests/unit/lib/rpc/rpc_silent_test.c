/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of a connection is gone, and nothing says so: no packet comes any more. In a network of the
 * test's own, whose only device it takes down. */
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/rpc/endpoint.h"

enum {
    MEET_MS = 5000,
    BEATS_MS = 1500,   /* a heartbeat has been sent */
    NOTICE_MS = 10000, /* more than twice what silence is allowed */
    NAME_MAX_BYTES = 64,
};

static bool have_network;
static void *zmq;

static bool set_loopback(bool up)
{
    struct ifreq request = { .ifr_name = "lo", .ifr_flags = up ? IFF_UP : 0 };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool done = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    if (fd >= 0)
        close(fd);
    return done;
}

struct pair {
    void *bound, *connected;
    void *monitor; /* of the end that is to notice */
    char name[NAME_MAX_BYTES];
    int name_len;
};

static void *make_socket(int type, enum rpc_socket_kind kind)
{
    int timeout_ms = MEET_MS;
    void *socket = zmq_socket(zmq, type);
    assert_non_null(socket);
    rpc_socket_prepare(socket, kind);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    return socket;
}

static void *watch(void *socket)
{
    static int count;
    char place[NAME_MAX_BYTES];
    void *monitor = zmq_socket(zmq, ZMQ_PAIR);
    snprintf(place, sizeof place, "inproc://%d", ++count);
    assert_int_equal(zmq_socket_monitor(socket, place, ZMQ_EVENT_DISCONNECTED), 0);
    assert_int_equal(zmq_connect(monitor, place), 0);
    return monitor;
}

static void send_and_receive(struct pair *p)
{
    char text[16];
    assert_int_equal(zmq_send(p->connected, "text", 4, 0), 4);
    p->name_len = zmq_recv(p->bound, p->name, sizeof p->name, 0);
    assert_true(p->name_len > 0);
    assert_int_equal(zmq_recv(p->bound, text, sizeof text, 0), 4);
}

static void open_pair(struct pair *p, enum rpc_socket_kind kind, bool bound_notices)
{
    char endpoint[RPC_ENDPOINT_MAX];
    p->bound = make_socket(ZMQ_ROUTER, RPC_SOCKET_BOUND);
    p->connected = make_socket(ZMQ_DEALER, kind);
    p->monitor = watch(bound_notices ? p->bound : p->connected);
    assert_int_equal(zmq_bind(p->bound, "tcp://127.0.0.1:*"), 0);
    rpc_endpoint_bound(p->bound, endpoint);
    assert_int_equal(zmq_connect(p->connected, endpoint), 0);
    send_and_receive(p);
}

static void close_pair(struct pair *p)
{
    zmq_close(p->bound);
    zmq_close(p->connected);
    zmq_close(p->monitor);
}

static bool hangs_up(const struct pair *p, int timeout_ms)
{
    uint8_t event[16], address[RPC_ENDPOINT_MAX];
    zmq_setsockopt(p->monitor, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    if (zmq_recv(p->monitor, event, sizeof event, 0) < 0)
        return false;
    assert_true(zmq_recv(p->monitor, address, sizeof address, 0) >= 0);
    return true;
}

static void each_end_notices(void **state)
{
    struct pair called, answering, idle, sending;
    struct pair *const all[] = { &called, &answering, &idle, &sending };
    (void)state;
    if (!have_network)
        skip();
    zmq = rpc_context_new();
    open_pair(&called, RPC_SOCKET_CALLS, true);
    open_pair(&answering, RPC_SOCKET_CALLS, true);
    open_pair(&idle, RPC_SOCKET_SENDS, false);
    open_pair(&sending, RPC_SOCKET_SENDS, false);
    assert_false(hangs_up(&called, BEATS_MS));
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) /* a heartbeat lets ZeroMQ wait for the next */
        send_and_receive(all[i]);                           /* message, which was this one */
    assert_true(set_loopback(false));
    assert_true(zmq_send(answering.bound, answering.name, (size_t)answering.name_len, ZMQ_SNDMORE) > 0);
    assert_int_equal(zmq_send(answering.bound, "answer", 6, 0), 6);
    assert_int_equal(zmq_send(sending.connected, "text", 4, 0), 4);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (!hangs_up(all[i], NOTICE_MS))
            fail_msg("end %zu has not noticed", i);
    }
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        close_pair(all[i]);
    zmq_ctx_term(zmq);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(each_end_notices) };
    have_network = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && set_loopback(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
