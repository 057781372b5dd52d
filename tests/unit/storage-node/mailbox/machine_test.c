/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: in, changed, copied, out; each refusal; repeats. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

static const char mail[] = "From: a@x\r\nSubject: hello\r\n\r\nbody\r\n";

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

static void test_deliver(void **state)
{
    struct fixture *f = *state;
    uint64_t to[] = { create_account(f, "a@example.test", 0), create_account(f, "b@example.test", 1), 12345 };
    ProtobufCBinaryData delivery = fixture_id(f);
    assert_int_equal(deliver_text(f, to, 3, mail, delivery), OK);
    Tern__DeliverResponse *r = fixture_unpack(f, &tern__deliver_response__descriptor, &f->result.response);
    assert_int_equal(r->n_results, 3);
    assert_int_equal(r->results[0]->status, OK);
    assert_int_equal(r->results[0]->uid, 1);
    assert_int_equal(r->results[1]->status, OK); /* quota was asked at RCPT */
    assert_int_equal(r->results[2]->status, ERR_NOT_FOUND);
    assert_int_equal(f->result.change_count, 2);
    assert_int_equal(count_rows(f, KV_BODY), 1);
    /* The same delivery under another request id: a queue's retry. */
    assert_int_equal(deliver_text(f, to, 2, mail, delivery), OK);
    r = fixture_unpack(f, &tern__deliver_response__descriptor, &f->result.response);
    assert_int_equal(r->results[0]->uid, 1);
    assert_true(r->results[0]->uidvalidity > 0);
    assert_int_equal(f->result.change_count, 0);
    assert_int_equal(count_rows(f, KV_BODY), 1);
    for (int i = 0; i < 2; i++) {
        Tern__Mailbox *inbox = open_mailbox(f, to[i], "INBOX");
        assert_int_equal(inbox->messages, 1);
        assert_string_equal(fetch_body(f, to[i], inbox->id, 1), mail);
    }
    /* Too old to be told from a repeat. */
    f->time_ms += (uint64_t)DELIVERY_RETENTION_MS + 1000;
    assert_int_equal(deliver_text(f, to, 2, mail, delivery), ERR_INVALID);
    assert_int_equal(deliver_text(f, to, 1, mail, fixture_id(f)), OK);
}

static void test_deliver_into_named_mailbox(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    Tern__NewMessage message = TERN__NEW_MESSAGE__INIT;
    message.size = 1;
    Tern__DeliverTarget target = TERN__DELIVER_TARGET__INIT;
    target.account = id;
    Tern__DeliverTarget *targets[] = { &target };
    Tern__DeliverRequest request = TERN__DELIVER_REQUEST__INIT;
    request.message = &message;
    request.targets = targets;
    request.n_targets = 1;
    static const char *const names[] = { "Junk", "Nowhere/Else" };
    for (int i = 0; i < 2; i++) {
        target.mailbox = (char *)names[i];
        request.delivery_id = fixture_id(f);
        f->body = SLICE_LIT("x");
        assert_int_equal(fixture_write(f, METHOD_DELIVER, &request.base), OK);
    }
    assert_int_equal(open_mailbox(f, id, "Junk")->messages, 1);
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 1);
}

static void test_store(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    for (int i = 0; i < 4; i++)
        append_text(f, id, box, mail, 0);
    uint64_t before = open_mailbox(f, id, "INBOX")->modseq;
    Tern__StoreFlagsResponse *r =
        store_flags(f, id, box, "2:3,99", TERN__STORE_MODE__STORE_ADD, MAIL_SEEN | MAIL_FLAGGED);
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "2:3");
    uint64_t modseq = r->modseq;
    assert_int_equal(r->before_modseq, before);
    assert_int_equal(open_mailbox(f, id, "INBOX")->modseq, modseq);
    assert_int_equal(open_mailbox(f, id, "INBOX")->unseen, 2);
    r = store_flags(f, id, box, "1:3", TERN__STORE_MODE__STORE_ADD, MAIL_SEEN); /* 2 and 3 have it */
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "1");
    r = store_flags(f, id, box, "3", TERN__STORE_MODE__STORE_REMOVE, MAIL_SEEN | MAIL_DRAFT);
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "3");
    store_flags(f, id, box, "4", TERN__STORE_MODE__STORE_REPLACE, MAIL_DRAFT);
    assert_string_equal(fetch_flags(f, id, box, "1:9", 0), "1:1 2:5 3:4 4:16 ");
    assert_string_equal(fetch_flags(f, id, box, "1:9", modseq), "1:1 3:4 4:16 ");
    before = open_mailbox(f, id, "INBOX")->modseq;
    r = store_flags(f, id, box, "1:9", TERN__STORE_MODE__STORE_REMOVE, MAIL_DELETED);
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "");
    assert_true(r->modseq == 0 && r->before_modseq == before);
    assert_int_equal(f->result.change_count, 0);
    assert_int_equal(open_mailbox(f, id, "INBOX")->unseen, 2);
    assert_int_equal(try_open_mailbox(f, id, "INBOX"), OK);
    Tern__MailboxOpenResponse *opened =
        fixture_unpack(f, &tern__mailbox_open_response__descriptor, &f->response);
    assert_int_equal(opened->first_unseen_uid, 3);
}

static void test_store_keywords_and_unchangedsince(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    append_text(f, id, box, mail, 0);
    append_text(f, id, box, mail, 0);
    uint64_t before = open_mailbox(f, id, "INBOX")->modseq;
    store_flags(f, id, box, "1", TERN__STORE_MODE__STORE_ADD, MAIL_SEEN);

    char *keywords[] = { (char *)"Work", (char *)"$MDNSent" };
    Tern__StoreFlagsRequest request = TERN__STORE_FLAGS_REQUEST__INIT;
    request.account = id;
    request.mailbox = box;
    request.uids = fixture_uids(f, "1:2");
    request.mode = TERN__STORE_MODE__STORE_ADD;
    request.keywords = keywords;
    request.n_keywords = 2;
    request.set_unchanged_since = true;
    request.unchanged_since = before;
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &request.base), OK);
    Tern__StoreFlagsResponse *r =
        fixture_unpack(f, &tern__store_flags_response__descriptor, &f->result.response);
    assert_string_equal(fixture_uids_text(f, r->modified_uids), "1");
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "2");
    assert_int_equal(r->n_keywords, 2);
    Tern__ChangesResponse *c = changes(f, id, box, before, NULL);
    assert_int_equal(c->n_keywords, 2);
    assert_string_equal(row_uids(f), "1 2 ");
    uint64_t now = c->modseq;

    keywords[0] = (char *)"WORK"; /* the same, whatever its case */
    request.set_unchanged_since = false;
    request.mode = TERN__STORE_MODE__STORE_REMOVE;
    request.n_keywords = 1;
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &request.base), OK);
    c = changes(f, id, box, now, NULL);
    assert_int_equal(c->n_keywords, 0);
    assert_int_equal(c->keyword_count, 2);
    assert_string_equal(row_uids(f), "2 ");

    char names[KEYWORDS_MAX + 1][8];
    char *many[KEYWORDS_MAX];
    for (int i = 0; i < KEYWORDS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "k%d", i);
        many[i] = names[i];
    }
    request.mode = TERN__STORE_MODE__STORE_ADD;
    request.keywords = many;
    request.n_keywords = KEYWORDS_MAX; /* with the two there are: too many */
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &request.base), ERR_LIMIT);
    assert_int_equal(open_mailbox(f, id, "INBOX")->n_keywords, 2);
    keywords[0] = (char *)"no good";
    request.keywords = keywords;
    request.n_keywords = 1;
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &request.base), ERR_INVALID);
}

static void test_expunge(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    for (int i = 0; i < 5; i++)
        append_text(f, id, box, mail, i % 2 == 0 ? MAIL_DELETED : 0);
    uint64_t before = open_mailbox(f, id, "INBOX")->modseq;
    assert_string_equal(expunge(f, id, box, "2:5", true), "3,5");
    assert_int_equal(fixture_repeat(f), OK);
    assert_string_equal(expunge(f, id, box, "2", true), "");
    assert_string_equal(expunge(f, id, box, "2,77", false), "2");
    Tern__Mailbox *after = open_mailbox(f, id, "INBOX");
    assert_int_equal(after->messages, 2);
    assert_int_equal(after->deleted, 1);
    assert_int_equal(after->uidnext, 6);
    assert_string_equal(fetch_flags(f, id, box, "1:9", 0), "1:8 4:0 ");
    Tern__ChangesResponse *c = changes(f, id, box, before, NULL);
    assert_string_equal(fixture_uids_text(f, c->vanished_uids), "2:3,5");
    assert_string_equal(row_uids(f), "");
    assert_int_equal(c->modseq, after->modseq);
    assert_int_equal(append_text(f, id, box, mail, 0), 6); /* UIDs are not used again */
    /* Bodies stay for readers on their way, then go. */
    assert_int_equal(count_rows(f, KV_BODY), 6);
    fixture_sweep(f);
    assert_int_equal(count_rows(f, KV_BODY), 6);
    f->time_ms += 3600 * 1000 + 1;
    bool due = false;
    assert_int_equal(machine_sweep_due(f->kv, PARTITION, f->time_ms, &due), OK);
    assert_true(due);
    fixture_sweep(f);
    assert_int_equal(count_rows(f, KV_BODY), 3);
    assert_string_equal(fetch_body(f, id, box, 1), mail);
}

static void test_copy_and_move(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t inbox = open_mailbox(f, id, "INBOX")->id, junk = open_mailbox(f, id, "Junk")->id;
    for (int i = 0; i < 4; i++)
        append_text(f, id, inbox, i == 2 ? "third" : mail, i == 1 ? MAIL_SEEN : 0);
    append_text(f, id, junk, "old", 0);
    Tern__CopyResponse *r = copy(f, id, inbox, junk, "2:3,9", false);
    assert_string_equal(fixture_uids_text(f, r->from_uids), "2:3");
    assert_string_equal(fixture_uids_text(f, r->to_uids), "2:3");
    assert_int_equal(r->uidvalidity, open_mailbox(f, id, "Junk")->uidvalidity);
    assert_int_equal(f->result.change_count, 1);
    assert_int_equal(count_rows(f, KV_BODY), 5); /* no new bytes */
    assert_string_equal(fetch_flags(f, id, junk, "1:9", 0), "1:0 2:1 3:0 ");
    assert_string_equal(fetch_body(f, id, junk, 3), "third");
    uint64_t before = open_mailbox(f, id, "INBOX")->modseq;
    r = copy(f, id, inbox, junk, "3:4", true);
    assert_string_equal(fixture_uids_text(f, r->to_uids), "4:5");
    assert_int_equal(f->result.change_count, 2);
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 2);
    assert_int_equal(open_mailbox(f, id, "Junk")->messages, 5);
    Tern__ChangesResponse *c = changes(f, id, inbox, before, NULL);
    assert_string_equal(fixture_uids_text(f, c->vanished_uids), "3:4");
    /* Onto itself. */
    r = copy(f, id, junk, junk, "1", false);
    assert_string_equal(fixture_uids_text(f, r->to_uids), "6");
    r = copy(f, id, junk, junk, "1", true);
    assert_string_equal(fixture_uids_text(f, r->to_uids), "7");
    assert_string_equal(fetch_flags(f, id, junk, "1:9", 0), "2:1 3:0 4:0 5:0 6:0 7:0 ");
    r = copy(f, id, junk, inbox, "1000", false);
    assert_string_equal(fixture_uids_text(f, r->to_uids), "");
    /* The copies outlive the original: references are counted. */
    expunge(f, id, inbox, "1:9", false);
    expunge(f, id, junk, "2,4:7", false);
    f->time_ms += 3600 * 1000 + 1;
    fixture_sweep(f);
    assert_int_equal(count_rows(f, KV_BODY), 1);
    assert_string_equal(fetch_body(f, id, junk, 3), "third");
}

static void test_copy_refusals_and_keywords(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 2 * strlen(mail));
    uint64_t inbox = open_mailbox(f, id, "INBOX")->id, junk = open_mailbox(f, id, "Junk")->id;
    append_text(f, id, inbox, mail, 0);
    append_text(f, id, inbox, mail, 0);
    Tern__CopyRequest request = TERN__COPY_REQUEST__INIT;
    request.account = id;
    request.from = inbox;
    request.to = junk;
    request.uids = fixture_uids(f, "1:2");
    assert_int_equal(fixture_write(f, METHOD_COPY, &request.base), ERR_OVER_QUOTA);
    assert_int_equal(open_mailbox(f, id, "Junk")->messages, 0);
    assert_int_equal(open_mailbox(f, id, "Junk")->uidnext, 1);
    request.to = 99;
    assert_int_equal(fixture_write(f, METHOD_COPY, &request.base), ERR_NOT_FOUND);
    request.from = 99;
    request.to = junk;
    assert_int_equal(fixture_write(f, METHOD_COPY, &request.base), ERR_NOT_FOUND);

    char *names[] = { (char *)"x", (char *)"y" };
    Tern__StoreFlagsRequest store = TERN__STORE_FLAGS_REQUEST__INIT;
    store.account = id;
    store.mailbox = inbox;
    store.uids = fixture_uids(f, "1");
    store.keywords = names;
    store.n_keywords = 1;
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &store.base), OK);
    names[0] = (char *)"y";
    store.uids = fixture_uids(f, "2");
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &store.base), OK);
    copy(f, id, inbox, junk, "2", true); /* a move needs no room */
    Tern__Mailbox *after = open_mailbox(f, id, "Junk");
    assert_int_equal(after->n_keywords, 1); /* only what was used, under its name */
    assert_string_equal(after->keywords[0], "y");
}

static void test_recent(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    append_text(f, id, box, mail, 0);
    append_text(f, id, box, mail, 0);
    uint64_t modseq = open_mailbox(f, id, "INBOX")->modseq;
    Tern__RecentAdvanceRequest request = TERN__RECENT_ADVANCE_REQUEST__INIT;
    request.account = id;
    request.mailbox = box;
    static const uint32_t steps[][2] = { { 1, 1 }, { 99, 2 }, { 1, 2 } };
    for (size_t i = 0; i < 3; i++) {
        request.recent_uid = steps[i][0];
        assert_int_equal(fixture_write(f, METHOD_RECENT_ADVANCE, &request.base), OK);
        assert_int_equal(open_mailbox(f, id, "INBOX")->recent_uid, steps[i][1]);
    }
    assert_int_equal(open_mailbox(f, id, "INBOX")->modseq, modseq);
}

static void test_changes(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    uint64_t start = open_mailbox(f, id, "INBOX")->modseq;
    append_text(f, id, box, mail, 0);
    append_text(f, id, box, mail, 0);
    append_text(f, id, box, mail, 0);
    Tern__ChangesResponse *c = changes(f, id, box, start, NULL);
    assert_string_equal(row_uids(f), "1 2 3 ");
    assert_int_equal(c->modseq, c->mailbox_modseq);
    assert_int_equal(c->uidnext, 4);
    uint64_t then = c->modseq;
    changes(f, id, box, then, NULL);
    assert_string_equal(row_uids(f), "");
    store_flags(f, id, box, "3", TERN__STORE_MODE__STORE_ADD, MAIL_SEEN);
    store_flags(f, id, box, "1", TERN__STORE_MODE__STORE_ADD, MAIL_SEEN);
    append_text(f, id, box, mail, 0);
    expunge(f, id, box, "2", false);
    c = changes(f, id, box, then, NULL);
    assert_string_equal(row_uids(f), "1 3 4 ");
    assert_string_equal(fixture_uids_text(f, c->vanished_uids), "2");
    c = changes(f, id, box, start, NULL);
    assert_string_equal(row_uids(f), "1 3 4 ");
    assert_false(c->floor_passed);
}

/* Beyond VANISHED_MAX rows the oldest are forgotten, and whoever asks from before is told. */
static void test_vanished_floor(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = open_mailbox(f, id, "INBOX")->id;
    append_text(f, id, box, mail, 0);
    uint64_t start = open_mailbox(f, id, "INBOX")->modseq;
    enum { MESSAGES = 512, ROUNDS = 42 };
    for (int i = 1; i < MESSAGES; i++)
        append_text(f, id, box, "x", 0);
    uint64_t other = open_mailbox(f, id, "Junk")->id;
    char all[64];
    for (int i = 0; i < 2 * ROUNDS; i++) {
        /* Every second message makes a range of its own: 255 rows a round. */
        uint32_t next = open_mailbox(f, id, "INBOX")->uidnext;
        snprintf(all, sizeof all, "2:%u", next);
        struct buf odd = { 0 };
        for (uint32_t uid = next - MESSAGES + 2; uid < next; uid += 2)
            buf_addf(&odd, "%s%u", odd.len > 0 ? "," : "", uid);
        expunge(f, id, box, buf_cstr(&odd), false);
        buf_fini(&odd);
        copy(f, id, box, other, "2:99999999", true);
        copy(f, id, other, box, "1:99999999", true);
        for (int more = open_mailbox(f, id, "INBOX")->messages; more < MESSAGES; more++)
            append_text(f, id, box, "x", 0);
    }
    Tern__Mailbox *m = open_mailbox(f, id, "INBOX");
    assert_true(m->vanished_floor > start);
    Tern__ChangesResponse *c = changes(f, id, box, start, NULL);
    assert_true(c->floor_passed);
    c = changes(f, id, box, start, "1:3");
    assert_string_equal(fixture_uids_text(f, c->vanished_uids), "2:3");
    c = changes(f, id, box, m->vanished_floor, NULL);
    assert_false(c->floor_passed);
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
    assert_int_equal(machine_check(METHOD_APPEND, rubbish, 0), ERR_INVALID);
    assert_int_equal(machine_check(METHOD_FETCH, rubbish, 0), ERR_INVALID);
    assert_int_equal(machine_check(METHOD_WATCH, SLICE_NULL, 0), ERR_UNSUPPORTED);
    assert_int_equal(machine_check(METHOD_UPLOAD_CHUNK, SLICE_NULL, BODY_CHUNK_MAX + 1), ERR_TOO_BIG);
    assert_int_equal(machine_check(METHOD_UPLOAD_CHUNK, SLICE_NULL, 10), ERR_INVALID);
    assert_int_equal(machine_check(METHOD_MAILBOX_LIST, SLICE_NULL, 0), OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_account_and_its_mailboxes),
        TEST(test_append_and_read_back),
        TEST(test_append_repeated),
        TEST(test_append_refusals),
        TEST(test_multiappend_is_all_or_none),
        TEST(test_deliver),
        TEST(test_deliver_into_named_mailbox),
        TEST(test_store),
        TEST(test_store_keywords_and_unchangedsince),
        TEST(test_expunge),
        TEST(test_copy_and_move),
        TEST(test_copy_refusals_and_keywords),
        TEST(test_recent),
        TEST(test_changes),
        TEST(test_vanished_floor),
        TEST(test_fetch_pages),
        TEST(test_sweep_forgets),
        TEST(test_time),
        TEST(test_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
