/* SPDX-License-Identifier: Apache-2.0 */
/* QUEUE_PUT: a message for recipients that cannot be reached now. */
#include "storage-node/mailbox/queue/queue_edit.h"

/* The message as `incoming` knows it: bytes and no more. */
static Tern__NewMessage message_of(const Tern__QueuePutRequest *request)
{
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    message.upload_id = request->upload_id;
    message.size = request->size;
    return message;
}

enum err check_queue_put(const Tern__QueuePutRequest *request, size_t body_len)
{
    if (request->item_id.len != REQUEST_ID_SIZE || request->delivery_id.len != REQUEST_ID_SIZE ||
        request->n_recipients == 0 || strlen(request->sender) > QUEUE_PATH_MAX ||
        request->delay_ms > QUEUE_DELAY_MS_MAX || (request->upload_id.len > 0 && body_len > 0))
        return ERR_INVALID;
    if (request->n_recipients > QUEUE_RECIPIENTS_MAX)
        return ERR_LIMIT;
    for (size_t i = 0; i < request->n_recipients; i++) {
        size_t len = strlen(request->recipients[i]->path);
        if (len == 0 || len > QUEUE_PATH_MAX || request->recipients[i]->account == 0)
            return ERR_INVALID;
    }
    Tern__NewMessage message = message_of(request);
    return incoming_check(&message, body_len);
}

static void put_recipients(struct apply *a, const struct queue_edit *e, const Tern__QueuePutRequest *request)
{
    for (size_t i = 0; i < request->n_recipients; i++) {
        const Tern__QueueNewRecipient *r = request->recipients[i];
        struct queue_recipient_row row = { .path = slice_str(r->path),
                                           .account = r->account,
                                           .home = r->home,
                                           .state = TERN__QUEUE_STATE__QUEUE_PENDING };
        queue_put_recipient(a, e->id, (uint32_t)i, &row);
    }
}

enum err apply_queue_put(struct apply *a, const Tern__QueuePutRequest *request)
{
    struct slice id = slice_of_binary(request->item_id);
    struct queue_item_row known;
    enum err err = queue_item(&a->state, id, &known);
    if (err != ERR_NOT_FOUND)
        return err;
    struct incoming in;
    Tern__NewMessage message = message_of(request);
    TRY(incoming_find(a, &message, &in));
    struct queue_edit e = {
        .id = id,
        .item = { .delivery_id = slice_of_binary(request->delivery_id),
                  .sender = slice_str(request->sender),
                  .smtputf8 = request->smtputf8,
                  .size = request->size,
                  .body = in.message.body,
                  .created_ms = a->header->time_ms,
                  .recipient_count = (uint32_t)request->n_recipients },
        .state = { .next_ms = a->header->time_ms + request->delay_ms,
                   .pending = (uint32_t)request->n_recipients },
    };
    TRY(queue_add(a, &e));
    put_recipients(a, &e, request);
    return incoming_take(a, &in, 1);
}
