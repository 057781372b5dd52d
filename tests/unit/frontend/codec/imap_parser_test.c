/* SPDX-License-Identifier: Apache-2.0 */
/* Input and the events it gives, as a trace in text; each row is fed all at once, byte by byte and in threes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/codec/imap_parser.h"

enum decision { ACCEPT, REFUSE, ABORT_AFTER_ACCEPT };

struct row {
    const char *name;
    bool authenticated;
    enum decision decision;
    const char *input;
    size_t input_len; /* 0: strlen */
    const char *trace;
};

static void trace_event(struct buf *out, const struct imap_event *e, bool *in_data)
{
    if (e->type == IMAP_EVENT_APPEND_DATA) { /* pieces run together: where they are cut does not matter */
        if (!*in_data)
            buf_add_str(out, "data <");
        buf_add_slice(out, e->data);
        *in_data = true;
        return;
    }
    if (*in_data)
        buf_add_str(out, ">\n");
    *in_data = false;
    switch (e->type) {
    case IMAP_EVENT_COMMAND:
        buf_addf(out, "%.*s %s%s <", SLICE_FMT(e->tag), e->uid ? "UID " : "", e->name);
        buf_add_slice(out, e->args);
        buf_add_str(out, ">\n");
        break;
    case IMAP_EVENT_CONTINUE:
        buf_addf(out, "continue\n");
        break;
    case IMAP_EVENT_APPEND:
        buf_addf(out, "%.*s append%s <%.*s> %llu%s%s%s\n", SLICE_FMT(e->tag), e->first ? "" : " again",
                 SLICE_FMT(e->args), (unsigned long long)e->size, e->sync ? " sync" : "",
                 e->literal8 ? " literal8" : "", e->utf8 ? " utf8" : "");
        break;
    case IMAP_EVENT_APPEND_END:
        buf_addf(out, "end\n");
        break;
    case IMAP_EVENT_APPEND_DONE:
        buf_addf(out, "%.*s done\n", SLICE_FMT(e->tag));
        break;
    case IMAP_EVENT_LINE:
        buf_addf(out, "line <%.*s>\n", SLICE_FMT(e->data));
        break;
    case IMAP_EVENT_BAD:
        buf_addf(out, "%.*s bad: %s%s\n", SLICE_FMT(e->tag), e->text, e->close ? ", close" : "");
        break;
    default:
        break;
    }
}

static void decide(struct imap_parser *p, enum decision decision)
{
    if (decision == REFUSE) {
        imap_parser_refuse(p);
        return;
    }
    imap_parser_accept(p);
    if (decision == ABORT_AFTER_ACCEPT)
        imap_parser_abort(p);
}

/* All events of `input`, pushed in pieces of `step` bytes. */
static void run(const struct row *row, size_t step, struct buf *trace)
{
    struct imap_parser p;
    struct imap_event e;
    bool in_data = false;
    struct slice input = row->input_len > 0 ? slice_of(row->input, row->input_len) : slice_str(row->input);
    imap_parser_init(&p);
    if (row->authenticated)
        imap_parser_set_authenticated(&p);
    for (size_t at = 0; at < input.len; at += step) {
        imap_parser_push(&p, slice_sub(input, at, at + step));
        while (imap_parser_next(&p, &e), e.type != IMAP_EVENT_NEED_MORE) {
            trace_event(trace, &e, &in_data);
            if (e.type == IMAP_EVENT_APPEND)
                decide(&p, row->decision);
            if (e.type == IMAP_EVENT_COMMAND && strcmp(e.name, "IDLE") == 0)
                imap_parser_expect_line(&p);
        }
    }
    if (in_data)
        buf_add_str(trace, ">\n");
    imap_parser_fini(&p);
}

#define BYTES(s) s, sizeof(s) - 1
#define ROW(s)   s, 0

static const struct row rows[] = {
    { "simple", true, ACCEPT, ROW("a1 noop\r\n"), "a1 NOOP <>\n" },
    { "bare LF", true, ACCEPT, ROW("a1 NOOP\na2 CHECK\n"), "a1 NOOP <>\na2 CHECK <>\n" },
    { "pipelined", true, ACCEPT, ROW("a1 NOOP\r\na2 UID FETCH 1 (FLAGS)\r\na3 x\r\n"),
      "a1 NOOP <>\na2 UID FETCH <1 (FLAGS)>\na3 X <>\n" },
    { "synchronising literal", false, ACCEPT, ROW("a1 LOGIN {3}\r\nbob {5}\r\na\"{1}\r\n"),
      "continue\ncontinue\na1 LOGIN <{3}\r\nbob {5}\r\na\"{1}>\n" },
    { "LITERAL+", false, ACCEPT, ROW("a1 LOGIN {3+}\r\nb\r\n {0+}\r\n\r\n"),
      "a1 LOGIN <{3+}\r\nb\r\n {0+}\r\n>\n" },
    { "literal ends in CR", false, ACCEPT, ROW("a1 X {1+}\r\n\r\na2 X {3+}\r\n{1}\r\n"),
      "a1 X <{1+}\r\n\r>\na2 X <{3+}\r\n{1}>\n" },
    { "quoted braces", true, ACCEPT, ROW("a1 SELECT \"x\\\" {3}\"\r\na2 SELECT \"x{3}\r\na3 NOOP\r\n"),
      "a1 SELECT <\"x\\\" {3}\">\na2 SELECT <\"x{3}>\na3 NOOP <>\n" },
    { "idle", true, ACCEPT, ROW("a1 IDLE\r\nDONE\r\na2 NOOP\r\n"), "a1 IDLE <>\nline <DONE>\na2 NOOP <>\n" },

    { "empty line", true, ACCEPT, ROW("\r\na1 NOOP\r\n"), " bad: Empty command line\na1 NOOP <>\n" },
    { "bad tag", true, ACCEPT, ROW("a+ NOOP\r\n* NOOP\r\n NOOP\r\n"),
      " bad: Invalid tag\n bad: Invalid tag\n bad: Invalid tag\n" },
    { "no command", true, ACCEPT, ROW("a1\r\na2 \r\na3 UID\r\n"),
      "a1 bad: Missing command\na2 bad: Missing command\na3 bad: Missing command\n" },
    { "NUL in text", true, ACCEPT, BYTES("a1 NOOP \0 {5+}\r\nabcde\r\na2 NOOP\r\n"),
      "a1 bad: NUL in command\na2 NOOP <>\n" },
    { "NUL in literal", true, ACCEPT, BYTES("a1 SELECT {3+}\r\na\0b {2+}\r\nxy\r\na2 NOOP\r\n"),
      "a1 bad: NUL in literal\na2 NOOP <>\n" },
    { "8 bit rubbish", false, ACCEPT, ROW("\xff\xfe\x80 \xc0\r\na2 NOOP\r\n"),
      " bad: Invalid tag\na2 NOOP <>\n" },
    { "literal as command", true, ACCEPT, ROW("a1 {4+}\r\nNOOP\r\na2 NOOP\r\n"),
      "a1 bad: Invalid command name\na2 NOOP <>\n" },
    { "huge synchronising literal", true, ACCEPT, ROW("a1 SELECT {4294967296}\r\na2 NOOP\r\n"),
      "a1 bad: Literal too large\na2 NOOP <>\n" },
    { "huge LITERAL+", true, ACCEPT, ROW("a1 SELECT {4294967296+}\r\na2 NOOP\r\n"),
      "a1 bad: Literal too large, close\n" },
    { "number beyond 64 bits", true, ACCEPT, ROW("a1 SELECT {99999999999999999999999999}\r\na2 NOOP\r\n"),
      "a1 bad: Literal too large\na2 NOOP <>\n" },

    { "append", true, ACCEPT, ROW("a1 APPEND INBOX (\\Seen) {5}\r\nhello\r\na2 NOOP\r\n"),
      "a1 append <INBOX (\\Seen)> 5 sync\ndata <hello>\nend\na1 done\na2 NOOP <>\n" },
    { "append, mailbox as literal", true, ACCEPT, ROW("a1 APPEND {5}\r\nINBOX {5+}\r\nhello\r\n"),
      "continue\na1 append <{5}\r\nINBOX> 5\ndata <hello>\nend\na1 done\n" },
    { "multiappend", true, ACCEPT,
      ROW("a1 APPEND x {1+}\r\nA (\\Draft) \"date\" {2+}\r\nBB ~{0+}\r\n\r\na2 NOOP\r\n"),
      "a1 append <x> 1\ndata <A>\nend\na1 append again <(\\Draft) \"date\"> 2\ndata <BB>\nend\n"
      "a1 append again <> 0 literal8\nend\na1 done\na2 NOOP <>\n" },
    { "append utf8", true, ACCEPT, ROW("a1 APPEND x UTF8 (~{2+}\r\nAB)\r\na2 NOOP\r\n"),
      "a1 append <x> 2 literal8 utf8\ndata <AB>\nend\na1 done\na2 NOOP <>\n" },
    { "append utf8 unclosed", true, ACCEPT, ROW("a1 APPEND x UTF8 (~{2+}\r\nAB\r\na2 NOOP\r\n"),
      "a1 append <x> 2 literal8 utf8\ndata <AB>\nend\na1 bad: Expected another message or the end of the "
      "line\na2 NOOP <>\n" },
    { "append literal8 with NUL", true, ACCEPT, BYTES("a1 APPEND x ~{3+}\r\na\0b\r\n"),
      "a1 append <x> 3 literal8\ndata <a" },
    { "append refused, sync", true, REFUSE, ROW("a1 APPEND x {5}\r\na2 NOOP\r\n"),
      "a1 append <x> 5 sync\na2 NOOP <>\n" },
    { "append refused, LITERAL+", true, REFUSE,
      ROW("a1 APPEND x {5+}\r\nhello (\\Seen) {3+}\r\nabc\r\na2 NOOP\r\n"), "a1 append <x> 5\na2 NOOP <>\n" },
    { "append aborted", true, ABORT_AFTER_ACCEPT, ROW("a1 APPEND x {5}\r\nhello {3+}\r\nabc\r\na2 NOOP\r\n"),
      "a1 append <x> 5 sync\na2 NOOP <>\n" },
    { "append without message", true, ACCEPT, ROW("a1 APPEND x\r\na2 APPEND x {1+}\r\ny z\r\na3 NOOP\r\n"),
      "a1 bad: Expected a message literal\na2 append <x> 1\ndata <y>\nend\na2 bad: Expected a message "
      "literal\na3 NOOP <>\n" },
    { "append rubbish behind", true, ACCEPT, ROW("a1 APPEND x {1+}\r\nyz{3+}\r\nabc\r\na3 NOOP\r\n"),
      "a1 append <x> 1\ndata <y>\nend\na1 bad: Expected another message or the end of the line\na3 NOOP "
      "<>\n" },
    { "append without space", true, ACCEPT, ROW("a1 APPEND x{1+}\r\ny\r\na3 NOOP\r\n"),
      "a1 bad: Expected a space before the message literal\na3 NOOP <>\n" },
    { "append before login", false, ACCEPT, ROW("a1 APPEND x {9999}\r\na2 APPEND x {5+}\r\nhello\r\n"),
      "a1 bad: Literal too large\na2 APPEND <x {5+}\r\nhello>\n" },
};

static void check(const struct row *row, size_t step)
{
    struct buf trace = { 0 };
    run(row, step, &trace);
    print_message("%s, %zu at a time\n", row->name, step);
    /* A row with NUL in its data compares up to there. */
    assert_string_equal(buf_cstr(&trace), row->trace);
    buf_fini(&trace);
}

static void test_rows(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check(&rows[i], SIZE_MAX / 2);
        check(&rows[i], 1);
        check(&rows[i], 3);
    }
}

static void test_append_nul(void **state)
{
    static const struct row row = {
        "append with NUL", true, ACCEPT, BYTES("a1 APPEND x {3+}\r\n\0ab {1+}\r\nx\r\na2 NOOP\r\n"),
        "a1 append <x> 3\na1 bad: NUL in a message needs a literal8\na2 NOOP <>\n"
    };
    check(&row, 1);
    check(&row, 1000);
}

/* `fill` bytes of 'x' between two texts. */
static void feed(struct imap_parser *p, const char *before, size_t fill, const char *after, size_t step,
                 struct buf *trace)
{
    struct buf input = { 0 };
    struct imap_event e;
    bool in_data = false;
    buf_add_str(&input, before);
    memset(buf_reserve(&input, fill), 'x', fill);
    input.len += fill;
    buf_add_str(&input, after);
    for (size_t at = 0; at < input.len; at += step) {
        imap_parser_push(p, slice_sub(buf_slice(&input), at, at + step));
        while (imap_parser_next(p, &e), e.type != IMAP_EVENT_NEED_MORE) {
            trace_event(trace, &e, &in_data);
            if (e.type == IMAP_EVENT_APPEND)
                imap_parser_refuse(p);
        }
        assert_true(p->in.len <= step && p->command.len <= IMAP_COMMAND_MAX + 64);
    }
    buf_fini(&input);
}

static void check_fill(bool authenticated, const char *before, size_t fill, const char *after,
                       const char *want)
{
    struct imap_parser p;
    struct buf trace = { 0 };
    imap_parser_init(&p);
    if (authenticated)
        imap_parser_set_authenticated(&p);
    feed(&p, before, fill, after, 1000, &trace);
    assert_string_equal(buf_cstr(&trace), want);
    imap_parser_fini(&p);
    buf_fini(&trace);
}

static void test_too_long(void **state)
{
    check_fill(false, "a1 NOOP ", 9000, " {5+}\r\nabcde\r\na2 NOOP\r\n",
               "a1 bad: Command line too long\na2 NOOP <>\n");
    check_fill(true, "a1 NOOP ", 70000, "\r\na2 NOOP\r\n", "a1 bad: Command line too long\na2 NOOP <>\n");
    check_fill(true, "", 70000, "\r\na2 NOOP\r\n", " bad: Command line too long\na2 NOOP <>\n");
    check_fill(true, "a1 ", 2 << 20, "\r\na2 NOOP\r\n", "a1 bad: Command line too long, close\n");
    check_fill(true, "a1 LOGIN {2000000+}\r\n", 2000000, "\r\na2 NOOP\r\n",
               "a1 bad: Literal too large\na2 NOOP <>\n");
    check_fill(false, "a1 LOGIN {60000+}\r\n", 60000, "\r\na2 NOOP\r\n",
               "a1 bad: Literal too large\na2 NOOP <>\n");
    check_fill(false, "a1 LOGIN {70000+}\r\n", 70000, "\r\na2 NOOP\r\n",
               "a1 bad: Literal too large, close\n");
    check_fill(true, "a1 APPEND x {2000000+}\r\n", 2000000, "\r\na2 NOOP\r\n",
               "a1 append <x> 2000000\na2 NOOP <>\n");
    check_fill(true, "a1 APPEND x {300000000+}\r\n", 10, "",
               "a1 append <x> 300000000\na1 bad: Literal too large, close\n");
}

/* Many small literals are bounded too. */
static void test_many_literals(void **state)
{
    struct imap_parser p;
    struct imap_event e;
    struct buf trace = { 0 };
    bool in_data = false;
    imap_parser_init(&p);
    imap_parser_set_authenticated(&p);
    imap_parser_push(&p, SLICE_LIT("a1 SEARCH"));
    for (int i = 0; i < 2000; i++)
        imap_parser_push(&p, SLICE_LIT(" {1+}\r\nx"));
    imap_parser_push(&p, SLICE_LIT("\r\na2 NOOP\r\n"));
    while (imap_parser_next(&p, &e), e.type != IMAP_EVENT_NEED_MORE)
        trace_event(&trace, &e, &in_data);
    assert_string_equal(buf_cstr(&trace), "a1 bad: Literal too large\na2 NOOP <>\n");
    imap_parser_fini(&p);
    buf_fini(&trace);
}

/* A parked session holds no memory; STARTTLS finds what was sent too early. */
static void test_idle(void **state)
{
    struct imap_parser p;
    struct imap_event e;
    imap_parser_init(&p);
    assert_true(imap_parser_is_idle(&p));
    imap_parser_push(&p, SLICE_LIT("a1 IDLE\r\n"));
    assert_false(imap_parser_is_idle(&p));
    imap_parser_next(&p, &e);
    assert_int_equal(e.type, IMAP_EVENT_COMMAND);
    imap_parser_expect_line(&p);
    imap_parser_next(&p, &e);
    assert_int_equal(e.type, IMAP_EVENT_NEED_MORE);
    assert_true(imap_parser_is_idle(&p));
    imap_parser_push(&p, SLICE_LIT("DONE\r\na2 STARTTLS\r\na3 LOGIN x y\r\n"));
    imap_parser_next(&p, &e);
    assert_int_equal(e.type, IMAP_EVENT_LINE);
    imap_parser_next(&p, &e);
    assert_string_equal(e.name, "STARTTLS");
    assert_int_equal(imap_parser_pending(&p), strlen("a3 LOGIN x y\r\n"));
    imap_parser_reset(&p);
    assert_int_equal(imap_parser_pending(&p), 0);
    imap_parser_next(&p, &e);
    assert_int_equal(e.type, IMAP_EVENT_NEED_MORE);
    assert_true(imap_parser_is_idle(&p));
    assert_true(sizeof p <= 512);
    imap_parser_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),     cmocka_unit_test(test_append_nul),
        cmocka_unit_test(test_too_long), cmocka_unit_test(test_many_literals),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
