/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/mail/credential.h"

#include <argon2.h>
#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <uninorm.h>
#include <unistr.h>

#include "lib/base/alloc.h"

/* RFC 4013 2.1: non-ASCII spaces (RFC 3454 C.1.2) become a space ... */
static bool is_odd_space(ucs4_t c)
{
    return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200b) || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

/* ... and what is commonly mapped to nothing (B.1) goes. */
static bool is_ignorable(ucs4_t c)
{
    return c == 0xad || c == 0x34f || c == 0x1806 || (c >= 0x180b && c <= 0x180d) || c == 0x200c ||
           c == 0x200d || c == 0x2060 || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff;
}

/* The mapping, never longer than its source; false if the source is not UTF-8. */
static bool map_characters(struct slice password, uint8_t *out, size_t *len_out)
{
    size_t len = 0;
    for (size_t at = 0; at < password.len;) {
        ucs4_t c;
        int size = u8_mbtoucr(&c, password.data + at, password.len - at);
        if (size < 0)
            return false;
        if (is_odd_space(c)) {
            out[len++] = ' ';
        } else if (!is_ignorable(c)) {
            memcpy(out + len, password.data + at, (size_t)size);
            len += (size_t)size;
        }
        at += (size_t)size;
    }
    *len_out = len;
    return true;
}

/* SASLprep (RFC 4013) without its prohibitions: mapping and NFKC, what clients do before they make their
 * keys. A password that is not valid UTF-8 stays as it is. */
static struct slice prepare(struct slice password, uint8_t **owned_out)
{
    size_t mapped_len = 0, len = 0;
    uint8_t *mapped = xmalloc(password.len + 1);
    bool valid = map_characters(password, mapped, &mapped_len);
    *owned_out = valid ? u8_normalize(UNINORM_NFKC, mapped, mapped_len, NULL, &len) : NULL;
    OPENSSL_cleanse(mapped, password.len + 1);
    free(mapped);
    return *owned_out == NULL ? password : slice_of(*owned_out, len);
}

static void discard(uint8_t *owned, size_t len)
{
    if (owned != NULL) {
        OPENSSL_cleanse(owned, len);
        free(owned);
    }
}

static bool hmac(const uint8_t *key, const char *text, uint8_t out[static CREDENTIAL_KEY_SIZE])
{
    unsigned len = 0;
    return HMAC(EVP_sha256(), key, CREDENTIAL_KEY_SIZE, (const uint8_t *)text, strlen(text), out, &len) !=
           NULL;
}

enum err scram_make_keys(struct slice password, struct slice salt, uint32_t iterations,
                         struct scram_keys *out)
{
    if (password.len == 0 || password.len > CREDENTIAL_PASSWORD_MAX || salt.len == 0 ||
        salt.len > CREDENTIAL_SALT_MAX || iterations == 0 || iterations > CREDENTIAL_ITERATIONS_MAX)
        return ERR_INVALID;
    uint8_t salted[CREDENTIAL_KEY_SIZE], client_key[CREDENTIAL_KEY_SIZE];
    uint8_t *owned;
    struct slice prepared = prepare(password, &owned);
    if (prepared.len == 0) { /* of nothing but characters that are mapped to nothing */
        discard(owned, 0);
        return ERR_INVALID;
    }
    bool ok = PKCS5_PBKDF2_HMAC((const char *)prepared.data, (int)prepared.len, salt.data, (int)salt.len,
                                (int)iterations, EVP_sha256(), sizeof salted, salted) == 1;
    ok = ok && hmac(salted, "Client Key", client_key) && hmac(salted, "Server Key", out->server_key);
    ok = ok && SHA256(client_key, sizeof client_key, out->stored_key) != NULL;
    OPENSSL_cleanse(salted, sizeof salted);
    OPENSSL_cleanse(client_key, sizeof client_key);
    discard(owned, prepared.len);
    return ok ? OK : ERR_INTERNAL;
}

bool scram_verify_password(struct slice password, struct slice salt, uint32_t iterations,
                           struct slice stored_key)
{
    struct scram_keys keys;
    if (stored_key.len != CREDENTIAL_KEY_SIZE || scram_make_keys(password, salt, iterations, &keys) != OK)
        return false;
    return CRYPTO_memcmp(keys.stored_key, stored_key.data, CREDENTIAL_KEY_SIZE) == 0;
}

static bool is_argon2(struct slice hash, argon2_type *type_out)
{
    *type_out = slice_starts(hash, SLICE_LIT("$argon2id$")) ? Argon2_id : Argon2_i;
    return *type_out == Argon2_id || slice_starts(hash, SLICE_LIT("$argon2i$"));
}

static bool crypt_verify(const char *password, const char *hash)
{
    struct crypt_data *data = NEW(struct crypt_data);
    const char *made = crypt_r(password, hash, data);
    /* A failure token starts with '*'; it must not equal a stored one. */
    bool ok = made != NULL && made[0] != '*' && strlen(made) == strlen(hash) &&
              CRYPTO_memcmp(made, hash, strlen(hash)) == 0;
    OPENSSL_cleanse(data, sizeof *data);
    free(data);
    return ok;
}

bool hash_verify_password(struct slice password, struct slice hash)
{
    if (password.len == 0 || password.len > CREDENTIAL_PASSWORD_MAX || hash.len == 0 ||
        hash.len > CREDENTIAL_HASH_MAX || slice_find(password, '\0') >= 0)
        return false;
    argon2_type type;
    char *hash_text = slice_dup(hash);
    char *password_text = slice_dup(password);
    bool ok = is_argon2(hash, &type)
                  ? argon2_verify(hash_text, password.data, password.len, type) == ARGON2_OK
                  : crypt_verify(password_text, hash_text);
    OPENSSL_cleanse(password_text, password.len);
    free(password_text);
    free(hash_text);
    return ok;
}

bool hash_is_supported(struct slice hash)
{
    argon2_type type;
    if (hash.len == 0 || hash.len > CREDENTIAL_HASH_MAX)
        return false;
    if (is_argon2(hash, &type))
        return true;
    char *text = slice_dup(hash);
    int known = crypt_checksalt(text);
    free(text);
    return known == CRYPT_SALT_OK || known == CRYPT_SALT_METHOD_LEGACY || known == CRYPT_SALT_TOO_CHEAP;
}
