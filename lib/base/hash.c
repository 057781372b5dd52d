/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_xxh3(struct slice s)
{
    return XXH3_64bits(s.data, s.len);
}
