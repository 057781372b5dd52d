/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of each command: what is read from good ones, where and why bad ones are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/codec/imap_command.h"
#include "frontend/codec/imap_write.h"

static struct arena arena;

static int fresh_arena(void **state)
{
    arena = (struct arena){ 0 };
    return 0;
}

static int free_arena(void **state)
{
    arena_fini(&arena);
    return 0;
}

static struct imap_args args_of(const char *text)
{
    /* An exact copy, so that a sanitizer sees a read beyond the end. */
    size_t len = strlen(text);
    return imap_args_of(slice_of(arena_memdup(&arena, text, len), len), &arena, false);
}

#define GOOD(function, text, out)                              \
    do {                                                       \
        struct imap_args a_ = args_of(text);                   \
        print_message("%s\n", text);                           \
        assert_int_equal(imap_parse_##function(&a_, out), OK); \
    } while (0)
#define BAD(function, text, out)                                       \
    do {                                                               \
        struct imap_args a_ = args_of(text);                           \
        print_message("%s\n", text);                                   \
        assert_int_equal(imap_parse_##function(&a_, out), ERR_SYNTAX); \
        assert_true(a_.expected[0] != '\0');                           \
    } while (0)
#define assert_slice(s, text) assert_string_equal(arena_strdup(&arena, s), text)

static void test_explain(void **state)
{
    struct imap_fetch fetch;
    struct buf b = { 0 };
    struct imap_args a = args_of("1:* (FLAGS NONSENSE\x01)");
    assert_int_equal(imap_parse_fetch(&a, &fetch), ERR_SYNTAX);
    imap_args_explain(&a, &b);
    assert_string_equal(buf_cstr(&b), "Expected an item to fetch at \"NONSENSE?)\"");
    buf_clear(&b);
    a = args_of("1:* (FLAGS");
    assert_int_equal(imap_parse_fetch(&a, &fetch), ERR_SYNTAX);
    imap_args_explain(&a, &b);
    assert_string_equal(buf_cstr(&b), "Expected a space or a closing parenthesis at the end");
    buf_fini(&b);
}

static void test_login(void **state)
{
    struct imap_login l;
    GOOD(login, "bob secret", &l);
    GOOD(login, "\"b o\\\"b\" {6}\r\na\r\n\"b\\", &l);
    assert_slice(l.user, "b o\"b");
    assert_slice(l.password, "a\r\n\"b\\");
    GOOD(login, "bob \"\"", &l);
    assert_int_equal(l.password.len, 0);
    GOOD(login, "NIL ]x", &l);
    BAD(login, "", &l);
    BAD(login, "bob", &l);
    BAD(login, "bob ", &l);
    BAD(login, "bob  x", &l);
    BAD(login, "bob x ", &l);
    BAD(login, "bob x y", &l);
    BAD(login, "bob \"x", &l);
    BAD(login, "bob \"x\\y\"", &l);
    BAD(login, "bob \"x\\", &l);
    BAD(login, "bob \"x\r\"", &l);
    BAD(login, "bob {5}\r\nabc", &l);
    BAD(login, "bob {99999999999999999999}\r\nabc", &l);
    BAD(login, "bob (x)", &l);
}

static void test_authenticate(void **state)
{
    struct imap_authenticate a;
    struct slice out;
    GOOD(authenticate, "plain", &a);
    assert_string_equal(a.mechanism, "PLAIN");
    assert_false(a.has_initial);
    GOOD(authenticate, "PLAIN AGJvYgBz", &a);
    assert_true(a.has_initial && slice_eq(a.initial, SLICE_LIT("\0bob\0s")));
    GOOD(authenticate, "SCRAM-SHA-256 =", &a);
    assert_true(a.has_initial && a.initial.len == 0);
    BAD(authenticate, "PLAIN ", &a);
    BAD(authenticate, "PLAIN AGJ", &a);
    BAD(authenticate, "PLAIN AGJ!", &a);
    BAD(authenticate, "PLAIN A===", &a);
    BAD(authenticate, "PLAIN ====", &a);
    BAD(authenticate, "PLAIN AB==", &a);
    BAD(authenticate, "PLAIN =AAA", &a);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT("*"), &arena, &out), ERR_CANCELLED);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT(""), &arena, &out), OK);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT("AA=="), &arena, &out), OK);
    assert_int_equal(out.len, 1);
    assert_int_equal(imap_parse_sasl_line(SLICE_LIT("AA== "), &arena, &out), ERR_SYNTAX);
}

static void test_enable_id(void **state)
{
    uint32_t bits;
    struct imap_id id;
    GOOD(enable, "CONDSTORE X-NEW utf8=accept imap4rev2", &bits);
    assert_int_equal(bits, IMAP_ENABLE_CONDSTORE | IMAP_ENABLE_UTF8_ACCEPT | IMAP_ENABLE_REV2);
    BAD(enable, "", &bits);
    BAD(enable, "X ", &bits);
    GOOD(id, "nil", &id);
    assert_int_equal(id.count, 0);
    GOOD(id, "()", &id);
    GOOD(id, "(\"name\" \"mutt\" \"os\" NIL)", &id);
    assert_int_equal(id.count, 2);
    assert_slice(id.pairs[0].value, "mutt");
    assert_null(id.pairs[1].value.data);
    BAD(id, "(\"name\")", &id);
    BAD(id, "(name \"mutt\")", &id);
    BAD(id, "(\"a\" \"b\"", &id);
    BAD(id, "", &id);
    BAD(id, "(\"0123456789012345678901234567890\" NIL)", &id);
    struct imap_args none = args_of("x");
    assert_int_equal(imap_parse_none(&none), ERR_SYNTAX);
}

static void test_select(void **state)
{
    struct imap_select s;
    GOOD(select, "inbox", &s);
    assert_slice(s.mailbox, "INBOX");
    GOOD(select, "\"Entw&APw-rfe/x\" (CONDSTORE)", &s);
    assert_slice(s.mailbox, "Entw\xc3\xbcrfe/x");
    assert_true(s.condstore);
    GOOD(select, "x (QRESYNC (67890007 90060115194045000 41,43:211,214:541))", &s);
    assert_true(s.qresync && s.has_known_uids && !s.has_match);
    assert_int_equal(s.uidvalidity, 67890007);
    assert_true(s.modseq == 90060115194045000);
    GOOD(select, "x (QRESYNC (1 20 1:9 (1,3 5,7)) CONDSTORE)", &s);
    assert_true(s.has_match && s.condstore && s.match_uids.count == 2);
    GOOD(select, "x (QRESYNC (1 20 (1,3 5,7)))", &s);
    assert_true(s.has_match && !s.has_known_uids);
    BAD(select, "", &s);
    BAD(select, "x y", &s);
    BAD(select, "x ()", &s);
    BAD(select, "x (FOO)", &s);
    BAD(select, "x (QRESYNC (0 1))", &s);
    BAD(select, "x (QRESYNC (1 1)", &s);
    BAD(select, "&AGE-", &s);
    BAD(select, "a//b", &s);
    BAD(select, "\"\"", &s);
    BAD(select, "a*", &s);
    BAD(select, "\"Entw\xc3\xbcrfe\"", &s);
    struct imap_args a = imap_args_of(SLICE_LIT("\"Entw\xc3\xbcrfe & mehr\""), &arena, true);
    assert_int_equal(imap_parse_select(&a, &s), OK);
    assert_slice(s.mailbox, "Entw\xc3\xbcrfe & mehr");
}

static void test_mailbox_commands(void **state)
{
    struct imap_create c;
    struct imap_rename r;
    struct imap_status s;
    struct slice name;
    GOOD(create, "foo/", &c);
    assert_true(c.is_parent);
    assert_slice(c.mailbox, "foo");
    GOOD(create, "foo (USE (\\Drafts \\Sent))", &c);
    assert_int_equal(c.use, USE_DRAFTS | USE_SENT);
    GOOD(create, "foo (USE (\\Foo))", &c);
    assert_true(c.has_unknown_use);
    GOOD(create, "foo (USE ())", &c);
    BAD(create, "/", &c);
    BAD(create, "foo//", &c);
    BAD(create, "foo (USE)", &c);
    BAD(create, "foo (USE (\\Sent)", &c);
    GOOD(rename, "a {3}\r\nb c", &r);
    assert_slice(r.to, "b c");
    BAD(rename, "a", &r);
    GOOD(mailbox, "\"a b\"", &name);
    BAD(mailbox, "a b", &name);
    GOOD(status, "x (messages UNSEEN UIDNEXT SIZE DELETED HIGHESTMODSEQ)", &s);
    assert_int_equal(s.items, IMAP_STATUS_MESSAGES | IMAP_STATUS_UNSEEN | IMAP_STATUS_UIDNEXT |
                                  IMAP_STATUS_SIZE | IMAP_STATUS_DELETED | IMAP_STATUS_HIGHESTMODSEQ);
    BAD(status, "x ()", &s);
    BAD(status, "x MESSAGES", &s);
    BAD(status, "x (MESSAGESX)", &s);
    BAD(status, "x", &s);
}

static void test_list(void **state)
{
    struct imap_list l;
    GOOD(list, "\"\" *", &l);
    assert_false(l.is_extended);
    assert_slice(imap_list_pattern(&l, 0, &arena), "*");
    GOOD(list, "\"\" \"\"", &l);
    assert_int_equal(l.patterns[0].len, 0);
    GOOD(list, "inbox/ %", &l);
    assert_slice(imap_list_pattern(&l, 0, &arena), "INBOX/%");
    GOOD(list, "in box", &l);
    assert_slice(imap_list_pattern(&l, 0, &arena), "INBOX");
    GOOD(list,
         "(SUBSCRIBED RECURSIVEMATCH) \"\" (a% \"b *\") RETURN (CHILDREN STATUS (MESSAGES UNSEEN) "
         "SPECIAL-USE)",
         &l);
    assert_true(l.is_extended);
    assert_int_equal(l.select, IMAP_LIST_SUBSCRIBED | IMAP_LIST_RECURSIVEMATCH);
    assert_int_equal(l.pattern_count, 2);
    assert_slice(l.patterns[1], "b *");
    assert_int_equal(l.returns,
                     IMAP_LIST_RETURN_CHILDREN | IMAP_LIST_RETURN_STATUS | IMAP_LIST_RETURN_SPECIAL_USE);
    assert_int_equal(l.status_items, IMAP_STATUS_MESSAGES | IMAP_STATUS_UNSEEN);
    GOOD(list, "() \"\" x RETURN ()", &l);
    GOOD(list, "\"\" Entw&APw-%", &l);
    assert_slice(l.patterns[0], "Entw\xc3\xbc%");
    BAD(list, "(RECURSIVEMATCH) \"\" *", &l);
    BAD(list, "(RECURSIVEMATCH REMOTE) \"\" *", &l);
    BAD(list, "(FOO) \"\" *", &l);
    BAD(list, "\"\"", &l);
    BAD(list, "\"\" ()", &l);
    BAD(list, "\"\" * RETURN", &l);
    BAD(list, "\"\" * RETURN (STATUS)", &l);
    BAD(list, "\"\" * RETURN (FOO)", &l);
    BAD(list, "\"\" * FOO", &l);
    GOOD(lsub, "\"\" %", &l);
    BAD(lsub, "\"\" (a b)", &l);
}

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

/* A search tree in prefix form. */
static void show(const struct search_node *n, struct buf *out)
{
    static const char *const names[] = {
        [SEARCH_ALL] = "all",         [SEARCH_AND] = "and",
        [SEARCH_OR] = "or",           [SEARCH_NOT] = "not",
        [SEARCH_FLAG] = "flag",       [SEARCH_KEYWORD] = "keyword",
        [SEARCH_BEFORE] = "before",   [SEARCH_ON] = "on",
        [SEARCH_SINCE] = "since",     [SEARCH_SENTBEFORE] = "sentbefore",
        [SEARCH_SENTON] = "senton",   [SEARCH_SENTSINCE] = "sentsince",
        [SEARCH_LARGER] = "larger",   [SEARCH_SMALLER] = "smaller",
        [SEARCH_MODSEQ] = "modseq",   [SEARCH_HEADER] = "header",
        [SEARCH_BODY] = "body",       [SEARCH_TEXT] = "text",
        [SEARCH_EMAILID] = "emailid", [SEARCH_THREADID] = "threadid",
        [SEARCH_SEQS] = "seqs",       [SEARCH_UID_SEQS] = "uids",
        [SEARCH_SAVED] = "saved",     [SEARCH_RECENT] = "recent",
        [SEARCH_OLDER] = "older",     [SEARCH_YOUNGER] = "younger",
    };
    buf_addf(out, "(%s", names[n->op]);
    if (n->number != 0)
        buf_addf(out, " %llu", (unsigned long long)n->number);
    if (n->day != 0)
        buf_addf(out, " %d", n->day);
    if (n->name.data != NULL)
        buf_addf(out, " %.*s:", SLICE_FMT(n->name));
    if (n->text.data != NULL)
        buf_addf(out, " %.*s", SLICE_FMT(n->text));
    if (n->seqs.count > 0) {
        buf_add_byte(out, ' ');
        seqset_format(&n->seqs, out);
    }
    for (const struct search_node *c = n->child; c != NULL; c = c->next) {
        buf_add_byte(out, ' ');
        show(c, out);
    }
    buf_add_byte(out, ')');
}

static void test_search(void **state)
{
    static const struct {
        const char *text, *tree;
    } rows[] = {
        { "ALL", "(all)" },
        { "1:3", "(seqs 1:3)" },
        { "* unseen", "(and (seqs *) (not (flag 1)))" },
        { "$", "(saved)" },
        { "UID $", "(saved)" },
        { "UID 5:*", "(uids 5:*)" },
        { "NEW", "(and (recent) (not (flag 1)))" },
        { "OLD RECENT", "(and (not (recent)) (recent))" },
        { "ANSWERED DELETED DRAFT FLAGGED SEEN", "(and (flag 2) (flag 8) (flag 16) (flag 4) (flag 1))" },
        { "UNANSWERED UNDELETED UNDRAFT UNFLAGGED",
          "(and (not (flag 2)) (not (flag 8)) (not (flag 16)) (not (flag 4)))" },
        { "KEYWORD $Junk UNKEYWORD x", "(and (keyword $Junk) (not (keyword x)))" },
        { "FROM Smith", "(header FROM: Smith)" },
        { "SUBJECT \"a b\" TO x CC y BCC z",
          "(and (header SUBJECT: a b) (header TO: x) (header CC: y) (header BCC: z))" },
        { "HEADER Message-ID \"\"", "(header Message-ID: )" },
        { "BODY {3}\r\na\"b TEXT x", "(and (body a\"b) (text x))" },
        { "BEFORE 1-Feb-1994 ON \"2-Feb-1994\" SINCE 3-Feb-1994",
          "(and (before 8797) (on 8798) (since 8799))" },
        { "SENTBEFORE 1-Feb-1994 SENTON 2-Feb-1994 SENTSINCE 3-Feb-1994",
          "(and (sentbefore 8797) (senton 8798) (sentsince 8799))" },
        { "LARGER 10000000000 SMALLER 5", "(and (larger 10000000000) (smaller 5))" },
        { "MODSEQ 620162338", "(modseq 620162338)" },
        { "MODSEQ \"/flags/\\\\draft\" all 620162338", "(modseq 620162338)" },
        { "OLDER 60 YOUNGER 600", "(and (older 60) (younger 600))" },
        { "EMAILID M6d99 THREADID T64b4", "(and (emailid M6d99) (threadid T64b4))" },
        { "NOT (SEEN DRAFT)", "(not (and (flag 1) (flag 16)))" },
        { "((SEEN))", "(flag 1)" },
        { "OR SEEN DRAFT", "(or (flag 1) (flag 16))" },
        { "OR SEEN OR DRAFT (1 2)", "(or (flag 1) (flag 16) (and (seqs 1) (seqs 2)))" },
        { "OR OR SEEN DRAFT NOT ALL 5", "(and (or (flag 1) (flag 16) (not (all))) (seqs 5))" },
        { "CHARSET utf-8 SUBJECT {2}\r\n\xc3\xbc", "(header SUBJECT: \xc3\xbc)" },
        { "SUBJECT \"\xc3\xbc\"", "(header SUBJECT: \xc3\xbc)" },
        { "CHARSET \"US-ASCII\" TEXT x", "(text x)" },
        { "RETURN () ALL", "(all)" },
    };
    struct imap_search s;
    struct buf b = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        GOOD(search, rows[i].text, &s);
        buf_clear(&b);
        show(s.tree, &b);
        assert_string_equal(buf_cstr(&b), rows[i].tree);
    }
    GOOD(search, "RETURN (MIN COUNT SAVE) CHARSET UTF-8 $ MODSEQ 1", &s);
    assert_int_equal(s.returns, IMAP_SEARCH_MIN | IMAP_SEARCH_COUNT | IMAP_SEARCH_SAVE);
    assert_true(s.uses_saved && s.uses_modseq && s.has_return);
    GOOD(search, "RETURN () ALL", &s);
    assert_int_equal(s.returns, IMAP_SEARCH_ALL);
    static const char *const bad[] = {
        "",
        " ",
        "FOO",
        "ALL ",
        "ALL  SEEN",
        "()",
        "(ALL",
        "ALL)",
        "NOT",
        "NOT ",
        "OR SEEN",
        "OR SEEN ",
        "FROM",
        "FROM (a)",
        "HEADER x",
        "UID",
        "UID x",
        "0",
        "BEFORE x",
        "BEFORE 32-Jan-2000",
        "LARGER x",
        "LARGER -1",
        "OLDER 0",
        "KEYWORD \\Seen",
        "KEYWORD",
        "MODSEQ",
        "MODSEQ \"/flags/x\" mine 5",
        "RETURN ALL",
        "RETURN (FOO) ALL",
        "RETURN (ALL)",
        "CHARSET",
        "CHARSET UTF-8",
        "SUBJECT \"\xff\"",
        "CHARSET US-ASCII SUBJECT \"\xc3\xbc\"",
        "ALL CHARSET UTF-8",
        "UNSEENX",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        BAD(search, bad[i], &s);
    struct imap_args a = args_of("CHARSET KOI8-R SUBJECT x");
    assert_int_equal(imap_parse_search(&a, &s), ERR_UNSUPPORTED);
    buf_fini(&b);
}

static enum err search_repeated(const char *before, const char *unit, int count, const char *after)
{
    struct buf b = { 0 };
    struct imap_search s;
    buf_add_str(&b, before);
    for (int i = 0; i < count; i++)
        buf_add_str(&b, unit);
    buf_add_str(&b, after);
    struct imap_args a = imap_args_of(buf_slice(&b), &arena, false);
    enum err err = imap_parse_search(&a, &s);
    if (err == OK) {
        /* Whatever is accepted can also be sent to a storage node. */
        struct uidmap map = { 0 };
        struct uidset all = { 0 };
        struct buf wire = { 0 };
        struct search_node *tree;
        uidset_add_range(&all, 1, 10);
        uidmap_load(&map, &all);
        struct search_view view = { &map, &all, &all, 1000 };
        assert_int_equal(search_resolve(s.tree, &view, &arena, &tree), OK);
        assert_int_equal(search_encode(tree, &wire), OK);
        buf_fini(&wire);
        uidset_fini(&all);
        uidmap_fini(&map);
    }
    buf_fini(&b);
    return err;
}

static void test_search_bounds(void **state)
{
    assert_int_equal(search_repeated("", "(", 100000, "ALL"), ERR_TOO_BIG);
    assert_int_equal(search_repeated("", "NOT ", 100000, "ALL"), ERR_TOO_BIG);
    assert_int_equal(search_repeated("", "OR ALL ", 1000, "NEW"), OK);
    assert_int_equal(search_repeated("", "OR ALL ", 5000, "ALL"), ERR_TOO_BIG);
    assert_int_equal(search_repeated("ALL", " ALL", 5000, ""), ERR_TOO_BIG);
    assert_int_equal(search_repeated("ALL", " ALL", 1500, ""), OK);
    assert_int_equal(search_repeated("TEXT ", "x", 4096, ""), OK);
    assert_int_equal(search_repeated("TEXT ", "x", 4097, ""), ERR_TOO_BIG);
    int deepest = 0;
    for (int depth = 1; depth < 40; depth++) {
        if (search_repeated("", "NOT ", depth, "NEW") == OK)
            deepest = depth;
    }
    assert_true(deepest > 20);
}

/* Strings full of escapes must not cost the square of the command. */
static void test_escape_memory(void **state)
{
    struct buf b = { 0 };
    struct imap_search s;
    buf_add_str(&b, "ALL");
    for (int i = 0; i < 1000; i++)
        buf_add_str(&b, " TEXT \"\\\\\"");
    arena_clear(&arena);
    struct imap_args a = imap_args_of(buf_slice(&b), &arena, false);
    assert_int_equal(imap_parse_search(&a, &s), OK);
    assert_true(arena.used_total < 1 << 20);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explain),       cmocka_unit_test(test_login),
        cmocka_unit_test(test_authenticate),  cmocka_unit_test(test_enable_id),
        cmocka_unit_test(test_select),        cmocka_unit_test(test_mailbox_commands),
        cmocka_unit_test(test_list),          cmocka_unit_test(test_messages),
        cmocka_unit_test(test_fetch),         cmocka_unit_test(test_search),
        cmocka_unit_test(test_search_bounds), cmocka_unit_test(test_escape_memory),
    };
    return cmocka_run_group_tests(tests, fresh_arena, free_arena);
}
