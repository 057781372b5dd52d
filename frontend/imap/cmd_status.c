/* SPDX-License-Identifier: Apache-2.0 */
/* STATUS, also for LIST's RETURN (STATUS (...)). */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "frontend/imap/object_id.h"

/* How many messages the next session will see as \Recent. The counters do not say, but mostly there is none.
 */
static enum err count_recent(struct imap_session *s, const struct mailbox *mailbox, uint64_t *out)
{
    struct uidset uids = { 0 };
    struct arena arena = { 0 };
    struct mailbox again;
    uint32_t first_unseen_uid;
    enum err err;

    *out = 0;
    if (mailbox->messages == 0 || mailbox->recent_uid + 1 >= mailbox->uidnext)
        return OK;
    if (mailbox->recent_uid == 0) {
        *out = mailbox->messages;
        return OK;
    }
    err = store_mailbox_open(s->context->store, s->account, mailbox->name, &arena, &again, &uids,
                             &first_unseen_uid);
    if (err == OK) {
        uidset_remove_range(&uids, 1, mailbox->recent_uid);
        *out = uidset_count(&uids);
    }
    uidset_fini(&uids);
    arena_fini(&arena);
    return err;
}

enum err imap_status_write(struct imap_session *s, const struct mailbox *mailbox, uint32_t items)
{
    struct imap_object_id id = imap_mailbox_id(mailbox);
    struct imap_status_values values = {
        .messages = mailbox->messages,
        .uidnext = mailbox->uidnext,
        .uidvalidity = mailbox->uidvalidity,
        .unseen = mailbox->unseen,
        .deleted = mailbox->deleted,
        .size = mailbox->size,
        .highestmodseq = mailbox->modseq,
        .appendlimit = s->context->settings->message_size_max,
        .mailboxid = slice_str(id.text),
    };

    if (items & IMAP_STATUS_RECENT)
        TRY(count_recent(s, mailbox, &values.recent));
    imap_write_status(&s->out, mailbox->name, imap_session_utf8(s), items, &values);
    return OK;
}

enum err imap_cmd_status(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_status status;
    struct mailbox mailbox;

    TRY(imap_parse_status(&cmd->args, &status));
    TRY(store_mailbox_get(s->context->store, s->account, status.mailbox, &s->arena, &mailbox));
    if (mailbox.noselect)
        return ERR_NOT_FOUND;
    if (status.items & IMAP_STATUS_HIGHESTMODSEQ)
        imap_condstore_enable(s);
    return imap_status_write(s, &mailbox, status.items);
}
