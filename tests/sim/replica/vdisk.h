/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual disk for one replica: what is on it for sure, what is written but not synced, and crashes that
 * keep any prefix of the latter, as a write-ahead log does. An entry's bytes are one number, its value. */
#ifndef TESTS_SIM_REPLICA_VDISK_H
#define TESTS_SIM_REPLICA_VDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vent {
    uint64_t epoch, value;
};

/* The content of a disk. log[i] and state[i] by index, from 1; zero where there is nothing. */
struct vimage {
    bool record, installing;
    uint64_t dep, base, base_epoch, last, applied, commit;
    struct vent *log;
    uint64_t *state; /* the values applied, in order */
    size_t cap;
};

enum vbatch_type { VB_WRITE, VB_APPLY, VB_TRIM, VB_CHUNK, VB_WIPE };

struct vbatch {
    enum vbatch_type type;
    uint64_t token; /* 0: none */
    uint64_t dep, commit;
    uint64_t cut_from, first, count; /* VB_WRITE; VB_CHUNK: state from `first` on */
    struct vent *ents;               /* owned */
    uint64_t index, index_epoch;     /* VB_APPLY, VB_TRIM, VB_CHUNK */
    bool chunk_first, chunk_last, keep_record;
};

struct vdisk {
    struct vimage mem, dur; /* as the process sees it; as it is for sure */
    struct vbatch *queue;   /* in mem, not in dur */
    size_t count, cap;
};

void vdisk_fini(struct vdisk *d);
/* Takes batch.ents. */
void vdisk_write(struct vdisk *d, struct vbatch batch);
/* The first `count` batches become durable; returns the newest token among them, 0 if none. */
uint64_t vdisk_sync(struct vdisk *d, size_t count);
/* The machine dies: the first `keep` unsynced batches happen to survive. */
void vdisk_crash(struct vdisk *d, size_t keep);
/* Everything is gone. */
void vdisk_lose(struct vdisk *d);

#endif
