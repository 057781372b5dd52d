/* SPDX-License-Identifier: Apache-2.0 */
/* APPEND and MULTIAPPEND (RFC 9051 6.3.12, RFC 3502). A message streams from the client through the summary
 * builder into an upload, in whatever pieces come, and is never whole in memory; one store call at the end
 * makes all of them appear at once, or none.
 *
 *   for each message:  look at what stands before the literal -> accept -> data* -> end
 *   the line's end:    store_append -> OK [APPENDUID]
 *
 * A refusal before a literal lets the parser swallow what the client may still send; one in the middle the
 * same. */
#include <stdlib.h>

#include "frontend/codec/imap_write.h"
#include "frontend/imap/command.h"
#include "lib/base/alloc.h"
#include "lib/mail/summary.h"

struct append {
    struct imap_session *s;
    struct imap_command *cmd;
    struct mailbox mailbox;
    struct append_message *messages; /* owned, and so are their uploads */
    size_t count, room;
    struct summary_builder *summary; /* of the message that comes in */
    uint64_t deadline_ms;            /* for the whole command */
};

static uint32_t flags_of(const struct imap_flag_list *flags, struct append_message *m)
{
    m->keywords = flags->keywords;
    m->keyword_count = flags->keyword_count;
    return flags->system;
}

/* "[mailbox] [flags] [date]" before a literal. */
static enum err read_head(struct append *a, const struct imap_event *event, struct append_message *m)
{
    struct imap_session *s = a->s;
    struct imap_append head;

    a->cmd->args = imap_args_of(arena_slice(&s->arena, event->args), &s->arena, imap_session_utf8(s));
    TRY(imap_parse_append(&a->cmd->args, event->first, &head));
    if (event->first) {
        enum err err = store_mailbox_get(s->context->store, s->account, head.mailbox, &s->arena, &a->mailbox);

        if (err == ERR_NOT_FOUND || (err == OK && a->mailbox.noselect)) {
            imap_reply_no(a->cmd, "TRYCREATE", "No such mailbox");
            return ERR_CANCELLED;
        }
        TRY(err);
    }
    m->flags = flags_of(&head.flags, m);
    if (head.has_date) {
        m->internaldate_ms = head.date.seconds > 0 ? (uint64_t)head.date.seconds * 1000 : 1;
        m->internaldate_zone = head.date.zone_minutes;
    }
    return OK;
}

/* ERR_CANCELLED: the answer is made already. */
static enum err check_size(struct append *a, const struct imap_event *event)
{
    struct imap_session *s = a->s;

    if (event->utf8 && !imap_session_utf8(s))
        imap_reply_bad(a->cmd, "UTF8 has not been enabled");
    else if (event->size == 0) /* RFC 3502 6.3.11: this is how a client gives up */
        imap_reply_no(a->cmd, NULL, "An empty message is none");
    else if (event->size > s->context->settings->message_size_max) /* RFC 7889 4 */
        imap_reply_no(a->cmd, "TOOBIG", "Message is larger than APPENDLIMIT");
    else if (a->count == IMAP_APPEND_MESSAGES_MAX)
        imap_reply_no(a->cmd, "LIMIT", "Too many messages in one command");
    else
        return OK;
    return ERR_CANCELLED;
}

static void add_message(struct append *a, const struct append_message *m)
{
    if (a->count == a->room) {
        a->room = a->room == 0 ? 1 : 2 * a->room;
        a->messages = xrealloc(a->messages, a->room * sizeof(*m));
    }
    a->messages[a->count++] = *m;
}

/* A message that another one follows cannot travel with the command: let go of its bytes, or a MULTIAPPEND
 * would hold them all in memory. */
static enum err settle_last(struct append *a)
{
    return a->count == 0 ? OK : upload_complete(a->messages[a->count - 1].upload);
}

static enum err begin_message(struct append *a, const struct imap_event *event)
{
    struct imap_session *s = a->s;
    struct append_message m = { 0 };
    bool sync = event->sync;
    enum err err = check_size(a, event);

    if (err == OK)
        err = read_head(a, event, &m);
    if (err == OK)
        err = settle_last(a);
    if (err != OK) {
        imap_parser_refuse(&s->parser);
        return err;
    }
    m.upload = upload_new(s->context->store, &s->account.home, 1);
    add_message(a, &m);
    a->summary = summary_builder_new(SUMMARY_STORED_MAX);
    if (event->utf8)
        summary_builder_international(a->summary);
    imap_parser_accept(&s->parser);
    if (sync) {
        buf_add_str(&s->out, "+ Send the message\r\n");
        imap_session_flush(s);
    }
    return OK;
}

static enum err add_data(struct append *a, struct slice data)
{
    summary_builder_push(a->summary, data);
    enum err err = upload_write(a->messages[a->count - 1].upload, data);

    if (err != OK)
        imap_parser_abort(&a->s->parser);
    return err;
}

static void end_message(struct append *a)
{
    struct buf summary = { 0 };

    summary_builder_finish(a->summary, &summary);
    summary_builder_free(&a->summary);
    upload_finish(a->messages[a->count - 1].upload, buf_slice(&summary));
    buf_fini(&summary);
}

static enum err store_all(struct append *a)
{
    struct imap_session *s = a->s;
    struct append_result result;
    struct buf code = { 0 };
    enum err err =
        store_append(s->context->store, s->account, a->mailbox.id, a->messages, a->count, &s->arena, &result);

    if (err == ERR_NOT_FOUND) /* deleted while the message came in */
        return imap_reply_no(a->cmd, "TRYCREATE", "No such mailbox");
    TRY(err);
    imap_write_appenduid(&code, result.uidvalidity, &result.uids);
    imap_reply_ok(a->cmd, arena_strdup(&s->arena, buf_slice(&code)), NULL);
    buf_fini(&code);
    return OK;
}

/* The client is gone, out of time, or out of step: nobody is left to answer. */
static enum err input_ended(struct append *a, enum err err)
{
    a->cmd->status = IMAP_REPLY_NONE;
    if (err == ERR_TIMEOUT)
        imap_session_bye(a->s, NULL, "The message takes too long");
    else if (err == ERR_CANCELLED)
        imap_session_bye(a->s, "UNAVAILABLE", "Server is shutting down, connect again");
    else
        a->s->broken = true;
    return ERR_CANCELLED;
}

static enum err command_is_bad(struct append *a, const struct imap_event *event)
{
    if (event->reason == IMAP_BAD_TOO_LONG)
        imap_reply_no(a->cmd, "LIMIT", event->text);
    else
        imap_reply_bad(a->cmd, arena_strdup(&a->s->arena, slice_str(event->text)));
    if (event->close)
        imap_session_bye(a->s, NULL, "Cannot find the next command");
    return ERR_CANCELLED;
}

static uint64_t stall_deadline(const struct append *a)
{
    uint64_t stall_ms = loop_deadline_ms(IMAP_APPEND_STALL_MS);

    return stall_ms < a->deadline_ms ? stall_ms : a->deadline_ms;
}

/* All events of the command but the first. */
static enum err read_messages(struct append *a)
{
    for (;;) {
        struct imap_event event;
        enum err err = imap_session_event(a->s, stall_deadline(a), &event);

        if (err != OK)
            return input_ended(a, err);
        switch (event.type) {
        case IMAP_EVENT_APPEND_DATA:
            TRY(add_data(a, event.data));
            break;
        case IMAP_EVENT_APPEND_END:
            end_message(a);
            break;
        case IMAP_EVENT_APPEND:
            TRY(begin_message(a, &event));
            break;
        case IMAP_EVENT_APPEND_DONE:
            return store_all(a);
        case IMAP_EVENT_BAD:
            return command_is_bad(a, &event);
        case IMAP_EVENT_CONTINUE: /* a literal in the flags or the like of a further message */
            buf_add_str(&a->s->out, "+ Go on\r\n");
            break;
        case IMAP_EVENT_COMMAND:
        case IMAP_EVENT_LINE:
        case IMAP_EVENT_NEED_MORE:
            return ERR_INTERNAL;
        }
    }
}

enum err imap_cmd_append(struct imap_session *s, struct imap_command *cmd)
{
    struct append a = { .s = s, .cmd = cmd, .deadline_ms = loop_deadline_ms(IMAP_APPEND_TIMEOUT_MS) };
    enum err err;

    if (cmd->event->type != IMAP_EVENT_APPEND) /* no literal in it at all */
        return imap_reply_bad(cmd, "Expected a message literal");
    err = begin_message(&a, cmd->event);
    if (err == OK)
        err = read_messages(&a);
    for (size_t i = 0; i < a.count; i++)
        upload_free(&a.messages[i].upload);
    free(a.messages);
    summary_builder_free(&a.summary);
    return err == ERR_CANCELLED ? OK : err; /* the answer is made */
}
