/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

#include "lib/base/alloc.h"

void fixture_open(struct fixture *f)
{
    *f = (struct fixture){ .time_ms = TIME_START };
    f->kv = kv_open_mem();
    f->txn = kv_txn_new(f->kv);
}

/* What is told of freed bodies is what is there: the driver counts by it. */
static void check_body_bytes(struct fixture *f)
{
    uint64_t bytes = 0;
    struct kv_iter *it = kv_iter_new(f->kv, NULL, KV_BODY, SLICE_NULL, SLICE_NULL);
    for (bool found = kv_iter_seek(it, SLICE_NULL); found; found = kv_iter_next(it))
        bytes += kv_iter_value(it).len;
    kv_iter_free(&it);
    assert_int_equal(f->body_bytes, bytes);
}

void fixture_close(struct fixture *f)
{
    if (!f->damaged)
        check_body_bytes(f);
    kv_txn_free(&f->txn);
    kv_close(&f->kv);
    machine_result_fini(&f->result);
    buf_fini(&f->request);
    buf_fini(&f->entry);
    buf_fini(&f->log);
    buf_fini(&f->response);
    buf_fini(&f->rows);
    arena_fini(&f->arena);
}

int fixture_setup(void **state)
{
    struct fixture *f = NEW(struct fixture);
    fixture_open(f);
    *state = f;
    return 0;
}

int fixture_teardown(void **state)
{
    fixture_close(*state);
    free(*state);
    return 0;
}

static void put_body(struct fixture *f, struct kv_batch *b, struct slice body)
{
    if (body.len == 0)
        return;
    struct buf key = { 0 };
    machine_body_key(PARTITION, f->index, &key);
    kv_batch_put(b, KV_BODY, buf_slice(&key), body);
    buf_fini(&key);
}

static void delete_bodies(struct fixture *f, struct kv_batch *b)
{
    struct buf from = { 0 }, to = { 0 };
    for (size_t i = 0; i < f->result.free_body_count; i++) {
        machine_body_key(PARTITION, f->result.free_bodies[i].first, &from);
        machine_body_key(PARTITION, f->result.free_bodies[i].last + 1, &to);
        kv_batch_delete_range(b, KV_BODY, buf_slice(&from), buf_slice(&to));
    }
    buf_fini(&from);
    buf_fini(&to);
}

enum err fixture_apply(struct fixture *f, struct slice entry, struct slice body)
{
    f->index++;
    buf_add_varbytes(&f->log, entry);
    buf_add_varbytes(&f->log, body);
    struct kv_batch *b = kv_batch_new(f->kv);
    put_body(f, b, body);
    assert_int_equal(kv_write(f->kv, b), OK);
    enum err err = machine_apply(f->txn, PARTITION, f->index, entry, &f->result);
    f->damaged |= err != OK;
    f->body_bytes += body.len - f->result.free_body_bytes;
    if (err != OK) {
        kv_batch_free(&b);
        return err;
    }
    assert_int_equal(kv_txn_commit(f->txn), OK);
    kv_batch_clear(b);
    delete_bodies(f, b);
    assert_int_equal(kv_write(f->kv, b), OK);
    assert_int_equal(kv_sync(f->kv), OK);
    kv_batch_free(&b);
    return OK;
}

ProtobufCBinaryData fixture_id(struct fixture *f)
{
    struct buf b = { 0 };
    buf_add_be64(&b, f->time_ms);
    buf_add_be64(&b, ++f->id_counter);
    ProtobufCBinaryData id = { b.len, arena_memdup(&f->arena, b.data, b.len) };
    buf_fini(&b);
    return id;
}

enum err fixture_write(struct fixture *f, uint32_t method, const ProtobufCMessage *request)
{
    f->request.len = 0;
    buf_reserve(&f->request, protobuf_c_message_get_packed_size(request));
    f->request.len = protobuf_c_message_pack(request, f->request.data);
    f->time_ms += 10;
    struct entry_header header = {
        .version = MACHINE_VERSION, .method = method, .time_ms = f->time_ms, .body_len = (uint32_t)f->body.len
    };
    memcpy(header.request_id, fixture_id(f).data, REQUEST_ID_SIZE);
    buf_clear(&f->entry);
    entry_encode(&header, buf_slice(&f->request), &f->entry);
    struct slice body = f->body;
    f->body = SLICE_NULL;
    assert_int_equal(fixture_apply(f, buf_slice(&f->entry), body), OK);
    return f->result.status;
}

enum err fixture_repeat(struct fixture *f)
{
    struct entry_header header;
    struct slice request;
    assert_int_equal(entry_decode(buf_slice(&f->entry), &header, &request), OK);
    f->time_ms += 10;
    header.time_ms = f->time_ms;
    struct buf entry = { 0 };
    entry_encode(&header, request, &entry);
    char *body = xcalloc(1, header.body_len + 1);
    memset(body, 'x', header.body_len);
    assert_int_equal(fixture_apply(f, buf_slice(&entry), slice_of(body, header.body_len)), OK);
    free(body);
    buf_fini(&entry);
    return f->result.status;
}

void fixture_sweep(struct fixture *f)
{
    struct entry_header header = { .version = MACHINE_VERSION, .method = ENTRY_SWEEP, .time_ms = f->time_ms };
    buf_clear(&f->entry);
    entry_encode(&header, SLICE_NULL, &f->entry);
    assert_int_equal(fixture_apply(f, buf_slice(&f->entry), SLICE_NULL), OK);
}

enum err fixture_read(struct fixture *f, uint32_t method, const ProtobufCMessage *request)
{
    f->request.len = 0;
    buf_reserve(&f->request, protobuf_c_message_get_packed_size(request) + 1);
    f->request.len = protobuf_c_message_pack(request, f->request.data);
    struct kv_view *view = kv_view_new(f->kv);
    enum err err =
        machine_read(f->kv, view, PARTITION, method, buf_slice(&f->request), &f->response, &f->rows);
    kv_view_free(&view);
    return err;
}

static void *alloc_in_arena(void *arena, size_t size)
{
    return arena_alloc(arena, size);
}

static void free_nothing(void *arena, void *ptr) {}

void *fixture_unpack(struct fixture *f, const ProtobufCMessageDescriptor *descriptor,
                     const struct buf *packed)
{
    ProtobufCAllocator allocator = { alloc_in_arena, free_nothing, &f->arena };
    void *message = protobuf_c_message_unpack(descriptor, &allocator, packed->len,
                                              packed->len == 0 ? (uint8_t *)"" : packed->data);
    assert_non_null(message);
    return message;
}

ProtobufCBinaryData fixture_uids(struct fixture *f, const char *text)
{
    struct uidset set = { 0 };
    if (text[0] != '\0')
        assert_int_equal(uidset_parse(slice_str(text), &set), OK);
    struct buf b = { 0 };
    uidset_encode(&set, &b);
    ProtobufCBinaryData out = { b.len, arena_memdup(&f->arena, b.data, b.len) };
    buf_fini(&b);
    uidset_fini(&set);
    return out;
}

const char *fixture_uids_text(struct fixture *f, ProtobufCBinaryData bytes)
{
    struct uidset set = { 0 };
    struct cursor c = cursor_of(slice_of(bytes.data, bytes.len));
    if (bytes.len > 0)
        assert_int_equal(uidset_decode(&c, &set), OK);
    struct buf b = { 0 };
    uidset_format(&set, &b);
    const char *text = arena_strdup(&f->arena, buf_slice(&b));
    buf_fini(&b);
    uidset_fini(&set);
    return text;
}
