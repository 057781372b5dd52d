/* SPDX-License-Identifier: Apache-2.0 */
/* ENTRY_RECOVER: UIDVALIDITY, modseqs and ids rise, mail stays, and UIDs of before name nothing. */
#include "lib/mail/row.h"
#include "lib/mail/search.h"
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

static void recover(struct fixture *f)
{
    struct entry_header header = { .version = MACHINE_VERSION,
                                   .method = ENTRY_RECOVER,
                                   .time_ms = f->time_ms };
    struct buf entry = { 0 };
    entry_encode(&header, SLICE_NULL, &entry);
    assert_int_equal(fixture_apply(f, buf_slice(&entry), SLICE_NULL), OK);
    buf_fini(&entry);
}

static void test_uidvalidity_rises(void **state)
{
    struct fixture *f = *state;
    uint64_t accounts[3] = { create_account(f, "a@example.test", 0), create_account(f, "b@example.test", 0),
                             create_account(f, "c@example.test", 0) };
    create_mailbox(f, accounts[1], "Work");
    for (int i = 0; i < 3; i++)
        append_text(f, accounts[i], open_mailbox(f, accounts[i], "INBOX")->id, "Subject: x\r\n\r\nhello\r\n",
                    0);
    uint32_t before[4] = { 0 };
    uint64_t modseq = open_mailbox(f, accounts[1], "INBOX")->modseq;
    for (int i = 0; i < 3; i++)
        before[i] = open_mailbox(f, accounts[i], "INBOX")->uidvalidity;
    before[3] = open_mailbox(f, accounts[1], "Work")->uidvalidity;
    recover(f);
    for (int i = 0; i < 3; i++) {
        Tern__Mailbox *m = open_mailbox(f, accounts[i], "INBOX");
        assert_true(m->uidvalidity > before[i]);
        assert_int_equal(m->messages, 1);
        assert_int_equal(m->uidnext, 2);
        assert_string_equal(fetch_body(f, accounts[i], m->id, 1), "Subject: x\r\n\r\nhello\r\n");
    }
    Tern__Mailbox *work = open_mailbox(f, accounts[1], "Work"),
                  *inbox = open_mailbox(f, accounts[1], "INBOX");
    assert_true(work->uidvalidity > before[3] && work->uidvalidity > before[1]);
    assert_true(inbox->uidvalidity > before[3] && inbox->uidvalidity != work->uidvalidity);
    assert_true(inbox->modseq > modseq + 1000000);
    Tern__Mailbox *late = create_mailbox(f, accounts[1], "Late");
    assert_true(late->uidvalidity > work->uidvalidity && late->uidvalidity > inbox->uidvalidity);
}

/* They are found in portions. */
static void test_all_of_many_accounts_are_renewed(void **state)
{
    enum { MANY = 1100 };
    struct fixture *f = *state;
    static uint64_t accounts[MANY];
    static uint32_t before[MANY];
    for (int i = 0; i < MANY; i++) {
        char address[32];
        snprintf(address, sizeof address, "u%d@example.test", i);
        accounts[i] = create_account(f, address, 0);
        before[i] = open_mailbox(f, accounts[i], "INBOX")->uidvalidity;
    }
    recover(f);
    for (int i = 0; i < MANY; i++)
        assert_true(open_mailbox(f, accounts[i], "INBOX")->uidvalidity > before[i]);
}

/* What was made in what is lost may still be known to somebody. */
static void test_no_id_comes_again(void **state)
{
    struct fixture *f = *state;
    uint64_t account = create_account(f, "a@example.test", 0);
    uint64_t mailbox = create_mailbox(f, account, "Work")->id;
    recover(f);
    assert_true(create_account(f, "b@example.test", 0) > account + 1000000);
    assert_true(create_mailbox(f, account, "Late")->id > mailbox + 1000000);
}

/* As FETCH or CHANGES tells it. */
static uint64_t body_number(struct fixture *f, uint64_t account, uint64_t mailbox, uint32_t uid, bool changes)
{
    Tern__ChangesRequest request = TERN__CHANGES_REQUEST__INIT;
    request.account = account;
    request.mailbox = mailbox;
    if (changes)
        assert_int_equal(fixture_read(f, METHOD_CHANGES, &request.base), OK);
    else
        fetch_flags(f, account, mailbox, "1:9", 0);
    struct cursor c = cursor_of(buf_slice(&f->rows));
    for (struct row row; row_next(&c, &row) == OK;) {
        if (row.uid == uid)
            return row.body_id;
    }
    fail_msg("no UID %u", uid);
    return 0;
}

/* Two lives go on from the same old copy: their mail has the same ids of bodies, and other EMAILIDs. */
static void test_no_email_id_comes_again(void **state)
{
    struct fixture *f = *state;
    uint64_t account = create_account(f, "a@example.test", 0);
    uint64_t inbox = open_mailbox(f, account, "INBOX")->id;
    append_text(f, account, inbox, "Subject: x\r\n\r\nold\r\n", 0);
    uint64_t old = body_number(f, account, inbox, 1, false);
    for (uint32_t uid = 2; uid < 4; uid++) {
        f->time_ms += 1000;
        recover(f);
        append_text(f, account, inbox, "Subject: x\r\n\r\nnew\r\n", 0);
        assert_true(body_number(f, account, inbox, uid, false) > old + (1000 << 20));
        assert_int_equal(body_number(f, account, inbox, uid, true),
                         body_number(f, account, inbox, uid, false));
    }
    uint64_t apart = body_number(f, account, inbox, 3, false) - body_number(f, account, inbox, 2, false);
    assert_true(apart > 1000 << 20);
    assert_int_equal(body_number(f, account, inbox, 1, false), old); /* nothing else about it is new */
    assert_int_equal(body_number(f, account, inbox, 1, true), old);
}

static void search(struct fixture *f, uint64_t account, uint64_t mailbox, uint32_t uidvalidity,
                   enum err wanted)
{
    Tern__SearchRequest request = TERN__SEARCH_REQUEST__INIT;
    struct buf program = { 0 };
    assert_int_equal(search_encode(search_node_new(&f->arena, SEARCH_ALL), &program), OK);
    request.account = account;
    request.mailbox = mailbox;
    request.uidvalidity = uidvalidity;
    request.program = (ProtobufCBinaryData){ program.len, program.data };
    request.from_uid = 1;
    assert_int_equal(fixture_read(f, METHOD_SEARCH, &request.base), wanted);
    buf_fini(&program);
}

/* One request of each kind that names UIDs; the status of each is `wanted`. */
static void use_uids(struct fixture *f, uint64_t account, uint64_t mailbox, uint32_t uidvalidity,
                     enum err wanted)
{
    ProtobufCBinaryData uids = fixture_uids(f, "1");
    Tern__FetchRequest fetch = TERN__FETCH_REQUEST__INIT;
    Tern__BodyRequest body = TERN__BODY_REQUEST__INIT;
    Tern__ChangesRequest since = TERN__CHANGES_REQUEST__INIT;
    Tern__StoreFlagsRequest flags = TERN__STORE_FLAGS_REQUEST__INIT;
    Tern__ExpungeRequest leave = TERN__EXPUNGE_REQUEST__INIT;
    Tern__CopyRequest twice = TERN__COPY_REQUEST__INIT;
    Tern__CopyStageRequest stage = TERN__COPY_STAGE_REQUEST__INIT;
    Tern__RecentAdvanceRequest recent = TERN__RECENT_ADVANCE_REQUEST__INIT;
    fetch.account = body.account = since.account = flags.account = leave.account = account;
    twice.account = stage.account = recent.account = account;
    fetch.mailbox = body.mailbox = since.mailbox = flags.mailbox = leave.mailbox = mailbox;
    twice.from = twice.to = stage.from = stage.to = recent.mailbox = mailbox;
    fetch.uidvalidity = body.uidvalidity = since.uidvalidity = flags.uidvalidity = uidvalidity;
    leave.uidvalidity = recent.uidvalidity = uidvalidity;
    twice.from_uidvalidity = stage.from_uidvalidity = uidvalidity;
    fetch.uids = flags.uids = leave.uids = twice.uids = stage.uids = uids;
    body.uid = recent.recent_uid = 1;
    flags.flags = MAIL_FLAGGED;
    leave.only_deleted = true; /* it is not */
    stage.stage = fixture_id(f);
    stage.total = 1;
    assert_int_equal(fixture_read(f, METHOD_FETCH, &fetch.base), wanted);
    assert_int_equal(fixture_read(f, METHOD_BODY, &body.base), wanted);
    assert_int_equal(fixture_read(f, METHOD_CHANGES, &since.base), wanted);
    search(f, account, mailbox, uidvalidity, wanted);
    assert_int_equal(fixture_write(f, METHOD_STORE_FLAGS, &flags.base), wanted);
    assert_int_equal(fixture_write(f, METHOD_EXPUNGE, &leave.base), wanted);
    assert_int_equal(fixture_write(f, METHOD_COPY, &twice.base), wanted);
    assert_int_equal(fixture_write(f, METHOD_COPY_STAGE, &stage.base), wanted);
    assert_int_equal(fixture_write(f, METHOD_RECENT_ADVANCE, &recent.base), wanted);
}

static void test_uids_of_before(void **state)
{
    struct fixture *f = *state;
    uint64_t account = create_account(f, "a@example.test", 0);
    Tern__Mailbox *inbox = open_mailbox(f, account, "INBOX");
    uint32_t before = inbox->uidvalidity;
    append_text(f, account, inbox->id, "Subject: x\r\n\r\nhello\r\n", 0);
    recover(f);
    use_uids(f, account, inbox->id, before, ERR_UIDVALIDITY);
    Tern__Mailbox *after = open_mailbox(f, account, "INBOX");
    assert_int_equal(after->messages, 1);
    assert_int_equal(after->recent_uid, 0);
    assert_string_equal(fetch_flags(f, account, inbox->id, "1:9", 0), "1:0 ");
    use_uids(f, account, inbox->id, after->uidvalidity, OK);
    assert_int_equal(open_mailbox(f, account, "INBOX")->messages, 2);
}

static void test_empty_partition(void **state)
{
    recover(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_uidvalidity_rises, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_all_of_many_accounts_are_renewed, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_id_comes_again, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_email_id_comes_again, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_uids_of_before, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_empty_partition, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
