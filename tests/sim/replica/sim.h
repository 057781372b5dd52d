/* SPDX-License-Identifier: Apache-2.0 */
/* One run of the simulator: the cluster, the dice, who does what next, and the weather. */
#ifndef TESTS_SIM_REPLICA_SIM_H
#define TESTS_SIM_REPLICA_SIM_H

#include "tests/sim/replica/vcluster.h"

#define MS         REPLICA_MS
#define NEVER      REPLICA_NEVER
#define READS_MAX  8
#define WRITES_MAX 400
#define HEAL_NS    (60000 * MS)

struct read {
    int node, stage;
    uint64_t boot, at, acked, applied;
    uint64_t wipes;
};

struct breaks {
    struct replica_faults core;
    bool r14;    /* the reader takes the state first and checks the lease later */
    int weather; /* if > 0: the weather in which such a break does most harm, counted from 1 */
};

struct sim {
    struct vc vc;
    uint64_t rand;
    struct breaks breaks;
    uint64_t loss, dup, dup_chunk, slow; /* per mille */
    uint64_t delay_ns, ask_delay_ns;
    uint64_t slow_sync, apply_lag_ns, quiet_ns;
    uint64_t fault_ns; /* mean time between faults */
    bool healing;
    size_t weather;
    uint64_t end_chaos, end;
    uint64_t tick_at[VC_NODES_MAX], beat_at[VC_NODES_MAX], sync_at[VC_NODES_MAX], apply_at[VC_NODES_MAX];
    uint64_t start_at[VC_NODES_MAX], paused_until[VC_NODES_MAX];
    size_t sync_count[VC_NODES_MAX];
    uint64_t cut_until[VC_NODES_MAX + 1][VC_NODES_MAX + 1]; /* one direction */
    uint64_t client_at, fault_at, director_at, read_at, director_down_until;
    struct read reads[READS_MAX];
    uint64_t writes, healed_answers, healed_reads, lost_disks;
};

/* The dice: below n (0 if n is 0), true n times in a thousand, 0 .. 2 * mean. */
uint64_t sim_below(struct sim *s, uint64_t n);
bool sim_chance(struct sim *s, uint64_t per_mille);
uint64_t sim_around(struct sim *s, uint64_t mean);

/* sim_actors.c: nodes, clients, readers. */
bool sim_route(struct vc *vc, struct vmsg *m);
void sim_plan_node(struct sim *s, int n);   /* when its next own events are due */
void sim_node_events(struct sim *s, int n); /* those that are due now */
void sim_client(struct sim *s);
void sim_new_read(struct sim *s);
void sim_read_step(struct sim *s, struct read *rd);

/* sim_faults.c */
size_t sim_weather_count(void);
void sim_fault(struct sim *s);
void sim_director(struct sim *s);
void sim_heal(struct sim *s); /* no more faults from here on */

#endif
