/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of mailboxes, subscriptions, SELECT. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

#include "lib/mail/mailbox_name.h"

static Tern__MailboxListResponse *list(struct fixture *f, uint64_t account)
{
    Tern__MailboxListRequest request = TERN__MAILBOX_LIST_REQUEST__INIT;
    request.account = account;
    assert_int_equal(fixture_read(f, METHOD_MAILBOX_LIST, &request.base), OK);
    return fixture_unpack(f, &tern__mailbox_list_response__descriptor, &f->response);
}

/* Names as "INBOX Archive ...", \Noselect ones in brackets. */
static const char *names(struct fixture *f, uint64_t account)
{
    Tern__MailboxListResponse *l = list(f, account);
    struct buf b = { 0 };
    for (size_t i = 0; i < l->n_mailboxes; i++)
        buf_addf(&b, l->mailboxes[i]->noselect ? "(%s) " : "%s ", l->mailboxes[i]->name);
    const char *text = arena_strdup(&f->arena, buf_slice(&b));
    buf_fini(&b);
    return text;
}

static enum err try_create(struct fixture *f, uint64_t account, const char *name)
{
    Tern__MailboxCreateRequest request = TERN__MAILBOX_CREATE_REQUEST__INIT;
    request.account = account;
    request.name = (char *)name;
    return fixture_write(f, METHOD_MAILBOX_CREATE, &request.base);
}

static enum err try_delete(struct fixture *f, uint64_t account, const char *name)
{
    Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
    request.account = account;
    request.name = (char *)name;
    return fixture_write(f, METHOD_MAILBOX_DELETE, &request.base);
}

static enum err try_rename(struct fixture *f, uint64_t account, const char *from, const char *to)
{
    Tern__MailboxRenameRequest request = TERN__MAILBOX_RENAME_REQUEST__INIT;
    request.account = account;
    request.from = (char *)from;
    request.to = (char *)to;
    return fixture_write(f, METHOD_MAILBOX_RENAME, &request.base);
}

static uint64_t only_inbox(struct fixture *f)
{
    uint64_t id = create_account(f, "a@example.test", 0);
    static const char *const rest[] = { "Drafts", "Sent", "Junk", "Trash", "Archive" };
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(try_delete(f, id, rest[i]), OK);
    return id;
}

static void test_create(void **state)
{
    struct fixture *f = *state;
    uint64_t id = only_inbox(f);
    Tern__Mailbox *m = create_mailbox(f, id, "work/2026/may");
    assert_string_equal(m->name, "work/2026/may");
    assert_int_equal(f->result.change_count, 3);
    assert_string_equal(names(f, id), "INBOX work work/2026 work/2026/may ");
    assert_int_equal(try_create(f, id, "work/2026"), ERR_EXISTS);
    assert_int_equal(try_create(f, id, "INBOX"), ERR_EXISTS);
    assert_int_equal(fixture_repeat(f), ERR_EXISTS);
    assert_int_equal(try_create(f, id, "INBOX/child"), OK);
    assert_int_equal(try_create(f, 77, "x"), ERR_NOT_FOUND);
    /* The answer of a creation that is repeated is the first one. */
    assert_int_equal(try_create(f, id, "again"), OK);
    assert_int_equal(fixture_repeat(f), OK);
    Tern__MailboxCreateRequest request = TERN__MAILBOX_CREATE_REQUEST__INIT;
    request.account = id;
    request.name = (char *)"Sent Items";
    request.special_use = USE_SENT;
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_CREATE, &request.base), OK);
    assert_int_equal(open_mailbox(f, id, "Sent Items")->special_use, USE_SENT);
}

static void test_bad_names(void **state)
{
    struct fixture *f = *state;
    uint64_t id = only_inbox(f);
    static const char *const bad[] = {
        "",     "/",    "a/",    "/a",      "a//b",
        "a\tb", "\xff", "inbox", "Inbox/x", "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(try_create(f, id, bad[i]), ERR_INVALID);
    char level[300];
    memset(level, 'l', sizeof level - 1);
    level[255] = '\0';
    assert_int_equal(try_create(f, id, level), OK);
    level[255] = 'l';
    level[256] = '\0';
    assert_int_equal(try_create(f, id, level), ERR_INVALID);
    assert_int_equal(try_create(f, id, "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"), OK);
    assert_int_equal(try_create(f, id,
                                "Gr\xc3\xbc\xc3\x9f"
                                "e/INBOX"),
                     OK);
}

static void test_delete(void **state)
{
    struct fixture *f = *state;
    uint64_t id = only_inbox(f);
    uint64_t box = create_mailbox(f, id, "a/b")->id;
    append_text(f, id, box, "hello", 0);
    append_text(f, id, open_mailbox(f, id, "a")->id, "parent's", 0);
    assert_int_equal(try_delete(f, id, "INBOX"), ERR_DENIED);
    assert_int_equal(try_delete(f, id, "nothing"), ERR_NOT_FOUND);
    assert_int_equal(try_delete(f, id, "a"), OK);
    assert_string_equal(names(f, id), "INBOX (a) a/b ");
    assert_int_equal(try_open_mailbox(f, id, "a"), ERR_NOT_FOUND);
    assert_int_equal(try_delete(f, id, "a"), ERR_INVALID);
    assert_string_equal(fetch_body(f, id, box, 1), "hello");
    uint32_t old = open_mailbox(f, id, "a/b")->uidvalidity;
    assert_int_equal(try_delete(f, id, "a/b"), OK);
    assert_int_equal(fixture_repeat(f), OK);
    assert_int_equal(try_open_mailbox(f, id, "a/b"), ERR_NOT_FOUND);
    assert_int_equal(try_delete(f, id, "a"), OK);
    assert_string_equal(names(f, id), "INBOX ");
    Tern__Mailbox *again = create_mailbox(f, id, "a/b");
    assert_true(again->uidvalidity > old);
    assert_true(again->id != box);
    assert_int_equal(again->messages, 0);
    /* Rows and bytes of the deleted ones go with sweeps. */
    assert_int_equal(count_rows(f, KV_BODY), 2);
    fixture_sweep(f);
    f->time_ms += 3600 * 1000 + 1;
    fixture_sweep(f);
    assert_int_equal(count_rows(f, KV_BODY), 0);
}

static void test_noselect_comes_to_life(void **state)
{
    struct fixture *f = *state;
    uint64_t id = only_inbox(f);
    create_mailbox(f, id, "a/b");
    uint32_t old = open_mailbox(f, id, "a")->uidvalidity;
    append_text(f, id, open_mailbox(f, id, "a")->id, "gone", 0);
    assert_int_equal(try_delete(f, id, "a"), OK);
    assert_int_equal(try_create(f, id, "a"), OK);
    Tern__Mailbox *a = open_mailbox(f, id, "a");
    assert_true(a->uidvalidity > old);
    assert_int_equal(a->messages, 0);
    fixture_sweep(f);
    assert_int_equal(append_text(f, id, a->id, "new", 0), 1);
    fixture_sweep(f);
    assert_string_equal(fetch_body(f, id, a->id, 1), "new");
    assert_string_equal(names(f, id), "INBOX a a/b ");
}

static void test_rename(void **state)
{
    struct fixture *f = *state;
    uint64_t id = only_inbox(f);
    uint64_t box = create_mailbox(f, id, "a/b/c")->id;
    append_text(f, id, box, "hello", 0);
    assert_int_equal(try_rename(f, id, "a/b", "x/y/z"), OK);
    assert_int_equal(fixture_repeat(f), OK);
    assert_string_equal(names(f, id), "INBOX a x x/y x/y/z x/y/z/c ");
    Tern__Mailbox *c = open_mailbox(f, id, "x/y/z/c");
    assert_int_equal(c->id, box);
    assert_string_equal(fetch_body(f, id, c->id, 1), "hello");
    assert_int_equal(try_rename(f, id, "nothing", "q"), ERR_NOT_FOUND);
    assert_int_equal(try_rename(f, id, "x", "a"), ERR_EXISTS);
    assert_int_equal(try_rename(f, id, "x", "x"), ERR_EXISTS);
    assert_int_equal(try_rename(f, id, "x", "x/y/w"), ERR_INVALID);
    assert_int_equal(try_rename(f, id, "x", "xx/y"), OK);
    assert_int_equal(try_rename(f, id, "xx", "1/2/3/4/5/6/7/8/9/10/11/12"), OK); /* 12 + y y z c */
    assert_int_equal(try_rename(f, id, "1", "0/1"), ERR_INVALID);                /* 17 levels */
    assert_int_equal(try_rename(f, id, "a", "0/a"), OK);
    static char longest[MAILBOX_NAME_SIZE_MAX];
    assert_int_equal(try_create(f, id, "p/q"), OK);
    for (int i = 0; i < MAILBOX_NAME_SIZE_MAX - 1; i++)
        longest[i] = i % 200 == 199 ? '/' : 'n';
    longest[MAILBOX_NAME_SIZE_MAX - 1] = '\0';
    assert_int_equal(try_rename(f, id, "p", longest), ERR_INVALID); /* with /q it would be too long */
    longest[MAILBOX_NAME_SIZE_MAX - 2] = '\0';
    assert_int_equal(try_rename(f, id, "p", longest), OK);
}

/* RFC 9051 6.3.6: the messages move, INBOX stays, and so do its children. */
static void test_rename_inbox(void **state)
{
    struct fixture *f = *state;
    uint64_t id = only_inbox(f);
    assert_int_equal(try_create(f, id, "INBOX/child"), OK);
    append_text(f, id, open_mailbox(f, id, "INBOX")->id, "hello", MAIL_SEEN);
    assert_int_equal(try_rename(f, id, "INBOX", "INBOX/child"), ERR_EXISTS);
    assert_int_equal(try_rename(f, id, "INBOX", "old/mail"), OK);
    assert_string_equal(names(f, id), "INBOX INBOX/child old old/mail ");
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 0);
    Tern__Mailbox *old = open_mailbox(f, id, "old/mail");
    assert_string_equal(fetch_flags(f, id, old->id, "1", 0), "1:1 ");
    assert_int_equal(deliver_text(f, &id, 1, "more", fixture_id(f)), OK);
    assert_int_equal(open_mailbox(f, id, "INBOX")->messages, 1);
    assert_int_equal(try_rename(f, id, "INBOX", "INBOX/saved"), OK);
    assert_string_equal(names(f, id), "INBOX INBOX/child INBOX/saved old old/mail ");
    assert_int_equal(open_mailbox(f, id, "INBOX/saved")->messages, 1);
    assert_int_equal(try_delete(f, id, "INBOX"), ERR_DENIED);
    assert_int_equal(try_delete(f, id, "old/mail"), OK);
}

static void test_subscribe(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    Tern__MailboxSubscribeRequest request = TERN__MAILBOX_SUBSCRIBE_REQUEST__INIT;
    request.account = id;
    request.name = (char *)"not/there";
    request.subscribed = true;
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_SUBSCRIBE, &request.base), OK);
    request.name = (char *)"Junk";
    request.subscribed = false;
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_SUBSCRIBE, &request.base), OK);
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_SUBSCRIBE, &request.base), OK);
    assert_int_equal(try_delete(f, id, "Sent"), OK); /* its subscription stays */
    Tern__MailboxListResponse *l = list(f, id);
    static const char *const want[] = { "Archive", "Drafts", "INBOX", "Sent", "Trash", "not/there" };
    assert_int_equal(l->n_subscribed, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(l->subscribed[i], want[i]);
    request.name = (char *)"a//b";
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_SUBSCRIBE, &request.base), ERR_INVALID);
    request.account = 3;
    request.name = (char *)"a";
    assert_int_equal(fixture_write(f, METHOD_MAILBOX_SUBSCRIBE, &request.base), ERR_NOT_FOUND);
}

static void test_mailbox_limit(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    char name[32];
    enum err err = OK;
    unsigned made = 6;
    for (; err == OK && made < 6000; made++) {
        snprintf(name, sizeof name, "m%u", made);
        err = try_create(f, id, name);
        arena_clear(&f->arena);
    }
    assert_int_equal(err, ERR_LIMIT);
    assert_int_equal(made - 1, 5000);
    assert_int_equal(try_delete(f, id, "m7"), OK);
    assert_int_equal(try_create(f, id, "m7"), OK);
}

static void test_open_by_id(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    uint64_t box = create_mailbox(f, id, "a/b/c")->id;
    Tern__MailboxOpenRequest request = TERN__MAILBOX_OPEN_REQUEST__INIT;
    request.account = id;
    request.id = box;
    assert_int_equal(fixture_read(f, METHOD_MAILBOX_OPEN, &request.base), OK);
    Tern__MailboxOpenResponse *r = fixture_unpack(f, &tern__mailbox_open_response__descriptor, &f->response);
    assert_string_equal(r->mailbox->name, "a/b/c");
    assert_int_equal(r->uids.len, 0);
    request.id = 1000;
    assert_int_equal(fixture_read(f, METHOD_MAILBOX_OPEN, &request.base), ERR_NOT_FOUND);
}

/* A sweep deletes a bounded number of rows and goes on where it was. */
static void test_large_mailbox_is_buried_in_pieces(void **state)
{
    struct fixture *f = *state;
    uint64_t id = create_account(f, "a@example.test", 0);
    for (int round = 0; round < 2; round++) {
        size_t before = count_rows(f, KV_STATE);
        uint64_t box = create_mailbox(f, id, "large")->id;
        for (int i = 0; i < 1200; i++)
            append_text(f, id, box, "x", 0);
        Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
        request.account = id;
        request.name = (char *)"large";
        assert_int_equal(fixture_write(f, METHOD_MAILBOX_DELETE, &request.base), OK);
        bool due = true;
        int sweeps = 0;
        for (; due; sweeps++) {
            size_t rows = count_rows(f, KV_STATE);
            fixture_sweep(f);
            assert_true(rows - count_rows(f, KV_STATE) <= 2000);
            assert_int_equal(machine_sweep_due(f->kv, PARTITION, f->time_ms, &due), OK);
        }
        assert_in_range(sweeps, 3, 10);
        f->time_ms += 2 * REQUEST_RETENTION_MS;
        for (due = true; due;) {
            fixture_sweep(f);
            assert_int_equal(machine_sweep_due(f->kv, PARTITION, f->time_ms, &due), OK);
        }
        assert_int_equal(count_rows(f, KV_BODY), 0);
        if (round > 0) /* the ids of the account's own requests are forgotten too */
            assert_int_equal(count_rows(f, KV_STATE), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create),     TEST(test_bad_names),
        TEST(test_delete),     TEST(test_noselect_comes_to_life),
        TEST(test_rename),     TEST(test_rename_inbox),
        TEST(test_subscribe),  TEST(test_mailbox_limit),
        TEST(test_open_by_id), TEST(test_large_mailbox_is_buried_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
