/* SPDX-License-Identifier: Apache-2.0 */
/* XXH3: routing of addresses to partitions (seed 0, fixed for ever) and hash tables. */
#ifndef LIB_BASE_HASH_H
#define LIB_BASE_HASH_H

#include "lib/base/slice.h"

uint64_t hash_xxh3(struct slice s);

#endif
