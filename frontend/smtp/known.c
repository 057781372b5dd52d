/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/smtp/known.h"

#include <stdlib.h>
#include <uthash.h>

#include "lib/base/alloc.h"

struct known_address {
    UT_hash_handle hh;
    char *address; /* the key */
    uint64_t learned_ms;
    size_t account_count;
    struct account_ref accounts[];
};

struct known {
    struct known_address *addresses; /* the longest not learned first */
};

struct known *known_new(void)
{
    return NEW(struct known);
}

static void drop(struct known *k, struct known_address *a)
{
    HASH_DEL(k->addresses, a);
    free(a->address);
    free(a);
}

void known_free(struct known **known)
{
    struct known *k = *known;
    if (k == NULL)
        return;
    while (k->addresses != NULL)
        drop(k, k->addresses);
    free(k);
    *known = NULL;
}

static struct known_address *find(const struct known *k, struct slice address)
{
    struct known_address *found;
    HASH_FIND(hh, k->addresses, address.data, address.len, found);
    return found;
}

void known_forget(struct known *k, struct slice address)
{
    struct known_address *a = find(k, address);
    if (a != NULL)
        drop(k, a);
}

void known_learn(struct known *k, struct slice address, const struct store_targets *targets, uint64_t now_ms)
{
    known_forget(k, address);
    if (targets->account_count > KNOWN_ACCOUNTS_MAX || targets->remote_count > 0)
        return;
    if (HASH_COUNT(k->addresses) >= KNOWN_ADDRESSES_MAX)
        drop(k, k->addresses);
    size_t size = targets->account_count * sizeof(struct account_ref);
    struct known_address *a = xcalloc(1, sizeof *a + size);
    a->address = slice_dup(address);
    a->learned_ms = now_ms;
    a->account_count = targets->account_count;
    for (size_t i = 0; i < targets->account_count; i++)
        a->accounts[i] = targets->accounts[i].ref;
    HASH_ADD_KEYPTR(hh, k->addresses, a->address, address.len, a);
}

bool known_find(const struct known *k, struct slice address, uint64_t now_ms, struct arena *arena,
                struct store_targets *out)
{
    const struct known_address *a = find(k, address);
    if (a == NULL || now_ms > a->learned_ms + KNOWN_AGE_MAX_MS)
        return false;
    *out = (struct store_targets){ .account_count = a->account_count };
    out->accounts = ARENA_ARRAY(arena, struct account, a->account_count);
    for (size_t i = 0; i < a->account_count; i++)
        out->accounts[i].ref = a->accounts[i];
    return true;
}
