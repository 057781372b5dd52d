/* SPDX-License-Identifier: Apache-2.0 */
/* From `enum err` to what IMAP says: NO or BAD with a response code of RFC 5530 or RFC 9051 7.1. */
#ifndef FRONTEND_IMAP_RESPOND_H
#define FRONTEND_IMAP_RESPOND_H

#include "frontend/imap/command.h"

/* Make the tagged answer of an error. ERR_IN_DOUBT, ERR_UIDVALIDITY and a client that is gone end the session
 * instead: a tagged NO would claim that nothing happened. */
void imap_respond_error(struct imap_session *s, struct imap_command *cmd, enum err err);

/* The selected mailbox, when it was asked for, is not what was selected: deleted (ERR_NOT_FOUND), or its UIDs
 * name other messages now (ERR_UIDVALIDITY). Say BYE; false: `err` means something else. */
bool imap_respond_mailbox_gone(struct imap_session *s, enum err err);

#endif
