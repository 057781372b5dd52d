/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

#include "lib/base/alloc.h"

const char mail[] = "From: a@x\r\nSubject: hello\r\n\r\nbody\r\n";

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

/* ---- requests */

uint64_t create_account(struct fixture *f, const char *address, uint64_t quota)
{
    Tern__Credential credential = TERN__CREDENTIAL__INIT;
    credential.scheme = 1;
    credential.iterations = 4096;
    Tern__AccountCreateRequest request = TERN__ACCOUNT_CREATE_REQUEST__INIT;
    request.address = (char *)address;
    request.credential = &credential;
    request.quota_bytes = quota;
    assert_int_equal(fixture_write(f, METHOD_ACCOUNT_CREATE, &request.base), OK);
    Tern__AccountCreateResponse *response =
        fixture_unpack(f, &tern__account_create_response__descriptor, &f->result.response);
    return response->account->id;
}

enum err try_open_mailbox(struct fixture *f, uint64_t account, const char *name)
{
    Tern__MailboxOpenRequest request = TERN__MAILBOX_OPEN_REQUEST__INIT;
    request.account = account;
    request.name = (char *)name;
    request.with_uids = true;
    return fixture_read(f, METHOD_MAILBOX_OPEN, &request.base);
}

Tern__Mailbox *open_mailbox(struct fixture *f, uint64_t account, const char *name)
{
    assert_int_equal(try_open_mailbox(f, account, name), OK);
    Tern__MailboxOpenResponse *response =
        fixture_unpack(f, &tern__mailbox_open_response__descriptor, &f->response);
    return response->mailbox;
}

Tern__Mailbox *create_mailbox(struct fixture *f, uint64_t account, const char *name)
{
    Tern__MailboxCreateRequest request = TERN__MAILBOX_CREATE_REQUEST__INIT;
    request.account = account;
    request.name = (char *)name;
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_CREATE, &request.base), OK);
    Tern__MailboxCreateResponse *response =
        fixture_unpack(f, &tern__mailbox_create_response__descriptor, &f->result.response);
    return response->mailbox;
}

enum err try_append(struct fixture *f, uint64_t account, uint64_t mailbox, const char *text, uint32_t flags)
{
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    message.size = strlen(text);
    message.flags = flags;
    Tern__NewMessage *messages[] = { &message };
    Tern__AppendRequest request = TERN__APPEND_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    request.n_messages = 1;
    request.messages = messages;
    f->body = slice_str(text);
    return fixture_write(f, METHOD_APPEND, &request.base);
}

uint32_t append_text(struct fixture *f, uint64_t account, uint64_t mailbox, const char *text, uint32_t flags)
{
    assert_int_equal(try_append(f, account, mailbox, text, flags), OK);
    Tern__AppendResponse *response =
        fixture_unpack(f, &tern__append_response__descriptor, &f->result.response);
    return (uint32_t)strtoul(fixture_uids_text(f, response->uids), NULL, 10);
}

enum err deliver_text(struct fixture *f, const uint64_t *accounts, size_t count, const char *text,
                      ProtobufCBinaryData delivery_id)
{
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    message.size = strlen(text);
    Tern__DeliverRequest request = TERN__DELIVER_REQUEST__INIT;
    request.delivery_id = delivery_id;
    request.message = &message;
    request.n_targets = count;
    request.targets = ARENA_ARRAY(&f->arena, Tern__DeliverTarget *, count);
    for (size_t i = 0; i < count; i++) {
        request.targets[i] = ARENA_NEW(&f->arena, Tern__DeliverTarget);
        tern__deliver_target__init(request.targets[i]);
        request.targets[i]->account = accounts[i];
    }
    f->body = slice_str(text);
    return fixture_write(f, METHOD_DELIVER, &request.base);
}

Tern__StoreFlagsResponse *store_flags(struct fixture *f, uint64_t account, uint64_t mailbox, const char *uids,
                                      Tern__StoreMode mode, uint32_t flags)
{
    Tern__StoreFlagsRequest request = TERN__STORE_FLAGS_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    request.uids = fixture_uids(f, uids);
    request.mode = mode;
    request.flags = flags;
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &request.base), OK);
    return fixture_unpack(f, &tern__store_flags_response__descriptor, &f->result.response);
}

const char *expunge(struct fixture *f, uint64_t account, uint64_t mailbox, const char *uids,
                    bool only_deleted)
{
    Tern__ExpungeRequest request = TERN__EXPUNGE_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    request.uids = fixture_uids(f, uids);
    request.only_deleted = only_deleted;
    assert_int_equal(fixture_write(f, METHOD_EXPUNGE, &request.base), OK);
    Tern__ExpungeResponse *response =
        fixture_unpack(f, &tern__expunge_response__descriptor, &f->result.response);
    return fixture_uids_text(f, response->vanished_uids);
}

Tern__CopyResponse *copy(struct fixture *f, uint64_t account, uint64_t from, uint64_t to, const char *uids,
                         bool move)
{
    Tern__CopyRequest request = TERN__COPY_REQUEST__INIT;
    request.account = account;
    request.from = from;
    request.to = to;
    request.uids = fixture_uids(f, uids);
    request.move = move;
    assert_int_equal(fixture_write(f, METHOD_COPY, &request.base), OK);
    return fixture_unpack(f, &tern__copy_response__descriptor, &f->result.response);
}

const char *fetch_flags(struct fixture *f, uint64_t account, uint64_t mailbox, const char *uids,
                        uint64_t changed_since)
{
    Tern__FetchRequest request = TERN__FETCH_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    request.uids = fixture_uids(f, uids);
    request.max_bytes = FETCH_PAGE_MAX;
    request.changed_since = changed_since;
    assert_int_equal(fixture_read(f, METHOD_FETCH, &request.base), OK);
    struct buf text = { 0 };
    struct cursor c = cursor_of(buf_slice(&f->rows));
    for (struct row row; row_next(&c, &row) == OK;)
        buf_addf(&text, "%u:%u ", row.uid, row.flags);
    const char *out = arena_strdup(&f->arena, buf_slice(&text));
    buf_fini(&text);
    return out;
}

const char *fetch_body(struct fixture *f, uint64_t account, uint64_t mailbox, uint32_t uid)
{
    Tern__BodyRequest request = TERN__BODY_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    request.uid = uid;
    request.length = FETCH_PAGE_MAX;
    if (fixture_read(f, METHOD_BODY, &request.base) != OK)
        return NULL;
    return arena_strdup(&f->arena, buf_slice(&f->rows));
}

Tern__ChangesResponse *changes(struct fixture *f, uint64_t account, uint64_t mailbox, uint64_t since,
                               const char *known)
{
    Tern__ChangesRequest request = TERN__CHANGES_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    request.since_modseq = since;
    if (known != NULL)
        request.known_uids = fixture_uids(f, known);
    assert_int_equal(fixture_read(f, METHOD_CHANGES, &request.base), OK);
    return fixture_unpack(f, &tern__changes_response__descriptor, &f->response);
}

const char *row_uids(struct fixture *f)
{
    struct buf text = { 0 };
    struct cursor c = cursor_of(buf_slice(&f->rows));
    for (struct row row; row_next(&c, &row) == OK;)
        buf_addf(&text, "%u ", row.uid);
    const char *out = arena_strdup(&f->arena, buf_slice(&text));
    buf_fini(&text);
    return out;
}

size_t count_rows(struct fixture *f, enum kv_family family)
{
    struct kv_iter *it = kv_iter_new(f->kv, NULL, family, SLICE_NULL, SLICE_NULL);
    size_t count = 0;
    for (bool on_row = kv_iter_seek(it, SLICE_NULL); on_row; on_row = kv_iter_next(it))
        count++;
    kv_iter_free(&it);
    return count;
}
