/* SPDX-License-Identifier: Apache-2.0 */
/* Short IMAP sessions: connect, LOGIN, SELECT INBOX, LOGOUT, each by another user. */
#include "tests/bench/load/load.h"

#include <stdio.h>
#include <string.h>

enum { GREETING, LOGIN, SELECT, LOGOUT, CLOSED = -1 };

/* The tagged answer to the command in hand, "t OK ...". */
static bool is_tagged_ok(const char *line)
{
    return strncmp(line, "t OK", 4) == 0;
}

static void on_line(struct session *session, const char *line, size_t size)
{
    (void)size;
    if (session->state != GREETING && strncmp(line, "t ", 2) != 0)
        return; /* untagged data */
    if (session->state != GREETING && !is_tagged_ok(line)) {
        session_fail(session, line);
        session->state = LOGOUT;
        session_sendf(session, "t LOGOUT\r\n");
        return;
    }
    switch (session->state) {
    case GREETING:
        session->state = LOGIN;
        session_sendf(session, "t LOGIN %s %s\r\n", session_user(session), options.password);
        break;
    case LOGIN:
        session->state = SELECT;
        session_sendf(session, "t SELECT INBOX\r\n");
        break;
    case SELECT:
        session->state = LOGOUT;
        session_sendf(session, "t LOGOUT\r\n");
        break;
    case LOGOUT:
        session->state = CLOSED;
        break;
    }
}

const struct protocol protocol_imap = { .name = "imap", .on_line = on_line, .unit_is_connection = true };
