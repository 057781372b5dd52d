/* SPDX-License-Identifier: Apache-2.0 */
/* Items of the queue, read and changed. The due row and the totals follow from an item's state, and only
 * queue_close and queue_remove write them. Only for this folder. */
#ifndef STORAGE_NODE_MAILBOX_QUEUE_QUEUE_EDIT_H
#define STORAGE_NODE_MAILBOX_QUEUE_QUEUE_EDIT_H

#include "proto/queue.pb-c.h"
#include "storage-node/mailbox/edit/edit.h"
#include "storage-node/mailbox/queue/queue_rows.h"

/* ---- reading; what is borrowed lives in the state's arena. ERR_NOT_FOUND; a part of an item that is missing
 * is ERR_CORRUPT */
MUST_CHECK enum err queue_item(const struct state *s, struct slice id, struct queue_item_row *out);
MUST_CHECK enum err queue_state(const struct state *s, struct slice id, struct queue_state_row *out);
MUST_CHECK enum err queue_recipient(const struct state *s, struct slice id, uint32_t number,
                                    struct queue_recipient_row *out);
/* All zero if there never was an item. */
MUST_CHECK enum err queue_totals(const struct state *s, struct queue_totals_row *out);
/* The time of the first due row; 0: there is none. */
MUST_CHECK enum err queue_next(const struct state *s, uint64_t *next_ms_out);

/* Which recipients an item is shown with, and whether with their errors. */
enum queue_view { QUEUE_VIEW_ALL, QUEUE_VIEW_PENDING };
/* As answers say it, in the state's arena. */
MUST_CHECK enum err queue_describe(const struct state *s, struct slice id, const struct queue_item_row *item,
                                   const struct queue_state_row *state, enum queue_view view,
                                   Tern__QueueItem **out);

/* ---- changing */
struct queue_edit {
    struct slice id;
    struct queue_item_row item;
    struct queue_state_row before, state;
};
/* ERR_NOT_FOUND. */
MUST_CHECK enum err queue_open(struct apply *a, struct slice id, struct queue_edit *out);
MUST_CHECK enum err queue_close(struct apply *a, const struct queue_edit *e);
/* The item with all its rows; its body loses a reference. */
MUST_CHECK enum err queue_remove(struct apply *a, const struct queue_edit *e);
/* A new item: e->before is as if there had been nothing. */
MUST_CHECK enum err queue_add(struct apply *a, const struct queue_edit *e);
/* Write e->item; the other rows are the matter of queue_close. */
void queue_put_item(struct apply *a, const struct queue_edit *e);
void queue_put_recipient(struct apply *a, struct slice id, uint32_t number,
                         const struct queue_recipient_row *row);

#endif
