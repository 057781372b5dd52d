/* SPDX-License-Identifier: Apache-2.0 */
/* Putting mail into the queue of a healthy partition.
 *
 * Whoever does not answer in time may have taken it, and the next one is asked all the same: the delivery id
 * makes one message of several. If nobody took it for certain, those in doubt are asked again, with more
 * patience: the same item id has no second effect, and costs no further copy. A sender that is told 451
 * comes again with another delivery id, and what was in doubt would arrive twice. */
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/store/message_priv.h"
#include "lib/store/place_priv.h"
#include "lib/store/queue.h"
#include "proto/queue.pb-c.h"

_Static_assert((int)UPLOAD_SPARE_USERS == (int)QUEUE_RECIPIENTS_MAX,
               "a spare copy must last for the items that are made of it");

enum { UPLOAD_ID_SIZE = sizeof((struct upload_part){ 0 }.id) };

/* May have taken it. */
struct doubt {
    uint32_t partition;
    uint8_t upload_id[UPLOAD_ID_SIZE]; /* of the spare copy there, if the bytes do not travel with the item */
};

/* One item: as many recipients as fit. */
struct putting {
    struct store *store;
    struct upload *upload;
    Tern__QueuePutRequest request;
    uint8_t item_id[16];
    struct doubt doubts[STORE_QUEUE_PUT_TRIES];
    size_t doubt_count;
};

static void describe(struct putting *p, const struct queue_put *put, size_t first, size_t count,
                     struct arena *arena)
{
    Tern__QueuePutRequest *request = &p->request;
    struct delivery_id id = delivery_id_new(); /* a time and chance, as item ids are */
    tern__queue_put_request__init(request);
    p->doubt_count = 0;
    memcpy(p->item_id, id.bytes, sizeof p->item_id);
    request->item_id = (ProtobufCBinaryData){ sizeof p->item_id, p->item_id };
    request->delivery_id =
        (ProtobufCBinaryData){ sizeof put->delivery.bytes, (uint8_t *)put->delivery.bytes };
    request->sender = arena_strdup(arena, put->sender);
    request->smtputf8 = put->smtputf8;
    request->size = upload_size(p->upload);
    request->delay_ms = put->delay_ms;
    request->n_recipients = count;
    request->recipients = ARENA_ARRAY(arena, Tern__QueueNewRecipient *, count);
    for (size_t i = 0; i < count; i++) {
        const struct queue_put_recipient *from = &put->recipients[first + i];
        Tern__QueueNewRecipient *to = ARENA_NEW(arena, Tern__QueueNewRecipient);
        tern__queue_new_recipient__init(to);
        to->path = arena_strdup(arena, from->path);
        to->account = from->account.id;
        to->home = from->account.home;
        request->recipients[i] = to;
    }
}

static enum err ask(struct putting *p, uint32_t partition, uint32_t wait_ms)
{
    bool inline_body = upload_is_inline(p->upload);
    struct call call = { .method = METHOD_QUEUE_PUT,
                         .partition = partition,
                         .request = &p->request.base,
                         .body = inline_body ? buf_slice(&p->upload->pending) : SLICE_NULL,
                         .timeout_ms = wait_ms };
    enum err err = call_run(p->store, &call);
    call_fini(&call);
    if (err != OK)
        log_info("store", "queue of partition=%u does not take a message: %s", partition, err_name(err));
    return err == ERR_NOT_FOUND ? ERR_UNAVAILABLE : err; /* the spare copy is gone */
}

/* Whom nobody asked before. */
static enum err ask_first(struct putting *p, uint32_t partition)
{
    enum err err = ask(p, partition, STORE_QUEUE_PUT_WAIT_MS);
    if (err == ERR_IN_DOUBT) {
        struct doubt *doubt = &p->doubts[p->doubt_count++];
        doubt->partition = partition;
        if (!upload_is_inline(p->upload))
            memcpy(doubt->upload_id, p->request.upload_id.data, sizeof doubt->upload_id);
    }
    return err;
}

/* After all tries ended, the last with `err`. */
static enum err settle(struct putting *p, enum err err, uint32_t *partition_out)
{
    for (size_t i = 0; i < p->doubt_count; i++) {
        struct doubt *doubt = &p->doubts[i];
        if (!upload_is_inline(p->upload))
            p->request.upload_id = (ProtobufCBinaryData){ sizeof doubt->upload_id, doubt->upload_id };
        *partition_out = doubt->partition;
        if (ask(p, doubt->partition, STORE_QUEUE_SETTLE_MS) == OK)
            return OK;
    }
    return p->doubt_count > 0 ? ERR_IN_DOUBT : err;
}

/* One healthy partition after the other. */
static enum err put_anywhere(struct putting *p, struct place *place, uint32_t *partition_out)
{
    enum err err = ERR_UNAVAILABLE;
    for (int i = 0; i < STORE_QUEUE_PUT_TRIES; i++) {
        if (place_choose(place, partition_out) != OK)
            break;
        err = ask_first(p, *partition_out);
        if (err == OK || err == ERR_INVALID)
            return err;
        place_avoid(place, *partition_out);
    }
    return settle(p, err, partition_out);
}

/* The bytes are at one partition only. */
static enum err ask_spare(struct putting *p, struct upload_part *part)
{
    if (part->err != OK)
        return ERR_UNAVAILABLE;
    p->request.upload_id = (ProtobufCBinaryData){ sizeof part->id, part->id };
    return ask_first(p, part->partition);
}

/* Where the spare copy is, and if that does not take it wherever another can be made of what was kept. */
static enum err put_spare(struct putting *p, size_t nth, struct place *place, uint32_t *partition_out)
{
    enum err err = ERR_UNAVAILABLE;
    for (int i = 0; i < STORE_QUEUE_PUT_TRIES; i++) {
        enum err spare_err = upload_need_spare(p->upload, place);
        struct upload_part *part = upload_spare_find(p->upload, nth);
        if (spare_err != OK || part == NULL) {
            err = i == 0 && spare_err != OK ? spare_err : err;
            break;
        }
        *partition_out = part->partition;
        err = ask_spare(p, part);
        if (err == OK || err == ERR_INVALID)
            return err;
        place_avoid(place, part->partition);
        upload_spare_fail(p->upload, err);
    }
    return settle(p, err, partition_out);
}

static enum err check(const struct queue_put *put)
{
    if (put->recipient_count == 0)
        return ERR_INVALID;
    if (put->sender.len > STORE_QUEUE_PATH_MAX)
        return ERR_TOO_BIG;
    for (size_t i = 0; i < put->recipient_count; i++) {
        if (put->recipients[i].path.len > STORE_QUEUE_PATH_MAX)
            return ERR_TOO_BIG;
    }
    return OK;
}

enum err store_queue_put(struct store *store, struct upload *upload, const struct queue_put *put,
                         uint32_t *partition_out)
{
    TRY(check(put));
    if (upload->broken)
        return ERR_UNAVAILABLE;
    if (!upload_is_inline(upload))
        TRY(upload_complete(upload));
    struct place place;
    place_init(&place, store);
    for (size_t i = 0; i < put->recipient_count; i++)
        place_avoid(&place, put->recipients[i].account.home);
    struct arena arena = { 0 };
    struct putting p = { .store = store, .upload = upload };
    enum err err = OK;
    for (size_t first = 0, nth = 0; err == OK && first < put->recipient_count; nth++) {
        size_t count = put->recipient_count - first;
        if (count > QUEUE_RECIPIENTS_MAX)
            count = QUEUE_RECIPIENTS_MAX;
        describe(&p, put, first, count, &arena);
        err = upload_is_inline(upload) ? put_anywhere(&p, &place, partition_out)
                                       : put_spare(&p, nth, &place, partition_out);
        first += count;
    }
    arena_fini(&arena);
    return err;
}
