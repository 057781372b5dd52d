/* SPDX-License-Identifier: Apache-2.0 */
/* What is really so, and what operators want, beside what directors know of it. */
#ifndef TESTS_SIM_CLUSTER_TRUTH_H
#define TESTS_SIM_CLUSTER_TRUTH_H

#include "lib/base/buf.h"
#include "tests/sim/cluster/control.h"

/* ---- truth.c */

void truth_init(struct cluster *c);
void truth_fini(struct cluster *c);
/* The store was put back: what nobody but it knew of never was (R27 is about what nodes know). */
void truth_restored(struct cluster *c);
/* Every partition has a configuration. */
bool truth_is_placed(const struct cluster *c);
/* All copies are where they are wanted, and all is done that operators asked for; adds to `why` what is not.
 */
bool truth_is_settled(struct cluster *c, struct buf *why);

/* ---- operators.c: commands during load, told again until it is so */

void operators_init(struct cluster *c);
void operators_fini(struct cluster *c);
/* One more command, by chance: a node is added, is to be emptied or not any more, or dies for good and is
 * removed. */
void operators_begin(struct cluster *c);
/* The disk of that node is lost for good. */
void operators_lost(struct cluster *c, uint32_t id);

/* The store is put back from a copy; partitions that are ahead of it then are told to go on (R27). False: it
 * would be asked too much, and nothing is done. */
bool operators_restore(struct cluster *c);
/* They are not all yet. */
bool operators_restoring(const struct cluster *c);
/* A node is told an id for the first time: nobody else ever had it. */
void operators_named(struct cluster *c, const struct node *n, uint32_t id);
/* Copies belong there. */
bool operators_want(struct cluster *c, const struct node *n);
bool operators_are_done(struct cluster *c, struct buf *why);
/* Its disk may go: whatever it has is elsewhere, and there are enough nodes without it. */
bool operators_may_lose(struct cluster *c, const struct node *n);

#endif
