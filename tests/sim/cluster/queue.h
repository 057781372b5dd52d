/* SPDX-License-Identifier: Apache-2.0 */
/* The queue, as front-ends use it: what no home takes in time, or what a client chose to put there, is an
 * item in the queue of any partition; workers lease what is due, try to deliver it under the id that it came
 * with, and report. Operators hold items, release and delete them. Everybody may die, be late, or say it
 * again. */
#ifndef TESTS_SIM_CLUSTER_QUEUE_H
#define TESTS_SIM_CLUSTER_QUEUE_H

#include "tests/sim/cluster/client.h"

/* A message handed to the queue. The same item may come to several partitions. */
struct item {
    struct item *next;   /* of all, newest first */
    struct op *put;      /* NULL until it is sent */
    struct op *delivery; /* what it is to bring about; its answer may come from whoever delivers */
    uint8_t id[REQUEST_ID_SIZE];
    bool renamed; /* put under several request ids: it may begin anew when it was done */
    bool may[PARTITIONS_MAX];
    uint64_t certain_at[PARTITIONS_MAX]; /* acknowledged; 0: never */
    uint32_t failed[PARTITIONS_MAX];     /* recipients of whom that was reported, bit by bit */
    bool held[PARTITIONS_MAX];           /* an operator asked for that, and for no end of it */
    bool deleted;                        /* one asked for that somewhere */
    struct view {
        const struct op *op;
        const struct queued *queued; /* NULL: a change */
    } * views;                       /* history.c: whoever named it */
    size_t view_count, view_cap;
};

/* An item as an answer shows it, or a report names it. */
struct queued {
    struct item *item;
    uint64_t fence, until_ms;
    uint32_t pending, done, failed; /* recipients, bit by bit */
    bool held;
    uint8_t outcomes[TARGETS_MAX]; /* of a report, of those pending: a Tern__QueueOutcome */
    enum err status;               /* of a report */
};

/* queue.c: what a session does with it. `delivery` is not answered: put it into the queue instead. */
struct op *mailq_put(struct cluster *c, struct session *s, struct op *delivery);
/* The next thing a worker does; NULL: nothing is left. */
struct op *mailq_next(struct cluster *c, struct session *s);
/* An attempt at the put leaves for op->partition. */
void mailq_put_sent(struct op *op);
void mailq_put_answered(struct op *op, int partition);
/* Nothing happened, and it is given up. */
void mailq_put_refused(struct op *op, struct session *s);
/* A worker's delivery was answered. */
void mailq_delivered(struct op *op);
bool mailq_is_empty(const struct cluster *c);
void mailq_fini(struct clients *clients);

/* What a person does to an item. */
static inline bool mailq_is_change(const struct op *op)
{
    return op->kind >= OP_QUEUE_RETRY && op->kind <= OP_QUEUE_DELETE;
}

/* queue_op.c: requests and answers, as op.c and answer.c have them. */
void mailq_op_make(struct op *op);
/* Does that answer lease anything? */
bool mailq_leases(struct slice response);
bool mailq_op_take(struct op *op, struct slice response, struct slice body);

/* queue_check.c */
void mailq_check(struct cluster *c);

/* queue_breaks.c: what is broken of the queue in this run. */
void mailq_breaks_begin(const struct breaks *breaks);

#endif
