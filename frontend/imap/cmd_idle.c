/* SPDX-License-Identifier: Apache-2.0 */
/* IDLE (RFC 9051 6.3.13). While idling the session has no fiber: the store's watch unparks the stream, a
 * fiber tells what happened and parks again. The view's modseq is where the watch starts, so nothing falls
 * between. */
#include <stdlib.h>

#include "frontend/codec/imap_write.h"
#include "frontend/imap/changes.h"
#include "frontend/imap/respond.h"
#include "lib/base/log.h"

/* On the loop, outside fibers. */
static void mailbox_changed(uint64_t modseq, void *arg)
{
    struct imap_session *s = arg;

    if (modseq <= s->view.modseq)
        return; /* an echo of what was told already */
    s->idle.changed = true;
    stream_unpark(s->stream);
}

enum err imap_cmd_idle(struct imap_session *s, struct imap_command *cmd)
{
    TRY(imap_parse_none(&cmd->args));
    buf_add_str(&s->out, "+ idling\r\n");
    imap_parser_expect_line(&s->parser);
    s->idle.active = true;
    s->idle.tag = slice_dup(cmd->tag);
    s->idle.changed = s->state == IMAP_STATE_SELECTED; /* what happened before the IDLE is told at once */
    if (s->state == IMAP_STATE_SELECTED)
        s->idle.watch =
            watch_new(s->context->store, s->account, s->view.mailbox.id, s->view.modseq, mailbox_changed, s);
    cmd->status = IMAP_REPLY_NONE;
    return OK;
}

void imap_idle_tell(struct imap_session *s)
{
    struct imap_telling how = { .may_expunge = true };
    enum err err;

    s->idle.changed = false;
    s->idle.retry_ms = 0;
    if (s->state != IMAP_STATE_SELECTED)
        return;
    err = imap_changes_tell(s, &how);
    if (err == OK || imap_respond_mailbox_gone(s, err))
        return;
    if (err_class(err) == ERR_CLASS_TEMPORARY) /* the watch has said it, and will not again */
        s->idle.retry_ms = loop_deadline_ms(IMAP_IDLE_RETRY_MS);
    log_info("imap", "changes of a mailbox of %s cannot be told now: %s", s->user, err_name(err));
}

void imap_idle_drop(struct imap_session *s)
{
    if (s->idle.watch != NULL)
        watch_free(&s->idle.watch);
    free(s->idle.tag);
    s->idle = (struct imap_idle){ 0 };
}

void imap_idle_line(struct imap_session *s, struct slice line)
{
    struct slice tag = slice_str(s->idle.tag);

    if (s->idle.changed || s->idle.retry_ms != 0)
        imap_idle_tell(s);
    if (slice_eq_nocase_str(line, "DONE"))
        imap_write_status_line(&s->out, tag, "OK", NULL, "IDLE completed");
    else {
        imap_write_status_line(&s->out, tag, "BAD", NULL, "Expected DONE");
        imap_session_count_bad(s);
    }
    imap_idle_drop(s);
}
