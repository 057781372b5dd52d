/* SPDX-License-Identifier: Apache-2.0 */
/* A message's bytes in order, with pieces under way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/store/message.h"
#include "proto/message.pb-c.h"
#include "proto/methods.h"
#include "tests/unit/lib/store/fake_cluster.h"

static struct store *store;

static struct buf message;
static uint64_t gone_from; /* whoever asks for bytes from here on is told that there is no message */

static void on_body(struct rpc_request *request)
{
    Tern__BodyRequest *r = tern__body_request__unpack(NULL, request->request.len, request->request.data);
    Tern__BodyResponse response = TERN__BODY_RESPONSE__INIT;
    assert_int_equal(r->uid, 3);
    if (r->offset >= gone_from)
        fake_reply(request, ERR_NOT_FOUND, NULL, SLICE_NULL);
    else
        fake_reply(request, OK, &response.base,
                   slice_sub(buf_slice(&message), r->offset, r->offset + r->length));
    tern__body_request__free_unpacked(r, NULL);
}

static void on_request(int node, struct rpc_request *request, unsigned nth)
{
    (void)node;
    (void)nth;
    if (request->method == METHOD_BODY)
        on_body(request);
    else
        fake_reply(request, ERR_UNSUPPORTED, NULL, SLICE_NULL);
}

static int setup(void **state)
{
    (void)state;
    gone_from = UINT64_MAX;
    for (uint32_t i = 0; message.len < 6 * STORE_PIECE_MAX + 1000; i++)
        buf_add_be32(&message, i);
    store = fake_start(on_request);
    return 0;
}

static int teardown(void **state)
{
    buf_fini(&message);
    return fake_teardown(state);
}

static struct body_stream *stream_of(uint64_t offset, uint64_t len)
{
    return body_stream_new(store, (struct account_ref){ 7, 1 }, (struct mailbox_ref){ 5, 9 }, 3, offset, len);
}

/* Reads [offset, offset + len) and finds `want` bytes of the message. */
static void read_range(uint64_t offset, uint64_t len, size_t want)
{
    struct body_stream *b = stream_of(offset, len);
    struct slice piece;
    struct buf got = { 0 };
    enum err err;
    while ((err = body_stream_next(b, &piece)) == OK) {
        assert_in_range(piece.len, 1, STORE_PIECE_MAX);
        buf_add_slice(&got, piece);
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    assert_int_equal(body_stream_next(b, &piece), ERR_NOT_FOUND);
    assert_true(slice_eq(buf_slice(&got), slice_sub(buf_slice(&message), offset, offset + want)));
    buf_fini(&got);
    body_stream_free(&b);
    assert_null(b);
}

static void read_ranges(void)
{
    read_range(0, message.len, message.len);
    read_range(5, 7, 7);
    read_range(5, 2 * STORE_PIECE_MAX, 2 * STORE_PIECE_MAX);
    read_range(100, message.len, message.len - 100); /* more than there is */
    read_range(message.len, 10, 0);
    read_range(0, 0, 0);
}

static void bytes_come_in_order(void **state)
{
    (void)state;
    fake_run(read_ranges);
}

static void read_piece(struct body_stream *b)
{
    struct slice piece;
    assert_int_equal(body_stream_next(b, &piece), OK);
}

static void read_ahead(void)
{
    struct body_stream *b = stream_of(0, message.len);
    fake_expect(METHOD_BODY, STORE_PIECES_AHEAD);
    read_piece(b);
    fake_expect(METHOD_BODY, STORE_PIECES_AHEAD + 1);
    read_piece(b);
    fake_expect(METHOD_BODY, STORE_PIECES_AHEAD + 2);
    body_stream_free(&b); /* what is under way is dropped */
    b = stream_of(0, 10);
    read_piece(b);
    fake_expect(METHOD_BODY, STORE_PIECES_AHEAD + 3); /* no more than is wanted */
    body_stream_free(&b);
}

static void only_some_pieces_are_under_way(void **state)
{
    (void)state;
    fake_run(read_ahead);
}

static void lose_message(void)
{
    struct body_stream *b = stream_of(0, message.len);
    struct slice piece;
    gone_from = STORE_PIECES_AHEAD * STORE_PIECE_MAX;
    for (int i = 0; i < STORE_PIECES_AHEAD; i++)
        read_piece(b);
    assert_int_equal(body_stream_next(b, &piece), ERR_NOT_FOUND);
    assert_int_equal(piece.len, 0);
    fake_expect(METHOD_BODY, 2 * STORE_PIECES_AHEAD);
    assert_int_equal(body_stream_next(b, &piece), ERR_NOT_FOUND);
    fake_expect(METHOD_BODY, 2 * STORE_PIECES_AHEAD);
    body_stream_free(&b);
}

static void a_message_that_goes_ends_the_stream(void **state)
{
    (void)state;
    fake_run(lose_message);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(bytes_come_in_order),
        TEST(only_some_pieces_are_under_way),
        TEST(a_message_that_goes_ends_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
