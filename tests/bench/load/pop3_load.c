/* SPDX-License-Identifier: Apache-2.0 */
/* POP3 sessions: USER, PASS, STAT, LIST, some RETR, QUIT, each by another user. */
#include "tests/bench/load/load.h"

#include <stdio.h>
#include <string.h>

enum { GREETING, USER, PASS, STAT, LIST, LIST_LINES, RETR, RETR_LINES, QUIT, CLOSED = -1 };

static void quit(struct session *session)
{
    session->state = QUIT;
    session_sendf(session, "QUIT\r\n");
}

static void retrieve_next(struct session *session)
{
    if (session->step == options.retrieve) {
        quit(session);
        return;
    }
    session->state = RETR;
    session_sendf(session, "RETR %u\r\n", ++session->step);
}

/* A line of a multi-line answer. */
static void on_data_line(struct session *session, const char *line, size_t size)
{
    if (size == 1 && line[0] == '.')
        retrieve_next(session);
}

static void on_line(struct session *session, const char *line, size_t size)
{
    if (session->state == LIST_LINES || session->state == RETR_LINES) {
        on_data_line(session, line, size);
        return;
    }
    if (strncmp(line, "+OK", 3) != 0) {
        session_fail(session, line);
        quit(session);
        return;
    }
    switch (session->state) {
    case GREETING:
        session->state = USER;
        session_sendf(session, "USER %s\r\n", session_user(session));
        break;
    case USER:
        session->state = PASS;
        session_sendf(session, "PASS %s\r\n", options.password);
        break;
    case PASS:
        session->state = STAT;
        session_sendf(session, "STAT\r\n");
        break;
    case STAT:
        session->state = LIST;
        session_sendf(session, "LIST\r\n");
        break;
    case LIST:
        session->state = LIST_LINES;
        break;
    case RETR:
        session->state = RETR_LINES;
        break;
    case QUIT:
        session->state = CLOSED;
        break;
    }
}

const struct protocol protocol_pop3 = { .name = "pop3", .on_line = on_line, .unit_is_connection = true };
