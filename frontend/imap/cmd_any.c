/* SPDX-License-Identifier: Apache-2.0 */
/* CAPABILITY, NOOP (and CHECK), LOGOUT, ID: legal in every state. */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "lib/base/log.h"

/* What holds before and after login. Every word here works in full. */
static const char base_capabilities[] = " LITERAL+ SASL-IR ID ENABLE";
static const char session_capabilities[] =
    " IDLE NAMESPACE UNSELECT UIDPLUS CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE "
    "ESEARCH"
    " SEARCHRES MOVE WITHIN MULTIAPPEND CONDSTORE BINARY UTF8=ACCEPT OBJECTID STATUS=SIZE PREVIEW INPROGRESS";

void imap_capability_write(const struct imap_session *s, struct buf *out)
{
    buf_add_str(out, "CAPABILITY IMAP4rev1 IMAP4rev2");
    buf_add_str(out, base_capabilities);
    if (s->state != IMAP_STATE_NOT_AUTHENTICATED) {
        buf_add_str(out, session_capabilities);
        buf_addf(out, " APPENDLIMIT=%llu", (unsigned long long)s->context->settings->message_size_max);
        return;
    }
    if (s->context->tls != NULL && !stream_is_tls(s->stream))
        buf_add_str(out, " STARTTLS");
    if (!imap_plaintext_allowed(s))
        buf_add_str(out, " LOGINDISABLED");
    for (const char *const *m = auth_mechanisms(imap_plaintext_allowed(s)); *m != NULL; m++)
        buf_addf(out, " AUTH=%s", *m);
}

enum err imap_cmd_capability(struct imap_session *s, struct imap_command *cmd)
{
    TRY(imap_parse_none(&cmd->args));
    buf_add_str(&s->out, "* ");
    imap_capability_write(s, &s->out);
    buf_add_str(&s->out, "\r\n");
    return OK;
}

/* The dispatcher tells what has changed. */
enum err imap_cmd_noop(struct imap_session *s, struct imap_command *cmd)
{
    return imap_parse_none(&cmd->args);
}

enum err imap_cmd_logout(struct imap_session *s, struct imap_command *cmd)
{
    TRY(imap_parse_none(&cmd->args));
    imap_session_bye(s, NULL, "Until next time");
    return OK;
}

enum err imap_cmd_id(struct imap_session *s, struct imap_command *cmd)
{
    static const struct imap_id_pair ours[] = {
        { SLICE_LIT("name"), SLICE_LIT("Tern") },
        { SLICE_LIT("version"), SLICE_LIT(TERN_VERSION) },
    };
    struct imap_id id;

    TRY(imap_parse_id(&cmd->args, &id));
    for (unsigned i = 0; i < id.count; i++)
        log_debug("imap", "client of %s says %.*s=%.*s", s->user == NULL ? "-" : s->user,
                  SLICE_FMT(id.pairs[i].field), SLICE_FMT(id.pairs[i].value));
    buf_add_str(&s->out, "* ID ");
    imap_write_id(&s->out, ours, sizeof(ours) / sizeof(ours[0]));
    buf_add_str(&s->out, "\r\n");
    return OK;
}
