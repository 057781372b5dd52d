/* SPDX-License-Identifier: Apache-2.0 */
/* AUTH (RFC 4954). */
#include "frontend/common/line.h"
#include "frontend/smtp/session.h"
#include "lib/base/log.h"

static void fail(struct smtp_session *s, enum err err)
{
    switch (err) {
    case ERR_AUTH:
        s->auth_failures++;
        log_info("smtp", "authentication failed peer=%s", addr_format_ip(stream_peer(s->stream)).text);
        smtp_reject(s, 535, "5.7.8", "authentication failed");
        break;
    case ERR_SUSPENDED:
        smtp_reject(s, 525, "5.7.13", "account is suspended");
        break;
    case ERR_SYNTAX:
        smtp_reject(s, 501, "5.5.2", "malformed authentication exchange");
        break;
    case ERR_TOO_BIG: /* RFC 4954 4 */
        smtp_reject(s, 500, "5.5.6", "authentication exchange line is too long");
        break;
    case ERR_UNSUPPORTED:
        smtp_reject(s, 504, "5.5.4", "mechanism not supported here");
        break;
    default:
        if (err_class(err) == ERR_CLASS_TEMPORARY || err == ERR_IN_DOUBT)
            smtp_reply(s, 454, "4.7.0", "authentication is temporarily unavailable");
        else
            smtp_reply_err(s, err, "authentication");
    }
    if (s->auth_failures >= AUTH_FAILURES_MAX) {
        smtp_reply(s, 421, "4.7.0", "too many failed authentications, closing");
        smtp_set_state(s, SMTP_ENDED);
    }
}

/* A line that is no line ends the exchange, and fail() says so: one reply in all. */
static enum err ask(void *arg, const char *challenge, struct slice *line_out)
{
    struct smtp_session *s = arg;
    smtp_reply(s, 334, NULL, "%s", challenge);
    return line_read(s->stream, SMTP_AUTH_LINE_MAX, smtp_deadline(s), line_out);
}

void smtp_cmd_auth(struct smtp_session *s, struct slice args)
{
    struct auth_sasl *sasl = NULL;
    struct smtp_command command = smtp_command_parse(args); /* mechanism, initial response */
    if (s->authenticated || s->state != SMTP_GREETED) {
        smtp_reject(s, 503, "5.5.1",
                    s->authenticated ? "authenticated already" : "not during a mail transaction");
        return;
    }
    if (s->kind == SMTP_SUBMISSION && !smtp_plain_allowed(s)) {
        smtp_reject(s, 538, "5.7.11", "encryption required: STARTTLS first");
        return;
    }
    if (!smtp_auth_offered(s)) {
        smtp_reject(s, 502, "5.5.1", "AUTH is for the submission ports");
        return;
    }
    /* The line is borrowed from the stream, which is read again below. */
    struct slice initial = arena_slice(&s->arena, command.args);
    enum err err = auth_sasl_start(s->context->auth, command.verb, smtp_plain_allowed(s), &sasl);
    if (err == OK)
        err = auth_sasl_run(sasl, initial, ask, s);
    if (err == OK) {
        auth_sasl_account(sasl, &s->arena, &s->account);
        s->authenticated = true;
        log_info("smtp", "authenticated user=%.*s peer=%s", SLICE_FMT(s->account.address),
                 addr_format_ip(stream_peer(s->stream)).text);
        smtp_reply(s, 235, "2.7.0", "authentication succeeded");
    } else if (err == ERR_CANCELLED && !s->context->draining) {
        smtp_reject(s, 501, "5.7.0", "authentication cancelled");
    } else if (err == ERR_CLOSED || err == ERR_TIMEOUT || err == ERR_IO || err == ERR_CANCELLED) {
        smtp_set_state(s, SMTP_ENDED);
    } else {
        fail(s, err);
    }
    auth_sasl_free(&sasl);
}
