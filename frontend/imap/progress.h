/* SPDX-License-Identifier: Apache-2.0 */
/* A command that takes long says so: untagged OK [INPROGRESS] (RFC 9585), so that neither the client nor what
 * stands between takes the connection for dead. */
#ifndef FRONTEND_IMAP_PROGRESS_H
#define FRONTEND_IMAP_PROGRESS_H

#include "frontend/imap/command.h"
#include "lib/store/message.h"

enum { IMAP_PROGRESS_MS = 10 * 1000 /* between two of them */ };

struct imap_progress {
    struct store_progress progress; /* for the store's calls */
    struct imap_session *s;
    const struct imap_command *cmd;
    uint64_t next_ms;
};

/* Both pointers are kept; the first is told after IMAP_PROGRESS_MS. What is told is sent at once: yields. */
void imap_progress_init(struct imap_progress *p, struct imap_session *s, const struct imap_command *cmd);

#endif
