/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of requests and answers, valid and not, and buffers on their way into ZeroMQ. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/rpc/endpoint.h"
#include "lib/rpc/frame.h"

static struct slice pack(const ProtobufCMessage *message, struct buf *out)
{
    buf_clear(out);
    size_t size = protobuf_c_message_get_packed_size(message);
    out->len = protobuf_c_message_pack(message, buf_reserve(out, size + 1));
    return buf_slice(out);
}

static Tern__RequestHeader good_request(void)
{
    Tern__RequestHeader h = TERN__REQUEST_HEADER__INIT;
    h.version = RPC_VERSION;
    h.call = UINT64_MAX;
    h.method = 41;
    h.partition = 255;
    h.map_version = 1ull << 40;
    h.deadline_ms = 5000;
    return h;
}

static void request_header_comes_back(void **state)
{
    (void)state;
    struct buf bytes = { 0 };
    struct frame_request got;
    uint8_t id[FRAME_REQUEST_ID_SIZE];
    memset(id, 0xa5, sizeof id);
    Tern__RequestHeader h = good_request();
    h.request_id = (ProtobufCBinaryData){ sizeof id, id };
    assert_int_equal(frame_decode_request(pack(&h.base, &bytes), &got), OK);
    assert_true(got.call == UINT64_MAX && got.method == 41 && got.partition == 255);
    assert_true(got.map_version == 1ull << 40 && got.deadline_ms == 5000);
    assert_true(got.has_request_id);
    assert_memory_equal(got.request_id, id, sizeof id);
    for (size_t len = 0; len < FRAME_REQUEST_ID_SIZE; len++) {
        h.request_id.len = len; /* an id of another size is none */
        assert_int_equal(frame_decode_request(pack(&h.base, &bytes), &got), OK);
        assert_false(got.has_request_id);
    }
    buf_fini(&bytes);
}

static void bad_request_headers_are_refused(void **state)
{
    (void)state;
    struct buf bytes = { 0 };
    struct frame_request got;
    Tern__RequestHeader h = good_request();
    h.version = RPC_VERSION + 1;
    assert_int_equal(frame_decode_request(pack(&h.base, &bytes), &got), ERR_UNSUPPORTED);
    assert_int_equal(got.call, h.call);
    h = good_request();
    h.call = 0;
    assert_int_equal(frame_decode_request(pack(&h.base, &bytes), &got), ERR_PROTOCOL);
    assert_int_equal(frame_decode_request(SLICE_NULL, &got), ERR_PROTOCOL);
    assert_int_equal(frame_decode_request(SLICE_LIT("\xff\xff\xff\xff"), &got), ERR_PROTOCOL);
    uint8_t *large = calloc(1, FRAME_HEADER_MAX + 1);
    assert_int_equal(frame_decode_request(slice_of(large, FRAME_HEADER_MAX + 1), &got), ERR_PROTOCOL);
    free(large);
    /* Every part of a good one, from memory that ends where the bytes end. */
    h = good_request();
    struct slice whole = pack(&h.base, &bytes);
    for (size_t len = 0; len < whole.len; len++) {
        uint8_t *part = malloc(len == 0 ? 1 : len);
        memcpy(part, whole.data, len);
        enum err err = frame_decode_request(slice_of(part, len), &got);
        assert_true(err == OK || err == ERR_PROTOCOL);
        free(part);
    }
    buf_fini(&bytes);
}

static void response_headers(void **state)
{
    (void)state;
    struct buf bytes = { 0 };
    Tern__ResponseHeader h = TERN__RESPONSE_HEADER__INIT, *got;
    h.version = RPC_VERSION;
    h.status = 999;
    h.primary_hint = (char *)"tcp://127.0.0.1:1";
    assert_int_equal(frame_decode_response(pack(&h.base, &bytes), &got), OK);
    assert_true(got->call == 0 && got->status == 999);
    assert_string_equal(got->primary_hint, "tcp://127.0.0.1:1");
    tern__response_header__free_unpacked(got, NULL);
    h.version = 0;
    assert_int_equal(frame_decode_response(pack(&h.base, &bytes), &got), ERR_PROTOCOL);
    assert_int_equal(frame_decode_response(SLICE_LIT("\x0a\xff"), &got), ERR_PROTOCOL);
    buf_fini(&bytes);
}

static void buffers_become_messages(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, FRAME_COPY_MAX, FRAME_COPY_MAX + 1, 300000 };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buf b = { 0 };
        zmq_msg_t msg;
        memset(buf_reserve(&b, sizes[i] + 1), 'x', sizes[i]);
        b.len = sizes[i];
        frame_take(&msg, &b);
        assert_true(b.data == NULL && b.len == 0);
        assert_int_equal(frame_slice(&msg).len, sizes[i]);
        assert_true(sizes[i] == 0 || frame_slice(&msg).data[sizes[i] - 1] == 'x');
        zmq_msg_close(&msg);
    }
    zmq_msg_t msg;
    frame_take(&msg, NULL);
    assert_int_equal(frame_slice(&msg).len, 0);
    zmq_msg_close(&msg);
}

static void endpoints_to_bind(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint;
        bool have_keys;
        enum err want;
    } rows[] = {
        { "tcp://127.0.0.1:0", false, OK },
        { "tcp://[::1]:99", false, OK },
        { "tcp://localhost:99", false, OK },
        { "ipc:///tmp/x", false, OK },
        { "tcp://*:99", false, ERR_DENIED },
        { "tcp://0.0.0.0:99", false, ERR_DENIED },
        { "tcp://localhost.evil:9", false, ERR_DENIED },
        { "tcp://*:99", true, OK },
        { "tcp://10.0.0.1:99", true, OK },
        { "tcp://127.0.0.1", false, ERR_INVALID },
        { "ipc://", false, ERR_INVALID },
        { "udp://127.0.0.1:9", false, ERR_INVALID },
        { "", false, ERR_INVALID },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rpc_endpoint_check_bind(rows[i].endpoint, rows[i].have_keys) != rows[i].want)
            fail_msg("%s", rows[i].endpoint);
    }
    char *lengthy = malloc(RPC_ENDPOINT_MAX + 1);
    memset(lengthy, '1', RPC_ENDPOINT_MAX);
    memcpy(lengthy, "tcp://127.0.0.1:", 16);
    lengthy[RPC_ENDPOINT_MAX] = '\0';
    assert_int_equal(rpc_endpoint_check_bind(lengthy, false), ERR_INVALID);
    free(lengthy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_header_comes_back), cmocka_unit_test(bad_request_headers_are_refused),
        cmocka_unit_test(response_headers),          cmocka_unit_test(buffers_become_messages),
        cmocka_unit_test(endpoints_to_bind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
