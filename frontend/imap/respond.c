/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/respond.h"

#include "lib/base/log.h"

/* What a caller's fault is called; handlers that know better (TRYCREATE) say so themselves. */
static const struct {
    enum err err;
    const char *code;
    const char *text;
} told[] = {
    { ERR_INVALID, "CANNOT", "This cannot be done" },
    { ERR_NOT_FOUND, "NONEXISTENT", "No such mailbox" },
    { ERR_EXISTS, "ALREADYEXISTS", "Mailbox already exists" },
    { ERR_DENIED, "NOPERM", "Permission denied" },
    { ERR_AUTH, "AUTHENTICATIONFAILED", "Authentication failed" },
    { ERR_TOO_BIG, "TOOBIG", "Too large" },
    { ERR_LIMIT, "LIMIT", "A limit is reached" },
    { ERR_OVER_QUOTA, "OVERQUOTA", "Quota exceeded" },
    { ERR_CONFLICT, "INUSE", "Changed by another session, try again" },
    { ERR_NOT_EMPTY, "HASCHILDREN", "Mailbox has mailboxes below it" },
    { ERR_IN_USE, "INUSE", "In use" },
    { ERR_UNSUPPORTED, "CANNOT", "Not supported" },
    { ERR_SUSPENDED, "CONTACTADMIN", "Account suspended" },
    { ERR_NO_DOMAIN, "NONEXISTENT", "No such domain here" },
};

static void respond_syntax(struct imap_session *s, struct imap_command *cmd)
{
    struct buf text = { 0 };

    if (cmd->args.expected != NULL)
        imap_args_explain(&cmd->args, &text);
    else
        buf_add_str(&text, "Syntax error in the arguments");
    imap_reply_bad(cmd, arena_strdup(&s->arena, buf_slice(&text)));
    buf_fini(&text);
}

static void respond_system(struct imap_session *s, struct imap_command *cmd, enum err err)
{
    struct log_ref ref = log_fault("imap", "%s of %s failed: %s", cmd->rule->name,
                                   s->user == NULL ? "-" : s->user, err_name(err));

    imap_reply_no(cmd, "SERVERBUG", arena_printf(&s->arena, "Internal error, reference %s", ref.text));
}

bool imap_respond_mailbox_gone(struct imap_session *s, enum err err)
{
    if (err == ERR_NOT_FOUND) {
        imap_session_bye(s, NULL, "The selected mailbox has been deleted");
        return true;
    }
    if (err == ERR_UIDVALIDITY) { /* RFC 9051 2.3.1.1: it holds for the whole of a session */
        log_info("imap", "mailbox %llu of %s has a new UIDVALIDITY", (unsigned long long)s->view.mailbox.id,
                 s->user);
        imap_session_bye(s, NULL, "The selected mailbox has a new UIDVALIDITY, connect again");
        return true;
    }
    return false;
}

void imap_respond_error(struct imap_session *s, struct imap_command *cmd, enum err err)
{
    switch (err_class(err)) {
    case ERR_CLASS_OK:
        return;
    case ERR_CLASS_CALLER:
        if (err == ERR_SYNTAX) {
            respond_syntax(s, cmd);
            return;
        }
        if (err == ERR_UIDVALIDITY) {
            cmd->status = IMAP_REPLY_NONE;
            imap_respond_mailbox_gone(s, err);
            return;
        }
        for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
            if (told[i].err == err) {
                imap_reply_no(cmd, told[i].code, told[i].text);
                return;
            }
        }
        imap_reply_no(cmd, NULL, err_text(err));
        return;
    case ERR_CLASS_ROUTING:
    case ERR_CLASS_TEMPORARY:
        imap_reply_no(cmd, "UNAVAILABLE", "Temporarily unavailable, try again later");
        return;
    case ERR_CLASS_IN_DOUBT:
        log_warn("imap", "result of %s of %s is not known", cmd->rule->name, s->user == NULL ? "-" : s->user);
        cmd->status = IMAP_REPLY_NONE;
        imap_session_bye(s, "UNAVAILABLE",
                         "It is not known whether the last command took effect, connect again");
        return;
    case ERR_CLASS_SYSTEM:
        if (err == ERR_NO_SPACE) /* the storage node has logged it once (P9) */
            imap_reply_no(cmd, "UNAVAILABLE", "The server's disk is full, try again later");
        else
            respond_system(s, cmd, err);
        return;
    }
}
