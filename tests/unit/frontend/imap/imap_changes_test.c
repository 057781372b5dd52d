/* SPDX-License-Identifier: Apache-2.0 */
/* What others do to the selected mailbox: when it is told, in IDLE too, and over several pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/play.h"

static void test_changes(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "DELIVER INBOX\n"
                                  "EXPUNGE INBOX 1\n"
                                  "FLAG INBOX 3 8\n"
                                  "C: b FETCH 1:* UID\n" /* no EXPUNGE while FETCH is answered */
                                  "S: * 2 FETCH (UID 2)\n"
                                  "S: * 3 FETCH (UID 3)\n"
                                  "S: * 3 FETCH (FLAGS (\\Deleted \\Recent))\n"
                                  "S: * 4 EXISTS\n"
                                  "S: * 4 RECENT\n"
                                  "S: b OK [EXPUNGEISSUED] %\n"
                                  "C: c SEARCH ALL\n"
                                  "S: * SEARCH 2 3 4\n"
                                  "S: c OK [EXPUNGEISSUED] %\n"
                                  "C: d NOOP\n"
                                  "S: * 1 EXPUNGE\n"
                                  "S: d OK %\n"
                                  "C: e EXPUNGE\n"
                                  "S: * 2 EXPUNGE\n"
                                  "S: e OK %\n"
                                  "C: f FETCH 1:* UID\n"
                                  "S: * 1 FETCH (UID 2)\n"
                                  "S: * 2 FETCH (UID 4)\n"
                                  "S: f OK %\n"
                                  "DELIVER INBOX\n"
                                  "EXPUNGE INBOX 5\n"
                                  "C: g NOOP\n"
                                  "S: g OK %\n");
}

/* Commands on messages that another session has expunged (RFC 2180 4, RFC 5530, RFC 9051 6.4.9). */
static void test_on_expunged(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: a2 CREATE Box\n"
                                  "S: a2 OK %\n"
                                  "EXPUNGE INBOX 1\n"
                                  "C: b STORE 1 +FLAGS (\\Flagged)\n" /* 4.2.2 */
                                  "S: b NO [EXPUNGEISSUED] %\n"
                                  "C: c STORE 1 +FLAGS.SILENT (\\Flagged)\n" /* 4.2.1 */
                                  "S: c OK [EXPUNGEISSUED] STORE completed\n"
                                  "C: d STORE 1:2 +FLAGS (\\Flagged)\n" /* 4.2.3 */
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent))\n"
                                  "S: d OK [EXPUNGEISSUED] STORE completed\n"
                                  "C: d2 STORE 1:2 +FLAGS (\\Flagged)\n" /* nothing to change */
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent))\n"
                                  "S: d2 OK [EXPUNGEISSUED] STORE completed\n"
                                  "C: e FETCH 1 FLAGS\n"
                                  "S: e OK [EXPUNGEISSUED] %\n"
                                  "C: f FETCH 3 UID\n"
                                  "S: * 3 FETCH (UID 3)\n"
                                  "S: f OK [EXPUNGEISSUED] FETCH completed\n"
                                  "C: g SEARCH 1:3\n"
                                  "S: * SEARCH 2 3\n"
                                  "S: g OK [EXPUNGEISSUED] SEARCH completed\n"
                                  "C: h UID STORE 1 +FLAGS (\\Seen)\n" /* 6.4.9: ignored; and may tell */
                                  "S: * 1 EXPUNGE\n"
                                  "S: h OK UID STORE completed\n"
                                  "C: i STORE 1 +FLAGS (\\Seen)\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Flagged \\Recent))\n"
                                  "S: i OK STORE completed\n"
                                  "EXPUNGE INBOX 2\n"
                                  "C: j COPY 1 Box\n" /* 4.4.1 */
                                  "S: * 1 EXPUNGE\n"
                                  "S: j NO [EXPUNGEISSUED] %\n"
                                  "C: k UID COPY 2 Box\n"
                                  "S: k OK No messages found\n"
                                  "EXPUNGE INBOX 3\n"
                                  "C: l MOVE 1 Box\n"
                                  "S: * 1 EXPUNGE\n"
                                  "S: l NO [EXPUNGEISSUED] %\n"
                                  "C: m UID FETCH 3 FLAGS\n"
                                  "S: m OK UID FETCH completed\n"
                                  "C: n STATUS Box (MESSAGES)\n"
                                  "S: * STATUS Box (MESSAGES 0)\n"
                                  "S: n OK %\n");
}

static void test_idle(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b IDLE\n"
                                  "S: + idling\n"
                                  "QUIET\n"
                                  "DELIVER INBOX\n"
                                  "S: * 4 EXISTS\n"
                                  "S: * 4 RECENT\n"
                                  "EXPUNGE INBOX 2\n"
                                  "S: * 2 EXPUNGE\n"
                                  "FLAG INBOX 3 1\n"
                                  "S: * 2 FETCH (FLAGS (\\Seen \\Recent))\n"
                                  "C: DONE\n"
                                  "S: b OK IDLE completed\n"
                                  "=== B\n"
                                  "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b IDLE\n"
                                  "S: + idling\n"
                                  "=== A\n"
                                  "C: c STORE 1 +FLAGS (\\Deleted)\n"
                                  "S: * 1 FETCH (FLAGS (\\Deleted \\Recent))\n"
                                  "S: c OK %\n"
                                  "C: d CLOSE\n"
                                  "S: d OK %\n"
                                  "=== B\n"
                                  "S: * 1 FETCH (FLAGS (\\Deleted))\n"
                                  "S: * 1 EXPUNGE\n"
                                  "C: nonsense\n"
                                  "S: b BAD %\n");
}

/* What came on one page of changes and has moved away by the next is never told of. */
static void test_changes_moved_between_pages(void **state)
{
    play("C: a SELECT INBOX\n"
         "S~ a OK %\n"
         "DELIVER INBOX\n"
         "DELIVER INBOX\n"
         "DELIVER INBOX\n"
         "DELIVER INBOX\n"
         "DELIVER INBOX\n"
         "MOVE BETWEEN PAGES\n"
         "C: b NOOP\n"
         "S: * 2 EXISTS\n"
         "S: * 2 RECENT\n"
         "S: b OK %\n"
         "C: c UID FETCH 1:* (FLAGS)\n"
         "S: * 1 FETCH (%UID 4%\n"
         "S: * 2 FETCH (%UID 5%\n"
         "S: c OK %\n");
}

/* The notice came, the mailbox's node went before it could be asked what has changed. */
static void test_idle_asks_again(void **state)
{
    play("C: a SELECT INBOX\n"
         "S~ a OK %\n"
         "C: b IDLE\n"
         "S: + idling\n"
         "FAIL CHANGES 18\n" /* ERR_UNAVAILABLE */
         "DELIVER INBOX\n"
         "S: * 1 EXISTS\n"
         "S: * 1 RECENT\n"
         "FAIL CHANGES 18\n"
         "DELIVER INBOX\n"
         "C: DONE\n"
         "S: * 2 EXISTS\n"
         "S: * 2 RECENT\n"
         "S: b OK %\n");
}

/* Whoever idles hears at once that the mailbox is gone, and the connection ends without his saying a word. */
static void test_idle_in_a_mailbox_that_goes(void **state)
{
    play("C: a CREATE x\n"
         "S: a OK %\n"
         "C: b SELECT x\n"
         "S~ b OK %\n"
         "C: c IDLE\n"
         "S: + idling\n"
         "=== B\n"
         "C: a DELETE x\n"
         "S: a OK %\n"
         "=== A\n"
         "S: * BYE The selected mailbox has been deleted\n"
         "CLOSED\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_on_expunged),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_changes_moved_between_pages),
        cmocka_unit_test(test_idle_asks_again),
        cmocka_unit_test(test_idle_in_a_mailbox_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
