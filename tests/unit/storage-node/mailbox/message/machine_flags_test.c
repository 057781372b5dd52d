/* SPDX-License-Identifier: Apache-2.0 */
/* Flags and keywords of messages, UNCHANGEDSINCE, and what is \Recent. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

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
    assert_true(r->one_flags && r->flags == (MAIL_SEEN | MAIL_FLAGGED) && r->keyword_mask == 0);
    assert_int_equal(open_mailbox(f, id, "INBOX")->modseq, modseq);
    assert_int_equal(open_mailbox(f, id, "INBOX")->unseen, 2);
    r = store_flags(f, id, box, "1:3", TERN__STORE_MODE__STORE_ADD, MAIL_SEEN); /* 2 and 3 have it */
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "1");
    assert_true(r->one_flags && r->flags == MAIL_SEEN);
    r = store_flags(f, id, box, "3", TERN__STORE_MODE__STORE_REMOVE, MAIL_SEEN | MAIL_DRAFT);
    assert_true(r->one_flags && r->flags == MAIL_FLAGGED);
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "3");
    store_flags(f, id, box, "4", TERN__STORE_MODE__STORE_REPLACE, MAIL_DRAFT);
    assert_string_equal(fetch_flags(f, id, box, "1:9", 0), "1:1 2:5 3:4 4:16 ");
    assert_string_equal(fetch_flags(f, id, box, "1:9", modseq), "1:1 3:4 4:16 ");
    before = open_mailbox(f, id, "INBOX")->modseq;
    r = store_flags(f, id, box, "1:9", TERN__STORE_MODE__STORE_REMOVE, MAIL_DELETED);
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "");
    assert_true(r->modseq == 0 && r->before_modseq == before && !r->one_flags);
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
    assert_true(r->one_flags && r->flags == 0 && r->keyword_mask == 3);
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

    r = store_flags(f, id, box, "1:2", TERN__STORE_MODE__STORE_ADD, MAIL_DRAFT); /* one has more already */
    assert_string_equal(fixture_uids_text(f, r->changed_uids), "1:2");
    assert_false(r->one_flags);

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_store),
        TEST(test_store_keywords_and_unchangedsince),
        TEST(test_recent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
