/* SPDX-License-Identifier: Apache-2.0 */
/* Stages that come to nothing, and what they copy between that goes away meanwhile. */
#include "tests/unit/storage-node/mailbox/stage/stage_fixture.h"

static void test_abandoned_stage_leaves_nothing(void **state)
{
    struct stage_case *c = *state;
    for (int move = 0; move < 2; move++) {
        for (int idle = 0; idle < 2; idle++) {
            c->id = fixture_id(&c->f);
            assert_int_equal(step(c, 6, "1:4", move == 1), OK);
            if (idle == 0)
                abandon(c);
            else
                c->f.time_ms += STAGE_IDLE_MS;
            size_t rows = count_rows(&c->f, KV_STATE);
            sweep_all(c);
            assert_true(count_rows(&c->f, KV_STATE) < rows - 10);
            expect_untouched(c);
            Tern__CopyCommitResponse *done;
            assert_int_equal(commit(c, &done), ERR_CONFLICT);
            assert_int_equal(step(c, 0, "5", move == 1), ERR_CONFLICT);
        }
    }
    expect_no_leaks(c);
}

static void test_quota_is_refused_in_the_middle(void **state)
{
    struct stage_case *c = *state;
    Tern__AccountUpdateRequest request = TERN__ACCOUNT_UPDATE_REQUEST__INIT;
    request.address = (char *)"a@example.test";
    request.set_quota = true;
    request.quota_bytes = 9 * 4;
    assert_int_equal(fixture_write(&c->f, METHOD_ACCOUNT_UPDATE, &request.base), OK);
    assert_int_equal(step(c, 6, "1:3", false), OK);
    assert_int_equal(step(c, 0, "4:6", false), ERR_OVER_QUOTA);
    expect_untouched(c);
    Tern__CopyCommitResponse *done;
    append_text(&c->f, c->account, c->from, "text", MAIL_SEEN);
    assert_int_equal(commit(c, &done), ERR_OVER_QUOTA); /* what fitted at first */
    assert_int_equal(used_bytes(c), 7 * 4);
    abandon(c);
    sweep_all(c);
    c->id = fixture_id(&c->f);
    assert_int_equal(step(c, 7, "1:7", true), OK); /* a move needs none */
    assert_int_equal(commit(c, &done), OK);
    expect_no_leaks(c);
}

static void test_one_stage_an_account(void **state)
{
    struct stage_case *c = *state;
    ProtobufCBinaryData first = c->id;
    assert_int_equal(step(c, 3, "1:2", true), OK);
    c->id = fixture_id(&c->f);
    assert_int_equal(step(c, 3, "1:2", false), ERR_IN_USE);
    assert_int_equal(step(c, 0, "1:2", true), ERR_CONFLICT); /* not its own */
    abandon(c);                                              /* gives up nothing */
    Tern__CopyCommitResponse *done;
    c->id = first;
    assert_int_equal(step(c, 0, "2", true), ERR_INVALID);   /* not above those before */
    assert_int_equal(step(c, 0, "3:4", true), ERR_INVALID); /* beyond the bound it gave */
    assert_int_equal(commit(c, &done), OK);
    c->id = fixture_id(&c->f);
    assert_int_equal(step(c, 3, "3", false), ERR_IN_USE); /* until the source is swept */
    sweep_all(c);
    assert_int_equal(step(c, 3, "3", false), OK);
    assert_int_equal(commit(c, &done), OK);
    c->id = fixture_id(&c->f);
    assert_int_equal(step(c, 3, "99", false), OK); /* nothing */
    assert_int_equal(commit(c, &done), OK);
    assert_int_equal(done->count, 0);
    expect_no_leaks(c);
}

enum { SOON_MS = 500 }; /* the fixture's clock moves on with each entry */

/* The one that waits takes over from one that nobody goes on with; who comes back to that finds it gone, and
 * nothing of it is ever seen. */
static void test_the_next_one_fences_an_idle_stage(void **state)
{
    struct stage_case *c = *state;
    for (int move = 0; move < 2; move++) {
        Tern__CopyCommitResponse *done;
        ProtobufCBinaryData first = c->id = fixture_id(&c->f), next = fixture_id(&c->f);
        assert_int_equal(step(c, 6, "1:2", move == 1), OK);
        c->f.time_ms += STAGE_FENCE_MS - SOON_MS;
        c->id = next;
        assert_int_equal(step(c, 6, "1:2", false), ERR_IN_USE);
        sweep_all(c);
        c->id = first;
        assert_int_equal(step(c, 0, "3", move == 1), OK); /* not idle yet: goes on, and anew */
        c->f.time_ms += STAGE_FENCE_MS - SOON_MS;
        c->id = next;
        assert_int_equal(step(c, 6, "1:2", false), ERR_IN_USE);
        sweep_all(c);
        c->f.time_ms += SOON_MS;
        assert_int_equal(step(c, 6, "1:2", false), ERR_IN_USE); /* fenced, and not yet swept */
        c->id = first;
        assert_int_equal(step(c, 0, "4", move == 1), ERR_CONFLICT);
        assert_int_equal(commit(c, &done), ERR_CONFLICT);
        abandon(c);
        expect_untouched(c);
        sweep_all(c);
        expect_untouched(c);
        c->id = next;
        assert_int_equal(step(c, 6, "1:2", false), OK);
        c->id = first;
        assert_int_equal(commit(c, &done), ERR_CONFLICT);
        c->id = next;
        abandon(c);
        sweep_all(c);
    }
    c->id = fixture_id(&c->f);
    Tern__CopyCommitResponse *done;
    assert_int_equal(step(c, 6, "1:6", true), OK);
    assert_int_equal(commit(c, &done), OK);
    assert_int_equal(done->count, 6);
    expect_no_leaks(c);
}

/* Only one that is open is given up: what has moved is there, and its sweep goes on. */
static void test_a_committed_move_is_not_fenced(void **state)
{
    struct stage_case *c = *state;
    Tern__CopyCommitResponse *done;
    assert_int_equal(step(c, 6, "1:4", true), OK);
    assert_int_equal(commit(c, &done), OK);
    c->f.time_ms += 2 * STAGE_FENCE_MS;
    c->id = fixture_id(&c->f);
    assert_int_equal(step(c, 2, "5", false), ERR_IN_USE);
    assert_int_equal(open_mailbox(&c->f, c->account, "to")->messages, 4);
    sweep_all(c);
    assert_int_equal(open_mailbox(&c->f, c->account, "to")->messages, 4);
    assert_string_equal(uids_of(c, "INBOX"), "5:6");
    assert_int_equal(step(c, 2, "5", false), OK);
    abandon(c);
    expect_no_leaks(c);
}

static void delete_mailbox(struct stage_case *c, const char *name)
{
    Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
    request.account = c->account;
    request.name = (char *)name;
    assert_int_equal(fixture_write(&c->f, METHOD_MAILBOX_DELETE, &request.base), OK);
}

static void test_mailboxes_are_deleted_meanwhile(void **state)
{
    struct stage_case *c = *state;
    struct fixture *f = &c->f;
    Tern__CopyCommitResponse *done;
    assert_int_equal(step(c, 6, "1:3", true), OK);
    delete_mailbox(c, "to");
    assert_int_equal(commit(c, &done), ERR_NOT_FOUND);
    abandon(c);
    sweep_all(c);
    assert_string_equal(uids_of(c, "INBOX"), "1:6");

    /* The source, when what has left it is not yet swept. */
    c->to = create_mailbox(f, c->account, "to")->id;
    uint64_t inbox = c->from;
    c->from = create_mailbox(f, c->account, "source")->id;
    copy(f, c->account, inbox, c->from, "1:6", true);
    c->id = fixture_id(f);
    assert_int_equal(step(c, 6, "1:3", true), OK);
    assert_int_equal(commit(c, &done), OK);
    delete_mailbox(c, "source");
    assert_int_equal(used_bytes(c), 3 * 4);
    c->from = inbox;
    assert_int_equal(open_mailbox(f, c->account, "to")->messages, 3);
    expect_no_leaks(c);
}

/* RENAME INBOX takes the messages away under their mailbox's id: the stage goes with them. */
static void test_inbox_is_renamed_meanwhile(void **state)
{
    struct stage_case *c = *state;
    Tern__CopyCommitResponse *done;
    assert_int_equal(step(c, 6, "1:3", true), OK);
    Tern__MailboxRenameRequest request = TERN__MAILBOX_RENAME_REQUEST__INIT;
    request.account = c->account;
    request.from = (char *)"INBOX";
    request.to = (char *)"old";
    assert_int_equal(fixture_write(&c->f, METHOD_MAILBOX_RENAME, &request.base), OK);
    append_text(&c->f, c->account, open_mailbox(&c->f, c->account, "INBOX")->id, "text", 0);
    assert_int_equal(step(c, 0, "4", true), OK);
    assert_int_equal(commit(c, &done), OK);
    assert_string_equal(uids_of(c, "old"), "5:6");
    assert_string_equal(uids_of(c, "INBOX"), "1");
    assert_int_equal(open_mailbox(&c->f, c->account, "to")->messages, 4);
    expunge(&c->f, c->account, open_mailbox(&c->f, c->account, "INBOX")->id, "1", false);
    expect_no_leaks(c);
}

static void delete_account(struct stage_case *c)
{
    Tern__AccountDeleteRequest request = TERN__ACCOUNT_DELETE_REQUEST__INIT;
    request.address = (char *)"a@example.test";
    assert_int_equal(fixture_write(&c->f, METHOD_ACCOUNT_DELETE, &request.base), OK);
}

/* Its sweep and that of the stage both let go of messages: each message once. */
static void test_account_is_deleted_meanwhile(void **state)
{
    struct stage_case *c = *state;
    for (int how = 0; how < 4; how++) {
        Tern__CopyCommitResponse *done;
        assert_int_equal(step(c, 6, "1:4", how != 3), OK);
        if (how == 1)
            abandon(c);
        else if (how == 2)
            assert_int_equal(commit(c, &done), OK);
        delete_account(c);
        assert_int_equal(commit(c, &done), ERR_NOT_FOUND);
        for (int i = 0; i < 4; i++) {
            sweep_all(c);
            c->f.time_ms += 3700 * 1000;
        }
        sweep_all(c);
        assert_int_equal(count_rows(&c->f, KV_BODY), 0);
        assert_int_equal(count_rows(&c->f, KV_STATE), 2); /* CLOCK, PARTITION */
        c->account = create_account(&c->f, "a@example.test", 0);
        c->from = open_mailbox(&c->f, c->account, "INBOX")->id;
        c->to = create_mailbox(&c->f, c->account, "to")->id;
        for (uint32_t i = 1; i <= 6; i++)
            append_text(&c->f, c->account, c->from, "text", 0);
        c->id = fixture_id(&c->f);
    }
}

/* Modseqs rise above those that a stage had reserved: it begins again. */
static void test_recovery_ends_a_stage(void **state)
{
    struct stage_case *c = *state;
    Tern__CopyCommitResponse *done;
    assert_int_equal(step(c, 6, "1:3", true), OK);
    struct entry_header header = { .version = MACHINE_VERSION,
                                   .method = ENTRY_RECOVER,
                                   .time_ms = c->f.time_ms };
    struct buf entry = { 0 };
    entry_encode(&header, SLICE_NULL, &entry);
    assert_int_equal(fixture_apply(&c->f, buf_slice(&entry), SLICE_NULL), OK);
    buf_fini(&entry);
    assert_int_equal(step(c, 0, "4", true), ERR_CONFLICT);
    assert_int_equal(commit(c, &done), ERR_CONFLICT);
    abandon(c);
    sweep_all(c);
    expect_untouched(c);
    uint64_t modseq = open_mailbox(&c->f, c->account, "to")->modseq;
    c->id = fixture_id(&c->f);
    assert_int_equal(step(c, 6, "1:3", true), OK);
    assert_int_equal(commit(c, &done), OK);
    assert_true(done->modseq > modseq);
    expect_no_leaks(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_abandoned_stage_leaves_nothing), STAGE_TEST(test_quota_is_refused_in_the_middle),
        STAGE_TEST(test_one_stage_an_account),           STAGE_TEST(test_mailboxes_are_deleted_meanwhile),
        STAGE_TEST(test_inbox_is_renamed_meanwhile),     STAGE_TEST(test_account_is_deleted_meanwhile),
        STAGE_TEST(test_recovery_ends_a_stage),          STAGE_TEST(test_the_next_one_fences_an_idle_stage),
        STAGE_TEST(test_a_committed_move_is_not_fenced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
