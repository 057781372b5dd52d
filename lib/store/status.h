/* SPDX-License-Identifier: Apache-2.0 */
/* How the cluster is, as a director sees it, and what an operator asks of it: for ternctl. ERR_UNAVAILABLE:
 * no director answers. */
#ifndef LIB_STORE_STATUS_H
#define LIB_STORE_STATUS_H

#include "lib/base/buf.h"
#include "lib/store/cluster.h"

struct status_node {
    uint32_t id;
    struct slice store_id; /* 16 bytes */
    struct slice name, zone, endpoint;
    bool alive, draining, leaving;
    uint64_t seen_ms;   /* when the director last heard of it; 0: not since it started */
    uint64_t silent_ms; /* 0 while it is alive */
    uint64_t disk_total, disk_free;
    uint32_t copies, primaries; /* copies: members and learners */
    uint32_t not_active;
    uint64_t bytes;           /* of its copies, about */
    uint32_t machine_version; /* highest state-machine version that it speaks */
};

struct status_peer {
    uint32_t node;
    uint64_t behind;       /* entries that it has not acknowledged */
    uint64_t copied_bytes; /* of a copy under way to it; 0: none */
};

/* A whole copy on a node that is no member; while any copy is ahead of the directors' store, every copy. */
struct status_spare {
    uint32_t node;
    uint64_t epoch, last; /* of its newest entry, and that entry's index */
    uint64_t known;       /* highest epoch that it knows of */
    bool active;          /* it is primary of that, and serves */
    bool broken;          /* what it has cannot be counted on */
    bool newest; /* of those on living nodes that can be, none has more; at most one of a partition */
};

struct status_partition {
    struct cluster_partition conf;
    bool heard;        /* a primary has told the rest */
    uint64_t heard_ms; /* how long ago anything of it changed or was told again */
    bool active;
    uint64_t last, commit, bytes;
    uint32_t machine_version; /* of its entries */
    struct status_peer *peers;
    size_t peer_count;
    struct status_spare *spares;
    size_t spare_count;
    uint64_t known; /* highest epoch that a node tells of; above conf.epoch: the directors' store was put back
                       from an older copy */
};

struct status_move {
    uint32_t partition;
    uint32_t from, to; /* 0: a copy that is missing; a copy too many */
    struct slice state;
    uint64_t copied_bytes, bytes;
};

struct status_fault {
    uint32_t node, partition;
    struct slice text;
};

/* A server of several that keep the directors' store. */
struct status_member {
    struct slice endpoint;
    bool well;
    struct slice why;   /* it is not */
    uint64_t unwell_ms; /* for so long */
};

struct status {
    uint64_t map_version;
    struct slice cluster_id;
    uint32_t partition_count, copies, min_members;
    size_t domain_count;
    struct slice problem; /* why no partition is placed yet; empty if they are */
    struct status_node *nodes;
    size_t node_count;
    struct status_partition *partitions; /* by number */
    size_t partition_listed;
    struct status_move *moves; /* those under way first */
    size_t move_count, moves_total;
    struct slice *problems;
    size_t problem_count;
    struct status_fault *faults;
    size_t fault_count;
    struct status_member *members; /* of the directors' store; none: one director keeps it itself */
    size_t member_count;
    bool leads;          /* the director that answers */
    struct slice leader; /* the name of who does; empty: nobody, or there is only one */
    /* all partitions counted; see PartitionSummary in proto/cluster.proto */
    uint32_t placed, active, not_active, few, read_only, learners;
    uint64_t behind;
    uint32_t behind_partition, behind_node;
};

/* `partitions`: all of them are listed, else only those with something to tell. Yields. */
MUST_CHECK enum err store_status_read(struct store *store, bool partitions, struct arena *arena,
                                      struct status *out);

/* What the director says beside a refusal replaces `detail` (may be NULL). Like every change they may also
 * return ERR_UNAVAILABLE (nothing happened) or ERR_IN_DOUBT. All Yield. */

/* Empty a node, or let it hold copies again. ERR_NOT_FOUND. */
MUST_CHECK enum err store_node_drain(struct store *store, uint32_t node, bool drain, struct buf *detail);
/* Forget a node that holds nothing, or, with `lost`, one that is dead for good; *copies_out are missing then.
 * *listed_out: it is given up, and is listed until partitions are recovered above the directors' store, that
 * was put back from an older copy. ERR_NOT_FOUND, ERR_DENIED, ERR_IN_USE. */
MUST_CHECK enum err store_node_remove(struct store *store, uint32_t node, bool lost, uint32_t *copies_out,
                                      bool *listed_out, struct buf *detail);
/* Go on from what `node` has of a partition whose newer copies are all gone; what it lacks is lost. `node` 0:
 * go on, with nothing lost, above a directors' store that was put back from an older copy. *node_out: whose
 * copy it is. ERR_NOT_FOUND, ERR_DENIED, ERR_INVALID: nothing is to be done without a loss. */
MUST_CHECK enum err store_partition_recover(struct store *store, uint32_t partition, uint32_t node,
                                            uint32_t *node_out, struct buf *detail);

#endif
