/* SPDX-License-Identifier: Apache-2.0 */
/* The typed client of the storage nodes and the directors: the only code of the front-end and of ternctl that
 * sees protobuf and ZeroMQ.
 *
 * It keeps the map, sends each request to the primary of its partition, and is the one place where requests
 * are repeated: NOT_PRIMARY goes to the hinted node or to a newer map's, no answer is repeated with the same
 * request id, all bounded by the request's deadline. What comes out is therefore final: ERR_UNAVAILABLE,
 * ERR_BUSY, ERR_TIMEOUT mean that nothing happened; ERR_IN_DOUBT that a write may have happened.
 *
 * One store a loop. Every function below this folder that talks to the cluster Yields, and may return besides
 * what its contract names: ERR_UNAVAILABLE (no primary could be reached), ERR_BUSY, ERR_TIMEOUT, ERR_IN_DOUBT
 * (writes only), ERR_PROTOCOL (an answer that does not decode), ERR_IO, ERR_CORRUPT, ERR_NO_SPACE (as told by
 * the node). Results whose ownership is not named live in the arena that was given. */
#ifndef LIB_STORE_STORE_H
#define LIB_STORE_STORE_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/fiber/loop.h"

enum {
    STORE_DEADLINE_MS = 20 * 1000, /* how long one call goes on trying */
    STORE_DIRECTORS_MAX = 8,
    STORE_NODES_MAX = 64,
};

struct store;

struct store_options {
    const char *const *directors; /* endpoints; strings are copied */
    size_t director_count;        /* 1..STORE_DIRECTORS_MAX */
    /* Storage nodes that are asked for the map when no director answers and none is known yet; copied. */
    const char *const *nodes;
    size_t node_count; /* 0..STORE_NODES_MAX */
};

/* Starts to fetch the map in the background; does not yield. */
struct store *store_new(struct loop *loop, const struct store_options *options);
/* No call is under way. */
void store_free(struct store **store);

/* Wait until a map with placed partitions is known. ERR_TIMEOUT. Yields. */
MUST_CHECK enum err store_wait_ready(struct store *store, uint64_t deadline_ms);
/* Whether a map with placed partitions is known: for readiness probes. `reason` (may be NULL) is set to a
 * static text if not. */
bool store_is_ready(const struct store *store, const char **reason);
/* The newest map version known; 0: none. */
uint64_t store_map_version(const struct store *store);

/* What no other cluster has; empty before the first map. Valid until the next call that yields. */
struct slice store_cluster_id(const struct store *store);

/* Is mail for this domain (A-label, lower case) ours? From the map, does not yield. */
bool store_domain_is_local(const struct store *store, struct slice domain);
/* The partition of an address (canonical form). From the map; ERR_UNAVAILABLE before the first map. Does not
 * yield. */
MUST_CHECK enum err store_partition_of(const struct store *store, struct slice address,
                                       uint32_t *partition_out);

/* Partitions there are; 0 before the first map. Does not yield. */
uint32_t store_partition_count(const struct store *store);
/* Which node is a partition's primary, and since which epoch; false if the map names none. Does not yield. */
bool store_partition_primary(const struct store *store, uint32_t partition, uint32_t *node_out,
                             uint64_t *epoch_out);
/* Wait until the map changes. ERR_TIMEOUT. Yields. */
MUST_CHECK enum err store_wait_map(struct store *store, uint64_t deadline_ms);

/* Names one account and where it lives. Plain value. */
struct account_ref {
    uint64_t id;
    uint32_t home; /* partition */
};

#endif
