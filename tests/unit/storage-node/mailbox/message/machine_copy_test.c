/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and moves: UIDs, bodies that are shared, refusals, keywords. */
#include "tests/unit/storage-node/mailbox/machine_fixture.h"

#include <string.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_copy_and_move),
        TEST(test_copy_refusals_and_keywords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
