/* SPDX-License-Identifier: Apache-2.0 */
/* What a director tells of its cluster, and nodes that are short of room. */
#include <string.h>

#include "tests/unit/director/director_fixture.h"

static Tern__ClusterStatusResponse *ask_status(struct fixture *f, void *socket, bool partitions)
{
    struct buf out = { 0 };
    Tern__ClusterStatusRequest request = TERN__CLUSTER_STATUS_REQUEST__INIT;
    request.partitions = partitions;
    assert_int_equal(ask(f, socket, METHOD_CLUSTER_STATUS, &request.base, &out), OK);
    Tern__ClusterStatusResponse *response = tern__cluster_status_response__unpack(NULL, out.len, out.data);
    assert_non_null(response);
    buf_fini(&out);
    return response;
}

/* The only node tells of one partition, and of a fault. */
static void tell(struct fixture *f, void *socket)
{
    struct buf out = { 0 };
    struct hello h;
    Tern__PartitionFigures figures = TERN__PARTITION_FIGURES__INIT, *figures_at = &figures;
    Tern__PartitionFault fault = TERN__PARTITION_FAULT__INIT, *fault_at = &fault;
    Tern__PeerFigures peer = TERN__PEER_FIGURES__INIT, *peer_at = &peer;
    prepare_hello(&h, 1, "tcp://127.0.0.1:7500");
    h.request.disk_total = 1000;
    h.request.disk_free = 10;
    peer.node = 9;
    peer.behind = 4;
    figures = (Tern__PartitionFigures){ .base = figures.base,
                                        .partition = 7,
                                        .epoch = 1,
                                        .active = true,
                                        .bytes = 1234,
                                        .n_peers = 1,
                                        .peers = &peer_at };
    h.request.n_figures = 1;
    h.request.figures = &figures_at;
    fault.partition = 7;
    fault.text = (char *)"a row is damaged";
    h.request.n_faults = 1;
    h.request.faults = &fault_at;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    buf_fini(&out);
}

/* How many nodes are named full in the answer to a hello of `store`; *first_out of them. */
static size_t hello_full(struct fixture *f, void *socket, uint8_t store, bool disk_low, uint32_t *first_out)
{
    struct buf out = { 0 };
    struct hello h;
    prepare_hello(&h, store, "tcp://127.0.0.1:7500");
    h.request.disk_total = 1000;
    h.request.disk_free = 500;
    h.request.disk_low = disk_low;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    Tern__NodeHelloResponse *response = tern__node_hello_response__unpack(NULL, out.len, out.data);
    size_t count = response->n_full;
    *first_out = count > 0 ? response->full[0] : 0;
    tern__node_hello_response__free_unpacked(response, NULL);
    buf_fini(&out);
    return count;
}

static bool is_told(const Tern__ClusterStatusResponse *status, const char *text)
{
    for (size_t i = 0; i < status->n_problems; i++) {
        if (strstr(status->problems[i], text) != NULL)
            return true;
    }
    return false;
}

static void test_status(void **state)
{
    struct fixture *f = *state;
    void *socket = connect_to(f);
    Tern__ClusterStatusResponse *status = ask_status(f, socket, false);
    assert_int_equal(status->n_nodes, 0);
    assert_true(is_told(status, "waiting for storage nodes: 0 of 1 are here"));
    tern__cluster_status_response__free_unpacked(status, NULL);

    hello(f, socket, 1, "tcp://127.0.0.1:7500");
    place(f, socket);
    tell(f, socket);
    status = ask_status(f, socket, true);
    assert_int_equal(status->n_nodes, 1);
    assert_true(status->nodes[0]->alive);
    assert_int_equal(status->nodes[0]->copies, 256);
    assert_int_equal(status->nodes[0]->primaries, 256);
    assert_int_equal(status->nodes[0]->bytes, 1234);
    assert_int_equal(status->n_partitions, 256);
    assert_null(status->partitions[6]->figures);
    assert_true(status->partitions[7]->figures->active);
    assert_int_equal(status->summary->placed, 256);
    assert_int_equal(status->summary->active, 1);
    assert_int_equal(status->summary->few, 0);
    assert_int_equal(status->summary->behind, 4);
    assert_int_equal(status->summary->behind_node, 9);
    assert_true(status->leads);
    assert_int_equal(status->n_faults, 1);
    assert_true(is_told(status, "Partition 7 on node 1 (n): a row is damaged."));
    assert_true(is_told(status, "% of its disk free"));
    tern__cluster_status_response__free_unpacked(status, NULL);

    status = ask_status(f, socket, false); /* the one that is served has nothing to tell */
    assert_int_equal(status->n_partitions, 255);
    tern__cluster_status_response__free_unpacked(status, NULL);
}

/* Who is short of room is passed on to all nodes. */
static void test_full_nodes(void **state)
{
    struct fixture *f = *state;
    void *socket = connect_to(f);
    uint32_t first;
    hello(f, socket, 1, "tcp://127.0.0.1:7500");
    hello(f, socket, 2, "tcp://127.0.0.1:7500");
    place(f, socket);
    assert_int_equal(hello_full(f, socket, 2, true, &first), 1);
    assert_int_equal(first, 2);
    assert_int_equal(hello_full(f, socket, 1, false, &first), 1);
    assert_int_equal(first, 2);
    Tern__ClusterStatusResponse *status = ask_status(f, socket, false);
    assert_true(is_told(status, "Node 2 (n) has less of its disk free than `disk_reserve`"));
    tern__cluster_status_response__free_unpacked(status, NULL);
    assert_int_equal(hello_full(f, socket, 2, false, &first), 0);
    assert_int_equal(hello_full(f, socket, 1, false, &first), 0);
}

/* A hello of `store` with one copy of partition 7. */
static void tell_copy(struct fixture *f, void *socket, uint8_t store, uint64_t known, uint64_t epoch,
                      uint64_t last, bool primary)
{
    struct buf out = { 0 };
    struct hello h;
    Tern__SpareCopy copy = TERN__SPARE_COPY__INIT, *copy_at = &copy;
    prepare_hello(&h, store, "tcp://127.0.0.1:7500");
    copy.partition = 7;
    copy.epoch = epoch;
    copy.last = last;
    copy.known = known;
    copy.primary = primary;
    h.request.n_spares = 1;
    h.request.spares = &copy_at;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    buf_fini(&out);
}

/* Whoever asks need not know how copies are ordered. */
static void test_the_newest_copy_is_marked(void **state)
{
    struct fixture *f = *state;
    void *socket = connect_to(f);
    hello(f, socket, 1, "tcp://127.0.0.1:7500");
    hello(f, socket, 2, "tcp://127.0.0.1:7500");
    hello(f, socket, 3, "tcp://127.0.0.1:7500");
    place(f, socket);
    tell_copy(f, socket, 1, 9, 6, 51, false);
    tell_copy(f, socket, 2, 9, 4, 90, true); /* not active yet, but it led 9 */
    tell_copy(f, socket, 3, 9, 6, 50, false);
    Tern__ClusterStatusResponse *status = ask_status(f, socket, true);
    const Tern__PartitionStatus *seven = status->partitions[7];
    assert_int_equal(seven->n_spares, 3);
    for (size_t i = 0; i < seven->n_spares; i++)
        assert_int_equal(seven->spares[i]->newest, seven->spares[i]->node == 2);
    assert_int_equal(seven->known, 9);
    tern__cluster_status_response__free_unpacked(status, NULL);
}

/* As nodes tell it to a director that has just started. */
static void test_a_member_is_no_spare(void **state)
{
    struct fixture *f = *state;
    void *socket = connect_to(f);
    hello(f, socket, 1, "tcp://127.0.0.1:7500");
    hello(f, socket, 2, "tcp://127.0.0.1:7500");
    place(f, socket);
    tell_copy(f, socket, 1, 1, 1, 5, false);
    tell_copy(f, socket, 2, 1, 1, 5, false);
    Tern__ClusterStatusResponse *status = ask_status(f, socket, true);
    const Tern__PartitionStatus *seven = status->partitions[7];
    assert_int_equal(seven->conf->n_members, 1);
    assert_int_equal(seven->n_spares, 1);
    assert_int_not_equal(seven->spares[0]->node, seven->conf->members[0]);
    tern__cluster_status_response__free_unpacked(status, NULL);
}

/* R30. A hello of `store`, which speaks so; with `raised`, it tells that partition 7 is of state-machine
 * version 2.
 */
static void tell_versions(struct fixture *f, void *socket, uint8_t store, uint32_t machine, uint32_t peer,
                          bool raised)
{
    struct buf out = { 0 };
    struct hello h;
    Tern__PartitionFigures figures = TERN__PARTITION_FIGURES__INIT, *figures_at = &figures;
    prepare_hello(&h, store, "tcp://127.0.0.1:7500");
    h.node.machine_version = machine;
    h.node.peer_version_min = h.node.peer_version_max = peer;
    figures.partition = 7;
    figures.epoch = 1;
    figures.active = true;
    figures.machine_version = 2;
    h.request.n_figures = raised;
    h.request.figures = &figures_at;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &h.request.base, &out), OK);
    buf_fini(&out);
}

static enum err add_learner(struct fixture *f, void *socket, uint32_t partition, uint32_t asker,
                            uint32_t node)
{
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    request.change = TERN__CONF_CHANGE__CONF_ADD_LEARNER;
    request.partition = partition;
    request.epoch = 1;
    request.asker = asker;
    request.subject = node;
    struct buf out = { 0 };
    enum err err = ask(f, socket, METHOD_CONF_CHANGE, &request.base, &out);
    buf_fini(&out);
    return err;
}

static void test_an_older_program_gets_no_copy_of_what_was_raised(void **state)
{
    struct fixture *f = *state;
    void *socket = connect_to(f);
    hello(f, socket, 1, "tcp://127.0.0.1:7500");
    hello(f, socket, 2, "tcp://127.0.0.1:7500");
    place(f, socket);
    Tern__ClusterStatusResponse *status = ask_status(f, socket, false);
    assert_false(is_told(status, "state-machine"));
    tern__cluster_status_response__free_unpacked(status, NULL);
    tell_versions(f, socket, 1, 2, 2, true);
    assert_int_equal(add_learner(f, socket, 7, 1, 2), ERR_UNSUPPORTED);
    assert_int_equal(add_learner(f, socket, 8, 1, 2), OK); /* that was not raised */
    status = ask_status(f, socket, false);
    assert_false(is_told(status, "state-machine")); /* it is not its turn yet, and nothing is missing there */
    tern__cluster_status_response__free_unpacked(status, NULL);
    tell_versions(f, socket, 2, 2, 2, false);
    assert_int_equal(add_learner(f, socket, 7, 1, 2), OK);
    tell_versions(f, socket, 2, 1, 2, false); /* put back */
    status = ask_status(f, socket, false);
    assert_true(
        is_told(status, "Node 2 (n) speaks state-machine versions up to 1, and 1 partition is of version 2"));
    assert_false(is_told(status, "Node 1 (n) speaks"));
    tern__cluster_status_response__free_unpacked(status, NULL);
}

static void test_nodes_that_share_no_version_are_told_of(void **state)
{
    struct fixture *f = *state;
    void *socket = connect_to(f);
    tell_versions(f, socket, 1, 1, 0, false); /* does not say: 2 */
    place(f, socket);
    tell_versions(f, socket, 2, 1, 2, false);
    Tern__ClusterStatusResponse *status = ask_status(f, socket, false);
    assert_false(is_told(status, "refuse each other"));
    tern__cluster_status_response__free_unpacked(status, NULL);
    tell_versions(f, socket, 2, 1, 4, false);
    status = ask_status(f, socket, false);
    assert_true(is_told(
        status,
        "Node 2 (n) speaks versions 4 to 4 of messages between storage nodes, and node 1 (n) 2 to 2"));
    tern__cluster_status_response__free_unpacked(status, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_status),
        TEST(test_full_nodes),
        TEST(test_an_older_program_gets_no_copy_of_what_was_raised),
        TEST(test_nodes_that_share_no_version_are_told_of),
        TEST(test_the_newest_copy_is_marked),
        TEST(test_a_member_is_no_spare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
