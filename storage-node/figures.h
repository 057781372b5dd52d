/* SPDX-License-Identifier: Apache-2.0 */
/* The node's figures for Prometheus, and whether its partitions serve. */
#ifndef STORAGE_NODE_FIGURES_H
#define STORAGE_NODE_FIGURES_H

#include "storage-node/partition/read/reader.h"
#include "storage-node/partition/report/faults.h"
#include "storage-node/partition/worker/worker.h"
#include "storage-node/peer/peers.h"
#include "storage-node/rpc/dispatch.h"

struct node_figures {
    struct kv *kv;
    struct worker_pool *workers;
    struct reader_pool *readers;
    struct dispatch *dispatch;
    struct peers *peers;
    struct faults *faults;
};

/* Register what is filled in; all of it lives until the HTTP server has ended. */
void node_figures_register(struct node_figures *f);
/* Adds a line a reason why this node does not serve what the map says it should. */
void node_figures_not_ready(struct directory *directory, struct map_holder *map, uint32_t node_id,
                            struct buf *reasons);

#endif
