/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/bulk/pace.h"

#include <stddef.h>

uint64_t pace_take(struct pace *pace, uint64_t now_ns, uint64_t bytes)
{
    if (pace == NULL || pace->rate == 0)
        return now_ns;
    uint64_t cost = (uint64_t)((double)bytes * 1e9 / (double)pace->rate);
    uint64_t next = atomic_load(&pace->next_ns), from;
    do {
        from = next > now_ns ? next : now_ns;
    } while (!atomic_compare_exchange_weak(&pace->next_ns, &next, from + cost));
    return from + cost;
}
