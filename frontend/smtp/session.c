/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: greet, read a line, look its verb up, check that it is legal now, run it, and flush
 * when the client has nothing more in the pipe. */
#include "frontend/smtp/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "frontend/common/line.h"
#include "frontend/smtp/incoming.h"
#include "frontend/smtp/smtp.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

/* Where a command is legal: at any time; or after EHLO, but not between BDAT chunks (RFC 3030 2). */
enum legal { IN_ANY, NOT_IN_BDAT };

/* verb, where it is legal, handler. MAIL, RCPT, DATA and BDAT look at the transaction themselves: their
 * refusals differ. */
static const struct command_row {
    const char *verb;
    enum legal legal;
    void (*run)(struct smtp_session *s, struct slice args);
} commands[] = {
    { "EHLO", IN_ANY, smtp_cmd_ehlo },      { "HELO", IN_ANY, smtp_cmd_helo },
    { "MAIL", NOT_IN_BDAT, smtp_cmd_mail }, { "RCPT", NOT_IN_BDAT, smtp_cmd_rcpt },
    { "DATA", NOT_IN_BDAT, smtp_cmd_data }, { "BDAT", IN_ANY, smtp_cmd_bdat },
    { "RSET", IN_ANY, smtp_cmd_rset },      { "NOOP", IN_ANY, smtp_cmd_noop },
    { "QUIT", IN_ANY, smtp_cmd_quit },      { "HELP", IN_ANY, smtp_cmd_help },
    { "VRFY", IN_ANY, smtp_cmd_vrfy },      { "STARTTLS", NOT_IN_BDAT, smtp_cmd_starttls },
    { "AUTH", NOT_IN_BDAT, smtp_cmd_auth },
};

void smtp_set_state(struct smtp_session *s, enum smtp_state state)
{
    /* Forward one step at a time, back to GREETED or the end from anywhere. */
    assert(state == SMTP_ENDED || state == SMTP_GREETED || state == SMTP_CONNECTED ||
           (state == SMTP_MAIL && s->state == SMTP_GREETED) ||
           (state == SMTP_RCPT && (s->state == SMTP_MAIL || s->state == SMTP_RCPT)) ||
           (state == SMTP_BDAT && (s->state == SMTP_RCPT || s->state == SMTP_BDAT)));
    s->state = state;
}

void smtp_reset(struct smtp_session *s)
{
    incoming_free(&s->incoming);
    arena_clear(&s->mail_arena);
    s->mail = (struct smtp_mail){ 0 };
    s->sender = SLICE_NULL;
    s->recipients = NULL;
    s->recipient_count = s->recipient_cap = 0;
    s->bdat_failed = false;
    if (s->state != SMTP_CONNECTED && s->state != SMTP_ENDED)
        smtp_set_state(s, SMTP_GREETED);
}

/* ---- replies */

static void vreply(struct smtp_session *s, int code, const char *enhanced, const char *fmt, va_list ap)
{
    struct buf line = { 0 };
    buf_addf(&line, "%d %s%s", code, enhanced == NULL ? "" : enhanced, enhanced == NULL ? "" : " ");
    buf_vaddf(&line, fmt, ap);
    buf_add_str(&line, "\r\n");
    enum err err = stream_write(s->stream, buf_slice(&line));
    buf_fini(&line);
    if (err != OK)
        smtp_set_state(s, SMTP_ENDED);
}

void smtp_reply(struct smtp_session *s, int code, const char *enhanced, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vreply(s, code, enhanced, fmt, ap);
    va_end(ap);
}

void smtp_reject(struct smtp_session *s, int code, const char *enhanced, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vreply(s, code, enhanced, fmt, ap);
    va_end(ap);
    s->errors++;
}

void smtp_reply_err(struct smtp_session *s, enum err err, const char *what)
{
    switch (err_class(err)) {
    case ERR_CLASS_TEMPORARY:
    case ERR_CLASS_ROUTING:
        smtp_reply(s, 451, "4.3.0", "%s: %s, try again later", what, err_text(err));
        return;
    case ERR_CLASS_IN_DOUBT:
        smtp_reply(s, 451, "4.3.0", "%s: %s, try again", what, err_text(err));
        return;
    case ERR_CLASS_CALLER:
        if (err == ERR_OVER_QUOTA)
            smtp_reply(s, 452, "4.2.2", "%s: mailbox is full", what);
        else if (err == ERR_TOO_BIG)
            smtp_reject(s, 552, "5.3.4", "%s: message too large", what);
        else
            smtp_reject(s, 550, "5.0.0", "%s: %s", what, err_text(err));
        return;
    case ERR_CLASS_OK:
    case ERR_CLASS_SYSTEM:
        break;
    }
    if (err == ERR_NO_SPACE) { /* the storage node has logged it once (P9) */
        smtp_reply(s, 452, "4.3.1", "%s: insufficient system storage, try again later", what);
        return;
    }
    struct log_ref ref = log_fault("smtp", "%s: %s", what, err_name(err));
    smtp_reply(s, 451, "4.3.0", "%s: local error, reference %s", what, ref.text);
}

/* ---- lines */

uint64_t smtp_deadline(const struct smtp_session *s)
{
    return loop_deadline_ms(s->context->settings->smtp_idle_timeout_ms);
}

enum err smtp_read_line(struct smtp_session *s, size_t max, struct slice *line_out)
{
    enum err err = line_read(s->stream, max, smtp_deadline(s), line_out);
    if (err == ERR_TOO_BIG)
        smtp_reject(s, 500, "5.5.2", "line too long");
    else if (err == ERR_SYNTAX)
        smtp_reject(s, 500, "5.5.2", "a line ends in CRLF and holds neither CR, LF nor NUL");
    return err;
}

/* ---- dispatch */

static void run_command(struct smtp_session *s, struct slice line)
{
    struct smtp_command command = smtp_command_parse(line);
    if (line.len + 2 > SMTP_LINE_MAX && !slice_eq_nocase_str(command.verb, "AUTH")) {
        smtp_reject(s, 500, "5.5.2", "line too long");
        return;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!slice_eq_nocase_str(command.verb, commands[i].verb))
            continue;
        if (commands[i].legal != IN_ANY && s->state == SMTP_CONNECTED)
            smtp_reject(s, 503, "5.5.1", "say EHLO first");
        else if (commands[i].legal == NOT_IN_BDAT && s->state == SMTP_BDAT)
            smtp_reject(s, 503, "5.5.1", "BDAT is not finished");
        else
            commands[i].run(s, command.args);
        return;
    }
    smtp_reject(s, 500, "5.5.1", "command not known");
}

static void say_goodbye(struct smtp_session *s, enum err err)
{
    if (err == ERR_TIMEOUT)
        smtp_reply(s, 421, "4.4.2", "%s idle for too long, closing", s->context->settings->hostname);
    else if (err == ERR_CANCELLED)
        smtp_reply(s, 421, "4.3.2", "%s is shutting down, try again", s->context->settings->hostname);
}

static void run_session(struct smtp_session *s)
{
    enum err err = OK;
    smtp_reply(s, 220, NULL, "%s ESMTP Tern", s->context->settings->hostname);
    while (s->state != SMTP_ENDED) {
        struct slice line;
        if (s->context->draining) {
            err = ERR_CANCELLED;
            break;
        }
        err = smtp_read_line(s, SMTP_AUTH_LINE_MAX, &line);
        if (err == OK)
            run_command(s, line);
        else if (err != ERR_TOO_BIG && err != ERR_SYNTAX)
            break;
        if (s->errors >= SMTP_ERRORS_MAX && s->state != SMTP_ENDED) {
            smtp_reply(s, 421, "4.7.0", "too many errors, closing");
            break;
        }
    }
    say_goodbye(s, err);
    stream_shutdown(s->stream, loop_deadline_ms(SMTP_GOODBYE_MS));
}

static void serve(struct stream *stream, enum smtp_kind kind)
{
    struct smtp_session *s = NEW(struct smtp_session);
    s->context = context_self();
    s->stream = stream;
    s->kind = kind;
    run_session(s);
    smtp_reset(s);
    arena_fini(&s->mail_arena);
    arena_fini(&s->arena);
    stream_close(&s->stream);
    free(s);
}

void smtp_serve(struct stream *stream, void *arg)
{
    (void)arg;
    serve(stream, SMTP_RELAY);
}

void smtp_serve_submission(struct stream *stream, void *arg)
{
    (void)arg;
    serve(stream, SMTP_SUBMISSION);
}
