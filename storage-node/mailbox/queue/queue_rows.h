/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the queue; as in rows.h, decoding borrows, and is false if the bytes are no such row. */
#ifndef STORAGE_NODE_MAILBOX_QUEUE_QUEUE_ROWS_H
#define STORAGE_NODE_MAILBOX_QUEUE_QUEUE_ROWS_H

#include "storage-node/mailbox/rows/rows.h"

enum {
    QUEUE_PATH_MAX = 320, /* octets of an envelope address */
    QUEUE_ERROR_MAX = 200,
    QUEUE_HOLDER_MAX = 255,
};

/* QUEUE_TOTALS */
struct queue_totals_row {
    uint64_t items, bytes, held, failed;
};
void queue_totals_encode(const struct queue_totals_row *row, struct buf *out);
bool queue_totals_decode(struct slice value, struct queue_totals_row *out);

/* QUEUE_ITEM: what does not change, but for the delivery id (queue_change.c). */
struct queue_item_row {
    struct slice delivery_id; /* REQUEST_ID_SIZE bytes */
    struct slice sender;
    bool smtputf8;
    uint64_t size;
    uint64_t body;
    uint64_t created_ms;
    uint32_t recipient_count; /* numbered from 0 */
};
void queue_item_encode(const struct queue_item_row *row, struct buf *out);
bool queue_item_decode(struct slice value, struct queue_item_row *out);

/* QUEUE_STATE */
struct queue_state_row {
    uint64_t next_ms;        /* when the next attempt is due */
    uint64_t lease_until_ms; /* 0: nobody has it */
    uint64_t leased_ms;      /* when the newest attempt began */
    uint64_t fence;          /* of the newest lease */
    uint32_t attempts;
    uint32_t pending, failed; /* recipients */
    bool held;
    struct slice holder; /* of the newest lease, for people */
};
void queue_state_encode(const struct queue_state_row *row, struct buf *out);
bool queue_state_decode(struct slice value, struct queue_state_row *out);

/* QUEUE_RECIPIENT; state is a Tern__QueueState. */
struct queue_recipient_row {
    struct slice path;
    uint64_t account;
    uint32_t home;
    uint32_t state;
    uint64_t changed_ms;
    struct slice error;
};
void queue_recipient_encode(const struct queue_recipient_row *row, struct buf *out);
bool queue_recipient_decode(struct slice value, struct queue_recipient_row *out);

#endif
