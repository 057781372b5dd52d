/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: from the bytes beside entries to something that messages refer to, and its end. */
#include "storage-node/mailbox/edit/edit.h"

#include <assert.h>

static void put_body(struct apply *a, uint64_t id, const struct body_row *row)
{
    struct key key;
    key_body(&key, a->state.partition, id);
    body_encode(row, a->value);
    apply_put(a, &key);
}

/* A message whose body row is gone means damage, not "not found". */
static enum err load_body(struct apply *a, uint64_t id, struct body_row *out)
{
    enum err err = state_body(&a->state, id, out);
    return err == ERR_NOT_FOUND ? ERR_CORRUPT : err;
}

enum err body_ref(struct apply *a, uint64_t body)
{
    struct body_row row;
    TRY(load_body(a, body, &row));
    if (row.refs == 0 || row.refs == UINT32_MAX)
        return ERR_CORRUPT;
    row.refs++;
    put_body(a, body, &row);
    return OK;
}

enum err body_unref(struct apply *a, uint64_t body)
{
    struct body_row row;
    TRY(load_body(a, body, &row));
    if (row.refs == 0)
        return ERR_CORRUPT;
    row.refs--;
    put_body(a, body, &row);
    if (row.refs == 0) {
        struct key key;
        key_free(&key, a->state.partition, a->header->time_ms, body);
        apply_put_empty(a, &key);
    }
    return OK;
}

enum err incoming_check(const Tern__NewMessage *request, size_t body_len)
{
    enum { ZONE_MAX = 24 * 60 };
    bool beside = request->upload_id.len == 0;
    if (request->size == 0 || request->flags > MAIL_FLAGS_ALL || request->n_keywords > KEYWORDS_MAX ||
        request->internaldate_zone < -ZONE_MAX || request->internaldate_zone > ZONE_MAX)
        return ERR_INVALID;
    if (request->summary.len > SUMMARY_BYTES_MAX)
        return ERR_TOO_BIG;
    if (beside ? request->size != body_len : request->upload_id.len != REQUEST_ID_SIZE)
        return ERR_INVALID;
    for (size_t i = 0; i < request->n_keywords; i++) {
        if (!keyword_is_valid(slice_str(request->keywords[i])))
            return ERR_INVALID;
    }
    return OK;
}

static enum err find_upload(struct apply *a, const Tern__NewMessage *request, struct incoming *in)
{
    struct key key;
    key_upload(&key, a->state.partition, in->upload_id);
    struct kv_value value;
    TRY(state_get(&a->state, &key, &value));
    struct slice bytes = arena_slice(a->state.arena, value.bytes);
    kv_value_release(&value);
    struct upload_row upload;
    if (!upload_decode(bytes, &upload))
        return state_corrupt(&a->state, &key);
    if (!upload.complete)
        return ERR_NOT_FOUND;
    if (upload.size != request->size)
        return ERR_INVALID;
    if (request->summary.len == 0)
        in->summary = upload.summary;
    in->body =
        (struct body_row){ .size = upload.size, .chunk_count = upload.chunk_count, .chunks = upload.chunks };
    struct cursor chunks = cursor_of(upload.chunks);
    struct chunk first;
    if (!chunk_next(&chunks, &first))
        return ERR_CORRUPT;
    in->message.body = first.index;
    return OK;
}

static void find_beside(struct apply *a, const Tern__NewMessage *request, struct incoming *in)
{
    struct chunk whole = { .index = a->index, .size = (uint32_t)request->size };
    buf_clear(a->value);
    chunk_encode(&whole, a->value);
    in->body = (struct body_row){ .size = request->size,
                                  .chunk_count = 1,
                                  .chunks = arena_slice(a->state.arena, buf_slice(a->value)) };
    in->message.body = a->index;
}

enum err incoming_find(struct apply *a, const Tern__NewMessage *request, struct incoming *out)
{
    *out = (struct incoming){
        .message = { .flags = request->flags,
                     .internaldate_ms =
                         request->internaldate_ms != 0 ? request->internaldate_ms : a->header->time_ms,
                     .internaldate_zone = request->internaldate_zone,
                     .size = request->size },
        .summary = slice_of_binary(request->summary),
        .upload_id = slice_of_binary(request->upload_id),
    };
    if (out->upload_id.len > 0)
        return find_upload(a, request, out);
    find_beside(a, request, out);
    return OK;
}

static enum err forget_upload(struct apply *a, struct slice id)
{
    struct key key;
    key_upload(&key, a->state.partition, id);
    struct kv_value value;
    TRY(state_get(&a->state, &key, &value));
    struct upload_row upload;
    bool good = upload_decode(value.bytes, &upload);
    kv_value_release(&value);
    if (!good)
        return state_corrupt(&a->state, &key);
    apply_delete(a, &key);
    key_upload_due(&key, a->state.partition, upload.began_ms, id);
    apply_delete(a, &key);
    return OK;
}

enum err incoming_take(struct apply *a, const struct incoming *in, uint32_t refs)
{
    if (in->upload_id.len > 0)
        TRY(forget_upload(a, in->upload_id));
    if (refs == 0) {
        struct cursor chunks = cursor_of(in->body.chunks);
        for (struct chunk chunk; in->upload_id.len > 0 && chunk_next(&chunks, &chunk);)
            apply_free_body(a, chunk.index, chunk.size);
        return OK;
    }
    if (in->upload_id.len == 0)
        a->body_taken = true;
    struct body_row row = in->body;
    row.refs = refs;
    put_body(a, in->message.body, &row);
    return OK;
}
