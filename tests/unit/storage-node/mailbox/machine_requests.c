/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of machine_fixture.h that most tests need. */
#include <string.h>

#include "tests/unit/storage-node/mailbox/machine_fixture.h"

const char mail[] = "From: a@x\r\nSubject: hello\r\n\r\nbody\r\n";

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
