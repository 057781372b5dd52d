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
                                  "S: c OK %\n"
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
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_changes_moved_between_pages),
        cmocka_unit_test(test_idle_asks_again),
        cmocka_unit_test(test_idle_in_a_mailbox_that_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
