/* SPDX-License-Identifier: Apache-2.0 */
/* USER, PASS, AUTH (RFC 5034), STLS (RFC 2595): from stranger to owner of a maildrop. */
#include "frontend/common/line.h"
#include "frontend/pop3/session.h"
#include "lib/base/log.h"

static void end_if_too_many(struct pop3_session *s)
{
    if (s->auth_failures < AUTH_FAILURES_MAX)
        return;
    pop3_err(s, "[AUTH] too many failed logins, closing");
    pop3_set_state(s, POP3_ENDED);
}

/* The user is known: lock the maildrop and say what is in it. */
static void enter(struct pop3_session *s)
{
    uint64_t size = 0;
    if (s->state == POP3_ENDED) /* a reply could not be sent meanwhile */
        return;
    enum err err = pop3_drop_open(s);
    if (err != OK) {
        pop3_reply_err(s, err, "maildrop");
        return;
    }
    for (size_t i = 0; i < s->message_count; i++)
        size += s->messages[i].size;
    pop3_set_state(s, POP3_TRANSACTION);
    log_info("pop3", "login user=%.*s peer=%s", SLICE_FMT(s->account.address),
             addr_format_ip(stream_peer(s->stream)).text);
    pop3_ok(s, "maildrop has %zu messages (%llu octets)", s->message_count, (unsigned long long)size);
}

static void refuse(struct pop3_session *s, enum err err)
{
    if (err == ERR_AUTH) {
        s->auth_failures++;
        log_info("pop3", "login failed peer=%s", addr_format_ip(stream_peer(s->stream)).text);
    }
    pop3_reply_err(s, err, "authentication");
    end_if_too_many(s);
}

void pop3_cmd_user(struct pop3_session *s, struct slice args)
{
    if (!pop3_plain_allowed(s)) {
        pop3_err(s, "[AUTH] encryption required: STLS first");
    } else if (args.len == 0) {
        pop3_err(s, "USER needs a name");
    } else {
        s->user = arena_slice(&s->arena, args);
        pop3_ok(s, "password please");
    }
}

void pop3_cmd_pass(struct pop3_session *s, struct slice args)
{
    if (s->user.len == 0) {
        pop3_err(s, "USER first");
        return;
    }
    /* The line is borrowed from the stream; the store is asked meanwhile, the stream is not read. */
    enum err err = auth_password(s->context->auth, s->user, args, &s->arena, &s->account);
    s->user = SLICE_NULL;
    if (err == OK)
        enter(s);
    else
        refuse(s, err);
}

static enum err ask(void *arg, const char *challenge, struct slice *line_out)
{
    struct pop3_session *s = arg;
    struct buf line = { 0 };
    buf_addf(&line, "+ %s\r\n", challenge);
    pop3_send(s, buf_slice(&line));
    buf_fini(&line);
    return line_read(s->stream, POP3_AUTH_LINE_MAX, pop3_deadline(s), line_out);
}

void pop3_cmd_auth(struct pop3_session *s, struct slice args)
{
    struct auth_sasl *sasl = NULL;
    struct slice line = arena_slice(&s->arena, args);
    ptrdiff_t space = slice_find(line, ' ');
    struct slice mechanism = slice_sub(line, 0, space < 0 ? line.len : (size_t)space);
    if (!pop3_plain_allowed(s)) {
        pop3_err(s, "[AUTH] encryption required: STLS first");
        return;
    }
    enum err err = auth_sasl_start(s->context->auth, mechanism, true, &sasl);
    if (err == OK)
        err = auth_sasl_run(sasl, slice_sub(line, mechanism.len + 1, line.len), ask, s);
    if (err == OK) {
        auth_sasl_account(sasl, &s->arena, &s->account);
        enter(s);
    } else if (err == ERR_CLOSED || err == ERR_TIMEOUT || err == ERR_IO) {
        pop3_set_state(s, POP3_ENDED);
    } else if (err == ERR_CANCELLED) {
        pop3_err(s, "authentication cancelled");
    } else {
        refuse(s, err);
    }
    auth_sasl_free(&sasl);
}

void pop3_cmd_stls(struct pop3_session *s, struct slice args)
{
    (void)args;
    if (s->context->tls == NULL || stream_is_tls(s->stream)) {
        pop3_err(s, stream_is_tls(s->stream) ? "TLS is active already" : "TLS is not available");
        return;
    }
    pop3_ok(s, "begin TLS negotiation");
    s->user = SLICE_NULL;
    s->utf8 = false; /* RFC 2595 4: what the client said before is forgotten */
    enum err err = stream_start_tls_server(s->stream, s->context->tls, loop_deadline_ms(POP3_TLS_TIMEOUT_MS));
    if (err != OK) {
        log_info("pop3", "TLS handshake failed: %s %s", err_name(err), stream_fail_text(s->stream));
        pop3_set_state(s, POP3_ENDED);
    }
}
