/* SPDX-License-Identifier: Apache-2.0 */
/* What this node's partitions tell the directors: figures of those that it is primary of, its copies, and the
 * epochs that they know of. Workers put these here when they are asked to (worker_pool_tell), the control
 * thread takes the figures that changed, and copies. Thread-safe. */
#ifndef STORAGE_NODE_PARTITION_REPORT_BOARD_H
#define STORAGE_NODE_PARTITION_REPORT_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage-node/replica/replica.h"

struct board_peer {
    uint32_t node;
    uint64_t behind;       /* entries that it has not acknowledged */
    uint64_t copied_bytes; /* of a copy of the state under way to it; 0: none */
};

struct board_figures {
    uint64_t epoch;
    bool active;
    uint64_t last, commit;
    uint64_t body_bytes;
    uint8_t version;      /* state-machine version of what is applied; 0: nothing is */
    uint64_t state_bytes; /* board_put leaves what board_set_state_bytes said */
    uint8_t peer_count;
    struct board_peer peers[REPLICA_NODES_MAX]; /* other members and learners */
};

struct board_copy {
    uint32_t partition;
    uint64_t epoch, last; /* of its newest entry, and that entry's index */
    uint64_t known;       /* highest epoch that it knows of */
    bool spare; /* whole, and waits for a person: on a node that is no member, so it is older than the
                   members' but perhaps all that is left; or halted, ahead of the coordination store (R27) */
    bool primary, active; /* started as primary of `known`; and serves */
    bool broken;          /* stopped, or being given up: what it has cannot be counted on */
};

struct board;

struct board *board_new(void);
void board_free(struct board **board);

/* partition < PARTITION_COUNT_MAX in all of these. */
void board_put(struct board *board, uint32_t partition, const struct board_figures *figures);
/* This node is not its primary. */
void board_remove(struct board *board, uint32_t partition);
void board_put_copy(struct board *board, const struct board_copy *copy);
/* This node has none of it. */
void board_remove_copy(struct board *board, uint32_t partition);
/* The highest epoch that it knows of, with or without a copy (R27). */
void board_put_known(struct board *board, uint32_t partition, uint64_t epoch);
/* It is closed: nothing of it is here any more. */
void board_forget(struct board *board, uint32_t partition);

/* How much the rows of its state take; measured by the control thread, for it may wait for the disk. */
void board_set_state_bytes(struct board *board, uint32_t partition, uint64_t bytes);
/* The next partition at or after *from_inout (wrapping) that has committed something since it was measured;
 * it counts as measured from now on. False: there is none. */
bool board_next_unmeasured(struct board *board, uint32_t *from_inout, uint32_t *partition_out);

/* Calls `each`, under the lock, for partitions from `from` on that changed after `since`, at most `max`
 * times. Returns the first partition not looked at, 0 if all were; *newest_out: the change that is newest
 * now. */
typedef void board_each(void *arg, uint32_t partition, const struct board_figures *figures);
uint32_t board_collect(struct board *board, uint64_t since, uint32_t from, size_t max, board_each *each,
                       void *arg, uint64_t *newest_out);

/* Copies, by partition, all or only the spare ones: how many, and the first `max` into `out`; returns how
 * many. */
size_t board_copy_count(struct board *board, bool all);
size_t board_copies(struct board *board, bool all, struct board_copy *out, size_t max);

/* Raises each of `epochs` (by partition, `count` of them) to what the partition knows. */
void board_raise_known(struct board *board, uint64_t *epochs, uint32_t count);
/* One above the last partition that may know any. */
uint32_t board_known_count(struct board *board);

#endif
