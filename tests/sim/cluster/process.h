/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of the simulated world whose fibers are the real ones: nodes' control threads and front-ends.
 * What they take from their surroundings is the simulator's: clocks, dice, threads and disks
 * (surroundings.c), loops (loop.c), calls and notices (rpc.c). */
#ifndef TESTS_SIM_CLUSTER_PROCESS_H
#define TESTS_SIM_CLUSTER_PROCESS_H

#include "lib/base/slice.h"
#include "tests/sim/cluster/cluster.h"

struct loop;
struct rpc_client;

struct process {
    struct node *node; /* NULL: a front-end, whose clock shows true time */
    int end;           /* of the network */
    uint64_t boot;
    struct loop *loop;
    struct rpc_client *client; /* as its code made it; NULL: none */
};

/* ---- surroundings.c */

void surroundings_init(struct cluster *c);
/* The code of that process runs from now on (NULL: nobody's); whose ran before. */
struct process *surroundings_enter(struct process *p);
struct process *surroundings_process(void);
struct cluster *surroundings_world(void);
/* So much of a disk should stay free, bytes. */
uint64_t surroundings_reserve(void);

/* ---- loop.c: lib/fiber/loop.h in place of libuv */

/* One turn of the loop of the process that runs: posts, timers, fibers. */
void process_loop_turn(struct loop *loop);
/* What runs until process_loop_leave runs on the loop, outside any fiber. */
void process_loop_enter(struct loop *loop);
void process_loop_leave(void);
/* When it has something to do, by its own clock in ms; UINT64_MAX: never. */
uint64_t process_loop_next_ms(const struct loop *loop);
bool process_loop_is_stopped(const struct loop *loop);

/* ---- rpc.c: lib/rpc/client.h in place of sockets */

/* All calls end without an answer, and so do later ones. */
void process_calls_end(struct rpc_client *client);
/* A node's notice to a front-end. */
void process_notify(struct node *from, int to, uint32_t method, uint32_t partition, struct slice packed);

#endif
