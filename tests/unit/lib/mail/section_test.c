/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/section.h"
#include "tests/unit/lib/mail/message_util.h"

/* The example of RFC 9051 6.4.5.1: 1 text, 2 application, 3 a message with (1 text, 2 application), 4 a
 * multipart with (1 image, 2 a message with (1 text, 2 a multipart/alternative with 1 text, 2 richtext)).
 * Bodies name their section. */
static const char mail[] =
    "Subject: top\nContent-Type: multipart/mixed; boundary=a\n\n"
    "--a\nX: 1\n\n[1]\n"
    "--a\nX: 2\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\nWzJd\n"
    "--a\nX: 3\nContent-Type: message/rfc822\n\n"
    "Subject: three\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n[3.1]\n--b\nX: 3.2\n\n[3.2]\n--b--\n"
    "--a\nX: 4\nContent-Type: multipart/mixed; boundary=c\n\n--c\nContent-Type: image/gif\n\n[4.1]\n"
    "--c\nX: 4.2\nContent-Type: message/rfc822\n\nSubject: deep\nContent-Type: multipart/mixed; "
    "boundary=d\n\n"
    "--d\n\n[4.2.1]\n--d\nX: 4.2.2\nContent-Type: multipart/alternative; boundary=e\n\n"
    "--e\n\n[4.2.2.1]\n--e\n\n[4.2.2.2]\n--e--\n--d--\n--c--\n"
    "--a--\n";

static size_t parse_path(const char *text, uint32_t *path)
{
    size_t depth = 0;
    while (*text >= '0' && *text <= '9') {
        path[depth++] = (uint32_t)strtoul(text, (char **)&text, 10);
        text += *text == '.';
    }
    return depth;
}

static enum err resolve(const char *message, const char *path_text, enum section_kind kind, struct slice *out)
{
    struct buf encoded = { 0 };
    uint32_t path[16];
    struct section section;
    struct summary s = summarise(slice_str(message), &encoded);
    enum err err = section_resolve(&s, path, parse_path(path_text, path), kind, &section);
    *out = slice_sub(slice_str(message), section.offset, section.offset + section.len);
    buf_fini(&encoded);
    return err;
}

static void leaves_are_found(void **state)
{
    (void)state;
    static const char *const paths[] = { "1", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2" };
    struct slice got;
    char wanted[32];
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        assert_int_equal(resolve(mail, paths[i], SECTION_BODY, &got), OK);
        snprintf(wanted, sizeof wanted, "[%s]", paths[i]);
        assert_slice(got, wanted);
        assert_int_equal(resolve(mail, paths[i], SECTION_HEADER, &got), ERR_NOT_FOUND);
        assert_int_equal(resolve(mail, paths[i], SECTION_TEXT, &got), ERR_NOT_FOUND);
    }
}

static void headers_and_texts_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum section_kind kind;
        const char *begins, *ends;
    } table[] = {
        { "", SECTION_BODY, "Subject: top", "--a--\n" },
        { "", SECTION_HEADER, "Subject: top", "boundary=a\n\n" },
        { "", SECTION_HEADER_FIELDS, "Subject: top", "boundary=a\n\n" },
        { "", SECTION_TEXT, "--a\nX: 1", "--a--\n" },
        { "1", SECTION_MIME, "X: 1\n\n", "X: 1\n\n" },
        { "2", SECTION_MIME, "X: 2\n", "base64\n\n" },
        { "3", SECTION_BODY, "Subject: three", "--b--" },
        { "3", SECTION_HEADER, "Subject: three", "boundary=b\n\n" },
        { "3", SECTION_HEADER_FIELDS_NOT, "Subject: three", "boundary=b\n\n" },
        { "3", SECTION_TEXT, "--b\n", "--b--" },
        { "3", SECTION_MIME, "X: 3\n", "message/rfc822\n\n" },
        { "3.2", SECTION_MIME, "X: 3.2\n\n", "X: 3.2\n\n" },
        { "4", SECTION_BODY, "--c\n", "--c--" },
        { "4.2", SECTION_HEADER, "Subject: deep", "boundary=d\n\n" },
        { "4.2", SECTION_TEXT, "--d\n", "--d--" },
        { "4.2.2", SECTION_BODY, "--e\n", "--e--" },
        { "4.2.2", SECTION_MIME, "X: 4.2.2\n", "boundary=e\n\n" },
    };
    struct slice got;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(resolve(mail, table[i].path, table[i].kind, &got), OK);
        assert_true(slice_starts(got, slice_str(table[i].begins)));
        size_t len = strlen(table[i].ends);
        assert_true(got.len >= len);
        assert_slice(slice_sub(got, got.len - len, got.len), table[i].ends);
    }
}

static void what_is_not_there_is_not_found(void **state)
{
    (void)state;
    static const char *const paths[] = { "0",   "5",   "1.1",   "2.1",     "3.3",
                                         "3.0", "4.3", "4.2.3", "4.2.2.3", "3.1.1" };
    struct slice got;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        assert_int_equal(resolve(mail, paths[i], SECTION_BODY, &got), ERR_NOT_FOUND);
    assert_int_equal(resolve(mail, "4", SECTION_HEADER, &got), ERR_NOT_FOUND);
    assert_int_equal(resolve(mail, "", SECTION_MIME, &got), ERR_NOT_FOUND);
}

static void a_message_without_parts_has_one(void **state)
{
    (void)state;
    struct slice got;
    const char *plain = "Subject: x\n\nbody\n";
    assert_int_equal(resolve(plain, "1", SECTION_BODY, &got), OK);
    assert_slice(got, "body\n");
    assert_int_equal(resolve(plain, "1", SECTION_MIME, &got), OK);
    assert_slice(got, "Subject: x\n\n");
    assert_int_equal(resolve(plain, "2", SECTION_BODY, &got), ERR_NOT_FOUND);
    assert_int_equal(resolve(plain, "1.1", SECTION_BODY, &got), ERR_NOT_FOUND);
    /* a message that is a message: 1 is the inner one, 1.1 its body */
    const char *nested = "Content-Type: message/rfc822\n\nSubject: y\n\ninner\n";
    assert_int_equal(resolve(nested, "1", SECTION_BODY, &got), OK);
    assert_slice(got, "Subject: y\n\ninner\n");
    assert_int_equal(resolve(nested, "1", SECTION_HEADER, &got), OK);
    assert_slice(got, "Subject: y\n\n");
    assert_int_equal(resolve(nested, "1", SECTION_TEXT, &got), OK);
    assert_slice(got, "inner\n");
    assert_int_equal(resolve(nested, "1.1", SECTION_BODY, &got), OK);
    assert_slice(got, "inner\n");
    assert_int_equal(resolve(nested, "1.1", SECTION_MIME, &got), OK);
    assert_slice(got, "Subject: y\n\n");
    assert_int_equal(resolve(nested, "1.1.1", SECTION_BODY, &got), ERR_NOT_FOUND);
    assert_int_equal(resolve(nested, "1.2", SECTION_BODY, &got), ERR_NOT_FOUND);
}

static void encodings_are_told(void **state)
{
    (void)state;
    struct buf encoded = { 0 };
    struct section section;
    struct summary s = summarise(slice_str(mail), &encoded);
    assert_int_equal(section_resolve(&s, (uint32_t[]){ 2 }, 1, SECTION_BODY, &section), OK);
    assert_int_equal(section.encoding, DECODE_BASE64);
    assert_int_equal(section_resolve(&s, (uint32_t[]){ 3 }, 1, SECTION_BODY, &section), OK);
    assert_int_equal(section.encoding, DECODE_NONE);
    s.size -= 200;
    assert_int_equal(section_resolve(&s, (uint32_t[]){ 4 }, 1, SECTION_BODY, &section), ERR_CORRUPT);
    buf_fini(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_are_found),
        cmocka_unit_test(headers_and_texts_are_found),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(a_message_without_parts_has_one),
        cmocka_unit_test(encodings_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
