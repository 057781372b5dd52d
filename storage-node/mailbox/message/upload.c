/* SPDX-License-Identifier: Apache-2.0 */
/* UPLOAD_CHUNK: a large message arrives in pieces before the entry that makes it one. */
#include "storage-node/mailbox/edit/edit.h"

enum err check_upload_chunk(const Tern__UploadChunkRequest *request, size_t body_len)
{
    if (request->upload_id.len != REQUEST_ID_SIZE || body_len == 0)
        return ERR_INVALID;
    if (request->summary.len > SUMMARY_BYTES_MAX)
        return ERR_TOO_BIG;
    return !request->last && request->summary.len > 0 ? ERR_INVALID : OK;
}

static enum err load_upload(struct apply *a, const struct key *key, struct upload_row *out)
{
    struct kv_value value;
    TRY(state_get(&a->state, key, &value));
    struct slice bytes = arena_slice(a->state.arena, value.bytes);
    kv_value_release(&value);
    return upload_decode(bytes, out) ? OK : state_corrupt(&a->state, key);
}

static void begin_upload(struct apply *a, struct slice id, struct upload_row *upload)
{
    *upload = (struct upload_row){ .began_ms = a->header->time_ms };
    struct key due;
    key_upload_due(&due, a->state.partition, upload->began_ms, id);
    apply_put_empty(a, &due);
}

static void add_chunk(struct apply *a, struct upload_row *upload, uint32_t size)
{
    struct buf chunks = { 0 };
    buf_add_slice(&chunks, upload->chunks);
    chunk_encode(&(struct chunk){ a->index, size }, &chunks);
    upload->chunks = arena_slice(a->state.arena, buf_slice(&chunks));
    buf_fini(&chunks);
    upload->chunk_count++;
    upload->size += size;
}

enum err apply_upload_chunk(struct apply *a, const Tern__UploadChunkRequest *request)
{
    struct slice id = slice_of_binary(request->upload_id);
    struct key key;
    key_upload(&key, a->state.partition, id);
    struct upload_row upload;
    enum err err = load_upload(a, &key, &upload);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    a->unremembered = true; /* the row knows its newest chunk, and no other is repeated */
    Tern__UploadChunkResponse response = TERN__UPLOAD_CHUNK_RESPONSE__INIT;
    apply_respond(a, &response.base);
    if (err == OK && slice_eq(slice_of(upload.last_request, REQUEST_ID_SIZE), apply_request_id(a)))
        return OK;

    if (request->offset != (err == OK ? upload.size : 0) || (err == OK && upload.complete))
        return ERR_INVALID;
    if (err == ERR_NOT_FOUND)
        begin_upload(a, id, &upload);
    if (upload.chunk_count == UPLOAD_CHUNKS_MAX)
        return ERR_TOO_BIG;
    add_chunk(a, &upload, a->header->body_len);
    a->body_taken = true;
    upload.complete = request->last;
    upload.summary = slice_of_binary(request->summary);
    memcpy(upload.last_request, a->header->request_id, REQUEST_ID_SIZE);
    upload_encode(&upload, a->value);
    apply_put(a, &key);
    return OK;
}
