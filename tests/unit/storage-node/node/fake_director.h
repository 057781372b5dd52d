/* SPDX-License-Identifier: Apache-2.0 */
/* A director with just enough in it for one storage node: it names the node, gives it every partition, and
 * executes Promote. */
#ifndef TESTS_UNIT_STORAGE_NODE_NODE_FAKE_DIRECTOR_H
#define TESTS_UNIT_STORAGE_NODE_NODE_FAKE_DIRECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_director;

/* Serves on a free loopback port; `zmq` is the caller's context. */
struct fake_director *fake_director_start(void *zmq, uint32_t partition_count);
void fake_director_stop(struct fake_director **d);
const char *fake_director_endpoint(const struct fake_director *d);
/* Promotions executed so far. */
uint32_t fake_director_promotions(struct fake_director *d);
/* The node is told another id from now on; it is 7 before. */
void fake_director_call_node(struct fake_director *d, uint32_t id);
/* What the node called itself in its newest hello, and how many there were since it was called otherwise. */
uint32_t fake_director_said_id(struct fake_director *d, uint32_t *hellos_out);
/* Did its newest hello tell that it had partitions before? */
bool fake_director_said_placed(struct fake_director *d);
/* From now on it gives maps without partitions, of higher versions; or with them again. */
void fake_director_unplace(struct fake_director *d, bool unplaced);
/* The next hello, or the next request for a map, is not answered before the next hello after it has come. */
void fake_director_hold(struct fake_director *d, uint32_t method);
/* Milliseconds between these two; 0: not both have come. */
uint64_t fake_director_held_ms(struct fake_director *d);
/* Copies the endpoint that the node's newest hello named ("" before). */
void fake_director_node_endpoint(struct fake_director *d, char *out, size_t size);

#endif
