/* SPDX-License-Identifier: Apache-2.0 */
/* What addresses of recipients stood for when they were asked for last. Used only while an address's
 * partition does not answer: mail for it can then be taken into the queue. Whoever is gone by the time it is
 * delivered makes that delivery fail, visibly. One a loop; bounded. */
#ifndef FRONTEND_SMTP_KNOWN_H
#define FRONTEND_SMTP_KNOWN_H

#include "lib/store/account.h"

enum {
    KNOWN_ADDRESSES_MAX = 10000, /* the longest unused go */
    KNOWN_ACCOUNTS_MAX = 20,     /* of one address; larger aliases are not kept */
    KNOWN_AGE_MAX_MS = 24 * 3600 * 1000,
};

struct known;

struct known *known_new(void);
void known_free(struct known **known);

/* The address stood for these a moment ago. */
void known_learn(struct known *k, struct slice address, const struct store_targets *targets, uint64_t now_ms);
/* It stands for nobody. */
void known_forget(struct known *k, struct slice address);
/* What it stood for, in the arena: only accounts' refs, no more is known. False if that is not known, or too
 * old. */
bool known_find(const struct known *k, struct slice address, uint64_t now_ms, struct arena *arena,
                struct store_targets *out);

#endif
