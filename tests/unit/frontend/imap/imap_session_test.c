/* SPDX-License-Identifier: Apache-2.0 */
/* A session from its greeting to its end: login, authentication, bad commands, draining, time limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/play.h"

static void test_greeting_and_login(void **state)
{
    play("=== A raw\n"
         "S: * OK [CAPABILITY IMAP4rev1 IMAP4rev2 % AUTH=SCRAM-SHA-256 AUTH=PLAIN%] %\n"
         "C: a SELECT INBOX\n"
         "S: a BAD Log in first\n"
         "C: b LOGIN alice@example.test wrong\n"
         "S: b NO [AUTHENTICATIONFAILED] %\n"
         "C: c LOGIN alice@example.test {6}\n"
         "S: + %\n"
         "C: secret\n"
         "S: c OK [CAPABILITY IMAP4rev1 %] Logged in\n"
         "C: d NOOP\n"
         "S: d OK NOOP completed\n"
         "C: e LOGOUT\n"
         "S: * BYE %\n"
         "S: e OK LOGOUT completed\n"
         "CLOSED\n");
}

static void test_authenticate(void **state)
{
    play("=== A raw\n"
         "S: * OK %\n"
         "C: a AUTHENTICATE PLAIN\n"
         "S: + \n"
         "C: *\n"
         "S: a BAD %\n"
         "C: b AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\n"
         "S: b OK [CAPABILITY %\n");
}

static void test_login_disabled(void **state)
{
    play_settings.allow_plaintext_auth = false;
    play("=== A raw\n"
         "S: * OK [CAPABILITY % LOGINDISABLED %\n"
         "C: a LOGIN alice@example.test secret\n"
         "S: a NO [PRIVACYREQUIRED] %\n"
         "C: b AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\n"
         "S: b NO [PRIVACYREQUIRED] %\n"
         "C: c STARTTLS\n"
         "S: c BAD %\n");
}

static void test_bad_commands(void **state)
{
    play("C: a FROBNICATE\n"
         "S: a BAD Unknown command\n"
         "C: b FETCH 1 FLAGS\n"
         "S: b BAD No mailbox selected\n"
         "C: c UID NOOP\n"
         "S: c BAD %\n"
         "C: d LIST\n"
         "S: d BAD %\n"
         "C: e NOOP\n"
         "S: e OK %\n"
         "C: a x\n"
         "C: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\n"
         "C: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\nC: a x\n"
         "S~ * BYE Too many bad commands\n"
         "CLOSED\n");
}

static void test_drain(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b IDLE\n"
                                  "S: + idling\n"
                                  "=== B\n"
                                  "DRAIN\n"
                                  "S: * BYE [UNAVAILABLE] %\n"
                                  "CLOSED\n"
                                  "=== A\n"
                                  "S: * BYE [UNAVAILABLE] %\n"
                                  "CLOSED\n");
}

static void test_login_timeout(void **state)
{
    play_settings.login_timeout_ms = 200;
    play("=== A raw\n"
         "S: * OK %\n"
         "C~ a LOGIN al\n"
         "S: * BYE Autologout%\n"
         "CLOSED\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greeting_and_login),
        cmocka_unit_test(test_authenticate),
        cmocka_unit_test(test_login_disabled),
        cmocka_unit_test(test_bad_commands),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_login_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
