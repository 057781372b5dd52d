/* SPDX-License-Identifier: Apache-2.0 */
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

static void three_messages(void)
{
    for (int i = 0; i < 3; i++)
        fake_deliver("INBOX", "From: a@example.test\r\nSubject: news\r\n\r\ntext\r\n");
}

static void one_multipart(void)
{
    fake_deliver("INBOX", multipart);
}

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
                                  "EXPUNGE INBOX 3\n"
                                  "C: j STORE 1 FLAGS (\\Seen \\Draft)\n"
                                  "S: * 1 FETCH (FLAGS (\\Seen \\Draft \\Recent))\n"
                                  "S: j OK %\n"
                                  "ASKED 4\n"
                                  "C: k STORE 1 -FLAGS.SILENT (\\Seen)\n"
                                  "S: k OK %\n"
                                  "C: l UID STORE 1 +FLAGS.SILENT (\\Seen)\n"
                                  "S: * 3 EXPUNGE\n"
                                  "S: l OK %\n"
                                  "ASKED 0\n"
                                  "C: m NOOP\n"
                                  "S: m OK %\n");
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
        cmocka_unit_test(test_greeting_and_login),
        cmocka_unit_test(test_authenticate),
        cmocka_unit_test(test_login_disabled),
        cmocka_unit_test(test_select),
        cmocka_unit_test(test_fetch_items),
        cmocka_unit_test(test_fetch_marks_seen),
        cmocka_unit_test(test_fetch_pages),
        cmocka_unit_test(test_fetch_large),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_store_asks_if_it_must),
        cmocka_unit_test(test_store_tells_modseqs),
        cmocka_unit_test(test_fetch_asks_if_it_must),
        cmocka_unit_test(test_condstore),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_copy_and_move),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_rev2),
        cmocka_unit_test(test_bad_commands),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_login_timeout),
        cmocka_unit_test(test_mailbox_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
