/* SPDX-License-Identifier: Apache-2.0 */
/* The values behind the keys: each begins with a version byte and is decoded with bounds checked. Decoding
 * borrows: slices point into the value. A decode function returns false if the bytes are no such row of a
 * known version. */
#ifndef STORAGE_NODE_MAILBOX_ROWS_ROWS_H
#define STORAGE_NODE_MAILBOX_ROWS_ROWS_H

#include "lib/base/buf.h"
#include "lib/mail/flags.h"
#include "lib/mail/mailbox_name.h"
#include "proto/methods.h"
#include "storage-node/mailbox/rows/keys.h"

enum { ROW_VERSION = 1 };

/* A lone number: CLOCK, PARTITION, NAME, VANISHED. */
void number_encode(uint64_t value, struct buf *out);
bool number_decode(struct slice value, uint64_t *out);

/* ADDRESS */
enum address_type { ADDRESS_ACCOUNT = 1, ADDRESS_ALIAS = 2 };
struct address_row {
    enum address_type type;
    uint64_t account; /* ADDRESS_ACCOUNT */
    uint32_t home;
    uint32_t target_count; /* ADDRESS_ALIAS */
    struct slice targets;  /* varbytes each */
};
void address_encode(const struct address_row *row, struct buf *out);
bool address_decode(struct slice value, struct address_row *out);

/* ACCOUNT */
struct credential {
    uint32_t scheme;
    struct slice salt;
    uint32_t iterations;
    struct slice stored_key, server_key;
    struct slice hash;
    uint64_t version;
};
struct account_row {
    struct slice address;
    struct credential credential;
    bool suspended;
    uint64_t created_ms;
};
void account_encode(const struct account_row *row, struct buf *out);
bool account_decode(struct slice value, struct account_row *out);

/* COUNTERS: exists as long as the account is in sight. */
struct counters_row {
    uint64_t quota_bytes; /* 0: unlimited */
    uint64_t used_bytes;
    uint64_t message_count;
    uint64_t modseq;       /* newest given */
    uint64_t mailbox_next; /* id of the next mailbox */
    uint64_t inbox;        /* its id */
    uint32_t mailbox_count;
    uint32_t uidvalidity; /* newest given */
};
void counters_encode(const struct counters_row *row, struct buf *out);
bool counters_decode(struct slice value, struct counters_row *out);

/* MAILBOX. While a large copy is being made (stage.c) its rows are there but out of sight: `staged` in
 * the target; in the source of a move the segments' `leaving` bits, which count from `GONE` on. */
enum leaving { LEAVING_NONE = 0, LEAVING_MARKED = 1, LEAVING_GONE = 2 };
struct mailbox_row {
    uint64_t id; /* not stored: from the key */
    uint64_t parent;
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint64_t modseq;
    uint32_t messages;
    uint32_t unseen;
    uint32_t deleted;
    uint64_t size;
    uint32_t special_use;
    bool noselect;
    uint32_t recent_uid;
    uint64_t vanished_floor;
    uint32_t vanished_count; /* VANISHED rows */
    uint64_t created_ms;
    uint32_t staged_first, staged_last; /* UIDs; 0: none */
    enum leaving leaving;
    bool leaving_changed; /* one of the marked messages has changed or is gone: they may not leave */
    uint16_t name_len;
    uint8_t name[MAILBOX_LEVEL_SIZE_MAX];
};
void mailbox_encode(const struct mailbox_row *row, struct buf *out);
bool mailbox_decode(struct slice value, struct mailbox_row *out);
static inline struct slice mailbox_leaf(const struct mailbox_row *row)
{
    return slice_of(row->name, row->name_len);
}

/* Every message of which there are rows is in sight. */
static inline bool mailbox_is_plain(const struct mailbox_row *row)
{
    return row->staged_first == 0 && row->leaving != LEAVING_GONE;
}

/* KEYWORDS */
struct keywords_row {
    uint64_t modseq; /* when the table last grew */
    uint8_t count;
    struct slice names[KEYWORDS_MAX];
};
void keywords_encode(const struct keywords_row *row, struct buf *out);
bool keywords_decode(struct slice value, struct keywords_row *out);

/* MESSAGE */
struct message_row {
    uint64_t modseq;
    uint32_t flags;
    uint64_t keywords;
    uint64_t internaldate_ms;
    int32_t internaldate_zone;
    uint64_t size;
    uint64_t body;
};
void message_encode(const struct message_row *row, struct buf *out);
bool message_decode(struct slice value, struct message_row *out);

/* SUMMARY */
void summary_row_encode(struct slice summary, struct buf *out);
bool summary_row_decode(struct slice value, struct slice *out);

/* SEGMENT: bit i stands for UID number * SEGMENT_UIDS + i. */
enum { SEGMENT_BYTES = SEGMENT_UIDS / 8 };
struct segment_row {
    uint8_t exists[SEGMENT_BYTES];
    uint8_t unseen[SEGMENT_BYTES];
    uint8_t leaving[SEGMENT_BYTES]; /* see mailbox_row */
};
void segment_encode(const struct segment_row *row, struct buf *out);
bool segment_decode(struct slice value, struct segment_row *out);

/* BODY, and the chunks of UPLOAD: (index, size) pairs, encoded. */
struct body_row {
    uint32_t refs;
    uint64_t size;
    uint32_t chunk_count;
    struct slice chunks; /* take them off with chunk_next */
};
void body_encode(const struct body_row *row, struct buf *out);
bool body_decode(struct slice value, struct body_row *out);
struct chunk {
    uint64_t index; /* the entry it came with: its key in KV_BODY */
    uint32_t size;
};
void chunk_encode(const struct chunk *chunk, struct buf *out);
/* Take the next chunk off; false at the end or on damage (then chunks->bad). */
bool chunk_next(struct cursor *chunks, struct chunk *out);

/* UPLOAD */
struct upload_row {
    uint64_t size;
    uint64_t began_ms;
    bool complete;
    uint8_t last_request[REQUEST_ID_SIZE]; /* a repeat of the newest chunk is known by it */
    uint32_t chunk_count;
    struct slice chunks;
    struct slice summary;
};
void upload_encode(const struct upload_row *row, struct buf *out);
bool upload_decode(struct slice value, struct upload_row *out);

/* REQUEST */
struct request_row {
    uint32_t status; /* enum err */
    struct slice response;
};
void request_encode(const struct request_row *row, struct buf *out);
bool request_decode(struct slice value, struct request_row *out);

/* STAGE */
enum stage_state {
    STAGE_OPEN = 1,      /* being filled */
    STAGE_ABANDONED = 2, /* its rows are to be deleted */
    STAGE_MOVED = 3,     /* committed; those of the source are to be deleted */
};
struct stage_row {
    uint8_t id[REQUEST_ID_SIZE];
    enum stage_state state;
    bool move;
    uint64_t from, to;
    uint32_t first_uid, next_uid, last_uid; /* in the target: reserved are first_uid to last_uid */
    uint32_t source_uid;                    /* the newest staged */
    uint64_t first_modseq, modseq; /* of the first step's rows and the newest's: the account jumps there */
    uint32_t messages, unseen, deleted;
    uint64_t size;
    uint64_t due_ms;        /* the time in its STAGE_DUE key */
    uint32_t swept_uid;     /* of the target: done below it */
    uint32_t swept_segment; /* of the source: done below it */
};
void stage_encode(const struct stage_row *row, struct buf *out);
bool stage_decode(struct slice value, struct stage_row *out);

/* RECOVERED: the entries (ENTRY_RECOVER) from which on indexes were given a second time. Rising. */
struct recovery {
    uint64_t index;
    uint64_t time_ms;
};
struct recovered_row {
    struct slice recoveries;
};
void recovery_encode(const struct recovery *recovery, struct buf *out);
/* Take the next one off; false at the end or on damage (then recoveries->bad). */
bool recovery_next(struct cursor *recoveries, struct recovery *out);
void recovered_encode(const struct recovered_row *row, struct buf *out);
bool recovered_decode(struct slice value, struct recovered_row *out);
/* A body's number for ever: no other body of the partition has it, though its id be given again. */
uint64_t recovered_body_number(const struct recovered_row *row, uint64_t body);

/* DELIVERY */
struct delivery_row {
    uint32_t uid;
    uint32_t uidvalidity;
};
void delivery_encode(const struct delivery_row *row, struct buf *out);
bool delivery_decode(struct slice value, struct delivery_row *out);

#endif
