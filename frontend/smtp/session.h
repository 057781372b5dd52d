/* SPDX-License-Identifier: Apache-2.0 */
/* One SMTP session: its state, and what its commands call. */
#ifndef FRONTEND_SMTP_SESSION_H
#define FRONTEND_SMTP_SESSION_H

#include "frontend/codec/smtp_command.h"
#include "frontend/common/context.h"
#include "lib/base/arena.h"
#include "lib/net/addr.h"
#include "lib/store/message.h"

enum {
    SMTP_ERRORS_MAX = 20, /* of one session: then 421 */
    SMTP_TLS_TIMEOUT_MS = 30 * 1000,
    SMTP_GOODBYE_MS = 2000,
    SMTP_HOPS_MAX = 100,         /* Received fields of a message (RFC 5321 6.3) */
    SMTP_DISCARD_MAX = 64 << 20, /* octets beyond the size limit that are read to reach the end politely */
};

enum smtp_kind { SMTP_RELAY, SMTP_SUBMISSION };

/* RFC 5321 4.1.4: which commands are legal. */
enum smtp_state {
    SMTP_CONNECTED, /* no HELO or EHLO yet */
    SMTP_GREETED,
    SMTP_MAIL, /* a sender */
    SMTP_RCPT, /* and at least one recipient */
    SMTP_BDAT, /* in the middle of BDAT chunks */
    SMTP_ENDED,
};

/* One accepted RCPT. */
struct recipient {
    struct slice path; /* as the client wrote it */
    struct account *accounts;
    size_t account_count;
};

struct incoming;

struct smtp_session {
    struct context *context;
    struct stream *stream;
    enum smtp_kind kind;
    enum smtp_state state;
    struct arena arena; /* the session's: HELO name, account */
    struct slice helo;
    bool esmtp;
    bool authenticated;
    struct account account;
    unsigned errors, auth_failures;

    struct arena mail_arena; /* the transaction's */
    struct smtp_mail mail;
    struct slice sender; /* canonical for our own use; empty: null sender */
    struct recipient *recipients;
    size_t recipient_count, recipient_cap;
    struct incoming *incoming; /* while BDAT goes on */
    bool bdat_failed;          /* chunks are read and thrown away until the transaction ends */
};

/* The one place that changes the state; asserts that the move is legal. */
void smtp_set_state(struct smtp_session *s, enum smtp_state state);
/* Forget the transaction (RSET, a new EHLO, the end of DATA). */
void smtp_reset(struct smtp_session *s);

/* Queue a reply: code, enhanced code ("5.1.1", or NULL), text. Errors of the stream end the session soon
 * anyway and are not returned. */
void smtp_reply(struct smtp_session *s, int code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A 5xx that counts towards SMTP_ERRORS_MAX. */
void smtp_reject(struct smtp_session *s, int code, const char *enhanced, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* The reply to a store error, `what` naming what could not be done ("recipient"). */
void smtp_reply_err(struct smtp_session *s, enum err err, const char *what);

/* Read one line (without CRLF) of at most `max` octets; the line is valid until the next read. Errors end the
 * session; ERR_TOO_BIG and ERR_SYNTAX (a bare LF) were answered already and mean: no line, go on. Yields. */
MUST_CHECK enum err smtp_read_line(struct smtp_session *s, size_t max, struct slice *line_out);
uint64_t smtp_deadline(const struct smtp_session *s);

/* Mechanisms that may be used now: plaintext ones only under TLS or by configuration. */
bool smtp_plain_allowed(const struct smtp_session *s);
bool smtp_auth_offered(const struct smtp_session *s);

/* ---- command handlers: cmd_session.c, cmd_auth.c, cmd_mail.c, cmd_data.c */
void smtp_cmd_ehlo(struct smtp_session *s, struct slice args);
void smtp_cmd_helo(struct smtp_session *s, struct slice args);
void smtp_cmd_noop(struct smtp_session *s, struct slice args);
void smtp_cmd_rset(struct smtp_session *s, struct slice args);
void smtp_cmd_quit(struct smtp_session *s, struct slice args);
void smtp_cmd_help(struct smtp_session *s, struct slice args);
void smtp_cmd_vrfy(struct smtp_session *s, struct slice args);
void smtp_cmd_starttls(struct smtp_session *s, struct slice args);
void smtp_cmd_auth(struct smtp_session *s, struct slice args);
void smtp_cmd_mail(struct smtp_session *s, struct slice args);
void smtp_cmd_rcpt(struct smtp_session *s, struct slice args);
void smtp_cmd_data(struct smtp_session *s, struct slice args);
void smtp_cmd_bdat(struct smtp_session *s, struct slice args);

#endif
