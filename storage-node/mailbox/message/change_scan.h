/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to a mailbox since a modseq, from its CHANGE and VANISHED rows. Only for this folder. */
#ifndef STORAGE_NODE_MAILBOX_MESSAGE_CHANGE_SCAN_H
#define STORAGE_NODE_MAILBOX_MESSAGE_CHANGE_SCAN_H

#include "storage-node/mailbox/rows/state.h"

/* UIDs of messages in sight with a modseq above `since`. *out was initialised and is replaced. */
MUST_CHECK enum err change_scan_uids(const struct state *s, uint64_t account,
                                     const struct mailbox_row *mailbox, uint64_t since, struct uidset *out);
/* The same in a page of about `limit` messages: ends behind a whole modseq, *until_out, or UINT64_MAX if it
 * holds all. */
MUST_CHECK enum err change_scan_page(const struct state *s, uint64_t account,
                                     const struct mailbox_row *mailbox, uint64_t since, size_t limit,
                                     struct uidset *out, uint64_t *until_out);
/* UIDs that vanished with a modseq above `since` and at most `until`. */
MUST_CHECK enum err change_scan_vanished(const struct state *s, uint64_t account, uint64_t mailbox,
                                         uint64_t since, uint64_t until, struct uidset *out);

#endif
