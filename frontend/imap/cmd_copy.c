/* SPDX-License-Identifier: Apache-2.0 */
/* COPY and MOVE with their UID forms (RFC 9051 6.4.7, 6.4.8; RFC 4315; RFC 6851). */
#include "frontend/codec/imap_write.h"
#include "frontend/imap/progress.h"

static enum err find_target(struct imap_session *s, struct slice name, struct mailbox *out)
{
    TRY(store_mailbox_get(s->context->store, s->account, name, &s->arena, out));
    return out->noselect ? ERR_NOT_FOUND : OK;
}

/* MOVE tells COPYUID before the EXPUNGEs (RFC 6851 4.3), COPY in its tagged answer. */
static void tell_uids(struct imap_session *s, struct imap_command *cmd, const struct copy_result *result,
                      bool move)
{
    struct buf code = { 0 };

    if (uidset_is_empty(&result->from)) {
        if (cmd->uid)
            imap_reply_ok(cmd, NULL, "No messages found");
        else /* RFC 2180 4.4.1: the client still counts them, and must not think that there is a copy */
            imap_reply_no(cmd, "EXPUNGEISSUED", "The messages are gone");
        return;
    }
    imap_write_copyuid(&code, result->uidvalidity, &result->from, &result->to);
    if (move) {
        buf_add_str(&s->out, "* OK [");
        buf_add_slice(&s->out, buf_slice(&code));
        buf_add_str(&s->out, "] Moved\r\n");
    } else
        imap_reply_ok(cmd, arena_strdup(&s->arena, buf_slice(&code)), NULL);
    buf_fini(&code);
}

static enum err copy_uids(struct imap_session *s, struct imap_command *cmd, const struct imap_copy *copy,
                          const struct uidset *uids, bool move)
{
    struct mailbox target;
    struct copy_result result;
    struct imap_progress progress;
    enum err err = find_target(s, copy->mailbox, &target);

    if (err == OK && uidset_is_empty(uids))
        return imap_reply_ok(cmd, NULL, "No messages found");
    imap_progress_init(&progress, s, cmd);
    if (err == OK) {
        struct copy_request request = { .account = s->account,
                                        .from = s->view.mailbox,
                                        .to = target.id,
                                        .uids = uids,
                                        .move = move,
                                        .progress = &progress.progress };
        err = store_copy(s->context->store, &request, &result);
    }
    if (err == ERR_NOT_FOUND)
        return imap_reply_no(cmd, "TRYCREATE", "No such mailbox");
    TRY(err);
    tell_uids(s, cmd, &result, move);
    copy_result_fini(&result);
    return OK;
}

static enum err copy_or_move(struct imap_session *s, struct imap_command *cmd, bool move)
{
    struct imap_copy copy;
    struct uidset uids = { 0 };

    TRY(imap_parse_copy(&cmd->args, &copy));
    if (move && s->view.read_only)
        return imap_reply_no(cmd, "READ-ONLY", "Mailbox was opened read-only");
    if (imap_view_resolve(&s->view, &copy.set, cmd->uid, &s->saved, &uids) != OK) {
        uidset_fini(&uids);
        return imap_reply_bad(cmd, "No message has that number");
    }
    enum err err = copy_uids(s, cmd, &copy, &uids, move);

    uidset_fini(&uids);
    return err;
}

enum err imap_cmd_copy(struct imap_session *s, struct imap_command *cmd)
{
    return copy_or_move(s, cmd, false);
}

enum err imap_cmd_move(struct imap_session *s, struct imap_command *cmd)
{
    return copy_or_move(s, cmd, true);
}
