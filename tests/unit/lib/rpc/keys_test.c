/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: what each role may, who gets in, and who does not and how that is told. */
#include <string.h>

#include "tests/unit/lib/rpc/keys_fixture.h"

static void roles(void **state)
{
    static const struct {
        enum rpc_role role;
        enum rpc_service service;
        uint32_t method;
        bool connect, call;
    } rows[] = {
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_MAP, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_NODE_HELLO, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_CONF_CHANGE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_DIRECTOR, METHOD_DOMAIN_ADD, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_DELIVER, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ACCOUNT_DELETE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ACCOUNT_UPDATE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ADDRESS_LIST, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_ADDRESS_LOOKUP, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_QUEUE_LEASE, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_QUEUE_STATUS, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_QUEUE_TOTALS, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_QUEUE_CHANGE, true, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_STORAGE, METHOD_CHECK, true, false },
        { RPC_ROLE_CTL, RPC_SERVICE_STORAGE, METHOD_QUEUE_CHANGE, true, true },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_PEER, 0, false, false },
        { RPC_ROLE_FRONTEND, RPC_SERVICE_BEAT, 0, false, false },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_DIRECTOR, METHOD_NODE_HELLO, true, true },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_DIRECTOR, METHOD_CONF_CHANGE, true, true },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_DIRECTOR, METHOD_NODE_REMOVE, true, false },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_STORAGE, METHOD_FETCH, false, false },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_PEER, 0, true, true },
        { RPC_ROLE_STORAGE_NODE, RPC_SERVICE_BEAT, 0, true, true },
        { RPC_ROLE_CTL, RPC_SERVICE_DIRECTOR, METHOD_DOMAIN_ADD, true, true },
        { RPC_ROLE_CTL, RPC_SERVICE_DIRECTOR, METHOD_NODE_HELLO, true, false },
        { RPC_ROLE_CTL, RPC_SERVICE_STORAGE, METHOD_ACCOUNT_CREATE, true, true },
        { RPC_ROLE_CTL, RPC_SERVICE_BEAT, 0, false, false },
        { RPC_ROLE_CTL, RPC_SERVICE_DIRECTOR, 9999, true,
          true }, /* "not a method" is the director's to say */
        { RPC_ROLE_DIRECTOR, RPC_SERVICE_STORAGE, METHOD_MAP, false, false },
        { RPC_ROLE_NONE, RPC_SERVICE_DIRECTOR, METHOD_MAP, false, false },
        { RPC_ROLE_NONE, RPC_SERVICE_PEER, 0, false, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rpc_role_may_connect(rows[i].role, rows[i].service) != rows[i].connect ||
            rpc_role_may_call(rows[i].role, rows[i].service, rows[i].method) != rows[i].call)
            fail_msg("row %zu", i);
    }
    for (int role = 1; role < RPC_ROLE_COUNT; role++)
        assert_int_equal(rpc_role_find(rpc_role_name((enum rpc_role)role)), role);
    assert_int_equal(rpc_role_find("none"), RPC_ROLE_NONE);
    assert_int_equal(rpc_role_find(NULL), RPC_ROLE_NONE);
    assert_int_equal(rpc_service_find("peer", 4), RPC_SERVICE_PEER);
    assert_int_equal(rpc_service_find("peers", 5), RPC_SERVICE_COUNT);
    assert_int_equal(rpc_service_find("", 0), RPC_SERVICE_COUNT);
}

static void right_keys(void **state)
{
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder);
    struct client frontend = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    struct client ctl = open_client(RPC_ROLE_CTL, t.folder, RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&frontend, METHOD_FETCH, CALL_MS), OK);
    assert_int_equal(t.last_role, RPC_ROLE_FRONTEND);
    assert_int_equal(call_method(&ctl, METHOD_ACCOUNT_CREATE, CALL_MS), OK);
    assert_int_equal(t.last_role, RPC_ROLE_CTL);
    assert_int_equal(call_method(&frontend, METHOD_ACCOUNT_CREATE, CALL_MS), ERR_DENIED);
    assert_string_equal(call_detail(), "a key of role frontend may not call ACCOUNT_CREATE");
    assert_int_equal(t.last_role, RPC_ROLE_CTL); /* it has not come that far */
    close_client(&frontend);
    close_client(&ctl);
    stop_server();
}

static void refuses(enum rpc_role role, const char *folder, const char *reason)
{
    uint64_t before = refused("storage", reason);
    struct client c = open_client(role, folder, RPC_ROLE_STORAGE_NODE);
    t.last_role = RPC_ROLE_DIRECTOR;
    assert_int_equal(call_method(&c, METHOD_FETCH, SILENCE_MS), ERR_TIMEOUT);
    assert_int_equal(t.last_role, RPC_ROLE_DIRECTOR);
    wait_refused("storage", reason, before);
    close_client(&c);
}

static void wrong_keys(void **state)
{
    struct role_keys impostor = { 0 };
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, t.folder);
    refuses(RPC_ROLE_FRONTEND, "", "no_key");
    refuses(RPC_ROLE_FRONTEND, t.strange,
            "wrong_key"); /* of another cluster: it expects another key of ours */
    refuses(RPC_ROLE_STORAGE_NODE, t.folder, "wrong_role");
    refuses(RPC_ROLE_DIRECTOR, t.folder, "wrong_role");
    /* It has our public key, but its own is on no list of ours: its folder says otherwise. */
    struct role_keys roles_there[RPC_ROLE_COUNT];
    memcpy(roles_there, t.roles, sizeof roles_there);
    key_pair_make(&impostor.pairs[KEY_CURRENT]);
    roles_there[RPC_ROLE_FRONTEND] = impostor;
    write_keys(t.strange, roles_there);
    refuses(RPC_ROLE_FRONTEND, t.strange, "unknown_key");
    /* And after all that, whoever may still can. */
    struct client c = open_client(RPC_ROLE_FRONTEND, t.folder, RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&c, METHOD_FETCH, CALL_MS), OK);
    close_client(&c);
    stop_server();
}

static void server_without_keys(void **state)
{
    (void)state;
    start_server(RPC_SERVICE_STORAGE, RPC_ROLE_STORAGE_NODE, "");
    refuses(RPC_ROLE_FRONTEND, t.folder, "handshake"); /* it sees first that we have none, and hangs up */
    struct client c = open_client(RPC_ROLE_FRONTEND, "", RPC_ROLE_STORAGE_NODE);
    assert_int_equal(call_method(&c, METHOD_ACCOUNT_CREATE, CALL_MS), OK);
    assert_int_equal(t.last_role, RPC_ROLE_NONE);
    close_client(&c);
    stop_server();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles),
        TEST(right_keys),
        TEST(wrong_keys),
        TEST(server_without_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
