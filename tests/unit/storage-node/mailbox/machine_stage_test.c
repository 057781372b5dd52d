/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and moves in stages: out of sight until one entry shows all of them. Every entry is applied twice,
 * as after a lost answer. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

struct stage_case {
    struct fixture f;
    uint64_t account, from, to;
    ProtobufCBinaryData id;
};

static int set_up(void **state)
{
    struct stage_case *c = calloc(1, sizeof *c);
    fixture_open(&c->f);
    c->account = create_account(&c->f, "a@example.test", 0);
    c->from = open_mailbox(&c->f, c->account, "INBOX")->id;
    c->to = create_mailbox(&c->f, c->account, "to")->id;
    for (uint32_t i = 1; i <= 6; i++)
        append_text(&c->f, c->account, c->from, "text", i % 2 == 0 ? MAIL_SEEN : MAIL_DELETED);
    c->id = fixture_id(&c->f);
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    struct stage_case *c = *state;
    fixture_close(&c->f);
    free(c);
    return 0;
}

static enum err write_twice(struct fixture *f, uint32_t method, const ProtobufCMessage *request)
{
    enum err err = fixture_write(f, method, request);
    struct buf first = { 0 };
    buf_add_slice(&first, buf_slice(&f->result.response));
    assert_int_equal(fixture_repeat(f), err);
    assert_true(slice_eq(buf_slice(&first), buf_slice(&f->result.response)));
    buf_fini(&first);
    return err;
}

static enum err step(struct stage_case *c, uint32_t total, const char *uids, bool move)
{
    Tern__CopyStageRequest request = TERN__COPY_STAGE_REQUEST__INIT;
    request.account = c->account;
    request.stage = c->id;
    request.total = total;
    request.from = c->from;
    request.to = c->to;
    request.move = move;
    request.uids = fixture_uids(&c->f, uids);
    return write_twice(&c->f, METHOD_COPY_STAGE, &request.base);
}

static const char *staged(struct stage_case *c)
{
    Tern__CopyStageResponse *r =
        fixture_unpack(&c->f, &tern__copy_stage_response__descriptor, &c->f.result.response);
    return fixture_uids_text(&c->f, r->from_uids);
}

static enum err commit(struct stage_case *c, Tern__CopyCommitResponse **out)
{
    Tern__CopyCommitRequest request = TERN__COPY_COMMIT_REQUEST__INIT;
    request.account = c->account;
    request.stage = c->id;
    enum err err = write_twice(&c->f, METHOD_COPY_COMMIT, &request.base);
    if (err == OK)
        *out = fixture_unpack(&c->f, &tern__copy_commit_response__descriptor, &c->f.result.response);
    return err;
}

static void abandon(struct stage_case *c)
{
    Tern__CopyAbandonRequest request = TERN__COPY_ABANDON_REQUEST__INIT;
    request.account = c->account;
    request.stage = c->id;
    assert_int_equal(write_twice(&c->f, METHOD_COPY_ABANDON, &request.base), OK);
}

static void sweep_all(struct stage_case *c)
{
    bool due = true;
    for (int i = 0; i < 1000 && due; i++) {
        fixture_sweep(&c->f);
        assert_int_equal(machine_sweep_due(c->f.kv, PARTITION, c->f.time_ms, &due), OK);
    }
    assert_false(due);
}

static const char *uids_of(struct stage_case *c, const char *name)
{
    open_mailbox(&c->f, c->account, name);
    Tern__MailboxOpenResponse *r =
        fixture_unpack(&c->f, &tern__mailbox_open_response__descriptor, &c->f.response);
    return fixture_uids_text(&c->f, r->uids);
}

static uint64_t used_bytes(struct stage_case *c)
{
    Tern__AddressLookupRequest request = TERN__ADDRESS_LOOKUP_REQUEST__INIT;
    request.address = (char *)"a@example.test";
    assert_int_equal(fixture_read(&c->f, METHOD_ADDRESS_LOOKUP, &request.base), OK);
    Tern__AddressLookupResponse *r =
        fixture_unpack(&c->f, &tern__address_lookup_response__descriptor, &c->f.response);
    return r->account->used_bytes;
}

/* Nothing but a stage stands in the way: with every message gone no body is left, so references are right. */
static void expect_no_leaks(struct stage_case *c)
{
    sweep_all(c);
    expunge(&c->f, c->account, c->from, "1:4294967295", false);
    if (try_open_mailbox(&c->f, c->account, "to") == OK)
        expunge(&c->f, c->account, c->to, "1:4294967295", false);
    assert_int_equal(used_bytes(c), 0);
    for (int i = 0; i < 3; i++) {
        c->f.time_ms += 3700 * 1000;
        sweep_all(c);
    }
    assert_int_equal(count_rows(&c->f, KV_BODY), 0);
}

static void expect_untouched(struct stage_case *c)
{
    assert_string_equal(uids_of(c, "INBOX"), "1:6");
    assert_string_equal(uids_of(c, "to"), "");
    assert_int_equal(open_mailbox(&c->f, c->account, "INBOX")->unseen, 3);
    assert_int_equal(used_bytes(c), 6 * 4);
}

/* ---- copies */

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

/* ---- moves */

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

/* ---- stages that come to nothing */

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
#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STAGE_TEST(test_copy_appears_at_once),
        STAGE_TEST(test_inbox_is_renamed_meanwhile),
        STAGE_TEST(test_account_is_deleted_meanwhile),
        STAGE_TEST(test_recovery_ends_a_stage),
        STAGE_TEST(test_copy_onto_itself),
        STAGE_TEST(test_move_changes_both_at_once),
        STAGE_TEST(test_move_of_what_changed_begins_again),
        STAGE_TEST(test_abandoned_stage_leaves_nothing),
        STAGE_TEST(test_quota_is_refused_in_the_middle),
        STAGE_TEST(test_one_stage_an_account),
        STAGE_TEST(test_deliveries_pass_the_reserved_uids),
        STAGE_TEST(test_mailboxes_are_deleted_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
