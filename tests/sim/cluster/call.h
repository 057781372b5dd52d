/* SPDX-License-Identifier: Apache-2.0 */
/* One request of a front-end to one node, and its answer if it comes back. */
#ifndef TESTS_SIM_CLUSTER_CALL_H
#define TESTS_SIM_CLUSTER_CALL_H

#include "lib/base/buf.h"
#include "lib/rpc/endpoint.h"
#include "storage-node/partition/request.h"
#include "tests/sim/cluster/cluster.h"

struct call {
    struct event event; /* first */
    struct partition_request base;
    struct cluster *c;
    int slot, frontend;
    uint64_t node_boot, left_ms;
    bool adds_mail; /* a disk that is nearly full does not take it */
    struct buf request, body;
    enum err status;
    struct buf response, bytes;
    uint64_t time_ms, map_version; /* the partition's; the node's */
    char hint[RPC_ENDPOINT_MAX];
    uint64_t number; /* the sender's own (rpc.c) */
    /* The answer came; it is the call's. */
    void (*answered)(struct call *call);
    void *arg;
};

/* To the node at `slot`, which has left_ms of its own time for it. The request is to be filled by the caller,
 * before call_send: method, kind, request and body, request id, peer. */
/* For worker_pool_options.read: arg is the node. */
void call_committed(void *arg, struct partition_request *request);
struct call *call_new(struct cluster *c, int frontend, int slot, int partition, uint64_t left_ms);
/* Takes it over. */
void call_send(struct call *call);

#endif
