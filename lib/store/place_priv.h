/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/store: choosing a partition for mail that its own cannot take now. */
#ifndef LIB_STORE_PLACE_PRIV_H
#define LIB_STORE_PLACE_PRIV_H

#include "lib/store/store_priv.h"

enum { PLACE_AVOIDED_MAX = 32 };

struct place {
    struct store *store;
    uint32_t start;                         /* where the search begins, by chance */
    uint32_t partitions[PLACE_AVOIDED_MAX]; /* that failed: never chosen (beyond the bound: perhaps) */
    size_t partition_count;
    uint32_t nodes[PLACE_AVOIDED_MAX]; /* primaries of those: the last to be asked for others */
    size_t node_count;
};

void place_init(struct place *p, struct store *store);
/* This partition cannot take it. */
void place_avoid(struct place *p, uint32_t partition);
/* A partition with a primary that was not avoided; ERR_UNAVAILABLE if there is none. Does not yield. */
MUST_CHECK enum err place_choose(const struct place *p, uint32_t *partition_out);

#endif
