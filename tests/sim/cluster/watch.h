/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that wait for changes (IDLE): front-ends hold watches on mailboxes and look after them as
 * lib/store/watch.c does. Notices are hints that may be lost; but while nothing is lost, whoever watches
 * hears of each change in a bounded time, whichever node it was registered at before. */
#ifndef TESTS_SIM_CLUSTER_WATCH_H
#define TESTS_SIM_CLUSTER_WATCH_H

#include "lib/base/slice.h"
#include "storage-node/partition/request.h"

struct cluster;
struct node;
struct op;
struct watches;

struct watches *watches_new(struct cluster *c);
/* The world's events are gone. */
void watches_free(struct watches **w);
/* A notice leaves the node. */
void watches_notice(struct node *n, const struct partition_peer *peer, struct slice packed);
/* It was answered: who watches must hear of what it changed, if it was begun since the faults ended. */
void watches_answered(const struct op *op);
/* Nobody has still to hear of anything. */
bool watches_idle(const struct cluster *c);

#endif
