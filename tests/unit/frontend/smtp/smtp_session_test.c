/* SPDX-License-Identifier: Apache-2.0 */
/* SMTP sessions over a socket pair and a store that keeps what it is given: what is delivered, octet by
 * octet, and what no real cluster does on demand: failing deliveries, shutdowns in the middle. The rest of
 * the protocol is in tests/transcript/smtp. */
#include "frontend/queue/queue.h"
#include "frontend/smtp/known.h"
#include "frontend/smtp/missing.h"
#include "frontend/smtp/patience.h"
#include "frontend/smtp/smtp.h"
#include "lib/base/alloc.h"
#include "tests/unit/frontend/common/session_fixture.h"
#include "tests/unit/frontend/smtp/fake_deliver.h"

enum { SIZE_MAX_HERE = 200 * 1024 };

static const struct settings settings = {
    .hostname = "mx.test",
    .message_size_max = SIZE_MAX_HERE,
    .allow_plaintext_auth = true,
    .smtp_recipients_max = 100,
    .smtp_idle_timeout_ms = 5000,
};
static struct buf said; /* all that the server said */

static void begin(bool submission)
{
    buf_clear(&said);
    session_begin(submission ? smtp_serve_submission : smtp_serve);
}

#define SAY(text) session_say(text, sizeof(text) - 1)

/* Read until the last line begins so. */
static void expect(const char *start)
{
    for (;;) {
        struct slice line;
        enum err err = session_read_line(4096, &line);
        if (err != OK) {
            fprintf(stderr, "%s instead of %s behind:\n%s\n", err_name(err), start, buf_cstr(&said));
            abort();
        }
        bool found = slice_starts(line, slice_str(start));
        buf_add_slice(&said, line);
        stream_consume(client, line.len);
        if (found)
            return;
    }
}

static void end(void)
{
    session_end();
    assert_int_equal(fake_deliver.uploads, 0);
}

static void begin_mail(void)
{
    SAY("EHLO client.test\r\nMAIL FROM:<a@remote.test>\r\nRCPT TO:<alice@example.test>\r\n");
    expect("250 2.1.5");
}

/* Behind the trace fields. */
static const char *delivered(void)
{
    const char *text = buf_cstr(&fake_deliver.message);
    const char *received = strstr(text, "\r\nReceived: ");
    assert_true(strncmp(text, "Return-Path: <", 14) == 0);
    assert_non_null(received);
    const char *at = received + 2;
    do {
        at = strstr(at, "\r\n");
        assert_non_null(at);
        at += 2;
    } while (*at == '\t');
    return at;
}

/* ---- what is delivered */

static void relayed(void)
{
    static const char text[] = "Subject: x\r\n\r\n..\r\n.dot\r\nlast\r\n";
    begin(false);
    begin_mail();
    SAY("DATA\r\n");
    expect("354");
    for (size_t i = 0; i < strlen("Subject: x\r\n\r\n...\r\n..dot\r\nlast\r\n.\r\n"); i++)
        session_say(&"Subject: x\r\n\r\n...\r\n..dot\r\nlast\r\n.\r\n"[i], 1); /* octet by octet */
    expect("250 2.0.0 delivered");
    assert_string_equal(delivered(), text);
    assert_int_equal(fake_deliver.targets, 1);
    /* The same account by two recipients gets it once; nobody is named then. */
    SAY("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<alice+x@example.test>\r\n"
        "RCPT TO:<bob@example.test>\r\nBDAT 14\r\nSubject: x\r\n\r\nBDAT 16 LAST\r\n..\r\n.dot\r\nlast\r\n");
    expect("250 2.0.0 delivered");
    assert_string_equal(delivered(), text);
    assert_int_equal(fake_deliver.targets, 2);
    assert_null(strstr(buf_cstr(&fake_deliver.message), "for <"));
    assert_non_null(strstr(buf_cstr(&fake_deliver.message), "Return-Path: <>\r\n"));
    SAY("QUIT\r\n");
    expect("221");
    end();
}

static void mail_from_others_is_not_changed(void **state)
{
    (void)state;
    run_fiber(context.loop, relayed);
}

static void log_in(void)
{
    /* \0alice@example.test\0secret */
    SAY("EHLO client.test\r\nAUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n");
    expect("235");
}

static void submit(const char *header, size_t header_len)
{
    SAY("MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n");
    expect("354");
    session_say(header, header_len);
    SAY("\r\nDate: of the body\r\n.\r\n");
    expect("250 2.0.0 delivered");
}

static void submitted(void)
{
    begin(true);
    log_in();
    submit("Subject: x\r\n", 12);
    assert_int_equal(strncmp(delivered(), "Date: ", 6), 0);
    assert_non_null(strstr(delivered(), "\r\nMessage-ID: <"));
    assert_non_null(strstr(delivered(), "@mx.test>\r\nSubject: x\r\n\r\nDate: of the body\r\n"));

    static const char both[] = "DATE: x\r\nMessage-Id: <a@b>\r\n";
    submit(both, sizeof both - 1);
    assert_string_equal(delivered(), "DATE: x\r\nMessage-Id: <a@b>\r\n\r\nDate: of the body\r\n");

    /* A header whose end is too far away: nothing is known to be missing. */
    size_t len = MISSING_HEADER_MAX + 1000;
    char *header = xmalloc(len);
    memset(header, 'x', len);
    for (size_t i = 0; i + 70 < len; i += 70)
        memcpy(header + i, "\r\nX: ", 5);
    memcpy(header, "A: bc", 5);
    memcpy(header + len - 2, "\r\n", 2);
    submit(header, len);
    assert_memory_equal(delivered(), header, len);
    /* One that just fits is completed. */
    submit(header + 2000, len - 2000);
    assert_int_equal(strncmp(delivered(), "Date: ", 6), 0);
    free(header);

    /* A message without a body, and one without anything. */
    SAY("MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nBDAT 10 LAST\r\nSubject: x");
    expect("250 2.0.0 delivered");
    assert_non_null(strstr(delivered(), ">\r\nSubject: x"));
    SAY("MAIL FROM:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nBDAT 0 LAST\r\n");
    expect("250 2.0.0 delivered");
    assert_non_null(strstr(delivered(), "Message-ID: <"));
    end();
}

static void submissions_are_completed(void **state)
{
    (void)state;
    run_fiber(context.loop, submitted);
}

/* ---- failures */

static void failures(void)
{
    static const struct {
        enum err status;
        const char *reply;
    } rows[] = {
        { ERR_UNAVAILABLE, "451 4.3.0" }, { ERR_IN_DOUBT, "451 4.3.0" }, { ERR_NOT_FOUND, "451 4.3.0" },
        { ERR_NO_SPACE, "452 4.3.1" },    { ERR_CORRUPT, "451 4.3.0" },  { OK, "250 2.0.0" },
    };
    begin(false);
    SAY("EHLO client.test\r\n");
    fake_deliver.queue_err = ERR_UNAVAILABLE; /* no partition takes it */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_deliver.status = rows[i].status;
        SAY("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nx: y\r\n\r\n.\r\n");
        expect("354");
        expect(rows[i].reply);
    }
    /* The upload breaks: nothing is delivered, the message is read to its end. */
    unsigned before = fake_deliver.count;
    fake_deliver.write_err = ERR_IN_DOUBT;
    SAY("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nx: y\r\n\r\n.\r\nNOOP\r\n");
    expect("354");
    expect("451 4.3.0");
    expect("250 2.0.0 OK");
    fake_deliver.write_err = OK;
    SAY("MAIL FROM:<>\r\nRCPT TO:<busy@example.test>\r\n");
    expect("451 4.3.0");
    assert_int_equal(fake_deliver.count, before);
    end();
}

static void queued(void)
{
    static const enum err statuses[] = { ERR_UNAVAILABLE, ERR_IN_DOUBT, ERR_BUSY, ERR_NO_SPACE };
    unsigned before = fake_deliver.queued, delivered = fake_deliver.count;
    fake_deliver.queue_err = OK;
    begin(false);
    SAY("EHLO client.test\r\n");
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        fake_deliver.status = statuses[i];
        fake_deliver.home_away = i > 0;
        fake_deliver.large = i == 1; /* but for a message that went there before */
        SAY("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nx: y\r\n\r\n.\r\n");
        expect("354");
        expect("250 2.0.0 queued");
        assert_int_equal(fake_deliver.wait_ms, i > 0 ? QUEUE_HOME_WAIT_AWAY_MS : QUEUE_HOME_WAIT_MS);
        assert_int_equal(fake_deliver.count, delivered + (i > 1 ? 2 : i + 1)); /* who is away is not asked */
        assert_int_equal(fake_deliver.queued, before + 1 + i);
        assert_int_equal(fake_deliver.queued_id, 1); /* the delivery's */
        assert_string_equal(buf_cstr(&fake_deliver.queued_paths), "alice@example.test ");
    }
    /* Some have it, some are queued. */
    fake_deliver.home_away = false;
    fake_deliver.failing_from = 1;
    SAY("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx: "
        "y\r\n\r\n.\r\n");
    expect("354");
    expect("250 2.0.0 queued");
    assert_string_equal(buf_cstr(&fake_deliver.queued_paths), "bob@example.test ");
    /* What a recipient's own state refuses is not queued. */
    before = fake_deliver.queued;
    fake_deliver.status = ERR_NOT_FOUND;
    SAY("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx: "
        "y\r\n\r\n.\r\n");
    expect("354");
    expect("451 4.3.0");
    assert_int_equal(fake_deliver.queued, before);
    fake_deliver.status = OK;
    fake_deliver.failing_from = 0;
    end();
}

static void known(void)
{
    begin(false);
    SAY("EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\n");
    expect("250 2.1.5"); /* and alice is known */
    unsigned asked = fake_deliver.resolved, suspected = fake_deliver.suspected;
    fake_deliver.resolve_err = ERR_UNAVAILABLE;
    SAY("RCPT TO:<bob@example.test>\r\n");
    expect("451 4.3.0"); /* cannot be verified */
    SAY("RCPT TO:<alice@example.test>\r\n");
    expect("250 2.1.5");
    assert_int_equal(fake_deliver.resolved, asked + 2);
    assert_true(fake_deliver.suspected <= suspected + 1);
    fake_deliver.home_away = true; /* then nobody is asked */
    SAY("RCPT TO:<alice@example.test>\r\n");
    expect("250 2.1.5");
    assert_int_equal(fake_deliver.resolved, asked + 2);
    fake_deliver.home_away = false;
    fake_deliver.resolve_err = ERR_NOT_FOUND; /* deleted: known no more */
    SAY("RCPT TO:<alice@example.test>\r\n");
    expect("550 5.1.1");
    fake_deliver.resolve_err = ERR_UNAVAILABLE;
    SAY("RCPT TO:<alice@example.test>\r\n");
    expect("451 4.3.0");
    fake_deliver.resolve_err = OK;
    end();
}

static void who_was_known_is_taken_while_its_partition_is_away(void **state)
{
    (void)state;
    run_fiber(context.loop, known);
}

static void what_has_no_home_now_is_queued(void **state)
{
    (void)state;
    run_fiber(context.loop, queued);
}

static void failed_deliveries_are_temporary(void **state)
{
    (void)state;
    run_fiber(context.loop, failures);
}

static void too_large(void)
{
    unsigned before = fake_deliver.count;
    char *text = xmalloc(SIZE_MAX_HERE + 2000);
    memset(text, 'y', SIZE_MAX_HERE + 2000);
    begin(false);
    begin_mail();
    SAY("DATA\r\n");
    expect("354");
    session_say(text, SIZE_MAX_HERE + 2000);
    SAY("\r\n.\r\n");
    expect("552 5.3.4");
    SAY("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nBDAT 100000\r\n");
    session_say(text, 100000);
    expect("250 2.0.0 100000");
    SAY("BDAT 150000\r\n");
    session_say(text, 150000);
    expect("552 5.3.4");
    SAY("BDAT 1 LAST\r\nxMAIL FROM:<>\r\n");
    expect("552 5.3.4");
    expect("250 2.1.0");
    free(text);
    assert_int_equal(fake_deliver.count, before);
    end();
}

static void what_is_too_large_is_read_and_refused(void **state)
{
    (void)state;
    run_fiber(context.loop, too_large);
}

/* ---- ends in the middle */

static void drains(void)
{
    unsigned before = fake_deliver.count;
    static const char *const in_the_middle[] = { "DATA\r\nx: y\r\n", "BDAT 100\r\nx: y\r\n", "NOOP" };
    for (size_t i = 0; i < 3; i++) {
        begin(false);
        begin_mail();
        session_say(in_the_middle[i], strlen(in_the_middle[i]));
        fiber_sleep_ms(20);
        context.draining = true;
        stream_cancel_input(server);
        expect("421 4.3.2");
        context.draining = false;
        end();
        begin(false); /* the same, but the client goes away */
        begin_mail();
        session_say(in_the_middle[i], strlen(in_the_middle[i]));
        end();
    }
    assert_int_equal(fake_deliver.count, before);
}

static void nothing_half_is_delivered(void **state)
{
    (void)state;
    run_fiber(context.loop, drains);
}

static int setup(void **state)
{
    (void)state;
    session_setup(&settings);
    static struct patience patience;
    context.known = known_new();
    context.patience = &patience;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    known_free(&context.known);
    session_teardown();
    buf_fini(&said);
    buf_fini(&fake_deliver.message);
    buf_fini(&fake_deliver.queued_paths);
    return 0;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(mail_from_others_is_not_changed),
        TEST(submissions_are_completed),
        TEST(who_was_known_is_taken_while_its_partition_is_away),
        TEST(what_has_no_home_now_is_queued),
        TEST(failed_deliveries_are_temporary),
        TEST(what_is_too_large_is_read_and_refused),
        TEST(nothing_half_is_delivered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
