/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual cluster of one partition: replicas with virtual disks and clocks, a pool of messages that the
 * caller delivers, repeats or drops, a director with compare-and-swap, and the invariants. No randomness of
 * its own: unit tests play traces on it, the simulator plays dice with it. */
#ifndef TESTS_SIM_REPLICA_VCLUSTER_H
#define TESTS_SIM_REPLICA_VCLUSTER_H

#include "storage-node/replica/faults.h"
#include "storage-node/replica/replica.h"
#include "tests/sim/replica/vdisk.h"

#define VC_NODES_MAX 4
#define VC_DIRECTOR  VC_NODES_MAX /* its number as a sender or receiver */
#define VC_BARRIER   UINT64_MAX   /* the value of a barrier entry */
#define VC_CHUNK     3            /* values a snapshot chunk */

enum vmsg_kind { VM_PEER, VM_ASK, VM_ANSWER, VM_PUSH };

struct vmsg {
    enum vmsg_kind kind;
    int from, to;
    uint64_t to_store; /* messages to a lost disk reach nobody */
    uint64_t at;       /* the simulator's: when it arrives */
    struct replica_msg msg;
    struct replica_entry *entries; /* of an Append; handle is the value */
    struct vent *values;           /* of a chunk */
    uint64_t value_count, value_first;
    uint64_t boot, sent_at; /* of a beat, echoed in its answer */
    enum replica_ask_type ask;
    struct replica_node ask_node, ask_by;
    uint64_t ask_id;
    struct replica_conf conf;
};

struct vproposal {
    uint64_t index, value;
};

struct vsnap {
    bool open;
    uint64_t index, index_epoch;
    uint64_t *values;
};

struct vnode {
    bool up;
    struct replica_node id;
    uint64_t boot;
    uint64_t clock_offset, clock_ppm; /* its clock = offset + true time * ppm / 10^6 */
    struct replica *r;
    struct vdisk disk;
    uint64_t lease_until; /* as published to readers */
    uint64_t next_tick;   /* on its clock */
    uint64_t apply_to, checked;
    uint64_t wipes;      /* of its copy, by this process */
    uint64_t index_boot; /* log index at start: nothing above it was proposed by this process */
    struct vproposal *proposals;
    size_t proposal_count, proposal_cap;
    struct vsnap snaps[VC_NODES_MAX];
    uint64_t rejected, failed, answered;
    enum err last_reject;
    uint32_t reports; /* bit per reason */
};

struct vc;
/* Called for every message put into the pool: sets msg->at, or false to lose it. */
typedef bool vc_route_fn(struct vc *vc, struct vmsg *msg);

struct vc {
    uint64_t now; /* true time, ns */
    int count;
    struct vnode nodes[VC_NODES_MAX];
    struct vmsg **pool;
    size_t pool_count, pool_cap;
    vc_route_fn *route; /* NULL: everything goes into the pool, at = now */
    void *route_arg;
    bool lazy_apply; /* the caller calls vc_apply() */
    struct replica_cfg cfg;
    uint64_t stores; /* store ids given out */

    struct replica_conf *confs; /* [epoch - 1] */
    size_t epoch, conf_cap;

    struct vent *committed; /* [index]: what somebody applied */
    uint64_t committed_len, committed_cap;
    uint64_t acked; /* highest index of an answered proposal */
    uint64_t answers, reads;

    char violation[256]; /* the first broken invariant; empty if none */
    bool trace, trace_messages;
};

/* `members` is a bit mask of the first configuration; node 0 is primary. Nodes are down. */
void vc_init(struct vc *vc, int count, unsigned members, const struct replica_cfg *cfg);
void vc_fini(struct vc *vc);

void vc_start(struct vc *vc, int n);
void vc_crash(struct vc *vc, int n, size_t keep);
void vc_lose_disk(struct vc *vc, int n); /* of a node that is down; it comes back with another store id */

uint64_t vc_clock(const struct vc *vc, int n);
void vc_tick(struct vc *vc, int n);
enum err vc_propose(struct vc *vc, int n, const uint64_t *values, uint32_t count);
void vc_sync(struct vc *vc, int n, size_t batches);
void vc_apply(struct vc *vc, int n, uint64_t upto);
void vc_trim(struct vc *vc, int n, uint64_t index);
void vc_handover(struct vc *vc, int n, int heir);
void vc_drop_copy(struct vc *vc, int n);
void vc_leave(struct vc *vc, int n); /* its copy turned out to be damaged */
void vc_beat(struct vc *vc, int from, int to);
/* Deliver pool[i]; `keep` leaves it there to be delivered again. */
void vc_deliver(struct vc *vc, size_t i, bool keep);
void vc_drop(struct vc *vc, size_t i);
void vc_push(struct vc *vc, int n, uint64_t epoch);
void vc_learn(struct vc *vc, int n, uint64_t epoch); /* as if pushed and delivered */

/* Make epoch + 1. */
struct replica_conf *vc_conf(struct vc *vc);
bool vc_conf_has(const struct replica_node *nodes, uint8_t count, struct replica_node node);
void vc_make_conf(struct vc *vc, const struct replica_conf *next);
/* The compare-and-swap of a request; true if it made a new configuration. */
bool vc_decide(struct vc *vc, const struct vmsg *ask);

bool vc_serving(const struct vc *vc, int n);
void vc_check(struct vc *vc);
/* At the end: everything answered is in every member's state, once. */
void vc_check_final(struct vc *vc);
void vc_violate(struct vc *vc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void vc_trace(struct vc *vc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
