/* SPDX-License-Identifier: Apache-2.0 */
/* How an account proves itself: SCRAM-SHA-256 keys made from a password (RFC 5802, 7677), or an imported
 * crypt(3) or argon2 hash. The password itself is never kept. Pure but for the salt, which comes in as a
 * value; making and verifying cost milliseconds by design, so fibers run them through work_run. */
#ifndef LIB_MAIL_CREDENTIAL_H
#define LIB_MAIL_CREDENTIAL_H

#include <stdbool.h>

#include "lib/base/err.h"
#include "lib/base/slice.h"

enum {
    CREDENTIAL_KEY_SIZE = 32,
    CREDENTIAL_SALT_SIZE = 16,
    CREDENTIAL_SALT_MAX = 64,
    CREDENTIAL_ITERATIONS_DEFAULT = 4096, /* RFC 7677's least */
    CREDENTIAL_ITERATIONS_MAX = 1000000,
    CREDENTIAL_PASSWORD_MAX = 1024, /* octets */
    CREDENTIAL_HASH_MAX = 512,      /* octets of an imported hash */
};

struct scram_keys {
    uint8_t stored_key[CREDENTIAL_KEY_SIZE];
    uint8_t server_key[CREDENTIAL_KEY_SIZE];
};

/* The keys of a password (brought to its SASLprep form where it has one). ERR_INVALID for an empty or
 * overlong password or salt, or iterations out of 1..CREDENTIAL_ITERATIONS_MAX. */
MUST_CHECK enum err scram_make_keys(struct slice password, struct slice salt, uint32_t iterations,
                                    struct scram_keys *out);
/* Whether the password belongs to these keys; in constant time. */
bool scram_verify_password(struct slice password, struct slice salt, uint32_t iterations,
                           struct slice stored_key);

/* Whether the password belongs to an imported hash: "$argon2id$...", "$argon2i$...", or any scheme of
 * crypt(3) ("$6$", "$y$", "$2b$" ...). */
bool hash_verify_password(struct slice password, struct slice hash);
/* Whether this program can verify such a hash at all (so that an import can be refused). */
bool hash_is_supported(struct slice hash);

#endif
