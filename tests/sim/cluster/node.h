/* SPDX-License-Identifier: Apache-2.0 */
/* A storage node of the simulated cluster. */
#ifndef TESTS_SIM_CLUSTER_NODE_H
#define TESTS_SIM_CLUSTER_NODE_H

#include "storage-node/partition/log/rows.h"
#include "storage-node/partition/partition_priv.h"
#include "storage-node/partition/worker/worker_priv.h"
#include "storage-node/peer/codec.h"
#include "tests/sim/cluster/process.h"

enum { BEATS_REMEMBERED = 256, WORKERS_SIM_MAX = 2, BUNDLES_MAX = 8 };

struct sent_beat {
    uint64_t number, at_ns;
    struct replica_node to;
};

/* Of one worker (links.c). */
struct outbox {
    struct node *node;
    struct peer_bundle bundles[BUNDLES_MAX];
    bool begins[BUNDLES_MAX]; /* with the first chunk of a copy */
    size_t count;
    struct peer_entries entries;
};

struct node {
    struct cluster *c;
    int slot;
    struct replica_node self;
    bool up;
    bool dead;          /* and stays down */
    uint64_t retire_at; /* it was removed: it goes then, and its machine is used anew; 0: no */
    bool dying;         /* nothing leaves any more */
    bool excused;       /* its disk was made to fail: it may end */
    bool reading;       /* a reader is inside reader_serve: not killed now */
    uint64_t boot;      /* of this process */
    uint64_t start_at, paused_until, turn_at, full_until;
    uint64_t clock_offset, clock_ppm; /* its clock = offset + true time * ppm / 10^6 */
    int64_t real_skew_ms;
    struct kv *kv;
    struct kv_batch *batch;
    struct directory *directory;
    struct worker_pool *pool;
    uint32_t workers;
    struct inbox_chain queue;   /* at the log writer */
    struct inbox_item *writing; /* its batch under way */
    uint64_t sync_at;
    struct inbox_chain works; /* at the bulk thread */
    uint64_t work_at;
    /* links.c */
    struct outbox outboxes[WORKERS_SIM_MAX];
    struct peer_transport transports[WORKERS_SIM_MAX];
    uint64_t beat_number;
    struct sent_beat sent[BEATS_REMEMBERED];
    uint8_t program;                  /* highest state-machine version of what will be started next */
    uint8_t speaks;                   /* of what runs */
    uint8_t heard[IDS_MAX];           /* what others speak, as this process was told */
    uint64_t checked[PARTITIONS_MAX]; /* check.c: index seen last */
    bool half[PARTITIONS_MAX];        /* a copy is being received */
    uint64_t chunk_at;                /* when a chunk came that was not the last */
    /* control.c */
    char name[16], zone[8];
    struct store_identity identity;
    struct map_holder *map;
    struct board *board;
    struct faults *faults;
    struct hello *hello;
    struct control *control;
    struct process process;
};

struct node *node_new(struct cluster *c, int slot);
void node_free(struct node **n);
/* The director has said who it is: its workers begin. */
void node_start_workers(struct node *n);
/* Nothing more fits on its disk. */
bool node_is_full(const struct node *n);
/* The true time at which its clock shows `boot_ns`, or a little later. */
uint64_t node_true_time(const struct node *n, uint64_t boot_ns);
/* When it wants to run. */
uint64_t node_next(const struct node *n);
void node_run(struct node *n);
/* Something came in: a turn is due. */
void node_poke(struct node *n);
/* The process dies; of what was written and not synced some or nothing is left. No effect if it is down. */
void node_kill(struct node *n, uint64_t down_ns);
/* Its disk is gone and an empty one in its place (R26); it is down. */
void node_replace_disk(struct node *n);
struct partition_now node_now(const struct node *n);
/* NULL: not open. */
struct partition *node_partition(const struct node *n, int partition);
struct partition_public *node_public(const struct node *n, int partition);
/* The node whose clock reader_serve asks. */
uint64_t node_reader_clock(void);
void node_reader_begin(struct node *n);
void node_reader_end(struct node *n);
struct node *node_find(struct cluster *c, uint32_t id); /* NULL: no machine has it (any more) */

/* For death.c: rows that go past the log, and on disk what must be there before the logged jobs of the chain.
 */
MUST_CHECK enum err node_write_unlogged(struct node *n, struct inbox_item *jobs);
/* For death.c: the oldest piece of work at the bulk thread, which has one. */
struct partition_work *node_pop_work(struct node *n);

/* links.c */
void links_init(struct node *n);
/* The process is dying: what it had not sent yet is gone. */
void links_drop(struct node *n);
void links_fini(struct node *n);

#endif
