/* SPDX-License-Identifier: Apache-2.0 */
/* Plain streams: lines, bounds, deadlines, pressure, ends from elsewhere. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/net/pair_fixture.h"

/* --- lines --- */

static void send_byte_at_a_time(void *arg)
{
    (void)arg;
    for (const char *c = "EHLO x\r\nbare\n\nlast"; *c != '\0'; c++) {
        assert_int_equal(stream_write(a, slice_of(c, 1)), OK);
        assert_int_equal(stream_flush(a), OK);
        fiber_yield();
    }
    stream_shutdown(a, soon());
}

static void expect_line(const char *want)
{
    struct slice line;
    assert_int_equal(stream_read_line(b, 512, soon(), &line), OK);
    assert_true(slice_eq_str(line, want));
    stream_consume(b, line.len);
}

static void read_lines(void *arg)
{
    (void)arg;
    expect_line("EHLO x\r\n");
    expect_line("bare\n");
    expect_line("\n");
    struct slice line;
    assert_int_equal(stream_read_line(b, 512, soon(), &line), ERR_CLOSED);
    assert_true(slice_eq_str(stream_input(b), "last"));
    assert_int_equal(stream_fill(b, soon()), ERR_CLOSED);
    stream_close(&b);
}

static void lines_byte_at_a_time(void **state)
{
    (void)state;
    run(send_byte_at_a_time, read_lines);
}

static void send_long_line(void *arg)
{
    (void)arg;
    char *text = xcalloc(1, 20001);
    memset(text, 'x', 20000);
    text[9999] = text[19999] = '\n';
    assert_int_equal(stream_write_str(a, text), OK);
    assert_int_equal(stream_flush(a), OK);
    free(text);
}

static void read_long_line(void *arg)
{
    (void)arg;
    struct slice line;
    assert_int_equal(stream_read_line(b, 9999, soon(), &line), ERR_TOO_BIG);
    assert_int_equal(stream_read_line(b, 10000, soon(), &line), OK);
    assert_int_equal(line.len, 10000);
    stream_consume(b, line.len);
    assert_int_equal(stream_read_line(b, STREAM_INPUT_MAX, soon(), &line), OK);
    assert_int_equal(line.len, 10000);
    stream_consume(b, line.len);
    uint64_t before_ms = loop_now_ms();
    assert_int_equal(stream_read_line(b, 10, loop_deadline_ms(30), &line), ERR_TIMEOUT);
    assert_true(loop_now_ms() >= before_ms + 30);
}

static void line_bounds_and_deadline(void **state)
{
    (void)state;
    run(send_long_line, read_long_line);
}

/* --- bulk and pressure --- */

enum { BULK = 8 << 20 };

static uint8_t bulk_byte(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static void send_bulk(void *arg)
{
    (void)arg;
    uint8_t *data = xcalloc(1, BULK);
    for (size_t i = 0; i < BULK; i++)
        data[i] = bulk_byte(i);
    /* Sizes on both sides of the buffer's bound, and one run that fills the socket many times. */
    size_t at = 0;
    for (size_t size = 1; at + size < BULK / 4; size = size * 3 % 70001 + 1) {
        assert_int_equal(stream_write(a, slice_of(data + at, size)), OK);
        assert_true(stream_output_pending(a) <= STREAM_OUTPUT_HIGH);
        at += size;
    }
    assert_int_equal(stream_write(a, slice_of(data + at, BULK - at)), OK);
    free(data);
    stream_shutdown(a, soon());
    stream_close(&a);
}

static void read_bulk(void *arg)
{
    (void)arg;
    size_t at = 0, fills = 0;
    enum err err;
    while ((err = stream_fill(b, soon())) == OK) {
        struct slice input = stream_input(b);
        assert_true(input.len <= STREAM_INPUT_MAX);
        size_t take = fills++ % 3 == 0 ? input.len / 2 : input.len; /* leave some at times */
        for (size_t i = 0; i < take; i++)
            assert_int_equal(input.data[i], bulk_byte(at + i));
        at += take;
        stream_consume(b, take);
        if (fills % 50 == 0)
            fiber_sleep_ms(1); /* slower than the sender */
    }
    assert_int_equal(err, ERR_CLOSED);
    at += stream_input(b).len;
    assert_int_equal(at, BULK);
    assert_int_equal(stream_bytes_in(b), BULK);
    stream_close(&b);
}

static void bulk_through_a_slow_reader(void **state)
{
    (void)state;
    run(send_bulk, read_bulk);
}

static void read_until_full(void *arg)
{
    (void)arg;
    enum err err;
    do
        err = stream_fill(b, soon());
    while (err == OK);
    assert_int_equal(err, ERR_TOO_BIG);
    assert_int_equal(stream_input(b).len, STREAM_INPUT_MAX);
    stream_abort(a); /* end the sender, which waits for us */
}

static void send_until_aborted(void *arg)
{
    (void)arg;
    char *data = xcalloc(1, BULK);
    assert_int_equal(stream_write(a, slice_of(data, BULK)), ERR_CANCELLED);
    assert_int_equal(stream_write_str(a, "x"), ERR_CANCELLED);
    assert_int_equal(stream_flush(a), ERR_CANCELLED);
    free(data);
}

static void input_is_bounded_and_abort_wakes_a_writer(void **state)
{
    (void)state;
    run(send_until_aborted, read_until_full);
}

static void write_to_a_deaf_peer(void *arg)
{
    (void)arg;
    char *data = xcalloc(1, BULK);
    stream_set_write_timeout(a, 50);
    uint64_t before_ms = loop_now_ms();
    assert_int_equal(stream_write(a, slice_of(data, BULK)), ERR_TIMEOUT);
    assert_true(loop_now_ms() >= before_ms + 50);
    assert_int_equal(stream_flush(a), ERR_TIMEOUT); /* sticky */
    free(data);
}

static void writing_times_out(void **state)
{
    (void)state;
    run(write_to_a_deaf_peer, NULL);
}

static void write_to_a_closed_peer(void *arg)
{
    (void)arg;
    stream_close(&b);
    enum err err = OK;
    for (int i = 0; i < 100 && err == OK; i++) {
        err = stream_printf(a, "line %d\r\n", i);
        if (err == OK)
            err = stream_flush(a);
        fiber_sleep_ms(1);
    }
    assert_int_equal(err, ERR_CLOSED);
    assert_true(stream_fail_text(a)[0] != '\0');
}

static void writing_to_a_closed_peer_fails(void **state)
{
    (void)state;
    run(write_to_a_closed_peer, NULL);
}

/* --- cancel --- */

static void blocked_reader(void *arg)
{
    (void)arg;
    assert_int_equal(stream_fill(a, DEADLINE_NEVER), ERR_CANCELLED);
    assert_int_equal(stream_fill(a, DEADLINE_NEVER), ERR_CANCELLED);
    assert_int_equal(stream_write_str(a, "* BYE\r\n"), OK); /* may still say why */
    stream_shutdown(a, loop_deadline_ms(100));
}

static void canceller(void *arg)
{
    (void)arg;
    fiber_sleep_ms(5);
    stream_cancel_input(a);
    struct slice line;
    assert_int_equal(stream_read_line(b, 100, soon(), &line), OK);
    assert_true(slice_eq_str(line, "* BYE\r\n"));
}

static void cancelled_input_leaves_output(void **state)
{
    (void)state;
    run(blocked_reader, canceller);
}

/* --- connect --- */

static void connect_nowhere(void *arg)
{
    (void)arg;
    struct addr nobody = *stream_local(b);
    stream_close(&a);
    stream_close(&b);
    struct stream *s = NULL;
    assert_int_equal(stream_connect(&nobody, soon(), &s), ERR_UNAVAILABLE);
    assert_null(s);
}

static void a_refused_connection(void **state)
{
    (void)state;
    run(connect_nowhere, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(lines_byte_at_a_time),
        PAIR_TEST(line_bounds_and_deadline),
        PAIR_TEST(bulk_through_a_slow_reader),
        PAIR_TEST(input_is_bounded_and_abort_wakes_a_writer),
        PAIR_TEST(writing_times_out),
        PAIR_TEST(writing_to_a_closed_peer_fails),
        PAIR_TEST(cancelled_input_leaves_output),
        PAIR_TEST(a_refused_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
