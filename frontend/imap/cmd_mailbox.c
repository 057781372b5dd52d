/* SPDX-License-Identifier: Apache-2.0 */
/* CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE. */
#include "frontend/imap/command.h"
#include "frontend/imap/object_id.h"

enum err imap_cmd_create(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_create create;
    struct mailbox mailbox;

    TRY(imap_parse_create(&cmd->args, &create));
    if (create.has_unknown_use) /* RFC 6154 3 */
        return imap_reply_no(cmd, "USEATTR", "No such special use");
    TRY(store_mailbox_create(s->context->store, s->account, create.mailbox, create.use, &s->arena, &mailbox));
    return imap_reply_ok(cmd, arena_printf(&s->arena, "MAILBOXID (%s)", imap_mailbox_id(&mailbox).text),
                         NULL);
}

enum err imap_cmd_delete(struct imap_session *s, struct imap_command *cmd)
{
    struct slice name;
    struct mailbox mailbox;

    TRY(imap_parse_mailbox(&cmd->args, &name));
    TRY(store_mailbox_get(s->context->store, s->account, name, &s->arena, &mailbox));
    TRY(store_mailbox_delete(s->context->store, s->account, name));
    if (s->state == IMAP_STATE_SELECTED && s->view.mailbox.id == mailbox.id) {
        /* Our own doing, so no reason to hang up as for a mailbox that another session deleted. */
        imap_session_set_state(s, IMAP_STATE_AUTHENTICATED);
        if (imap_session_rev2(s))
            return imap_reply_ok(cmd, "CLOSED", NULL);
    }
    return OK;
}

enum err imap_cmd_rename(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_rename rename;

    TRY(imap_parse_rename(&cmd->args, &rename));
    return store_mailbox_rename(s->context->store, s->account, rename.from, rename.to);
}

static enum err subscribe(struct imap_session *s, struct imap_command *cmd, bool subscribed)
{
    struct slice name;

    TRY(imap_parse_mailbox(&cmd->args, &name));
    return store_mailbox_subscribe(s->context->store, s->account, name, subscribed);
}

enum err imap_cmd_subscribe(struct imap_session *s, struct imap_command *cmd)
{
    return subscribe(s, cmd, true);
}

enum err imap_cmd_unsubscribe(struct imap_session *s, struct imap_command *cmd)
{
    return subscribe(s, cmd, false);
}
