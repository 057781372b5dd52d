/* SPDX-License-Identifier: Apache-2.0 */
/* A worker thread and the pool it belongs to. worker.c is what runs on the thread; worker_pool.c is what
 * others call. */
#ifndef STORAGE_NODE_PARTITION_WORKER_WORKER_PRIV_H
#define STORAGE_NODE_PARTITION_WORKER_WORKER_PRIV_H

#include <pthread.h>

#include "storage-node/partition/worker/worker.h"

enum item_kind {
    ITEM_REQUEST,
    ITEM_WRITTEN,
    ITEM_WORKED,
    ITEM_CONF,
    ITEM_MESSAGE,
    ITEM_BEATS,
    ITEM_DROP,
    ITEM_TELL,
    ITEM_WISH,
    ITEM_LEAVE,
    ITEM_STOP
};

struct conf_item {
    struct inbox_item item; /* first */
    uint32_t partition;
    uint8_t min_members;
    uint64_t ask_id;
    struct replica_conf conf;
};

/* The parts of a beat, or of an answer, that are this worker's. */
struct beats_item {
    struct inbox_item item; /* first */
    struct beats beats;
    struct beat_part parts[];
};

struct drop_item {
    struct inbox_item item; /* first */
    uint32_t partition;
};

struct wish_item {
    struct inbox_item item; /* first */
    struct worker_wish wish;
};

/* What one node is to be told. */
struct beat_list {
    struct replica_node node;
    struct beat_part *parts;
    size_t count, cap;
};

struct slot {
    struct partition *p;     /* NULL: not open */
    struct conf_item *later; /* the newest that came while the copy is being deleted; NULL: none */
    bool touched;
    uint64_t beat_since; /* the term whose first beats went out at once */
    uint8_t handed;      /* times that the seat was offered to another while this node leaves */
};

enum { WORKER_WARM_FAR = 6, WORKER_WARM_NEAR = 3 };

struct worker {
    struct worker_pool *pool;
    uint32_t index;
    struct inbox inbox;
    struct inbox_item stop_item, tell_item, leave_item;
    _Atomic bool telling;  /* tell_item is in the inbox, or on its way: its sender's until then */
    uint64_t tell_number;  /* goes with it */
    _Atomic uint64_t told; /* the highest that was done */
    struct slot *slots;    /* partition / workers */
    struct partition **touched;
    size_t touched_count;
    struct inbox_chain jobs; /* made in this turn */
    uint64_t jobs_out;       /* at the log writer */
    uint64_t works_out;      /* at the bulk thread */
    uint64_t next_scan_ns;   /* CLOCK_BOOTTIME: when some partition wants a tick */
    uint64_t last_scan_ns;
    bool stopping;
    uint64_t next_leave_ns; /* CLOCK_BOOTTIME: seats are handed over again; REPLICA_NEVER: they are not */
    struct apply_round *round;
    struct partition_host host;
    struct peer_transport transport; /* the pool's, with answers to beats gathered */
    struct beat_list granted;        /* by the beat that is being taken */
    struct beat_list *lists;         /* of the beat that is being made, one a node */
    size_t list_count, list_cap;
    uint64_t next_beat_ns; /* CLOCK_BOOTTIME; REPLICA_NEVER: no partition has other members */
    struct worker_stats stats;
    pthread_t thread;
};

/* What a worker asks of the world around it, beside what the options name: threads in the server, the
 * simulator in a test. */
struct worker_seam {
    void *arg;
    void (*submit)(void *arg,
                   struct inbox_chain *jobs); /* to the log writer; the chain is empty afterwards */
    /* To the bulk thread, which pushes it back as ITEM_WORKED; NULL: it is run at once. */
    void (*work)(void *arg, struct partition_work *work);
    /* The process must end (P9). In the server it does not return. */
    void (*fatal)(void *arg, const char *what, enum err err);
};

struct worker_pool {
    struct worker_pool_options options;
    struct worker_seam seam;
    struct copy_gates *gates; /* NULL in a simulator, as what follows */
    struct log_writer *log_writer;
    struct bulk *bulk;
    struct pace check_pace;
    _Atomic size_t message_bytes;
    _Atomic uint64_t tell_numbers; /* given out */
    struct worker workers[];
};

/* Make worker `i` of the pool, whose struct is zero, without a thread. */
void worker_init(struct worker_pool *pool, uint32_t i);
/* worker_init and its thread. Ends the process if the kernel gives none. */
void worker_start(struct worker_pool *pool, uint32_t i);
/* One turn: take `items` (of the inbox), beat, tick, flush, apply. */
void worker_turn(struct worker *w, struct inbox_item *items, struct partition_now now);
/* CLOCK_BOOTTIME by which the next turn is due if nothing comes in; REPLICA_NEVER: not at all. */
uint64_t worker_next_ns(const struct worker *w);
/* For the files of the worker: the partition's flush comes in this turn. */
void worker_touch(struct worker *w, struct slot *slot);
struct slot *worker_slot(struct worker *w, uint32_t partition); /* NULL: no such number */
/* A walk over slots comes to these soon (WORKER_WARM_FAR and WORKER_WARM_NEAR slots ahead; NULL: it ends):
 * have what it looks at fetched. */
void worker_warm(const struct slot *far, const struct slot *near);
/* The same for a walk over all slots that is at `i`. */
void worker_warm_around(const struct worker *w, size_t i);
/* An error after which the process must end. */
void worker_must(struct worker *w, enum err err, const char *what);
/* CLOCK_BOOTTIME: the next scan comes when the partition wants a tick. */
void worker_want_tick(struct worker *w, const struct partition *p);
/* How it reaches other nodes. */
static inline const struct peer_transport *worker_peers(const struct worker *w)
{
    return &w->pool->options.peers[w->index];
}

/* worker_beats.c */
void worker_beat(struct worker *w, struct partition_now now);
void worker_beat_early(struct worker *w, struct slot *slot);
void worker_take_beats(struct worker *w, struct beats_item *b, struct partition_now now);
void worker_send(void *arg, struct partition *p, const struct replica_msg *msg); /* a partition's transport */
uint8_t worker_speaks(void *arg, struct replica_node node);                      /* likewise */
/* worker_seats.c */
void worker_take_wish(struct worker *w, struct wish_item *item, struct partition_now now);
void worker_hand_over(struct worker *w, struct partition_now now);
/* Close its partitions; all jobs are back. */
void worker_close(struct worker *w);
/* After its thread has ended: answer what came too late, free what it owns. */
void worker_free(struct worker *w);

#endif
