/* SPDX-License-Identifier: Apache-2.0 */
/* Changes that come in several pages, while others go on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/play.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_changes_moved_between_pages) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
