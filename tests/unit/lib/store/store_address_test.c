/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: accounts, aliases that lead to others or to themselves, and domains that are not ours. */
#include <string.h>

#include "lib/store/account.h"
#include "proto/account.pb-c.h"
#include "tests/unit/lib/store/call_fixture.h"

static void answer_lookup(int node, struct rpc_request *request, unsigned nth)
{
    Tern__AddressLookupRequest *asked =
        tern__address_lookup_request__unpack(NULL, request->request.len, request->request.data);
    Tern__AddressLookupResponse response = TERN__ADDRESS_LOOKUP_RESPONSE__INIT;
    Tern__Account row = TERN__ACCOUNT__INIT;
    char *both[] = { (char *)"a@example.test", (char *)"loop@example.test", (char *)"x@remote.example",
                     (char *)"gone@example.test" };
    char *itself[] = { (char *)"loop@example.test", (char *)"list@example.test" };
    enum err status = OK;
    (void)node;
    (void)nth;
    row.id = 9;
    row.home = 3;
    row.address = asked->address;
    if (strcmp(asked->address, "a@example.test") == 0) {
        response.account = &row;
    } else if (strcmp(asked->address, "list@example.test") == 0) {
        response.alias_targets = both;
        response.n_alias_targets = 1;
    } else if (strcmp(asked->address, "mixed@example.test") == 0) {
        both[1] = both[2];
        both[2] = both[3];
        response.alias_targets = both;
        response.n_alias_targets = 3;
    } else if (strcmp(asked->address, "loop@example.test") == 0) {
        response.alias_targets = itself;
        response.n_alias_targets = 2;
    } else {
        status = ERR_NOT_FOUND;
    }
    fake_reply(request, status, &response.base, SLICE_NULL);
    tern__address_lookup_request__free_unpacked(asked, NULL);
}

static void resolve(void)
{
    struct arena arena = { 0 };
    struct store_targets t;
    assert_int_equal(store_address_resolve(store, SLICE_LIT("a@example.test"), 0, &arena, &t), OK);
    assert_true(t.account_count == 1 && t.accounts[0].ref.id == 9 && t.accounts[0].ref.home == 3);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("list@example.test"), 0, &arena, &t), OK);
    assert_true(t.account_count == 1 && t.remote_count == 0);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("mixed@example.test"), 0, &arena, &t), OK);
    assert_true(t.account_count == 1 && t.remote_count == 1);
    assert_true(slice_eq_str(t.remote[0], "x@remote.example"));
    assert_int_equal(store_address_resolve(store, SLICE_LIT("loop@example.test"), 0, &arena, &t), ERR_LIMIT);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("no@example.test"), 0, &arena, &t),
                     ERR_NOT_FOUND);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("a@remote.test"), 0, &arena, &t), ERR_NO_DOMAIN);
    assert_int_equal(store_address_resolve(store, SLICE_LIT("nodomain"), 0, &arena, &t), ERR_SYNTAX);
    arena_fini(&arena);
}

static void addresses_resolve_through_aliases(void **state)
{
    (void)state;
    fake_set_handler(answer_lookup);
    fake_run(resolve);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_resolve_through_aliases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
