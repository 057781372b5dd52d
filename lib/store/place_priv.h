/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/store: choosing a partition for mail that its own cannot take now. */
#ifndef LIB_STORE_PLACE_PRIV_H
#define LIB_STORE_PLACE_PRIV_H

#include "lib/store/store_priv.h"

enum { PLACE_AVOIDED_MAX = 32 };

/* The newest ones: a message for very many homes still never asks twice where it was refused just now. */
struct avoided {
    uint32_t numbers[PLACE_AVOIDED_MAX];
    size_t added;
};

struct place {
    struct store *store;
    uint32_t start;            /* where the search begins, by chance */
    struct avoided partitions; /* never chosen */
    struct avoided nodes;      /* primaries of those: the last to be asked for others */
};

void place_init(struct place *p, struct store *store);
/* This partition cannot take it. */
void place_avoid(struct place *p, uint32_t partition);
/* A partition with a primary that was not avoided; ERR_UNAVAILABLE if there is none. Does not yield. */
MUST_CHECK enum err place_choose(const struct place *p, uint32_t *partition_out);

#endif
