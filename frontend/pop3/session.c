/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a session: greet, read a line, look its keyword up, check that it is legal now, run it, flush
 * when the client has nothing more in the pipe. */
#include "frontend/pop3/session.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#include "frontend/common/line.h"
#include "frontend/pop3/pop3.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum { IN_AUTHORIZATION = 1 << 0, IN_TRANSACTION = 1 << 1, IN_BOTH = 3 };

static const struct command_row {
    const char *keyword;
    unsigned legal;
    void (*run)(struct pop3_session *s, struct slice args);
} commands[] = {
    { "CAPA", IN_BOTH, pop3_cmd_capa },          { "QUIT", IN_BOTH, pop3_cmd_quit },
    { "USER", IN_AUTHORIZATION, pop3_cmd_user }, { "PASS", IN_AUTHORIZATION, pop3_cmd_pass },
    { "AUTH", IN_AUTHORIZATION, pop3_cmd_auth }, { "STLS", IN_AUTHORIZATION, pop3_cmd_stls },
    { "UTF8", IN_AUTHORIZATION, pop3_cmd_utf8 }, { "STAT", IN_TRANSACTION, pop3_cmd_stat },
    { "LIST", IN_TRANSACTION, pop3_cmd_list },   { "UIDL", IN_TRANSACTION, pop3_cmd_uidl },
    { "RETR", IN_TRANSACTION, pop3_cmd_retr },   { "TOP", IN_TRANSACTION, pop3_cmd_top },
    { "DELE", IN_TRANSACTION, pop3_cmd_dele },   { "RSET", IN_TRANSACTION, pop3_cmd_rset },
    { "NOOP", IN_TRANSACTION, pop3_cmd_noop },
};

void pop3_set_state(struct pop3_session *s, enum pop3_state state)
{
    assert(state >= s->state); /* RFC 1939: only ever forward */
    s->state = state;
}

/* ---- replies */

void pop3_send(struct pop3_session *s, struct slice bytes)
{
    if (s->state != POP3_ENDED && stream_write(s->stream, bytes) != OK)
        pop3_set_state(s, POP3_ENDED);
}

static void vreply(struct pop3_session *s, const char *status, const char *fmt, va_list ap)
{
    struct buf line = { 0 };
    buf_add_str(&line, status);
    buf_vaddf(&line, fmt, ap);
    buf_add_str(&line, "\r\n");
    pop3_send(s, buf_slice(&line));
    buf_fini(&line);
}

void pop3_ok(struct pop3_session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vreply(s, "+OK ", fmt, ap);
    va_end(ap);
}

void pop3_err(struct pop3_session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vreply(s, "-ERR ", fmt, ap);
    va_end(ap);
    s->errors++;
}

void pop3_reply_err(struct pop3_session *s, enum err err, const char *what)
{
    switch (err) {
    case ERR_AUTH:
        pop3_err(s, "[AUTH] authentication failed");
        return;
    case ERR_SUSPENDED:
        pop3_err(s, "[AUTH] account is suspended");
        return;
    case ERR_IN_USE:
        pop3_err(s, "[IN-USE] another session has this maildrop");
        return;
    case ERR_SYNTAX:
        pop3_err(s, "malformed %s", what);
        return;
    case ERR_UNSUPPORTED:
        pop3_err(s, "%s is not supported here", what);
        return;
    case ERR_UIDVALIDITY: /* no number of this session means anything any more */
        pop3_err(s, "[SYS/TEMP] the maildrop has been replaced, log in again");
        pop3_set_state(s, POP3_ENDED);
        return;
    default:
        break;
    }
    if (err_class(err) == ERR_CLASS_SYSTEM)
        pop3_err(s, "[SYS/PERM] %s: local error, reference %s", what,
                 log_fault("pop3", "%s: %s", what, err_name(err)).text);
    else if (err_class(err) == ERR_CLASS_CALLER)
        pop3_err(s, "%s: %s", what, err_text(err));
    else
        pop3_err(s, "[SYS/TEMP] %s: %s, try again later", what, err_text(err));
}

/* ---- dispatch */

uint64_t pop3_deadline(const struct pop3_session *s)
{
    uint64_t idle = loop_deadline_ms(s->context->settings->pop3_idle_timeout_ms);
    return s->state == POP3_AUTHORIZATION && s->deadline_ms < idle ? s->deadline_ms : idle;
}

bool pop3_plain_allowed(const struct pop3_session *s)
{
    return stream_is_tls(s->stream) || s->context->settings->allow_plaintext_auth;
}

static void run_command(struct pop3_session *s, struct slice line)
{
    ptrdiff_t space = slice_find(line, ' ');
    struct slice keyword = slice_sub(line, 0, space < 0 ? line.len : (size_t)space);
    struct slice args = slice_sub(line, keyword.len + 1, line.len);
    unsigned now = s->state == POP3_AUTHORIZATION ? IN_AUTHORIZATION : IN_TRANSACTION;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!slice_eq_nocase_str(keyword, commands[i].keyword))
            continue;
        if (!(commands[i].legal & now))
            pop3_err(s, now == IN_AUTHORIZATION ? "log in first" : "not after login");
        else if (now == IN_TRANSACTION && pop3_drop_keep(s) == ERR_IN_USE) {
            /* We were silent for so long that the lock ended and somebody else took it. */
            pop3_reply_err(s, ERR_IN_USE, "lock");
            s->locked = false;
            pop3_set_state(s, POP3_ENDED);
        } else {
            commands[i].run(s, args);
        }
        return;
    }
    pop3_err(s, "command not known");
}

static void say_goodbye(struct pop3_session *s, enum err err)
{
    if (err == ERR_TIMEOUT)
        pop3_err(s, "[SYS/TEMP] idle for too long, closing; nothing was deleted");
    else if (err == ERR_CANCELLED)
        pop3_err(s, "[SYS/TEMP] shutting down, try again; nothing was deleted");
}

static void run_session(struct pop3_session *s)
{
    enum err err = OK;
    pop3_ok(s, "%s POP3 Tern ready", s->context->settings->hostname);
    while (s->state != POP3_ENDED) {
        struct slice line;
        err = s->context->draining ? ERR_CANCELLED
                                   : line_read(s->stream, POP3_LINE_MAX, pop3_deadline(s), &line);
        if (err == OK)
            run_command(s, line);
        else if (err == ERR_TOO_BIG || err == ERR_SYNTAX)
            pop3_err(s, err == ERR_TOO_BIG ? "line too long"
                                           : "a line ends in CRLF and holds neither CR, LF nor NUL");
        else
            break;
        if (s->errors >= POP3_ERRORS_MAX && s->state != POP3_ENDED) {
            pop3_err(s, "too many errors, closing");
            break;
        }
    }
    say_goodbye(s, err);
    pop3_drop_close(s);
    stream_shutdown(s->stream, loop_deadline_ms(POP3_GOODBYE_MS));
}

void pop3_serve(struct stream *stream, void *arg)
{
    (void)arg;
    struct pop3_session *s = NEW(struct pop3_session);
    s->context = context_self();
    s->stream = stream;
    s->deadline_ms = loop_deadline_ms(s->context->settings->login_timeout_ms);
    run_session(s);
    free(s->messages);
    arena_fini(&s->arena);
    stream_close(&s->stream);
    free(s);
}
