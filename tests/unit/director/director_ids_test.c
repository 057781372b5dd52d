/* SPDX-License-Identifier: Apache-2.0 */
/* Ids of nodes, also such as a store that was put back from an older copy has forgotten: none is given a
 * second time (R26). */
#include <stdio.h>
#include <unistd.h>

#include "director/publish.h"
#include "lib/base/clock.h"
#include "tests/unit/director/director_fixture.h"

enum { HEARING_MS = 2500 }; /* as in director/hearing.c */

/* A hello of a node that was called `id`, 0: never, and knows of others up to `last`; *id_out is what it is
 * called now. */
static enum err hello_as(struct fixture *f, void *socket, uint8_t store, uint32_t id, uint32_t last,
                         uint32_t *id_out)
{
    struct buf out = { 0 };
    struct hello h;
    char endpoint[32];
    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%u", store);
    prepare_hello(&h, store, endpoint);
    h.node.id = id;
    h.request.last_node_id = last;
    enum err err = ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out);
    if (err == OK) {
        Tern__NodeHelloResponse *response = tern__node_hello_response__unpack(NULL, out.len, out.data);
        *id_out = response->node_id;
        tern__node_hello_response__free_unpacked(response, NULL);
    }
    buf_fini(&out);
    return err;
}

static uint32_t called(struct fixture *f, void *socket, uint8_t store, uint32_t id, uint32_t last)
{
    uint32_t given = 0;
    assert_int_equal(hello_as(f, socket, store, id, last, &given), OK);
    return given;
}

/* A node that came after the copy of the store was made is the one that it was. */
static void test_a_node_that_the_store_forgot(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    assert_int_equal(called(f, node, 1, 0, 0), 1);
    place(f, node);
    assert_int_equal(called(f, node, 2, 7, 7), 7);
    assert_int_equal(called(f, node, 3, 0, 0), 8);
    assert_int_equal(called(f, node, 5, 5, 0), 5); /* others came back before it */
    assert_int_equal(called(f, node, 6, 0, 0), 9);
    assert_int_equal(called(f, node, 4, 8, 8), 10); /* its id was given to another meanwhile */
}

static bool is_seen(struct fixture *f, void *socket, uint32_t id)
{
    bool seen = false;
    usleep(PUBLISH_PACKED_FRESH_MS * 1000);
    Tern__MapResponse *response = ask_map(f, socket, 0, false);
    for (size_t i = 0; i < response->map->n_nodes; i++)
        seen = seen || (response->map->nodes[i]->id == id && response->map->nodes[i]->seen_ms > 0);
    tern__map_response__free_unpacked(response, NULL);
    return seen;
}

/* It goes on as what it was until it is restarted, and takes nothing that is meant for its new id. */
static void test_a_process_with_another_id_is_not_here(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    assert_int_equal(called(f, node, 1, 0, 0), 1);
    place(f, node);
    assert_true(is_seen(f, node, 1));
    assert_int_equal(called(f, node, 2, 1, 1), 2);
    assert_false(is_seen(f, node, 2));
    assert_int_equal(called(f, node, 2, 1, 1), 2);
    assert_false(is_seen(f, node, 2));
    assert_int_equal(called(f, node, 2, 2, 2), 2);
    assert_true(is_seen(f, node, 2));
}

static void test_ids_that_others_tell_of(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    assert_int_equal(called(f, node, 1, 0, 0), 1);
    assert_int_equal(called(f, node, 1, 1, 4), 1);
    assert_int_equal(called(f, node, 2, 0, 0), 5);
    assert_int_equal(called(f, node, 3, 4, 0), 4);          /* it had been named, and had no map yet */
    assert_int_equal(called(f, node, 1, 1, UINT32_MAX), 1); /* mistaken */
    assert_int_equal(called(f, node, 4, UINT32_MAX, 0), 6);
}

/* A new node is the first that a director hears which has just started: the others may know of more ids. */
static void test_known_nodes_are_heard_first(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    uint32_t given;
    assert_int_equal(called(f, node, 1, 0, 0), 1);
    place(f, node);
    assert_int_equal(called(f, node, 2, 0, 0), 2);
    node = restart(f);
    uint64_t begin = clock_mono_ms();
    assert_int_equal(hello_as(f, node, 3, 0, 0, &given), ERR_BUSY);
    assert_int_equal(called(f, node, 1, 1, 2), 1);
    assert_int_equal(hello_as(f, node, 3, 0, 0, &given), ERR_BUSY);
    assert_int_equal(hello_as(f, node, 3, 1, 1, &given), ERR_BUSY); /* its id is another's now */
    assert_int_equal(called(f, node, 4, 4, 4), 4);                  /* it needs none */
    assert_int_equal(hello_as(f, node, 3, 0, 0, &given), ERR_BUSY);
    assert_int_equal(called(f, node, 2, 2, 6), 2);
    assert_int_equal(called(f, node, 3, 0, 0), 7); /* at once */
    assert_true(clock_mono_ms() < begin + HEARING_MS);
}

/* One that is lost holds nobody up for longer than that; a busy machine may, but not each time. */
static void test_a_silent_node_is_not_waited_for(void **state)
{
    enum { SLACK_MS = 500, TRIES_MAX = 5 };
    struct fixture *f = *state;
    void *node = connect_to(f);
    uint64_t took = UINT64_MAX;
    assert_int_equal(called(f, node, 1, 0, 0), 1);
    place(f, node);
    assert_int_equal(called(f, node, 2, 0, 0), 2);
    for (uint8_t next = 3; next < 3 + TRIES_MAX && took > HEARING_MS + SLACK_MS; next++) {
        node = restart(f);
        uint64_t begin = clock_mono_ms();
        assert_int_equal(called(f, node, 1, 1, next - 1), 1);
        assert_int_equal(hello(f, node, next, "tcp://127.0.0.1:3"), next); /* again while that one is BUSY */
        took = clock_mono_ms() - begin;
        assert_true(took >= HEARING_MS);
    }
    assert_true(took <= HEARING_MS + SLACK_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_node_that_the_store_forgot),    TEST(test_a_process_with_another_id_is_not_here),
        TEST(test_ids_that_others_tell_of),         TEST(test_known_nodes_are_heard_first),
        TEST(test_a_silent_node_is_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
