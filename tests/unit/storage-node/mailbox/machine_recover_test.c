/* SPDX-License-Identifier: Apache-2.0 */
/* ENTRY_RECOVER: UIDVALIDITY, modseqs and ids rise, mail stays. */
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

static void test_empty_partition(void **state)
{
    recover(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_uidvalidity_rises, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_no_id_comes_again, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_empty_partition, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
