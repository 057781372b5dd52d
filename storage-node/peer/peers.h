/* SPDX-License-Identifier: Apache-2.0 */
/* The other storage nodes, as the partitions of this one see them: a transport for their messages, and what
 * comes in handed to the workers. Entries, acknowledgements and copies go over one link, beats over another
 * with a thread of its own, so that no bulk delays a lease. Chunks of copies have connections of their own to
 * the first one: an entry, for which somebody waits, would stand behind all chunks that are on their way. So
 * they may arrive in another order than they were said in.
 *
 * A beat says its number and this process's id; the time noted for it is from before it was queued, so a
 * lease never counts from too late (R17). Nodes are named by id and store id; what is meant for another is
 * dropped (R26).
 *
 * Every frame says what its sender speaks (voices.h), so programs of neighbouring versions work side by side.
 * One that has been replaced by an older program is still sent frames that it cannot read, and would never
 * speak by itself, for a learner only answers: what cannot be read is answered by an empty beat, which says
 * what can. */
#ifndef STORAGE_NODE_PEER_PEERS_H
#define STORAGE_NODE_PEER_PEERS_H

#include "lib/rpc/keys.h"
#include "proto/cluster.pb-c.h"
#include "storage-node/partition/worker/worker.h"
#include "storage-node/peer/codec.h"

enum {
    PEER_QUEUE_BYTES_MAX = 64 * 1024 * 1024,   /* waiting for one node; beyond it messages are dropped */
    PEER_RECEIVE_BYTES_MAX = 64 * 1024 * 1024, /* received and not worked on: reading stops above it */
    PEER_COPY_UNSENT_MAX = 1024 * 1024, /* of copies for one node that the network has: others' packets stand
                                          behind them in the switch, 8 ms at 1 Gbit/s */
    PEER_GATHER_BYTES = 256 * 1024,     /* of these, received together and handed on together */
    PEER_BEAT_BYTES_MAX = 4 * 1024 * 1024,
    PEER_BEATS_REMEMBERED = 16384, /* newest beats whose answers count */
};

struct peers;

/* Binds two sockets, for the storage nodes of the allow-list if there are keys (NULL: none); logged if it
 * cannot. The endpoints are borrowed during the call. `speech` is what this node speaks and says so. */
MUST_CHECK enum err peers_bind(void *zmq, struct rpc_keys *keys, const char *endpoint,
                               const char *beat_endpoint, struct peer_speech speech, struct peers **out);
const char *peers_endpoint(const struct peers *peers);
const char *peers_beat_endpoint(const struct peers *peers);

/* Once: one for each worker; valid until peers_free. Before peers_start nothing leaves. */
const struct peer_transport *peers_transports(struct peers *peers, struct replica_node self,
                                              uint32_t workers);
MUST_CHECK enum err peers_start(struct peers *peers, struct worker_pool *workers);
/* Any thread: where the nodes are. */
void peers_take_map(struct peers *peers, const Tern__Map *map);

/* Nothing is handed to the workers any more; what they still send is dropped. No effect on NULL. */
void peers_stop(struct peers *peers);
/* After the workers have ended and after zmq_ctx_term. */
void peers_free(struct peers **peers);

struct peers_figures {
    uint64_t sent, received, dropped, malformed, sent_bytes, received_bytes;
    uint64_t bundles_sent, bundles_received; /* in which these messages went */
    uint64_t beats_sent, beats_received, beats_dropped;
    uint64_t strangers; /* nodes with which this one shares no version of messages */
};
void peers_figures(const struct peers *peers, struct peers_figures *out);

#endif
