/* SPDX-License-Identifier: Apache-2.0 */
/* CAPA (RFC 2449), UTF8 (RFC 6856), NOOP, QUIT. */
#include "frontend/pop3/session.h"
#include "lib/base/log.h"

void pop3_cmd_capa(struct pop3_session *s, struct slice args)
{
    struct buf out = { 0 };
    (void)args;
    buf_add_str(
        &out,
        "+OK capabilities follow\r\nTOP\r\nUIDL\r\nPIPELINING\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nUTF8\r\n");
    if (s->context->tls != NULL && !stream_is_tls(s->stream))
        buf_add_str(&out, "STLS\r\n");
    if (pop3_plain_allowed(s)) {
        buf_add_str(&out, "USER\r\nSASL");
        for (const char *const *m = auth_mechanisms(true); *m != NULL; m++)
            buf_addf(&out, " %s", *m);
        buf_add_str(&out, "\r\n");
    }
    buf_add_str(&out, "EXPIRE NEVER\r\nIMPLEMENTATION Tern\r\n.\r\n");
    pop3_send(s, buf_slice(&out));
    buf_fini(&out);
}

void pop3_cmd_utf8(struct pop3_session *s, struct slice args)
{
    (void)args;
    s->utf8 = true;
    pop3_ok(s, "UTF8 enabled");
}

void pop3_cmd_noop(struct pop3_session *s, struct slice args)
{
    (void)args;
    pop3_ok(s, "still here");
}

void pop3_cmd_quit(struct pop3_session *s, struct slice args)
{
    (void)args;
    enum err err = s->state == POP3_TRANSACTION ? pop3_drop_commit(s) : OK;
    if (err == OK)
        pop3_ok(s, "%s closing", s->context->settings->hostname);
    else /* RFC 1939 6: some deleted messages not removed */
        pop3_reply_err(s, err, "deleted messages were not all removed");
    pop3_set_state(s, POP3_ENDED);
}
