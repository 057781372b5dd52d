/* SPDX-License-Identifier: Apache-2.0 */
/* Directors, their store (tests/sim/directors) and the nodes that they place copies on, in one thread of
 * virtual time. A node is reduced to what it tells and asks: it says hello, follows the map, and its replicas
 * promote, evict, add and hand over by R4, R9, R19-R22 and R26, each with a log of numbers that all members
 * must have before it counts as acknowledged (copies.c).
 *
 *   weather.c: faults and operators -> directors <-> store
 *                                          ^ requests and answers, lost, late and repeated
 *                                      node.c: hello, map, questions -> copies.c: replicas
 *   check.c looks at every change that the store takes, and at the end. */
#ifndef TESTS_SIM_DIRECTOR_DSIM_H
#define TESTS_SIM_DIRECTOR_DSIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "director/map.h"
#include "tests/sim/directors/directors.h"

enum {
    NODES_MAX = 12,
    PARTITIONS_MAX = 24,
    ENDS = END_NODE + NODES_MAX,
    ID_MAX = 64,       /* node ids, which are never given again */
    LEASE_MS = 1000,   /* as REPLICA_LEASE_NS */
    GRANT_MS = 1500,   /* as REPLICA_GRANT_NS */
    REPAIR_MS = 15000, /* the directors' repair_after */
    RETURN_MS = 5000,  /* as drive.c: copies of nodes that are all here come back by themselves until then */
    STEP_MS = 100,     /* of a node */
    HELLO_MS = 1000,
};

/* What is broken on purpose (breaks.c). */
struct dbreaks {
    bool cas;     /* the store takes what was judged by an old row */
    bool moves;   /* any number of copies is made at once */
    bool zones;   /* copies are placed as if all nodes were in one zone */
    bool epoch;   /* a request of an old epoch is carried out */
    bool promote; /* whoever asks becomes primary */
    bool drain;   /* a node that drains gives up copies before others have them */
    bool lease;   /* a director that led once believes so for ever */
    bool repair;  /* a missing copy is made anew at once */
    bool even;    /* never is it quiet enough to even things out */
    bool learner; /* learners that nobody waits for stay */
    bool full;    /* no director knows whose disk is full */
    bool mark;    /* the store does not look whether a node that is taken in is about to be removed */
};

struct numbers {
    uint32_t *list;
    size_t count, cap;
};

/* One replica on one node. */
struct copy {
    /* its disk */
    bool record;
    struct conf conf; /* the newest that it knows; epoch 0: none */
    struct numbers log;
    /* its process */
    uint64_t floor, heard_at, promised_at;
    bool started, active, behind; /* behind: somebody knows a higher epoch */
    uint64_t started_at, handing_at, asked_at, asked_epoch;
    uint32_t heir, joiner, wished_out; /* wished_out: a member to evict, in this epoch */
    uint64_t answered_at[ID_MAX];
    bool has_all[ID_MAX];
};

struct node {
    bool used, up, dead, refused, draining, removing, leaving; /* draining, removing: what operators want */
    bool gone;                                                 /* it was removed */
    bool doubted;                                              /* somebody in haste calls it lost */
    uint32_t id;                                               /* 0: not given yet */
    uint8_t store_id[MAP_ID_SIZE], cluster_id[MAP_ID_SIZE];
    bool joined;
    char zone[8], endpoint[32];
    bool full;
    uint64_t boot, paused_until, up_at, down_since;
    uint64_t map_version, told_version, map_asked_at, map_answered_at, hello_at[DIRECTORS], telling_until;
    uint64_t hearing[DIRECTORS]; /* what each asked for all copies with, and is told that it was done for */
    int director;
    struct conf map_confs[PARTITIONS_MAX];
    struct copy copies[PARTITIONS_MAX];
};

struct totals {
    uint64_t acked, epochs, learners, moves_most, crashes, drains, removals, deaths, promotions, wishes;
};

struct sim {
    uint64_t seed, rand, now, orders;
    struct todo **heap;
    size_t heap_count, heap_cap;
    struct dbreaks breaks;
    bool trace, haste, calm, failed;
    bool small_disk; /* one node's disk is too small for its share */
    char failure[400];
    uint32_t partitions, copies, moves_max, moves_per_node, zones;
    struct node nodes[NODES_MAX];
    struct checks *checks;
    uint64_t cut_until[ENDS][ENDS];
    uint64_t delay_ms;   /* most, of a message */
    unsigned loss, late; /* per mille */
    uint32_t numbers;    /* given out; none is used twice */
    struct totals totals;
};

extern struct sim *sim; /* the one there is: directors call clocks without naming it */

/* ---- world.c */

/* `haste`: see weather.c. */
void sim_init(struct sim *s, uint64_t seed, const struct dbreaks *breaks, bool haste, bool trace);
void sim_fini(struct sim *s);
void sim_run(uint64_t until);
void numbers_add(struct numbers *n, uint32_t number);
void numbers_fini(struct numbers *n);

/* ---- node.c */

/* In a free slot, with an empty disk; NULL: there is none. */
struct node *node_start(unsigned zone);
void node_crash(struct node *n, uint64_t ms);
void node_fini(struct node *n);
bool node_runs(const struct node *n);
/* By what it last told. */
bool node_is_full(const struct node *n);
int node_slot(const struct node *n);
/* NULL: nobody here. */
struct node *node_of(uint32_t id);
void node_ask(struct node *n, uint32_t partition, Tern__ConfChange change, uint32_t subject, bool wished);

/* ---- copies.c */

void copies_step(struct node *n);
/* The process has ended. */
void copies_stop(struct node *n);
void copy_learn(struct node *n, const struct conf *conf);
/* R26: nobody needs it any more. */
void copy_drop(struct node *n, uint32_t partition);
void copy_wish(struct node *n, const Tern__Wish *wish);

/* ---- check.c */

void checks_init(void);
void checks_fini(void);
void check_learned(const struct node *n, const struct conf *conf);
void check_active(const struct node *n, uint32_t partition);
/* The first `count` numbers of the node's log are with all members. */
void check_acked(const struct node *n, uint32_t partition, size_t count);
bool check_has_acked(const struct node *n, uint32_t partition);
/* Everything is as it should be in the end; `why` (may be NULL) is told if not. */
bool check_settled(struct buf *why);

/* ---- weather.c */

void weather_init(void);
void weather_calm(void);
/* What operators began goes on. */
void weather_operate(void);

/* ---- breaks.c */

bool dbreaks_find(const char *name, struct dbreaks *out);
void dbreaks_list(void);

#endif
