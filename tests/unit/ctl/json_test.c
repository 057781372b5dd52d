/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ctl/json.h"

static void expect(struct json *j, const char *text)
{
    assert_string_equal(buf_cstr(&j->out), text);
    buf_fini(&j->out);
}

static void test_structure(void **state)
{
    struct json j = { 0 };
    json_open(&j, NULL, '[');
    json_open(&j, NULL, '{');
    json_number(&j, "n", UINT64_MAX);
    json_bool(&j, "b", false);
    json_open(&j, "list", '[');
    json_text(&j, NULL, SLICE_LIT("a"));
    json_text(&j, NULL, SLICE_LIT("b"));
    json_close(&j, ']');
    json_open(&j, "empty", '{');
    json_close(&j, '}');
    json_hex(&j, "hex", SLICE_LIT("\x00\xff"));
    json_close(&j, '}');
    json_number(&j, NULL, 0);
    json_close(&j, ']');
    expect(
        &j,
        "[{\"n\":18446744073709551615,\"b\":false,\"list\":[\"a\",\"b\"],\"empty\":{},\"hex\":\"00ff\"},0]");
}

static void test_text(void **state)
{
    static const struct {
        struct slice text;
        const char *json;
    } rows[] = {
        { SLICE_LIT(""), "\"\"" },
        { SLICE_LIT("a\"b\\c"), "\"a\\\"b\\\\c\"" },
        { SLICE_LIT("\0\n\x7f"), "\"\\u0000\\u000a\\u007f\"" },
        { SLICE_LIT("\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6"), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6\"" },
        { SLICE_LIT("\xc3"), "\"\xef\xbf\xbd\"" },
        { SLICE_LIT("\xff\x80z"), "\"\xef\xbf\xbd\xef\xbf\xbdz\"" },
        { SLICE_LIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" }, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct json j = { 0 };
        json_text(&j, NULL, rows[i].text);
        expect(&j, rows[i].json);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_structure), cmocka_unit_test(test_text) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
