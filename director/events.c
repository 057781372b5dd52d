/* SPDX-License-Identifier: Apache-2.0 */
#include "director/events.h"

#include <assert.h>
#include <time.h>

void events_init(struct events *q)
{
    pthread_condattr_t attr;
    *q = (struct events){ 0 };
    q->tail = &q->head;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->wake, &attr);
    pthread_condattr_destroy(&attr);
}

void events_fini(struct events *q)
{
    assert(q->head == NULL);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->lock);
}

void events_post(struct events *q, struct event *event)
{
    event->next = NULL;
    pthread_mutex_lock(&q->lock);
    *q->tail = event;
    q->tail = &event->next;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
}

void events_stop(struct events *q)
{
    pthread_mutex_lock(&q->lock);
    q->stopping = true;
    pthread_cond_signal(&q->wake);
    pthread_mutex_unlock(&q->lock);
}

bool events_take(struct events *q, uint64_t timeout_ms, struct event **list_out)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&q->lock);
    while (q->head == NULL && !q->stopping && pthread_cond_timedwait(&q->wake, &q->lock, &until) == 0) {}
    *list_out = q->head;
    q->head = NULL;
    q->tail = &q->head;
    bool go_on = *list_out != NULL || !q->stopping;
    pthread_mutex_unlock(&q->lock);
    return go_on;
}
