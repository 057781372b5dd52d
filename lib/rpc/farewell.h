/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a server's connections, so that no answer is lost in it. A client's socket (ZMQ_IMMEDIATE, see
 * conn.c) throws away what it has received and nobody has read yet when the other end hangs up. So a server
 * does not hang up on those it has just sent something to before they have read it: it sends each of them a
 * farewell, a notice behind everything else, and the client sends it back.
 *
 * Only for lib/rpc; everything on one thread at a time. */
#ifndef LIB_RPC_FAREWELL_H
#define LIB_RPC_FAREWELL_H

#include <stdint.h>

#include "lib/rpc/doors.h"
#include "lib/rpc/server.h"

enum {
    FAREWELL_METHOD = 119,     /* of the notice and of what comes back, whose answer nobody waits for */
    FAREWELL_PEERS_MAX = 256,  /* who was sent something longest ago goes without one beyond it */
    FAREWELL_RECENT_MS = 2000, /* what was sent before was read */
    FAREWELL_WAIT_MS = 1000,   /* for clients that do not read */
};

struct farewell_peer {
    struct rpc_peer_id id;
    uint64_t sent_mono_ms;
};

/* Zero-initialised is nobody. */
struct farewell {
    struct farewell_peer peers[FAREWELL_PEERS_MAX];
    size_t count;
};

/* Something was sent to this peer. */
void farewell_note(struct farewell *farewell, const struct rpc_peer_id *peer);
/* Wait until everybody who was sent something in the last FAREWELL_RECENT_MS has read it or is gone, at most
 * FAREWELL_WAIT_MS. Requests that come are dropped. Blocks: clients on this very thread do not read. */
void farewell_wait(struct farewell *farewell, const struct doors *doors);

#endif
