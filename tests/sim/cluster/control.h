/* SPDX-License-Identifier: Apache-2.0 */
/* A node's control thread (storage-node/control*.c, hello.c, with real fibers) in the simulated cluster, and
 * what storage-node/node.c does around it. */
#ifndef TESTS_SIM_CLUSTER_CONTROL_H
#define TESTS_SIM_CLUSTER_CONTROL_H

#include "storage-node/control.h"
#include "tests/sim/cluster/node.h"
#include "tests/sim/directors/directors.h"

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
