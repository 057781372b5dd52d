/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/imap_format.h"
#include "tests/unit/lib/mail/message_util.h"

static void strings_are_quoted_or_literal(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *plain, *utf8, *astring;
    } table[] = {
        { "", 0, "\"\"", "\"\"", "\"\"" },
        { "a b", 3, "\"a b\"", "\"a b\"", "\"a b\"" },
        { "abc", 3, "\"abc\"", "\"abc\"", "abc" },
        { "a]", 2, "\"a]\"", "\"a]\"", "a]" },
        { "NIL", 3, "\"NIL\"", "\"NIL\"", "\"NIL\"" },
        { "a\"\\", 3, "\"a\\\"\\\\\"", "\"a\\\"\\\\\"", "\"a\\\"\\\\\"" },
        { "a\r\nb", 4, "{4}\r\na\r\nb", "{4}\r\na\r\nb", "{4}\r\na\r\nb" },
        { "\xc3\xa4", 2, "{2}\r\n\xc3\xa4", "\"\xc3\xa4\"", "{2}\r\n\xc3\xa4" },
        { "\xe4", 1, "{1}\r\n\xe4", "{1}\r\n\xe4", "{1}\r\n\xe4" },
    };
    (void)state;
    struct buf out = { 0 };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct slice s = slice_of(table[i].text, table[i].len);
        imap_format_string(&out, s, false);
        assert_slice(buf_slice(&out), table[i].plain);
        buf_clear(&out);
        imap_format_nstring(&out, s, true);
        assert_slice(buf_slice(&out), table[i].utf8);
        buf_clear(&out);
        imap_format_astring(&out, s, false);
        assert_slice(buf_slice(&out), table[i].astring);
        buf_clear(&out);
    }
    imap_format_nstring(&out, SLICE_NULL, false);
    assert_slice(buf_slice(&out), "NIL");
    buf_fini(&out);
}

/* What is in `fields` is a header; %s of the message follows. */
static void check_texts(const char *message, bool utf8, bool rev2, const char *envelope, const char *body,
                        const char *structure)
{
    struct buf encoded = { 0 }, out = { 0 };
    struct imap_format how = { .utf8 = utf8, .rev2 = rev2 };
    struct summary s = summarise(slice_str(message), &encoded);
    assert_int_equal(imap_format_envelope(&s, &how, &out), OK);
    if (envelope != NULL)
        assert_slice(buf_slice(&out), envelope);
    buf_clear(&out);
    assert_int_equal(imap_format_body(&s, &how, &out), OK);
    if (body != NULL)
        assert_slice(buf_slice(&out), body);
    buf_clear(&out);
    assert_int_equal(imap_format_bodystructure(&s, &how, &out), OK);
    if (structure != NULL)
        assert_slice(buf_slice(&out), structure);
    buf_fini(&out);
    buf_fini(&encoded);
}

static void envelopes_are_written(void **state)
{
    (void)state;
    check_texts("", false, false, "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)", NULL, NULL);
    check_texts(
        "Date: now\r\nSubject: s\r\nFrom: A <a@x>\r\nTo: b@x, c@x\r\nCc: G: d@x;\r\nIn-Reply-To: <1>\r\n"
        "Message-ID: <2>\r\n\r\n",
        false, false,
        "(\"now\" \"s\" ((\"A\" NIL \"a\" \"x\")) ((\"A\" NIL \"a\" \"x\")) ((\"A\" NIL \"a\" \"x\")) "
        "((NIL NIL \"b\" \"x\")(NIL NIL \"c\" \"x\")) "
        "((NIL NIL \"G\" NIL)(NIL NIL \"d\" \"x\")(NIL NIL NIL NIL)) NIL \"<1>\" \"<2>\")",
        NULL, NULL);
    check_texts("From: a@x\r\nSender: s@x\r\nReply-To: r@x\r\nBcc: h@x\r\nSubject:\r\n\r\n", false, false,
                "(NIL \"\" ((NIL NIL \"a\" \"x\")) ((NIL NIL \"s\" \"x\")) ((NIL NIL \"r\" \"x\")) NIL NIL "
                "((NIL NIL \"h\" \"x\")) NIL NIL)",
                NULL, NULL);
    check_texts("Subject: a \"b\" \\c\r\n\r\n", false, false,
                "(NIL \"a \\\"b\\\" \\\\c\" NIL NIL NIL NIL NIL NIL NIL NIL)", NULL, NULL);
    check_texts("Subject: \xc3\xa4\r\n\r\n", false, false,
                "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL NIL NIL)", NULL, NULL);
    check_texts("Subject: \xc3\xa4\r\n\r\n", true, false,
                "(NIL \"\xc3\xa4\" NIL NIL NIL NIL NIL NIL NIL NIL)", NULL, NULL);
    check_texts("To: a@x\r\nTo: b@x\r\nSubject: 1\r\nSubject: 2\r\n\r\n", true, false,
                "(NIL \"1\" NIL NIL NIL ((NIL NIL \"a\" \"x\")(NIL NIL \"b\" \"x\")) NIL NIL NIL NIL)", NULL,
                NULL);
}

static void single_parts_are_written(void **state)
{
    (void)state;
    check_texts("\r\nhi\r\n", false, false, NULL,
                "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1)",
                "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1 NIL NIL NIL NIL)");
    check_texts(
        "Content-Type: TEXT/HTML; format=x\r\nContent-ID: <i>\r\nContent-Description: d\r\n"
        "Content-Transfer-Encoding: BASE64\r\nContent-MD5: m\r\n"
        "Content-Disposition: attachment; filename*=utf-8''%C3%A4\r\nContent-Language: en\r\n"
        "Content-Location: l\r\n\r\nx",
        false, false, NULL,
        "(\"TEXT\" \"HTML\" (\"format\" \"x\" \"charset\" \"us-ascii\") \"<i>\" \"d\" \"BASE64\" 1 0)",
        "(\"TEXT\" \"HTML\" (\"format\" \"x\" \"charset\" \"us-ascii\") \"<i>\" \"d\" \"BASE64\" 1 0 "
        "\"m\" (\"attachment\" (\"filename*\" \"utf-8''%C3%A4\")) \"en\" \"l\")");
    check_texts("Content-Type: image/gif\r\nContent-Language: en, de\r\nContent-Disposition: inline\r\n\r\nx",
                false, false, NULL, "(\"image\" \"gif\" NIL NIL NIL \"7bit\" 1)",
                "(\"image\" \"gif\" NIL NIL NIL \"7bit\" 1 NIL (\"inline\" NIL) (\"en\" \"de\") NIL)");
}

static void nested_parts_are_written(void **state)
{
    (void)state;
    check_texts("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: "
                "image/gif\r\n"
                "\r\nG\r\n--b--\r\n",
                false, false, NULL,
                "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0)"
                "(\"image\" \"gif\" NIL NIL NIL \"7bit\" 1) \"mixed\")",
                "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0 NIL NIL NIL NIL)"
                "(\"image\" \"gif\" NIL NIL NIL \"7bit\" 1 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") "
                "NIL NIL NIL)");
    check_texts("Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing\r\n", false, false, NULL,
                "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")", NULL);
    const char *message = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nhi\r\n";
    check_texts(message, false, false, NULL,
                "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 "
                "(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1) 3)",
                NULL);
    const char *global = "Content-Type: message/global\r\n\r\nSubject: in\r\n\r\nhi\r\n";
    check_texts(global, false, false, NULL, "(\"message\" \"global\" NIL NIL NIL \"7bit\" 19)",
                "(\"message\" \"global\" NIL NIL NIL \"7bit\" 19 NIL NIL NIL NIL)");
    check_texts(global, true, true, NULL,
                "(\"message\" \"global\" NIL NIL NIL \"7bit\" 19 "
                "(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) "
                "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1) 3)",
                NULL);
}

static void the_deepest_nesting_is_written(void **state)
{
    (void)state;
    struct buf message = { 0 };
    for (int i = 0; i < 2 * MIME_DEPTH_MAX; i++)
        buf_addf(&message, "Content-Type: multipart/mixed; boundary=b%d.\n\n--b%d.\n", i, i);
    check_texts(buf_cstr(&message), false, false, NULL, NULL, NULL);
    buf_clear(&message);
    for (int i = 0; i < 2 * MIME_DEPTH_MAX; i++)
        buf_add_str(&message, "Content-Type: message/rfc822\n\n");
    check_texts(buf_cstr(&message), false, false, NULL, NULL, NULL);
    buf_fini(&message);
}

static void damage_leaves_the_output_alone(void **state)
{
    (void)state;
    struct buf encoded = { 0 }, out = { 0 };
    struct imap_format how = { 0 };
    struct summary s = summarise(
        slice_str("From: a@x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--"),
        &encoded);
    buf_add_str(&out, "kept");
    struct summary cut = s;
    cut.envelope.len--;
    assert_int_equal(imap_format_envelope(&cut, &how, &out), ERR_CORRUPT);
    for (cut = s; cut.tree.len > 0;) {
        cut.tree.len--;
        assert_int_equal(imap_format_bodystructure(&cut, &how, &out), ERR_CORRUPT);
    }
    cut.has = 0;
    assert_int_equal(imap_format_envelope(&cut, &how, &out), ERR_NOT_FOUND);
    assert_int_equal(imap_format_body(&cut, &how, &out), ERR_NOT_FOUND);
    assert_slice(buf_slice(&out), "kept");
    buf_fini(&encoded);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_quoted_or_literal),  cmocka_unit_test(envelopes_are_written),
        cmocka_unit_test(single_parts_are_written),       cmocka_unit_test(nested_parts_are_written),
        cmocka_unit_test(the_deepest_nesting_is_written), cmocka_unit_test(damage_leaves_the_output_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
