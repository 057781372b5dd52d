/* SPDX-License-Identifier: Apache-2.0 */
/* The queue broken on purpose: its functions are wrapped by the linker, and do what they must but for what is
 * broken in this run. */
#include <string.h>

#include "proto/message.pb-c.h"
#include "storage-node/mailbox/edit/edit.h"
#include "storage-node/mailbox/queue/queue_edit.h"
#include "tests/sim/cluster/queue.h"

static struct breaks current;

void mailq_breaks_begin(const struct breaks *breaks)
{
    current = *breaks;
}

/* ---- queue_put: an item that is known is made again */

static bool putting;

enum err __real_apply_queue_put(struct apply *a, const Tern__QueuePutRequest *request);
enum err __wrap_apply_queue_put(struct apply *a, const Tern__QueuePutRequest *request);
enum err __real_queue_item(const struct state *s, struct slice id, struct queue_item_row *out);
enum err __wrap_queue_item(const struct state *s, struct slice id, struct queue_item_row *out);

enum err __wrap_apply_queue_put(struct apply *a, const Tern__QueuePutRequest *request)
{
    putting = true;
    enum err err = __real_apply_queue_put(a, request);
    putting = false;
    return err;
}

enum err __wrap_queue_item(const struct state *s, struct slice id, struct queue_item_row *out)
{
    return putting && current.queue_put ? ERR_NOT_FOUND : __real_queue_item(s, id, out);
}

/* ---- queue_fence: a report of any lease counts */

enum err __real_apply_queue_report(struct apply *a, const Tern__QueueReportRequest *request);
enum err __wrap_apply_queue_report(struct apply *a, const Tern__QueueReportRequest *request);

enum err __wrap_apply_queue_report(struct apply *a, const Tern__QueueReportRequest *request)
{
    for (size_t i = 0; current.queue_fence && i < request->n_reports; i++) {
        struct queue_edit e;
        if (queue_open(a, slice_of_binary(request->reports[i]->item_id), &e) == OK)
            request->reports[i]->fence = e.state.fence;
    }
    return __real_apply_queue_report(a, request);
}

/* ---- queue_lease: the row says that the lease ends at once */

enum err __real_queue_close(struct apply *a, const struct queue_edit *e);
enum err __wrap_queue_close(struct apply *a, const struct queue_edit *e);

enum err __wrap_queue_close(struct apply *a, const struct queue_edit *e)
{
    struct queue_edit changed = *e;
    if (current.queue_lease && changed.state.lease_until_ms != 0)
        changed.state.lease_until_ms = a->header->time_ms + 1;
    return __real_queue_close(a, &changed);
}

/* ---- queue_hold, queue_delete: a person is told that it is done, and it is not */

enum err __real_apply_queue_change(struct apply *a, const Tern__QueueChangeRequest *request);
enum err __wrap_apply_queue_change(struct apply *a, const Tern__QueueChangeRequest *request);

enum err __wrap_apply_queue_change(struct apply *a, const Tern__QueueChangeRequest *request)
{
    Tern__QueueChangeRequest changed = *request;
    bool holds = request->change == TERN__QUEUE_CHANGE__QUEUE_HOLD;
    bool deletes = request->change == TERN__QUEUE_CHANGE__QUEUE_DELETE;
    if ((holds && current.queue_hold) || (deletes && current.queue_delete))
        changed.change = TERN__QUEUE_CHANGE__QUEUE_RELEASE;
    return __real_apply_queue_change(a, &changed);
}

/* ---- delivery_id: a delivery is known by its request alone */

enum err __real_apply_deliver(struct apply *a, const Tern__DeliverRequest *request);
enum err __wrap_apply_deliver(struct apply *a, const Tern__DeliverRequest *request);

enum err __wrap_apply_deliver(struct apply *a, const Tern__DeliverRequest *request)
{
    Tern__DeliverRequest changed = *request;
    if (current.delivery_id)
        changed.delivery_id = (ProtobufCBinaryData){ REQUEST_ID_SIZE, (uint8_t *)a->header->request_id };
    return __real_apply_deliver(a, &changed);
}
