/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/store/message.h"
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"

enum { TOKEN_SIZE_MAX = 64 };

static enum err run_lock(struct store *store, struct account_ref account, struct slice token, bool release)
{
    Tern__LockRequest request = TERN__LOCK_REQUEST__INIT;
    Tern__LockResponse *response;
    request.account = account.id;
    request.token = pb_bytes(token);
    request.release = release;
    TRY(call_simple(store, METHOD_LOCK, account.home, &request.base, &tern__lock_response__descriptor,
                    &response));
    tern__lock_response__free_unpacked(response, NULL);
    return OK;
}

enum err store_lock(struct store *store, struct account_ref account, struct slice token)
{
    return token.len == 0 || token.len > TOKEN_SIZE_MAX ? ERR_INVALID
                                                        : run_lock(store, account, token, false);
}

struct unlock {
    struct store *store;
    struct account_ref account;
    size_t len;
    uint8_t token[TOKEN_SIZE_MAX];
};

static void unlock_fiber(void *arg)
{
    struct unlock *u = arg;
    enum err err = run_lock(u->store, u->account, slice_of(u->token, u->len), true);
    (void)err; /* the lease ends by itself */
    u->store->background--;
    free(u);
}

void store_unlock(struct store *store, struct account_ref account, struct slice token)
{
    struct unlock *u = NEW(struct unlock);
    u->store = store;
    u->account = account;
    u->len = token.len > TOKEN_SIZE_MAX ? TOKEN_SIZE_MAX : token.len;
    memcpy(u->token, token.data, u->len);
    if (fiber_spawn(store->loop, "unlock", unlock_fiber, u) == OK)
        store->background++;
    else
        free(u);
}
