/* SPDX-License-Identifier: Apache-2.0 */
/* The selected mailbox goes on from an older copy: no command may use UIDs of its former life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "lib/mail/flags.h"
#include "tests/unit/frontend/imap/fake_store.h"
#include "tests/unit/frontend/imap/play.h"

enum { SCRIPT_MAX = 1024 };

#define BYE "S: * BYE The selected mailbox has a new UIDVALIDITY, connect again\n"

static void prepare(void)
{
    for (int i = 0; i < 3; i++)
        fake_deliver("INBOX", "From: a@example.test\r\nSubject: old\r\n\r\ntext\r\n");
    fake_flag("INBOX", 2, MAIL_DELETED);
}

static void test_no_command_mixes_lives(void **state)
{
    static const char *const commands[] = {
        "FETCH 1:* FLAGS",
        "UID FETCH 1:* (UID BODY[])",
        "UID FETCH 1 ENVELOPE",
        "STORE 1 FLAGS (\\Deleted)",
        "UID STORE 1:3 +FLAGS.SILENT (\\Deleted)",
        "SEARCH ALL",
        "UID SEARCH RETURN (COUNT) DELETED",
        "UID COPY 1 Drafts",
        "MOVE 1:3 Drafts",
        "EXPUNGE",
        "UID EXPUNGE 1:3",
        "CLOSE",
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        char script[SCRIPT_MAX];

        snprintf(script, sizeof(script),
                 "C: a SELECT INBOX\n"
                 "S~ a OK %%\n"
                 "RENEW INBOX\n"
                 "C: b %s\n" BYE "CLOSED\n"
                 "=== B\n"
                 "C: a STATUS INBOX (MESSAGES DELETED)\n"
                 "S: * STATUS INBOX (MESSAGES 3 DELETED 1)\n"
                 "S: a OK %%\n"
                 "C: b STATUS Drafts (MESSAGES)\n"
                 "S: * STATUS Drafts (MESSAGES 0)\n"
                 "S: b OK %%\n",
                 commands[i]);
        play_prepared(prepare, script);
    }
}

static void test_it_is_noticed(void **state)
{
    play_prepared(prepare, "C: a SELECT INBOX\n"
                           "S~ a OK %\n"
                           "RENEW INBOX\n"
                           "C: b NOOP\n" BYE "S: b OK %\n"
                           "CLOSED\n"
                           "=== B\n"
                           "C: a SELECT INBOX\n"
                           "S~ a OK %\n"
                           "C: b IDLE\n"
                           "S: + idling\n"
                           "RENEW INBOX\n" BYE "CLOSED\n");
}

static void test_mailbox_id(void **state)
{
    play("C: a STATUS INBOX (UIDVALIDITY MAILBOXID)\n"
         "S: * STATUS INBOX (UIDVALIDITY 1001 MAILBOXID (F0000000000000001-3e9))\n"
         "S: a OK %\n"
         "RENEW INBOX\n"
         "C: b STATUS INBOX (UIDVALIDITY MAILBOXID)\n"
         "S: * STATUS INBOX (UIDVALIDITY 1002 MAILBOXID (F0000000000000001-3ea))\n"
         "S: b OK %\n");
}

static void test_others_go_on(void **state)
{
    play_prepared(prepare, "C: a SELECT Drafts\n"
                           "S~ a OK %\n"
                           "RENEW INBOX\n"
                           "C: b NOOP\n"
                           "S: b OK %\n"
                           "C: c SELECT INBOX\n"
                           "S~ c OK %\n"
                           "C: d UID FETCH 1 UID\n"
                           "S: * 1 FETCH (UID 1)\n"
                           "S: d OK %\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_command_mixes_lives),
        cmocka_unit_test(test_it_is_noticed),
        cmocka_unit_test(test_others_go_on),
        cmocka_unit_test(test_mailbox_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
