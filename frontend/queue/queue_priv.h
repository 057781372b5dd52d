/* SPDX-License-Identifier: Apache-2.0 */
/* Inside frontend/queue.
 *
 * Fibers of the runner: one starts a worker for each partition whose queue is due (runner.c); a worker
 * leases, attempts and reports until nothing is due (worker.c, attempt.c); one asks every node how the queues
 * are that it leads, so that nothing a dead front-end left is forgotten (scan.c); one asks partitions that
 * did not answer until they do, and then has everything tried at once (homes.c). */
#ifndef FRONTEND_QUEUE_QUEUE_PRIV_H
#define FRONTEND_QUEUE_QUEUE_PRIV_H

#include <stdatomic.h>

#include "frontend/queue/queue.h"
#include "lib/fiber/cond.h"

enum {
    QUEUE_WORKERS_MAX = 8,          /* partitions worked on at once */
    QUEUE_BATCH = 16,               /* items of one lease */
    QUEUE_TURN_MS = 10 * 1000,      /* of one partition, while others may wait for a worker */
    QUEUE_LEASE_MS = 30 * 1000,     /* another front-end takes over after this */
    QUEUE_LEASE_RESERVE_MS = 8000,  /* with less of a lease left nothing is begun */
    QUEUE_DELIVER_WAIT_MS = 3000,   /* for a recipient's partition */
    QUEUE_SILENT_MAX = 16,          /* nodes of one look that are remembered as not answering */
    QUEUE_SCAN_MS = 30 * 1000,      /* one look at all partitions ... */
    QUEUE_SCAN_FIRST_MS = 2000,     /* ... and the first one after the start */
    QUEUE_WATCH_MS = 3000,          /* between looks at partitions that hold items */
    QUEUE_PROBE_MS = 500,           /* between looks at partitions that are away */
    QUEUE_PROBE_MAX_MS = 60 * 1000, /* the same, of one that answers and takes no mail all the same */
    QUEUE_TROUBLE_MS = 2000,        /* until a queue that could not be read is looked at again */
    QUEUE_BACKOFF_FIRST_MS = 1000,  /* until the next attempt; doubled with each */
    QUEUE_BACKOFF_MAX_MS = 60 * 1000,
};

/* Where the look at all partitions stands with one. */
enum queue_look {
    QUEUE_LOOK_DUE,
    QUEUE_LOOK_ALONE, /* its node did not answer for it together with others */
    QUEUE_LOOK_DONE,
};

/* What the runner knows of one partition. */
struct queue_slot {
    /* as a queue */
    uint64_t next_ms;         /* when it is due next, in its own time, as it last said; 0: never */
    uint64_t wake_ms;         /* when to look at it; DEADLINE_NEVER */
    bool busy;                /* a worker is at it */
    bool woken;               /* somebody knows of something since the worker began */
    uint64_t early_before_ms; /* try also what is not due yet and was last tried before this; 0: nothing */
    struct queue_status status;
    enum queue_look look;
    /* as a home of recipients */
    atomic_bool away;
    unsigned failures; /* since it last took mail, or was well for long */
    uint64_t back_ms;  /* when it last came back */
    uint64_t probe_ms; /* when to look whether it is back */
};

struct queue {
    struct loop *loop;
    struct store *store;
    char *holder;
    _Atomic(struct queue_slot *) slots; /* NULL before the first map; then fixed */
    uint32_t slot_count;
    struct cond changed;       /* a slot is due earlier than it was, or a worker has ended */
    struct cond homes_changed; /* a home is away */
    struct cond ended;         /* stopping was set */
    unsigned fibers, workers;
    atomic_bool stopping;
};

/* Asking one partition after the other how its queue is. A node that does not answer for one of them is not
 * asked for others in this round; the next round begins behind the first that was not answered for, so that a
 * partition that never is hides no other. Zero-initialised. */
struct queue_round {
    uint32_t begin; /* this round's first partition */
    bool failed;
    uint32_t first_failed;
    uint32_t silent[QUEUE_SILENT_MAX]; /* nodes; of more than these the last ones */
    unsigned silent_count;
};
void queue_round_begin(const struct queue *q, struct queue_round *r);
/* The round's nth partition. */
uint32_t queue_round_at(const struct queue *q, const struct queue_round *r, uint32_t nth);
/* False: not asked, or not answered. Yields. */
bool queue_round_ask(struct queue *q, struct queue_round *r, uint32_t partition, struct queue_status *out);

/* Ask every node once for all that it leads; what no node answered for is left QUEUE_LOOK_ALONE. Yields. */
void queue_look_at_nodes(struct queue *q);

/* Fibers. */
void queue_scan_fiber(void *arg);
void queue_watch_fiber(void *arg);
void queue_homes_fiber(void *arg);
/* Start one and count it; false if that cannot be done now. */
bool queue_spawn(struct queue *q, const char *name, void (*fn)(void *arg), void *arg);
/* The last thing a counted fiber does. */
void queue_fiber_ends(struct queue *q);
/* Sleep, but not when the runner stops. Yields. */
void queue_sleep(struct queue *q, uint64_t ms);

/* Look at this queue now. */
void queue_wake(struct queue *q, uint32_t partition);
/* Its partition has said when it is due. */
void queue_schedule(struct queue *q, uint32_t partition, uint64_t now_ms, uint64_t next_ms);
/* Lease, attempt and report until nothing of a partition's queue is due, or its turn is over. Yields. */
void queue_work(struct queue *q, uint32_t partition);

/* One look at the partitions that are away: whether they serve again. Yields. */
void queue_homes_look(struct queue *q, struct queue_round *r);
/* A partition took mail, or did not. On the runner's loop. */
void queue_home_served(struct queue *q, uint32_t partition);
void queue_home_failed(struct queue *q, uint32_t partition);

/* One attempt at an item: fills outcomes, errors and delay of the report. ERR_NOT_FOUND: the item is gone.
 * Results live in the arena. Yields. */
MUST_CHECK enum err queue_attempt(struct queue *q, const struct queue_item *item, struct arena *arena,
                                  struct queue_report *out);

/* ---- figures.c */
void queue_figures_register(void);
void queue_count_put(enum err err);
void queue_count_outcome(enum queue_outcome outcome);
/* After a look at all partitions. */
void queue_figures_set(const struct queue *q);

#endif
