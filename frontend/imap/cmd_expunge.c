/* SPDX-License-Identifier: Apache-2.0 */
/* EXPUNGE and UID EXPUNGE (RFC 9051 6.4.3, 6.4.9), and what CLOSE does of it. */
#include "frontend/imap/progress.h"
#include "lib/mail/search.h"

/* Which messages of `among` carry \Deleted. Asking first keeps a mailbox of many messages, of which few are
 * deleted, from becoming many entries of the log. */
static enum err find_deleted(struct imap_session *s, const struct uidset *among, struct uidset *out)
{
    struct search_node *flag = search_node_new(&s->arena, SEARCH_FLAG);
    struct buf program = { 0 };
    uint64_t max_modseq;

    flag->number = MAIL_DELETED;
    enum err err = search_encode(flag, &program);

    if (err == OK)
        err = store_search(s->context->store, s->account, s->view.mailbox, buf_slice(&program), among, out,
                           &max_modseq);
    buf_fini(&program);
    return err;
}

enum err imap_expunge(struct imap_session *s, const struct imap_command *cmd, const struct uidset *within)
{
    struct imap_progress progress;
    struct uidset all = { 0 }, deleted = { 0 }, vanished = { 0 };
    uint64_t modseq;
    enum err err = OK;

    imap_progress_init(&progress, s, cmd);
    if (within == NULL) {
        uidmap_uids(&s->view.map, &all);
        within = &all;
    }
    if (!uidset_is_empty(within))
        err = find_deleted(s, within, &deleted);
    if (err == OK && !uidset_is_empty(&deleted))
        err = store_expunge(s->context->store, s->account, s->view.mailbox, &deleted, true,
                            &progress.progress, &vanished, &modseq);
    uidset_fini(&all);
    uidset_fini(&deleted);
    uidset_fini(&vanished); /* told by the changes that follow every command */
    return err;
}

enum err imap_cmd_expunge(struct imap_session *s, struct imap_command *cmd)
{
    struct imap_set set;
    struct uidset uids = { 0 };
    enum err err;

    if (!cmd->uid)
        TRY(imap_parse_none(&cmd->args));
    else
        TRY(imap_parse_uid_expunge(&cmd->args, &set));
    if (s->view.read_only)
        return imap_reply_no(cmd, "READ-ONLY", "Mailbox was opened read-only");
    if (!cmd->uid)
        return imap_expunge(s, cmd, NULL);
    err = imap_view_resolve(&s->view, &set, true, &s->saved, &uids);
    if (err == OK)
        err = imap_expunge(s, cmd, &uids);
    uidset_fini(&uids);
    return err;
}
