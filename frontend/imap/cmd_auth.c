/* SPDX-License-Identifier: Apache-2.0 */
/* STARTTLS, AUTHENTICATE, LOGIN, ENABLE. */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "frontend/imap/metrics.h"
#include "lib/base/base64.h"
#include "lib/base/log.h"

bool imap_plaintext_allowed(const struct imap_session *s)
{
    return s->context->settings->allow_plaintext_auth || stream_is_tls(s->stream);
}

enum err imap_cmd_starttls(struct imap_session *s, struct imap_command *cmd)
{
    enum err err;

    TRY(imap_parse_none(&cmd->args));
    if (s->context->tls == NULL || stream_is_tls(s->stream))
        return imap_reply_bad(cmd, "TLS is not to be had here");
    imap_reply_ok(cmd, NULL, "Begin the handshake");
    imap_reply_write(s, cmd);
    cmd->status = IMAP_REPLY_NONE;
    imap_session_flush(s);
    if (s->broken)
        return OK;
    /* RFC 9051 11.1, and CVE-2011-0411: nothing that came in the clear may be taken for what comes protected.
     * The stream throws away its own input. */
    if (imap_parser_pending(&s->parser) > 0 || stream_has_input(s->stream))
        log_info("imap", "input behind STARTTLS thrown away peer=%s",
                 addr_format(stream_peer(s->stream)).text);
    imap_parser_reset(&s->parser);
    err = stream_start_tls_server(s->stream, s->context->tls, s->deadline_ms);
    if (err != OK) {
        log_info("imap", "no TLS peer=%s: %s", addr_format(stream_peer(s->stream)).text,
                 stream_fail_text(s->stream));
        s->broken = true;
    }
    return OK;
}

/* --- login --- */

static enum err logged_in(struct imap_session *s, struct imap_command *cmd, const struct account *account)
{
    struct buf code = { 0 };

    imap_session_login(s, account);
    imap_metrics_login(true);
    imap_capability_write(s, &code);
    imap_reply_ok(cmd, arena_strdup(&s->arena, buf_slice(&code)), "Logged in");
    buf_fini(&code);
    return OK;
}

static enum err login_failed(struct imap_session *s, struct imap_command *cmd, enum err err)
{
    imap_metrics_login(false);
    if (err == ERR_AUTH) {
        log_info("imap", "login refused peer=%s", addr_format(stream_peer(s->stream)).text);
        if (++s->auth_failures >= AUTH_FAILURES_MAX)
            imap_session_bye(s, NULL, "Too many failed logins");
    }
    return err; /* respond.c knows how to say it */
}

enum err imap_cmd_login(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_login login;
    struct account account;

    TRY(imap_parse_login(&cmd->args, &login));
    if (!imap_plaintext_allowed(s))
        return imap_reply_no(cmd, "PRIVACYREQUIRED", "Start TLS first");
    enum err err = auth_password(s->context->auth, login.user, login.password, &s->arena, &account);

    if (err != OK)
        return login_failed(s, cmd, err);
    return logged_in(s, cmd, &account);
}

/* "+ <base64>". */
static void write_challenge(struct imap_session *s, struct slice challenge)
{
    buf_add_str(&s->out, "+ ");
    base64_encode(challenge, &s->out);
    buf_add_str(&s->out, "\r\n");
}

/* The client's next line of the exchange, decoded, in the arena. ERR_CANCELLED: it sent "*"; ERR_CLOSED: it
 * is gone or was told BYE. */
static enum err read_answer(struct imap_session *s, struct slice *out)
{
    struct imap_event event;
    enum err err;

    imap_parser_expect_line(&s->parser);
    err = imap_session_event(s, s->deadline_ms, &event);
    if (err == OK && event.type == IMAP_EVENT_LINE)
        return imap_parse_sasl_line(arena_slice(&s->arena, event.data), &s->arena, out);
    if (err == ERR_TIMEOUT)
        imap_session_bye(s, NULL, "Autologout; login took too long");
    else if (err == ERR_CANCELLED)
        imap_session_bye(s, "UNAVAILABLE", "Server is shutting down, connect again");
    else if (err == OK)
        imap_session_bye(s, NULL, event.type == IMAP_EVENT_BAD ? event.text : "Expected an answer");
    else
        s->broken = true;
    return ERR_CLOSED;
}

static enum err exchange(struct imap_session *s, struct auth_sasl *sasl, struct slice client, bool has_data)
{
    struct buf challenge = { 0 };
    bool done = false;
    enum err err;

    for (;;) {
        buf_clear(&challenge);
        TRY_GOTO(auth_sasl_step(sasl, client, has_data, &challenge, &done), out);
        if (done && challenge.len == 0)
            break;
        write_challenge(s, buf_slice(&challenge));
        TRY_GOTO(read_answer(s, &client), out);
        if (done) /* what follows the server's final data is an empty line */
            break;
        has_data = true;
    }
    err = OK;
out:
    buf_fini(&challenge);
    return err;
}

enum err imap_cmd_authenticate(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_authenticate auth;
    struct auth_sasl *sasl;
    struct account account;
    enum err err;

    /* The exchange reads further lines, so what was parsed must not point into the parser. */
    cmd->args.text = arena_slice(&s->arena, cmd->args.text);
    TRY(imap_parse_authenticate(&cmd->args, &auth));
    err = auth_sasl_start(s->context->auth, slice_str(auth.mechanism), imap_plaintext_allowed(s), &sasl);
    if (err == ERR_UNSUPPORTED && !imap_plaintext_allowed(s))
        return imap_reply_no(cmd, "PRIVACYREQUIRED", "Start TLS first, or use another mechanism");
    if (err == ERR_UNSUPPORTED)
        return imap_reply_no(cmd, "CANNOT", "No such mechanism");
    if (err != OK)
        return err;
    err = exchange(s, sasl, auth.initial, auth.has_initial);
    if (err == OK)
        auth_sasl_account(sasl, &s->arena, &account);
    auth_sasl_free(&sasl);
    if (s->state == IMAP_STATE_LOGOUT || s->broken) {
        cmd->status = IMAP_REPLY_NONE;
        return OK;
    }
    if (err == ERR_CANCELLED)
        return imap_reply_bad(cmd, "Authentication cancelled");
    if (err == ERR_SYNTAX)
        return imap_reply_bad(cmd, "This is no answer of that mechanism");
    if (err != OK)
        return login_failed(s, cmd, err);
    return logged_in(s, cmd, &account);
}

/* --- ENABLE (RFC 5161) --- */

void imap_condstore_enable(struct imap_session *s)
{
    if (imap_session_condstore(s))
        return;
    s->enabled |= IMAP_ENABLE_CONDSTORE;
    /* RFC 7162 3.1.2.1: the first enabling command in the selected state tells HIGHESTMODSEQ. */
    if (s->state == IMAP_STATE_SELECTED)
        buf_addf(&s->out, "* OK [HIGHESTMODSEQ %llu] Modification sequences are told from here\r\n",
                 (unsigned long long)s->view.modseq);
}

enum err imap_cmd_enable(struct imap_session *s, struct imap_command *cmd)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } known[] = {
        { IMAP_ENABLE_CONDSTORE, " CONDSTORE" },
        { IMAP_ENABLE_UTF8_ACCEPT, " UTF8=ACCEPT" },
        { IMAP_ENABLE_REV2, " IMAP4rev2" },
    };
    uint32_t asked;

    TRY(imap_parse_enable(&cmd->args, &asked));
    buf_add_str(&s->out, "* ENABLED");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (asked & known[i].bit) {
            s->enabled |= known[i].bit;
            buf_add_str(&s->out, known[i].name);
        }
    }
    buf_add_str(&s->out, "\r\n");
    return OK;
}
