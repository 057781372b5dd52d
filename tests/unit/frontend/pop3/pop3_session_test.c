/* SPDX-License-Identifier: Apache-2.0 */
/* POP3 sessions over a socket pair and a maildrop that fails on demand, and the lock while a message goes
 * out. The rest of the protocol is in tests/transcript/pop3. */
#include "frontend/pop3/pop3.h"
#include "frontend/pop3/session.h"
#include "lib/base/alloc.h"
#include "tests/unit/frontend/common/session_fixture.h"
#include "tests/unit/frontend/pop3/fake_drop.h"

static const struct settings settings = {
    .hostname = "mx.test",
    .allow_plaintext_auth = true,
    .pop3_idle_timeout_ms = 5000,
    .login_timeout_ms = 5000,
};
static char last[1024];

static void begin(void)
{
    session_begin(pop3_serve);
}

static void say(const char *text)
{
    session_say(text, strlen(text));
}

static enum err read_line(void)
{
    struct slice line;
    enum err err = session_read_line(sizeof last - 1, &line);
    if (err == OK) {
        snprintf(last, sizeof last, "%.*s", (int)line.len - 2, (const char *)line.data);
        stream_consume(client, line.len);
    }
    return err;
}

static void expect(const char *start)
{
    if (read_line() != OK || strncmp(last, start, strlen(start)) != 0) {
        fprintf(stderr, "wanted %s, got %s\n", start, last);
        abort();
    }
}

static void log_in(void)
{
    begin();
    expect("+OK");
    say("USER alice@example.test\r\nPASS secret\r\n");
    expect("+OK");
}

/* ---- failures */

static void quits(void)
{
    static const struct {
        enum err err;
        const char *reply;
    } rows[] = {
        { OK, "+OK mx.test closing" },
        { ERR_UNAVAILABLE, "-ERR [SYS/TEMP] deleted messages were not all removed" },
        { ERR_IN_DOUBT, "-ERR [SYS/TEMP] deleted messages were not all removed" },
        { ERR_CORRUPT, "-ERR [SYS/PERM] deleted messages were not all removed" },
        { ERR_UIDVALIDITY, "-ERR [SYS/TEMP] the maildrop has been replaced" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned unlocks = fake_drop.unlocks;
        fake_drop.expunge_err = rows[i].err;
        log_in();
        expect("+OK maildrop has 3 messages (300 octets)");
        say("DELE 1\r\nDELE 3\r\nQUIT\r\n");
        expect("+OK");
        expect("+OK");
        expect(rows[i].reply);
        assert_int_equal(fake_drop.expunged, 2);
        assert_int_equal(read_line(), ERR_CLOSED);
        session_end();
        assert_int_equal(fake_drop.unlocks, unlocks + 1);
    }
    fake_drop.expunged = 0;
    log_in();
    expect("+OK");
    say("DELE 1\r\n");
    expect("+OK");
    session_end(); /* gone without QUIT */
    assert_int_equal(fake_drop.expunged, 0);
}

static void quit_says_whether_it_deleted(void **state)
{
    (void)state;
    run_fiber(context.loop, quits);
}

static void login_again(void)
{
    log_in();
    expect("-ERR [SYS/TEMP]");
    fake_drop.fetch_err = OK;
    say("USER alice@example.test\r\nPASS secret\r\nLIST\r\n");
    expect("+OK");
    expect("+OK maildrop has 3 messages (300 octets)"); /* each once, though the first try saw them too */
    expect("+OK");
    expect("1 100");
    expect("2 100");
    expect("3 100");
    expect(".");
    session_end();
    fake_drop.lock_err = ERR_IN_USE;
    log_in();
    expect("-ERR [IN-USE]");
    session_end();
}

static void a_second_login_starts_afresh(void **state)
{
    (void)state;
    fake_drop.fetch_err = ERR_UNAVAILABLE;
    run_fiber(context.loop, login_again);
}

static void reads_large(void)
{
    enum { LINE = 64 };
    size_t lines = 0;
    fake_drop.size = 3 * STORE_PIECE_MAX + LINE;
    log_in();
    expect("+OK");
    say("RETR 1\r\n");
    expect("+OK 1572928 octets");
    while (read_line() == OK && strcmp(last, ".") != 0) {
        assert_int_equal(strlen(last), LINE - 2);
        lines++;
    }
    assert_int_equal(lines, fake_drop.size / LINE);
    assert_int_equal(fake_drop.streams, 1);
    say("TOP 1 0\r\n"); /* reads no more than it needs */
    expect("+OK");
    while (read_line() == OK && strcmp(last, ".") != 0)
        continue;
    assert_int_equal(fake_drop.streams, 1);
    say("QUIT\r\n");
    expect("+OK");
    session_end();
}

static void a_large_message_comes_whole(void **state)
{
    (void)state;
    run_fiber(context.loop, reads_large);
}

static void breaks(void)
{
    fake_drop.size = 3 * STORE_BODY_READ_MAX;
    fake_drop.body_err = ERR_UNAVAILABLE;
    log_in();
    expect("+OK");
    say("RETR 1\r\n");
    expect("-ERR [SYS/TEMP] message"); /* nothing was sent: the session goes on */
    fake_drop.body_err_from = STORE_BODY_READ_MAX;
    say("RETR 1\r\n");
    expect("+OK 3145728 octets");
    enum err err;
    while ((err = read_line()) == OK) /* half a message must not look whole */
        assert_string_not_equal(last, ".");
    assert_int_equal(err, ERR_CLOSED);
    session_end();
}

static void reads_replaced(void)
{
    fake_drop.body_err = ERR_UIDVALIDITY;
    fake_drop.body_err_from = 0;
    log_in();
    expect("+OK");
    say("RETR 1\r\nDELE 1\r\nQUIT\r\n");
    expect("-ERR [SYS/TEMP] the maildrop has been replaced");
    assert_int_equal(read_line(), ERR_CLOSED);
    session_end();
    assert_int_equal(fake_drop.expunged, 0);
}

static void a_replaced_maildrop_ends_the_session(void **state)
{
    (void)state;
    run_fiber(context.loop, reads_replaced);
}

static void half_a_message_ends_the_session(void **state)
{
    (void)state;
    run_fiber(context.loop, breaks);
}

/* ---- internationalized messages (RFC 6858) */

static void sends_text(const char *commands, const char *const *lines)
{
    log_in();
    expect("+OK");
    say(commands);
    for (; *lines != NULL; lines++) {
        expect(*lines);
        assert_int_equal(strlen(last), strlen(*lines));
    }
    session_end();
}

static void downgrades(void)
{
    static const char text[] =
        "Return-Path: <gr\xc3\xbc@x>\r\nSubject: \xc3\xbc\r\nX: \xc3\xbc\r\n\r\n.\xc3\xbc\r\nb\r\n";
    static const char *const surrogate[] = {
        "+OK 95 octets",
        "Return-Path: <invalid@internationalized-address.invalid>",
        "Subject: =?UTF-8?B?w7w=?=",
        "",
        "..\xc3\xbc",
        "b",
        ".",
        NULL,
    };
    static const char *const top[] = {
        "+OK 95 octets",
        "Return-Path: <invalid@internationalized-address.invalid>",
        "Subject: =?UTF-8?B?w7w=?=",
        "",
        "..\xc3\xbc",
        ".",
        NULL,
    };
    char size[32];
    const char *const as_it_is[] = {
        size, "Return-Path: <gr\xc3\xbc@x>", "Subject: \xc3\xbc", "X: \xc3\xbc", "", "..\xc3\xbc", "b", ".",
        NULL,
    };
    snprintf(size, sizeof size, "+OK %zu octets", sizeof text - 1);
    fake_drop.text = text;
    fake_drop.size = sizeof text - 1;
    fake_drop.international = true;
    sends_text("RETR 1\r\n", surrogate);
    sends_text("TOP 1 1\r\n", top);
    fake_drop.international = false;
    sends_text("RETR 1\r\n", as_it_is);
    begin();
    expect("+OK");
    fake_drop.international = true;
    say("UTF8\r\nUSER alice@example.test\r\nPASS secret\r\nRETR 1\r\n");
    for (int i = 0; i < 3; i++)
        expect("+OK");
    for (const char *const *line = as_it_is; *line != NULL; line++)
        expect(*line);
    session_end();
}

static void old_clients_get_surrogates(void **state)
{
    (void)state;
    run_fiber(context.loop, downgrades);
}

static void reads_ascii(void)
{
    fake_drop.text = "A: b\r\n\r\n\xc3\xbc\r\n";
    fake_drop.size = strlen(fake_drop.text);
    log_in();
    expect("+OK");
    unsigned fetches = fake_drop.fetches;
    say("RETR 1\r\n");
    expect("+OK 12 octets");
    while (strcmp(last, ".") != 0)
        expect("");
    assert_int_equal(fake_drop.fetches, fetches);
    session_end();
}

static void ascii_headers_cost_nothing(void **state)
{
    (void)state;
    run_fiber(context.loop, reads_ascii);
}

/* ---- the lock while a message goes out */

static struct pop3_session *new_session(void)
{
    struct pop3_session *s = NEW(struct pop3_session);
    session_pair();
    s->context = &context;
    s->stream = server;
    s->state = POP3_TRANSACTION;
    s->locked = true;
    return s;
}

static void free_session(struct pop3_session *s)
{
    pop3_drop_close(s);
    stream_close(&server);
    stream_close(&client);
    free(s);
}

static void await_locks(unsigned count)
{
    uint64_t deadline_ms = loop_deadline_ms(WAIT_MS);
    while (fake_drop.locks < count && loop_now_ms() < deadline_ms)
        fiber_sleep_ms(1);
    assert_int_equal(fake_drop.locks, count);
}

static void renewals(void)
{
    struct pop3_session *s = new_session();
    s->lock_renew_ms = loop_deadline_ms(20);
    pop3_drop_keep_sending(s, true);
    pop3_drop_keep_sending(s, false); /* in good time: no call */
    fiber_sleep_ms(50);
    assert_int_equal(fake_drop.locks, 0);
    s->lock_renew_ms = loop_deadline_ms(20);
    pop3_drop_keep_sending(s, true);
    await_locks(1);
    fiber_yield();
    assert_null(s->renewal);
    assert_true(s->lock_renew_ms > loop_now_ms() + POP3_LOCK_RENEW_MS / 2);
    pop3_drop_keep_sending(s, false);
    assert_int_equal(pop3_drop_keep(s), OK); /* nothing to do now */
    assert_int_equal(fake_drop.locks, 1);

    /* Lost meanwhile: the next command finds out. */
    fake_drop.lock_err = ERR_IN_USE;
    s->lock_renew_ms = loop_now_ms();
    pop3_drop_keep_sending(s, true);
    await_locks(2);
    fiber_yield();
    pop3_drop_keep_sending(s, false);
    assert_int_equal(pop3_drop_keep(s), ERR_IN_USE);

    /* The session ends while its renewal is under way: the lock is let go behind it. */
    fake_drop.lock_err = OK;
    fake_drop.lock_ms = 50;
    s->lock_renew_ms = loop_now_ms();
    pop3_drop_keep_sending(s, true);
    while (s->renewal == NULL)
        fiber_sleep_ms(1);
    unsigned unlocks = fake_drop.unlocks;
    free_session(s);
    assert_int_equal(fake_drop.unlocks, unlocks + 1);
    await_locks(4);
    fiber_yield();
    assert_int_equal(fake_drop.unlocks, unlocks + 2);
}

static void the_lock_is_kept_while_sending(void **state)
{
    (void)state;
    run_fiber(context.loop, renewals);
}

static int setup(void **state)
{
    (void)state;
    fake_drop = (struct fake_drop){ .messages = 3, .size = 100 };
    session_setup(&settings);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    session_teardown();
    return 0;
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(quit_says_whether_it_deleted),    TEST(a_second_login_starts_afresh),
        TEST(half_a_message_ends_the_session), TEST(a_replaced_maildrop_ends_the_session),
        TEST(old_clients_get_surrogates),      TEST(ascii_headers_cost_nothing),
        TEST(the_lock_is_kept_while_sending),  TEST(a_large_message_comes_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
