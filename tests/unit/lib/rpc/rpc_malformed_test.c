/* SPDX-License-Identifier: Apache-2.0 */
/* Frames nobody should send: to a server, and from one to a client. */
#include <stdlib.h>

#include "lib/fiber/fiber.h"
#include "lib/rpc/frame.h"
#include "tests/unit/lib/rpc/rpc_fixture.h"

static void *raw_socket(void)
{
    void *s = zmq_socket(t.zmq, ZMQ_DEALER);
    int linger = 0, timeout = 5000;
    zmq_setsockopt(s, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(s, ZMQ_RCVTIMEO, &timeout, sizeof timeout);
    assert_int_equal(zmq_connect(s, rpc_server_endpoint(t.server)), 0);
    return s;
}

static void send_raw(void *s, const struct slice *frames, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_true(zmq_send(s, frames[i].data, frames[i].len, i + 1 < count ? ZMQ_SNDMORE : 0) >= 0);
}

static struct slice header_bytes(uint64_t call, uint32_t version, uint8_t *out)
{
    Tern__RequestHeader h = TERN__REQUEST_HEADER__INIT;
    h.version = version;
    h.call = call;
    h.method = ECHO;
    return slice_of(out, tern__request_header__pack(&h, out));
}

static void expect_raw_answer(void *s, uint64_t call, enum err status)
{
    uint8_t bytes[4096];
    int n = zmq_recv(s, bytes, sizeof bytes, 0);
    assert_true(n > 0);
    Tern__ResponseHeader *h = tern__response_header__unpack(NULL, (size_t)n, bytes);
    assert_non_null(h);
    assert_int_equal(h->call, call);
    assert_int_equal(h->status, status);
    assert_int_equal(h->version, RPC_VERSION);
    assert_int_equal(h->method, ECHO);
    tern__response_header__free_unpacked(h, NULL);
    int more = 0;
    size_t size = sizeof more;
    while (zmq_getsockopt(s, ZMQ_RCVMORE, &more, &size) == 0 && more)
        assert_true(zmq_recv(s, bytes, sizeof bytes, 0) >= 0);
}

static void malformed_requests_are_dropped(void **state)
{
    (void)state;
    static uint8_t zeros[FRAME_HEADER_MAX + 1];
    uint8_t good[64], other[64], unnamed[64];
    struct slice header = header_bytes(1, RPC_VERSION, good);
    struct slice newer = header_bytes(5, RPC_VERSION + 1, other);
    struct slice callless = header_bytes(0, RPC_VERSION, unnamed);
    struct slice text = SLICE_LIT("x");
    void *s = raw_socket();
    send_raw(s, (struct slice[]){ SLICE_LIT("") }, 1);
    send_raw(s, (struct slice[]){ header }, 1);
    send_raw(s, (struct slice[]){ SLICE_LIT(""), text }, 2);
    send_raw(s, (struct slice[]){ SLICE_LIT("\xff\xff"), text, text }, 3);
    send_raw(s, (struct slice[]){ newer, text }, 2); /* told so, in our version: it may speak that, too */
    send_raw(s, (struct slice[]){ callless, text }, 2);
    send_raw(s, (struct slice[]){ slice_of(zeros, sizeof zeros), text }, 2);
    /* Frames too many are thrown away, the message is taken; what follows is not shifted. */
    send_raw(s, (struct slice[]){ header_bytes(7, RPC_VERSION, good), text, text, text, text }, 5);
    expect_raw_answer(s, 5, ERR_UNSUPPORTED);
    expect_raw_answer(s, 7, OK);
    send_raw(s, (struct slice[]){ header_bytes(8, RPC_VERSION, good), SLICE_LIT("") }, 2);
    expect_raw_answer(s, 8, OK);
    expect_none_pending(t.server);
    zmq_close(s);
}

static void oversize_frames_end_the_connection(void **state)
{
    (void)state;
    uint8_t good[64];
    void *s = raw_socket();
    uint8_t *large = calloc(1, RPC_FRAME_MAX + 1);
    send_raw(s, (struct slice[]){ header_bytes(9, RPC_VERSION, good), slice_of(large, RPC_FRAME_MAX + 1) },
             2);
    int brief = 300;
    zmq_setsockopt(s, ZMQ_RCVTIMEO, &brief, sizeof brief);
    assert_int_equal(zmq_recv(s, large, 1, 0), -1);
    zmq_close(s);
    free(large);
    run_fiber(t.loop, call_all); /* nobody else noticed */
}

static void *router;

static void nonsense_fiber(void)
{
    char endpoint[RPC_ENDPOINT_MAX];
    size_t size = sizeof endpoint;
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size);
    struct rpc_peer *peer = rpc_client_peer(t.client, endpoint, RPC_ROLE_STORAGE_NODE);
    struct rpc_call call = make_call(ECHO, 5000, setting());
    assert_int_equal(rpc_submit(peer, &call), OK);
    zmq_pollitem_t item = { .socket = router, .events = ZMQ_POLLIN };
    while (zmq_poll(&item, 1, 0) == 0) /* it goes out once the connection stands */
        fiber_sleep_ms(1);
    uint8_t id[256], bytes[4096];
    int id_len = zmq_recv(router, id, sizeof id, 0);
    int header_len = zmq_recv(router, bytes, sizeof bytes, 0);
    assert_true(id_len > 0 && header_len > 0);
    assert_true(zmq_recv(router, bytes, sizeof bytes, 0) >= 0);

    Tern__ResponseHeader h = TERN__RESPONSE_HEADER__INIT;
    uint8_t good[64], newer[64], unknown[64];
    h.version = RPC_VERSION;
    h.call = call.id;
    size_t good_len = tern__response_header__pack(&h, good);
    h.call = call.id + 1000;
    size_t unknown_len = tern__response_header__pack(&h, unknown);
    h.call = call.id;
    h.version = RPC_VERSION + 1;
    size_t newer_len = tern__response_header__pack(&h, newer);
    const struct {
        struct slice frames[5];
        size_t count;
    } rows[] = {
        { { slice_of(good, good_len) }, 1 },
        { { SLICE_LIT("\xff\xff\xff"), SLICE_LIT("") }, 2 },
        { { slice_of(newer, newer_len), SLICE_LIT("") }, 2 },
        { { slice_of(unknown, unknown_len), SLICE_LIT("") }, 2 },
        { { slice_of(good, good_len), SLICE_LIT("a"), SLICE_LIT("b"), SLICE_LIT("c"), SLICE_LIT("d") }, 5 },
        { { slice_of(good, good_len), SLICE_LIT("a"), SLICE_LIT("b") }, 3 },
        { { slice_of(good, good_len), SLICE_LIT("twice") }, 2 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(zmq_send(router, id, (size_t)id_len, ZMQ_SNDMORE) >= 0);
        send_raw(router, rows[i].frames, rows[i].count);
    }
    assert_int_equal(rpc_wait(&call), OK);
    assert_true(slice_eq_str(call.response, "a"));
    assert_true(slice_eq_str(call.response_body, "b"));
    rpc_call_fini(&call);
    fiber_sleep_ms(50); /* the second answer belongs to nobody */
}

static void malformed_answers_are_dropped(void **state)
{
    (void)state;
    int linger = 0;
    router = zmq_socket(t.zmq, ZMQ_ROUTER);
    zmq_setsockopt(router, ZMQ_LINGER, &linger, sizeof linger);
    assert_int_equal(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
    run_fiber(t.loop, nonsense_fiber);
    zmq_close(router);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(malformed_requests_are_dropped),
        TEST(oversize_frames_end_the_connection),
        TEST(malformed_answers_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
