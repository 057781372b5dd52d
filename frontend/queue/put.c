/* SPDX-License-Identifier: Apache-2.0 */
/* Putting mail in, from any loop. */
#include <stdlib.h>

#include "frontend/queue/queue_priv.h"
#include "lib/base/alloc.h"

/* What a session tells the runner. */
struct note {
    struct queue *queue;
    bool queued;
    uint32_t partition; /* where it is */
    size_t home_count;
    uint32_t homes[]; /* that took no mail */
};

static void take_note(void *arg)
{
    struct note *note = arg;
    struct queue *q = note->queue;
    if (q->slots != NULL && !atomic_load(&q->stopping)) {
        for (size_t i = 0; i < note->home_count; i++)
            queue_home_failed(q, note->homes[i]);
        if (note->queued && note->partition < q->slot_count) {
            q->slots[note->partition].status.items++; /* until it is looked at */
            queue_wake(q, note->partition);
        }
    }
    free(note);
}

static void tell_runner(struct queue *q, const struct queue_put *put, bool queued, uint32_t partition)
{
    struct note *note = xcalloc(1, sizeof *note + put->recipient_count * sizeof note->homes[0]);
    note->queue = q;
    note->queued = queued;
    note->partition = partition;
    note->home_count = put->recipient_count;
    for (size_t i = 0; i < put->recipient_count; i++)
        note->homes[i] = put->recipients[i].account.home;
    loop_post(q->loop, take_note, note);
}

enum err queue_put(struct queue *q, struct store *store, struct upload *upload, const struct queue_put *put)
{
    uint32_t partition = 0;
    enum err err = store_queue_put(store, upload, put, &partition);
    queue_count_put(err);
    tell_runner(q, put, err == OK, partition);
    return err;
}
