/* SPDX-License-Identifier: Apache-2.0 */
/* The queue: mail that could not be brought to its recipients at once, kept in any partition until it is.
 * Front-ends lease what is due, deliver it and report; a lease ends by itself, and a report under an old one
 * has no effect. See proto/queue.proto for what the partitions do and store.h for what every call may return;
 * each call goes on trying for STORE_QUEUE_WAIT_MS, not longer. Times are those of the partition. */
#ifndef LIB_STORE_QUEUE_H
#define LIB_STORE_QUEUE_H

#include "lib/store/message.h"

enum {
    STORE_QUEUE_WAIT_MS = 5000,
    STORE_QUEUE_PUT_WAIT_MS = 1000, /* for one partition to take an item; then the next is asked */
    STORE_QUEUE_PUT_TRIES = 4,      /* partitions asked */
    STORE_QUEUE_SETTLE_MS = 4000,   /* for each that may have taken it, if none did for certain, to say so */
    STORE_QUEUE_LEASE_MAX = 32,     /* items of one lease */
    STORE_QUEUE_ERROR_MAX = 200,    /* octets of an error's text; longer ones are cut */
    STORE_QUEUE_PATH_MAX = 320,     /* octets of an envelope address */
    STORE_QUEUE_LIST_MAX = 100,     /* items of one page */
    STORE_QUEUE_TOTALS_MAX = 1024,  /* partitions of one question */
};

/* ---- putting */
struct queue_put {
    struct delivery_id delivery;
    struct slice sender; /* envelope, without brackets; empty: the null sender */
    bool smtputf8;
    const struct queue_put_recipient {
        struct slice path; /* as the sender gave it */
        struct account_ref account;
    } * recipients;
    size_t recipient_count;
    uint32_t delay_ms; /* until the first attempt */
};
/* Keep a finished upload's message for these recipients in a healthy partition: none of the recipients'
 * homes, rather at other nodes than theirs. The upload fits one chunk, or has or gets a spare copy
 * (upload_want_spare). Returns OK once it is durable there; ERR_UNAVAILABLE (nobody took it, or the bytes are
 * gone), ERR_LIMIT (the queues are full), ERR_NO_SPACE, ERR_IN_DOUBT (somebody may have taken it
 * and did not say so when asked again), ERR_TOO_BIG (an address). *partition_out is where it (or, of very
 * many recipients, the last part) is. Yields. */
MUST_CHECK enum err store_queue_put(struct store *store, struct upload *upload, const struct queue_put *put,
                                    uint32_t *partition_out);

/* ---- items */
struct queue_id {
    uint32_t partition;
    uint8_t bytes[16];
};

/* "17-0193f2a1..." for people; and back, false if it is none. */
enum { QUEUE_ID_TEXT_MAX = 10 + 1 + 32 + 1 };
void queue_id_format(const struct queue_id *id, char out[static QUEUE_ID_TEXT_MAX]);
bool queue_id_parse(struct slice text, struct queue_id *out);

enum queue_recipient_state { QUEUE_RECIPIENT_PENDING, QUEUE_RECIPIENT_DONE, QUEUE_RECIPIENT_FAILED };
struct queue_recipient {
    uint32_t number;
    struct slice path;
    struct account_ref account;
    enum queue_recipient_state state;
    uint64_t changed_ms; /* 0: never */
    struct slice error;  /* of the last attempt */
};
struct queue_item {
    struct queue_id id;
    struct delivery_id delivery;
    struct slice sender;
    bool smtputf8;
    uint64_t size;
    uint64_t created_ms;
    uint64_t next_ms;
    uint32_t attempts;
    bool held;
    uint64_t fence;
    uint64_t lease_until_ms; /* 0: nobody has it */
    struct slice holder;
    uint32_t pending, failed; /* recipients */
    struct queue_recipient *recipients;
    size_t recipient_count;
};

/* One page of a partition's items behind `after` (NULL: from the first), oldest first. */
MUST_CHECK enum err store_queue_list(struct store *store, uint32_t partition, const struct queue_id *after,
                                     uint32_t limit, struct arena *arena, struct queue_item **items_out,
                                     size_t *count_out, bool *more_out);
/* ERR_NOT_FOUND. */
MUST_CHECK enum err store_queue_show(struct store *store, const struct queue_id *id, struct arena *arena,
                                     struct queue_item *out);
/* Bytes of an item's message, appended to `out`; `length` at most STORE_BODY_READ_MAX; shorter at the end.
 * ERR_NOT_FOUND. */
MUST_CHECK enum err store_queue_body_read(struct store *store, const struct queue_id *id, uint64_t offset,
                                          uint32_t length, struct buf *out);

struct queue_status {
    uint64_t items, bytes;
    uint64_t held;
    uint64_t failed;    /* items that wait for a person */
    uint64_t next_ms;   /* when the first is due, or its lease ends; 0: none is */
    uint64_t oldest_ms; /* when the oldest item came; 0: none */
};
MUST_CHECK enum err store_queue_status(struct store *store, uint32_t partition, struct queue_status *out);
/* The same of `count` partitions (at most STORE_QUEUE_TOTALS_MAX) in one question to the node that leads the
 * first. answered_out[i]: out[i] is filled; else that node does not lead it now, and it is to be asked for
 * itself. As store_queue_status; ERR_UNAVAILABLE also of an older node. Yields. */
MUST_CHECK enum err store_queue_totals(struct store *store, const uint32_t *partitions, size_t count,
                                       bool *answered_out, struct queue_status *out);

/* ---- delivering */
struct queue_lease_options {
    uint32_t limit; /* at most STORE_QUEUE_LEASE_MAX */
    uint32_t lease_ms;
    struct slice holder;      /* who asks, for people */
    uint64_t early_before_ms; /* also items not yet due whose last attempt began before this; 0: none */
};
struct queue_lease {
    struct queue_item *items; /* with their pending recipients only */
    size_t count;
    uint64_t now_ms;  /* of the partition */
    uint64_t next_ms; /* when the next is due or a lease ends; 0: none */
};
MUST_CHECK enum err store_queue_lease(struct store *store, uint32_t partition,
                                      const struct queue_lease_options *options, struct arena *arena,
                                      struct queue_lease *out);

enum queue_outcome { QUEUE_OUTCOME_DELIVERED, QUEUE_OUTCOME_LATER, QUEUE_OUTCOME_FAILED };
struct queue_report {
    const struct queue_item *item; /* as leased; all of one call in one partition */
    enum queue_outcome *outcomes; /* one a recipient of it; NULL: nobody was tried, the lease is given back */
    const char **errors;          /* the same; NULL in it: none */
    uint32_t delay_ms;            /* until the next attempt */
    enum err status;              /* out: ERR_NOT_FOUND: deleted; ERR_CONFLICT: leased by another since */
};
/* What was not answered for has the error that is returned. */
MUST_CHECK enum err store_queue_report(struct store *store, struct queue_report *reports, size_t count,
                                       uint64_t *now_ms_out, uint64_t *next_ms_out);

/* ---- people */
enum queue_change { QUEUE_CHANGE_RETRY, QUEUE_CHANGE_HOLD, QUEUE_CHANGE_RELEASE, QUEUE_CHANGE_DELETE };
/* RETRY also takes up failed recipients again and ends a hold. ERR_NOT_FOUND. */
MUST_CHECK enum err store_queue_change(struct store *store, const struct queue_id *id,
                                       enum queue_change change);

#endif
