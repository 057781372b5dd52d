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

static struct note *note_new(struct queue *q, size_t home_count)
{
    struct note *note = xcalloc(1, sizeof *note + home_count * sizeof note->homes[0]);
    note->queue = q;
    note->home_count = home_count;
    return note;
}

void queue_home_suspect(struct queue *q, uint32_t partition)
{
    struct note *note = note_new(q, 1);
    note->homes[0] = partition;
    loop_post(q->loop, take_note, note);
}

enum err queue_put(struct queue *q, struct store *store, struct upload *upload, const struct queue_put *put)
{
    uint32_t partition = 0;
    enum err err = store_queue_put(store, upload, put, &partition);
    queue_count_put(err);
    struct note *note = note_new(q, put->recipient_count);
    note->queued = err == OK;
    note->partition = partition;
    for (size_t i = 0; i < put->recipient_count; i++)
        note->homes[i] = put->recipients[i].account.home;
    loop_post(q->loop, take_note, note);
    return err;
}
