/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with partitions of this node and needs a person: told to the directors with every hello,
 * shown by "ternctl cluster status" and counted in tern_faults. One text for each partition and kind,
 * replaced by the next. Kept in memory only: what is still wrong after a restart is found again.
 *
 * Thread-safe, any thread; bounded: texts of FAULTS_TEXTS_MAX faults are kept, of the others only that they
 * are there. */
#ifndef STORAGE_NODE_PARTITION_REPORT_FAULTS_H
#define STORAGE_NODE_PARTITION_REPORT_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FAULT_TEXT_MAX = 200,  /* bytes of a text with its end; longer ones are cut */
    FAULTS_TEXTS_MAX = 64, /* with a text of their own */
};

/* At most 8: bits of a byte. */
enum fault_kind {
    FAULT_STOPPED,  /* a damaged row: the copy serves nothing (P9) */
    FAULT_REPLICA,  /* the replica met what should not be: enum replica_reason */
    FAULT_VERSION,  /* what is here, or comes from others, is of a version that this node does not speak */
    FAULT_CHECKSUM, /* the state differs from other copies', or fails its own checksums */
    FAULT_KIND_COUNT,
};

struct fault {
    uint32_t partition;
    enum fault_kind kind;
    char text[FAULT_TEXT_MAX];
};

struct faults;

struct faults *faults_new(void);
void faults_free(struct faults **faults);

/* `text` is a short clause for a person, without the partition's number: "a row of the state cannot be read".
 * partition < PARTITION_COUNT_MAX. No effect on NULL faults. */
void faults_set(struct faults *faults, uint32_t partition, enum fault_kind kind, const char *text);
/* It is well again, or its copy is gone. */
void faults_clear(struct faults *faults, uint32_t partition, enum fault_kind kind);
void faults_clear_all(struct faults *faults, uint32_t partition);

/* How many there are (cheap, no lock). */
size_t faults_count(const struct faults *faults);
/* The first `max` of those with a text into `out`; returns how many. */
size_t faults_list(struct faults *faults, struct fault *out, size_t max);

#endif
