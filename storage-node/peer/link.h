/* SPDX-License-Identifier: Apache-2.0 */
/* One kind of traffic between storage nodes: a ROUTER socket that hears everybody and a DEALER socket to each
 * node it talks to; or only the latter, to the ROUTER socket of another link. A message is one frame.
 * Messages may be lost (a node that is not connected, a full queue): the replicas repeat what matters.
 *
 * Whoever has something to say gives it to ZeroMQ on its own thread, under the lock of the node's socket (a
 * socket may go from thread to thread behind a full fence), so that no other thread has to wake up for it.
 * The link's thread opens and closes these sockets and reads from the ROUTER socket.
 *
 * Pressure: what waits for one node is bounded in bytes, counted until ZeroMQ has written it to the
 * connection; more is dropped. A receiver that falls behind stops reading, so that the sender's bytes pile up
 * there. */
#ifndef STORAGE_NODE_PEER_LINK_H
#define STORAGE_NODE_PEER_LINK_H

#include <stdbool.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "lib/rpc/keys.h"

enum {
    LINK_NODES_MAX = 1024,
    LINK_MESSAGES_MAX = 1000, /* waiting for one node */
};

struct link;

struct link_options {
    void *zmq;
    struct rpc_keys *keys; /* NULL: none */
    enum rpc_service service;
    const char *endpoint; /* to bind; NULL: nobody is heard here */
    const char *name;     /* of the thread */
    size_t queue_bytes_max;
    int unsent_bytes_max; /* given to the kernel for one node and not acknowledged by it; 0: as it likes */
    /* On the link's thread. The frame is valid during the call. */
    void (*receive)(void *arg, struct slice frame);
    /* On the link's thread: nothing more waits, or the caller has had its share. NULL: nothing to do. */
    void (*received)(void *arg);
    /* On the link's thread: may more be read now? Asked again after a moment. NULL: always. */
    bool (*may_receive)(void *arg);
    void *arg;
};

struct link_stats {
    _Atomic uint64_t sent, received, dropped, malformed, sent_bytes, received_bytes;
};

/* Binds; logged if it cannot. Nothing is read before link_start. */
MUST_CHECK enum err link_bind(const struct link_options *options, struct link **out);
const char *link_endpoint(const struct link *link);
MUST_CHECK enum err link_start(struct link *link);
/* Any thread: where a node is found; "" or NULL: nowhere. Repeating the same is cheap. */
void link_set_node(struct link *link, uint32_t node, const char *endpoint);
/* Any thread; never waits for the other node. Takes the buffer's memory, in every case; false: dropped here.
 */
bool link_send(struct link *link, uint32_t node, struct buf *frame);
/* Ends the thread and closes the sockets; what was not written yet is dropped. link_send may still be called,
 * and drops. */
void link_stop(struct link *link);
/* After zmq_ctx_term: ZeroMQ counts bytes down until then. */
void link_free(struct link **link);
const struct link_stats *link_get_stats(const struct link *link);

#endif
