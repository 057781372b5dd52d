/* SPDX-License-Identifier: Apache-2.0 */
/* What segments know of a search program: sets of UIDs, and \Seen. Only for this folder. */
#ifndef STORAGE_NODE_MAILBOX_SEARCH_SEARCH_SEGMENTS_H
#define STORAGE_NODE_MAILBOX_SEARCH_SEARCH_SEGMENTS_H

#include "lib/mail/search.h"
#include "storage-node/mailbox/rows/state.h"

/* Keys of a program that are answered from segments. Each goes over all of the mailbox's UIDs, and nobody
 * looks at the clock meanwhile: what is beyond the bound is left to the walk over messages, which does. */
enum { SEARCH_SEGMENT_NODES_MAX = 32 };

/* Leave of `uids`, messages of the mailbox, those that may match the program as far as segments can tell.
 * *exact_out: all that are left do match, no row need be read. */
MUST_CHECK enum err search_segments(const struct state *s, uint64_t account,
                                    const struct mailbox_row *mailbox, const struct search_node *tree,
                                    struct uidset *uids, bool *exact_out);

#endif
