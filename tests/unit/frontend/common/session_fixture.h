/* SPDX-License-Identifier: Apache-2.0 */
/* A session of a front end over a socket pair in this process: the test is its client. */
#ifndef TESTS_UNIT_FRONTEND_COMMON_SESSION_FIXTURE_H
#define TESTS_UNIT_FRONTEND_COMMON_SESSION_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/common/context.h"
#include "lib/fiber/fiber.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum { WAIT_MS = 10 * 1000 };

extern struct context context;
extern struct stream *client, *server;

/* Of a test: a loop and a context without a store, and their end. */
void session_setup(const struct settings *settings);
void session_teardown(void);

/* A new pair of streams; the caller's until somebody serves one. */
void session_pair(void);
/* The same, with `serve` on the server's end in a fiber of its own. */
typedef void session_serve(struct stream *s, void *arg);
void session_begin(session_serve *serve);
/* Hang up, if the client has not, and wait until the session has ended. Yields. */
void session_end(void);
/* Yields. */
void session_say(const char *text, size_t len);
/* The server's next line in *line_out, until it is consumed. Yields. */
enum err session_read_line(size_t size_max, struct slice *line_out);

#endif
