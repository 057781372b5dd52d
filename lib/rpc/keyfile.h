/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of CURVE keys, as `ternctl keys` makes it and every program reads it: ROLE.key with the secret
 * keys of one role (mode 0600), and cluster.pub with the public keys of all roles, which is the allow-list.
 * libconfig syntax; keys in Z85 (ZeroMQ RFC 32), 40 characters.
 *
 * A role has a current key, and while it is being rotated a next or a previous one:
 *   current -> current + next -> current (was next) + previous -> current
 * A program speaks with the current key, and takes whoever has any of the three. It serves with all of its
 * own. So neighbouring steps fit each other, and files need not change everywhere at once. */
#ifndef LIB_RPC_KEYFILE_H
#define LIB_RPC_KEYFILE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/rpc/role.h"

enum {
    KEY_TEXT_SIZE = 41,  /* Z85 and NUL */
    KEY_PATH_MAX = 1024, /* bytes with the NUL */
};

enum key_age { KEY_CURRENT, KEY_NEXT, KEY_PREVIOUS, KEY_AGES };

/* "" stands for no key. */
struct key_pair {
    char public[KEY_TEXT_SIZE], secret[KEY_TEXT_SIZE];
};
struct role_keys {
    struct key_pair pairs[KEY_AGES];
};
/* By role; nothing at RPC_ROLE_NONE. */
struct public_keys {
    char keys[RPC_ROLE_COUNT][KEY_AGES][KEY_TEXT_SIZE];
};

/* "DIR/frontend.key", "DIR/cluster.pub". ERR_TOO_BIG beyond KEY_PATH_MAX. */
MUST_CHECK enum err keyfile_path(const char *folder, enum rpc_role role, char out[static KEY_PATH_MAX]);
MUST_CHECK enum err keyfile_public_path(const char *folder, char out[static KEY_PATH_MAX]);

/* Read and check: a current key is there, keys are keys, secret and public ones fit. ERR_NOT_FOUND or
 * ERR_INVALID, with a line a problem in `errors`. */
MUST_CHECK enum err keyfile_read(const char *folder, enum rpc_role role, struct role_keys *out,
                                 struct buf *errors);
MUST_CHECK enum err keyfile_read_public(const char *folder, struct public_keys *out, struct buf *errors);
/* The same from memory, `name` standing for the file. */
MUST_CHECK enum err keyfile_parse(const char *name, enum rpc_role role, struct slice text,
                                  struct role_keys *out, struct buf *errors);
MUST_CHECK enum err keyfile_parse_public(const char *name, struct slice text, struct public_keys *out,
                                         struct buf *errors);

/* Replace the file at once (rename), on stable storage. ERR_IO, errno says why. */
MUST_CHECK enum err keyfile_write(const char *folder, enum rpc_role role, const struct role_keys *keys);
MUST_CHECK enum err keyfile_write_public(const char *folder, const struct public_keys *keys);

/* A new pair, from the kernel's randomness. */
void key_pair_make(struct key_pair *out);

/* Whose key it is (any age); RPC_ROLE_NONE: nobody's. */
enum rpc_role public_keys_find(const struct public_keys *keys, const char *key);

#endif
