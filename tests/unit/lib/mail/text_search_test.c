/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/text_search.h"

#include "tests/unit/lib/mail/message_util.h"

static bool in_text(const char *key_text, struct slice text)
{
    struct text_key *key;
    assert_int_equal(text_key_new(slice_str(key_text), &key), OK);
    bool found = text_key_match_utf8(key, text);
    text_key_free(&key);
    assert_null(key);
    return found;
}

static void texts_match_without_case(void **state)
{
    (void)state;
    assert_true(in_text("", SLICE_NULL));
    assert_true(in_text("abc", slice_str("xxABCxx")));
    assert_true(in_text("A", slice_str("a")));
    assert_false(in_text("abc", slice_str("ab")));
    assert_false(in_text("@", slice_str("`")));
    assert_false(in_text("[", slice_str("{")));
    assert_true(in_text("\xc3\x84", slice_str("b\xc3\xa4")));
    assert_true(in_text("stra\xc3\x9f"
                        "e",
                        slice_str("Strasse")) == in_text("strasse", slice_str("STRASSE")));
    assert_true(in_text("e\xcc\x81t\xc3\xa9", slice_str("\xc3\xa9T\xc3\x89")));
    assert_true(in_text("\xce\xa3", slice_str("\xcf\x83")));
}

/* Every place and length against a plain search. */
static void ascii_search_misses_nothing(void **state)
{
    (void)state;
    char text[100];
    static const char *const keys[] = { "q", "qz", "zqz", "The quick brown fox!", "0123456789abcdef0" };
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
        size_t len = strlen(keys[k]);
        for (size_t at = 0; at + len <= sizeof text; at++) {
            memset(text, '.', sizeof text);
            assert_false(in_text(keys[k], slice_of(text, sizeof text)));
            for (size_t i = 0; i < len; i++)
                text[at + i] =
                    (char)((keys[k][i] >= 'a' && keys[k][i] <= 'z') ? keys[k][i] - 32 : keys[k][i]);
            assert_true(in_text(keys[k], slice_of(text, sizeof text)));
            assert_true(in_text(keys[k], slice_of(text, at + len)));
            assert_false(in_text(keys[k], slice_of(text, at + len - 1)));
            assert_false(in_text(keys[k], slice_of(text + at + 1, sizeof text - at - 1)));
        }
    }
}

static void headers_are_decoded(void **state)
{
    (void)state;
    struct slice block =
        slice_str("Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= und\r\n mehr\r\nX-Y: raw \xc3\x84\r\nEmpty:\r\n\r\n");
    static const struct {
        const char *key, *name;
        bool found;
    } table[] = {
        { "gr\xc3\xbc", "SUBJECT", true },
        { "und mehr", "subject", true },
        { "und", "x-y", false },
        { "\xc3\xa4", "x-y", true },
        { "", "empty", true },
        { "", "missing", false },
        { "raw", NULL, true },
        { "subject", NULL, true },
        { "utf-8", "subject", false },
        { "nowhere", NULL, false },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct text_key *key;
        assert_int_equal(text_key_new(slice_str(table[i].key), &key), OK);
        struct slice name = table[i].name == NULL ? SLICE_NULL : slice_str(table[i].name);
        assert_int_equal(text_key_match_header(key, block, name), table[i].found);
        text_key_free(&key);
    }
}

struct memory {
    struct slice message;
    size_t step;
    size_t reads;
};

static enum err read_memory(void *ctx, uint64_t offset, uint64_t len, struct slice *out)
{
    struct memory *m = ctx;
    m->reads++;
    *out = slice_sub(m->message, offset, offset + (len < m->step ? len : m->step));
    return OK;
}

static const char mail[] =
    "Subject: topsubject\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
    "--b\r\nX-Part: partheader\r\n\r\nPlain needle one\r\n"
    "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
    "quoted-printable\r\n\r\n"
    "soft=\r\nbreak Stra=DFe =C4pfel\r\n"
    "--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    "SGlkZGVuIHRyZWFzdXJl\r\n" /* Hidden treasure */
    "--b\r\nContent-Type: application/octet-stream\r\n\r\nattachedword\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: innersubject\r\n\r\ninnerbody\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-16be\r\nContent-Transfer-Encoding: "
    "base64\r\n\r\nAEEAQgBD\r\n" /* ABC */
    "--b\r\nContent-Type: text/plain; charset=x-unknown\r\n\r\nstrange \xc3\x84\r\n"
    "--b--\r\n";

static void messages_are_searched(void **state)
{
    static const struct {
        const char *key;
        bool body, text;
    } table[] = {
        { "", true, true },
        { "topsubject", false, true },
        { "partheader", false, true },
        { "needle", true, true },
        { "PLAIN NEEDLE ONE", true, true },
        { "softbreak", true, true },
        { "stra\xc3\x9f"
          "e \xc3\xa4pfel",
          true, true },
        { "hidden treasure", true, true },
        { "attachedword", false, false },
        { "innersubject", true, true },
        { "innerbody", true, true },
        { "abc", true, true },
        { "preamble", false, false },
        { "strange \xc3\xa4", true, true },
        { "one\r\nsoft", false, false },
    };
    (void)state;
    struct buf encoded = { 0 };
    struct summary s = summarise(slice_str(mail), &encoded);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        for (size_t step = 1; step < 2000; step = step * 3 + 1) {
            struct memory memory = { slice_str(mail), step, 0 };
            struct text_source source = { &memory, read_memory };
            struct text_key *key;
            bool body, text;
            assert_int_equal(text_key_new(slice_str(table[i].key), &key), OK);
            assert_int_equal(text_search_message(key, &s, TEXT_SCOPE_BODY, &source, &body), OK);
            assert_int_equal(text_search_message(key, &s, TEXT_SCOPE_TEXT, &source, &text), OK);
            if (body != table[i].body || text != table[i].text)
                fail_msg("\"%s\" in steps of %zu: body %d text %d", table[i].key, step, body, text);
            text_key_free(&key);
        }
    }
    buf_fini(&encoded);
}

/* Keys that lie across the seams of large bodies, in every encoding. */
static void seams_are_no_hiding_place(void **state)
{
    (void)state;
    static const char *const heads[] = { "\r\n", "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                                         "Content-Type: text/plain; charset=gb18030\r\n\r\n" };
    for (size_t h = 0; h < sizeof heads / sizeof heads[0]; h++) {
        for (size_t before = 64 * 1024 - 8; before < 64 * 1024 + 3; before++) {
            struct buf message = { 0 }, encoded = { 0 };
            buf_add_str(&message, heads[h]);
            for (size_t i = 0; i < before; i++)
                buf_add_byte(&message, i % 70 == 69 ? '\n' : 'x');
            buf_add_str(&message, "needle");
            summarise_by(buf_slice(&message), 4096, SUMMARY_FULL_MAX, &encoded);
            struct summary s;
            assert_int_equal(summary_open(buf_slice(&encoded), &s), OK);
            struct memory memory = { buf_slice(&message), 64 * 1024, 0 };
            struct text_source source = { &memory, read_memory };
            struct text_key *key;
            bool found;
            assert_int_equal(text_key_new(slice_str("nEEdle"), &key), OK);
            assert_int_equal(text_search_message(key, &s, TEXT_SCOPE_BODY, &source, &found), OK);
            assert_true(found);
            text_key_free(&key);
            buf_fini(&message);
            buf_fini(&encoded);
        }
    }
}

static enum err read_fails(void *ctx, uint64_t offset, uint64_t len, struct slice *out)
{
    (void)ctx, (void)offset, (void)len, (void)out;
    return ERR_IO;
}

static void errors_are_passed_on(void **state)
{
    (void)state;
    struct buf encoded = { 0 };
    struct summary s = summarise(slice_str(mail), &encoded);
    struct text_source source = { NULL, read_fails };
    struct text_key *key;
    bool found;
    assert_int_equal(text_key_new(slice_str("x"), &key), OK);
    assert_int_equal(text_search_message(key, &s, TEXT_SCOPE_TEXT, &source, &found), ERR_IO);
    s.has = 0;
    assert_int_equal(text_search_message(key, &s, TEXT_SCOPE_TEXT, &source, &found), ERR_UNSUPPORTED);
    text_key_free(&key);
    assert_int_equal(text_key_new(slice_str("\xff"), &key), ERR_SYNTAX);
    struct buf large = { 0 };
    memset(buf_reserve(&large, TEXT_KEY_MAX + 1), 'a', TEXT_KEY_MAX + 1);
    large.len = TEXT_KEY_MAX + 1;
    assert_int_equal(text_key_new(buf_slice(&large), &key), ERR_TOO_BIG);
    buf_fini(&large);
    buf_fini(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_match_without_case),  cmocka_unit_test(ascii_search_misses_nothing),
        cmocka_unit_test(headers_are_decoded),       cmocka_unit_test(messages_are_searched),
        cmocka_unit_test(seams_are_no_hiding_place), cmocka_unit_test(errors_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
