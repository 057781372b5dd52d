/* SPDX-License-Identifier: Apache-2.0 */
/* Commands about the session itself: EHLO HELO NOOP RSET QUIT HELP VRFY STARTTLS. */
#include "frontend/smtp/session.h"
#include "lib/base/log.h"

enum { HELO_NAME_MAX = 255 };

/* The name goes into the Received line: only what a name or an address literal is made of. */
static bool is_helo_name(struct slice name)
{
    if (name.len == 0 || name.len > HELO_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (c <= ' ' || c == 0x7f || c == '(' || c == ')' || c == ';' || c == '<' || c == '>')
            return false;
    }
    return true;
}

/* True if the name was taken. RFC 5321 4.1.4: a new EHLO resets the transaction. */
static bool greet(struct smtp_session *s, struct slice args, bool esmtp)
{
    if (!is_helo_name(args)) {
        smtp_reject(s, 501, "5.5.4", "a host name or address literal is needed");
        return false;
    }
    smtp_reset(s);
    s->helo = arena_slice(&s->arena, args);
    s->esmtp = esmtp;
    smtp_set_state(s, SMTP_GREETED);
    return true;
}

static bool starttls_offered(const struct smtp_session *s)
{
    return s->context->tls != NULL && !stream_is_tls(s->stream);
}

bool smtp_plain_allowed(const struct smtp_session *s)
{
    return stream_is_tls(s->stream) || s->context->settings->allow_plaintext_auth;
}

bool smtp_auth_offered(const struct smtp_session *s)
{
    return s->kind == SMTP_SUBMISSION && smtp_plain_allowed(s) && !s->authenticated;
}

static void add_auth_line(const struct smtp_session *s, struct buf *out)
{
    buf_add_str(out, "250-AUTH");
    for (const char *const *m = auth_mechanisms(smtp_plain_allowed(s)); *m != NULL; m++)
        buf_addf(out, " %s", *m);
    buf_add_str(out, "\r\n");
}

void smtp_cmd_ehlo(struct smtp_session *s, struct slice args)
{
    struct buf out = { 0 };
    if (!greet(s, args, true))
        return;
    buf_addf(&out, "250-%s greets you\r\n250-PIPELINING\r\n250-SIZE %llu\r\n", s->context->settings->hostname,
             (unsigned long long)s->context->settings->message_size_max);
    if (starttls_offered(s))
        buf_add_str(&out, "250-STARTTLS\r\n");
    if (smtp_auth_offered(s))
        add_auth_line(s, &out);
    buf_add_str(&out, "250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250 ENHANCEDSTATUSCODES\r\n");
    if (stream_write(s->stream, buf_slice(&out)) != OK)
        smtp_set_state(s, SMTP_ENDED);
    buf_fini(&out);
}

void smtp_cmd_helo(struct smtp_session *s, struct slice args)
{
    if (greet(s, args, false))
        smtp_reply(s, 250, NULL, "%s", s->context->settings->hostname);
}

void smtp_cmd_noop(struct smtp_session *s, struct slice args)
{
    (void)args;
    smtp_reply(s, 250, "2.0.0", "OK");
}

void smtp_cmd_rset(struct smtp_session *s, struct slice args)
{
    if (args.len > 0) {
        smtp_reject(s, 501, "5.5.4", "RSET takes no argument");
        return;
    }
    smtp_reset(s);
    smtp_reply(s, 250, "2.0.0", "OK");
}

void smtp_cmd_quit(struct smtp_session *s, struct slice args)
{
    if (args.len > 0) {
        smtp_reject(s, 501, "5.5.4", "QUIT takes no argument");
        return;
    }
    smtp_reply(s, 221, "2.0.0", "%s closing", s->context->settings->hostname);
    smtp_set_state(s, SMTP_ENDED);
}

void smtp_cmd_help(struct smtp_session *s, struct slice args)
{
    (void)args;
    smtp_reply(s, 214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS AUTH (RFC 5321)");
}

void smtp_cmd_vrfy(struct smtp_session *s, struct slice args)
{
    if (args.len == 0)
        smtp_reject(s, 501, "5.5.4", "VRFY takes an address");
    else
        smtp_reply(s, 252, "2.5.2", "will not verify, but will take mail for it at RCPT if it exists");
}

void smtp_cmd_starttls(struct smtp_session *s, struct slice args)
{
    if (args.len > 0) {
        smtp_reject(s, 501, "5.5.4", "STARTTLS takes no argument");
        return;
    }
    if (!starttls_offered(s)) {
        smtp_reject(s, 503, "5.5.1",
                    stream_is_tls(s->stream) ? "TLS is active already" : "TLS is not available");
        return;
    }
    smtp_reply(s, 220, "2.0.0", "ready to start TLS");
    /* RFC 3207 4.2: what was pipelined and what we know of the client is forgotten. */
    enum err err = stream_start_tls_server(s->stream, s->context->tls, loop_deadline_ms(SMTP_TLS_TIMEOUT_MS));
    if (err != OK) {
        log_info("smtp", "TLS handshake failed: %s %s", err_name(err), stream_fail_text(s->stream));
        smtp_set_state(s, SMTP_ENDED);
        return;
    }
    smtp_reset(s);
    s->helo = SLICE_NULL;
    s->authenticated = false;
    smtp_set_state(s, SMTP_CONNECTED);
}
