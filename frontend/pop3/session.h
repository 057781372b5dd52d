/* SPDX-License-Identifier: Apache-2.0 */
/* One POP3 session: its state, and what its commands call. */
#ifndef FRONTEND_POP3_SESSION_H
#define FRONTEND_POP3_SESSION_H

#include "frontend/common/context.h"
#include "lib/base/arena.h"
#include "lib/fiber/timer.h"
#include "lib/store/mailbox.h"
#include "lib/store/message.h"

enum {
    POP3_LINE_MAX = 1024, /* octets of a command line: RFC 2449's 255 and room for long addresses */
    POP3_AUTH_LINE_MAX = 16384,
    POP3_ERRORS_MAX = 20,       /* of one session */
    POP3_MESSAGES_MAX = 500000, /* of a maildrop; more are not listed */
    POP3_TLS_TIMEOUT_MS = 30 * 1000,
    POP3_GOODBYE_MS = 2000,
    POP3_LOCK_RENEW_MS = STORE_LOCK_EXPIRY_MS / 3,
    POP3_LOCK_TOKEN_SIZE = 16,
};

enum pop3_state { POP3_AUTHORIZATION, POP3_TRANSACTION, POP3_ENDED };

/* One message of the view that was frozen at login. */
struct pop3_message {
    uint32_t uid;
    bool deleted;
    uint64_t size;
};

struct pop3_renewal;

struct pop3_session {
    struct context *context;
    struct stream *stream;
    enum pop3_state state;
    struct arena arena; /* the session's: account, USER's name */
    struct slice user;
    struct account account;
    unsigned errors, auth_failures;
    bool utf8;

    struct mailbox_ref mailbox;    /* INBOX, as it was at login */
    struct pop3_message *messages; /* message n is at n - 1 */
    size_t message_count, message_cap;
    uint8_t lock_token[POP3_LOCK_TOKEN_SIZE];
    bool locked;
    uint64_t lock_renew_ms;       /* when the lock wants renewal */
    struct timer lock_timer;      /* runs while a message is being sent */
    struct pop3_renewal *renewal; /* under way beside the session, or NULL */
    uint64_t deadline_ms;         /* of the login */
};

void pop3_set_state(struct pop3_session *s, enum pop3_state state);

/* Queue "+OK text", "-ERR text" (counts towards POP3_ERRORS_MAX), or what fits an error, with its response
 * code (RFC 2449, 3206). */
void pop3_ok(struct pop3_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pop3_err(struct pop3_session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void pop3_reply_err(struct pop3_session *s, enum err err, const char *what);
/* Queue bytes. */
void pop3_send(struct pop3_session *s, struct slice bytes);
uint64_t pop3_deadline(const struct pop3_session *s);
bool pop3_plain_allowed(const struct pop3_session *s);

/* drop.c: the maildrop. Lock it and freeze the view. ERR_IN_USE. Yields. */
MUST_CHECK enum err pop3_drop_open(struct pop3_session *s);
/* Keep the lock while the session is active. ERR_IN_USE: another session has it now. Yields at times. */
MUST_CHECK enum err pop3_drop_keep(struct pop3_session *s);
/* Keep it also while one long message goes out to a slow client (`on`) until that is done. A lock that is
 * lost meanwhile shows at the next pop3_drop_keep. Does not yield. */
void pop3_drop_keep_sending(struct pop3_session *s, bool on);
/* Expunge what was marked, at QUIT. Yields. */
MUST_CHECK enum err pop3_drop_commit(struct pop3_session *s);
/* Let the lock go. Does not yield. */
void pop3_drop_close(struct pop3_session *s);
/* Message number `text`, not deleted; NULL (answered) otherwise. */
struct pop3_message *pop3_drop_find(struct pop3_session *s, struct slice text);

/* downgrade.c. `first` is the beginning of the message, at least DOWNGRADE_HEADER_MAX of it or all: put a
 * surrogate header into it if this client needs one. *size_out is the size of what is to be sent. Yields if
 * the header is not ASCII and the client has not said UTF8. */
MUST_CHECK enum err pop3_downgrade(struct pop3_session *s, const struct pop3_message *m, struct buf *first,
                                   uint64_t *size_out);

/* ---- command handlers: cmd_auth.c, cmd_list.c, cmd_retr.c, cmd_session.c */
void pop3_cmd_user(struct pop3_session *s, struct slice args);
void pop3_cmd_pass(struct pop3_session *s, struct slice args);
void pop3_cmd_auth(struct pop3_session *s, struct slice args);
void pop3_cmd_stls(struct pop3_session *s, struct slice args);
void pop3_cmd_capa(struct pop3_session *s, struct slice args);
void pop3_cmd_utf8(struct pop3_session *s, struct slice args);
void pop3_cmd_noop(struct pop3_session *s, struct slice args);
void pop3_cmd_quit(struct pop3_session *s, struct slice args);
void pop3_cmd_stat(struct pop3_session *s, struct slice args);
void pop3_cmd_list(struct pop3_session *s, struct slice args);
void pop3_cmd_uidl(struct pop3_session *s, struct slice args);
void pop3_cmd_dele(struct pop3_session *s, struct slice args);
void pop3_cmd_rset(struct pop3_session *s, struct slice args);
void pop3_cmd_retr(struct pop3_session *s, struct slice args);
void pop3_cmd_top(struct pop3_session *s, struct slice args);

#endif
