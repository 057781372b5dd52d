/* SPDX-License-Identifier: Apache-2.0 */
/* Front-ends, as far as they are real: the store client (lib/store) with its map, its watches and their
 * calls, on fibers. In odd seeds; what clients ask goes its own way (client.c). */
#ifndef TESTS_SIM_CLUSTER_FRONTEND_H
#define TESTS_SIM_CLUSTER_FRONTEND_H

#include "tests/sim/cluster/process.h"

struct frontends;
struct watch;

struct frontends *frontends_new(struct cluster *c);
/* Nodes and directors are gone, nobody watches any more. */
void frontends_free(struct frontends **f);
struct process *frontend_process(struct cluster *c, int number);

/* watch_new and watch_free (lib/store/message.h) at its store, for a mailbox of an account at home in a
 * partition. */
struct watch *frontend_watch(struct cluster *c, int number, uint64_t account, int home, uint64_t mailbox,
                             uint64_t modseq, void (*fn)(uint64_t modseq, void *arg), void *arg);
void frontend_unwatch(struct cluster *c, int number, struct watch **watch);

/* When one wants to run; UINT64_MAX: there are none. */
uint64_t frontends_next(const struct cluster *c);
void frontends_run(struct cluster *c);

#endif
