/* SPDX-License-Identifier: Apache-2.0 */
/* Inside frontend/common: what password checks and SASL exchanges share. */
#ifndef FRONTEND_COMMON_AUTH_PRIV_H
#define FRONTEND_COMMON_AUTH_PRIV_H

#include <gsasl.h>

#include "frontend/common/auth.h"

enum { AUTH_MAC_SIZE = 32 };

struct auth_success;

struct auth {
    struct store *store;
    Gsasl *gsasl;
    uint8_t key[AUTH_MAC_SIZE];     /* of this loop: makes the cache worthless elsewhere */
    struct auth_success *successes; /* by account, oldest first */
};

/* The account of a name as a user types it. ERR_AUTH if there is none, whatever the reason; the store's
 * temporary errors. Yields. */
MUST_CHECK enum err auth_find(struct auth *auth, struct slice user, struct arena *arena, struct account *out);
/* Verify without the delay of a failure. ERR_AUTH. Yields. */
MUST_CHECK enum err auth_check(struct auth *auth, const struct account *account, struct slice password);
/* Wait until a failure that began at start_ms may be answered. Yields. */
void auth_fail_delay(uint64_t start_ms);
/* Something in place of what a name that does not exist has not: the same at every front-end of the cluster,
 * for one name. */
void auth_fake(const struct auth *auth, const char *what, struct slice user,
               uint8_t out[static AUTH_MAC_SIZE]);
void auth_mac(const struct auth *auth, const void *a, size_t a_len, struct slice b,
              uint8_t out[static AUTH_MAC_SIZE]);

#endif
