/* SPDX-License-Identifier: Apache-2.0 */
/* From the wire to the partitions: every request that comes in is answered here or given to the thread it
 * belongs to.
 *
 *   METHOD_WRITE, METHOD_MEMORY -> the partition's worker      METHOD_READ, METHOD_NODE -> a reader
 *   METHOD_MAP -> the last map                                 anything else -> ERR_UNSUPPORTED
 *   METHOD_READ with `linearizable_reads = "barrier"` -> the partition's worker, which hands it to a reader
 *   once an entry was committed after it came
 *
 * Pressure: at most DISPATCH_BYTES_MAX of requests under way (beyond: ERR_BUSY). While the disk of this node
 * is short of space, and for partitions of which fewer than min_members members have space, writes that add
 * mail are refused with ERR_NO_SPACE and everything else goes on (P9). */
#ifndef STORAGE_NODE_RPC_DISPATCH_H
#define STORAGE_NODE_RPC_DISPATCH_H

#include "lib/rpc/server.h"
#include "storage-node/partition/read/reader.h"
#include "storage-node/partition/worker/worker.h"
#include "storage-node/rpc/map_holder.h"

enum {
    DISPATCH_BYTES_MAX = 256 * 1024 * 1024,
    DISPATCH_REQUESTS_MAX = 50 * 1000, /* unanswered requests of a node */
};

struct dispatch;

struct dispatch *dispatch_new(struct map_holder *map);
/* No request is under way any more. */
void dispatch_free(struct dispatch **d);
/* For rpc_server_options: handler with the dispatch as arg. On the network thread. */
rpc_handler dispatch_handle;
/* Before dispatch_open: reads wait for a commit instead of trusting a lease (partition_push). */
void dispatch_set_reads_commit(struct dispatch *d);
/* From now on requests of partitions are served; before, they are answered ERR_UNAVAILABLE. */
void dispatch_open(struct dispatch *d, struct worker_pool *workers, struct reader_pool *readers);
/* From now on everything is answered ERR_UNAVAILABLE: the node ends. */
void dispatch_drain(struct dispatch *d);
void dispatch_set_disk_low(struct dispatch *d, bool low);
/* Nodes whose disks are short of space, by id; replaces the last list. Any thread. */
void dispatch_set_full_nodes(struct dispatch *d, const uint32_t *nodes, size_t count);
void dispatch_set_stalled(struct dispatch *d,
                          bool stalled); /* the store asks for a pause: writes are ERR_BUSY */
/* Bytes of requests under way. */
uint64_t dispatch_bytes(const struct dispatch *d);

/* For worker_pool_options.notify; arg is the rpc_server. */
void dispatch_notify(void *server, const struct partition_peer *peer, uint32_t method, uint32_t partition,
                     struct slice packed);

#endif
