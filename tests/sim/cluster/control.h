/* SPDX-License-Identifier: Apache-2.0 */
/* A node's control thread (storage-node/control*.c, hello.c, with real fibers) in the simulated cluster: its
 * loop, its calls to directors, and what storage-node/node.c does around it. */
#ifndef TESTS_SIM_CLUSTER_CONTROL_H
#define TESTS_SIM_CLUSTER_CONTROL_H

#include "storage-node/control.h"
#include "tests/sim/cluster/node.h"
#include "tests/sim/directors/directors.h"

/* ---- surroundings.c */

void surroundings_init(struct cluster *c);
/* The code of that node runs from now on (NULL: nobody's); whose ran before. */
struct node *surroundings_enter(struct node *n);
struct node *surroundings_node(void);
struct cluster *surroundings_world(void);
/* So much of a disk should stay free, bytes. */
uint64_t surroundings_reserve(void);

/* ---- loop.c: lib/fiber/loop.h in place of libuv */

/* One turn of the loop of the node that runs: posts, timers, fibers. */
void control_loop_turn(struct loop *loop);
/* What runs until control_loop_leave runs on the loop, outside any fiber. */
void control_loop_enter(struct loop *loop);
void control_loop_leave(void);
/* When it has something to do, by its own clock in ms; UINT64_MAX: never. */
uint64_t control_loop_next_ms(const struct loop *loop);
bool control_loop_is_stopped(const struct loop *loop);

/* ---- rpc.c: lib/rpc/client.h in place of sockets */

/* All calls end without an answer, and so do later ones. */
void control_calls_end(struct rpc_client *client);

/* ---- control.c */

/* The process starts, with its disk open. */
void control_boot(struct node *n);
/* When the control thread wants to run, true time. */
uint64_t control_next(const struct node *n);
void control_run(struct node *n);
/* Its thread ends: control_stop calls this by pthread_join. */
void control_drain(struct node *n);
/* Before the workers go, and after. */
void control_end(struct node *n);
void control_free_all(struct node *n);

#endif
