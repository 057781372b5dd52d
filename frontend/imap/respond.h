/* SPDX-License-Identifier: Apache-2.0 */
/* From `enum err` to what IMAP says: NO or BAD with a response code of RFC 5530 or RFC 9051 7.1. */
#ifndef FRONTEND_IMAP_RESPOND_H
#define FRONTEND_IMAP_RESPOND_H

#include "frontend/imap/command.h"

/* Make the tagged answer of an error. ERR_IN_DOUBT, and a client that is gone, end the session instead: a
 * tagged NO would claim that nothing happened. */
void imap_respond_error(struct imap_session *s, struct imap_command *cmd, enum err err);

#endif
