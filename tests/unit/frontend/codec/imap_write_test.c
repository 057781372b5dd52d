/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/codec/imap_write.h"

static struct buf b;

/* What was written since the last look. */
static const char *written(void)
{
    static char text[1024];
    const char *s = buf_cstr(&b);
    assert_true(strlen(s) < sizeof text);
    strcpy(text, s);
    buf_clear(&b);
    return text;
}

static int free_buffer(void **state)
{
    buf_fini(&b);
    return 0;
}

static void test_strings(void **state)
{
    imap_write_literal(&b, SLICE_LIT("a\"b"));
    assert_string_equal(written(), "{3}\r\na\"b");
    imap_write_literal_head(&b, 10, true);
    assert_string_equal(written(), "~{10}\r\n");
    imap_write_mailbox(&b, SLICE_LIT("INBOX"), false);
    assert_string_equal(written(), "INBOX");
    imap_write_mailbox(&b, SLICE_LIT("a b"), false);
    assert_string_equal(written(), "\"a b\"");
    imap_write_mailbox(&b, SLICE_LIT("Entw\xc3\xbcrfe & x"), false);
    assert_string_equal(written(), "\"Entw&APw-rfe &- x\"");
    imap_write_mailbox(&b, SLICE_LIT("Entw\xc3\xbcrfe & x"), true);
    assert_string_equal(written(), "\"Entw\xc3\xbcrfe & x\"");
    imap_write_mailbox(&b, SLICE_LIT(""), false);
    assert_string_equal(written(), "\"\"");
    imap_write_text(&b, SLICE_LIT("a\r\nb\xc3\xbc"), false);
    assert_string_equal(written(), "a??b??");
    imap_write_text(&b, SLICE_LIT("b\xc3\xbc"), true);
    assert_string_equal(written(), "b\xc3\xbc");
}

static void test_status_lines(void **state)
{
    struct uidset from = { 0 }, to = { 0 };
    uidset_add_range(&from, 3, 5);
    uidset_add_range(&to, 9, 11);
    imap_write_status_line(&b, SLICE_LIT("a1"), "NO", "TRYCREATE", "No such mailbox");
    assert_string_equal(written(), "a1 NO [TRYCREATE] No such mailbox\r\n");
    imap_write_status_line(&b, SLICE_LIT("*"), "BYE", NULL, "Done");
    assert_string_equal(written(), "* BYE Done\r\n");
    imap_write_appenduid(&b, 7, &to);
    assert_string_equal(written(), "APPENDUID 7 9:11");
    imap_write_copyuid(&b, 7, &from, &to);
    assert_string_equal(written(), "COPYUID 7 3:5 9:11");
    imap_write_modified(&b, &from);
    assert_string_equal(written(), "MODIFIED 3:5");
    uidset_fini(&from);
    uidset_fini(&to);
}

static void test_flags(void **state)
{
    struct keyword_table t = { 0 };
    unsigned index;
    assert_int_equal(keyword_table_add(&t, SLICE_LIT("$Junk"), &index), OK);
    assert_int_equal(keyword_table_add(&t, SLICE_LIT("x"), &index), OK);
    imap_write_flags(&b, (struct mail_flags){ 0, 0 }, &t, false);
    assert_string_equal(written(), "()");
    imap_write_flags(&b, (struct mail_flags){ MAIL_SEEN | MAIL_DRAFT, 6 }, &t, true);
    assert_string_equal(written(), "(\\Seen \\Draft \\Recent x)");
    imap_write_flags(&b, (struct mail_flags){ 0, 1 }, NULL, false);
    assert_string_equal(written(), "()");
    imap_write_flag_names(&b, &t, true);
    assert_string_equal(written(), "(\\Seen \\Answered \\Flagged \\Deleted \\Draft $Junk x \\*)");
    imap_write_special_use(&b, USE_SENT | USE_TRASH);
    assert_string_equal(written(), " \\Sent \\Trash");
    keyword_table_fini(&t);
}

static void test_list(void **state)
{
    struct imap_list_row row = { .attributes = IMAP_ATTR_HASNOCHILDREN | IMAP_ATTR_SUBSCRIBED,
                                 .use = USE_SENT,
                                 .name = SLICE_LIT("Sent Mail") };
    imap_write_list(&b, &row, false);
    assert_string_equal(written(), "* LIST (\\HasNoChildren \\Subscribed \\Sent) \"/\" \"Sent Mail\"\r\n");
    row = (struct imap_list_row){
        .lsub = true, .name = SLICE_LIT("x"), .childinfo_subscribed = true, .old_name = SLICE_LIT("y")
    };
    imap_write_list(&b, &row, false);
    assert_string_equal(written(), "* LSUB () \"/\" x (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (y))\r\n");
    row = (struct imap_list_row){ .attributes = IMAP_ATTR_NOSELECT };
    imap_write_list(&b, &row, false);
    assert_string_equal(written(), "* LIST (\\Noselect) \"/\" \"\"\r\n");
    struct imap_status_values v = {
        .messages = 3, .unseen = 1, .highestmodseq = UINT64_C(1) << 40, .mailboxid = SLICE_LIT("F1")
    };
    imap_write_status(
        &b, SLICE_LIT("x"), false,
        IMAP_STATUS_MESSAGES | IMAP_STATUS_UNSEEN | IMAP_STATUS_HIGHESTMODSEQ | IMAP_STATUS_MAILBOXID, &v);
    assert_string_equal(written(),
                        "* STATUS x (MESSAGES 3 UNSEEN 1 HIGHESTMODSEQ 1099511627776 MAILBOXID (F1))\r\n");
}

static void test_search(void **state)
{
    struct uidset s = { 0 };
    uint32_t all = IMAP_SEARCH_MIN | IMAP_SEARCH_MAX | IMAP_SEARCH_ALL | IMAP_SEARCH_COUNT | IMAP_SEARCH_SAVE;
    imap_write_search(&b, &s, 9);
    assert_string_equal(written(), "* SEARCH\r\n");
    imap_write_esearch(&b, SLICE_LIT("a1"), true, all, &s, 9);
    assert_string_equal(written(), "* ESEARCH (TAG \"a1\") UID COUNT 0\r\n");
    uidset_add_range(&s, 2, 4);
    uidset_add(&s, 9);
    imap_write_search(&b, &s, 9);
    assert_string_equal(written(), "* SEARCH 2 3 4 9 (MODSEQ 9)\r\n");
    imap_write_esearch(&b, SLICE_LIT("a1"), true, all, &s, 9);
    assert_string_equal(written(), "* ESEARCH (TAG \"a1\") UID MIN 2 MAX 9 COUNT 4 ALL 2:4,9 MODSEQ 9\r\n");
    imap_write_esearch(&b, SLICE_LIT("a\\1"), false, IMAP_SEARCH_SAVE, &s, 0);
    assert_string_equal(written(), "* ESEARCH (TAG \"a\\\\1\")\r\n");
    uidset_fini(&s);
}

static void test_id(void **state)
{
    struct imap_id_pair pairs[] = { { SLICE_LIT("name"), SLICE_LIT("Tern") },
                                    { SLICE_LIT("os"), SLICE_NULL } };
    imap_write_id(&b, pairs, 2);
    assert_string_equal(written(), "(\"name\" \"Tern\" \"os\" NIL)");
    imap_write_id(&b, NULL, 0);
    assert_string_equal(written(), "NIL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings), cmocka_unit_test(test_status_lines), cmocka_unit_test(test_flags),
        cmocka_unit_test(test_list),    cmocka_unit_test(test_search),       cmocka_unit_test(test_id),
    };
    return cmocka_run_group_tests(tests, NULL, free_buffer);
}
