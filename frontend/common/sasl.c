/* SPDX-License-Identifier: Apache-2.0 */
/* SASL exchanges through GNU SASL, which owns the mechanisms' syntax and cryptography. Its callback asks for
 * what it needs in the middle of a step; that may look the account up and so yield, which is fine: a step is
 * straight-line code on the session's own fiber. */
#include <stdlib.h>
#include <string.h>

#include "frontend/common/auth_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/base64.h"
#include "lib/base/log.h"
#include "lib/fiber/loop.h"
#include "lib/mail/credential.h"

struct auth_sasl {
    struct auth *auth;
    Gsasl_session *session;
    struct arena arena;
    struct account account;
    bool is_login, begun;
    bool found;   /* `account` is the one that was named */
    enum err err; /* why the callback refused */
};

static const char *const every_mechanism[] = { "SCRAM-SHA-256", "PLAIN", "LOGIN", NULL };
static const char *const safe_mechanisms[] = { "SCRAM-SHA-256", NULL };

const char *const *auth_mechanisms(bool allow_plain)
{
    return allow_plain ? every_mechanism : safe_mechanisms;
}

/* ---- what GNU SASL asks */

static void set_base64(Gsasl_session *session, Gsasl_property property, struct slice bytes)
{
    char *text = NULL;
    size_t len = 0;
    if (gsasl_base64_to((const char *)bytes.data, bytes.len, &text, &len) == GSASL_OK) {
        gsasl_property_set(session, property, text);
        gsasl_free(text);
    }
}

/* A name that does not exist, or has no SCRAM keys, gets a salt that is always the same, so that it cannot be
 * told from one that exists. */
static void set_fake_keys(struct auth_sasl *sasl, const char *user)
{
    uint8_t salt[AUTH_MAC_SIZE], key[AUTH_MAC_SIZE];
    char iterations[16];
    auth_fake(sasl->auth, "salt", slice_str(user), salt);
    auth_fake(sasl->auth, "key", slice_str(user), key);
    set_base64(sasl->session, GSASL_SCRAM_SALT, slice_of(salt, CREDENTIAL_SALT_SIZE));
    set_base64(sasl->session, GSASL_SCRAM_STOREDKEY, slice_of(key, sizeof key));
    set_base64(sasl->session, GSASL_SCRAM_SERVERKEY, slice_of(key, sizeof key));
    snprintf(iterations, sizeof iterations, "%d", CREDENTIAL_ITERATIONS_DEFAULT);
    gsasl_property_set(sasl->session, GSASL_SCRAM_ITER, iterations);
}

static int refuse(struct auth_sasl *sasl, enum err err)
{
    sasl->err = err;
    return GSASL_AUTHENTICATION_ERROR;
}

static bool asks_for_other(Gsasl_session *session, const char *user)
{
    const char *authzid = gsasl_property_fast(session, GSASL_AUTHZID);
    return authzid != NULL && authzid[0] != '\0' && strcmp(authzid, user) != 0;
}

/* SCRAM wants the keys of GSASL_AUTHID. */
static int give_keys(struct auth_sasl *sasl, Gsasl_session *session)
{
    const char *user = gsasl_property_fast(session, GSASL_AUTHID);
    char iterations[16];
    if (user == NULL)
        return refuse(sasl, ERR_AUTH);
    if (asks_for_other(session, user))
        return refuse(sasl, ERR_AUTH);
    enum err err = auth_find(sasl->auth, slice_str(user), &sasl->arena, &sasl->account);
    if (err != OK && err != ERR_AUTH)
        return refuse(sasl, err);
    const struct account_credential *c = &sasl->account.credential;
    sasl->found = err == OK && c->scheme == CREDENTIAL_SCRAM_SHA_256;
    if (!sasl->found) {
        set_fake_keys(sasl, user);
        return GSASL_OK;
    }
    snprintf(iterations, sizeof iterations, "%u", c->iterations);
    gsasl_property_set(session, GSASL_SCRAM_ITER, iterations);
    set_base64(session, GSASL_SCRAM_SALT, c->salt);
    set_base64(session, GSASL_SCRAM_STOREDKEY, c->stored_key);
    set_base64(session, GSASL_SCRAM_SERVERKEY, c->server_key);
    return GSASL_OK;
}

/* PLAIN and LOGIN want a yes or no. */
static int validate(struct auth_sasl *sasl, Gsasl_session *session)
{
    const char *user = gsasl_property_fast(session, GSASL_AUTHID);
    const char *password = gsasl_property_fast(session, GSASL_PASSWORD);
    if (user == NULL || password == NULL || asks_for_other(session, user))
        return refuse(sasl, ERR_AUTH);
    enum err err = auth_find(sasl->auth, slice_str(user), &sasl->arena, &sasl->account);
    if (err == OK)
        err = auth_check(sasl->auth, &sasl->account, slice_str(password));
    if (err != OK)
        return refuse(sasl, err);
    sasl->found = true;
    return GSASL_OK;
}

static int callback(Gsasl *gsasl, Gsasl_session *session, Gsasl_property property)
{
    struct auth_sasl *sasl = gsasl_session_hook_get(session);
    (void)gsasl;
    switch (property) {
    case GSASL_SCRAM_ITER:
        return give_keys(sasl, session);
    case GSASL_VALIDATE_SIMPLE:
        return validate(sasl, session);
    default:
        return GSASL_NO_CALLBACK; /* the others were set along with the first, or are not offered (channel
                                     binding) */
    }
}

/* ---- the exchange */

enum err auth_sasl_start(struct auth *auth, struct slice mechanism, bool allow_plain, struct auth_sasl **out)
{
    const char *const *known = auth_mechanisms(allow_plain);
    while (*known != NULL && !slice_eq_nocase_str(mechanism, *known))
        known++;
    if (*known == NULL)
        return ERR_UNSUPPORTED;
    struct auth_sasl *sasl = NEW(struct auth_sasl);
    sasl->auth = auth;
    gsasl_callback_set(auth->gsasl, callback);
    if (gsasl_server_start(auth->gsasl, *known, &sasl->session) != GSASL_OK) {
        free(sasl);
        return ERR_UNSUPPORTED;
    }
    gsasl_session_hook_set(sasl->session, sasl);
    sasl->is_login = slice_eq_nocase_str(mechanism, "LOGIN");
    *out = sasl;
    return OK;
}

static enum err step_error(struct auth_sasl *sasl, int rc)
{
    if (sasl->err != OK)
        return sasl->err;
    switch (rc) {
    case GSASL_MECHANISM_PARSE_ERROR:
    case GSASL_BASE64_ERROR:
    case GSASL_MECHANISM_CALLED_TOO_MANY_TIMES:
        return ERR_SYNTAX;
    case GSASL_MALLOC_ERROR:
    case GSASL_CRYPTO_ERROR:
        log_error("auth", "GNU SASL: %s", gsasl_strerror(rc));
        return ERR_INTERNAL;
    default:
        return ERR_AUTH;
    }
}

/* LOGIN begins with a prompt for the name, but many clients send the name as an initial response: then the
 * prompt is what GNU SASL has to get rid of first. */
static void skip_prompt(struct auth_sasl *sasl)
{
    char *prompt = NULL;
    size_t len = 0;
    if (gsasl_step(sasl->session, NULL, 0, &prompt, &len) == GSASL_NEEDS_MORE)
        gsasl_free(prompt);
}

enum err auth_sasl_step(struct auth_sasl *sasl, struct slice client, bool has_data, struct buf *challenge,
                        bool *done_out)
{
    uint64_t start_ms = loop_now_ms();
    char *output = NULL;
    size_t output_len = 0;
    *done_out = false;
    buf_clear(challenge);
    if (client.len > AUTH_RESPONSE_MAX)
        return ERR_SYNTAX;
    if (sasl->is_login && !sasl->begun && has_data)
        skip_prompt(sasl);
    sasl->begun = true;
    char *text = slice_dup(client); /* terminated: some mechanisms look for the NUL */
    int rc =
        gsasl_step(sasl->session, has_data ? text : NULL, has_data ? client.len : 0, &output, &output_len);
    free(text);
    if (rc == GSASL_OK || rc == GSASL_NEEDS_MORE) {
        buf_add(challenge, output, output_len);
        gsasl_free(output);
    }
    if (rc == GSASL_NEEDS_MORE)
        return OK;
    enum err err = rc == GSASL_OK ? (sasl->found ? OK : ERR_AUTH) : step_error(sasl, rc);
    if (err == OK && sasl->account.suspended)
        err = ERR_SUSPENDED;
    if (err == ERR_AUTH)
        auth_fail_delay(start_ms);
    *done_out = err == OK;
    return err;
}

/* Send a challenge, read the answer. */
static enum err ask_client(struct buf *challenge, struct buf *answer, auth_ask *ask, void *arg)
{
    struct buf encoded = { 0 };
    struct slice line;
    base64_encode(buf_slice(challenge), &encoded);
    enum err err = ask(arg, buf_cstr(&encoded), &line);
    buf_fini(&encoded);
    TRY(err);
    buf_clear(answer);
    return slice_eq_str(line, "*") ? ERR_CANCELLED : base64_decode(line, answer);
}

enum err auth_sasl_run(struct auth_sasl *sasl, struct slice initial, auth_ask *ask, void *arg)
{
    struct buf challenge = { 0 }, answer = { 0 };
    bool done = false, has_data = initial.len > 0;
    enum err err = OK;
    if (has_data && !slice_eq_str(initial, "="))
        err = base64_decode(initial, &answer);
    while (err == OK && !done) {
        err = auth_sasl_step(sasl, buf_slice(&answer), has_data, &challenge, &done);
        if (err == OK && (!done || challenge.len > 0))
            err = ask_client(&challenge, &answer, ask, arg);
        has_data = true;
    }
    buf_fini(&challenge);
    buf_fini(&answer);
    return err;
}

static struct slice copy(struct arena *arena, struct slice s)
{
    return arena_slice(arena, s);
}

void auth_sasl_account(const struct auth_sasl *sasl, struct arena *arena, struct account *out)
{
    *out = sasl->account;
    out->address = copy(arena, out->address);
    out->credential.salt = copy(arena, out->credential.salt);
    out->credential.stored_key = copy(arena, out->credential.stored_key);
    out->credential.server_key = copy(arena, out->credential.server_key);
    out->credential.hash = copy(arena, out->credential.hash);
}

void auth_sasl_free(struct auth_sasl **sasl)
{
    if (*sasl == NULL)
        return;
    gsasl_finish((*sasl)->session);
    arena_fini(&(*sasl)->arena);
    free(*sasl);
    *sasl = NULL;
}
