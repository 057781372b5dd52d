/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/storage-node/node/fake_director.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/server.h"
#include "proto/cluster.pb-c.h"
#include "proto/methods.h"

enum { NODE_ID = 7 };

struct fake_director {
    struct rpc_server *server;
    pthread_mutex_t lock; /* guards what follows */
    uint32_t partition_count, promotions;
    uint32_t node_id;         /* what hellos are answered with */
    uint32_t said_id, hellos; /* in the newest hello */
    bool said_placed, unplaced;
    uint64_t version;
    uint64_t *epochs;
    char node_endpoint[RPC_ENDPOINT_MAX];
    uint8_t store_id[16];
    uint32_t hold; /* the next request of this method; 0: none */
    struct rpc_request *held;
    uint64_t held_at_ms, held_ms;
};

static void reply_packed(struct rpc_request *rpc, enum err status, const ProtobufCMessage *message)
{
    struct buf packed = { 0 };
    size_t size = protobuf_c_message_get_packed_size(message);
    packed.len = protobuf_c_message_pack(message, buf_reserve(&packed, size + 1));
    rpc_reply(&rpc, status, NULL, &packed, NULL);
    buf_fini(&packed);
}

static void keep(struct fake_director *d, struct rpc_request *rpc)
{
    d->hold = 0;
    d->held = rpc;
    d->held_at_ms = clock_mono_ms();
}

static void release(struct fake_director *d)
{
    if (d->held != NULL)
        rpc_reply(&d->held, ERR_UNAVAILABLE, NULL, NULL, NULL);
}

static void on_hello(struct fake_director *d, struct rpc_request *rpc)
{
    if (d->held != NULL)
        d->held_ms = clock_mono_ms() - d->held_at_ms;
    release(d);
    Tern__NodeHelloRequest *req = tern__node_hello_request__unpack(NULL, rpc->request.len, rpc->request.data);
    Tern__NodeHelloResponse response = TERN__NODE_HELLO_RESPONSE__INIT;
    snprintf(d->node_endpoint, sizeof d->node_endpoint, "%s", req->node->endpoint);
    memcpy(d->store_id, req->node->store_id.data, sizeof d->store_id);
    d->said_id = req->node->id;
    d->said_placed = req->placed;
    d->hellos++;
    if (d->version == 0)
        d->version = 1;
    response.node_id = d->node_id;
    response.map_version = d->version;
    tern__node_hello_request__free_unpacked(req, NULL);
    reply_packed(rpc, OK, &response.base);
}

static void fill_conf(struct fake_director *d, uint32_t partition, uint32_t *member, Tern__PartitionConf *out)
{
    tern__partition_conf__init(out);
    *member = NODE_ID;
    out->partition = partition;
    out->epoch = d->epochs[partition];
    out->primary = NODE_ID;
    out->since = 1;
    out->n_members = 1;
    out->members = member;
}

static void on_map(struct fake_director *d, struct rpc_request *rpc)
{
    Tern__MapRequest *req = tern__map_request__unpack(NULL, rpc->request.len, rpc->request.data);
    Tern__MapResponse response = TERN__MAP_RESPONSE__INIT;
    Tern__Map map = TERN__MAP__INIT;
    Tern__NodeInfo node = TERN__NODE_INFO__INIT, *nodes[] = { &node };
    Tern__PartitionConf *confs = NEW_ARRAY(Tern__PartitionConf, d->partition_count);
    Tern__PartitionConf **list = NEW_ARRAY(Tern__PartitionConf *, d->partition_count);
    uint8_t cluster_id[16] = { 1 };
    uint32_t member;
    for (uint32_t i = 0; i < d->partition_count; i++) {
        fill_conf(d, i, &member, &confs[i]);
        list[i] = &confs[i];
    }
    node.id = NODE_ID;
    node.endpoint = d->node_endpoint;
    node.store_id = (ProtobufCBinaryData){ sizeof d->store_id, d->store_id };
    map.version = d->version;
    map.cluster_id = (ProtobufCBinaryData){ sizeof cluster_id, cluster_id };
    map.partition_count = d->partition_count;
    map.copies = map.min_members = 1;
    map.n_nodes = 1;
    map.nodes = nodes;
    map.n_partitions = d->unplaced ? 0 : d->partition_count;
    map.partitions = list;
    if (d->version > req->have_version)
        response.map = &map;
    reply_packed(rpc, OK, &response.base);
    tern__map_request__free_unpacked(req, NULL);
    free(confs);
    free(list);
}

static void on_change(struct fake_director *d, struct rpc_request *rpc)
{
    Tern__ConfChangeRequest *req =
        tern__conf_change_request__unpack(NULL, rpc->request.len, rpc->request.data);
    Tern__ConfChangeResponse response = TERN__CONF_CHANGE_RESPONSE__INIT;
    Tern__PartitionConf conf;
    uint32_t member;
    enum err status = OK;
    if (req->change == TERN__CONF_CHANGE__CONF_PROMOTE) {
        if (req->epoch == d->epochs[req->partition]) {
            d->epochs[req->partition]++;
            d->version++;
            d->promotions++;
        } else {
            status = ERR_CONFLICT;
        }
    }
    fill_conf(d, req->partition, &member, &conf);
    response.conf = &conf;
    reply_packed(rpc, status, &response.base);
    tern__conf_change_request__free_unpacked(req, NULL);
}

static void handle(struct rpc_request *rpc, void *arg)
{
    struct fake_director *d = arg;
    pthread_mutex_lock(&d->lock);
    if (rpc->method == d->hold)
        keep(d, rpc);
    else if (rpc->method == METHOD_NODE_HELLO)
        on_hello(d, rpc);
    else if (rpc->method == METHOD_MAP)
        on_map(d, rpc);
    else if (rpc->method == METHOD_CONF_CHANGE)
        on_change(d, rpc);
    else
        rpc_reply(&rpc, ERR_UNSUPPORTED, NULL, NULL, NULL);
    pthread_mutex_unlock(&d->lock);
}

struct fake_director *fake_director_start(void *zmq, uint32_t partition_count)
{
    struct fake_director *d = NEW(struct fake_director);
    struct rpc_server_options options = {
        .zmq = zmq,
        .endpoint = "tcp://127.0.0.1:0",
        .requests_max = 1000,
        .handler = handle,
        .arg = d,
    };
    pthread_mutex_init(&d->lock, NULL);
    d->partition_count = partition_count;
    d->node_id = NODE_ID;
    d->epochs = NEW_ARRAY(uint64_t, partition_count);
    for (uint32_t i = 0; i < partition_count; i++)
        d->epochs[i] = 1;
    if (rpc_server_start(&options, &d->server) != OK)
        abort();
    return d;
}

void fake_director_stop(struct fake_director **d)
{
    if (*d == NULL)
        return;
    release(*d);
    rpc_server_free(&(*d)->server);
    pthread_mutex_destroy(&(*d)->lock);
    free((*d)->epochs);
    free(*d);
    *d = NULL;
}

const char *fake_director_endpoint(const struct fake_director *d)
{
    return rpc_server_endpoint(d->server);
}

void fake_director_call_node(struct fake_director *d, uint32_t id)
{
    pthread_mutex_lock(&d->lock);
    d->node_id = id;
    d->hellos = 0;
    pthread_mutex_unlock(&d->lock);
}

uint32_t fake_director_said_id(struct fake_director *d, uint32_t *hellos_out)
{
    pthread_mutex_lock(&d->lock);
    uint32_t id = d->said_id;
    *hellos_out = d->hellos;
    pthread_mutex_unlock(&d->lock);
    return id;
}

bool fake_director_said_placed(struct fake_director *d)
{
    pthread_mutex_lock(&d->lock);
    bool placed = d->said_placed;
    pthread_mutex_unlock(&d->lock);
    return placed;
}

void fake_director_unplace(struct fake_director *d, bool unplaced)
{
    pthread_mutex_lock(&d->lock);
    d->unplaced = unplaced;
    d->version++;
    d->hellos = 0;
    pthread_mutex_unlock(&d->lock);
}

void fake_director_hold(struct fake_director *d, uint32_t method)
{
    pthread_mutex_lock(&d->lock);
    d->hold = method;
    d->held_ms = 0;
    d->version += method == METHOD_MAP; /* so that it is asked for */
    pthread_mutex_unlock(&d->lock);
}

uint64_t fake_director_held_ms(struct fake_director *d)
{
    pthread_mutex_lock(&d->lock);
    uint64_t ms = d->held_ms;
    pthread_mutex_unlock(&d->lock);
    return ms;
}

uint32_t fake_director_promotions(struct fake_director *d)
{
    pthread_mutex_lock(&d->lock);
    uint32_t n = d->promotions;
    pthread_mutex_unlock(&d->lock);
    return n;
}

void fake_director_node_endpoint(struct fake_director *d, char *out, size_t size)
{
    pthread_mutex_lock(&d->lock);
    snprintf(out, size, "%s", d->node_endpoint);
    pthread_mutex_unlock(&d->lock);
}
