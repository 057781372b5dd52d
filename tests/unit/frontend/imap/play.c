/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/imap/play.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "frontend/imap/imap.h"
#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "tests/unit/frontend/imap/fake_store.h"

enum { CONNECTIONS_MAX = 4, WAIT_MS = 5000, QUIET_MS = 200 };

static const struct settings default_settings = {
    .hostname = "test.example",
    .message_size_max = 1 << 20,
    .allow_plaintext_auth = true,
    .imap_idle_timeout_ms = 30 * 60 * 1000,
    .login_timeout_ms = 60 * 1000,
};
struct settings play_settings = {
    .hostname = "test.example",
    .message_size_max = 1 << 20,
    .allow_plaintext_auth = true,
    .imap_idle_timeout_ms = 30 * 60 * 1000,
    .login_timeout_ms = 60 * 1000,
};

static const char small_message[] = "From: a@example.test\r\nSubject: news\r\n\r\ntext\r\n";

static struct {
    struct context context;
    struct stream *clients[CONNECTIONS_MAX], *servers[CONNECTIONS_MAX];
    struct stream *now;
    const char *script;
    char line[1024];
} game;

static void fail(const char *why, struct slice got)
{
    fprintf(stderr, "at: %s\n%s: %.*s\n", game.line, why, SLICE_FMT(got));
    abort();
}

static bool matches(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '%')
        return matches(pattern + 1, text) || (*text != '\0' && matches(pattern, text + 1));
    return *pattern == *text && matches(pattern + 1, text + 1);
}

static void server_closed(struct stream *s, void *arg)
{
    *(struct stream **)arg = NULL;
}

static void serve(void *arg)
{
    imap_serve(arg, NULL);
}

static void expect(const char *pattern, bool skip)
{
    for (;;) {
        struct slice line;
        enum err err = stream_read_line(game.now, 60000, loop_deadline_ms(WAIT_MS), &line);

        if (err != OK)
            fail(err_name(err), stream_input(game.now));
        size_t end = line.len;

        while (end > 0 && (line.data[end - 1] == '\n' || line.data[end - 1] == '\r'))
            end--;
        char *text = slice_dup(slice_sub(line, 0, end));
        bool ok = matches(pattern, text);

        if (!ok && !skip)
            fail("but came", line);
        stream_consume(game.now, line.len);
        free(text);
        if (ok)
            return;
    }
}

static void say(const char *text, const char *end)
{
    enum err err = stream_printf(game.now, "%s%s", text, end);

    if (err == OK)
        err = stream_flush(game.now);
    if (err != OK)
        fail(err_name(err), SLICE_NULL);
}

static void use(const char *name)
{
    size_t i = (size_t)(name[0] - 'A');
    int fds[2];

    if (game.clients[i] == NULL) {
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0)
            abort();
        game.clients[i] = stream_new(loop_self(), fds[0]);
        game.servers[i] = stream_new(loop_self(), fds[1]);
        stream_set_on_close(game.servers[i], server_closed, &game.servers[i]);
        if (fiber_spawn(loop_self(), "serve", serve, game.servers[i]) != OK)
            abort();
        game.now = game.clients[i];
        if (strstr(name, "raw") == NULL) {
            expect("\x2a OK %", false);
            say("login LOGIN alice@example.test secret", "\r\n");
            expect("login OK %", false);
        }
    }
    game.now = game.clients[i];
}

static void expect_closed(void)
{
    enum err err;

    while ((err = stream_fill(game.now, loop_deadline_ms(WAIT_MS))) == OK)
        stream_consume(game.now, stream_input(game.now).len);
    if (err != ERR_CLOSED)
        fail(err_name(err), SLICE_NULL);
}

static void expect_quiet(void)
{
    if (!stream_has_input(game.now) && stream_fill(game.now, loop_deadline_ms(QUIET_MS)) == ERR_TIMEOUT)
        return;
    fail("not quiet", stream_input(game.now));
}

static void drain(void)
{
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (game.servers[i] != NULL)
            stream_cancel_input(game.servers[i]);
    }
}

static void expect_asked(unsigned count)
{
    unsigned asked = fake_changes_asked();

    if (asked == count)
        return;
    fprintf(stderr, "asked for changes %u times, not %u\n", asked, count);
    abort();
}

static void step(const char *line)
{
    char mailbox[64];
    unsigned uid, number;

    if (strncmp(line, "C: ", 3) == 0)
        say(line + 3, "\r\n");
    else if (strncmp(line, "C~ ", 3) == 0)
        say(line + 3, "");
    else if (strncmp(line, "S: ", 3) == 0)
        expect(line + 3, false);
    else if (strncmp(line, "S~ ", 3) == 0)
        expect(line + 3, true);
    else if (strncmp(line, "=== ", 4) == 0)
        use(line + 4);
    else if (strcmp(line, "QUIET") == 0)
        expect_quiet();
    else if (strcmp(line, "CLOSED") == 0)
        expect_closed();
    else if (strcmp(line, "DRAIN") == 0)
        drain();
    else if (strcmp(line, "MOVE BETWEEN PAGES") == 0)
        fake_move_between_pages();
    else if (sscanf(line, "ASKED %u", &number) == 1)
        expect_asked(number);
    else if (sscanf(line, "DELIVER %63s", mailbox) == 1)
        fake_deliver(mailbox, small_message);
    else if (sscanf(line, "FLAG %63s %u %u", mailbox, &uid, &number) == 3)
        fake_flag(mailbox, uid, number);
    else if (sscanf(line, "EXPUNGE %63s %u", mailbox, &uid) == 2)
        fake_expunge(mailbox, uid);
    else if (sscanf(line, "RENEW %63s", mailbox) == 1)
        fake_renew(mailbox);
    else if (sscanf(line, "FAIL CHANGES %u", &number) == 1)
        fake_fail_next_changes((enum err)number);
    else if (sscanf(line, "FAIL %u", &number) == 1)
        fake_fail_next_write((enum err)number);
    else
        fail("cannot read the script", SLICE_NULL);
}

static void run(void *arg)
{
    if (strncmp(game.script, "===", 3) != 0)
        use("A");
    for (const char *at = game.script; *at != '\0';) {
        size_t len = strcspn(at, "\n");

        snprintf(game.line, sizeof(game.line), "%.*s", (int)len, at);
        at += len + (at[len] == '\n');
        if (game.line[0] != '\0')
            step(game.line);
    }
    drain();
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (game.clients[i] != NULL)
            stream_close(&game.clients[i]);
        while (game.servers[i] != NULL)
            fiber_sleep_ms(1);
    }
    loop_stop(loop_self());
}

void play_prepared(void (*prepare)(void), const char *script)
{
    struct loop *loop;
    enum err err = loop_new(&loop);

    if (err != OK)
        abort();
    fake_store_reset();
    if (prepare != NULL)
        prepare();
    memset(&game, 0, sizeof(game));
    game.script = script;
    game.context = (struct context){
        .loop = loop,
        .store = fake_store(),
        .auth = auth_new(fake_store()),
        .settings = &play_settings,
    };
    context_set_self(&game.context);
    if (fiber_spawn(loop, "client", run, NULL) != OK)
        abort();
    loop_run(loop);
    auth_free(&game.context.auth);
    loop_free(&loop);
    fake_store_free();
    play_settings = default_settings;
}

void three_messages(void)
{
    for (int i = 0; i < 3; i++)
        fake_deliver("INBOX", small_message);
}

void play(const char *script)
{
    play_prepared(NULL, script);
}
