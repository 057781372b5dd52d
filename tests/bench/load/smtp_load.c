/* SPDX-License-Identifier: Apache-2.0 */
/* Mail into the server: EHLO, then MAIL, RCPT, DATA for each message on the same connection, QUIT. */
#include "tests/bench/load/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GREETING, EHLO, WAIT, MAIL, RCPT, DATA, BODY, QUIT };

/* The folder's messages again and again, each with a line of its own in front. */
static void send_message(struct session *session)
{
    const struct message *message = &options.messages[session->unit % options.message_count];
    session_sendf(session, "X-Load-Unit: %ld\r\n", session->unit);
    session_send(session, message->bytes, message->size);
}

static void next_message(struct session *session)
{
    switch (session_take(session)) {
    case TAKE_NOW:
        session->state = MAIL;
        session_sendf(session, "MAIL FROM:<sender@example.net>\r\n");
        break;
    case TAKE_LATER:
        session->state = WAIT;
        break;
    case TAKE_NONE:
        session->state = QUIT;
        session_sendf(session, "QUIT\r\n");
        break;
    }
}

/* The transaction goes no further: the next one begins where a RSET puts the server. */
static void give_up(struct session *session, const char *line)
{
    if (session->unit < 0) {
        fprintf(stderr, "bench_load: no session: %s\n", line);
        exit(1);
    }
    session_fail(session, line);
    session_finish(session);
    session->state = EHLO;
    session_sendf(session, "RSET\r\n");
}

static void on_line(struct session *session, const char *line, size_t size)
{
    if (size > 3 && line[3] == '-')
        return; /* more lines of the same reply follow */
    int code = atoi(line), expected = session->state == DATA ? 354 : session->state == GREETING ? 220 : 250;
    if (session->state == QUIT)
        return;
    if (code != expected) {
        give_up(session, line);
        return;
    }
    switch (session->state) {
    case GREETING:
        session->state = EHLO;
        session_sendf(session, "EHLO load.example.net\r\n");
        break;
    case EHLO:
        next_message(session);
        break;
    case MAIL:
        session->state = RCPT;
        session_sendf(session, "RCPT TO:<%s>\r\n", session_user(session));
        break;
    case RCPT:
        session->state = DATA;
        session_sendf(session, "DATA\r\n");
        break;
    case DATA:
        session->state = BODY;
        send_message(session);
        break;
    case BODY:
        session_finish(session);
        next_message(session);
        break;
    }
}

const struct protocol protocol_smtp = { .name = "smtp", .on_line = on_line, .on_due = next_message };
