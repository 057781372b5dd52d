/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/common/fake_accounts.h"

#include <crypt.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/credential.h"
#include "lib/store/account.h"

static const char *password = "secret";
static uint64_t version = 1;

void fake_accounts_set_password(const char *text)
{
    password = text;
    version++;
}

void fake_accounts_raise_version(void)
{
    version++;
}

static struct slice keep(struct arena *arena, const void *bytes, size_t len)
{
    return slice_of(arena_memdup(arena, bytes, len), len);
}

static void set_scram(struct arena *arena, struct account *out)
{
    static const char salt[] = "0123456789abcdef";
    struct scram_keys keys;
    if (scram_make_keys(slice_str(password), slice_str(salt), CREDENTIAL_ITERATIONS_DEFAULT, &keys) != OK)
        abort();
    out->credential = (struct account_credential){
        .scheme = CREDENTIAL_SCRAM_SHA_256,
        .salt = slice_str(salt),
        .iterations = CREDENTIAL_ITERATIONS_DEFAULT,
        .stored_key = keep(arena, keys.stored_key, sizeof keys.stored_key),
        .server_key = keep(arena, keys.server_key, sizeof keys.server_key),
        .version = version,
    };
}

static void set_crypt(struct arena *arena, struct account *out)
{
    struct crypt_data *data = NEW(struct crypt_data);
    const char *hash = crypt_r("hush", "$6$rounds=1000$saltsalt$", data);
    out->credential = (struct account_credential){ .scheme = CREDENTIAL_CRYPT,
                                                   .hash = keep(arena, hash, strlen(hash)),
                                                   .version = 1 };
    free(data);
}

enum err store_address_lookup(struct store *store, struct slice address, struct arena *arena,
                              struct address_row *out)
{
    static const struct {
        const char *address;
        uint64_t id;
    } known[] = { { "alice@example.test", 1 }, { "bob@example.test", 2 }, { "mallory@example.test", 3 } };
    (void)store;
    *out = (struct address_row){ .address = address };
    if (slice_eq_str(address, "busy@example.test"))
        return ERR_UNAVAILABLE;
    if (slice_eq_str(address, "list@example.test"))
        return OK;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (!slice_eq_str(address, known[i].address))
            continue;
        out->account = ARENA_NEW(arena, struct account);
        out->account->ref.id = known[i].id;
        out->account->address = arena_slice(arena, address);
        out->account->suspended = known[i].id == 3;
        if (known[i].id == 2)
            set_crypt(arena, out->account);
        else
            set_scram(arena, out->account);
        return OK;
    }
    return ERR_NOT_FOUND;
}

struct slice store_cluster_id(const struct store *store)
{
    (void)store;
    return SLICE_LIT("the only one here");
}
