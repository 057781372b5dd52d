/* SPDX-License-Identifier: Apache-2.0 */
/* What a link sends by itself, seen by another end that speaks just enough ZMTP (RFC 23 of ZeroMQ). */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/rpc/endpoint.h"
#include "storage-node/peer/link.h"

enum {
    OTHER = 2,
    QUEUE_BYTES = 1 << 20,
    WAIT_MS = 30000,
    LISTEN_MS = 2500, /* ZeroMQ would have sent a heartbeat or two */
    GREETING = 64,
};

/* Mechanism NULL; then the command READY, of a ROUTER. */
static const uint8_t greeting[GREETING] = { 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0, 'N', 'U', 'L', 'L' };
static const uint8_t ready[] = "\x04\x1c"
                               "\x05READY"
                               "\x0bSocket-Type\0\0\0\x06ROUTER";

static void no_frame(void *arg, struct slice frame) {}

static void no_batch(void *arg) {}

static bool may_receive(void *arg)
{
    return true;
}

static int listen_somewhere(char endpoint[static RPC_ENDPOINT_MAX])
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(endpoint, RPC_ENDPOINT_MAX, "tcp://127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

static void send_frame(struct link *link)
{
    struct buf frame = { 0 };
    buf_add(&frame, "frame", 5);
    link_send(link, OTHER, &frame);
}

/* So long, or until `text` came. */
static void listen_to(struct link *link, int fd, struct buf *got, uint64_t ms, const char *text)
{
    uint64_t end = clock_mono_ms() + ms;
    while (clock_mono_ms() < end &&
           (text == NULL || got->len == 0 || memmem(got->data, got->len, text, strlen(text)) == NULL)) {
        send_frame(link);
        usleep(50 * 1000);
        ssize_t n = recv(fd, buf_reserve(got, 4096), 4096, MSG_DONTWAIT);
        got->len += n > 0 ? (size_t)n : 0;
    }
}

/* Who does not read what he was sent is not to find a heartbeat in it when the sender is gone: ZeroMQ would
 * answer that, and end the process. */
static void it_sends_no_heartbeats(void **state)
{
    char endpoint[RPC_ENDPOINT_MAX];
    struct buf got = { 0 };
    struct link *link;
    (void)state;
    void *zmq = rpc_context_new();
    struct link_options options = { .zmq = zmq,
                                    .service = RPC_SERVICE_PEER,
                                    .endpoint = "tcp://127.0.0.1:0",
                                    .name = "link",
                                    .queue_bytes_max = QUEUE_BYTES,
                                    .receive = no_frame,
                                    .received = no_batch,
                                    .may_receive = may_receive };
    assert_int_equal(link_bind(&options, &link), OK);
    assert_int_equal(link_start(link), OK);
    int door = listen_somewhere(endpoint);
    link_set_node(link, OTHER, endpoint);
    send_frame(link); /* connects */
    int fd = accept(door, NULL, NULL);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, greeting, sizeof greeting), sizeof greeting);
    assert_int_equal(write(fd, ready, sizeof ready - 1), sizeof ready - 1);
    listen_to(link, fd, &got, WAIT_MS, "frame");
    assert_non_null(memmem(got.data, got.len, "frame", 5));
    listen_to(link, fd, &got, LISTEN_MS, NULL);
    assert_null(memmem(got.data, got.len, "\x04PING", 5));
    close(fd);
    close(door);
    link_stop(link);
    zmq_ctx_term(zmq);
    link_free(&link);
    buf_fini(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(it_sends_no_heartbeats) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
