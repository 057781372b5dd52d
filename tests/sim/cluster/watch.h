/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that wait for changes (IDLE): they watch mailboxes through their front-end's store (lib/store). A
 * notice is a hint that may be lost; but while nothing is lost, whoever watches hears of each change in a
 * bounded time, whichever node it was registered at before. */
#ifndef TESTS_SIM_CLUSTER_WATCH_H
#define TESTS_SIM_CLUSTER_WATCH_H

#include <stdbool.h>

struct breaks;
struct cluster;
struct op;
struct watches;

/* There are front-ends. */
struct watches *watches_new(struct cluster *c);
/* The front-ends are still there. */
void watches_end(struct watches *all);
/* The world's events are gone. */
void watches_free(struct watches **all);
/* It was answered: who watches must hear of what it changed, if it was begun since the faults ended. */
void watches_answered(const struct op *op);
/* Nobody has still to hear of anything. */
bool watches_idle(const struct cluster *c);

/* watch_breaks.c: what is broken of the front-ends' watches in this run. */
void watch_breaks_begin(const struct breaks *breaks);

#endif
