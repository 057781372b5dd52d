/* SPDX-License-Identifier: Apache-2.0 */
/* One storage node: its database, its threads and their order of start and end.
 *
 *   start: data folder -> request socket and HTTP bound -> privileges dropped -> database opened and synced,
 * store id -> control thread: the director says who we are -> workers and readers -> the map -> partitions
 *   end:   refuse new requests -> answer those under way -> control thread -> workers, log writer -> readers
 * -> sockets -> database */
#ifndef STORAGE_NODE_NODE_H
#define STORAGE_NODE_NODE_H

#include "lib/base/err.h"
#include "storage-node/config.h"

struct node;

/* Logged if it cannot. `config` is borrowed. */
MUST_CHECK enum err node_start(const struct node_config *config, struct node **out);
/* Read the keys again. Any thread. */
void node_reload(struct node *node);
/* Blocks up to the drain timeout and frees the node. */
void node_stop(struct node **node);

#endif
