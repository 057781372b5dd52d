/* SPDX-License-Identifier: Apache-2.0 */
/* What a hello tells of partitions: figures of those that this node is primary of, faults, and whole copies
 * where it is no member, or all its copies while a director asks for them, and then the highest epoch that it
 * knows of each partition, whether or not it has anything of it: by a map perhaps, or as a learner that has
 * nothing yet. Such an epoch must not be used a second time either (R27). Each director is told the figures
 * that changed since the last hello that it took, and all of them every FIGURES_INTERVAL_MS, so that one that
 * has just started knows all soon and a node at rest says nearly nothing; faults and copies, of which there
 * are none as a rule, are told each time. The control thread's. */
#ifndef STORAGE_NODE_HELLO_H
#define STORAGE_NODE_HELLO_H

#include "lib/base/arena.h"
#include "proto/cluster.pb-c.h"
#include "storage-node/kv/kv.h"
#include "storage-node/partition/report/board.h"
#include "storage-node/partition/report/faults.h"

enum {
    HELLO_SOON_MS = 100, /* a director waits for the copies, and was not told of all yet: the next hello */
    FIGURES_INTERVAL_MS = 10 * 1000,
    HELLO_FIGURES_MAX = 2048,   /* partitions of one hello; the rest goes with the next */
    HELLO_COPIES_MS = 5 * 1000, /* all copies are told so long after they were last asked for */
    HELLO_MEASURES_MAX =
        8, /* partitions whose state is measured between two hellos: that may read the disk */
};

struct hello;

/* All borrowed for the hello's life. */
struct hello *hello_new(struct kv *kv, struct board *board, struct faults *faults, size_t director_count);
void hello_free(struct hello **hello);

/* Once every HELLO_INTERVAL_MS, when the workers have just been asked to tell anew (the next hello has it):
 * measure a few states. `placed`: before that asking, of number `asked` (worker_pool_tell), they were given
 * the configurations of a whole map, and so have opened all that this disk has. */
void hello_refresh(struct hello *hello, bool placed, uint64_t asked);
/* A director wants to know all copies, all directors are told. `hearing`: its number (NodeHelloResponse),
 * 0 none. What the workers tell for `asked`, an asking of just now, or for a later one is new enough to count
 * for it; called again with the number that it had, that stays as it is. */
void hello_ask_copies(struct hello *hello, size_t director, uint64_t hearing, uint64_t asked,
                      uint64_t now_ms);
/* Fill in the figures, faults, spare copies and epochs of a hello to a director, in `arena`. `told`: how far
 * the workers are (worker_pool_told), 0 while there are none. `map`: the node's, NULL while it has none. */
void hello_fill(struct hello *hello, size_t director, uint64_t told, const Tern__Map *map, uint64_t now_ms,
                struct arena *arena, Tern__NodeHelloRequest *out);
/* The director has taken the hello filled last, or has not (then it is told all again). */
void hello_done(struct hello *hello, size_t director, bool taken);

#endif
