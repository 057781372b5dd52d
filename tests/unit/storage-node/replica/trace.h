/* SPDX-License-Identifier: Apache-2.0 */
/* Traces that read like docs/replication.md: A, B, C and what reaches whom, on the virtual cluster. The
 * cluster's invariants are checked after every step; a test also says what it expects. */
#ifndef TESTS_UNIT_STORAGE_NODE_REPLICA_TRACE_H
#define TESTS_UNIT_STORAGE_NODE_REPLICA_TRACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/sim/replica/vcluster.h"

enum { A, B, C, D };
#define DIR VC_DIRECTOR
#define MS  REPLICA_MS

/* A cluster of `count` nodes, `members` ("ABC") in conf(1), all started and told conf(1). */
void trace_init(struct vc *vc, int count, const char *members);
void trace_init_cfg(struct vc *vc, int count, const char *members, const struct replica_cfg *cfg);
void trace_fini(struct vc *vc);

/* Cut or heal a link, both ways, for settle() and for what is sent. DIR is the director. */
void cut_link(struct vc *vc, int a, int b);
void heal_link(struct vc *vc, int a, int b);

/* `ms` of good weather on the links that are not cut: beats, ticks, syncs, deliveries, every 10 ms. */
void settle(struct vc *vc, uint64_t ms);

/* The first message in the pool of this type on its way from `from` to `to`: is there one; deliver it;
 * deliver it and keep it (it was repeated); lose it. Asks: from a node to DIR. Answers and pushes: from DIR.
 */
bool on_its_way(struct vc *vc, int from, int to, int type);
void deliver(struct vc *vc, int from, int to, int type);
void repeat(struct vc *vc, int from, int to, int type);
void lose(struct vc *vc, int from, int to, int type);
void lose_all(struct vc *vc);
#define MSG_ASK    100
#define MSG_ANSWER 101
#define MSG_PUSH   102

void write_one(struct vc *vc, int n, uint64_t value); /* must be taken */
void sync_disk(struct vc *vc, int n);
void restart(struct vc *vc, int n); /* unsynced data is lost; told nothing */

struct replica_info info_of(const struct vc *vc, int n);
/* The value that node n has applied at `index`, 0 if none. */
uint64_t applied_at(const struct vc *vc, int n, uint64_t index);
/* Its highest applied index that is no barrier holds this value somewhere. */
bool has_applied(const struct vc *vc, int n, uint64_t value);

#endif
