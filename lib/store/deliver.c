/* SPDX-License-Identifier: Apache-2.0 */
/* APPEND and delivery: how an upload becomes messages. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/rand.h"
#include "lib/store/message_priv.h"

/* ---- APPEND */

static void describe_append(const struct append_message *m, bool inline_body, struct arena *arena,
                            Tern__NewMessage *out)
{
    tern__new_message__init(out);
    upload_describe(m->upload, &m->upload->parts[0], inline_body, out);
    out->flags = m->flags;
    out->keywords = texts_write(m->keywords, m->keyword_count, arena);
    out->n_keywords = m->keyword_count;
    out->internaldate_ms = m->internaldate_ms;
    out->internaldate_zone = m->internaldate_zone;
}

static enum err read_append(const struct call *call, struct arena *arena, struct append_result *out)
{
    Tern__AppendResponse *response;
    struct uidset uids = { 0 };
    TRY(call_response(call, &tern__append_response__descriptor, &response));
    out->uidvalidity = response->uidvalidity;
    out->modseq = response->modseq;
    enum err err = uids_read(response->uids, &uids);
    if (err == OK)
        out->uids = uidset_in_arena(&uids, arena);
    uidset_fini(&uids);
    tern__append_response__free_unpacked(response, NULL);
    return err;
}

enum err store_append(struct store *store, struct account_ref account, uint64_t mailbox,
                      const struct append_message *messages, size_t count, struct arena *arena,
                      struct append_result *out)
{
    if (count == 0)
        return ERR_INVALID;
    if (count > APPEND_MESSAGES_MAX)
        return ERR_LIMIT;
    bool inline_body = count == 1 && upload_is_inline(messages[0].upload);
    for (size_t i = 0; i < count && !inline_body; i++)
        TRY(upload_complete(messages[i].upload));

    Tern__AppendRequest request = TERN__APPEND_REQUEST__INIT;
    Tern__NewMessage *described = ARENA_ARRAY(arena, Tern__NewMessage, count);
    request.account = account.id;
    request.mailbox = mailbox;
    request.messages = ARENA_ARRAY(arena, Tern__NewMessage *, count);
    request.n_messages = count;
    for (size_t i = 0; i < count; i++) {
        describe_append(&messages[i], inline_body, arena, &described[i]);
        request.messages[i] = &described[i];
    }
    struct call call = { .method = METHOD_APPEND, .partition = account.home, .request = &request.base };
    if (inline_body)
        call.body = buf_slice(&messages[0].upload->pending);
    enum err err = call_run(store, &call);
    if (err == OK)
        err = read_append(&call, arena, out);
    call_fini(&call);
    return err;
}

/* ---- delivery */

struct delivery_id delivery_id_new(void)
{
    struct delivery_id id;
    uint64_t now_ms = clock_real_ms();
    for (int i = 0; i < 8; i++)
        id.bytes[i] = (uint8_t)(now_ms >> 8 * (7 - i));
    rand_bytes(id.bytes + 8, 8);
    return id;
}

/* The request to one partition and which targets it speaks of. */
struct partition_delivery {
    struct call call;
    Tern__DeliverRequest request;
    Tern__NewMessage message;
    size_t nth;      /* group of its partition: each uses up a copy of the upload */
    size_t *targets; /* indexes into the caller's array */
    size_t target_count;
    enum err err;
    bool calling;
};

static void fail_targets(const struct partition_delivery *d, struct delivery_target *targets, enum err err)
{
    for (size_t i = 0; i < d->target_count; i++)
        targets[d->targets[i]].status = err;
}

static void begin_delivery(struct store *store, struct upload *u, const struct upload_part *part,
                           struct delivery_id *id, struct partition_delivery *d,
                           struct delivery_target *targets, struct arena *arena)
{
    tern__deliver_request__init(&d->request);
    tern__new_message__init(&d->message);
    upload_describe(u, part, upload_is_inline(u), &d->message);
    d->request.delivery_id = (ProtobufCBinaryData){ sizeof id->bytes, id->bytes };
    d->request.message = &d->message;
    d->request.targets = ARENA_ARRAY(arena, Tern__DeliverTarget *, d->target_count);
    d->request.n_targets = d->target_count;
    for (size_t i = 0; i < d->target_count; i++) {
        const struct delivery_target *target = &targets[d->targets[i]];
        Tern__DeliverTarget *pb = ARENA_NEW(arena, Tern__DeliverTarget);
        tern__deliver_target__init(pb);
        pb->account = target->account.id;
        pb->mailbox = arena_strdup(arena, target->mailbox);
        d->request.targets[i] = pb;
    }
    d->call.method = METHOD_DELIVER;
    d->call.request = &d->request.base;
    if (upload_is_inline(u))
        d->call.body = buf_slice(&u->pending);
    d->call.timeout_ms = upload_deliver_wait_ms(u, part);
    call_begin(store, &d->call);
    d->calling = true;
}

static void end_delivery(struct partition_delivery *d, struct delivery_target *targets)
{
    Tern__DeliverResponse *response = NULL;
    enum err err = call_end(&d->call);
    if (err == OK)
        err = call_response(&d->call, &tern__deliver_response__descriptor, &response);
    if (err == OK && response->n_results != d->target_count)
        err = ERR_PROTOCOL;
    if (err == ERR_NOT_FOUND) /* of the request: the upload is gone. It says nothing of any target */
        err = ERR_UNAVAILABLE;
    if (err != OK) {
        fail_targets(d, targets, err);
    } else {
        for (size_t i = 0; i < d->target_count; i++) {
            struct delivery_target *target = &targets[d->targets[i]];
            uint32_t status = response->results[i]->status;
            target->status = status < ERR_COUNT ? (enum err)status : ERR_PROTOCOL;
            target->uid = response->results[i]->uid;
            target->uidvalidity = response->results[i]->uidvalidity;
        }
    }
    if (response != NULL)
        tern__deliver_response__free_unpacked(response, NULL);
    call_fini(&d->call);
}

/* Group targets by partition, at most DELIVER_TARGETS_MAX a group. Returns the number of groups. */
static size_t group_targets(const struct delivery_target *targets, size_t count,
                            struct partition_delivery *groups, struct arena *arena)
{
    size_t group_count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t g = 0, nth = 0;
        for (; g < group_count; g++) {
            if (groups[g].call.partition != targets[i].account.home)
                continue;
            if (groups[g].target_count < DELIVER_TARGETS_MAX)
                break;
            nth++;
        }
        if (g == group_count) {
            groups[g].call.partition = targets[i].account.home;
            groups[g].nth = nth;
            size_t most = count - i < DELIVER_TARGETS_MAX ? count - i : DELIVER_TARGETS_MAX;
            groups[g].targets = ARENA_ARRAY(arena, size_t, most);
            group_count++;
        }
        groups[g].targets[groups[g].target_count++] = i;
    }
    return group_count;
}

void store_deliver(struct store *store, struct upload *upload, struct delivery_id id,
                   struct delivery_target *targets, size_t count)
{
    struct arena arena = { 0 };
    struct partition_delivery *groups = ARENA_ARRAY(&arena, struct partition_delivery, count);
    size_t group_count = group_targets(targets, count, groups, &arena);
    enum err complete_err = upload_is_inline(upload) ? OK : upload_complete(upload);
    for (size_t g = 0; g < group_count; g++) {
        struct upload_part *part = upload_part_find(upload, groups[g].call.partition, groups[g].nth);
        enum err err = part == NULL ? ERR_INVALID : part->err != OK ? part->err : complete_err;
        if (err != OK)
            /* Chunks alone have no effect: whatever became of them, nothing was delivered. */
            fail_targets(&groups[g], targets, err == ERR_IN_DOUBT ? ERR_UNAVAILABLE : err);
        else
            begin_delivery(store, upload, part, &id, &groups[g], targets, &arena);
    }
    for (size_t g = 0; g < group_count; g++) {
        if (groups[g].calling)
            end_delivery(&groups[g], targets);
    }
    arena_fini(&arena);
}
