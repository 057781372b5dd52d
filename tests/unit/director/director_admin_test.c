/* SPDX-License-Identifier: Apache-2.0 */
/* What people change at a director: domains and settings, with notices of it; nodes drained and removed. */
#include "tests/unit/director/director_fixture.h"

static enum err remove_node(struct fixture *f, void *socket, uint32_t id, bool lost)
{
    struct buf out = { 0 };
    Tern__NodeRemoveRequest request = TERN__NODE_REMOVE_REQUEST__INIT;
    request.node = id;
    request.lost = lost;
    enum err err = ask(f, socket, METHOD_NODE_REMOVE, &request.base, &out);
    buf_fini(&out);
    return err;
}

static enum err drain_node(struct fixture *f, void *socket, uint32_t id, bool drain)
{
    struct buf out = { 0 };
    Tern__NodeDrainRequest request = TERN__NODE_DRAIN_REQUEST__INIT;
    request.node = id;
    request.drain = drain;
    enum err err = ask(f, socket, METHOD_NODE_DRAIN, &request.base, &out);
    buf_fini(&out);
    return err;
}

static bool is_draining(struct fixture *f, void *socket, size_t at)
{
    Tern__MapResponse *response = ask_map(f, socket, 0, false);
    bool draining = response->map->nodes[at]->draining;
    tern__map_response__free_unpacked(response, NULL);
    return draining;
}

static void test_names_and_notices(void **state)
{
    struct fixture *f = *state;
    struct buf out = { 0 };
    void *caller = connect_to(f), *watcher = connect_to(f);
    Tern__MapResponse *response = ask_map(f, watcher, 0, true);
    uint64_t version = response->map->version;
    tern__map_response__free_unpacked(response, NULL);
    assert_int_equal(domain_add(f, caller, "example.test"), OK);
    Tern__ResponseHeader *header = receive(watcher, &out);
    assert_int_equal(header->call, 0);
    assert_int_equal(header->method, METHOD_MAP_NOTICE);
    tern__response_header__free_unpacked(header, NULL);
    Tern__MapNotice *notice = tern__map_notice__unpack(NULL, out.len, out.data);
    assert_true(notice->version > version);
    tern__map_notice__free_unpacked(notice, NULL);
    assert_int_equal(domain_add(f, caller, "example.test"), ERR_EXISTS);
    assert_int_equal(domain_add(f, caller, "Example.test"), ERR_SYNTAX);
    response = ask_map(f, watcher, version, true);
    assert_int_equal(response->map->n_domains, 1);
    tern__map_response__free_unpacked(response, NULL);
    Tern__DomainDeleteRequest gone = TERN__DOMAIN_DELETE_REQUEST__INIT;
    gone.name = (char *)"example.test";
    assert_int_equal(ask(f, caller, METHOD_DOMAIN_DELETE, &gone.base, &out), OK);
    assert_int_equal(ask(f, caller, METHOD_DOMAIN_DELETE, &gone.base, &out), ERR_NOT_FOUND);
    Tern__SettingPutRequest setting = TERN__SETTING_PUT_REQUEST__INIT;
    setting.name = (char *)"x";
    setting.value = (char *)"1";
    assert_int_equal(ask(f, caller, METHOD_SETTING_PUT, &setting.base, &out), OK);
    setting.name = (char *)"X";
    assert_int_equal(ask(f, caller, METHOD_SETTING_PUT, &setting.base, &out), ERR_SYNTAX);
    assert_int_equal(ask(f, caller, METHOD_FETCH, &setting.base, &out), ERR_UNSUPPORTED);
    buf_fini(&out);
}

/* What holds copies stays; what is removed does not come back, and its number is not given again. */
static void test_drain_and_remove(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    place(f, node);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:2"), 2);
    assert_int_equal(drain_node(f, node, 9, true), ERR_NOT_FOUND);
    assert_int_equal(drain_node(f, node, 1, true), OK);
    assert_true(is_draining(f, node, 0));
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:7"), 1); /* other facts, the same wish */
    assert_true(is_draining(f, node, 0));
    assert_int_equal(drain_node(f, node, 1, false), OK);
    assert_false(is_draining(f, node, 0));

    assert_int_equal(remove_node(f, node, 9, false), ERR_NOT_FOUND);
    assert_int_equal(remove_node(f, node, 1, false), ERR_DENIED); /* it holds everything */
    assert_int_equal(remove_node(f, node, 1, true), ERR_IN_USE);  /* and is alive */
    assert_int_equal(remove_node(f, node, 2, false), ERR_DENIED); /* it holds nothing, but may only seem so */
    assert_int_equal(drain_node(f, node, 2, true), OK);
    assert_int_equal(remove_node(f, node, 2, false), OK);
    struct buf out = { 0 };
    struct hello again;
    prepare_hello(&again, 2, "tcp://127.0.0.1:2");
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &again.request.base, &out), ERR_DENIED);
    buf_fini(&out);
    assert_int_equal(hello(f, node, 3, "tcp://127.0.0.1:2"), 3);
}

/* A hello of node 2, which knows an epoch of partition 0 that the store does not; it looked for that hearing.
 */
static void tell_ahead(struct fixture *f, void *socket, uint64_t hearing)
{
    struct buf out = { 0 };
    struct hello h;
    uint64_t epochs[] = { 9 };
    prepare_hello(&h, 2, "tcp://127.0.0.1:2");
    h.request.hearing = hearing;
    h.request.epochs = epochs;
    h.request.n_epochs = 1;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    buf_fini(&out);
}

/* R27: the store was put back from a copy of when node 2 held nothing. Nobody removes it before it was heard.
 */
static void test_nobody_is_removed_before_nodes_are_heard(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    place(f, node);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:2"), 2);
    assert_int_equal(hello(f, node, 3, "tcp://127.0.0.1:3"), 3);
    assert_int_equal(drain_node(f, node, 2, true), OK);
    node = restart(f);
    assert_int_equal(remove_node(f, node, 2, false), ERR_BUSY);
    assert_int_equal(remove_node(f, node, 3, true), ERR_BUSY);
    assert_int_equal(remove_node(f, node, 3, false), ERR_DENIED); /* whatever is heard */
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    assert_int_equal(hello(f, node, 3, "tcp://127.0.0.1:3"), 3);
    assert_int_equal(remove_node(f, node, 2, false), ERR_BUSY);
    tell_ahead(f, node, 0); /* all of it is older than the question */
    assert_int_equal(remove_node(f, node, 2, false), ERR_IN_USE);
    node = restart(f);
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    assert_int_equal(hello(f, node, 3, "tcp://127.0.0.1:3"), 3);
    assert_int_equal(remove_node(f, node, 2, false), ERR_BUSY);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:2"), 2);
    assert_int_equal(remove_node(f, node, 2, false), OK); /* at once */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_names_and_notices),
        TEST(test_drain_and_remove),
        TEST(test_nobody_is_removed_before_nodes_are_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
