/* SPDX-License-Identifier: Apache-2.0 */
/* APPEND, COPY and MOVE: new messages and their refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/play.h"

static void test_append(void **state)
{
    play("C: a APPEND INBOX (\\Seen kw) \"14-Nov-2023 22:13:20 +0100\" {26}\n"
         "S: + %\n"
         "C: Subject: appended\n"
         "C: \n"
         "C: body\n"
         "S: a OK [APPENDUID 1001 1] APPEND completed\n"
         "C: b APPEND nowhere {10}\n"
         "S: b NO [TRYCREATE] %\n"
         "C: c APPEND INBOX {2000000}\n"
         "S: c NO [TOOBIG] %\n"
         "C: d APPEND INBOX {0}\n"
         "S: d NO %\n"
         "C: e APPEND INBOX\n"
         "S: e BAD %\n");
    play("C: a SELECT INBOX\n"
         "S~ a OK %\n"
         "C: b APPEND INBOX {4+}\n"
         "C~ a: b\n"
         "C:  (\\Flagged) {4+}\n"
         "C: c: d\n"
         "S: * 2 EXISTS\n"
         "S: * 2 RECENT\n"
         "S: b OK [APPENDUID 1001 1:2] APPEND completed\n"
         "C: c FETCH 1:* (FLAGS BODY.PEEK[])\n"
         "S: * 1 FETCH (FLAGS (\\Recent) BODY[] {4}\n"
         "S: a: b)\n"
         "S: * 2 FETCH (FLAGS (\\Flagged \\Recent) BODY[] {4}\n"
         "S: c: d)\n"
         "S: c OK %\n"
         "FAIL 8\n"
         "C: d APPEND INBOX {4+}\n"
         "C: c: d\n"
         "S: d NO [OVERQUOTA] %\n"
         "FAIL 24\n"
         "C: e APPEND INBOX {4+}\n"
         "C: c: d\n"
         "S: * BYE [UNAVAILABLE] %\n"
         "CLOSED\n");
}

static void test_copy_and_move(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b COPY 1:2 Sent\n"
                                  "S: b OK [COPYUID 1003 1:2 1:2] COPY completed\n"
                                  "C: c COPY 1 Nowhere\n"
                                  "S: c NO [TRYCREATE] %\n"
                                  "C: d MOVE 1,3 Trash\n"
                                  "S: * OK [COPYUID 1004 1,3 1:2] %\n"
                                  "S: * 3 EXPUNGE\n"
                                  "S: * 1 EXPUNGE\n"
                                  "S: d OK MOVE completed\n"
                                  "C: e UID COPY 99 Sent\n"
                                  "S: e OK No messages found\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_copy_and_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
