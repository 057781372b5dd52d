/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of LOGIN, AUTHENTICATE, ENABLE and ID, and how a refusal is explained. */
#include "tests/unit/frontend/codec/command_args.h"

static void test_explain(void **state)
{
    struct imap_fetch fetch;
    struct buf b = { 0 };
    struct imap_args a = args_of("1:* (FLAGS NONSENSE\x01)");
    assert_int_equal(imap_parse_fetch(&a, &fetch), ERR_SYNTAX);
    imap_args_explain(&a, &b);
    assert_string_equal(buf_cstr(&b), "Expected an item to fetch at \"NONSENSE?)\"");
    buf_clear(&b);
    a = args_of("1:* (FLAGS");
    assert_int_equal(imap_parse_fetch(&a, &fetch), ERR_SYNTAX);
    imap_args_explain(&a, &b);
    assert_string_equal(buf_cstr(&b), "Expected a space or a closing parenthesis at the end");
    buf_fini(&b);
}

static void test_login(void **state)
{
    struct imap_login l;
    GOOD(login, "bob secret", &l);
    GOOD(login, "\"b o\\\"b\" {6}\r\na\r\n\"b\\", &l);
    assert_slice(l.user, "b o\"b");
    assert_slice(l.password, "a\r\n\"b\\");
    GOOD(login, "bob \"\"", &l);
    assert_int_equal(l.password.len, 0);
    GOOD(login, "NIL ]x", &l);
    BAD(login, "", &l);
    BAD(login, "bob", &l);
    BAD(login, "bob ", &l);
    BAD(login, "bob  x", &l);
    BAD(login, "bob x ", &l);
    BAD(login, "bob x y", &l);
    BAD(login, "bob \"x", &l);
    BAD(login, "bob \"x\\y\"", &l);
    BAD(login, "bob \"x\\", &l);
    BAD(login, "bob \"x\r\"", &l);
    BAD(login, "bob {5}\r\nabc", &l);
    BAD(login, "bob {99999999999999999999}\r\nabc", &l);
    BAD(login, "bob (x)", &l);
}

static void test_authenticate(void **state)
{
    struct imap_authenticate a;
    struct slice out;
    GOOD(authenticate, "plain", &a);
    assert_string_equal(a.mechanism, "PLAIN");
    assert_false(a.has_initial);
    GOOD(authenticate, "PLAIN AGJvYgBz", &a);
    assert_true(a.has_initial && slice_eq(a.initial, SLICE_LIT("\0bob\0s")));
    GOOD(authenticate, "SCRAM-SHA-256 =", &a);
    assert_true(a.has_initial && a.initial.len == 0);
    BAD(authenticate, "PLAIN ", &a);
    BAD(authenticate, "PLAIN AGJ", &a);
    BAD(authenticate, "PLAIN AGJ!", &a);
    BAD(authenticate, "PLAIN A===", &a);
    BAD(authenticate, "PLAIN ====", &a);
    BAD(authenticate, "PLAIN AB==", &a);
    BAD(authenticate, "PLAIN =AAA", &a);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT("*"), &arena, &out), ERR_CANCELLED);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT(""), &arena, &out), OK);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT("AA=="), &arena, &out), OK);
    assert_int_equal(out.len, 1);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT("AA== "), &arena, &out), ERR_SYNTAX);
}

static void test_enable_id(void **state)
{
    uint32_t bits;
    struct imap_id id;
    GOOD(enable, "CONDSTORE X-NEW utf8=accept imap4rev2", &bits);
    assert_int_equal(bits, IMAP_ENABLE_CONDSTORE | IMAP_ENABLE_UTF8_ACCEPT | IMAP_ENABLE_REV2);
    BAD(enable, "", &bits);
    BAD(enable, "X ", &bits);
    GOOD(id, "nil", &id);
    assert_int_equal(id.count, 0);
    GOOD(id, "()", &id);
    GOOD(id, "(\"name\" \"mutt\" \"os\" NIL)", &id);
    assert_int_equal(id.count, 2);
    assert_slice(id.pairs[0].value, "mutt");
    assert_null(id.pairs[1].value.data);
    BAD(id, "(\"name\")", &id);
    BAD(id, "(name \"mutt\")", &id);
    BAD(id, "(\"a\" \"b\"", &id);
    BAD(id, "", &id);
    BAD(id, "(\"0123456789012345678901234567890\" NIL)", &id);
    struct imap_args none = args_of("x");
    assert_int_equal(imap_parse_none(&none), ERR_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explain),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_authenticate),
        cmocka_unit_test(test_enable_id),
    };
    return cmocka_run_group_tests(tests, fresh_arena, free_arena);
}
