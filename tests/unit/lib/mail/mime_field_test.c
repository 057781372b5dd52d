/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/mime_field.h"
#include "tests/unit/lib/mail/message_util.h"

static void show_params(const struct mime_params *params, struct buf *out)
{
    for (size_t i = 0; i < params->count; i++)
        buf_addf(out, " %.*s=%.*s|", SLICE_FMT(params->items[i].name), SLICE_FMT(params->items[i].value));
}

static void types_are_parsed(void **state)
{
    static const struct {
        const char *value;
        const char *shown;
    } table[] = {
        { "text/plain", "text/plain" },
        { "TEXT/Html; Charset=UTF-8", "TEXT/Html Charset=UTF-8|" },
        { "text / plain (comment) ; (c) charset (x) = (y) utf-8 (z)", "text/plain charset=utf-8|" },
        { "multipart/mixed; boundary=\"a b\\\"c\"", "multipart/mixed boundary=a b\"c|" },
        { "multipart/mixed; boundary=----=_Part/1:2", "multipart/mixed boundary=----=_Part/1:2|" },
        { "multipart/mixed; boundary=abc charset=utf-8", "multipart/mixed boundary=abc| charset=utf-8|" },
        { "application/pdf name=\"a.pdf\"", "application/pdf name=a.pdf|" },
        { "application/pdf; name=my file.pdf; x=y", "application/pdf name=my file.pdf| x=y|" },
        { "text", "text/plain" },
        { "", "text/plain" },
        { "/plain; a=b", "text/plain a=b|" },
        { "text/plain;;; ;a=b;", "text/plain a=b|" },
        { "text/plain; =b; c; d=", "text/plain d=|" },
        { "text/plain; a=\"unclosed", "text/plain a=unclosed|" },
        { "text/plain; a=\"x\" junk; b=y", "text/plain a=x| b=y|" },
        /* RFC 2231 3: continuations, 4: charset and language, both */
        { "a/b; url*0=\"ftp://\"; url*1=\"cs.utk.edu\"", "a/b url=ftp://cs.utk.edu|" },
        { "a/b; url*1=\"cs.utk.edu\"; url*0=\"ftp://\"", "a/b url=ftp://cs.utk.edu|" },
        { "a/b; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
          "a/b title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A|" },
        { "a/b; t*0*=us-ascii'en'This%20is; t*1*=%20even%20more; t*2=\" isn't it!\"",
          "a/b t*=us-ascii'en'This%20is%20even%20more%20isn%27t%20it!|" },
        { "a/b; t*0=a; t*2=c", "a/b t=a|" },
        { "a/b; t*1=b", "a/b t=b|" },
        { "a/b; boundary*=us-ascii''x%3Dy; charset*0*=''utf; charset*1*=-8",
          "a/b boundary=x=y| charset=utf-8|" },
        { "a/b; t*99999999999=x; *=y; **0*=z", "a/b t*99999999999=x| *=y| **0*=z|" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct arena arena = { 0 };
        struct mime_info info;
        struct buf block = { 0 }, got = { 0 };
        buf_addf(&block, "Content-Type: %s\r\n\r\n", table[i].value);
        mime_info_parse(&arena, buf_slice(&block), false, &info);
        buf_addf(&got, "%.*s/%.*s", SLICE_FMT(info.type), SLICE_FMT(info.subtype));
        show_params(&info.params, &got);
        if (!slice_eq_str(buf_slice(&got), table[i].shown))
            fail_msg("%s\n  gives  %.*s\n  wanted %s", table[i].value, SLICE_FMT(buf_slice(&got)),
                     table[i].shown);
        buf_fini(&block);
        buf_fini(&got);
        arena_fini(&arena);
    }
}

static void other_fields_are_parsed(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct mime_info info;
    struct buf params = { 0 };
    mime_info_parse(&arena,
                    slice_str("Content-ID: <a@b>\r\nCONTENT-description: two\r\n lines\r\n"
                              "Content-Transfer-Encoding: (x) Base64 (y)\r\nContent-MD5: Q2hlY2s=\r\n"
                              "Content-Disposition: attachment; filename=\"a.txt\"; size=3\r\n"
                              "Content-Language: en, de (German), fr\r\nContent-Location: http://a/b\r\n"
                              "Content-ID: <second@b>\r\nX-Content-Type: no/no\r\n\r\n"),
                    false, &info);
    assert_slice(info.type, "text");
    assert_false(info.typed);
    assert_slice(info.id, "<a@b>");
    assert_slice(info.description, "two lines");
    assert_slice(info.encoding, "Base64");
    assert_slice(info.md5, "Q2hlY2s=");
    assert_slice(info.disposition, "attachment");
    show_params(&info.disposition_params, &params);
    assert_slice(buf_slice(&params), " filename=a.txt| size=3|");
    assert_int_equal(info.language_count, 3);
    assert_slice(info.languages[1], "de");
    assert_slice(info.languages[2], "fr");
    assert_slice(info.location, "http://a/b");
    buf_fini(&params);
    mime_info_parse(&arena, SLICE_NULL, true, &info);
    assert_slice(info.type, "message");
    assert_slice(info.subtype, "rfc822");
    assert_null(info.encoding.data);
    arena_fini(&arena);
}

static void bounds_hold(void **state)
{
    (void)state;
    struct arena arena = { 0 };
    struct mime_info info;
    struct buf block = { 0 };
    buf_add_str(&block, "Content-Type: a/b");
    for (int i = 0; i < 1000; i++)
        buf_addf(&block, "; p%d=v", i);
    mime_info_parse(&arena, buf_slice(&block), false, &info);
    assert_int_equal(info.params.count, MIME_PARAMS_MAX);
    buf_clear(&block);
    buf_add_str(&block, "Content-Type: a/b; x=1; long=");
    for (int i = 0; i < MIME_PARAM_BYTES_MAX; i++)
        buf_add_byte(&block, 'v');
    mime_info_parse(&arena, buf_slice(&block), false, &info);
    assert_int_equal(info.params.count, 1);
    buf_fini(&block);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_parsed),
        cmocka_unit_test(other_fields_are_parsed),
        cmocka_unit_test(bounds_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
