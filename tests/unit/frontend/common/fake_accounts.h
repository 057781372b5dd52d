/* SPDX-License-Identifier: Apache-2.0 */
/* What auth asks of lib/store, for tests: a handful of accounts. Linked in place of lib/store's.
 *   alice   SCRAM keys of "secret"       bob    a crypt hash of "hush"
 *   mallory as alice, but suspended      list   an alias       busy   the store is unavailable */
#ifndef TESTS_UNIT_FRONTEND_COMMON_FAKE_ACCOUNTS_H
#define TESTS_UNIT_FRONTEND_COMMON_FAKE_ACCOUNTS_H

#include <stdint.h>

/* Alice's password from now on; the credential's version rises. */
void fake_accounts_set_password(const char *password);
/* Only the version rises: whoever was remembered must be checked anew. */
void fake_accounts_raise_version(void);

#endif
