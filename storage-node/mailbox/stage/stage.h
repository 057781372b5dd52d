/* SPDX-License-Identifier: Apache-2.0 */
/* A copy or move of more messages than one entry may touch: an account's stage.
 *
 * Steps write the copies where they will be, under UIDs reserved in a range far enough behind the target's
 * UIDNEXT that deliveries may go on in between, and under modseqs reserved in the same way. The target's row
 * names the range, and no reader sees a UID in it. A move marks the source's messages in their segments.
 * Nothing else changes: neither counters nor quota. The commit then changes the rows of the two mailboxes and
 * the account, whatever the number of messages: the range opens, UIDNEXT and modseq jump behind it, the marks
 * begin to count.
 *
 * What is left after a move (the source's rows, out of sight) or after a stage that was given up (the
 * target's rows, the source's marks) is deleted by sweep entries; the account's next stage waits for that.
 * Only for the state machine. */
#ifndef STORAGE_NODE_MAILBOX_STAGE_STAGE_H
#define STORAGE_NODE_MAILBOX_STAGE_STAGE_H

#include "storage-node/mailbox/edit/edit.h"

enum {
    STAGE_UID_GAP = 4096,       /* UIDs left to deliveries, and ... */
    STAGE_UID_GAP_SHARE = 16,   /* ... one more for so many messages */
    STAGE_MODSEQ_GAP = 1 << 24, /* changes that the account may see meanwhile */
    STAGE_TOUCH_MS = 1000,      /* how exactly it is known when a stage was last gone on with */
};
_Static_assert((int)STAGE_TOUCH_MS < (int)STAGE_FENCE_MS, "a stage that is gone on with is not idle");

/* Give up the account's stage, so that the one that waits for it need not wait until it is found idle.
 * Whoever began it gets ERR_CONFLICT for what he still asks of it. */
MUST_CHECK enum err stage_fence(struct apply *a, uint64_t account);

/* Let the sweep come to it at `time_ms` + STAGE_IDLE_MS, 0: at once; writes both rows. */
void stage_put_due(struct apply *a, uint64_t account, struct stage_row *stage, uint64_t time_ms);

/* Delete what is left of the first stage that is due, about `*rows` rows, which are taken off. */
MUST_CHECK enum err stage_sweep(struct apply *a, size_t *rows);

#endif
