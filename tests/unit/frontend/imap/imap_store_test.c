/* SPDX-License-Identifier: Apache-2.0 */
/* STORE: what is told of it, when others must be asked for, mod-sequences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/frontend/imap/play.h"

static void test_store(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "C: b STORE 1:2 +FLAGS (\\Flagged $Label1)\n"
                                  "S: * FLAGS (% $Label1)\n"
                                  "S: * OK [PERMANENTFLAGS %\n"
                                  "S: * 1 FETCH (FLAGS (\\Flagged \\Recent $Label1))\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent $Label1))\n"
                                  "S: b OK STORE completed\n"
                                  "C: c STORE 1 +FLAGS.SILENT (\\Seen)\n"
                                  "S: c OK STORE completed\n"
                                  "C: d UID STORE 3 FLAGS ()\n"
                                  "S: * 3 FETCH (UID 3 FLAGS (\\Recent))\n"
                                  "S: d OK UID STORE completed\n"
                                  "FLAG INBOX 2 4\n"
                                  "C: e STORE 2 +FLAGS.SILENT (\\Seen)\n"
                                  "S: * 2 FETCH (FLAGS (\\Seen \\Flagged \\Recent $Label1))\n"
                                  "S: e OK STORE completed\n");
}

/* What the session knows without asking; and what others did, for which it asks. */
static void test_store_asks_if_it_must(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX\n"
                                  "S~ a OK %\n"
                                  "ASKED 0\n"
                                  "C: b STORE 1 +FLAGS.SILENT (\\Seen)\n"
                                  "S: b OK %\n"
                                  "C: c STORE 1:2 FLAGS (\\Flagged)\n"
                                  "S: * 1 FETCH (FLAGS (\\Flagged \\Recent))\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent))\n"
                                  "S: c OK %\n"
                                  "ASKED 0\n"
                                  "C: d STORE 1 FLAGS ($New)\n"
                                  "S: * FLAGS (% $New)\n"
                                  "S: * OK [PERMANENTFLAGS %\n"
                                  "S: * 1 FETCH (FLAGS (\\Recent $New))\n"
                                  "S: d OK %\n"
                                  "ASKED 1\n"
                                  "C: e UID STORE 1:3 FLAGS ($new)\n"
                                  "S: * 1 FETCH (UID 1 FLAGS (\\Recent $New))\n"
                                  "S: * 2 FETCH (UID 2 FLAGS (\\Recent $New))\n"
                                  "S: * 3 FETCH (UID 3 FLAGS (\\Recent $New))\n"
                                  "S: e OK %\n"
                                  "C: f STORE 1 +FLAGS ($New)\n"
                                  "S: * 1 FETCH (FLAGS (\\Recent $New))\n"
                                  "S: f OK %\n"
                                  "ASKED 0\n"
                                  "DELIVER INBOX\n"
                                  "C: g STORE 1 +FLAGS.SILENT (\\Draft)\n"
                                  "S: * 4 EXISTS\n"
                                  "S: * 4 RECENT\n"
                                  "S: g OK %\n"
                                  "FLAG INBOX 2 4\n"
                                  "C: h STORE 1 FLAGS.SILENT ()\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent $New))\n"
                                  "S: h OK %\n"
                                  "C: i STORE 1 +FLAGS (\\Seen)\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Recent))\n"
                                  "S: i OK %\n"
                                  "ASKED 2\n"
                                  "C: i2 STORE 1:2 +FLAGS (\\Answered)\n" /* they carry different ones */
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Answered \\Recent))\n"
                                  "S: * 2 FETCH (FLAGS (\\Answered \\Flagged \\Recent $New))\n"
                                  "S: i2 OK %\n"
                                  "ASKED 1\n"
                                  "C: i3 STORE 1:2 -FLAGS (\\Answered)\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Recent))\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent $New))\n"
                                  "S: i3 OK %\n"
                                  "ASKED 1\n"
                                  "C: i4 STORE 2 +FLAGS (\\Draft)\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Draft \\Recent $New))\n"
                                  "S: i4 OK %\n"
                                  "C: i5 STORE 2 -FLAGS (\\Draft)\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent $New))\n"
                                  "S: i5 OK %\n"
                                  "ASKED 0\n"
                                  "EXPUNGE INBOX 3\n"
                                  "C: j STORE 1 FLAGS (\\Seen \\Draft)\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Draft \\Recent))\n"
                                  "S: j OK %\n"
                                  "ASKED 1\n"
                                  "C: k STORE 1 -FLAGS.SILENT (\\Seen)\n"
                                  "S: k OK %\n"
                                  "C: l UID STORE 1 +FLAGS.SILENT (\\Seen)\n"
                                  "S: * 3 EXPUNGE\n"
                                  "S: l OK %\n"
                                  "ASKED 0\n"
                                  "C: m NOOP\n"
                                  "S: m OK %\n");
}

static void test_store_tells_modseqs(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX (CONDSTORE)\n"
                                  "S~ * OK [HIGHESTMODSEQ 7] %\n"
                                  "S~ a OK %\n"
                                  "C: b STORE 1:2 +FLAGS.SILENT (\\Seen)\n"
                                  "S: * 1 FETCH (UID 1 MODSEQ (8))\n"
                                  "S: * 2 FETCH (UID 2 MODSEQ (8))\n"
                                  "S: b OK %\n"
                                  "C: c STORE 1 (UNCHANGEDSINCE 8) FLAGS (\\Draft)\n"
                                  "S: * 1 FETCH (FLAGS (\\Draft \\Recent) MODSEQ (9))\n"
                                  "S: c OK %\n"
                                  "C: d STORE 1:2 (UNCHANGEDSINCE 8) FLAGS.SILENT ()\n"
                                  "S: * 2 FETCH (UID 2 MODSEQ (10))\n"
                                  "S: d OK [MODIFIED 1] %\n"
                                  "ASKED 0\n"
                                  "C: e NOOP\n"
                                  "S: e OK %\n"
                                  "FLAG INBOX 2 4\n"
                                  "C: f STORE 1:2 FLAGS.SILENT ()\n"
                                  "S: * 1 FETCH (UID 1 MODSEQ (12))\n"
                                  "S: * 2 FETCH (FLAGS (\\Recent) MODSEQ (13))\n"
                                  "S: f OK %\n"
                                  "ASKED 2\n");
}

static void test_condstore(void **state)
{
    play_prepared(three_messages, "C: a SELECT INBOX (CONDSTORE)\n"
                                  "S~ * OK [HIGHESTMODSEQ 7] %\n"
                                  "S~ a OK %\n"
                                  "C: b STORE 1 (UNCHANGEDSINCE 7) +FLAGS.SILENT (\\Seen)\n"
                                  "S: * 1 FETCH (UID 1 MODSEQ (8))\n"
                                  "S: b OK STORE completed\n"
                                  "C: c STORE 1:2 (UNCHANGEDSINCE 7) +FLAGS (\\Flagged)\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent) MODSEQ (9))\n"
                                  "S: c OK [MODIFIED 1] %\n"
                                  "C: d FETCH 1:* (FLAGS) (CHANGEDSINCE 8)\n"
                                  "S: * 2 FETCH (FLAGS (\\Flagged \\Recent) MODSEQ (9))\n"
                                  "S: d OK %\n"
                                  "C: e SEARCH MODSEQ 8\n"
                                  "S: * SEARCH 1 2 (MODSEQ 9)\n"
                                  "S: e OK %\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_store_asks_if_it_must),
        cmocka_unit_test(test_store_tells_modseqs),
        cmocka_unit_test(test_condstore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
