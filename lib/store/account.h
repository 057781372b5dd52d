/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, accounts and aliases. See store.h for what every call may return. */
#ifndef LIB_STORE_ACCOUNT_H
#define LIB_STORE_ACCOUNT_H

#include "lib/store/store.h"

enum credential_scheme {
    CREDENTIAL_NONE = 0,
    CREDENTIAL_SCRAM_SHA_256 = 1,
    CREDENTIAL_CRYPT = 2,
    CREDENTIAL_ARGON2 = 3
};

/* As stored: never a password. */
struct account_credential {
    enum credential_scheme scheme;
    struct slice salt, stored_key, server_key; /* SCRAM */
    uint32_t iterations;                       /* SCRAM */
    struct slice hash;                         /* crypt, argon2: the encoded text */
    uint64_t version;                          /* changes with every change of the credential */
};

struct account {
    struct account_ref ref;
    struct slice address; /* canonical */
    struct account_credential credential;
    uint64_t quota_bytes; /* 0: unlimited */
    uint64_t used_bytes;
    uint64_t message_count;
    uint64_t created_ms;
    bool suspended;
};

struct address_row {
    struct slice address;
    struct account *account; /* NULL: an alias ... */
    struct slice *targets;   /* ... for these addresses */
    size_t target_count;
};

/* What an address (canonical) stands for. ERR_NOT_FOUND: nobody; ERR_NO_DOMAIN: its domain is not local. */
MUST_CHECK enum err store_address_lookup(struct store *store, struct slice address, struct arena *arena,
                                         struct address_row *out);

/* The accounts that mail for an address reaches, through aliases (bounded depth and count, duplicates
 * removed), and the remote addresses an alias names. ERR_NOT_FOUND, ERR_NO_DOMAIN, ERR_LIMIT (a loop or too
 * many). `wait_ms` is how long to go on trying for one address; 0: STORE_DEADLINE_MS. */
struct store_targets {
    struct account *accounts;
    size_t account_count;
    struct slice *remote;
    size_t remote_count;
};
enum { STORE_ALIAS_DEPTH_MAX = 10, STORE_ALIAS_TARGETS_MAX = 1000 };
MUST_CHECK enum err store_address_resolve(struct store *store, struct slice address, uint32_t wait_ms,
                                          struct arena *arena, struct store_targets *out);

/* ERR_EXISTS, ERR_NO_DOMAIN. */
MUST_CHECK enum err store_account_create(struct store *store, struct slice address,
                                         const struct account_credential *credential, uint64_t quota_bytes,
                                         struct arena *arena, struct account *out);
/* What is NULL stays. ERR_NOT_FOUND. */
struct account_update {
    const struct account_credential *credential;
    const uint64_t *quota_bytes;
    const bool *suspended;
};
MUST_CHECK enum err store_account_update(struct store *store, struct slice address,
                                         const struct account_update *update, struct arena *arena,
                                         struct account *out);
MUST_CHECK enum err store_account_delete(struct store *store, struct slice address);
/* ERR_EXISTS if an account has the address. Replaces an alias. */
MUST_CHECK enum err store_alias_put(struct store *store, struct slice address, const struct slice *targets,
                                    size_t count);
MUST_CHECK enum err store_alias_delete(struct store *store, struct slice address);
/* One page of one partition's addresses behind `after` (empty: from the start). `domain` empty: all. */
MUST_CHECK enum err store_address_list(struct store *store, uint32_t partition, struct slice after,
                                       struct slice domain, uint32_t limit, struct arena *arena,
                                       struct address_row **rows_out, size_t *count_out, bool *more_out);

#endif
