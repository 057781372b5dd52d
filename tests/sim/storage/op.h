/* SPDX-License-Identifier: Apache-2.0 */
/* One thing a user asks for, repeated under the same request id until it is answered. */
#ifndef TESTS_SIM_STORAGE_OP_H
#define TESTS_SIM_STORAGE_OP_H

#include <protobuf-c/protobuf-c.h>

#include "lib/mail/uidset.h"
#include "tests/sim/common/mail.h"
#include "tests/sim/storage/client.h"

enum { OP_TARGETS_MAX = 3, OP_CHUNKS_MAX = 6 };

enum op_kind {
    OP_CREATE,
    OP_DELIVER,
    OP_UPLOAD,
    OP_APPEND,
    OP_FLAGS,
    OP_EXPUNGE,
    OP_COPY,
    OP_SCRATCH,
    OP_QUEUE,
    OP_BURY
};

struct op {
    struct clients *c;
    enum op_kind kind;
    struct account *targets[OP_TARGETS_MAX]; /* the actor's account is the first */
    size_t target_count;
    uint32_t partition;
    uint8_t request_id[REQUEST_ID_SIZE];
    uint8_t named_id[REQUEST_ID_SIZE]; /* delivery or upload */
    bool renamed;                      /* repeated under another request id: answers need not be equal */
    struct buf request, body;
    uint64_t retry_at_ns;
    uint32_t attempts; /* in the node */
    bool done;
    enum err status; /* the first answer */
    struct buf response;

    uint64_t token;
    int box, to_box;
    int chunk, chunks; /* OP_UPLOAD: the next one, of how many */
    uint64_t token2;   /* another message in the same APPEND (0: none) */
    int step;          /* OP_SCRATCH, OP_QUEUE */
    uint64_t fence;    /* OP_QUEUE: of its newest lease */
    uint64_t scratch;  /* its mailbox's id */
    uint32_t flags;
    int mode; /* enum of StoreFlags */
    bool move;
    struct uidset uids;
    uint32_t uid_floor[OP_TARGETS_MAX];
    uint64_t modseq_floor;
};

/* Begin something random. */
void op_begin_create(struct clients *c, struct account *a);
void op_begin_deliver(struct clients *c, struct account *a);
void op_begin_actor(struct clients *c, struct account *a);
void op_begin_bury(struct clients *c, struct account *a);
/* Send it (again). */
void op_send(struct op *op);
/* The first answer, for the model. */
void op_evaluate(struct op *op);
/* Likewise, of a delivery that is a step of it. */
void op_evaluate_delivery(struct op *op);
/* The next chunk of an upload, or the append behind the last, or the next step with a scratch mailbox. True
 * if there was one (the op goes on). */
bool op_continue(struct op *op);
void op_free(struct op *op);

/* scratch.c: a mailbox is made, filled with copies, renamed and deleted again; op->step says which is next.
 */
uint32_t scratch_method(int step); /* 0: none is left */
void scratch_make(struct op *op);
void scratch_evaluate(struct op *op);

/* queue.c: a message is put into the queue, twice, leased, put off, leased again, reported by the old lease's
 * number, delivered twice under its id, reported done, and reported again. One at a time in a partition. */
uint32_t queue_method(int step); /* 0: none is left */
void queue_make(struct op *op);
void queue_evaluate(struct op *op);

/* Account or mailbox requests, packed into op->request. */
void op_pack(struct op *op, const ProtobufCMessage *message);

#endif
