/* SPDX-License-Identifier: Apache-2.0 */
/* A whole director with its store, asked over ZeroMQ as nodes and front-ends do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "director/coordination/embedded.h"
#include "director/director.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "proto/cluster.pb-c.h"
#include "proto/methods.h"
#include "proto/rpc.pb-c.h"

struct fixture {
    char folder[64];
    void *zmq;
    struct director *director;
    uint64_t calls;
    void *sockets[8];
    size_t socket_count;
};

static enum err try_start(struct fixture *f, uint32_t partitions, uint32_t initial_nodes)
{
    struct director_options options = { .zmq = f->zmq,
                                        .listen = "tcp://127.0.0.1:0",
                                        .partitions = partitions,
                                        .copies = 1,
                                        .initial_nodes = initial_nodes,
                                        .repair_after_ms = 600 * 1000,
                                        .moves_max = 16,
                                        .moves_per_node = 4,
                                        .drain_timeout_ms = 2000 };
    assert_int_equal(embedded_open(f->folder, &options.coordination), OK);
    return director_start(&options, &f->director);
}

static void *connect_to(struct fixture *f)
{
    int timeout_ms = 10000, linger = 0;
    void *socket = zmq_socket(f->zmq, ZMQ_DEALER);
    assert_non_null(socket);
    f->sockets[f->socket_count++] = socket;
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    int ipv6 = 1;
    zmq_setsockopt(socket, ZMQ_IPV6, &ipv6, sizeof ipv6);
    assert_int_equal(zmq_connect(socket, director_endpoint(f->director)), 0);
    return socket;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    strcpy(f->folder, "/tmp/director_test_XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->zmq = zmq_ctx_new();
    assert_int_equal(try_start(f, 256, 1), OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    for (size_t i = 0; i < f->socket_count; i++)
        zmq_close(f->sockets[i]);
    director_stop(&f->director);
    zmq_ctx_term(f->zmq);
    snprintf(command, sizeof command, "rm -rf %s", f->folder);
    free(f);
    return system(command);
}

static void send_request(struct fixture *f, void *socket, uint32_t method, const ProtobufCMessage *request)
{
    Tern__RequestHeader header = TERN__REQUEST_HEADER__INIT;
    uint8_t bytes[4096];
    header.version = 1;
    header.call = ++f->calls;
    header.method = method;
    header.deadline_ms = 10000;
    size_t len = tern__request_header__pack(&header, bytes);
    assert_true(zmq_send(socket, bytes, len, ZMQ_SNDMORE) >= 0);
    len = protobuf_c_message_pack(request, bytes);
    assert_true(zmq_send(socket, bytes, len, 0) >= 0);
}

/* The next message: its header, and the payload in `out` if wanted. */
static Tern__ResponseHeader *receive(void *socket, struct buf *out)
{
    Tern__ResponseHeader *header = NULL;
    int more = 1;
    for (int frame = 0; more; frame++) {
        zmq_msg_t msg;
        size_t size = sizeof more;
        zmq_msg_init(&msg);
        assert_true(zmq_msg_recv(&msg, socket, 0) >= 0);
        if (frame == 0)
            header = tern__response_header__unpack(NULL, zmq_msg_size(&msg), zmq_msg_data(&msg));
        else if (out != NULL)
            buf_add(out, zmq_msg_data(&msg), zmq_msg_size(&msg));
        zmq_msg_close(&msg);
        zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    }
    assert_non_null(header);
    return header;
}

/* Ask and take the answer, passing over notices. */
static enum err ask(struct fixture *f, void *socket, uint32_t method, const ProtobufCMessage *request,
                    struct buf *out)
{
    send_request(f, socket, method, request);
    for (;;) {
        buf_clear(out);
        Tern__ResponseHeader *header = receive(socket, out);
        enum err status = (enum err)header->status;
        bool mine = header->call == f->calls;
        tern__response_header__free_unpacked(header, NULL);
        if (mine)
            return status;
    }
}

static uint32_t hello(struct fixture *f, void *socket, uint8_t store, const char *endpoint)
{
    struct buf out = { 0 };
    uint8_t id[16] = { store };
    Tern__NodeInfo node = TERN__NODE_INFO__INIT;
    Tern__NodeHelloRequest request = TERN__NODE_HELLO_REQUEST__INIT;
    node.store_id = (ProtobufCBinaryData){ sizeof id, id };
    node.name = (char *)"n";
    node.endpoint = (char *)endpoint;
    request.node = &node;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &request.base, &out), OK);
    Tern__NodeHelloResponse *response = tern__node_hello_response__unpack(NULL, out.len, out.data);
    uint32_t given = response->node_id;
    tern__node_hello_response__free_unpacked(response, NULL);
    buf_fini(&out);
    return given;
}

static Tern__MapResponse *ask_map(struct fixture *f, void *socket, uint64_t have, bool subscribe)
{
    struct buf out = { 0 };
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    request.have_version = have;
    request.subscribe = subscribe;
    assert_int_equal(ask(f, socket, METHOD_MAP, &request.base, &out), OK);
    Tern__MapResponse *response = tern__map_response__unpack(NULL, out.len, out.data);
    assert_non_null(response);
    buf_fini(&out);
    return response;
}

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

/* The map once all partitions are placed. */
static Tern__MapResponse *wait_placed(struct fixture *f, void *socket)
{
    for (int i = 0; i < 500; i++) {
        Tern__MapResponse *response = ask_map(f, socket, 0, false);
        if (response->map->n_partitions > 0)
            return response;
        tern__map_response__free_unpacked(response, NULL);
        usleep(10000);
    }
    fail_msg("partitions are not placed");
    return NULL;
}

static enum err change(struct fixture *f, void *socket, Tern__ConfChange what, uint32_t partition,
                       uint64_t epoch, uint32_t asker, uint32_t subject, Tern__PartitionConf **conf_out)
{
    struct buf out = { 0 };
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    request.change = what;
    request.partition = partition;
    request.epoch = epoch;
    request.asker = asker;
    request.subject = subject;
    enum err err = ask(f, socket, METHOD_CONF_CHANGE, &request.base, &out);
    Tern__ConfChangeResponse *response = tern__conf_change_response__unpack(NULL, out.len, out.data);
    *conf_out = response->conf;
    response->conf = NULL;
    tern__conf_change_response__free_unpacked(response, NULL);
    buf_fini(&out);
    return err;
}

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
    director_stop(&f->director);
    assert_int_equal(try_start(f, 256, 1), OK);
    node = connect_to(f);
    assert_int_equal(hello(f, node, 3, "tcp://127.0.0.1:3"), 3);
    assert_int_equal(hello(f, node, 2, "tcp://127.0.0.1:1"), 2);
}

static void test_conf_changes(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    Tern__PartitionConf *conf;
    hello(f, node, 1, "tcp://127.0.0.1:1");
    tern__map_response__free_unpacked(wait_placed(f, node), NULL);
    hello(f, node, 2, "tcp://127.0.0.1:2");
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_READ, 5, 0, 1, 0, &conf), OK);
    assert_int_equal(conf->epoch, 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    /* one copy is wanted and there: a node that comes back may delete its own */
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 1, 2, 2, &conf), ERR_LIMIT);
    assert_int_equal(conf->epoch, 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 1, 1, 2, &conf), OK);
    assert_true(conf->epoch == 2 && conf->n_learners == 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    /* late or repeated: the answer is what is so now */
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_PROMOTE, 5, 1, 1, 0, &conf), ERR_CONFLICT);
    assert_int_equal(conf->epoch, 2);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 2, 2, 2, &conf), OK);
    assert_int_equal(conf->epoch, 2);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD, 5, 2, 1, 2, &conf), OK);
    assert_true(conf->epoch == 3 && conf->n_members == 2 && conf->n_learners == 0);
    tern__partition_conf__free_unpacked(conf, NULL);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_PROMOTE, 5, 3, 2, 0, &conf), OK);
    assert_true(conf->epoch == 4 && conf->primary == 2 && conf->since == 4 && conf->n_members == 1);
    tern__partition_conf__free_unpacked(conf, NULL);
    director_stop(&f->director);
    assert_int_equal(try_start(f, 256, 1), OK);
    node = connect_to(f);
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_READ, 5, 0, 1, 0, &conf), OK);
    assert_int_equal(conf->epoch, 4);
    tern__partition_conf__free_unpacked(conf, NULL);
    /* enough copies, but none on a node that is here: another one is kept for the worst case */
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 4, 1, 1, &conf), ERR_CONFLICT);
    tern__partition_conf__free_unpacked(conf, NULL);
    hello(f, node, 2, "tcp://127.0.0.1:2");
    assert_int_equal(change(f, node, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 5, 4, 1, 1, &conf), ERR_LIMIT);
    tern__partition_conf__free_unpacked(conf, NULL);
}

/* Many for one epoch at once: one wins, all are told the winner. */
static void test_race(void **state)
{
    enum { ASKERS = 50 };
    struct fixture *f = *state;
    void *node = connect_to(f);
    hello(f, node, 1, "tcp://127.0.0.1:1");
    tern__map_response__free_unpacked(wait_placed(f, node), NULL);
    Tern__ConfChangeRequest request = TERN__CONF_CHANGE_REQUEST__INIT;
    request.change = TERN__CONF_CHANGE__CONF_PROMOTE;
    request.epoch = 1;
    request.asker = 1;
    for (int i = 0; i < ASKERS; i++)
        send_request(f, node, METHOD_CONF_CHANGE, &request.base);
    int won = 0;
    for (int i = 0; i < ASKERS; i++) {
        struct buf out = { 0 };
        Tern__ResponseHeader *header = receive(node, &out);
        Tern__ConfChangeResponse *response = tern__conf_change_response__unpack(NULL, out.len, out.data);
        won += header->status == OK;
        assert_true(header->status == OK || header->status == ERR_CONFLICT);
        assert_int_equal(response->conf->epoch, 2);
        tern__conf_change_response__free_unpacked(response, NULL);
        tern__response_header__free_unpacked(header, NULL);
        buf_fini(&out);
    }
    assert_int_equal(won, 1);
}

static enum err domain_add(struct fixture *f, void *socket, const char *name)
{
    struct buf out = { 0 };
    Tern__DomainAddRequest request = TERN__DOMAIN_ADD_REQUEST__INIT;
    request.name = (char *)name;
    enum err err = ask(f, socket, METHOD_DOMAIN_ADD, &request.base, &out);
    buf_fini(&out);
    return err;
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

/* Versions do not go back over a restart, even if the newest row was deleted. */
/* The only node tells of one partition, and of a fault. */
static void tell(struct fixture *f, void *socket)
{
    struct buf out = { 0 };
    uint8_t id[16] = { 1 };
    Tern__NodeInfo node = TERN__NODE_INFO__INIT;
    Tern__NodeHelloRequest request = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__PartitionFigures figures = TERN__PARTITION_FIGURES__INIT, *figures_at = &figures;
    Tern__PartitionFault fault = TERN__PARTITION_FAULT__INIT, *fault_at = &fault;
    Tern__PeerFigures peer = TERN__PEER_FIGURES__INIT, *peer_at = &peer;
    node.store_id = (ProtobufCBinaryData){ sizeof id, id };
    node.name = (char *)"n";
    node.endpoint = (char *)"tcp://127.0.0.1:7500";
    request.node = &node;
    request.disk_total = 1000;
    request.disk_free = 10;
    peer.node = 9;
    peer.behind = 4;
    figures = (Tern__PartitionFigures){ .base = figures.base,
                                        .partition = 7,
                                        .epoch = 1,
                                        .active = true,
                                        .bytes = 1234,
                                        .n_peers = 1,
                                        .peers = &peer_at };
    request.n_figures = 1;
    request.figures = &figures_at;
    fault.partition = 7;
    fault.text = (char *)"a row is damaged";
    request.n_faults = 1;
    request.faults = &fault_at;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &request.base, &out), OK);
    buf_fini(&out);
}

/* How many nodes are named full in the answer to a hello of `store`; *first_out of them. */
static size_t hello_full(struct fixture *f, void *socket, uint8_t store, bool disk_low, uint32_t *first_out)
{
    struct buf out = { 0 };
    uint8_t id[16] = { store };
    Tern__NodeInfo node = TERN__NODE_INFO__INIT;
    Tern__NodeHelloRequest request = TERN__NODE_HELLO_REQUEST__INIT;
    node.store_id = (ProtobufCBinaryData){ sizeof id, id };
    node.name = (char *)"n";
    node.endpoint = (char *)"tcp://127.0.0.1:7500";
    request.node = &node;
    request.disk_total = 1000;
    request.disk_free = 500;
    request.disk_low = disk_low;
    assert_int_equal(ask(f, socket, METHOD_NODE_HELLO, &request.base, &out), OK);
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
    tern__map_response__free_unpacked(wait_placed(f, socket), NULL);
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
    tern__map_response__free_unpacked(wait_placed(f, socket), NULL);
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

/* What holds copies stays; what is removed does not come back, and its number is not given again. */
static void test_drain_and_remove(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    tern__map_response__free_unpacked(wait_placed(f, node), NULL);
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
    uint8_t store[16] = { 2 };
    struct buf out = { 0 };
    Tern__NodeInfo info = TERN__NODE_INFO__INIT;
    Tern__NodeHelloRequest again = TERN__NODE_HELLO_REQUEST__INIT;
    info.store_id = (ProtobufCBinaryData){ sizeof store, store };
    info.endpoint = (char *)"tcp://127.0.0.1:2";
    again.node = &info;
    assert_int_equal(ask(f, node, METHOD_NODE_HELLO, &again.base, &out), ERR_DENIED);
    buf_fini(&out);
    assert_int_equal(hello(f, node, 3, "tcp://127.0.0.1:2"), 3);
}

static void test_recover_refusals(void **state)
{
    struct fixture *f = *state;
    void *node = connect_to(f);
    struct buf out = { 0 };
    Tern__PartitionRecoverRequest request = TERN__PARTITION_RECOVER_REQUEST__INIT;
    assert_int_equal(hello(f, node, 1, "tcp://127.0.0.1:1"), 1);
    tern__map_response__free_unpacked(wait_placed(f, node), NULL);
    request.accept_loss = true;
    request.node = 1;
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out),
                     ERR_DENIED); /* it is alive */
    request.partition = 256;
    assert_int_equal(ask(f, node, METHOD_PARTITION_RECOVER, &request.base, &out), ERR_NOT_FOUND);
    buf_fini(&out);
}

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
    director_stop(&f->director);
    assert_int_equal(try_start(f, 256, 1), OK);
    caller = connect_to(f);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_creation, setup, teardown),
        cmocka_unit_test_setup_teardown(test_registry, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conf_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_race, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_and_notices, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drain_and_remove, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recover_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_version_over_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fixed_partitions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
