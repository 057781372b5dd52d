/* SPDX-License-Identifier: Apache-2.0 */
/* APPEND: what it stores and counts, each refusal, repeats, several messages at once. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

static void test_append_and_read_back(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "bob@example.test", 0);
    Tern__Mailbox *inbox = open_mailbox(f, id, "INBOX");
    assert_int_equal(append_text(f, id, inbox->id, mail, 0), 1);
    assert_int_equal(append_text(f, id, inbox->id, "x\r\n", MAIL_SEEN | MAIL_DELETED), 2);
    Tern__Mailbox *after = open_mailbox(f, id, "INBOX");
    assert_int_equal(after->messages, 2);
    assert_int_equal(after->unseen, 1);
    assert_int_equal(after->deleted, 1);
    assert_int_equal(after->size, strlen(mail) + 3);
    assert_int_equal(after->uidnext, 3);
    assert_true(after->modseq > inbox->modseq);
    assert_int_equal(after->uidvalidity, inbox->uidvalidity);
    assert_string_equal(fetch_flags(f, id, inbox->id, "1:10", 0), "1:0 2:9 ");
    assert_string_equal(fetch_body(f, id, inbox->id, 1), mail);
    assert_null(fetch_body(f, id, inbox->id, 3));
    Tern__MailboxOpenResponse *opened;
    assert_int_equal(try_open_mailbox(f, id, "INBOX"), OK);
    opened = fixture_unpack(f, &tern__mailbox_open_response__descriptor, &f->response);
    assert_string_equal(fixture_uids_text(f, opened->uids), "1:2");
    assert_int_equal(opened->first_unseen_uid, 1);
}

static void test_append_repeated(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "bob@example.test", 0);
    Tern__Mailbox *inbox = open_mailbox(f, id, "INBOX");
    assert_int_equal(append_text(f, id, inbox->id, mail, 0), 1);
    struct buf first = { 0 };
    buf_add_slice(&first, buf_slice(&f->result.response));
    size_t bodies = count_rows(f, KV_BODY);
    assert_int_equal(fixture_repeat(f), OK);
    assert_true(slice_eq(buf_slice(&first), buf_slice(&f->result.response)));
    assert_int_equal(f->result.change_count, 0);
    assert_int_equal(count_rows(f, KV_BODY), bodies); /* the bytes of the repeat are gone again */
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 1);
    buf_fini(&first);
}

static void test_append_refusals(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "bob@example.test", 50);
    Tern__Mailbox *inbox = open_mailbox(f, id, "INBOX");
    size_t bodies = count_rows(f, KV_BODY);
    assert_int_equal(try_append(f, id, 999, "x", 0), ERR_NOT_FOUND);
    assert_int_equal(try_append(f, id + 1, inbox->id, "x", 0), ERR_NOT_FOUND);
    assert_int_equal(try_append(f, 0, inbox->id, "x", 0), ERR_NOT_FOUND);
    assert_int_equal(try_append(f, id, inbox->id, "x", 0x100), ERR_INVALID);
    assert_int_equal(try_append(f, id, inbox->id, "0123456789012345678901234567890123456789012345678901", 0),
                     ERR_OVER_QUOTA);
    assert_int_equal(fixture_repeat(f), ERR_OVER_QUOTA);
    assert_int_equal(count_rows(f, KV_BODY), bodies);
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 0);
    assert_int_equal(append_text(f, id, inbox->id, "01234567890123456789", 0), 1);
    /* A request of before the memory of ids. */
    f->time_ms += REQUEST_RETENTION_MS + 100;
    assert_int_equal(fixture_repeat(f), ERR_EXPIRED);
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 1);
}

static void test_multiappend_is_all_or_none(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "bob@example.test", 0);
    Tern__Mailbox *inbox = open_mailbox(f, id, "INBOX");
    Tern__UploadChunkRequest chunk = TERN__UPLOAD_CHUNK_REQUEST__INIT;
    chunk.upload_id = fixture_id(f);
    f->body = SLICE_LIT("first half ");
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    assert_int_equal(fixture_repeat(f), OK); /* the same chunk again has no effect */
    chunk.offset = 5;
    f->body = SLICE_LIT("wrong place");
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), ERR_INVALID);
    chunk.offset = 11;
    chunk.last = true;
    f->body = SLICE_LIT("second half");
    assert_int_equal(fixture_write(f, METHOD_UPLOAD_CHUNK, &chunk.base), OK);
    assert_int_equal(count_rows(f, KV_BODY), 2);

    Tern__NewMessage beside = TERN__NEW_MESSAGE__INIT, uploaded = TERN__NEW_MESSAGE__INIT;
    beside.size = 3;
    char *keywords[] = { (char *)"$Forwarded", (char *)"work" };
    beside.keywords = keywords;
    beside.n_keywords = 2;
    uploaded.upload_id = fixture_id(f);
    uploaded.size = 22;
    Tern__NewMessage *messages[] = { &beside, &uploaded };
    Tern__AppendRequest request = TERN__APPEND_REQUEST__INIT;
    request.account = id;
    request.mailbox = inbox->id;
    request.messages = messages;
    request.n_messages = 2;
    f->body = SLICE_LIT("abc");
    assert_int_equal(fixture_write(f, METHOD_APPEND, &request.base), ERR_NOT_FOUND); /* no such upload */
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 0);
    assert_int_equal(count_rows(f, KV_BODY), 2);
    uploaded.upload_id = chunk.upload_id;
    uploaded.size = 21;
    f->body = SLICE_LIT("abc");
    assert_int_equal(fixture_write(f, METHOD_APPEND, &request.base), ERR_INVALID); /* another size */
    uploaded.size = 22;
    f->body = SLICE_LIT("abc");
    assert_int_equal(fixture_write(f, METHOD_APPEND, &request.base), OK);
    assert_string_equal(fetch_body(f, id, inbox->id, 1), "abc");
    assert_string_equal(fetch_body(f, id, inbox->id, 2), "first half second half");
    Tern__Mailbox *after = open_mailbox(f, id, "INBOX");
    assert_int_equal(after->n_keywords, 2);
    assert_string_equal(after->keywords[1], "work");
    /* A range that spans both chunks. */
    Tern__BodyRequest body = TERN__BODY_REQUEST__INIT;
    body.account = id;
    body.mailbox = inbox->id;
    body.uid = 2;
    body.offset = 6;
    body.length = 11;
    assert_int_equal(fixture_read(f, METHOD_BODY, &body.base), OK);
    assert_true(slice_eq_str(buf_slice(&f->rows), "half second"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_append_and_read_back),
        TEST(test_append_repeated),
        TEST(test_append_refusals),
        TEST(test_multiappend_is_all_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
