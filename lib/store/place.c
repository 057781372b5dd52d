/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/place_priv.h"

#include "lib/base/rand.h"

void place_init(struct place *p, struct store *store)
{
    *p = (struct place){ .store = store };
    p->start = (uint32_t)rand_u64();
}

static bool is_in(uint32_t number, const struct avoided *avoided)
{
    for (size_t i = 0; i < avoided->added && i < PLACE_AVOIDED_MAX; i++) {
        if (avoided->numbers[i] == number)
            return true;
    }
    return false;
}

static void add(uint32_t number, struct avoided *avoided)
{
    if (!is_in(number, avoided))
        avoided->numbers[avoided->added++ % PLACE_AVOIDED_MAX] = number;
}

void place_avoid(struct place *p, uint32_t partition)
{
    uint32_t node;
    uint64_t epoch;
    add(partition, &p->partitions);
    if (store_partition_primary(p->store, partition, &node, &epoch))
        add(node, &p->nodes);
}

static bool is_fit(const struct place *p, uint32_t partition, bool any_node)
{
    uint32_t node;
    uint64_t epoch;
    if (is_in(partition, &p->partitions) || !store_partition_primary(p->store, partition, &node, &epoch))
        return false;
    return any_node || !is_in(node, &p->nodes);
}

enum err place_choose(const struct place *p, uint32_t *partition_out)
{
    uint32_t count = store_partition_count(p->store);
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < count; i++) {
            *partition_out = (p->start % count + i) % count;
            if (is_fit(p, *partition_out, round > 0))
                return OK;
        }
    }
    return ERR_UNAVAILABLE;
}
