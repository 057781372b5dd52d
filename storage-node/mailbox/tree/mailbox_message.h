/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STORAGE_NODE_MAILBOX_TREE_MAILBOX_MESSAGE_H
#define STORAGE_NODE_MAILBOX_TREE_MAILBOX_MESSAGE_H

#include "storage-node/mailbox/method.h"

/* A mailbox as a message in the arena. */
Tern__Mailbox *mailbox_message(struct arena *arena, const struct mailbox_row *row, struct slice full_name,
                               const struct keywords_row *keywords);

#endif
