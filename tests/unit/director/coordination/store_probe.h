/* SPDX-License-Identifier: Apache-2.0 */
/* A coordination store as tests use it: what the watcher saw, and transactions that are waited for. */
#ifndef TESTS_UNIT_DIRECTOR_COORDINATION_STORE_PROBE_H
#define TESTS_UNIT_DIRECTOR_COORDINATION_STORE_PROBE_H

#include <pthread.h>

#include "director/coordination/coordination.h"
#include "lib/base/buf.h"

struct probe {
    struct coordination *store;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct buf lines; /* "key=value\n" or "key-\n", as told; all of them again, sorted, after a reload */
    uint64_t told;    /* revision */
    uint64_t last_mod;
    size_t reloads, done_count;
    enum err result;
    uint64_t revision;
    size_t results[ERR_COUNT];
};

/* Loads `store`, which is the probe's from now on. */
void probe_open(struct probe *p, struct coordination *store);
void probe_close(struct probe *p);
/* Submits and waits; what coordination_submit says, or the result. */
enum err probe_run(struct probe *p, struct coordination_change *changes, size_t count);
enum err probe_put(struct probe *p, const char *key, uint64_t expected, const char *value);
void probe_wait_done(struct probe *p, size_t count);
/* What was told so far; the caller frees it. */
char *probe_lines(struct probe *p);
void probe_on_done(struct coordination_txn *txn, enum err result, uint64_t revision, void *arg);

#endif
