/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/command.h"

#include <stdio.h>

#include "frontend/codec/imap_write.h"
#include "frontend/imap/changes.h"
#include "frontend/imap/metrics.h"
#include "frontend/imap/respond.h"
#include "lib/base/log.h"

static const struct imap_rule rules[] = {
    { "CAPABILITY", IN_ANY, false, TELLS_NOTHING, imap_cmd_capability },
    { "NOOP", IN_ANY, false, TELLS_ALL, imap_cmd_noop },
    { "LOGOUT", IN_ANY, false, TELLS_NOTHING, imap_cmd_logout },
    { "ID", IN_ANY, false, TELLS_NOTHING, imap_cmd_id },

    { "STARTTLS", IN_NOT_AUTHENTICATED, false, TELLS_NOTHING, imap_cmd_starttls },
    { "AUTHENTICATE", IN_NOT_AUTHENTICATED, false, TELLS_NOTHING, imap_cmd_authenticate },
    { "LOGIN", IN_NOT_AUTHENTICATED, false, TELLS_NOTHING, imap_cmd_login },

    { "ENABLE", IN_AUTHENTICATED, false, TELLS_NOTHING, imap_cmd_enable },
    { "SELECT", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_select },
    { "EXAMINE", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_examine },
    { "CREATE", IN_LOGGED_IN, false, TELLS_ALL, imap_cmd_create },
    { "DELETE", IN_LOGGED_IN, false, TELLS_ALL, imap_cmd_delete },
    { "RENAME", IN_LOGGED_IN, false, TELLS_ALL, imap_cmd_rename },
    { "SUBSCRIBE", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_subscribe },
    { "UNSUBSCRIBE", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_unsubscribe },
    { "LIST", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_list },
    { "LSUB", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_lsub },
    { "NAMESPACE", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_namespace },
    { "STATUS", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_status },
    { "APPEND", IN_LOGGED_IN, false, TELLS_ALL, imap_cmd_append },
    { "IDLE", IN_LOGGED_IN, false, TELLS_NOTHING, imap_cmd_idle },

    { "CHECK", IN_SELECTED, false, TELLS_ALL, imap_cmd_noop },
    { "CLOSE", IN_SELECTED, false, TELLS_NOTHING, imap_cmd_close },
    { "UNSELECT", IN_SELECTED, false, TELLS_NOTHING, imap_cmd_unselect },
    { "EXPUNGE", IN_SELECTED, true, TELLS_ALL, imap_cmd_expunge },
    { "SEARCH", IN_SELECTED, true, TELLS_STABLE, imap_cmd_search },
    { "FETCH", IN_SELECTED, true, TELLS_STABLE, imap_cmd_fetch },
    { "STORE", IN_SELECTED, true, TELLS_STABLE, imap_cmd_store },
    { "COPY", IN_SELECTED, true, TELLS_ALL, imap_cmd_copy },
    { "MOVE", IN_SELECTED, true, TELLS_ALL, imap_cmd_move },
};
enum { RULE_COUNT = sizeof(rules) / sizeof(rules[0]) };

static const struct imap_rule *rule_find(const char *name)
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (strcmp(rules[i].name, name) == 0)
            return &rules[i];
    }
    return NULL;
}

enum err imap_reply_ok(struct imap_command *cmd, const char *code, const char *text)
{
    cmd->status = IMAP_REPLY_OK;
    cmd->code = code;
    cmd->text = text;
    return OK;
}

enum err imap_reply_no(struct imap_command *cmd, const char *code, const char *text)
{
    cmd->status = IMAP_REPLY_NO;
    cmd->code = code;
    cmd->text = text;
    return OK;
}

enum err imap_reply_bad(struct imap_command *cmd, const char *text)
{
    cmd->status = IMAP_REPLY_BAD;
    cmd->code = NULL;
    cmd->text = text;
    return OK;
}

void imap_reply_write(struct imap_session *s, const struct imap_command *cmd)
{
    static const char *const names[] = { "OK", "NO", "BAD" };
    char done[IMAP_NAME_MAX + sizeof("UID  completed")];
    const char *text = cmd->text;

    if (cmd->status == IMAP_REPLY_NONE)
        return;
    if (text == NULL) {
        snprintf(done, sizeof(done), "%s%s %s", cmd->uid ? "UID " : "", cmd->rule->name,
                 cmd->status == IMAP_REPLY_OK ? "completed" : "failed");
        text = done;
    }
    imap_write_status_line(&s->out, cmd->tag, names[cmd->status], cmd->code, text);
}

/* Why a command cannot be taken now, or NULL. */
static const char *refuse(const struct imap_session *s, const struct imap_rule *rule, bool uid)
{
    if (rule == NULL)
        return "Unknown command";
    if (uid && !rule->has_uid)
        return "This command has no UID form";
    if ((rule->states & (1 << s->state)) != 0)
        return NULL;
    if (s->state == IMAP_STATE_NOT_AUTHENTICATED)
        return "Log in first";
    if (rule->states == IN_NOT_AUTHENTICATED)
        return "Already logged in";
    return rule->states == IN_SELECTED ? "No mailbox selected" : "Not while a mailbox is selected";
}

static void tell_changes(struct imap_session *s, const struct imap_command *cmd)
{
    struct imap_telling how = {
        .may_expunge = cmd->rule->tells == TELLS_ALL || cmd->uid,
        .with_uid = cmd->uid,
        .silent = cmd->silent,
        .silent_modseq = cmd->silent_modseq,
        .silent_is_told = cmd->silent_is_told,
    };
    enum err err;

    if (s->state != IMAP_STATE_SELECTED || cmd->rule->tells == TELLS_NOTHING || cmd->status == IMAP_REPLY_BAD)
        return;
    if (cmd->is_fresh) {
        if (how.may_expunge)
            imap_changes_tell_gone(s);
        return;
    }
    err = imap_changes_tell(s, &how);
    if (err != OK && !imap_respond_mailbox_gone(s, err))
        log_info("imap", "changes of a mailbox of %s cannot be told now: %s", s->user, err_name(err));
}

/* RFC 5530: somebody else has expunged messages, and this command may not say which (RFC 9051 7.5.1). */
static void tell_expunge_issued(const struct imap_session *s, struct imap_command *cmd)
{
    if (s->state == IMAP_STATE_SELECTED && cmd->rule->tells == TELLS_STABLE && cmd->status == IMAP_REPLY_OK &&
        cmd->code == NULL && !uidset_is_empty(&s->view.gone))
        cmd->code = "EXPUNGEISSUED";
}

/* Commands read their arguments in place; those that go on reading from the client keep what they need. */
void imap_command_run(struct imap_session *s, const struct imap_event *event)
{
    struct imap_command cmd = {
        .rule = rule_find(event->name),
        .tag = arena_slice(&s->arena, event->tag),
        .uid = event->uid,
        .args = imap_args_of(event->args, &s->arena, imap_session_utf8(s)),
        .event = event,
    };
    const char *refusal = refuse(s, cmd.rule, event->uid);

    if (refusal != NULL) {
        if (event->type == IMAP_EVENT_APPEND)
            imap_parser_refuse(&s->parser);
        imap_write_status_line(&s->out, cmd.tag, "BAD", NULL, refusal);
        imap_session_count_bad(s);
        imap_metrics_command(NULL, IMAP_REPLY_BAD);
        return;
    }
    enum err err = cmd.rule->run(s, &cmd);

    if (err != OK)
        imap_respond_error(s, &cmd, err);
    tell_changes(s, &cmd);
    tell_expunge_issued(s, &cmd);
    if (cmd.status == IMAP_REPLY_BAD)
        imap_session_count_bad(s);
    else if (cmd.status == IMAP_REPLY_OK && s->state != IMAP_STATE_NOT_AUTHENTICATED)
        s->bad_count = 0;
    imap_reply_write(s, &cmd);
    imap_metrics_command(cmd.rule->name, cmd.status);
}
