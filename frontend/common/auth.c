/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/common/auth.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <uthash.h>

#include "frontend/common/auth_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/work.h"
#include "lib/mail/address.h"
#include "lib/mail/credential.h"

/* A password that was right for a version of an account's credential, as a keyed hash. */
struct auth_success {
    UT_hash_handle hh;
    uint64_t account;
    uint64_t version;
    uint8_t mac[AUTH_MAC_SIZE];
};

struct auth *auth_new(struct store *store)
{
    struct auth *auth = NEW(struct auth);
    auth->store = store;
    rand_bytes(auth->key, sizeof auth->key);
    if (gsasl_init(&auth->gsasl) != GSASL_OK)
        log_fatal("auth", "cannot start GNU SASL");
    return auth;
}

void auth_free(struct auth **auth)
{
    struct auth_success *s, *next;
    if (*auth == NULL)
        return;
    HASH_ITER (hh, (*auth)->successes, s, next) {
        HASH_DEL((*auth)->successes, s);
        free(s);
    }
    gsasl_done((*auth)->gsasl);
    OPENSSL_cleanse((*auth)->key, sizeof(*auth)->key);
    free(*auth);
    *auth = NULL;
}

void auth_mac(const struct auth *auth, const void *a, size_t a_len, struct slice b,
              uint8_t out[static AUTH_MAC_SIZE])
{
    struct buf text = { 0 };
    unsigned len = 0;
    buf_add_varbytes(&text, slice_of(a, a_len));
    buf_add_slice(&text, b);
    HMAC(EVP_sha256(), auth->key, sizeof auth->key, text.data, text.len, out, &len);
    OPENSSL_cleanse(text.data, text.len);
    buf_fini(&text);
}

void auth_fake(const struct auth *auth, const char *what, struct slice user,
               uint8_t out[static AUTH_MAC_SIZE])
{
    struct slice cluster = store_cluster_id(auth->store);
    struct buf text = { 0 };
    unsigned len = 0;
    buf_add_varbytes(&text, slice_str(what));
    buf_add_slice(&text, user);
    HMAC(EVP_sha256(), cluster.data, (int)cluster.len, text.data, text.len, out, &len);
    buf_fini(&text);
}

/* ---- the cache of successes */

static void success_mac(const struct auth *auth, const struct account *account, struct slice password,
                        uint8_t out[static AUTH_MAC_SIZE])
{
    uint64_t bound_to[2] = { account->ref.id, account->credential.version };
    auth_mac(auth, bound_to, sizeof bound_to, password, out);
}

static bool is_remembered(struct auth *auth, const struct account *account,
                          const uint8_t mac[static AUTH_MAC_SIZE])
{
    struct auth_success *s;
    HASH_FIND(hh, auth->successes, &account->ref.id, sizeof account->ref.id, s);
    return s != NULL && s->version == account->credential.version &&
           CRYPTO_memcmp(s->mac, mac, AUTH_MAC_SIZE) == 0;
}

static void remember(struct auth *auth, const struct account *account,
                     const uint8_t mac[static AUTH_MAC_SIZE])
{
    struct auth_success *s;
    HASH_FIND(hh, auth->successes, &account->ref.id, sizeof account->ref.id, s);
    if (s == NULL) {
        if (HASH_COUNT(auth->successes) >= AUTH_CACHE_MAX) {
            struct auth_success *oldest = auth->successes;
            HASH_DEL(auth->successes, oldest);
            free(oldest);
        }
        s = NEW(struct auth_success);
        s->account = account->ref.id;
        HASH_ADD(hh, auth->successes, account, sizeof s->account, s);
    }
    s->version = account->credential.version;
    memcpy(s->mac, mac, AUTH_MAC_SIZE);
}

/* ---- verifying */

struct verify_job {
    const struct account_credential *credential;
    struct slice password;
    bool ok;
};

static void verify_job(void *arg)
{
    struct verify_job *job = arg;
    const struct account_credential *c = job->credential;
    switch (c->scheme) {
    case CREDENTIAL_SCRAM_SHA_256:
        job->ok = scram_verify_password(job->password, c->salt, c->iterations, c->stored_key);
        break;
    case CREDENTIAL_CRYPT:
    case CREDENTIAL_ARGON2:
        job->ok = hash_verify_password(job->password, c->hash);
        break;
    case CREDENTIAL_NONE:
        job->ok = false;
        break;
    }
}

enum err auth_check(struct auth *auth, const struct account *account, struct slice password)
{
    uint8_t mac[AUTH_MAC_SIZE];
    success_mac(auth, account, password, mac);
    if (is_remembered(auth, account, mac))
        return OK;
    struct verify_job job = { .credential = &account->credential, .password = password };
    TRY(work_run(verify_job, &job));
    if (!job.ok)
        return ERR_AUTH;
    remember(auth, account, mac);
    return OK;
}

enum err auth_find(struct auth *auth, struct slice user, struct arena *arena, struct account *out)
{
    struct address address;
    struct address_row row;
    if (address_parse(user, arena, &address) != OK || address.tag.data != NULL)
        return ERR_AUTH;
    enum err err = store_address_lookup(auth->store, address.canonical, arena, &row);
    if (err_class(err) == ERR_CLASS_CALLER || (err == OK && row.account == NULL))
        return ERR_AUTH;
    TRY(err);
    *out = *row.account;
    return OK;
}

void auth_fail_delay(uint64_t start_ms)
{
    uint64_t due_ms = start_ms + AUTH_FAIL_DELAY_MS;
    uint64_t now_ms = loop_now_ms();
    if (due_ms > now_ms)
        fiber_sleep_ms(due_ms - now_ms);
}

enum err auth_password(struct auth *auth, struct slice user, struct slice password, struct arena *arena,
                       struct account *out)
{
    uint64_t start_ms = loop_now_ms();
    if (password.len > CREDENTIAL_PASSWORD_MAX)
        password = SLICE_NULL;
    enum err err = auth_find(auth, user, arena, out);
    if (err == OK)
        err = auth_check(auth, out, password);
    if (err == OK && out->suspended)
        err = ERR_SUSPENDED;
    if (err == ERR_AUTH)
        auth_fail_delay(start_ms);
    return err;
}
