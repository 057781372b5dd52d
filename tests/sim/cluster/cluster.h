/* SPDX-License-Identifier: Apache-2.0 */
/* Whole clusters in one thread: the real core, driver, worker, state machine, peer codec and control thread
 * of each node, on a database in memory with a disk that can be slow, fail, fill up and lose what was not
 * synced; the real directors, two or three, over a simulated store (tests/sim/directors); virtual time and a
 * clock of its own for everybody; a network; operators; front-ends whose clients' histories are judged at the
 * end. A seed decides everything.
 *
 *   cluster.h    the world: time, dice, events; what each part offers the others
 *   network.c    who hears whom, when
 *   node.c       a storage node: boot, turns, disk; death.c: its end; links.c: its messages to other nodes
 *   control.c    a node's control thread and what is around it
 *   frontend.c   front-ends' store clients (lib/store)
 *   process.h    what both run on: fibers' loops (loop.c), calls and notices (rpc.c)
 *   surroundings.c  clocks, dice and threads for the code under test; the directors' world
 *   truth.c      which configurations there were; operators.c: commands to directors while mail flows
 *   call.c       one request of a front-end to a node
 *   client.c     what clients do and how they repeat it; op.c: the requests, answer.c: what answers say
 *   queue.c      what is put into queues, and their workers; queue_op.c: requests and answers,
 *                queue_check.c: is nothing lost, done twice or by two at once?
 *   watch.c      who waits for changes, and must hear of them; watch_breaks.c
 *   history.c    is there one order that explains every answer? (judged at the end)
 *   check.c      replicas that applied the same hold the same; is all well again?
 *   weather.c    what goes wrong
 *   breaks.c     what can be broken on purpose
 *   cluster_sim.c  runs and the command line */
#ifndef TESTS_SIM_CLUSTER_CLUSTER_H
#define TESTS_SIM_CLUSTER_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage-node/partition/log/breaks.h"
#include "storage-node/replica/replica.h"
#include "tests/sim/directors/directors.h"

enum {
    SLOTS_MAX = 7, /* machines for storage nodes */
    SLOTS_FIRST_MAX = 5,
    FRONTENDS = 3,
    PARTITIONS_MAX = 4,
    END_OF_STORE = SLOTS_MAX + FRONTENDS + DIRECTORS,
    ENDS,         /* of the network */
    IDS_MAX = 64, /* node ids given out: a new disk is a new node (R26) */
    COPIES = 3,
};

#define MS REPLICA_MS

struct cluster;

/* Something that happens at a time. `run` owns it; `drop` frees it if the world ends before. */
struct event {
    uint64_t at, order;
    void (*run)(struct cluster *c, struct event *e);
    void (*drop)(struct event *e);
};

struct node;
struct clients;
struct frontends;
struct truth;
struct operators;
struct checks;

struct breaks {
    struct storage_faults storage;
    struct replica_faults core;
    bool queue_fence, queue_lease, queue_put, queue_hold, queue_delete, delivery_id; /* queue_breaks.c */
    bool blind_watch, deaf_watch, fixed_watch;                                       /* watch_breaks.c */
    bool copies_only; /* nodes tell no epochs but those of their copies */
    bool lease_reads; /* reads are served by leases though clocks stand still */
};

struct cluster {
    uint64_t seed, rand, now; /* true time, ns */
    struct event **heap;
    size_t heap_count, heap_cap;
    uint64_t order;
    struct node *nodes[SLOTS_MAX];
    int slots, partitions;
    size_t placed_at; /* changes of the store when all partitions had been served; 0: not yet */
    struct truth *truth;
    struct operators *operators;
    struct clients *clients;
    struct frontends *frontends; /* NULL: clients have none of lib/store */
    struct checks *checks;
    struct breaks breaks;
    uint32_t log_keep, copy_chunk, append_count; /* 0: the partition's own */
    uint8_t min_members;
    /* weather.c */
    int weather;
    uint64_t loss, dup, slow, delay; /* per mille, per mille, per mille, ns */
    uint64_t operate;                /* per mille: a command of operators, every second or so */
    uint64_t ask_delay, sync_ns, slow_sync;
    uint64_t reader_stop; /* for at most as long a reading thread stands still, ns */
    uint64_t fault_at, fault_ns;
    uint64_t cut_until[ENDS][ENDS]; /* one way */
    bool reads_commit;              /* linearizable_reads = "barrier" */
    uint64_t late;                  /* per mille: the first chunk of a copy comes again much later */
    int struck;                     /* its sender, 1 + slot, dies next; 0: nobody */
    bool tear;                      /* the next fault meets the receiver of a copy */
    uint64_t calm_at;               /* when the faults ended */
    uint64_t shaken_at;             /* the same, or when something fell over since */
    bool calm, failed, trace, nested;
    char failure[300];
    struct {
        uint64_t crashes, cuts, installs, torn, epochs, acked, refused, repeated, reads, compared, moves,
            disks, restores, batches, learners, drains, deaths, removals, watches, notices, queued, leased;
    } totals;
};

/* ---- the world (world.c) */

uint64_t cluster_rand(struct cluster *c);
uint64_t cluster_below(struct cluster *c, uint64_t n); /* 0 if n is 0 */
bool cluster_chance(struct cluster *c, uint64_t per_mille);
void cluster_post(struct cluster *c, struct event *e, uint64_t at);
/* The first violation counts. */
void cluster_fail(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cluster_trace(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Go on until `end` or a failure. */
void cluster_run(struct cluster *c, uint64_t end);
void cluster_init(struct cluster *c, uint64_t seed, const struct breaks *breaks, int weather, bool trace);
void cluster_fini(struct cluster *c);

/* ---- network.c */

static inline int end_of_frontend(int f)
{
    return SLOTS_MAX + f;
}
static inline int end_of_director(int d)
{
    return SLOTS_MAX + FRONTENDS + d;
}
/* When something that leaves now arrives; false: it is lost. */
bool network_route(struct cluster *c, int from, int to, uint64_t *at_out);

/* ---- weather.c */

int weather_count(void);
void weather_init(struct cluster *c, int weather); /* < 0: the seed's, of the first few */
void weather_fault(struct cluster *c);
void weather_calm(struct cluster *c);
/* Then: a primary dies, or hands over. */
void weather_fail_over(struct cluster *c);
/* A copy of the state has begun to come in: in some weathers its receiver dies in the middle. */
void weather_copy_begins(struct cluster *c);
/* Its first chunk has come again, much later: in some weathers its sender (slot) dies then. */
void weather_copy_repeated(struct cluster *c, int from);

/* ---- truth.c */

/* The newest configuration there ever was; epoch 0: none yet. */
const struct conf *truth_conf(const struct cluster *c, int partition);
/* Where a front-end should look for the primary, by what directors say. -1: nowhere. */
int truth_guess(struct cluster *c, int partition);

/* ---- clients (client.c) */

void clients_init(struct cluster *c);
void clients_fini(struct cluster *c);
uint64_t clients_next(const struct cluster *c);
void clients_run(struct cluster *c);
/* Nobody waits for an answer. */
bool clients_idle(const struct cluster *c);
/* Nothing new is begun but the reads at the end. */
void clients_finish(struct cluster *c);
/* Everybody has read everything since clients_finish. */
bool clients_finished(const struct cluster *c);

/* ---- history.c */
void history_check(struct cluster *c);

/* ---- check.c */

void checks_init(struct cluster *c);
void checks_fini(struct cluster *c);
/* After each turn of a node. */
void checks_node(struct node *n);
/* The state that a copy is about to be sent of. */
void checks_copied(struct node *n, int partition, uint64_t index);
bool checks_converged(struct cluster *c, bool last);
void checks_tell(struct cluster *c); /* why not */

#endif
