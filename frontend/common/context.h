/* SPDX-License-Identifier: Apache-2.0 */
/* What every session of one loop (thread) shares. Nothing in it matters when the process dies (P4). */
#ifndef FRONTEND_COMMON_CONTEXT_H
#define FRONTEND_COMMON_CONTEXT_H

#include "frontend/common/auth.h"
#include "lib/net/stream.h"
#include "lib/net/tls.h"
#include "lib/store/store.h"

/* From the configuration; fixed for the life of the process. */
struct settings {
    const char *hostname;      /* our name in greetings, Received lines and Message-IDs */
    uint64_t message_size_max; /* bytes; SMTP SIZE, APPENDLIMIT */
    bool allow_plaintext_auth; /* LOGIN, PLAIN, USER/PASS without TLS */
    uint32_t smtp_recipients_max;
    uint32_t smtp_idle_timeout_ms, imap_idle_timeout_ms, pop3_idle_timeout_ms;
    uint32_t login_timeout_ms; /* from connect to a successful login (IMAP, POP3) */
};

struct queue;
struct known;
struct patience;

struct context {
    struct loop *loop;
    struct store *store;
    struct auth *auth;
    struct queue *queue;       /* of the process, on whatever loop */
    struct known *known;       /* recipients' addresses */
    struct patience *patience; /* with homes that do not answer; SMTP's */
    struct tls_server *tls;    /* NULL: no STARTTLS */
    const struct settings *settings;
    bool draining; /* new commands are answered with BYE / 421 */
};

/* The context of the loop that runs on this thread; set once by the program before its loop runs. */
struct context *context_self(void);
void context_set_self(struct context *context);

#endif
