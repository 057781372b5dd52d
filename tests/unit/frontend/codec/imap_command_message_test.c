/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of APPEND, STORE, COPY, UID EXPUNGE and FETCH. */
#include "frontend/codec/imap_write.h"
#include "tests/unit/frontend/codec/command_args.h"

static void test_messages(void **state)
{
    struct imap_append ap;
    struct imap_store st;
    struct imap_copy cp;
    struct imap_set set;
    struct imap_args a;
    struct {
        const char *text;
        bool first, good;
    } appends[] = {
        { "INBOX", true, true },
        { "INBOX ()", true, true },
        { "INBOX (\\Seen $Junk \\flagged)", true, true },
        { "{5}\r\nINBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\"", true, true },
        { "INBOX \"17-Jul-1996 02:44:25 -0700\"", true, true },
        { "", false, true },
        { "(\\Seen)", false, true },
        { "\"17-Jul-1996 02:44:25 -0700\"", false, true },
        { "", true, false },
        { "INBOX ", true, false },
        { "INBOX \\Seen", true, false },
        { "INBOX (\\Recent)", true, false },
        { "INBOX (\\Foo)", true, false },
        { "INBOX (\\*)", true, false },
        { "INBOX (\\Seen", true, false },
        { "INBOX () \"17-Jul-1996\"", true, false },
        { "INBOX () 17-Jul-1996", true, false },
        { "(\\Seen) ", false, false },
        { "INBOX", false, false },
    };
    for (size_t i = 0; i < sizeof appends / sizeof appends[0]; i++) {
        print_message("%s\n", appends[i].text);
        a = args_of(appends[i].text);
        assert_int_equal(imap_parse_append(&a, appends[i].first, &ap), appends[i].good ? OK : ERR_SYNTAX);
    }
    GOOD(store, "1:* +FLAGS (\\Seen $junk $JUNK foo)", &st);
    assert_true(st.mode == IMAP_STORE_ADD && !st.silent && st.flags.system == MAIL_SEEN);
    assert_int_equal(st.flags.keyword_count, 2);
    GOOD(store, "$ (UNCHANGEDSINCE 0) -flags.silent \\Deleted \\Answered", &st);
    assert_true(st.set.saved && st.has_unchanged_since && st.unchanged_since == 0 && st.silent);
    assert_int_equal(st.flags.system, MAIL_DELETED | MAIL_ANSWERED);
    GOOD(store, "1 FLAGS ()", &st);
    assert_int_equal(st.mode, IMAP_STORE_REPLACE);
    BAD(store, "1 FLAGS", &st);
    BAD(store, "1 FLAGS ", &st);
    BAD(store, "1 +FLAGSS (\\Seen)", &st);
    BAD(store, "1 +-FLAGS (\\Seen)", &st);
    BAD(store, "0 +FLAGS (\\Seen)", &st);
    BAD(store, "1 +FLAGS (\\Recent)", &st);
    BAD(store, "1 +FLAGS (\\Seen) x", &st);
    BAD(store, "1 (UNCHANGEDSINCE -1) FLAGS (\\Seen)", &st);
    GOOD(copy, "2:4 \"Sent &- more\"", &cp);
    assert_slice(cp.mailbox, "Sent & more");
    BAD(copy, "2:4", &cp);
    BAD(copy, "$$ x", &cp);
    GOOD(uid_expunge, "3,5:*", &set);
    BAD(uid_expunge, "", &set);
    BAD(uid_expunge, "3 4", &set);
}

static const char *section_of(const struct imap_fetch *f, unsigned i)
{
    struct buf b = { 0 };
    imap_write_section(&b, &f->sections[i]);
    const char *text = arena_strdup(&arena, buf_slice(&b));
    buf_fini(&b);
    return text;
}

static void test_fetch(void **state)
{
    struct imap_fetch f;
    GOOD(fetch, "1 FAST", &f);
    assert_int_equal(f.items, IMAP_FETCH_FLAGS | IMAP_FETCH_INTERNALDATE | IMAP_FETCH_SIZE);
    GOOD(fetch, "1 all", &f);
    GOOD(fetch, "1 FULL", &f);
    assert_true((f.items & IMAP_FETCH_BODY) != 0 && (f.items & IMAP_FETCH_ENVELOPE) != 0);
    GOOD(fetch, "$ (UID FLAGS BODY BODYSTRUCTURE MODSEQ PREVIEW (LAZY) EMAILID THREADID)", &f);
    assert_true(f.set.saved && !f.sets_seen);
    assert_true((f.items & IMAP_FETCH_PREVIEW_LAZY) != 0);
    GOOD(fetch, "1:* (RFC822.SIZE) (CHANGEDSINCE 12345 VANISHED)", &f);
    assert_true(f.vanished && f.changed_since == 12345 && (f.items & IMAP_FETCH_MODSEQ) != 0);
    GOOD(fetch, "1 PREVIEW (CHANGEDSINCE 5)", &f);
    assert_true(f.has_changed_since && (f.items & IMAP_FETCH_PREVIEW_LAZY) == 0);
    GOOD(fetch, "1 PREVIEW (LAZY)", &f);

    static const struct {
        const char *text, *section;
        bool seen;
    } sections[] = {
        { "BODY[]", "BODY[]", true },
        { "body.peek[]<0.1000>", "BODY[]<0>", false },
        { "BODY[1.2.3]", "BODY[1.2.3]", true },
        { "BODY[TEXT]<5.1>", "BODY[TEXT]<5>", true },
        { "BODY.PEEK[HEADER]", "BODY[HEADER]", false },
        { "BODY[1.MIME]", "BODY[1.MIME]", true },
        { "BODY[3.HEADER]", "BODY[3.HEADER]", true },
        { "BODY.PEEK[HEADER.FIELDS (Date \"From\" {2}\r\nTo)]", "BODY[HEADER.FIELDS (Date From To)]", false },
        { "BODY[2.header.fields.not (x)]<1.2>", "BODY[2.HEADER.FIELDS.NOT (x)]<1>", true },
        { "BINARY[1.2]<0.9>", "BINARY[1.2]<0>", true },
        { "BINARY.PEEK[]", "BINARY[]", false },
        { "BINARY.SIZE[4]", "BINARY.SIZE[4]", false },
        { "RFC822", "RFC822", true },
        { "RFC822.HEADER", "RFC822.HEADER", false },
        { "RFC822.TEXT", "RFC822.TEXT", true },
    };
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        const char *text = arena_printf(&arena, "1 %s", sections[i].text);
        GOOD(fetch, text, &f);
        assert_int_equal(f.section_count, 1);
        assert_string_equal(section_of(&f, 0), sections[i].section);
        assert_int_equal(f.sets_seen, sections[i].seen);
        GOOD(fetch, arena_printf(&arena, "1 (FLAGS %s UID)", sections[i].text), &f);
        assert_int_equal(f.items, IMAP_FETCH_FLAGS | IMAP_FETCH_UID);
    }
    static const char *const bad[] = {
        "",
        "1",
        "1 ",
        "1 ()",
        "1 (FLAGS",
        "1 FLAGS UID",
        "1 (ALL)",
        "x FLAGS",
        "1 FLAGSX",
        "1 BODY[",
        "1 BODY[MIME]",
        "1 BODY[0]",
        "1 BODY[1.]",
        "1 BODY[1.0]",
        "1 BODY[.TEXT]",
        "1 BODY[1TEXT]",
        "1 BODY[TEXT.1]",
        "1 BODY[]<0>",
        "1 BODY[]<0.0>",
        "1 BODY[]<.1>",
        "1 BODY[]<99999999999999999999.1>",
        "1 BODY[HEADER.FIELDS]",
        "1 BODY[HEADER.FIELDS ()]",
        "1 BODY[HEADER.FIELDS (a]",
        "1 BODY.PEEK",
        "1 BINARY",
        "1 BINARY[TEXT]",
        "1 BINARY.SIZE[1]<0.1>",
        "1 RFC822.PEEK",
        "1 BODYSTRUCTURE[1]",
        "1 FLAGS (VANISHED)",
        "1 FLAGS (CHANGEDSINCE)",
        "1 FLAGS (CHANGEDSINCE 1",
        "1 FLAGS ()",
        "1 BODY[4294967296]",
        "1 RFC822[1]",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        BAD(fetch, bad[i], &f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_fetch),
    };
    return cmocka_run_group_tests(tests, fresh_arena, free_arena);
}
