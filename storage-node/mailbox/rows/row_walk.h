/* SPDX-License-Identifier: Apache-2.0 */
/* Walk the MESSAGE or SUMMARY rows of a mailbox to UIDs in ascending order: steps where they are near, seeks
 * where they are far. */
#ifndef STORAGE_NODE_MAILBOX_ROWS_ROW_WALK_H
#define STORAGE_NODE_MAILBOX_ROWS_ROW_WALK_H

#include "storage-node/mailbox/rows/state.h"

struct row_walk {
    const struct state *state;
    struct kv_iter *it;
    struct key key; /* of the row sought last */
    bool on_row;
    uint32_t uid; /* of the row it stands on */
};

/* From `first` to `last` only. */
void row_walk_begin(struct row_walk *w, const struct state *s, uint64_t account, enum key_kind kind,
                    uint64_t mailbox, uint32_t first, uint32_t last);
void row_walk_end(struct row_walk *w);
/* The value of this UID's row, valid until the next call; UIDs ascend from call to call. ERR_NOT_FOUND. */
MUST_CHECK enum err row_walk_to(struct row_walk *w, uint32_t uid, struct slice *value_out);
/* The same, decoded; for MESSAGE rows that must exist. */
MUST_CHECK enum err row_walk_message(struct row_walk *w, uint32_t uid, struct message_row *out);

#endif
