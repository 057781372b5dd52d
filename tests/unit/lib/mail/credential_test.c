/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "lib/mail/credential.h"

/* RFC 7677 section 3: user "user", password "pencil". */
#define SALT "W22ZaJ0SNY7soEsUEjb6gQ=="
#define AUTH_MESSAGE                                                                             \
    "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=" SALT \
    ",i=4096,c=biws,"                                                                            \
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define CLIENT_PROOF     "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define SERVER_SIGNATURE "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
enum { ITERATIONS = 4096 };

static void decode(const char *base64, uint8_t *out, size_t len)
{
    uint8_t bytes[64];
    assert_true(EVP_DecodeBlock(bytes, (const uint8_t *)base64, (int)strlen(base64)) >= (int)len);
    memcpy(out, bytes, len);
}

static struct slice rfc_salt(void)
{
    static uint8_t salt[16];
    decode(SALT, salt, sizeof salt);
    return slice_of(salt, sizeof salt);
}

static void sign(const uint8_t *key, uint8_t *out)
{
    unsigned len = CREDENTIAL_KEY_SIZE;
    assert_non_null(HMAC(EVP_sha256(), key, CREDENTIAL_KEY_SIZE, (const uint8_t *)AUTH_MESSAGE,
                         strlen(AUTH_MESSAGE), out, &len));
}

static void test_rfc_7677(void **state)
{
    struct scram_keys keys;
    uint8_t signature[CREDENTIAL_KEY_SIZE], wanted[CREDENTIAL_KEY_SIZE], client_key[CREDENTIAL_KEY_SIZE];
    assert_int_equal(scram_make_keys(SLICE_LIT("pencil"), rfc_salt(), ITERATIONS, &keys), OK);
    sign(keys.server_key, signature);
    decode(SERVER_SIGNATURE, wanted, sizeof wanted);
    assert_memory_equal(signature, wanted, sizeof wanted);
    /* the client's key is its proof without the signature, and its hash is what is stored */
    sign(keys.stored_key, signature);
    decode(CLIENT_PROOF, client_key, sizeof client_key);
    for (size_t i = 0; i < sizeof client_key; i++)
        client_key[i] ^= signature[i];
    unsigned len;
    assert_true(EVP_Digest(client_key, sizeof client_key, wanted, &len, EVP_sha256(), NULL));
    assert_memory_equal(wanted, keys.stored_key, sizeof wanted);
}

static bool verify(const char *password, const struct scram_keys *keys)
{
    return scram_verify_password(slice_str(password), rfc_salt(), ITERATIONS,
                                 slice_of(keys->stored_key, sizeof keys->stored_key));
}

static void test_verify(void **state)
{
    struct scram_keys keys;
    assert_int_equal(scram_make_keys(SLICE_LIT("pencil"), rfc_salt(), ITERATIONS, &keys), OK);
    assert_true(verify("pencil", &keys));
    assert_false(verify("pencil ", &keys));
    assert_false(verify("Pencil", &keys));
    assert_false(verify("", &keys));
    assert_false(
        scram_verify_password(SLICE_LIT("pencil"), rfc_salt(), ITERATIONS, slice_of(keys.stored_key, 31)));
}

/* SASLprep: a soft hyphen goes, a no-break space becomes a space (RFC 4013 section 3). */
static void test_prepared(void **state)
{
    struct scram_keys keys;
    assert_int_equal(scram_make_keys(SLICE_LIT("I\xc2\xadX p"), rfc_salt(), ITERATIONS, &keys), OK);
    assert_true(verify("IX p", &keys));
    assert_true(verify("IX\xc2\xa0p", &keys));
    assert_int_equal(scram_make_keys(SLICE_LIT("\xc2\xad"), rfc_salt(), ITERATIONS, &keys),
                     ERR_INVALID); /* nothing is left */
    assert_int_equal(scram_make_keys(SLICE_LIT("\xff\xfe"), rfc_salt(), ITERATIONS, &keys),
                     OK); /* no form: as it is */
    assert_true(verify("\xff\xfe", &keys));
}

static void test_bounds(void **state)
{
    struct scram_keys keys;
    static char big[CREDENTIAL_PASSWORD_MAX + 1];
    memset(big, 'x', sizeof big);
    assert_int_equal(scram_make_keys(SLICE_NULL, rfc_salt(), ITERATIONS, &keys), ERR_INVALID);
    assert_int_equal(scram_make_keys(slice_of(big, sizeof big), rfc_salt(), ITERATIONS, &keys), ERR_INVALID);
    assert_int_equal(scram_make_keys(slice_of(big, sizeof big - 1), rfc_salt(), ITERATIONS, &keys), OK);
    assert_int_equal(scram_make_keys(SLICE_LIT("x"), SLICE_NULL, ITERATIONS, &keys), ERR_INVALID);
    assert_int_equal(
        scram_make_keys(SLICE_LIT("x"), slice_of(big, CREDENTIAL_SALT_MAX + 1), ITERATIONS, &keys),
        ERR_INVALID);
    assert_int_equal(scram_make_keys(SLICE_LIT("x"), rfc_salt(), 0, &keys), ERR_INVALID);
    assert_int_equal(scram_make_keys(SLICE_LIT("x"), rfc_salt(), CREDENTIAL_ITERATIONS_MAX + 1, &keys),
                     ERR_INVALID);
}

static void test_hashes(void **state)
{
    static const struct {
        const char *hash, *password;
    } rows[] = {
        /* Drepper's SHA-crypt specification; crypt_blowfish's and the Argon2 reference's own test vectors */
        { "$6$saltstring$"
          "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
          "Hello world!" },
        { "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "Hello world!" },
        { "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U" },
        { "$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
          "password" },
        { "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
          "password" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct slice hash = slice_str(rows[i].hash);
        assert_true(hash_is_supported(hash));
        if (!hash_verify_password(slice_str(rows[i].password), hash))
            fail_msg("not verified: %s", rows[i].hash);
        assert_false(hash_verify_password(SLICE_LIT("wrong"), hash));
        assert_false(hash_verify_password(SLICE_NULL, hash));
        for (size_t len = 0; len < hash.len; len += 7) /* cut hashes verify nothing */
            assert_false(hash_verify_password(slice_str(rows[i].password), slice_sub(hash, 0, len)));
    }
    assert_false(hash_is_supported(SLICE_LIT("")));
    assert_false(hash_is_supported(SLICE_LIT("plain text")));
    assert_false(hash_is_supported(SLICE_LIT("$unknown$x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_7677), cmocka_unit_test(test_verify), cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_bounds),   cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
