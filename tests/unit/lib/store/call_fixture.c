/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/store/call_fixture.h"

#include <string.h>

#include "lib/store/mailbox.h"
#include "proto/mailbox.pb-c.h"

struct store *store;
const struct account_ref account = { .id = 7, .home = 1 }; /* at node 1 */

enum err a_write(void)
{
    return store_mailbox_delete(store, account, SLICE_LIT("Junk"));
}

enum err a_read(void)
{
    struct arena arena = { 0 };
    struct mailbox_list list;
    enum err err = store_mailbox_list(store, account, &arena, &list);
    arena_fini(&arena);
    return err;
}

bool same_id(unsigned a, unsigned b)
{
    struct fake_seen x = fake_seen(METHOD_MAILBOX_DELETE, a), y = fake_seen(METHOD_MAILBOX_DELETE, b);
    assert_true(x.has_request_id && y.has_request_id);
    return memcmp(x.request_id, y.request_id, sizeof x.request_id) == 0;
}

void say_ok(int node, struct rpc_request *request, unsigned nth)
{
    Tern__MailboxListResponse list = TERN__MAILBOX_LIST_RESPONSE__INIT;
    (void)node;
    (void)nth;
    fake_reply(request, OK, request->method == METHOD_MAILBOX_LIST ? &list.base : NULL, SLICE_NULL);
}

int call_setup(void **state)
{
    (void)state;
    store = fake_start(say_ok);
    return 0;
}
