/* SPDX-License-Identifier: Apache-2.0 */
/* Where every thread finds what a partition has published, by its number. Entries are made by workers and
 * never go away. */
#ifndef STORAGE_NODE_PARTITION_DIRECTORY_H
#define STORAGE_NODE_PARTITION_DIRECTORY_H

#include "storage-node/partition/partition.h"

struct directory {
    _Atomic(struct partition_public *) slots[PARTITION_COUNT_MAX];
};

struct directory *directory_new(void);
void directory_free(struct directory **d);
/* NULL: this node has nothing of that partition (or the number is out of range). */
struct partition_public *directory_find(struct directory *d, uint32_t partition);
/* Find or make; partition < PARTITION_COUNT_MAX. Only the partition's worker calls this. */
struct partition_public *directory_get(struct directory *d, uint32_t partition);

#endif
