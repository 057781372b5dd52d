/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of SEARCH: the tree that they make, refusals, and bounds of depth and memory. */
#include "tests/unit/frontend/codec/command_args.h"

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
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_search_bounds),
        cmocka_unit_test(test_escape_memory),
    };
    return cmocka_run_group_tests(tests, fresh_arena, free_arena);
}
