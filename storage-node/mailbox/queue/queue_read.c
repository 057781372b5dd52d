/* SPDX-License-Identifier: Apache-2.0 */
/* QUEUE_LIST, QUEUE_BODY, QUEUE_STATUS. */
#include "storage-node/mailbox/message/body_reader.h"
#include "storage-node/mailbox/queue/queue_edit.h"

enum { PAGE_BYTES_MAX = 512 * 1024 };

/* ---- QUEUE_LIST */

enum err check_queue_list(const Tern__QueueListRequest *request, size_t body_len)
{
    bool one = request->item_id.len == REQUEST_ID_SIZE && request->after.len == 0;
    bool page = request->item_id.len == 0 && request->limit > 0 &&
                (request->after.len == 0 || request->after.len == REQUEST_ID_SIZE);
    if (!one && !page)
        return ERR_INVALID;
    return request->limit > QUEUE_LIST_MAX ? ERR_LIMIT : OK;
}

static enum err describe_one(struct read_ctx *r, struct slice id, const struct queue_item_row *item,
                             Tern__QueueItem **out)
{
    struct queue_state_row state;
    TRY(queue_state(&r->state, id, &state));
    return queue_describe(&r->state, id, item, &state, QUEUE_VIEW_ALL, out);
}

/* The item under the iterator. */
static enum err describe_row(struct read_ctx *r, struct kv_iter *it, Tern__QueueItem **out)
{
    enum key_kind kind;
    struct cursor rest;
    struct queue_item_row item;
    struct slice value = arena_slice(r->state.arena, kv_iter_value(it));
    if (!key_read(kv_iter_key(it), &kind, &rest) || rest.rest.len != REQUEST_ID_SIZE ||
        !queue_item_decode(value, &item))
        return state_corrupt_row(&r->state, kv_iter_key(it));
    return describe_one(r, arena_slice(r->state.arena, rest.rest), &item, out);
}

static enum err list_page(struct read_ctx *r, const Tern__QueueListRequest *request,
                          Tern__QueueListResponse *response)
{
    struct key from, upper;
    key_begin(&upper, r->state.partition, 0, KEY_QUEUE_ITEM);
    from = upper;
    key_behind(&upper);
    key_text(&from, slice_of_binary(request->after));
    if (request->after.len > 0)
        key_behind(&from);
    struct kv_iter *it = state_iter(&r->state, &from, &upper);
    bool on_row = kv_iter_seek(it, key_slice(&from));
    size_t bytes = 0;
    enum err err = OK;
    for (; on_row && err == OK && response->n_items < request->limit && bytes < PAGE_BYTES_MAX;
         on_row = kv_iter_next(it)) {
        Tern__QueueItem **item = &response->items[response->n_items];
        err = describe_row(r, it, item);
        if (err == OK) {
            bytes += tern__queue_item__get_packed_size(*item);
            response->n_items++;
        }
    }
    response->more = on_row;
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

enum err read_queue_list(struct read_ctx *r, const Tern__QueueListRequest *request)
{
    Tern__QueueListResponse response = TERN__QUEUE_LIST_RESPONSE__INIT;
    response.items = ARENA_ARRAY(r->state.arena, Tern__QueueItem *, request->limit + 1);
    if (request->item_id.len > 0) {
        struct slice id = slice_of_binary(request->item_id);
        struct queue_item_row item;
        TRY(queue_item(&r->state, id, &item));
        TRY(describe_one(r, id, &item, &response.items[0]));
        response.n_items = 1;
    } else {
        TRY(list_page(r, request, &response));
    }
    read_respond(r, &response.base);
    return OK;
}

/* ---- QUEUE_BODY */

enum err check_queue_body(const Tern__QueueBodyRequest *request, size_t body_len)
{
    return request->item_id.len == REQUEST_ID_SIZE ? OK : ERR_INVALID;
}

enum err read_queue_body(struct read_ctx *r, const Tern__QueueBodyRequest *request)
{
    struct queue_item_row item;
    TRY(queue_item(&r->state, slice_of_binary(request->item_id), &item));
    uint64_t len = request->length > FETCH_PAGE_MAX ? FETCH_PAGE_MAX : request->length;
    struct body_reader reader;
    enum err err = body_reader_begin(&r->state, item.body, &reader);
    if (err == OK)
        err = body_reader_copy(&reader, request->offset, len, r->body);
    body_reader_end(&reader);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err); /* the item is there: its bytes should be */
    Tern__QueueBodyResponse response = TERN__QUEUE_BODY_RESPONSE__INIT;
    response.size = item.size;
    read_respond(r, &response.base);
    return OK;
}

/* ---- QUEUE_STATUS */

enum err check_queue_status(const Tern__QueueStatusRequest *request, size_t body_len)
{
    return OK;
}

static enum err find_oldest(const struct state *s, uint64_t *created_ms_out)
{
    struct key prefix;
    key_begin(&prefix, s->partition, 0, KEY_QUEUE_ITEM);
    struct kv_iter *it = state_iter_prefix(s, &prefix);
    enum err err = OK;
    *created_ms_out = 0;
    if (kv_iter_seek(it, key_slice(&prefix))) {
        struct queue_item_row item;
        if (queue_item_decode(kv_iter_value(it), &item))
            *created_ms_out = item.created_ms;
        else
            err = state_corrupt_row(s, kv_iter_key(it));
    } else {
        err = kv_iter_err(it);
    }
    kv_iter_free(&it);
    return err;
}

enum err read_queue_status(struct read_ctx *r, const Tern__QueueStatusRequest *request)
{
    struct queue_totals_row totals;
    TRY(queue_totals(&r->state, &totals));
    Tern__QueueStatusResponse response = TERN__QUEUE_STATUS_RESPONSE__INIT;
    response.items = totals.items;
    response.bytes = totals.bytes;
    response.held = totals.held;
    response.failed = totals.failed;
    if (totals.items > 0) { /* as it rarely is, and everybody asks */
        TRY(queue_next(&r->state, &response.next_ms));
        TRY(find_oldest(&r->state, &response.oldest_ms));
    }
    read_respond(r, &response.base);
    return OK;
}
