/* SPDX-License-Identifier: Apache-2.0 */
/* What has changed since a modseq: rows, UIDs that vanished, and how far back that is known. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_expunge),
        TEST(test_changes),
        TEST(test_vanished_floor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
