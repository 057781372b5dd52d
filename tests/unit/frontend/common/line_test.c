/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines: strict CRLF, too long ones, and the way back behind them; whole and octet by octet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontend/common/line.h"
#include "lib/base/alloc.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum { LINE_MAX_HERE = 16, WAIT_MS = 5000 };

static struct loop *loop;
static struct slice input;
static size_t step;

static void feed(void *arg)
{
    int fd = (int)(intptr_t)arg;
    for (size_t at = 0; at < input.len; at += step) {
        struct slice piece = slice_sub(input, at, at + step);
        ssize_t n = send(fd, piece.data, piece.len, MSG_NOSIGNAL);
        if (n != (ssize_t)piece.len)
            break;
        fiber_yield();
    }
    close(fd);
}

static struct stream *open_stream(const char *bytes, size_t len, size_t piece)
{
    int fds[2];
    input = slice_of(bytes, len);
    step = piece;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    assert_int_equal(fiber_spawn(loop, "feed", feed, (void *)(intptr_t)fds[1]), OK);
    return stream_new(loop, fds[0]);
}

static void read_lines(void)
{
    static const char text[] = "one\r\n"
                               "\r\n"
                               "bare\nCR\rhere\r\n"
                               "n\0l\r\n"
                               "12345678901234\r\n"
                               "123456789012345\r\n"
                               "a long line without an end in sight\r\n"
                               "last\r\n"
                               "half";
    static const struct {
        enum err err;
        const char *line;
    } want[] = {
        { OK, "one" },         { OK, "" },
        { ERR_SYNTAX, NULL },  { ERR_SYNTAX, NULL },
        { ERR_SYNTAX, NULL },  { OK, "12345678901234" },
        { ERR_TOO_BIG, NULL }, { ERR_TOO_BIG, NULL },
        { OK, "last" },        { ERR_CLOSED, NULL },
    };
    for (size_t piece = 1; piece < sizeof text; piece += piece < 20 ? 1 : 50) {
        struct stream *s = open_stream(text, sizeof text - 1, piece);
        for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
            struct slice line;
            enum err err = line_read(s, LINE_MAX_HERE, loop_deadline_ms(WAIT_MS), &line);
            assert_int_equal(err, want[i].err);
            if (err == OK)
                assert_true(slice_eq_str(line, want[i].line));
        }
        stream_close(&s);
        fiber_sleep_ms(1);
    }
}

static void lines_are_strict(void **state)
{
    (void)state;
    run_fiber(loop, read_lines);
}

static void endless(void)
{
    size_t len = LINE_SKIP_MAX + 200 * 1024;
    char *bytes = xmalloc(len);
    struct slice line;
    memset(bytes, 'x', len);
    struct stream *s = open_stream(bytes, len, 8192);
    assert_int_equal(line_read(s, LINE_MAX_HERE, loop_deadline_ms(WAIT_MS), &line), ERR_CLOSED);
    stream_close(&s);
    fiber_sleep_ms(20); /* the feeder notices */
    free(bytes);
}

static void an_endless_line_is_given_up(void **state)
{
    (void)state;
    run_fiber(loop, endless);
}

static int setup(void **state)
{
    (void)state;
    return loop_new(&loop) == OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    loop_free(&loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lines_are_strict, setup, teardown),
        cmocka_unit_test_setup_teardown(an_endless_line_is_given_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
