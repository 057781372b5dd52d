/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/charset.h"

#include <pthread.h>

#include "tests/unit/lib/mail/message_util.h"

static void texts_are_converted(void **state)
{
    static const struct {
        const char *charset, *in, *out;
    } table[] = {
        { "utf-8", "a\xc3\xa4\xe2\x82\xac", "a\xc3\xa4\xe2\x82\xac" },
        { "utf-8",
          "a\xff"
          "b\xc3",
          "a\xef\xbf\xbd"
          "b\xef\xbf\xbd" },
        { "utf-8", "\xf5\x9d\x9e\x8c\xed\xa0\x80",
          "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
        { "us-ascii", "a\xe4", "a\xef\xbf\xbd" },
        { "ISO-8859-1", "\xe4", "\xc3\xa4" },
        { "windows-1252", "\x80", "\xe2\x82\xac" },
        { "koi8-r", "\xc1", "\xd0\xb0" },
        { "iso-2022-jp", "\x1b$B$\"\x1b(B", "\xe3\x81\x82" },
        { "shift_jis", "\x82\xa0", "\xe3\x81\x82" },
        { "gb2312", "\xc4\xe3", "\xe4\xbd\xa0" },
        { "big5", "\xa7\x41", "\xe4\xbd\xa0" },
        { "euc-kr", "\xb0\xa1", "\xea\xb0\x80" },
        { "utf-7", "+AOQ-", "\xc3\xa4" },
        { "windows-1255", "\xf9\xec",
          "\xd7\xa9\xd7\x9c" }, /* composed: the last letter waits for an accent */
        { "windows-1258", "xa", "xa" },
        { "windows-1258", "a\xcc", "\xc3\xa0" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct slice in = slice_str(table[i].in);
        for (size_t step = 1; step <= in.len; step++) {
            struct charset_conv *conv;
            struct buf out = { 0 };
            assert_int_equal(charset_conv_new(slice_str(table[i].charset), &conv), OK);
            for (size_t at = 0; at < in.len; at += step)
                charset_conv_push(conv, slice_sub(in, at, at + step), &out);
            charset_conv_finish(conv, &out);
            assert_slice(buf_slice(&out), table[i].out);
            charset_conv_free(&conv);
            assert_null(conv);
            buf_fini(&out);
        }
    }
    struct charset_conv *conv;
    assert_int_equal(charset_conv_new(slice_str("x-no-such-charset"), &conv), ERR_UNSUPPORTED);
    assert_int_equal(charset_conv_new(slice_of("utf\0x", 5), &conv), ERR_UNSUPPORTED);
}

static void words_are_decoded(void **state)
{
    static const struct {
        const char *in, *out;
    } table[] = {
        { "plain", "plain" },
        { "", "" },
        { "=?utf-8?Q?a=C3=A4_b?=", "a\xc3\xa4 b" },
        { "=?iso-8859-1?B?5A==?= =?iso-8859-1?Q?=E4?=", "\xc3\xa4\xc3\xa4" },
        { "=?utf-8?Q?one?=\r\n =?utf-8?Q?two?= three", "onetwo three" },
        { "raw \xc3\xa4", "raw \xc3\xa4" },
        { "=?utf-8?Q?broken", "=?utf-8?Q?broken" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf out = { 0 };
        charset_decode_words(slice_str(table[i].in), &out);
        assert_slice(buf_slice(&out), table[i].out);
        buf_fini(&out);
    }
}

static void supersets_are_known(void **state)
{
    (void)state;
    assert_true(charset_is_ascii_superset(SLICE_NULL));
    assert_true(charset_is_ascii_superset(slice_str("UTF-8")));
    assert_true(charset_is_ascii_superset(slice_str("iso-8859-15")));
    assert_true(charset_is_ascii_superset(slice_str("euc-jp")));
    assert_false(charset_is_ascii_superset(slice_str("UTF-16LE")));
    assert_false(charset_is_ascii_superset(slice_str("ISO-2022-JP")));
    assert_false(charset_is_ascii_superset(slice_str("Shift_JIS")));
    assert_true(charset_is_utf8(SLICE_NULL));
    assert_false(charset_is_utf8(slice_str("latin1")));
}

static void *init_and_decode(void *arg)
{
    struct buf *out = arg;
    mail_init();
    charset_decode_words(slice_str("=?utf-8?Q?x?="), out);
    return NULL;
}

static void threads_may_race_to_init(void **state)
{
    (void)state;
    pthread_t threads[8];
    struct buf outs[8] = { 0 };
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, init_and_decode, &outs[i]), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        assert_slice(buf_slice(&outs[i]), "x");
        buf_fini(&outs[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_may_race_to_init),
        cmocka_unit_test(texts_are_converted),
        cmocka_unit_test(words_are_decoded),
        cmocka_unit_test(supersets_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
