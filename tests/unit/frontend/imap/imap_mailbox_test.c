/* SPDX-License-Identifier: Apache-2.0 */
/* SELECT, LIST and STATUS, what IMAP4rev2 makes of them, and a mailbox that goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/play.h"

static void test_select(void **state)
{
    play_prepared(three_messages,
                  "C: a SELECT inbox\n"
                  "S: * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n"
                  "S: * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] %\n"
                  "S: * 3 EXISTS\n"
                  "S: * 3 RECENT\n"
                  "S: * OK [UNSEEN 1] %\n"
                  "S: * OK [UIDVALIDITY %] %\n"
                  "S: * OK [UIDNEXT 4] %\n"
                  "S: * OK [HIGHESTMODSEQ %] %\n"
                  "S: * OK [MAILBOXID (F%)] %\n"
                  "S: a OK [READ-WRITE] SELECT completed\n"
                  "C: b EXAMINE INBOX\n"
                  "S: * OK [CLOSED] %\n"
                  "S~ * 0 RECENT\n"
                  "S~ b OK [READ-ONLY] %\n"
                  "C: c STORE 1 +FLAGS (\\Seen)\n"
                  "S: c NO [READ-ONLY] %\n"
                  "C: d SELECT nowhere\n"
                  "S: * OK [CLOSED] %\n"
                  "S: d NO [NONEXISTENT] %\n"
                  "C: e FETCH 1 FLAGS\n"
                  "S: e BAD No mailbox selected\n");
}

static void test_list(void **state)
{
    play("C: a LIST \"\" \"\"\n"
         "S: * LIST (\\Noselect) \"/\" \"\"\n"
         "S: a OK %\n"
         "C: b CREATE a/b/c\n"
         "S: b OK [MAILBOXID (F%)] %\n"
         "C: c LIST \"\" %\n"
         "S: * LIST (\\HasNoChildren) \"/\" INBOX\n"
         "S: * LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\n"
         "S: * LIST (\\HasNoChildren \\Sent) \"/\" Sent\n"
         "S: * LIST (\\HasNoChildren \\Trash) \"/\" Trash\n"
         "S: * LIST (\\HasChildren) \"/\" a\n"
         "S: c OK %\n"
         "C: d SUBSCRIBE a/b/c\n"
         "S: d OK %\n"
         "C: e LSUB \"\" %\n"
         "S: * LSUB (\\Noselect) \"/\" a\n"
         "S: e OK %\n"
         "C: f LIST (SUBSCRIBED RECURSIVEMATCH) \"\" %\n"
         "S: * LIST (%) \"/\" a (%CHILDINFO% (\"SUBSCRIBED\"))\n"
         "S: f OK %\n"
         "C: g LIST \"a/\" * RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT))\n"
         "S: * LIST (%) \"/\" a/b\n"
         "S: * STATUS a/b (MESSAGES 0 UIDNEXT 1)\n"
         "S: * LIST (%\\Subscribed%) \"/\" a/b/c\n"
         "S: * STATUS a/b/c (MESSAGES 0 UIDNEXT 1)\n"
         "S: g OK %\n"
         "C: h CREATE Spam (USE (\\Junk))\n"
         "S: h OK %\n"
         "C: i LIST (SPECIAL-USE) \"\" *\n"
         "S~ * LIST (%\\Junk%) \"/\" Spam\n"
         "S~ i OK %\n"
         "C: j DELETE inbox\n"
         "S: j NO %\n"
         "C: k CREATE &AOQ-\n"
         "S: k OK %\n"
         "C: l LIST \"\" (a* Sen*)\n"
         "S~ l OK %\n"
         "C: m STATUS &AOQ- (MESSAGES RECENT UNSEEN SIZE MAILBOXID)\n"
         "S: * STATUS &AOQ- (MESSAGES 0 RECENT 0 UNSEEN 0 SIZE 0 MAILBOXID (F%))\n"
         "S: m OK %\n");
}

static void test_rev2(void **state)
{
    play_prepared(three_messages, "C: a ENABLE IMAP4rev2 X-UNKNOWN\n"
                                  "S: * ENABLED IMAP4rev2\n"
                                  "S: a OK %\n"
                                  "C: b SELECT INBOX\n"
                                  "S: * FLAGS %\n"
                                  "S: * OK [PERMANENTFLAGS %\n"
                                  "S: * 3 EXISTS\n"
                                  "S: * OK [UIDVALIDITY %\n"
                                  "S: * OK [UIDNEXT %\n"
                                  "S: * OK [HIGHESTMODSEQ %\n"
                                  "S: * OK [MAILBOXID %\n"
                                  "S: * LIST (%) \"/\" INBOX\n"
                                  "S: b OK [READ-WRITE] %\n"
                                  "C: c SEARCH ALL\n"
                                  "S: * ESEARCH (TAG \"c\") ALL 1:3\n"
                                  "S: c OK %\n"
                                  "C: d FETCH 1 FLAGS\n"
                                  "S: * 1 FETCH (FLAGS ())\n"
                                  "S: d OK %\n"
                                  "C: e ENABLE CONDSTORE\n"
                                  "S: e BAD %\n");
}

static void test_mailbox_gone(void **state)
{
    play("C: a CREATE x\n"
         "S: a OK %\n"
         "C: b SELECT x\n"
         "S~ b OK %\n"
         "=== B\n"
         "C: a DELETE x\n"
         "S: a OK %\n"
         "=== A\n"
         "C: c NOOP\n"
         "S: * BYE The selected mailbox has been deleted\n"
         "S: c OK %\n"
         "CLOSED\n"
         "=== B\n"
         "C: b CREATE y\n"
         "S: b OK %\n"
         "C: c SELECT y\n"
         "S~ c OK %\n"
         "C: d DELETE y\n"
         "S: d OK %\n"
         "C: e CHECK\n"
         "S: e BAD No mailbox selected\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_rev2),
        cmocka_unit_test(test_mailbox_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
