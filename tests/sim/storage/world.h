/* SPDX-License-Identifier: Apache-2.0 */
/* One storage node in one thread: the real driver and state machine on a database in memory, with virtual
 * time, a virtual director and power cuts at any write. A seed decides everything. */
#ifndef TESTS_SIM_STORAGE_WORLD_H
#define TESTS_SIM_STORAGE_WORLD_H

#include "storage-node/partition/partition.h"

enum { WORLD_PARTITIONS = 3, WORLD_NODE = 1 };

/* What KV_STATE looked like when everything up to `index` was applied. */
struct state_mark {
    uint64_t index, hash;
};

struct world_partition {
    struct partition *p;
    struct partition_public pub;
    uint64_t epoch; /* the director's */
    struct state_mark *marks;
    size_t mark_count, mark_cap;
};

struct world_ask {
    struct world_ask *next;
    struct partition_ask ask;
};

struct world {
    uint64_t rand;
    const struct storage_faults *faults;
    bool trace;
    uint32_t log_keep; /* entries kept in front of the log */
    struct kv *kv;
    struct kv_batch *batch;
    struct apply_round *round;
    struct partition_host host;
    struct partition_stats stats;
    struct world_partition parts[WORLD_PARTITIONS];
    struct inbox_chain jobs; /* at the log writer */
    struct world_ask *asks;  /* at the director */
    uint64_t boot_ns, real_ms;
    bool crashing; /* answers that come now never reach anybody */
    bool calm;     /* no more faults */
    uint64_t crashes, commits, entries, notices;
    bool failed;
    char failure[256];
};

void world_init(struct world *w, uint64_t seed, const struct storage_faults *faults);
void world_fini(struct world *w);

uint64_t world_rand(struct world *w);
uint64_t world_below(struct world *w, uint64_t n); /* 0 .. n-1 */
bool world_chance(struct world *w, uint64_t per_mille);
struct partition_now world_now(const struct world *w);

/* Records the first failure; the run ends. */
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One random thing inside the node happens. */
void world_step(struct world *w);
/* The request reaches the node. */
void world_push(struct world *w, struct partition_request *request);
/* The process dies and starts again; what was not synced is lost, or not. */
void world_crash(struct world *w);
void world_advance(struct world *w, uint64_t ms);
/* Everything that can happen without new requests happens. */
void world_settle(struct world *w);
/* The boot clock as a reader sees it (one world at a time). */
uint64_t world_boot_ns(void);

#endif
