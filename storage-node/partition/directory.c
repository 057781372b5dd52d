/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/directory.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

struct directory *directory_new(void)
{
    return NEW(struct directory);
}

void directory_free(struct directory **d)
{
    if (*d == NULL)
        return;
    for (size_t i = 0; i < PARTITION_COUNT_MAX; i++)
        free(atomic_load(&(*d)->slots[i]));
    free(*d);
    *d = NULL;
}

struct partition_public *directory_find(struct directory *d, uint32_t partition)
{
    return partition < PARTITION_COUNT_MAX ? atomic_load_explicit(&d->slots[partition], memory_order_acquire)
                                           : NULL;
}

struct partition_public *directory_get(struct directory *d, uint32_t partition)
{
    assert(partition < PARTITION_COUNT_MAX);
    struct partition_public *pub = atomic_load_explicit(&d->slots[partition], memory_order_relaxed);
    if (pub == NULL) {
        pub = NEW(struct partition_public);
        atomic_store_explicit(&d->slots[partition], pub, memory_order_release);
    }
    return pub;
}
