/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/summary.h"
#include "tests/unit/lib/mail/message_util.h"

static const char mail[] = "Return-Path: <x@y.org>\r\n"
                           "From: Alice <alice@example.test>\r\n"
                           "To: bob@example.test\r\n"
                           "Subject: one\r\n two\r\n"
                           "Date: Wed, 17 Jul 1996 02:44:25 -0700\r\n"
                           "Message-ID: <1@example.test>\r\n"
                           "X-Spam: no\r\n"
                           "\r\n"
                           "Hello,\r\n\r\n  this is\ta text.\r\n";

static void facts_come_back(void **state)
{
    (void)state;
    struct buf encoded = { 0 };
    struct summary s = summarise(slice_str(mail), &encoded);
    struct summary_envelope env;
    struct mail_addr addr;
    assert_int_equal(s.size, sizeof mail - 1);
    assert_int_equal(s.header_len, strstr(mail, "\r\n\r\n") + 4 - mail);
    assert_int_equal(s.flags, 0);
    assert_int_equal(s.has, SUMMARY_HAS_ENVELOPE | SUMMARY_HAS_TREE | SUMMARY_HAS_HEADERS |
                                SUMMARY_HAS_PREVIEW | SUMMARY_HAS_DATE);
    assert_int_equal(s.sent.seconds, 837596665);
    assert_int_equal(s.sent.zone_minutes, -420);
    assert_slice(s.preview, "Hello, this is a text.");
    assert_int_equal(summary_envelope_get(&s, &env), OK);
    assert_slice(env.subject, "one two");
    assert_slice(env.message_id, "<1@example.test>");
    assert_null(env.in_reply_to.data);
    assert_true(summary_addr_next(&env.from, &addr));
    assert_slice(addr.name, "Alice");
    assert_slice(addr.mailbox, "alice");
    assert_slice(addr.host, "example.test");
    assert_false(summary_addr_next(&env.from, &addr));
    assert_false(summary_addr_next(&env.cc, &addr));
    buf_fini(&encoded);
}

static bool answers(const struct summary *s, const char *names, const char *wanted)
{
    struct slice list[8];
    size_t count = 0;
    for (const char *at = names; *at != '\0'; at += strcspn(at, " ") + (strchr(at, ' ') != NULL))
        list[count++] = slice_of(at, strcspn(at, " "));
    struct buf out = { 0 };
    bool known = summary_header_fields(s, list, count, &out);
    if (known)
        assert_slice(buf_slice(&out), wanted);
    assert_true(known || out.len == 0);
    buf_fini(&out);
    return known;
}

static void header_fields_are_answered(void **state)
{
    (void)state;
    struct buf encoded = { 0 };
    struct summary s = summarise(slice_str(mail), &encoded);
    assert_true(answers(&s, "SUBJECT to", "To: bob@example.test\r\nSubject: one\r\n two\r\n\r\n"));
    assert_true(answers(&s, "Cc", "\r\n"));
    assert_true(summary_knows_field(&s, slice_str("subject")));
    assert_false(summary_knows_field(&s, slice_str("X-Spam")));
    assert_true(answers(&s, "X-Nobody-Has-This Cc", "\r\n"));
    assert_false(answers(&s, "Subject X-SPAM", ""));
    assert_false(answers(&s, "return-path", ""));
    buf_fini(&encoded);
}

static void large_fields_are_left_out(void **state)
{
    (void)state;
    struct buf encoded = { 0 }, message = { 0 };
    buf_add_str(&message, "Subject: x\r\nTo: ");
    for (int i = 0; i < 2000; i++)
        buf_addf(&message, "user%d@example.test,\r\n ", i);
    buf_add_str(&message, "z@example.test\r\nDate: never\r\n\r\n");
    struct summary s = summarise(buf_slice(&message), &encoded);
    assert_true(answers(&s, "Subject Date", "Subject: x\r\nDate: never\r\n\r\n"));
    assert_false(answers(&s, "To", ""));
    assert_false(s.has & SUMMARY_HAS_DATE);
    /* A stored one has no room for the envelope, but for all else. */
    buf_clear(&encoded);
    summarise_by(buf_slice(&message), 100, SUMMARY_STORED_MAX, &encoded);
    assert_true(encoded.len <= SUMMARY_STORED_MAX);
    assert_int_equal(summary_open(buf_slice(&encoded), &s), OK);
    struct summary_envelope env;
    assert_int_equal(summary_envelope_get(&s, &env), ERR_NOT_FOUND);
    assert_true(s.has & SUMMARY_HAS_TREE);
    assert_true(answers(&s, "Subject", "Subject: x\r\n\r\n"));
    buf_fini(&message);
    buf_fini(&encoded);
}

static void stored_size_is_bounded(void **state)
{
    (void)state;
    struct buf encoded = { 0 }, message = { 0 };
    struct summary s;
    buf_add_str(&message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (int i = 0; i < 5000; i++)
        buf_addf(&message, "--b\r\nContent-Type: application/x-%d\r\nContent-ID: <%d@x>\r\n\r\n", i, i);
    for (size_t max = 256; max <= SUMMARY_STORED_MAX; max *= 2) {
        buf_clear(&encoded);
        summarise_by(buf_slice(&message), 1000, max, &encoded);
        assert_true(encoded.len <= max);
        assert_int_equal(summary_open(buf_slice(&encoded), &s), OK);
        assert_false(s.has & SUMMARY_HAS_TREE);
        struct section section;
        assert_int_equal(section_resolve(&s, NULL, 0, SECTION_TEXT, &section), OK);
        assert_int_equal(section_resolve(&s, (uint32_t[]){ 1 }, 1, SECTION_BODY, &section), ERR_UNSUPPORTED);
    }
    buf_clear(&encoded);
    summarise_by(buf_slice(&message), 1000, SUMMARY_FULL_MAX, &encoded);
    assert_int_equal(summary_open(buf_slice(&encoded), &s), OK);
    assert_true(s.has & SUMMARY_HAS_TREE);
    buf_fini(&message);
    buf_fini(&encoded);
}

static void previews_are_made(void **state)
{
    static const struct {
        const char *fields, *body, *preview;
    } table[] = {
        { "", "plain\r\n", "plain" },
        { "", "", "" },
        { "Content-Transfer-Encoding: base64\r\n", "SGVsbG8g\r\nV29ybGQ=\r\n", "Hello World" },
        { "Content-Transfer-Encoding: quoted-printable\r\n", "a=\r\nb=20=20c =3D\r\nd", "ab c = d" },
        { "Content-Type: text/plain; charset=utf-8\r\n", "Gr\xc3\xbc\xc3\x9f\xff\xc3(e",
          "Gr\xc3\xbc\xc3\x9f(e" },
        { "Content-Type: text/plain; charset=iso-8859-1\r\n", "Gr\xfc\xdf\x80",
          "Gr\xc3\xbc\xc3\x9f\xe2\x82\xac" },
        { "Content-Type: text/plain; charset=koi8-r\r\n", "\xc1\xc2", "" },
        { "Content-Type: image/gif\r\n", "GIF89", "" },
        { "Content-Disposition: attachment\r\n", "text", "" },
        { "Content-Type: text/html\r\n",
          "<html><head><title>T</title><style>a > b {}</style></head><body>"
          "<!-- no --><p>A&amp;B&nbsp;&lt;c&gt;&#33;</p>d<b>e</b>&unknown;f & g<script>x<y</script></body>",
          "A&B <c>! def & g" },
        { "Content-Type: multipart/mixed; boundary=b\r\n",
          "pre\r\n--b\r\n\r\n \r\n--b\r\n\r\nsecond\r\n--b--", "second" },
        { "Content-Type: multipart/mixed; boundary=b\r\n", "--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--",
          "first" },
        { "Content-Type: message/rfc822\r\n", "Subject: x\r\n\r\ninside\r\n", "inside" },
    };
    (void)state;
    struct buf encoded = { 0 }, message = { 0 };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        buf_clear(&message);
        buf_addf(&message, "%s\r\n%s", table[i].fields, table[i].body);
        struct summary s = summarise(buf_slice(&message), &encoded);
        assert_slice(s.preview, table[i].preview);
        assert_int_equal((s.has & SUMMARY_HAS_PREVIEW) != 0, table[i].preview[0] != '\0');
    }
    buf_clear(&message);
    buf_add_str(&message, "\r\n");
    for (int i = 0; i < 1000; i++)
        buf_add_str(&message, "\xc3\xa4");
    assert_int_equal(summarise(buf_slice(&message), &encoded).preview.len, 2 * SUMMARY_PREVIEW_CHARS);
    buf_fini(&message);
    buf_fini(&encoded);
}

static void damage_is_noticed(void **state)
{
    (void)state;
    struct buf encoded = { 0 };
    struct summary s = summarise(slice_str(mail), &encoded);
    for (size_t len = 0; len < encoded.len; len++)
        assert_int_equal(summary_open(slice_sub(buf_slice(&encoded), 0, len), &s), ERR_CORRUPT);
    buf_add_byte(&encoded, 0);
    assert_int_equal(summary_open(buf_slice(&encoded), &s), ERR_CORRUPT);
    encoded.data[0]++;
    assert_int_equal(summary_open(buf_slice(&encoded), &s), ERR_UNSUPPORTED);
    buf_fini(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_come_back),           cmocka_unit_test(header_fields_are_answered),
        cmocka_unit_test(large_fields_are_left_out), cmocka_unit_test(stored_size_is_bounded),
        cmocka_unit_test(previews_are_made),         cmocka_unit_test(damage_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
