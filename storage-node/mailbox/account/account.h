/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORAGE_NODE_MAILBOX_ACCOUNT_ACCOUNT_H
#define STORAGE_NODE_MAILBOX_ACCOUNT_ACCOUNT_H

#include "storage-node/mailbox/edit/edit.h"

/* Bounds and form of a canonical address: ERR_INVALID, ERR_TOO_BIG. */
MUST_CHECK enum err check_address(const char *address);
/* The account as a message in the arena. */
Tern__Account *account_message(struct arena *arena, uint64_t id, uint32_t home, const struct account_row *row,
                               const struct counters_row *counters);

#endif
