/* SPDX-License-Identifier: Apache-2.0 */
/* How a command is run: found in the table, checked against the state, handled, answered.
 *
 * A handler parses, refuses without changing anything, makes its store call, writes its untagged responses to
 * s->out and says what the tagged answer is to be. It returns OK (the answer is what it said, by default "OK
 * NAME completed"), or an error, of which respond.c makes the answer. The dispatcher then tells what has
 * changed in the mailbox, as far as the table allows it, and writes the tagged line: this is the only place
 * that does. */
#ifndef FRONTEND_IMAP_COMMAND_H
#define FRONTEND_IMAP_COMMAND_H

#include "frontend/imap/session.h"

enum imap_state_set {
    IN_NOT_AUTHENTICATED = 1 << IMAP_STATE_NOT_AUTHENTICATED,
    IN_AUTHENTICATED = 1 << IMAP_STATE_AUTHENTICATED,
    IN_SELECTED = 1 << IMAP_STATE_SELECTED,
    IN_LOGGED_IN = IN_AUTHENTICATED | IN_SELECTED,
    IN_ANY = IN_NOT_AUTHENTICATED | IN_LOGGED_IN,
};

/* What is told of the mailbox when the command has been handled. */
enum imap_tells {
    TELLS_NOTHING,
    TELLS_STABLE, /* new messages and flags; no EXPUNGE unless the command came as UID ... (RFC 9051 7.5.1) */
    TELLS_ALL,
};

enum imap_reply_status {
    IMAP_REPLY_OK,
    IMAP_REPLY_NO,
    IMAP_REPLY_BAD,
    IMAP_REPLY_NONE, /* the handler has answered by itself, or the answer comes later (IDLE) */
};

struct imap_command {
    const struct imap_rule *rule;
    struct slice tag; /* in the arena */
    bool uid;         /* came with the prefix UID */
    struct imap_args args;
    const struct imap_event *event; /* only for APPEND, only until the next event is taken */

    enum imap_reply_status status;
    const char *code; /* without brackets; NULL for none; in the arena or static */
    const char *text; /* NULL for "NAME completed" */

    bool is_fresh; /* the store has just said that nothing new happened: no need to ask */
    /* Changes of these messages up to silent_modseq are the client's own: made by STORE .SILENT, or told in
     * its FETCH rows already. */
    const struct uidset *silent;
    uint64_t silent_modseq;
    bool silent_is_told;
};

struct imap_rule {
    const char *name;
    uint8_t states; /* of enum imap_state_set */
    bool has_uid;   /* may come with the prefix UID */
    enum imap_tells tells;
    enum err (*run)(struct imap_session *s, struct imap_command *cmd);
};

/* Handle one COMMAND or APPEND event completely. Yields. */
void imap_command_run(struct imap_session *s, const struct imap_event *event);

/* What the tagged answer is to be; always OK, so that a handler may `return imap_reply_no(...)`. */
enum err imap_reply_ok(struct imap_command *cmd, const char *code, const char *text);
enum err imap_reply_no(struct imap_command *cmd, const char *code, const char *text);
enum err imap_reply_bad(struct imap_command *cmd, const char *text);
/* Write the tagged line to s->out, for handlers that do it themselves. */
void imap_reply_write(struct imap_session *s, const struct imap_command *cmd);

/* --- cmd_any.c --- */
enum err imap_cmd_capability(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_noop(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_logout(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_id(struct imap_session *s, struct imap_command *cmd);
/* "CAPABILITY IMAP4rev1 ..." as it is for this session now. */
void imap_capability_write(const struct imap_session *s, struct buf *out);
/* --- cmd_auth.c --- */
enum err imap_cmd_starttls(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_authenticate(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_login(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_enable(struct imap_session *s, struct imap_command *cmd);
/* Whether a password may travel as it is. */
bool imap_plaintext_allowed(const struct imap_session *s);
/* A command that makes the session aware of modseqs (RFC 7162 3.1). */
void imap_condstore_enable(struct imap_session *s);
/* --- cmd_select.c --- */
enum err imap_cmd_select(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_examine(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_close(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_unselect(struct imap_session *s, struct imap_command *cmd);
/* "* FLAGS" and "* OK [PERMANENTFLAGS]". */
void imap_select_write_flags(struct imap_session *s);
/* --- cmd_mailbox.c --- */
enum err imap_cmd_create(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_delete(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_rename(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_subscribe(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_unsubscribe(struct imap_session *s, struct imap_command *cmd);
/* --- cmd_list.c --- */
enum err imap_cmd_list(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_lsub(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_namespace(struct imap_session *s, struct imap_command *cmd);
/* --- cmd_status.c --- */
enum err imap_cmd_status(struct imap_session *s, struct imap_command *cmd);
/* "* STATUS ..." of one mailbox. Yields. */
MUST_CHECK enum err imap_status_write(struct imap_session *s, const struct mailbox *mailbox, uint32_t items);
/* --- cmd_append.c --- */
enum err imap_cmd_append(struct imap_session *s, struct imap_command *cmd);
/* --- cmd_expunge.c --- */
enum err imap_cmd_expunge(struct imap_session *s, struct imap_command *cmd);
/* Expunge those of the view (of `within`, unless NULL) that carry \Deleted; nothing is told. Yields. */
MUST_CHECK enum err imap_expunge(struct imap_session *s, const struct imap_command *cmd,
                                 const struct uidset *within);
/* --- cmd_search.c --- */
enum err imap_cmd_search(struct imap_session *s, struct imap_command *cmd);
/* --- cmd_fetch.c --- */
enum err imap_cmd_fetch(struct imap_session *s, struct imap_command *cmd);
/* --- cmd_store.c --- */
enum err imap_cmd_store(struct imap_session *s, struct imap_command *cmd);
/* --- cmd_copy.c --- */
enum err imap_cmd_copy(struct imap_session *s, struct imap_command *cmd);
enum err imap_cmd_move(struct imap_session *s, struct imap_command *cmd);
/* --- cmd_idle.c --- */
enum err imap_cmd_idle(struct imap_session *s, struct imap_command *cmd);
/* A line came while idling: end it, or complain. Yields. */
void imap_idle_line(struct imap_session *s, struct slice line);
/* Tell what the watch announced. Yields. */
void imap_idle_tell(struct imap_session *s);
/* Forget it (the session ends). */
void imap_idle_drop(struct imap_session *s);

#endif
