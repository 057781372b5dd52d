/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH: each item, \Seen, pages of rows, bodies too large for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/fake_store.h"
#include "tests/unit/frontend/imap/play.h"

static const char multipart[] = "From: Ann <ann@example.test>\r\n"
                                "To: bob@example.test\r\n"
                                "Subject: parts\r\n"
                                "Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n"
                                "MIME-Version: 1.0\r\n"
                                "Content-Type: multipart/mixed; boundary=b\r\n"
                                "X-Odd: yes\r\n"
                                "\r\n"
                                "preamble\r\n"
                                "--b\r\n"
                                "Content-Type: text/plain; charset=utf-8\r\n"
                                "\r\n"
                                "hello\r\n"
                                "--b\r\n"
                                "Content-Type: application/octet-stream\r\n"
                                "Content-Transfer-Encoding: base64\r\n"
                                "\r\n"
                                "AGFiYw==\r\n"
                                "--b--\r\n";

static void one_multipart(void)
{
    fake_deliver("INBOX", multipart);
}

static void test_fetch_items(void **state)
{
    play_prepared(
        one_multipart,
        "C: a SELECT INBOX\n"
        "S~ a OK %\n"
        "C: b FETCH 1 (UID FLAGS RFC822.SIZE INTERNALDATE EMAILID)\n"
        "S: * 1 FETCH (UID 1 FLAGS (\\Recent) INTERNALDATE \"14-Nov-2023 22:13:20 +0000\" RFC822.SIZE %"
        " EMAILID (M0000000000000001))\n"
        "S: b OK %\n"
        "C: c FETCH 1 ENVELOPE\n"
        "S: * 1 FETCH (ENVELOPE (\"Mon, 7 Feb 1994 21:52:25 -0800\" \"parts\" ((\"Ann\" NIL \"ann\" "
        "\"example.test\")) %\n"
        "S: c OK %\n"
        "C: d FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]\n"
        "S: * 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {18}\n"
        "S: Subject: parts\n"
        "S: \n"
        "S: )\n"
        "S: d OK %\n"
        "C: e FETCH 1 BODY.PEEK[HEADER.FIELDS (X-Odd)]\n"
        "S: * 1 FETCH (BODY[HEADER.FIELDS (X-Odd)] {14}\n"
        "S: X-Odd: yes\n"
        "S: \n"
        "S: )\n"
        "S: e OK %\n"
        "C: f FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.MIME] BODY.PEEK[3])\n"
        "S: * 1 FETCH (BODY[1] {5}\n"
        "S: hello BODY[2.MIME] {77}\n"
        "S: Content-Type: application/octet-stream\n"
        "S: Content-Transfer-Encoding: base64\n"
        "S: \n"
        "S:  BODY[3] NIL)\n"
        "S: f OK %\n"
        "C: g FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[2] BODY.PEEK[1]<1.3>)\n"
        "S: * 1 FETCH (BINARY[1] {5}\n"
        "S: hello BINARY.SIZE[2] 4 BODY[1]<1> {3}\n"
        "S: ell)\n"
        "S: g OK %\n"
        "C: h FETCH 2 FLAGS\n"
        "S: h BAD %\n");
}

static void test_fetch_marks_seen(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b FETCH 1 BODY[TEXT]\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {6}\n"
                                  "S: text\n"
                                  "S: )\n"
                                  "S: b OK %\n"
                                  "C: c FETCH 1 BODY[TEXT]<2.100>\n"
                                  "S: * 1 FETCH (BODY[TEXT]<2> {4}\n"
                                  "S: xt\n"
                                  "S: )\n"
                                  "S: c OK %\n"
                                  "C: d FETCH 1:* (FLAGS)\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Recent))\n"
                                  "S: * 2 FETCH (FLAGS (\\Recent))\n"
                                  "S: * 3 FETCH (FLAGS (\\Recent))\n"
                                  "S: d OK %\n");
}

/* Who reads while nothing can be written is not held up at each message. */
static void refuse_marking(void)
{
    fake_store_reset();
    for (int i = 0; i < 3; i++)
        fake_deliver("INBOX", "Subject: x\r\n\r\ntext\r\n");
    fake_fail_next_write(ERR_UNAVAILABLE);
}

static void test_fetch_while_nothing_is_marked(void **state)
{
    play_prepared(refuse_marking, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b FETCH 1 BODY[TEXT]\n"
                                  "S: * 1 FETCH (BODY[TEXT] {6}\n"
                                  "S: text\n"
                                  "S: )\n"
                                  "S: b OK %\n");
    uint32_t first_ms = fake_flags_timeout_ms();
    assert_in_range(first_ms, 4000, 10000); /* a fail-over may be under way */
    play_prepared(refuse_marking, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b FETCH 1 (UID BODY[TEXT])\n"
                                  "S~ b OK %\n"
                                  "C: c FETCH 1 BODY[TEXT]\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {6}\n"
                                  "S: text\n"
                                  "S: )\n"
                                  "S: c OK %\n");
    assert_in_range(fake_flags_timeout_ms(), 1, 1000);
    play_prepared(refuse_marking, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b FETCH 1 BODY[TEXT]\n"
                                  "S~ b OK %\n"
                                  "C: c FETCH 1 BODY[TEXT]\n"
                                  "S~ c OK %\n"
                                  "C: d FETCH 2 BODY[TEXT]\n"
                                  "S~ d OK %\n");
    assert_int_equal(fake_flags_timeout_ms(), first_ms);
}

/* Pages of one row: \Seen of the later ones comes behind. */
static void small_pages(void)
{
    three_messages();
    fake_set_page(1, 1 << 20);
}

static void test_fetch_pages(void **state)
{
    play_prepared(small_pages, "C: a SELECT INBOX\n"
                               "S~ a OK %\n"
                               "C: b FETCH 1:* (BODY[TEXT])\n"
                               "S: * 1 FETCH (FLAGS (\\Seen \\Recent) BODY[TEXT] {6}\n"
                               "S: text\n"
                               "S: )\n"
                               "S: * 2 FETCH (BODY[TEXT] {6}\n"
                               "S: text\n"
                               "S: )\n"
                               "S: * 3 FETCH (BODY[TEXT] {6}\n"
                               "S: text\n"
                               "S: )\n"
                               "S: * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
                               "S: * 3 FETCH (FLAGS (\\Seen \\Recent))\n"
                               "S: b OK %\n"
                               "C: c FETCH 1:* BODY.PEEK[HEADER.FIELDS (X-Odd)]\n"
                               "S~ c OK %\n");
}

static void large_bodies(void)
{
    three_messages();
    fake_set_page(3, 10);
}

static void test_fetch_large(void **state)
{
    play_prepared(large_bodies, "C: a SELECT INBOX\n"
                                "S~ a OK %\n"
                                "C: b FETCH 1:2 (BODY.PEEK[TEXT])\n"
                                "S: * 1 FETCH (BODY[TEXT] {6}\n"
                                "S: text\n"
                                "S: )\n"
                                "S: * 2 FETCH (BODY[TEXT] {6}\n"
                                "S: text\n"
                                "S: )\n"
                                "S: b OK %\n");
    assert_true(true);
}

static void test_fetch_asks_if_it_must(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b UID FETCH 1 (BODY[HEADER.FIELDS (X)])\n"
                                  "S~ b OK %\n"
                                  "C: c NOOP\n"
                                  "S: c OK %\n"
                                  "ASKED 1\n"
                                  "FLAG INBOX 3 4\n"
                                  "C: d UID FETCH 2 (BODY[HEADER.FIELDS (X)])\n"
                                  "S~ * 3 FETCH (UID 3 FLAGS (%\n"
                                  "S: d OK %\n"
                                  "ASKED 1\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetch_items),
        cmocka_unit_test(test_fetch_marks_seen),
        cmocka_unit_test(test_fetch_while_nothing_is_marked),
        cmocka_unit_test(test_fetch_pages),
        cmocka_unit_test(test_fetch_large),
        cmocka_unit_test(test_fetch_asks_if_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
