/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords and SASL exchanges; GNU SASL's own client is the other side of SCRAM. */
#include <gsasl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/common/auth.h"
#include "lib/base/base64.h"
#include "tests/unit/frontend/common/fake_accounts.h"
#include "tests/unit/lib/rpc/run_fiber.h"

static struct loop *loop;
static struct auth *auth;
static struct arena arena;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(loop_new(&loop), OK);
    auth = auth_new(NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    auth_free(&auth);
    auth_free(&auth);
    loop_free(&loop);
    arena_fini(&arena);
    return 0;
}

/* ---- plain passwords */

static enum err try_password(const char *user, const char *password, uint64_t *took_ms_out)
{
    struct account account;
    uint64_t start_ms = loop_now_ms();
    enum err err = auth_password(auth, slice_str(user), slice_str(password), &arena, &account);
    if (err == OK)
        assert_true(account.ref.id != 0);
    if (took_ms_out != NULL)
        *took_ms_out = loop_now_ms() - start_ms;
    return err;
}

enum { TRIES_MAX = 5 };

/* Without the delay of a failure, which would be there each time; a busy machine is not. */
static void expect_at_once(const char *user, enum err want)
{
    uint64_t took_ms = AUTH_FAIL_DELAY_MS;
    for (int i = 0; i < TRIES_MAX && took_ms >= AUTH_FAIL_DELAY_MS; i++)
        assert_int_equal(try_password(user, "secret", &took_ms), want);
    assert_true(took_ms < AUTH_FAIL_DELAY_MS);
}

static void passwords(void)
{
    uint64_t took_ms;
    expect_at_once("alice@example.test", OK);
    assert_int_equal(try_password("ALICE@Example.Test", "secret", NULL), OK);
    assert_int_equal(try_password("bob@example.test", "hush", NULL), OK);
    /* Right or wrong name: the same answer, and not at once. */
    static const char *const wrong[][2] = {
        { "alice@example.test", "Secret" },     { "nobody@example.test", "secret" }, { "alice", "secret" },
        { "alice+tag@example.test", "secret" }, { "list@example.test", "secret" },   { "", "" },
        { "bob@example.test", "hus" },
    };
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(try_password(wrong[i][0], wrong[i][1], &took_ms), ERR_AUTH);
        assert_true(took_ms >= AUTH_FAIL_DELAY_MS);
    }
    for (size_t i = 3; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(try_password(wrong[i][0], wrong[i][1], NULL), ERR_AUTH);
    assert_int_equal(try_password("mallory@example.test", "secret", NULL), ERR_SUSPENDED);
    assert_int_equal(try_password("mallory@example.test", "wrong", NULL),
                     ERR_AUTH); /* only the owner hears it */
    expect_at_once("busy@example.test", ERR_UNAVAILABLE);
}

static void passwords_are_checked(void **state)
{
    (void)state;
    run_fiber(loop, passwords);
}

static void remembered(void)
{
    assert_int_equal(try_password("alice@example.test", "secret", NULL), OK);
    assert_int_equal(try_password("alice@example.test", "secret", NULL), OK);
    fake_accounts_set_password("other");
    assert_int_equal(try_password("alice@example.test", "secret", NULL), ERR_AUTH);
    assert_int_equal(try_password("alice@example.test", "other", NULL), OK);
    fake_accounts_raise_version();
    assert_int_equal(try_password("alice@example.test", "other", NULL), OK);
    assert_int_equal(try_password("alice@example.test", "othe", NULL), ERR_AUTH);
    fake_accounts_set_password("secret");
}

static void what_is_remembered_ends_with_the_credential(void **state)
{
    (void)state;
    run_fiber(loop, remembered);
}

/* ---- PLAIN and LOGIN */

/* Run a one-message exchange. */
static enum err plain(const char *message, size_t len)
{
    struct auth_sasl *sasl;
    struct buf challenge = { 0 };
    bool done;
    assert_int_equal(auth_sasl_start(auth, SLICE_LIT("plain"), true, &sasl), OK);
    enum err err = auth_sasl_step(sasl, slice_of(message, len), true, &challenge, &done);
    assert_int_equal(done, err == OK);
    if (err == OK) {
        struct account account;
        auth_sasl_account(sasl, &arena, &account);
        auth_sasl_free(&sasl);
        assert_true(slice_eq_str(account.address, "alice@example.test"));
    }
    auth_sasl_free(&sasl);
    buf_fini(&challenge);
    return err;
}

#define PLAIN(text) plain(text, sizeof(text) - 1)

static void plain_messages(void)
{
    assert_int_equal(PLAIN("\0alice@example.test\0secret"), OK);
    assert_int_equal(PLAIN("alice@example.test\0alice@example.test\0secret"), OK);
    assert_int_equal(PLAIN("bob@example.test\0alice@example.test\0secret"), ERR_AUTH);
    assert_int_equal(PLAIN("\0alice@example.test\0wrong"), ERR_AUTH);
    assert_int_equal(PLAIN("\0nobody@example.test\0secret"), ERR_AUTH);
    assert_int_equal(PLAIN("\0mallory@example.test\0secret"), ERR_SUSPENDED);
    assert_int_equal(PLAIN("\0busy@example.test\0secret"), ERR_UNAVAILABLE);
    assert_int_equal(PLAIN("rubbish"), ERR_SYNTAX);
    static char large[AUTH_RESPONSE_MAX + 1];
    assert_int_equal(plain(large, sizeof large), ERR_SYNTAX);
}

static void plain_exchanges(void **state)
{
    (void)state;
    run_fiber(loop, plain_messages);
}

struct script {
    const char *lines[4];
    size_t at, asked;
    char challenges[4][64];
};

static enum err ask(void *arg, const char *challenge, struct slice *line_out)
{
    struct script *s = arg;
    snprintf(s->challenges[s->asked++ % 4], sizeof s->challenges[0], "%s", challenge);
    if (s->lines[s->at] == NULL)
        return ERR_CLOSED;
    *line_out = slice_str(s->lines[s->at++]);
    return OK;
}

static enum err run_login(const char *initial, struct script *script)
{
    struct auth_sasl *sasl;
    assert_int_equal(auth_sasl_start(auth, SLICE_LIT("LOGIN"), true, &sasl), OK);
    enum err err = auth_sasl_run(sasl, slice_str(initial), ask, script);
    auth_sasl_free(&sasl);
    return err;
}

#define ALICE64  "YWxpY2VAZXhhbXBsZS50ZXN0"
#define SECRET64 "c2VjcmV0"

static void logins(void)
{
    struct script two = { .lines = { ALICE64, SECRET64 } };
    assert_int_equal(run_login("", &two), OK);
    assert_string_equal(two.challenges[0], "VXNlciBOYW1l");
    assert_string_equal(two.challenges[1], "UGFzc3dvcmQ=");
    struct script one = { .lines = { SECRET64 } };
    assert_int_equal(run_login(ALICE64, &one), OK);
    assert_int_equal(one.asked, 1);
    struct script wrong = { .lines = { ALICE64, ALICE64 } };
    assert_int_equal(run_login("", &wrong), ERR_AUTH);
    struct script cancelled = { .lines = { ALICE64, "*" } };
    assert_int_equal(run_login("", &cancelled), ERR_CANCELLED);
    struct script gone = { .lines = { ALICE64 } };
    assert_int_equal(run_login("", &gone), ERR_CLOSED);
    struct script rubbish = { .lines = { "a" } };
    assert_int_equal(run_login("", &rubbish), ERR_SYNTAX);
    assert_int_equal(run_login("a===", &rubbish), ERR_SYNTAX);
}

static void login_exchanges(void **state)
{
    (void)state;
    run_fiber(loop, logins);
}

/* ---- SCRAM-SHA-256 */

/* The server's first message for a name: "r=...,s=SALT,i=COUNT". */
static enum err scram(const char *user, const char *authzid, const char *password, char *first_out)
{
    Gsasl *gsasl;
    Gsasl_session *client;
    struct auth_sasl *sasl;
    struct buf challenge = { 0 };
    bool done = false;
    enum err err = OK;
    assert_int_equal(gsasl_init(&gsasl), GSASL_OK);
    assert_int_equal(gsasl_client_start(gsasl, "SCRAM-SHA-256", &client), GSASL_OK);
    gsasl_property_set(client, GSASL_AUTHID, user);
    gsasl_property_set(client, GSASL_PASSWORD, password);
    if (authzid != NULL)
        gsasl_property_set(client, GSASL_AUTHZID, authzid);
    assert_int_equal(auth_sasl_start(auth, SLICE_LIT("SCRAM-SHA-256"), false, &sasl), OK);
    for (int i = 0; err == OK && !done; i++) {
        char *out = NULL;
        size_t len = 0;
        int rc = gsasl_step(client, (const char *)challenge.data, challenge.len, &out, &len);
        assert_true(rc == GSASL_OK || rc == GSASL_NEEDS_MORE);
        err = auth_sasl_step(sasl, slice_of(out, len), true, &challenge, &done);
        gsasl_free(out);
        if (i == 0 && err == OK && first_out != NULL)
            snprintf(first_out, 256, "%.*s", SLICE_FMT(buf_slice(&challenge)));
    }
    if (err == OK) { /* the server proves itself too */
        char *out = NULL;
        size_t len = 0;
        assert_int_equal(gsasl_step(client, (const char *)challenge.data, challenge.len, &out, &len),
                         GSASL_OK);
        gsasl_free(out);
    }
    gsasl_finish(client);
    gsasl_done(gsasl);
    auth_sasl_free(&sasl);
    buf_fini(&challenge);
    return err;
}

static const char *behind_nonce(const char *first)
{
    const char *salt = strstr(first, ",s=");
    assert_non_null(salt);
    return salt;
}

static void scrams(void)
{
    char real[256], fake[256], again[256], other[256];
    assert_int_equal(scram("alice@example.test", NULL, "secret", real), OK);
    assert_int_equal(scram("alice@example.test", "alice@example.test", "secret", NULL), OK);
    assert_int_equal(scram("alice@example.test", "bob@example.test", "secret", NULL), ERR_AUTH);
    assert_int_equal(scram("alice@example.test", NULL, "wrong", NULL), ERR_AUTH);
    assert_int_equal(scram("mallory@example.test", NULL, "secret", NULL), ERR_SUSPENDED);
    assert_int_equal(scram("busy@example.test", NULL, "secret", NULL), ERR_UNAVAILABLE);
    assert_int_equal(scram("bob@example.test", NULL, "hush", NULL), ERR_AUTH); /* no keys, only a hash */
    /* A name that does not exist looks like one that does, at this process and at any other. */
    assert_int_equal(scram("nobody@example.test", NULL, "secret", fake), ERR_AUTH);
    auth_free(&auth);
    auth = auth_new(NULL);
    assert_int_equal(scram("nobody@example.test", NULL, "secret", again), ERR_AUTH);
    assert_int_equal(scram("nobody2@example.test", NULL, "secret", other), ERR_AUTH);
    assert_string_equal(behind_nonce(fake), behind_nonce(again));
    assert_string_not_equal(behind_nonce(fake), behind_nonce(other));
    assert_int_equal(strlen(behind_nonce(fake)), strlen(behind_nonce(real)));
    assert_string_equal(strstr(fake, ",i="), strstr(real, ",i="));
}

static void scram_exchanges(void **state)
{
    (void)state;
    run_fiber(loop, scrams);
}

static void mechanisms(void **state)
{
    (void)state;
    struct auth_sasl *sasl;
    assert_string_equal(auth_mechanisms(true)[0], "SCRAM-SHA-256");
    assert_string_equal(auth_mechanisms(true)[1], "PLAIN");
    assert_null(auth_mechanisms(false)[1]);
    assert_int_equal(auth_sasl_start(auth, SLICE_LIT("PLAIN"), false, &sasl), ERR_UNSUPPORTED);
    assert_int_equal(auth_sasl_start(auth, SLICE_LIT("CRAM-MD5"), true, &sasl), ERR_UNSUPPORTED);
    assert_int_equal(auth_sasl_start(auth, SLICE_NULL, true, &sasl), ERR_UNSUPPORTED);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(passwords_are_checked), TEST(what_is_remembered_ends_with_the_credential),
        TEST(plain_exchanges),       TEST(login_exchanges),
        TEST(scram_exchanges),       TEST(mechanisms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
