/* SPDX-License-Identifier: Apache-2.0 */
/* Mailbox names, modified UTF-7, flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "lib/mail/flags.h"
#include "lib/mail/mailbox_name.h"
#include "lib/mail/utf7.h"

static const struct {
    const char *utf7, *utf8;
} pairs[] = {
    { "", "" },
    { "INBOX", "INBOX" },
    { "a&-b", "a&b" },
    { "&-&-", "&&" },
    { "&AOQ-", "\xc3\xa4" },
    { "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
      "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e" },
    { "&AOQ-&-&AOQ-", "\xc3\xa4&\xc3\xa4" },
    { "&2D3eAA-", "\xf0\x9f\x98\x80" },
    { "Entw&APw-rfe", "Entw\xc3\xbcrfe" },
};

static const char *const bad_utf7[] = {
    "&",        "&AOQ",  "&AOQ-&AOQ-", "&AGE-",    "&A-",  "&AA-",   "&-&",       "&2D0-", "&3gA-",
    "&3gDYPQ-", "&AOR-", "&AOQA-",     "\xc3\xa4", "a\tb", "&AOQ=-", "&AOQ AOQ-", "&!-",
};

static void test_utf7(void **state)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        buf_clear(&b);
        assert_int_equal(utf7_decode(slice_str(pairs[i].utf7), &b), OK);
        assert_string_equal(buf_cstr(&b), pairs[i].utf8);
        buf_clear(&b);
        assert_int_equal(utf7_encode(slice_str(pairs[i].utf8), &b), OK);
        assert_string_equal(buf_cstr(&b), pairs[i].utf7);
    }
    buf_clear(&b);
    for (size_t i = 0; i < sizeof bad_utf7 / sizeof bad_utf7[0]; i++) {
        print_message("%s\n", bad_utf7[i]);
        assert_int_equal(utf7_decode(slice_str(bad_utf7[i]), &b), ERR_SYNTAX);
        assert_int_equal(b.len, 0);
    }
    assert_int_equal(utf7_encode(SLICE_LIT("a\xff"), &b), ERR_SYNTAX);
    assert_int_equal(b.len, 0);
    buf_fini(&b);
}

/* Every scalar value there and back. */
static void test_utf7_all(void **state)
{
    for (uint32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        uint8_t u[4];
        size_t n = 0;
        if (c < 0x80) {
            u[n++] = (uint8_t)c;
        } else if (c < 0x800) {
            u[n++] = (uint8_t)(0xc0 | c >> 6);
        } else {
            if (c >= 0x10000) {
                u[n++] = (uint8_t)(0xf0 | c >> 18);
                u[n++] = (uint8_t)(0x80 | (c >> 12 & 63));
            } else {
                u[n++] = (uint8_t)(0xe0 | c >> 12);
            }
            u[n++] = (uint8_t)(0x80 | (c >> 6 & 63));
        }
        if (c >= 0x80)
            u[n++] = (uint8_t)(0x80 | (c & 63));
        struct buf there = { 0 }, back = { 0 };
        assert_int_equal(utf7_encode(slice_of(u, n), &there), OK);
        assert_int_equal(utf7_decode(buf_slice(&there), &back), OK);
        assert_true(slice_eq(buf_slice(&back), slice_of(u, n)));
        buf_fini(&there);
        buf_fini(&back);
    }
}

static void test_names(void **state)
{
    static const struct {
        const char *in, *out; /* out NULL: refused */
    } rows[] = {
        { "inbox", "INBOX" },
        { "InBoX/a", "INBOX/a" },
        { "inboxes", "inboxes" },
        { "a/inbox", "a/inbox" },
        { "a/b c", "a/b c" },
        { "u\xcc\x88", "\xc3\xbc" },
        { "", NULL },
        { "/", NULL },
        { "a/", NULL },
        { "/a", NULL },
        { "a//b", NULL },
        { "a\tb", NULL },
        { "a\x7f", NULL },
        { "a\xc2\x80", NULL },
        { "a\xff", NULL },
        { "a\xef\xbb\xbf", NULL },
        { "\xe2\x80\xa8", NULL },
    };
    struct arena arena = { 0 };
    struct slice out;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        enum err err = mailbox_name_normalise(slice_str(rows[i].in), &arena, &out);
        assert_int_equal(err, rows[i].out == NULL ? ERR_SYNTAX : OK);
        if (err == OK)
            assert_true(slice_eq_str(out, rows[i].out));
    }
    char level[MAILBOX_LEVEL_SIZE_MAX + 1], deep[2 * MAILBOX_DEPTH_MAX + 1], whole[MAILBOX_NAME_SIZE_MAX + 1];
    memset(level, 'x', sizeof level);
    assert_int_equal(mailbox_name_normalise(slice_of(level, sizeof level - 1), &arena, &out), OK);
    assert_int_equal(mailbox_name_normalise(slice_of(level, sizeof level), &arena, &out), ERR_TOO_BIG);
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = i % 2 == 0 ? 'x' : '/';
    assert_int_equal(mailbox_name_normalise(slice_of(deep, sizeof deep - 2), &arena, &out), OK);
    assert_int_equal(mailbox_name_normalise(slice_of(deep, sizeof deep), &arena, &out), ERR_TOO_BIG);
    for (size_t i = 0; i < sizeof whole; i++)
        whole[i] = i % 200 == 199 ? '/' : 'x';
    assert_int_equal(mailbox_name_normalise(slice_of(whole, sizeof whole - 2), &arena, &out), OK);
    assert_int_equal(mailbox_name_normalise(slice_of(whole, sizeof whole), &arena, &out), ERR_TOO_BIG);
    assert_true(slice_eq_str(mailbox_name_parent(SLICE_LIT("a/b/c")), "a/b"));
    assert_true(slice_eq_str(mailbox_name_leaf(SLICE_LIT("a/b/c")), "c"));
    assert_int_equal(mailbox_name_parent(SLICE_LIT("a")).len, 0);
    arena_fini(&arena);
}

static void test_patterns(void **state)
{
    static const struct {
        const char *name, *pattern;
        bool matches;
    } rows[] = {
        { "a", "*", true },           { "a/b", "*", true },      { "a", "%", true },
        { "a/b", "%", false },        { "a/b", "%/%", true },    { "a/b/c", "%/%", false },
        { "a/b/c", "*/c", true },     { "a/b", "a", false },     { "a", "a*", true },
        { "a", "a%", true },          { "a/b", "a%", false },    { "a/b", "a*", true },
        { "foo", "f*o", true },       { "foo", "f%o", true },    { "foo", "f**%%oo", true },
        { "foo", "g*", false },       { "INBOX", "inb*", true }, { "INBOX", "iNbOx", true },
        { "inboxes", "INB*", false }, { "a", "", false },        { "a/b/c", "a/*/c", true },
        { "a/c", "a/*/c", false },    { "Sent", "sent", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(mailbox_name_matches(slice_str(rows[i].name), slice_str(rows[i].pattern)),
                         rows[i].matches);
    /* A hostile pattern costs no more than name times pattern. */
    char name[MAILBOX_NAME_SIZE_MAX], pattern[MAILBOX_PATTERN_SIZE_MAX];
    memset(name, 'a', sizeof name);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = i % 2 == 0 ? '*' : 'a';
    pattern[sizeof pattern - 1] = 'b';
    assert_false(mailbox_name_matches(slice_of(name, sizeof name), slice_of(pattern, sizeof pattern)));
}

static void test_flags(void **state)
{
    struct keyword_table t = { 0 };
    unsigned index;
    assert_int_equal(mail_flag_find(SLICE_LIT("\\sEEN")), MAIL_SEEN);
    assert_int_equal(mail_flag_find(SLICE_LIT("\\Recent")), 0);
    assert_string_equal(mail_flag_name(MAIL_DRAFT), "\\Draft");
    assert_int_equal(special_use_find(SLICE_LIT("\\sent")), USE_SENT);
    assert_string_equal(special_use_name(USE_TRASH), "\\Trash");
    assert_true(keyword_is_valid(SLICE_LIT("$Forwarded")));
    assert_false(keyword_is_valid(SLICE_LIT("\\Seen")));
    assert_false(keyword_is_valid(SLICE_LIT("")));
    assert_false(keyword_is_valid(SLICE_LIT("a b")));
    assert_false(keyword_is_valid(SLICE_LIT("a]")));
    for (unsigned i = 0; i < KEYWORDS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "k%u", i);
        assert_int_equal(keyword_table_add(&t, slice_str(name), &index), OK);
        assert_int_equal(index, i);
    }
    assert_int_equal(keyword_table_add(&t, SLICE_LIT("K3"), &index), OK);
    assert_int_equal(index, 3);
    assert_int_equal(keyword_table_add(&t, SLICE_LIT("new"), &index), ERR_LIMIT);
    assert_int_equal(keyword_table_add(&t, SLICE_LIT("n\\w"), &index), ERR_SYNTAX);
    assert_int_equal(keyword_table_find(&t, SLICE_LIT("k64")), -1);
    keyword_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf7),     cmocka_unit_test(test_utf7_all), cmocka_unit_test(test_names),
        cmocka_unit_test(test_patterns), cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
