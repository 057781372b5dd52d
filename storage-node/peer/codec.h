/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between replicas and beats, to and from frames (proto/replication.proto). Pure. */
#ifndef STORAGE_NODE_PEER_CODEC_H
#define STORAGE_NODE_PEER_CODEC_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "storage-node/partition/partition.h"
#include "storage-node/partition/worker.h"
#include "storage-node/peer/link.h"

enum { PEER_VERSION = 1, PEER_PARTS_MAX = PARTITION_COUNT_MAX };

struct peer_ends {
    struct replica_node from, to;
};

/* An Append's entries, gathered before it is encoded. Zero-initialised is empty. */
struct peer_entries {
    uint64_t epochs[REPLICA_APPEND_COUNT_MAX];
    uint32_t entry_sizes[REPLICA_APPEND_COUNT_MAX], body_sizes[REPLICA_APPEND_COUNT_MAX];
    uint32_t count;
    struct buf entries, bodies; /* the second and third frame */
};

/* The Append's entries from memory or log, as many as its bound of bytes allows and one at least. False if
 * there is none: they were cut meanwhile, and the core will ask for others. */
bool peer_gather(struct partition *p, const struct replica_msg *msg, struct peer_entries *out);
/* Every type but beats. `entries` (an Append's; else NULL) gives its buffers away; a chunk's handle points to
 * the struct slice of its rows. */
void peer_encode(uint32_t partition, const struct peer_ends *ends, const struct replica_msg *msg,
                 struct peer_entries *entries, struct buf frames[LINK_FRAMES]);
/* ERR_PROTOCOL unless the frames are such a message; *out is freed with worker_message_free or pushed. */
MUST_CHECK enum err peer_decode(const struct slice frames[LINK_FRAMES], struct peer_ends *ends_out,
                                struct worker_message **out);

void peer_encode_beats(const struct peer_ends *ends, const struct beats *beats,
                       struct buf frames[LINK_FRAMES]);
/* out->parts is allocated, the caller frees it; out->peer is the sender. ERR_PROTOCOL. */
MUST_CHECK enum err peer_decode_beats(const struct slice frames[LINK_FRAMES], struct peer_ends *ends_out,
                                      struct beats *out);

#endif
