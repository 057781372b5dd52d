/* SPDX-License-Identifier: Apache-2.0 */
/* Switches that break the driver in one way each, so that the simulators can show that the break is caught.
 * They travel in partition_options.faults, which is NULL outside tests/sim. */
#ifndef STORAGE_NODE_PARTITION_LOG_BREAKS_H
#define STORAGE_NODE_PARTITION_LOG_BREAKS_H

#include "storage-node/replica/faults.h"

struct storage_faults {
    bool skip_sync;           /* the log is not synced before it counts as durable */
    bool split_applied;       /* the applied index is not in the batch of what was applied */
    bool forget_bodies;       /* the body is not written beside the entry */
    bool skip_replay;         /* entries above the applied index are not applied at start */
    bool ungated_apply;       /* what is committed is applied before this node's own disk has it */
    bool unmarked_install;    /* half a copy looks like a whole one (R24) */
    bool late_mark;           /* rows of a copy are written before its `installing` mark is on disk (R24) */
    bool unpersisted_install; /* the mark goes before the rows are on disk (R24) */
    bool bodiless_copy;       /* copies of the state come without bodies */
    bool forget_requests;     /* request ids are not looked up when an entry is applied (R15) */
    bool skip_lease;          /* reads are answered without looking at the lease (R14) */
    bool late_lease;          /* the lease is looked at after the state was taken (R14) */
    bool cut_ahead;           /* the log's front is cut beyond what is applied (R25; with core->r25) */
    bool own_version;         /* the primary raises the version to its own, whatever others speak (R30) */
    bool drop_watches;        /* who registers a watch after a fail-over is answered, and forgotten */
    const struct replica_faults *core; /* NULL: none */
};

#define STORAGE_FAULT(faults, name) ((faults) != NULL && (faults)->name)

#endif
