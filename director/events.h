/* SPDX-License-Identifier: Apache-2.0 */
/* The queue in front of the director's one thread: whatever happens (a request, a change of the store, an
 * answer of the store) becomes an event there. Bounded by what makes events: requests_max and
 * COORDINATION_IN_FLIGHT_MAX. */
#ifndef DIRECTOR_EVENTS_H
#define DIRECTOR_EVENTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct event {
    struct event *next;
    void (*run)(struct event *event, void *arg); /* on the director's thread; owns the event */
};

struct events {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct event *head, **tail;
    bool stopping;
};

void events_init(struct events *q);
/* Runs nothing; the queue must be empty. */
void events_fini(struct events *q);
/* Any thread. */
void events_post(struct events *q, struct event *event);
/* Any thread: events_take returns false once nothing is left. */
void events_stop(struct events *q);
/* All events that wait, oldest first (*list_out may be NULL after timeout_ms). False: stopped and empty. */
bool events_take(struct events *q, uint64_t timeout_ms, struct event **list_out);

#endif
