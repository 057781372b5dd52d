/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/store/fake_cluster.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/store/convert_priv.h"
#include "proto/cluster.pb-c.h"
#include "proto/methods.h"
#include "tests/unit/lib/rpc/run_fiber.h"

enum { PEERS_MAX = 16, REQUESTS_MAX = 1000, READY_MS = 10 * 1000 };

static struct {
    pthread_mutex_t lock; /* guards what follows */
    void *zmq;
    struct rpc_server *nodes[FAKE_NODES], *directors[FAKE_DIRECTORS];
    bool silent[FAKE_DIRECTORS];
    unsigned map_asked[FAKE_DIRECTORS], map_asked_nodes;
    uint64_t version;
    bool exchanged, unplaced;
    int primaries[FAKE_PARTITIONS];
    uint64_t epochs[FAKE_PARTITIONS];
    fake_handler *handler;
    struct fake_seen seen[FAKE_SEEN_MAX];
    unsigned seen_count;
    struct rpc_request *kept;
    struct {
        struct rpc_server *server;
        struct rpc_peer_id id;
    } peers[PEERS_MAX];
    unsigned peer_count;

    struct loop *loop;
    struct store *store;
} f;

/* ---- answers */

static void pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    out->len = protobuf_c_message_pack(message, buf_reserve(out, size + 1));
}

void fake_reply(struct rpc_request *request, enum err status, const ProtobufCMessage *response,
                struct slice body)
{
    struct buf packed = { 0 }, bytes = { 0 };
    if (response != NULL)
        pack(response, &packed);
    buf_add_slice(&bytes, body);
    rpc_reply(&request, status, NULL, &packed, &bytes);
}

void fake_reply_hint(struct rpc_request *request, enum err status, int node, uint64_t time_ms)
{
    struct rpc_reply_info info = { .time_ms = time_ms };
    if (node >= 0)
        info.primary_hint = rpc_server_endpoint(f.nodes[node]);
    rpc_reply(&request, status, &info, NULL, NULL);
}

void fake_keep(struct rpc_request *request)
{
    request->next = f.kept;
    f.kept = request;
}

/* ---- the map */

static void reply_map(struct rpc_request *request)
{
    Tern__MapRequest *asked = tern__map_request__unpack(NULL, request->request.len, request->request.data);
    Tern__MapResponse response = TERN__MAP_RESPONSE__INIT;
    Tern__Map map = TERN__MAP__INIT;
    Tern__NodeInfo infos[FAKE_NODES], *nodes[FAKE_NODES];
    Tern__PartitionConf confs[FAKE_PARTITIONS], *partitions[FAKE_PARTITIONS];
    Tern__Domain domain = TERN__DOMAIN__INIT, *domains[] = { &domain };
    for (int i = 0; i < FAKE_NODES; i++) {
        tern__node_info__init(&infos[i]);
        infos[i].id = (uint32_t)i + 1;
        infos[i].endpoint = (char *)rpc_server_endpoint(f.nodes[i]);
        nodes[i] = &infos[i];
    }
    for (uint32_t i = 0; i < FAKE_PARTITIONS; i++) {
        tern__partition_conf__init(&confs[i]);
        confs[i].partition = i;
        confs[i].epoch = f.epochs[i];
        confs[i].primary = (uint32_t)f.primaries[i] + 1;
        partitions[i] = &confs[i];
    }
    domain.name = (char *)"example.test";
    map.version = f.version;
    map.cluster_id = (ProtobufCBinaryData){ 4, (uint8_t *)(f.exchanged ? "else" : "fake") };
    map.partition_count = FAKE_PARTITIONS;
    map.nodes = nodes;
    map.n_nodes = FAKE_NODES;
    map.partitions = partitions;
    map.n_partitions = f.unplaced ? 0 : FAKE_PARTITIONS;
    map.domains = domains;
    map.n_domains = 1;
    if (f.version > asked->have_version)
        response.map = &map;
    tern__map_request__free_unpacked(asked, NULL);
    fake_reply(request, OK, &response.base, SLICE_NULL);
}

/* ---- servers */

static void remember_peer(struct rpc_request *request)
{
    for (unsigned i = 0; i < f.peer_count; i++) {
        if (f.peers[i].server == request->server && f.peers[i].id.len == request->peer.len &&
            memcmp(f.peers[i].id.bytes, request->peer.bytes, request->peer.len) == 0)
            return;
    }
    assert_true(f.peer_count < PEERS_MAX);
    f.peers[f.peer_count].server = request->server;
    f.peers[f.peer_count++].id = request->peer;
}

static void handle_director(struct rpc_request *request, void *arg)
{
    int director = (int)(intptr_t)arg;
    pthread_mutex_lock(&f.lock);
    remember_peer(request);
    f.map_asked[director]++;
    if (f.silent[director])
        fake_keep(request);
    else
        reply_map(request);
    pthread_mutex_unlock(&f.lock);
}

static unsigned count_locked(uint32_t method)
{
    unsigned count = 0;
    for (unsigned i = 0; i < f.seen_count; i++)
        count += method == 0 || f.seen[i].method == method;
    return count;
}

static void handle_node(struct rpc_request *request, void *arg)
{
    int node = (int)(intptr_t)arg;
    pthread_mutex_lock(&f.lock);
    remember_peer(request);
    if (request->method == METHOD_MAP) {
        f.map_asked_nodes++;
        reply_map(request);
    } else {
        unsigned nth = count_locked(request->method);
        assert_true(f.seen_count < FAKE_SEEN_MAX);
        struct fake_seen *seen = &f.seen[f.seen_count++];
        *seen = (struct fake_seen){ .node = node,
                                    .method = request->method,
                                    .partition = request->partition,
                                    .has_request_id = request->has_request_id,
                                    .body_len = request->body.len };
        memcpy(seen->request_id, request->request_id, sizeof seen->request_id);
        f.handler(node, request, nth);
    }
    pthread_mutex_unlock(&f.lock);
}

static struct rpc_server *start_server(rpc_handler *handler, int number)
{
    struct rpc_server *server;
    struct rpc_server_options options = { .zmq = f.zmq,
                                          .endpoint = "tcp://127.0.0.1:0",
                                          .requests_max = REQUESTS_MAX,
                                          .handler = handler,
                                          .arg = (void *)(intptr_t)number };
    assert_int_equal(rpc_server_start(&options, &server), OK);
    return server;
}

static void start_cluster(void)
{
    memset(&f, 0, sizeof f);
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE); /* handlers call what the test calls */
    pthread_mutex_init(&f.lock, &attr);
    pthread_mutexattr_destroy(&attr);
    f.zmq = zmq_ctx_new();
    f.version = 1;
    f.exchanged = f.unplaced = false;
    for (int i = 0; i < FAKE_PARTITIONS; i++) {
        f.primaries[i] = i % FAKE_NODES;
        f.epochs[i] = 1;
    }
    for (int i = 0; i < FAKE_NODES; i++)
        f.nodes[i] = start_server(handle_node, i);
    for (int i = 0; i < FAKE_DIRECTORS; i++)
        f.directors[i] = start_server(handle_director, i);
}

static void stop_cluster(void)
{
    for (int i = 0; i < FAKE_NODES; i++)
        rpc_server_stop(f.nodes[i]);
    for (int i = 0; i < FAKE_DIRECTORS; i++)
        rpc_server_stop(f.directors[i]);
    while (f.kept != NULL) {
        struct rpc_request *request = f.kept;
        f.kept = request->next;
        rpc_reply(&request, ERR_CANCELLED, NULL, NULL, NULL);
    }
    for (int i = 0; i < FAKE_NODES; i++)
        rpc_server_free(&f.nodes[i]);
    for (int i = 0; i < FAKE_DIRECTORS; i++)
        rpc_server_free(&f.directors[i]);
    zmq_ctx_term(f.zmq);
    pthread_mutex_destroy(&f.lock);
}

/* ---- the store under test */

static void wait_ready(void)
{
    assert_int_equal(store_wait_ready(f.store, loop_deadline_ms(READY_MS)), OK);
}

static void new_store(void)
{
    const char *directors[FAKE_DIRECTORS];
    for (int i = 0; i < FAKE_DIRECTORS; i++)
        directors[i] = rpc_server_endpoint(f.directors[i]);
    assert_int_equal(loop_new(&f.loop), OK);
    f.store = store_new(f.loop,
                        &(struct store_options){ .directors = directors, .director_count = FAKE_DIRECTORS });
    fake_run(wait_ready);
}

static void free_store(void)
{
    store_free(&f.store);
    fiber_yield(); /* the loop lets go of what was closed */
}

struct store *fake_start(fake_handler *handler)
{
    start_cluster();
    fake_set_handler(handler);
    new_store();
    return f.store;
}

int fake_teardown(void **state)
{
    (void)state;
    fake_run(free_store);
    loop_free(&f.loop);
    stop_cluster();
    return 0;
}

struct loop *fake_loop(void)
{
    return f.loop;
}

void fake_run(void (*fn)(void))
{
    run_fiber(f.loop, fn);
}

/* ---- the test's side */

void fake_read_uids(ProtobufCBinaryData bytes, struct uidset *out)
{
    assert_int_equal(uids_read(bytes, out), OK);
}

void fake_set_handler(fake_handler *handler)
{
    pthread_mutex_lock(&f.lock);
    f.handler = handler;
    pthread_mutex_unlock(&f.lock);
}

unsigned fake_count(uint32_t method)
{
    pthread_mutex_lock(&f.lock);
    unsigned count = count_locked(method);
    pthread_mutex_unlock(&f.lock);
    return count;
}

void fake_expect(uint32_t method, unsigned count)
{
    enum { COME_MS = 5000, MORE_MS = 50, POLL_MS = 5 };
    uint64_t until_ms = loop_deadline_ms(COME_MS);
    while (fake_count(method) < count && loop_now_ms() < until_ms)
        fiber_sleep_ms(POLL_MS);
    fiber_sleep_ms(MORE_MS);
    assert_int_equal(fake_count(method), count);
}

struct fake_seen fake_seen(uint32_t method, unsigned nth)
{
    struct fake_seen found = { .node = -1 };
    pthread_mutex_lock(&f.lock);
    for (unsigned i = 0; i < f.seen_count && found.node < 0; i++) {
        if ((method == 0 || f.seen[i].method == method) && nth-- == 0)
            found = f.seen[i];
    }
    pthread_mutex_unlock(&f.lock);
    assert_true(found.node >= 0);
    return found;
}

void fake_notify(uint32_t method, const ProtobufCMessage *notice)
{
    struct buf packed = { 0 };
    pack(notice, &packed);
    pthread_mutex_lock(&f.lock);
    for (unsigned i = 0; i < f.peer_count; i++)
        rpc_notify(f.peers[i].server, &f.peers[i].id, method, 0, buf_slice(&packed));
    pthread_mutex_unlock(&f.lock);
    buf_fini(&packed);
}

void fake_move(uint32_t partition, int node)
{
    pthread_mutex_lock(&f.lock);
    f.primaries[partition] = node;
    f.epochs[partition]++;
    f.version++;
    pthread_mutex_unlock(&f.lock);
}

void fake_put_back(uint32_t partition, int node)
{
    pthread_mutex_lock(&f.lock);
    f.primaries[partition] = node;
    f.epochs[partition]--;
    f.version++;
    pthread_mutex_unlock(&f.lock);
}

void fake_exchange(void)
{
    pthread_mutex_lock(&f.lock);
    f.exchanged = true;
    f.version++;
    pthread_mutex_unlock(&f.lock);
}

void fake_unplace(void)
{
    pthread_mutex_lock(&f.lock);
    f.unplaced = true;
    f.version++;
    pthread_mutex_unlock(&f.lock);
}

void fake_silence_director(int director, bool silent)
{
    pthread_mutex_lock(&f.lock);
    f.silent[director] = silent;
    pthread_mutex_unlock(&f.lock);
}

unsigned fake_map_asked(int director)
{
    pthread_mutex_lock(&f.lock);
    unsigned count = director < 0 ? f.map_asked_nodes : f.map_asked[director];
    pthread_mutex_unlock(&f.lock);
    return count;
}
