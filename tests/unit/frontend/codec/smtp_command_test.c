/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "frontend/codec/smtp_command.h"

static void test_verb_and_args(void **state)
{
    struct smtp_command c = smtp_command_parse(SLICE_LIT("mail  FROM:<a@b> SIZE=1  "));
    (void)state;
    assert_true(slice_eq_str(c.verb, "mail"));
    assert_true(slice_eq_str(c.args, "FROM:<a@b> SIZE=1"));
    c = smtp_command_parse(SLICE_LIT(""));
    assert_int_equal(c.verb.len, 0);
}

static void test_mail(void **state)
{
    static const struct {
        const char *args;
        enum err err;
        const char *path;
        uint64_t size;
        bool smtputf8;
    } rows[] = {
        { "FROM:<>", OK, "", 0, false },
        { "from:<a@b.example>", OK, "a@b.example", 0, false },
        { "FROM: <a@b.example>", OK, "a@b.example", 0, false },
        { "FROM:<a@b> SIZE=12345 BODY=8BITMIME SMTPUTF8", OK, "a@b", 12345, true },
        { "FROM:<a@b> AUTH=<>", OK, "a@b", 0, false },
        { "FROM:<@relay,@other:a@b>", OK, "a@b", 0, false },
        { "FROM:<\"a>b\"@c>", OK, "\"a>b\"@c", 0, false },
        { "FROM:<\"a\\\">b\"@c>", OK, "\"a\\\">b\"@c", 0, false },
        { "FROM:a@b", ERR_SYNTAX, NULL, 0, false },
        { "FROM:<a@b", ERR_SYNTAX, NULL, 0, false },
        { "FROM:<a@b>SIZE=1", ERR_SYNTAX, NULL, 0, false },
        { "TO:<a@b>", ERR_SYNTAX, NULL, 0, false },
        { "", ERR_SYNTAX, NULL, 0, false },
        { "FROM:<a@b> SIZE=x", ERR_INVALID, NULL, 0, false },
        { "FROM:<a@b> SIZE", ERR_INVALID, NULL, 0, false },
        { "FROM:<a@b> SIZE=99999999999999999999999", ERR_INVALID, NULL, 0, false },
        { "FROM:<a@b> SMTPUTF8=yes", ERR_INVALID, NULL, 0, false },
        { "FROM:<a@b> BODY=BINARYMIME", ERR_INVALID, NULL, 0, false },
        { "FROM:<a@b> RET=FULL", ERR_UNSUPPORTED, NULL, 0, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct smtp_mail mail;
        assert_int_equal(smtp_mail_parse(slice_str(rows[i].args), &mail), rows[i].err);
        if (rows[i].err != OK)
            continue;
        assert_true(slice_eq_str(mail.path, rows[i].path));
        assert_int_equal(mail.size, rows[i].size);
        assert_int_equal(mail.smtputf8, rows[i].smtputf8);
    }
}

static void test_rcpt(void **state)
{
    struct slice path;
    (void)state;
    assert_int_equal(smtp_rcpt_parse(SLICE_LIT("TO:<bob@x>"), &path), OK);
    assert_true(slice_eq_str(path, "bob@x"));
    assert_int_equal(smtp_rcpt_parse(SLICE_LIT("TO:<>"), &path), ERR_SYNTAX);
    assert_int_equal(smtp_rcpt_parse(SLICE_LIT("TO:<bob@x> NOTIFY=NEVER"), &path), ERR_UNSUPPORTED);
}

static void test_bdat(void **state)
{
    uint64_t size;
    bool last;
    (void)state;
    assert_int_equal(smtp_bdat_parse(SLICE_LIT("100"), &size, &last), OK);
    assert_int_equal(size, 100);
    assert_false(last);
    assert_int_equal(smtp_bdat_parse(SLICE_LIT("0 last"), &size, &last), OK);
    assert_true(last);
    assert_int_equal(smtp_bdat_parse(SLICE_LIT(""), &size, &last), ERR_SYNTAX);
    assert_int_equal(smtp_bdat_parse(SLICE_LIT("-1"), &size, &last), ERR_SYNTAX);
    assert_int_equal(smtp_bdat_parse(SLICE_LIT("5 FIRST"), &size, &last), ERR_SYNTAX);
    assert_int_equal(smtp_bdat_parse(SLICE_LIT("99999999999999999999999"), &size, &last), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verb_and_args),
        cmocka_unit_test(test_mail),
        cmocka_unit_test(test_rcpt),
        cmocka_unit_test(test_bdat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
