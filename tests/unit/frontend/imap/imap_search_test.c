/* SPDX-License-Identifier: Apache-2.0 */
/* SEARCH: answers, RETURN options, the saved result, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/play.h"

static void test_search(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "FLAG INBOX 2 1\n"
                                  "C: b SEARCH UNSEEN\n"
                                  "S: * SEARCH 1 3\n"
                                  "S: * 2 FETCH %\n"
                                  "S: b OK %\n"
                                  "C: c UID SEARCH RETURN (MIN MAX COUNT) ALL\n"
                                  "S: * ESEARCH (TAG \"c\") UID MIN 1 MAX 3 COUNT 3\n"
                                  "S: c OK %\n"
                                  "C: d SEARCH RETURN (SAVE) SEEN\n"
                                  "S: d OK %\n"
                                  "C: e FETCH $ UID\n"
                                  "S: * 2 FETCH (UID 2)\n"
                                  "S: e OK %\n"
                                  "C: f SEARCH CHARSET klingon ALL\n"
                                  "S: f NO [BADCHARSET %\n"
                                  "C: g SEARCH 9\n"
                                  "S: g BAD %\n"
                                  "C: h SEARCH NEW\n"
                                  "S: * SEARCH 1 3\n"
                                  "S: h OK %\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
