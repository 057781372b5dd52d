/* SPDX-License-Identifier: Apache-2.0 */
/* Several storage nodes in one thread: the real driver, core, state machine and codec, each node on a
 * database in memory; virtual time, network and director. One partition, whose writes are chunks of uploads:
 * a body each, and one that is repeated must have no second effect. A seed decides everything. */
#ifndef TESTS_SIM_CLUSTER_CLUSTER_H
#define TESTS_SIM_CLUSTER_CLUSTER_H

#include "director/conf.h"
#include "storage-node/peer/codec.h"

enum { NODES = 3, PARTITION = 5, WRITES_MAX = 4000, INDEX_MAX = 20000 };

struct packet {
    struct packet *next;
    uint64_t at_ns, sent_at;
    uint32_t from, to;
    bool beat;
    struct replica_msg msg; /* beats and their answers */
    struct buf frames[LINK_FRAMES];
};

struct ask {
    struct ask *next;
    uint64_t at_ns;
    bool answered; /* on its way back with `conf` */
    struct partition_ask ask;
    uint32_t node, boot;
    struct conf conf;
};

struct node {
    struct cluster *c;
    uint32_t id, boot;
    struct kv *kv;
    struct kv_batch *batch;
    struct apply_round *round;
    struct partition *p; /* NULL: down */
    struct partition_public pub;
    struct partition_stats stats;
    struct partition_host host;
    struct peer_transport transport;
    struct inbox_chain jobs;
    uint64_t up_at_ns, next_beat_ns, map_epoch, checked;
    bool crashing;
};

struct write {
    bool acked;
    bool pending;
    uint8_t request_id[REQUEST_ID_SIZE];
    uint64_t retry_at_ns;
};

struct cluster {
    uint64_t rand, now_ns;
    struct conf conf; /* the director's */
    struct node nodes[NODES];
    struct packet *packets;
    struct ask *asks;
    uint64_t cut_until[NODES][NODES]; /* one way */
    struct write writes[WRITES_MAX];
    uint32_t write_count;
    uint64_t chains[INDEX_MAX]; /* by index, of whoever applied it first */
    uint64_t crashes, cuts, copies, acked;
    uint32_t log_keep;
    bool calm, failed, trace;
    char failure[256];
};

uint64_t cluster_below(struct cluster *c, uint64_t n);
void cluster_fail(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* cluster_check.c */
/* Replicas that applied the same index applied the same entries. */
void check_chain(struct node *n);
/* Are all nodes members that have applied the same? */
bool check_converged(struct cluster *c);
/* Every node has the same rows and bodies, and what was acknowledged is there. */
void check_rows(struct cluster *c);

#endif
