/* SPDX-License-Identifier: Apache-2.0 */
/* SELECT, EXAMINE, CLOSE, UNSELECT. */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "frontend/imap/object_id.h"

void imap_select_write_flags(struct imap_session *s)
{
    const struct keyword_table *keywords = &s->view.keywords;

    buf_add_str(&s->out, "* FLAGS ");
    imap_write_flag_names(&s->out, keywords, false);
    buf_add_str(&s->out, "\r\n* OK [PERMANENTFLAGS ");
    if (s->view.read_only)
        buf_add_str(&s->out, "()] Read-only mailbox\r\n");
    else {
        imap_write_flag_names(&s->out, keywords, keywords->count < KEYWORDS_MAX);
        buf_add_str(&s->out, "] Flags that are kept\r\n");
    }
}

static void write_selected(struct imap_session *s, const struct mailbox *mailbox, uint32_t first_unseen_uid)
{
    const struct imap_view *v = &s->view;
    struct buf *out = &s->out;
    bool rev2 = imap_session_rev2(s);

    imap_select_write_flags(s);
    buf_addf(out, "* %u EXISTS\r\n", v->map.count);
    if (!rev2)
        buf_addf(out, "* %u RECENT\r\n", imap_view_recent_count(v));
    if (!rev2 && first_unseen_uid != 0)
        buf_addf(out, "* OK [UNSEEN %u] First unseen message\r\n", uidmap_seq(&v->map, first_unseen_uid));
    buf_addf(out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", v->mailbox.uidvalidity);
    buf_addf(out, "* OK [UIDNEXT %u] Predicted next UID\r\n", v->uidnext);
    buf_addf(out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n", (unsigned long long)v->modseq);
    buf_addf(out, "* OK [MAILBOXID (%s)] Object id\r\n", imap_mailbox_id(mailbox).text);
    if (rev2) { /* RFC 9051 6.3.2: a LIST response with the name as the server knows it */
        struct imap_list_row row = { .name = mailbox->name, .use = mailbox->special_use };

        imap_write_list(out, &row, imap_session_utf8(s));
    }
}

static enum err open_mailbox(struct imap_session *s, struct imap_command *cmd, bool read_only)
{
    struct imap_select select;
    struct mailbox mailbox;
    struct uidset uids = { 0 };
    uint32_t first_unseen_uid = 0;
    enum err err;

    TRY(imap_parse_select(&cmd->args, &select));
    if (select.qresync)
        return imap_reply_bad(cmd, "QRESYNC is not enabled");
    /* A mailbox that is selected is left even if the new one cannot be opened (RFC 9051 6.3.2). */
    if (s->state == IMAP_STATE_SELECTED) {
        imap_session_set_state(s, IMAP_STATE_AUTHENTICATED);
        buf_add_str(&s->out, "* OK [CLOSED] Previous mailbox is closed\r\n");
    }
    if (select.condstore)
        imap_condstore_enable(s);
    err = store_mailbox_open(s->context->store, s->account, select.mailbox, &s->arena, &mailbox, &uids,
                             &first_unseen_uid);
    if (err == OK && mailbox.noselect)
        err = ERR_NOT_FOUND;
    if (err == OK) {
        struct imap_view view;

        imap_view_init(&view, &mailbox, &uids, read_only);
        imap_session_select(s, &view);
        write_selected(s, &mailbox, first_unseen_uid);
        imap_reply_ok(cmd, read_only ? "READ-ONLY" : "READ-WRITE", NULL);
    }
    uidset_fini(&uids);
    return err;
}

enum err imap_cmd_select(struct imap_session *s, struct imap_command *cmd)
{
    return open_mailbox(s, cmd, false);
}

enum err imap_cmd_examine(struct imap_session *s, struct imap_command *cmd)
{
    return open_mailbox(s, cmd, true);
}

enum err imap_cmd_close(struct imap_session *s, struct imap_command *cmd)
{
    enum err err = OK;

    TRY(imap_parse_none(&cmd->args));
    if (!s->view.read_only)
        err = imap_expunge(s, cmd, NULL);
    if (err == OK || err == ERR_NOT_FOUND) {
        imap_session_set_state(s, IMAP_STATE_AUTHENTICATED);
        return OK;
    }
    return err;
}

enum err imap_cmd_unselect(struct imap_session *s, struct imap_command *cmd)
{
    TRY(imap_parse_none(&cmd->args));
    imap_session_set_state(s, IMAP_STATE_AUTHENTICATED);
    return OK;
}
