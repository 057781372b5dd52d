/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/message_priv.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/rand.h"
#include "lib/store/place_priv.h"
#include "lib/store/queue.h"

/* The copy at a partition that has room for one more target. */
static struct upload_part *part_with_room(struct upload *u, uint32_t partition)
{
    for (size_t i = 0; i < u->part_count; i++) {
        if (u->parts[i].partition == partition && u->parts[i].users < DELIVER_TARGETS_MAX)
            return &u->parts[i];
    }
    struct upload_part *part = &u->parts[u->part_count++];
    part->partition = partition;
    rand_bytes(part->id, sizeof part->id);
    return part;
}

struct upload *upload_new(struct store *store, const uint32_t *partitions, size_t count)
{
    struct upload *u = NEW(struct upload);
    u->store = store;
    u->target_count = count;
    u->parts = NEW_ARRAY(struct upload_part, count);
    for (size_t i = 0; i < count; i++)
        part_with_room(u, partitions[i])->users++;
    return u;
}

struct upload_part *upload_part_find(struct upload *u, uint32_t partition, size_t nth)
{
    for (size_t i = 0; i < u->part_count; i++) {
        if (u->parts[i].partition == partition && nth-- == 0)
            return &u->parts[i];
    }
    return NULL;
}

struct upload_part *upload_spare_find(struct upload *u, size_t nth)
{
    return nth < u->spare_count ? &u->parts[u->part_count - u->spare_count + nth] : NULL;
}

struct chunk {
    uint64_t offset;
    struct slice bytes;
    bool last;
};

static bool has_spare(const struct upload *u)
{
    for (size_t i = 0; i < u->spare_count; i++) {
        if (u->parts[u->part_count - 1 - i].err == OK)
            return true;
    }
    return false;
}

/* Whoever need not be waited for long, because all of it is elsewhere or can be; and whoever has the only
 * copy there is, because the message is too large to be kept. */
static uint32_t patience_ms(const struct upload *u, const struct upload_part *part)
{
    bool is_spare = part >= u->parts + u->part_count - u->spare_count;
    if (u->sent == 0 || u->keeps || (u->given_up && !is_spare && has_spare(u)))
        return u->wait_ms;
    return u->given_up ? STORE_ALONE_WAIT_MS : 0;
}

uint32_t upload_deliver_wait_ms(const struct upload *u, const struct upload_part *part)
{
    return upload_is_inline(u) ? u->wait_ms : patience_ms(u, part);
}

static void begin_chunk(struct upload *u, struct upload_part *part, const struct chunk *chunk)
{
    tern__upload_chunk_request__init(&part->request);
    part->request.upload_id = (ProtobufCBinaryData){ sizeof part->id, part->id };
    part->request.offset = chunk->offset;
    part->request.last = chunk->last;
    if (chunk->last)
        part->request.summary = pb_bytes(buf_slice(&u->summary));
    part->call = (struct call){ .method = METHOD_UPLOAD_CHUNK,
                                .partition = part->partition,
                                .request = &part->request.base,
                                .timeout_ms = patience_ms(u, part) };
    part->call.body = chunk->bytes;
    call_begin(u->store, &part->call);
    part->calling = true;
}

static void end_chunk(struct upload_part *part)
{
    if (!part->calling)
        return;
    part->err = call_end(&part->call);
    if (part->err == ERR_INVALID) /* the chunks before this one are not there any more */
        part->err = ERR_UNAVAILABLE;
    call_fini(&part->call);
    part->calling = false;
}

/* Send a chunk to the parts from `first` on that are still in it: OK if any is left, else the first failure.
 * Yields. */
static enum err send_to_parts(struct upload *u, size_t first, const struct chunk *chunk)
{
    for (size_t i = first; i < u->part_count; i++) {
        if (u->parts[i].err == OK)
            begin_chunk(u, &u->parts[i], chunk);
    }
    enum err first_err = OK;
    size_t alive = 0;
    for (size_t i = first; i < u->part_count; i++) {
        struct upload_part *part = &u->parts[i];
        end_chunk(part);
        if (part->err == OK)
            alive++;
        else if (first_err == OK)
            first_err = part->err;
    }
    return alive > 0 ? OK : first_err;
}

/* ---- what was sent, kept to be sent again */

static void keep_pending(struct upload *u)
{
    u->kept = xrealloc(u->kept, (u->kept_count + 1) * sizeof *u->kept);
    u->kept[u->kept_count++] = u->pending;
    u->store->kept_bytes += u->pending.len;
    u->pending = (struct buf){ 0 };
}

static void forget_kept(struct upload *u)
{
    for (size_t i = 0; i < u->kept_count; i++) {
        u->store->kept_bytes -= u->kept[i].len;
        buf_fini(&u->kept[i]);
    }
    free(u->kept);
    u->kept = NULL;
    u->kept_count = 0;
    u->keeps = false;
}

/* ---- the spare copy */

static void add_spare_parts(struct upload *u, uint32_t partition)
{
    u->spare_count = (u->target_count + UPLOAD_SPARE_USERS - 1) / UPLOAD_SPARE_USERS;
    u->parts = xrealloc(u->parts, (u->part_count + u->spare_count) * sizeof *u->parts);
    for (size_t i = 0; i < u->spare_count; i++) {
        struct upload_part *part = &u->parts[u->part_count++];
        *part = (struct upload_part){ .partition = partition, .users = UPLOAD_SPARE_USERS };
        rand_bytes(part->id, sizeof part->id);
    }
}

static void drop_spare_parts(struct upload *u)
{
    u->part_count -= u->spare_count;
    u->spare_count = 0;
}

/* All chunks so far; kept are full ones and, behind them, the last. Yields. */
static enum err send_kept(struct upload *u, size_t first, bool complete)
{
    for (size_t i = 0; i < u->kept_count; i++) {
        struct chunk chunk = { i * (uint64_t)BODY_CHUNK_MAX, buf_slice(&u->kept[i]),
                               complete && i + 1 == u->kept_count };
        TRY(send_to_parts(u, first, &chunk));
    }
    return OK;
}

/* To the first healthy partition that takes it. Yields. */
static enum err make_spare(struct upload *u, struct place *place, bool complete)
{
    enum err err = ERR_UNAVAILABLE;
    uint32_t partition;
    drop_spare_parts(u);
    for (int i = 0; i < STORE_QUEUE_PUT_TRIES && place_choose(place, &partition) == OK; i++) {
        size_t first = u->part_count;
        add_spare_parts(u, partition);
        err = send_kept(u, first, complete);
        if (err == OK)
            return OK;
        drop_spare_parts(u);
        place_avoid(place, partition);
    }
    return err;
}

/* After a chunk: whoever failed at it, or before, needs a copy somewhere else. Yields. */
static enum err make_spare_if_wanted(struct upload *u, bool complete)
{
    struct place place;
    bool wanted = false;
    place_init(&place, u->store);
    for (size_t i = 0; i < u->part_count; i++) {
        if (u->parts[i].err != OK) {
            place_avoid(&place, u->parts[i].partition);
            wanted = true;
        }
    }
    return wanted && !has_spare(u) ? make_spare(u, &place, complete) : OK;
}

enum err upload_need_spare(struct upload *u, struct place *place)
{
    if (has_spare(u))
        return OK;
    return u->keeps && u->complete ? make_spare(u, place, true) : ERR_UNAVAILABLE;
}

void upload_spare_fail(struct upload *u, enum err err)
{
    for (size_t i = 0; i < u->spare_count; i++)
        u->parts[u->part_count - 1 - i].err = err;
}

/* Send what is pending as one chunk to every partition that is still in it. Yields. */
static enum err send_pending(struct upload *u, bool last)
{
    struct chunk chunk = { u->sent, buf_slice(&u->pending), last };
    enum err err = send_to_parts(u, 0, &chunk);
    u->sent += u->pending.len;
    if (!u->keeps) {
        buf_clear(&u->pending);
        return err;
    }
    keep_pending(u);
    enum err spare_err = make_spare_if_wanted(u, last);
    if (spare_err != OK || u->store->kept_bytes > STORE_KEPT_MAX) {
        forget_kept(u); /* and nobody is tried again with each chunk */
        u->given_up = true;
    } else if (!last) {
        buf_reserve(&u->pending, BODY_CHUNK_MAX);
    }
    return err == OK ? OK : spare_err;
}

enum err upload_write(struct upload *u, struct slice bytes)
{
    while (bytes.len > 0) {
        /* A full chunk leaves only when more follows: what fits one chunk travels with the command that uses
         * it. */
        if (u->pending.len == BODY_CHUNK_MAX) {
            enum err err = send_pending(u, false);
            u->broken = u->broken || err != OK;
            TRY(err);
        }
        size_t room = BODY_CHUNK_MAX - u->pending.len;
        size_t take = bytes.len < room ? bytes.len : room;
        buf_add(&u->pending, bytes.data, take);
        bytes = slice_sub(bytes, take, bytes.len);
    }
    return OK;
}

void upload_limit_wait(struct upload *u, uint32_t wait_ms)
{
    u->wait_ms = wait_ms;
}

void upload_want_spare(struct upload *u)
{
    u->keeps = true;
}

uint64_t upload_size(const struct upload *u)
{
    return u->sent + u->pending.len;
}

void upload_finish(struct upload *u, struct slice summary)
{
    buf_clear(&u->summary);
    buf_add_slice(&u->summary, summary);
}

bool upload_is_inline(const struct upload *u)
{
    return u->sent == 0;
}

enum err upload_complete(struct upload *u)
{
    if (u->complete)
        return OK;
    if (u->broken)
        return ERR_UNAVAILABLE;
    enum err err = send_pending(u, true);
    buf_fini(&u->pending);
    u->complete = err == OK;
    u->broken = err != OK;
    return err;
}

void upload_describe(const struct upload *u, const struct upload_part *part, bool inline_body,
                     Tern__NewMessage *out)
{
    out->size = upload_size(u);
    if (inline_body)
        out->summary = pb_bytes(buf_slice(&u->summary));
    else
        out->upload_id = (ProtobufCBinaryData){ sizeof part->id, (uint8_t *)part->id };
}

void upload_free(struct upload **u)
{
    if (*u == NULL)
        return;
    forget_kept(*u);
    buf_fini(&(*u)->pending);
    buf_fini(&(*u)->summary);
    free((*u)->parts);
    free(*u);
    *u = NULL;
}
