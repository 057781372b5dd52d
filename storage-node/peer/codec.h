/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between replicas and beats, to and from frames (proto/replication.proto). Pure.
 *
 * Messages for one node travel together, in a bundle: each frame costs its own encryption, and each ZeroMQ
 * message the wake-up of some threads.
 *
 * A frame names the version that it is written in, and what its sender speaks: so each side knows the highest
 * that both do, and writes in that. Until it has heard the other it writes in the lowest. How a frame begins
 * (its sum, and the fields of its head that struct peer_ends has) is the same in all versions, so that
 * everybody understands who speaks and what, if nothing else. */
#ifndef STORAGE_NODE_PEER_CODEC_H
#define STORAGE_NODE_PEER_CODEC_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "storage-node/partition/partition.h"
#include "storage-node/partition/worker/worker.h"

enum {
    PEER_VERSION_MIN = 2, /* of frames: the lowest that this source speaks */
    PEER_VERSION = 2,     /* and the highest */
    PEER_PARTS_MAX = PARTITION_COUNT_MAX,
    PEER_BUNDLE_COUNT_MAX = 1024,   /* messages in one */
    PEER_BUNDLE_BYTES = 256 * 1024, /* no message joins others beyond it; one alone may be larger */
};

/* What a node says that it speaks. */
struct peer_speech {
    uint8_t min, max; /* versions of frames; 0: it does not say, and so it is PEER_VERSION_MIN only */
    uint8_t machine;  /* the highest version of the state machine; 0: it does not say, and so it is 1 */
};

struct peer_ends {
    struct replica_node from, to;
    uint8_t version; /* of the frame; 0 when it is written: PEER_VERSION_MIN */
    struct peer_speech says;
};

/* The version for frames between two that speak so: the highest that both do. 0: there is none. */
uint8_t peer_version_of_both(struct peer_speech a, struct peer_speech b);

/* An Append's entries, gathered before it is encoded. Zero-initialised is empty; used again and again. */
struct peer_entries {
    uint64_t epochs[REPLICA_APPEND_COUNT_MAX];
    uint32_t entry_sizes[REPLICA_APPEND_COUNT_MAX], body_sizes[REPLICA_APPEND_COUNT_MAX];
    uint32_t count;
    struct buf data;        /* each entry with its body behind it */
    struct buf entry, body; /* scratch */
};

/* The Append's entries from memory or log, as many as its bound of bytes allows and one at least, in place of
 * what was there. False if there is none: they were cut meanwhile, and the core will ask for others. */
bool peer_gather(struct partition *p, const struct replica_msg *msg, struct peer_entries *out);
/* One more; there are fewer than REPLICA_APPEND_COUNT_MAX. */
void peer_entries_add(struct peer_entries *entries, uint64_t epoch, struct slice entry, struct slice body);
void peer_entries_fini(struct peer_entries *entries);

/* Zero-initialised but for `ends` is empty. */
struct peer_bundle {
    struct peer_ends ends;
    uint32_t count;   /* messages in it */
    struct buf frame; /* in the making */
};

/* Should a message that carries so many bytes still join? An empty bundle takes any. */
bool peer_bundle_has_room(const struct peer_bundle *bundle, size_t bytes);
/* Every type but beats, to bundle->ends.to. `entries` are an Append's, else NULL; a chunk's handle points to
 * the struct slice of its rows. All is copied. */
void peer_bundle_add(struct peer_bundle *bundle, uint32_t partition, const struct replica_msg *msg,
                     struct peer_entries *entries);
/* The frame of a bundle that is not empty, which it is afterwards. The caller frees it. */
struct buf peer_bundle_end(struct peer_bundle *bundle);

/* ERR_PROTOCOL unless the frame is a bundle; ERR_UNSUPPORTED, with *ends_out filled in, if its version is
 * above `version_max` or below PEER_VERSION_MIN. *out are its messages (struct worker_message), at least one
 * and in their order, for worker_pool_messages or peer_free_messages. */
MUST_CHECK enum err peer_decode(struct slice frame, uint8_t version_max, struct peer_ends *ends_out,
                                struct inbox_chain *out);
void peer_free_messages(struct inbox_chain *messages);

/* The caller frees the frame. */
struct buf peer_encode_beats(const struct peer_ends *ends, const struct beats *beats);
/* out->parts is allocated, the caller frees it; out->peer is the sender. Errors as peer_decode. */
MUST_CHECK enum err peer_decode_beats(struct slice frame, uint8_t version_max, struct peer_ends *ends_out,
                                      struct beats *out);

#endif
