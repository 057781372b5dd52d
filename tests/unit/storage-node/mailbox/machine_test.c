/* SPDX-License-Identifier: Apache-2.0 */
/* A new account, pages of FETCH, what a sweep takes away, the time, and the check of requests. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

static void test_account_and_its_mailboxes(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "bob@example.test", 1000);
    assert_int_equal(id >> 32, PARTITION);
    Tern__MailboxListRequest request = TERN__MAILBOX_LIST_REQUEST__INIT;
    request.account = id;
    assert_int_equal(fixture_read(f, METHOD_MAILBOX_LIST, &request.base), OK);
    Tern__MailboxListResponse *list =
        fixture_unpack(f, &tern__mailbox_list_response__descriptor, &f->response);
    static const struct {
        const char *name;
        uint32_t use;
    } want[] = { { "INBOX", 0 },       { "Archive", USE_ARCHIVE }, { "Drafts", USE_DRAFTS },
                 { "Junk", USE_JUNK }, { "Sent", USE_SENT },       { "Trash", USE_TRASH } };
    assert_int_equal(list->n_mailboxes, 6);
    assert_int_equal(list->n_subscribed, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(list->mailboxes[i]->name, want[i].name);
        assert_int_equal(list->mailboxes[i]->special_use, want[i].use);
        assert_int_equal(list->mailboxes[i]->uidnext, 1);
        assert_true(list->mailboxes[i]->uidvalidity >= TIME_START / 1000);
        assert_true(list->mailboxes[i]->modseq > 0);
    }
    request.account = id + 1;
    assert_int_equal(fixture_read(f, METHOD_MAILBOX_LIST, &request.base), ERR_NOT_FOUND);
}

static void test_fetch_pages(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    static char large[6000];
    memset(large, 'y', sizeof large - 1);
    append_text(f, id, box, mail, 0);
    append_text(f, id, box, large, 0);
    for (int i = 0; i < 200; i++)
        append_text(f, id, box, mail, 0);
    Tern__FetchRequest request = TERN__FETCH_REQUEST__INIT;
    request.account = id;
    request.mailbox = box;
    request.items =
        TERN__FETCH_ITEM__FETCH_BODY | TERN__FETCH_ITEM__FETCH_HEADER | TERN__FETCH_ITEM__FETCH_SUMMARY;
    request.max_bytes = 1; /* the least there is: 4 KiB */
    uint32_t expected = 1, pages = 0;
    for (uint32_t from = 1; from != 0; pages++) {
        char uids[32];
        snprintf(uids, sizeof uids, "%u:4294967295", from);
        request.uids = fixture_uids(f, uids);
        assert_int_equal(fixture_read(f, METHOD_FETCH, &request.base), OK);
        struct cursor c = cursor_of(buf_slice(&f->rows));
        for (struct row row; row_next(&c, &row) == OK; expected++) {
            assert_int_equal(row.uid, expected);
            if (row.uid == 2) {
                assert_int_equal(row.parts & ROW_BODY, 0); /* too large for any page */
            } else {
                assert_true(slice_eq_str(row.body, mail));
                assert_true(slice_eq(row.header, slice_of(mail, strlen(mail) - 6)));
            }
        }
        from = ((Tern__FetchResponse *)fixture_unpack(f, &tern__fetch_response__descriptor, &f->response))
                   ->next_uid;
    }
    assert_int_equal(expected, 203);
    assert_true(pages > 2);
}

/* The only row of a mailbox's FETCH of header and body; valid until the next read. */
static struct row fetch_bytes(struct fixture *f, uint64_t id, uint64_t box)
{
    Tern__FetchRequest request = TERN__FETCH_REQUEST__INIT;
    request.account = id;
    request.mailbox = box;
    request.items = TERN__FETCH_ITEM__FETCH_BODY | TERN__FETCH_ITEM__FETCH_HEADER;
    request.uids = fixture_uids(f, "1");
    assert_int_equal(fixture_read(f, METHOD_FETCH, &request.base), OK);
    struct cursor c = cursor_of(buf_slice(&f->rows));
    struct row row;
    assert_int_equal(row_next(&c, &row), OK);
    assert_true(cursor_done(&c));
    return row;
}

/* A header and a body that lie in two chunks; and what is left when one of them is gone. */
static void test_fetch_of_chunks(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    Tern__UploadChunkRequest chunk = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    chunk.upload_id = fixture_id(f);
    f->body = SLICE_LIT("Subject: wi");
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    chunk.offset = strlen("Subject: wi");
    chunk.last = true;
    f->body = SLICE_LIT("de\r\n\r\ntext");
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    uint64_t last = f->index;
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT, *messages[] = { &message };
    message.upload_id = chunk.upload_id;
    message.size = strlen("Subject: wide\r\n\r\ntext");
    Tern__AppendRequest request = TERN__APPEND_REQUEST__INIT;
    request.account = id;
    request.mailbox = box;
    request.messages = messages;
    request.n_messages = 1;
    assert_int_equal(fixture_write(f, METHOD_APPEND, &request.base), OK);

    struct row row = fetch_bytes(f, id, box);
    assert_int_equal(row.parts, ROW_HEADER | ROW_BODY);
    assert_true(slice_eq_str(row.header, "Subject: wide\r\n\r\n"));
    assert_true(slice_eq_str(row.body, "Subject: wide\r\n\r\ntext"));

    struct buf key = { 0 };
    struct kv_batch *b = kv_batch_new(f->kv);
    machine_body_key(PARTITION, last, &key);
    kv_batch_delete(b, KV_BODY, buf_slice(&key));
    assert_int_equal(kv_write(f->kv, b), OK);
    row = fetch_bytes(f, id, box);
    assert_int_equal(row.uid, 1);
    assert_int_equal(row.parts, 0);
    kv_batch_clear(b);
    kv_batch_put(b, KV_BODY, buf_slice(&key), SLICE_LIT("de\r\n\r\ntext")); /* the fixture counts bytes */
    assert_int_equal(kv_write(f->kv, b), OK);
    kv_batch_free(&b);
    buf_fini(&key);
}

static void test_sweep_forgets(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    size_t rows = count_rows(f, KV_STATE);
    Tern__UploadChunkRequest chunk = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    chunk.upload_id = fixture_id(f);
    f->body = SLICE_LIT("never used");
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    assert_int_equal(deliver_text(f, &id, 1, mail, fixture_id(f)), OK);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    expunge(f, id, box, "1", false);
    bool due = true;
    assert_int_equal(machine_sweep_due(f->kv, PARTITION, f->time_ms, &due), OK);
    assert_false(due);
    fixture_sweep(f);
    assert_int_equal(count_rows(f, KV_BODY), 2);
    f->time_ms += (uint64_t)8 * 24 * 3600 * 1000;
    fixture_sweep(f);
    assert_int_equal(count_rows(f, KV_BODY), 0);
    /* What stays: one VANISHED row more, one request id (the account's) less. */
    assert_int_equal(count_rows(f, KV_STATE), rows);
    assert_int_equal(machine_sweep_due(f->kv, PARTITION, f->time_ms, &due), OK);
    assert_false(due);
}

static void test_time(void **state)
{
    struct fixture *f = *state;
    uint64_t time_ms = 1;
    assert_int_equal(machine_time(f->kv, NULL, PARTITION, &time_ms), OK);
    assert_int_equal(time_ms, 0);
    create_account(f, "a@example.test", 0);
    assert_int_equal(machine_time(f->kv, NULL, PARTITION, &time_ms), OK);
    assert_int_equal(time_ms, f->time_ms);
}

static void test_check(void **state)
{
    struct slice rubbish = SLICE_LIT("\xff\xff\xff");
    assert_int_equal(machine_check(MACHINE_VERSION, METHOD_APPEND, rubbish, 0), ERR_INVALID);
    assert_int_equal(machine_check(MACHINE_VERSION, METHOD_FETCH, rubbish, 0), ERR_INVALID);
    assert_int_equal(machine_check(MACHINE_VERSION, METHOD_WATCH, SLICE_NULL, 0), ERR_UNSUPPORTED);
    assert_int_equal(machine_check(MACHINE_VERSION, METHOD_UPLOAD_CHUNK, SLICE_NULL, BODY_CHUNK_MAX + 1),
                     ERR_TOO_BIG);
    assert_int_equal(machine_check(MACHINE_VERSION, METHOD_UPLOAD_CHUNK, SLICE_NULL, 10), ERR_INVALID);
    assert_int_equal(machine_check(MACHINE_VERSION, METHOD_MAILBOX_LIST, SLICE_NULL, 0), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_account_and_its_mailboxes),
        TEST(test_fetch_pages),
        TEST(test_fetch_of_chunks),
        TEST(test_sweep_forgets),
        TEST(test_time),
        TEST(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
