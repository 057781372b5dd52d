/* SPDX-License-Identifier: Apache-2.0 */
/* Internationalized messages for clients that have enabled neither UTF8=ACCEPT nor IMAP4rev2 (RFC 6858).
 * RFC822.SIZE stays that of the message as it came (RFC 6858 3); all else is of the surrogate. */
#ifndef FRONTEND_IMAP_DOWNGRADE_H
#define FRONTEND_IMAP_DOWNGRADE_H

#include "frontend/imap/fetch.h"

/* The ROW_* parts that tell whether a message has to be downgraded for this client. */
uint32_t imap_downgrade_parts(const struct imap_session *s);
/* If the current message needs a surrogate for this client, let f->message be that, and remember its UID.
 * One flag is looked at for all others. Yields if it has to read the header. */
MUST_CHECK enum err imap_downgrade(struct imap_fetching *f);
/* "DOWNGRADED 1,2" in the command's arena, or NULL: there were none. */
const char *imap_downgrade_code(struct imap_fetching *f);

#endif
