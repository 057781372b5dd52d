/* SPDX-License-Identifier: Apache-2.0 */
/* A director begins: the first placement, the registry of nodes, and what stays over a restart. */
#include <string.h>
#include <unistd.h>

#include "director/heard.h"
#include "tests/unit/director/director_fixture.h"

enum { TURNS_US = 500 * 1000 /* several of the director's */, STEP_US = 10 * 1000, TELLS_MAX = 3000 };

static void test_creation(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    Tern__MapResponse *response = ask_map(f, node, 0, false);
    assert_string_equal(response->map->problem, "waiting for storage nodes: 0 of 1 are here");
    tern__map_response__free_unpacked(response, NULL);
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    response = wait_placed(f, node);
    assert_int_equal(response->map->n_partitions, 256);
    for (size_t p = 0; p < 256; p++) {
        const Tern__PartitionConf *conf = response->map->partitions[p];
        assert_true(conf->epoch == 1 && conf->since == 1 && conf->primary == 1 && conf->n_members == 1);
    }
    assert_int_equal(response->map->min_members, 1);
    assert_true(response->map->nodes[0]->seen_ms > 0);
    uint64_t version = response->map->version;
    tern__map_response__free_unpacked(response, NULL);
    response = ask_map(f, node, version, false); /* nothing to say to who is current */
    assert_null(response->map);
    tern__map_response__free_unpacked(response, NULL);
}

/* A store id is a node: the same one keeps its id with a new address, another one never gets it. */
static void test_registry(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:1"), 2);
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:9"), 1);
    Tern__MapResponse *response = wait_placed(f, node);
    assert_string_equal(response->map->nodes[0]->endpoint, "tcp://127.0.0.1:9");
    assert_int_equal(response->map->n_nodes, 2);
    tern__map_response__free_unpacked(response, NULL);
    node = restart(f);
    assert_int_equal(hello(f, node, 3, "tcp://127.0.0.1:3"), 3);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:1"), 2);
}

/* What another cluster's disk holds cannot be trusted here: the same numbers mean something else. */
static void test_disk_of_another_cluster(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    struct buf out = { 0 };
    struct hello h;
    Tern__MapResponse *response = ask_map(f, node, 0, false);
    prepare_hello(&h, 1, "tcp://127.0.0.1:1");
    h.request.cluster_id = response->map->cluster_id;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    response->map->cluster_id.data[0] ^= 1;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), ERR_DENIED);
    h.request.cluster_id.len--;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), ERR_DENIED);
    tern__map_response__free_unpacked(response, NULL);
    buf_fini(&out);
}

/* Recovery goes on above every epoch that is told: whoever tells of one that nobody can have given is not
 * heard. */
static void test_an_epoch_beyond_all_reason(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    struct hello h;
    struct buf out = { 0 };
    uint64_t epochs[] = { 1, HEARD_EPOCH_MAX };
    Tern__SpareCopy copy = TERN__SPARE_COPY__INIT, *copies[] = { &copy };
    Tern__PartitionFigures figures = TERN__PARTITION_FIGURES__INIT, *list[] = { &figures };
    hello(f, node, 1, "tcp://127.0.0.1:1");
    place(f, node);
    prepare_hello(&h, 1, "tcp://127.0.0.1:1");
    h.request.n_epochs = 2;
    h.request.epochs = epochs;
    h.request.n_spares = h.request.n_figures = 1;
    h.request.spares = copies;
    h.request.figures = list;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    uint64_t *told[] = { &epochs[1], &copy.epoch, &copy.known, &figures.epoch };
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        uint64_t before = *told[i];
        *told[i] = HEARD_EPOCH_MAX + 1;
        assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), ERR_INVALID);
        *told[i] = before;
    }
    buf_fini(&out);
}

/* Versions do not go back over a restart, even if the newest row was deleted. */
static void test_version_over_restart(void **state)
{
    struct fixture *f = *state;
    struct buf out = { 0 };
    void *caller = connect_to(f);
    assert_int_equal(domain_add(f, caller, "a.test"), OK);
    Tern__DomainDeleteRequest gone = TERN__DOMAIN_DELETE_REQUEST__INIT;
    gone.name = (char *)"a.test";
    assert_int_equal(ask(f, caller, METHOD_DOMAIN_DELETE, &gone.base, &out), OK);
    Tern__MapResponse *response = ask_map(f, caller, 0, false);
    uint64_t version = response->map->version;
    tern__map_response__free_unpacked(response, NULL);
    caller = restart(f);
    response = ask_map(f, caller, 0, false);
    assert_int_equal(response->map->version, version);
    tern__map_response__free_unpacked(response, NULL);
    buf_fini(&out);
}

static void test_fixed_partitions(void **state)
{
    struct fixture *f = *state;
    director_stop(&f->director);
    assert_int_equal(try_start(f, 128, 1), ERR_INVALID);
    assert_int_equal(try_start(f, 256, 3), OK);
    void *node = connect_to(f);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    hello(f, node, 2, "tcp://127.0.0.1:2");
    Tern__MapResponse *response = ask_map(f, node, 0, false);
    assert_string_equal(response->map->problem, "waiting for storage nodes: 2 of 3 are here");
    tern__map_response__free_unpacked(response, NULL);
    hello(f, node, 3, "tcp://127.0.0.1:3");
    response = wait_placed(f, node);
    size_t primaries[4] = { 0 };
    for (size_t p = 0; p < 256; p++)
        primaries[response->map->partitions[p]->primary]++;
    assert_in_range(primaries[1], 85, 86);
    assert_in_range(primaries[2], 85, 86);
    assert_in_range(primaries[3], 85, 86);
    tern__map_response__free_unpacked(response, NULL);
}

/* Nothing is placed, now or in turns to come, and the map says why, as soon as it has been made anew. */
static void expect_unplaced(struct fixture *f, void *socket, const char *why)
{
    bool told = false;
    usleep(TURNS_US);
    for (int i = 0; i < TELLS_MAX && !told; i++) {
        Tern__MapResponse *response = ask_map(f, socket, 0, false);
        assert_int_equal(response->map->n_partitions, 0);
        told = strstr(response->map->problem, why) != NULL;
        tern__map_response__free_unpacked(response, NULL);
        usleep(STEP_US);
    }
    assert_true(told);
}

/* R27: the store was put back from a copy of before the first placement. Placed anew, partitions would be
 * empty, in epochs that the copies on the disks have already. */
static void test_nothing_is_placed_over_copies(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    struct buf out = { 0 };
    struct hello h;
    prepare_hello(&h, 1, "tcp://127.0.0.1:1");
    h.node.id = 3;
    h.request.placed = true;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    expect_unplaced(f, node, "node 3 (n) had partitions before");
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:2"), 4); /* an empty one changes nothing */
    expect_unplaced(f, node, "node 3 (n) had partitions before");
    node = restart(f);
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:2"), 4);
    expect_unplaced(f, node, "node 3 (n) had partitions before");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_creation),
        TEST(test_registry),
        TEST(test_disk_of_another_cluster),
        TEST(test_an_epoch_beyond_all_reason),
        TEST(test_version_over_restart),
        TEST(test_fixed_partitions),
        TEST(test_nothing_is_placed_over_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
