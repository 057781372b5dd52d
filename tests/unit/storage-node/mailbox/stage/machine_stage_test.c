/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and moves in stages: out of sight until one entry shows all of them. */
#include "tests/unit/storage-node/mailbox/stage/stage_fixture.h"

#include <string.h>

static void test_copy_appears_at_once(void **state)
{
    struct stage_case *c = *state;
    struct fixture *f = &c->f;
    uint64_t since = open_mailbox(f, c->account, "to")->modseq;
    assert_int_equal(step(c, 5, "1:3", false), OK);
    assert_string_equal(staged(c), "1:3");
    assert_int_equal(step(c, 0, "5,9", false), OK);
    assert_string_equal(staged(c), "5");
    expect_untouched(c);
    assert_int_equal(open_mailbox(f, c->account, "to")->uidnext, 1);
    assert_string_equal(fetch_flags(f, c->account, c->to, "1:4294967295", 0), "");
    assert_null(fetch_body(f, c->account, c->to, 5120));

    /* Mail arrives meanwhile, before the reserved UIDs; who follows the changes hears of nothing else. */
    assert_int_equal(append_text(f, c->account, c->to, "other", MAIL_SEEN), 1);
    Tern__ChangesResponse *r = changes(f, c->account, c->to, since, NULL);
    assert_string_equal(row_uids(f), "1 ");
    assert_int_equal(r->modseq, r->mailbox_modseq);
    since = r->modseq;

    Tern__CopyCommitResponse *done;
    assert_int_equal(commit(c, &done), OK);
    assert_int_equal(done->count, 4);
    assert_int_equal(done->first_uid % 1024, 0);
    assert_true(done->modseq > since);
    uint32_t at = done->first_uid;
    char expected[64];
    snprintf(expected, sizeof expected, "1,%u:%u", at, at + 3);
    assert_string_equal(uids_of(c, "to"), expected);
    Tern__Mailbox *to = open_mailbox(f, c->account, "to");
    assert_int_equal(to->uidnext, at + 4);
    assert_int_equal(to->messages, 5);
    assert_int_equal(to->unseen, 3);
    assert_int_equal(to->deleted, 3);
    assert_int_equal(used_bytes(c), 10 * 4 + 5);
    assert_string_equal(fetch_body(f, c->account, c->to, at), "text");
    r = changes(f, c->account, c->to, since, NULL);
    snprintf(expected, sizeof expected, "%u %u %u %u ", at, at + 1, at + 2, at + 3);
    assert_string_equal(row_uids(f), expected);
    assert_int_equal(r->modseq, done->modseq);
    assert_int_equal(append_text(f, c->account, c->to, "next", 0), at + 4);
    expect_no_leaks(c);
}

static void test_copy_onto_itself(void **state)
{
    struct stage_case *c = *state;
    c->to = c->from;
    for (int move = 0; move < 2; move++) {
        Tern__CopyCommitResponse *done;
        c->id = fixture_id(&c->f);
        assert_int_equal(step(c, 2, "2:3", move == 1), OK);
        assert_int_equal(commit(c, &done), OK);
        Tern__Mailbox *box = open_mailbox(&c->f, c->account, "INBOX");
        assert_int_equal(box->messages, 8);
        assert_int_equal(box->unseen, 4);
        assert_int_equal(box->uidnext, done->first_uid + 2);
        sweep_all(c);
        assert_int_equal(open_mailbox(&c->f, c->account, "INBOX")->messages, 8);
    }
    assert_int_equal(strncmp(uids_of(c, "INBOX"), "1,4:6,", 6), 0);
    expect_no_leaks(c);
}

static void test_move_changes_both_at_once(void **state)
{
    struct stage_case *c = *state;
    struct fixture *f = &c->f;
    uint64_t since = open_mailbox(f, c->account, "INBOX")->modseq;
    expunge(f, c->account, c->from, "6", false);
    append_text(f, c->account, c->from, "text", 0);
    assert_int_equal(step(c, 6, "1:2", true), OK);
    assert_int_equal(step(c, 0, "3:4", true), OK);
    assert_string_equal(uids_of(c, "INBOX"), "1:5,7");
    /* Others than those may change. */
    store_flags(f, c->account, c->from, "5", TERN__STORE_MODE__STORE_ADD, MAIL_FLAGGED);
    Tern__CopyCommitResponse *done;
    assert_int_equal(commit(c, &done), OK);

    for (int swept = 0; swept < 2; swept++) {
        assert_string_equal(uids_of(c, "INBOX"), "5,7");
        Tern__Mailbox *from = open_mailbox(f, c->account, "INBOX");
        assert_int_equal(from->messages, 2);
        assert_int_equal(from->unseen, 2);
        assert_int_equal(from->modseq, done->modseq);
        assert_string_equal(fetch_flags(f, c->account, c->from, "1:9", 0), "5:12 7:0 ");
        assert_null(fetch_body(f, c->account, c->from, 2));
        Tern__ChangesResponse *r = changes(f, c->account, c->from, since, "1:6");
        assert_true(r->floor_passed);
        assert_string_equal(fixture_uids_text(f, r->vanished_uids), "1:4,6");
        assert_string_equal(row_uids(f), "5 7 ");
        assert_int_equal(open_mailbox(f, c->account, "to")->messages, 4);
        if (swept == 0)
            sweep_all(c);
    }
    assert_int_equal(used_bytes(c), 6 * 4);
    expunge(f, c->account, c->from, "7", false);
    Tern__ChangesResponse *r = changes(f, c->account, c->from, done->modseq, NULL);
    assert_false(r->floor_passed);
    assert_string_equal(fixture_uids_text(f, r->vanished_uids), "7");
    expect_no_leaks(c);
}

static void test_move_of_what_changed_begins_again(void **state)
{
    struct stage_case *c = *state;
    struct fixture *f = &c->f;
    Tern__CopyCommitResponse *done;
    for (int how = 0; how < 3; how++) {
        c->id = fixture_id(f);
        assert_int_equal(step(c, 6, "3:6", true), OK);
        if (how == 0)
            store_flags(f, c->account, c->from, "4", TERN__STORE_MODE__STORE_ADD, MAIL_FLAGGED);
        else if (how == 1)
            expunge(f, c->account, c->from, "4", false);
        else
            copy(f, c->account, c->from, c->to, "5", true);
        assert_int_equal(step(c, 0, "9", true), ERR_CONFLICT);
        assert_int_equal(commit(c, &done), ERR_CONFLICT);
        abandon(c);
        sweep_all(c);
    }
    assert_string_equal(uids_of(c, "INBOX"), "1:3,6");
    assert_string_equal(uids_of(c, "to"), "1");
    c->id = fixture_id(f);
    assert_int_equal(step(c, 2, "3:6", true), OK);
    assert_int_equal(commit(c, &done), OK);
    assert_string_equal(uids_of(c, "INBOX"), "1:2");
    expect_no_leaks(c);
}

static void test_deliveries_pass_the_reserved_uids(void **state)
{
    struct stage_case *c = *state;
    assert_int_equal(step(c, 3, "1:3", false), OK);
    uint32_t uid = 0, before;
    do {
        before = uid;
        uid = append_text(&c->f, c->account, c->to, "x", 0);
        arena_clear(&c->f.arena);
    } while (uid == before + 1 && uid < 10000);
    assert_int_equal(before % 1024, 1023);
    assert_int_equal(uid, before + 1 + 1024);
    char id[16] = "0123456789abcdef"; /* the arena is cleared: not the stage's any more */
    c->id = (ProtobufCBinaryData){ sizeof id, (uint8_t *)id };
    assert_int_equal(open_mailbox(&c->f, c->account, "to")->messages, before + 1);
    c->f.time_ms += STAGE_IDLE_MS;
    sweep_all(c);
    assert_int_equal(open_mailbox(&c->f, c->account, "to")->messages, before + 1);
    Tern__CopyCommitResponse *done;
    assert_int_equal(step(c, 3, "1:3", false), OK);
    assert_int_equal(commit(c, &done), OK);
    assert_true(done->first_uid > uid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_copy_appears_at_once),
        STAGE_TEST(test_copy_onto_itself),
        STAGE_TEST(test_move_changes_both_at_once),
        STAGE_TEST(test_move_of_what_changed_begins_again),
        STAGE_TEST(test_deliveries_pass_the_reserved_uids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
