/* SPDX-License-Identifier: Apache-2.0 */
/* QUEUE_LEASE: a front-end takes what is due. The fencing number grows with every lease of an item, so a
 * report says of which lease it speaks, and one that comes after somebody else took over changes nothing. A
 * large message's lease is longer: two front-ends that each need more than a lease would take it from each
 * other for ever, and neither report would count. */
#include "storage-node/mailbox/queue/queue_edit.h"

enum {
    LOOKED_AT_MAX = 2000,           /* due rows of one entry */
    RESPONSE_BYTES_MAX = 64 * 1024, /* about: no further item is taken beyond */
    REMEMBERED_MAX = 8 * 1024,      /* bytes of an answer that is kept for a repeat */
};

enum err check_queue_lease(const Tern__QueueLeaseRequest *request, size_t body_len)
{
    if (body_len > 0 || request->limit == 0 || request->lease_ms == 0 ||
        strlen(request->holder) > QUEUE_HOLDER_MAX)
        return ERR_INVALID;
    return request->limit > QUEUE_LEASE_MAX || request->lease_ms > QUEUE_LEASE_MS_MAX ? ERR_LIMIT : OK;
}

/* The first due rows, as far as they may be of interest: (time, item id) each. */
static enum err list_due(struct apply *a, bool early, struct buf *out)
{
    struct key prefix, upper;
    key_begin(&prefix, a->state.partition, 0, KEY_QUEUE_DUE);
    upper = prefix;
    if (early)
        key_behind(&upper);
    else
        key_u64(&upper, a->header->time_ms + 1);
    struct kv_iter *it = state_iter(&a->state, &prefix, &upper);
    size_t count = 0;
    for (bool on_row = kv_iter_seek(it, key_slice(&prefix)); on_row && count < LOOKED_AT_MAX;
         on_row = kv_iter_next(it)) {
        buf_add_slice(out, slice_sub(kv_iter_key(it), prefix.len, SIZE_MAX));
        count++;
    }
    enum err err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

static bool is_wanted(const struct apply *a, const Tern__QueueLeaseRequest *request, uint64_t due_ms,
                      const struct queue_state_row *state)
{
    if (due_ms <= a->header->time_ms)
        return true;
    return state->lease_until_ms == 0 && state->leased_ms < request->early_before_ms;
}

static enum err lease(struct apply *a, const Tern__QueueLeaseRequest *request, struct queue_edit *e,
                      Tern__QueueItem **out)
{
    e->state.fence++;
    e->state.attempts += e->state.attempts < UINT32_MAX;
    e->state.leased_ms = a->header->time_ms;
    e->state.lease_until_ms =
        a->header->time_ms + request->lease_ms + e->item.size / QUEUE_LEASE_BYTES_PER_MS;
    e->state.holder = slice_str(request->holder);
    TRY(queue_close(a, e));
    return queue_describe(&a->state, e->id, &e->item, &e->state, QUEUE_VIEW_PENDING, out);
}

static enum err lease_due(struct apply *a, const Tern__QueueLeaseRequest *request, struct slice due,
                          Tern__QueueLeaseResponse *response)
{
    size_t bytes = 0;
    struct cursor c = cursor_of(due);
    response->items = ARENA_ARRAY(a->state.arena, Tern__QueueItem *, request->limit);
    while (c.rest.len > 0 && response->n_items < request->limit && bytes < RESPONSE_BYTES_MAX) {
        uint64_t due_ms = cursor_be64(&c);
        struct slice id = cursor_bytes(&c, REQUEST_ID_SIZE);
        struct queue_edit e;
        enum err err = c.bad ? ERR_NOT_FOUND : queue_open(a, id, &e);
        TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
        if (!is_wanted(a, request, due_ms, &e.state))
            continue;
        Tern__QueueItem **item = &response->items[response->n_items];
        TRY(lease(a, request, &e, item));
        bytes += tern__queue_item__get_packed_size(*item);
        response->n_items++;
    }
    return OK;
}

enum err apply_queue_lease(struct apply *a, const Tern__QueueLeaseRequest *request)
{
    Tern__QueueLeaseResponse response = TERN__QUEUE_LEASE_RESPONSE__INIT;
    struct buf due = { 0 };
    enum err err = list_due(a, request->early_before_ms != 0, &due);
    if (err == OK)
        err = lease_due(a, request, arena_slice(a->state.arena, buf_slice(&due)), &response);
    buf_fini(&due);
    TRY(err);
    TRY(queue_next(&a->state, &response.next_ms));
    response.now_ms = a->header->time_ms;
    /* Nothing happened: a repeat may look again. And who tries many recipients every minute shall not fill an
     * hour of remembered answers: a repeat takes other items, these come back when their leases end. */
    a->unremembered =
        response.n_items == 0 || tern__queue_lease_response__get_packed_size(&response) > REMEMBERED_MAX;
    apply_respond(a, &response.base);
    return OK;
}
