/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/common/session_fixture.h"

#include <sys/socket.h>

#include "frontend/common/auth.h"

struct context context;
struct stream *client, *server;

static bool served;

void session_setup(const struct settings *settings)
{
    assert_int_equal(loop_new(&context.loop), OK);
    context.settings = settings;
    context.auth = auth_new(NULL);
    context_set_self(&context);
}

void session_teardown(void)
{
    auth_free(&context.auth);
    loop_free(&context.loop);
}

void session_pair(void)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    server = stream_new(context.loop, fds[0]);
    client = stream_new(context.loop, fds[1]);
}

static void serve_main(void *arg)
{
    session_serve **serve = arg;
    (*serve)(server, NULL);
    served = true;
}

void session_begin(session_serve *serve)
{
    static session_serve *now;
    session_pair();
    served = false;
    now = serve;
    assert_int_equal(fiber_spawn(context.loop, "serve", serve_main, &now), OK);
}

void session_end(void)
{
    if (client != NULL)
        stream_close(&client);
    while (!served)
        fiber_sleep_ms(1);
}

void session_say(const char *text, size_t len)
{
    assert_int_equal(stream_write(client, slice_of(text, len)), OK);
    assert_int_equal(stream_flush(client), OK);
}

enum err session_read_line(size_t size_max, struct slice *line_out)
{
    return stream_read_line(client, size_max, loop_deadline_ms(WAIT_MS), line_out);
}
