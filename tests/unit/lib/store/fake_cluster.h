/* SPDX-License-Identifier: Apache-2.0 */
/* Directors and storage nodes that are just enough for the store client: they keep no mail, they count what
 * is asked of them and answer as the test says. Each is a real rpc server on loopback. */
#ifndef TESTS_UNIT_LIB_STORE_FAKE_CLUSTER_H
#define TESTS_UNIT_LIB_STORE_FAKE_CLUSTER_H

#include <protobuf-c/protobuf-c.h>

#include "lib/mail/uidset.h"
#include "lib/rpc/server.h"
#include "lib/store/store.h"

enum {
    FAKE_NODES = 2,
    FAKE_DIRECTORS = 2,
    FAKE_PARTITIONS = 4,
    FAKE_SEEN_MAX = 512,
};

/* What a request was, for asserts. */
struct fake_seen {
    int node;
    uint32_t method, partition;
    uint8_t request_id[16];
    bool has_request_id;
    size_t body_len;
};

/* Answers a request of a partition (fake_reply, or keep it for fake_keep); on a network thread, under the
 * fake's lock. `nth` counts the requests of this method from 0. */
typedef void fake_handler(int node, struct rpc_request *request, unsigned nth);

/* Start everything: partition p lives at node p % FAKE_NODES, and the nodes' requests go to `handler`. The
 * store under test, on a loop of its own; its map is known. */
struct store *fake_start(fake_handler *handler);
/* A test's end: the store and everything else is gone. */
int fake_teardown(void **state);
struct loop *fake_loop(void);
/* Run a function in a fiber of that loop. */
void fake_run(void (*fn)(void));

/* From here on the requests go to another. */
void fake_set_handler(fake_handler *handler);
/* Requests of a method so far (0: of all), and the nth of them. */
unsigned fake_count(uint32_t method);
struct fake_seen fake_seen(uint32_t method, unsigned nth);
/* Asserts that so many requests of a method come to the nodes, within some seconds, and no more. In a fiber.
 */
void fake_expect(uint32_t method, unsigned count);

/* The UIDs that a request names, added to *out; asserts that they can be read. */
void fake_read_uids(ProtobufCBinaryData bytes, struct uidset *out);
void fake_reply(struct rpc_request *request, enum err status, const ProtobufCMessage *response,
                struct slice body);
/* Also with a hint at a node (-1: none), or the partition's time. */
void fake_reply_hint(struct rpc_request *request, enum err status, int node, uint64_t time_ms);
/* Never answer: freed (with ERR_CANCELLED) at the test's end. */
void fake_keep(struct rpc_request *request);
/* Notices to every connection that ever asked. */
void fake_notify(uint32_t method, const ProtobufCMessage *notice);

/* The map: give a partition another primary and epoch, in a new version. */
void fake_move(uint32_t partition, int node);
/* The directors' store was put back: a lower epoch and the old primary, in a new version. */
void fake_put_back(uint32_t partition, int node);
/* The directors are another cluster's, in a new version. */
void fake_exchange(void);
/* They know of no partition, in a new version. */
void fake_unplace(void);
/* A director that does not answer, or answers again. */
void fake_silence_director(int director, bool silent);
unsigned fake_map_asked(int director); /* by a director; nodes: -1 */

#endif
