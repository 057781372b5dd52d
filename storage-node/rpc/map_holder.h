/* SPDX-License-Identifier: Apache-2.0 */
/* The last map that this node was given, shared by its threads as immutable, counted snapshots. */
#ifndef STORAGE_NODE_RPC_MAP_HOLDER_H
#define STORAGE_NODE_RPC_MAP_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/cluster.pb-c.h"

struct map_ref; /* one snapshot */
struct map_holder;

struct map_holder *map_holder_new(void);
void map_holder_free(struct map_holder **holder); /* every reference was given back before */
/* Takes the map. Ignored (and freed) unless its version is higher than the held one's; returns whether it was
 * taken. A partition of which a higher epoch is held keeps that: the directors' store was put back from an
 * older copy (R27). */
bool map_holder_put(struct map_holder *holder, Tern__Map *map);
/* NULL if no map came yet. map_ref_release it. */
struct map_ref *map_holder_get(struct map_holder *holder);
const Tern__Map *map_ref_map(const struct map_ref *ref);
void map_ref_release(struct map_ref **ref);
/* 0 if no map came yet. Cheap. */
uint64_t map_holder_version(const struct map_holder *holder);
/* Endpoint of the primary of a partition; false if unknown. */
bool map_holder_primary(struct map_holder *holder, uint32_t partition, char *endpoint_out, size_t size);

/* The map's row of a node or partition, NULL if it has none. */
const Tern__NodeInfo *map_holder_find_node(const Tern__Map *map, uint32_t id);
/* The highest id of a node in the map; 0: there is none. */
uint32_t map_holder_last_node_id(const Tern__Map *map);
const Tern__PartitionConf *map_holder_find_partition(const Tern__Map *map, uint32_t partition);

#endif
