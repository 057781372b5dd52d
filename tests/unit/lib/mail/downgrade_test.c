/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/downgrade.h"
#include "lib/mail/utf8.h"
#include "tests/unit/lib/mail/message_util.h"

#define NOBODY "<invalid@internationalized-address.invalid>"

static void check(const char *from, const char *to)
{
    struct buf out = { 0 };

    downgrade_header(slice_str(from), &out);
    assert_slice(buf_slice(&out), to);
    buf_fini(&out);
}

static const struct {
    const char *from, *to;
} table[] = {
    { "", "\r\n" },
    { "A: 1\r\nb:2\r\n\t3\r\n\r\n", "A: 1\r\nb:2\r\n\t3\r\n\r\n" },
    { "A: 1", "A: 1\r\n\r\n" },
    /* RFC 6858 2.1 */
    { "From: jörg@example.test\r\n\r\n",
      "From: =?UTF-8?B?asO2cmdAZXhhbXBsZS50ZXN0?=\r\n " NOBODY "\r\n\r\n" },
    { "From: Jörg <joerg@dömäin.test>\r\n\r\n",
      "From: =?UTF-8?B?SsO2cmcgPGpvZXJnQGTDtm3DpGluLnRlc3Q+?=\r\n " NOBODY "\r\n\r\n" },
    { "To: \"J. O\" <jö@x>, =?utf-8?q?J=C3=B6?= <jö@x>\r\n",
      "To: \"J. O\"\r\n =?UTF-8?B?PGrDtkB4Pg==?=\r\n " NOBODY
      ",\r\n =?utf-8?q?J=C3=B6?=\r\n =?UTF-8?B?PGrDtkB4Pg==?=\r\n " NOBODY "\r\n\r\n" },
    { "cc: Jörg <joerg@example.test>, a\r\n b <\"c d\"@e>, f@[127.0.0.1]\r\n",
      "cc: =?UTF-8?B?SsO2cmc=?=\r\n <joerg@example.test>,\r\n a b <\"c d\"@e>,\r\n <f@[127.0.0.1]>\r\n\r\n" },
    { "To: Größe: a@b, jö@x;, c@d, \"q\\\"\":;\r\n",
      "To: =?UTF-8?B?R3LDtsOfZQ==?=:\r\n <a@b>,\r\n =?UTF-8?B?asO2QHg=?=\r\n " NOBODY
      ";,\r\n <c@d>,\r\n \"q\\\"\":;\r\n\r\n" },
    { "Bcc: (ö)\r\n", "\r\n" },
    { "Sender: <@röute:a@b>\r\n", "Sender: <a@b>\r\n\r\n" },
    { "Return-Path: <jö@x>\r\n", "Return-Path: " NOBODY "\r\n\r\n" },
    /* 2.2 */
    { "Content-Type: text/plain; charset=utf-8; name=\"ü;.txt\";\r\n format=flowed\r\n",
      "Content-Type: text/plain;\r\n charset=utf-8;\r\n format=flowed\r\n\r\n" },
    { "Content-Disposition: attachment; filename=ü\r\n", "Content-Disposition: attachment\r\n\r\n" },
    { "Content-Type: text/plain (\\);ü\r\n", "\r\n" },
    { "Content-Type: text/plain; a=\"\\\";ü\"; b=(;\")ü; c=d\r\n",
      "Content-Type: text/plain;\r\n c=d\r\n\r\n" },
    /* 2.3 */
    { "Subject: Grüße\r\n aus\r\n", "Subject: =?UTF-8?B?R3LDvMOfZSBhdXM=?=\r\n\r\n" },
    { "Subject: 12345678901234567890123456789012345ü1234567890123456789012345678901234567890\r\n",
      "Subject: =?UTF-8?B?MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU=?=\r\n"
      " =?UTF-8?B?w7wxMjM0NTY3ODkwMTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0?=\r\n"
      " =?UTF-8?B?NTY3ODkw?=\r\n\r\n" },
    /* 2.4 */
    { "Received: from ü\r\nX-ü: a\r\nMessage-ID: <ü@x>\r\nComments: ü\r\nA: b\r\n", "A: b\r\n\r\n" },
};

static void fields_are_rewritten(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        check(table[i].from, table[i].to);
}

/* However a header breaks off, what comes out is ASCII, a header, and stays as it is. */
static void every_beginning_gives_a_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct slice whole = slice_str(table[i].from);

        for (size_t len = 0; len <= whole.len; len++) {
            struct buf once = { 0 }, twice = { 0 };

            downgrade_header(slice_sub(whole, 0, len), &once);
            assert_true(utf8_is_ascii(buf_slice(&once)));
            downgrade_header(buf_slice(&once), &twice);
            assert_true(slice_eq(buf_slice(&once), buf_slice(&twice)));
            buf_fini(&once);
            buf_fini(&twice);
        }
    }
}

static void only_utf8_is_international(void **state)
{
    struct buf large = { 0 };

    (void)state;
    assert_false(downgrade_is_international(slice_str("")));
    assert_false(downgrade_is_international(slice_str("Subject: a\r\n")));
    assert_true(downgrade_is_international(slice_str("Subject: \xc3\xbc\r\n")));
    assert_false(downgrade_is_international(slice_str("Subject: \xfc\r\n")));
    buf_add_str(&large, "\xc3\xbc");
    while (large.len < DOWNGRADE_HEADER_MAX)
        buf_add_byte(&large, 'a');
    assert_true(downgrade_is_international(buf_slice(&large)));
    buf_add_byte(&large, 'a');
    assert_false(downgrade_is_international(buf_slice(&large)));
    buf_fini(&large);
}

static unsigned flags_of(const char *message, bool international)
{
    struct summary_builder *b = summary_builder_new(SUMMARY_STORED_MAX);
    struct buf encoded = { 0 };
    struct summary s;

    summary_builder_push(b, slice_str(message));
    if (international)
        summary_builder_international(b);
    summary_builder_finish(b, &encoded);
    summary_builder_free(&b);
    assert_int_equal(summary_open(buf_slice(&encoded), &s), OK);
    buf_fini(&encoded);
    return s.flags & (SUMMARY_INTERNATIONAL | SUMMARY_HEADER_8BIT);
}

static void summaries_are_marked(void **state)
{
    (void)state;
    assert_int_equal(flags_of("A: \xc3\xbc\r\n\r\n", false), SUMMARY_HEADER_8BIT);
    assert_int_equal(flags_of("A: \xc3\xbc\r\n\r\n", true), SUMMARY_HEADER_8BIT | SUMMARY_INTERNATIONAL);
    assert_int_equal(flags_of("A: \xfc\r\n\r\n", true), SUMMARY_HEADER_8BIT);
    assert_int_equal(flags_of("A: a\r\n\r\n\xc3\xbc\r\n", true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_rewritten),
        cmocka_unit_test(every_beginning_gives_a_header),
        cmocka_unit_test(only_utf8_is_international),
        cmocka_unit_test(summaries_are_marked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
