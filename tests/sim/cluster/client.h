/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do: sessions on several front-ends, each with one operation at a time, repeated under the same
 * request id until it is answered. Every operation is kept: they are the history that is judged. */
#ifndef TESTS_SIM_CLUSTER_CLIENT_H
#define TESTS_SIM_CLUSTER_CLIENT_H

#include <protobuf-c/protobuf-c.h>

#include "lib/mail/uidset.h"
#include "proto/methods.h"
#include "tests/sim/cluster/node.h"
#include "tests/sim/common/mail.h"

enum { ACCOUNTS_MAX = 5, SESSIONS_EACH = 3, BOXES = 2, TARGETS_MAX = 2, CHUNKS_MAX = 4, HAND_MAX = 6 };
enum { QUEUE_WORKERS = 2 };

enum op_kind {
    OP_CREATE,
    OP_LIST,
    OP_DELIVER,
    OP_UPLOAD,
    OP_APPEND,
    OP_STORE,
    OP_EXPUNGE,
    OP_COPY,
    OP_FETCH,
    OP_OPEN,
    /* of the queue (queue.h) */
    OP_QUEUE_PUT,
    OP_QUEUE_LEASE,
    OP_QUEUE_REPORT,
    OP_QUEUE_RETRY,
    OP_QUEUE_HOLD,
    OP_QUEUE_RELEASE,
    OP_QUEUE_DELETE,
    OP_QUEUE_LIST,
    OP_QUEUE_STATUS,
    OP_QUEUE_BODY,
};

/* A message as a read showed it. */
struct seen {
    uint32_t uid, flags;
    uint64_t modseq, token;
};

struct account;
struct item;
struct queued;

struct op {
    struct cluster *c;
    struct op *next; /* of all, newest first */
    enum op_kind kind;
    int frontend;
    struct account *targets[TARGETS_MAX]; /* the account is the first */
    int target_count;
    int partition; /* that is asked */
    int box, to_box;
    uint8_t request_id[REQUEST_ID_SIZE];
    uint8_t named_id[REQUEST_ID_SIZE]; /* delivery or upload */
    struct buf request, body;
    uint64_t token;
    uint32_t flags;
    int mode, chunk, chunks;
    bool move, only_deleted, bodies;
    struct uidset uids;
    /* sending */
    uint32_t open; /* attempts without an answer */
    bool doubt;    /* one was answered IN_DOUBT */
    bool renamed;  /* repeated under another request id: answers need not be equal */
    uint64_t retry_at;
    /* what came of it */
    uint64_t begun, ended;
    bool done, refused; /* refused: nothing happened, and it was given up */
    enum err status;
    struct buf response;
    uint64_t modseq;
    uint32_t uidnext;
    uint32_t target_uids[TARGETS_MAX];
    struct uidset from, to; /* changed, vanished or copied; given */
    struct seen *seen;
    size_t seen_count;
    bool uids_only; /* OP_OPEN */
    /* the queue */
    struct item *item; /* what is put, retried, looked at; of a worker's delivery, what it is of */
    bool left;         /* nobody waits for it: it fell to the queue, or is a worker's that lost patience */
    bool whole;        /* OP_QUEUE_LIST */
    struct queued *queued;
    size_t queued_count;
    uint64_t time_ms; /* OP_QUEUE_LEASE: the partition's */
    uint64_t items;   /* OP_QUEUE_STATUS */
    uint64_t held;    /* of them */
};

struct box {
    uint64_t id;
    uint32_t uidvalidity;
    struct uidset known; /* UIDs that somebody was told of */
    bool read_at_end;
};

struct account {
    uint64_t id; /* 0: not made yet */
    int partition;
    char address[48];
    bool ready;
    struct box boxes[BOXES];
};

struct session {
    struct account *account;
    int frontend;
    struct op *op;
    uint64_t next_at;
    bool first; /* makes the account */
    /* a worker of the queue */
    bool worker;
    struct queued *hand; /* leased, HAND_MAX at most */
    int hand_count, hand_at, hand_partition;
    bool looked, reported;
};

struct clients {
    struct account accounts[ACCOUNTS_MAX];
    int account_count;
    struct session sessions[ACCOUNTS_MAX * SESSIONS_EACH + QUEUE_WORKERS];
    int session_count;
    struct op *ops;
    int guess[FRONTENDS][PARTITIONS_MAX];
    uint64_t think_ns, tokens;
    bool finishing;
    bool queueing; /* there are workers */
    struct item *items;
    bool emptied[PARTITIONS_MAX]; /* its queue, since nobody puts any more */
    struct watches *watches;      /* NULL: nobody waits for changes */
    uint64_t finish_at;
};

/* client.c: something new of the session; not begun. */
struct op *op_new(struct cluster *c, struct session *s, enum op_kind kind);
/* client.c: else that front-end goes by the map that it has. */
bool clients_hear_directors(const struct cluster *c, int frontend);

/* op.c: a request of that kind in op->request and op->body; false: there is nothing to do it with. */
bool op_make(struct op *op);
void op_random_id(struct op *op, uint8_t *id);
uint32_t op_method(const struct op *op);
bool op_adds_mail(const struct op *op);

/* answer.c: take an OK answer apart into the op. */
void op_take(struct op *op, struct slice response, struct slice body);

#endif
