/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of SELECT, CREATE, RENAME, STATUS, LIST and LSUB. */
#include "tests/unit/frontend/codec/command_args.h"

static void test_select(void **state)
{
    struct imap_select s;
    GOOD(select, "inbox", &s);
    assert_slice(s.mailbox, "INBOX");
    GOOD(select, "\"Entw&APw-rfe/x\" (CONDSTORE)", &s);
    assert_slice(s.mailbox, "Entw\xc3\xbcrfe/x");
    assert_true(s.condstore);
    GOOD(select, "x (QRESYNC (67890007 90060115194045000 41,43:211,214:541))", &s);
    assert_true(s.qresync && s.has_known_uids && !s.has_match);
    assert_int_equal(s.uidvalidity, 67890007);
    assert_true(s.modseq == 90060115194045000);
    GOOD(select, "x (QRESYNC (1 20 1:9 (1,3 5,7)) CONDSTORE)", &s);
    assert_true(s.has_match && s.condstore && s.match_uids.count == 2);
    GOOD(select, "x (QRESYNC (1 20 (1,3 5,7)))", &s);
    assert_true(s.has_match && !s.has_known_uids);
    BAD(select, "", &s);
    BAD(select, "x y", &s);
    BAD(select, "x ()", &s);
    BAD(select, "x (FOO)", &s);
    BAD(select, "x (QRESYNC (0 1))", &s);
    BAD(select, "x (QRESYNC (1 1)", &s);
    BAD(select, "&AGE-", &s);
    BAD(select, "a//b", &s);
    BAD(select, "\"\"", &s);
    BAD(select, "a*", &s);
    BAD(select, "\"Entw\xc3\xbcrfe\"", &s);
    struct imap_args a = imap_args_of(SLICE_LIT("\"Entw\xc3\xbcrfe & mehr\""), &arena, true);
    assert_int_equal(imap_parse_select(&a, &s), OK);
    assert_slice(s.mailbox, "Entw\xc3\xbcrfe & mehr");
}

static void test_mailbox_commands(void **state)
{
    struct imap_create c;
    struct imap_rename r;
    struct imap_status s;
    struct slice name;
    GOOD(create, "foo/", &c);
    assert_true(c.is_parent);
    assert_slice(c.mailbox, "foo");
    GOOD(create, "foo (USE (\\Drafts \\Sent))", &c);
    assert_int_equal(c.use, USE_DRAFTS | USE_SENT);
    GOOD(create, "foo (USE (\\Foo))", &c);
    assert_true(c.has_unknown_use);
    GOOD(create, "foo (USE ())", &c);
    BAD(create, "/", &c);
    BAD(create, "foo//", &c);
    BAD(create, "foo (USE)", &c);
    BAD(create, "foo (USE (\\Sent)", &c);
    GOOD(rename, "a {3}\r\nb c", &r);
    assert_slice(r.to, "b c");
    BAD(rename, "a", &r);
    GOOD(mailbox, "\"a b\"", &name);
    BAD(mailbox, "a b", &name);
    GOOD(status, "x (messages UNSEEN UIDNEXT SIZE DELETED HIGHESTMODSEQ)", &s);
    assert_int_equal(s.items, IMAP_STATUS_MESSAGES | IMAP_STATUS_UNSEEN | IMAP_STATUS_UIDNEXT |
                                  IMAP_STATUS_SIZE | IMAP_STATUS_DELETED | IMAP_STATUS_HIGHESTMODSEQ);
    BAD(status, "x ()", &s);
    BAD(status, "x MESSAGES", &s);
    BAD(status, "x (MESSAGESX)", &s);
    BAD(status, "x", &s);
}

static void test_list(void **state)
{
    struct imap_list l;
    GOOD(list, "\"\" *", &l);
    assert_false(l.is_extended);
    assert_slice(imap_list_pattern(&l, 0, &arena), "*");
    GOOD(list, "\"\" \"\"", &l);
    assert_int_equal(l.patterns[0].len, 0);
    GOOD(list, "inbox/ %", &l);
    assert_slice(imap_list_pattern(&l, 0, &arena), "INBOX/%");
    GOOD(list, "in box", &l);
    assert_slice(imap_list_pattern(&l, 0, &arena), "INBOX");
    GOOD(list,
         "(SUBSCRIBED RECURSIVEMATCH) \"\" (a% \"b *\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN) "
         "SPECIAL-USE)",
         &l);
    assert_true(l.is_extended);
    assert_int_equal(l.select, IMAP_LIST_SUBSCRIBED | IMAP_LIST_RECURSIVEMATCH);
    assert_int_equal(l.pattern_count, 2);
    assert_slice(l.patterns[1], "b *");
    assert_int_equal(l.returns,
                     IMAP_LIST_RETURN_CHILDREN | IMAP_LIST_RETURN_STATUS | IMAP_LIST_RETURN_SPECIAL_USE);
    assert_int_equal(l.status_items, IMAP_STATUS_MESSAGES | IMAP_STATUS_UNSEEN);
    GOOD(list, "() \"\" x RETURN ()", &l);
    GOOD(list, "\"\" Entw&APw-%", &l);
    assert_slice(l.patterns[0], "Entw\xc3\xbc%");
    BAD(list, "(RECURSIVEMATCH) \"\" *", &l);
    BAD(list, "(RECURSIVEMATCH REMOTE) \"\" *", &l);
    BAD(list, "(FOO) \"\" *", &l);
    BAD(list, "\"\"", &l);
    BAD(list, "\"\" ()", &l);
    BAD(list, "\"\" * RETURN", &l);
    BAD(list, "\"\" * RETURN (STATUS)", &l);
    BAD(list, "\"\" * RETURN (FOO)", &l);
    BAD(list, "\"\" * FOO", &l);
    GOOD(lsub, "\"\" %", &l);
    BAD(lsub, "\"\" (a b)", &l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_mailbox_commands),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, fresh_arena, free_arena);
}
