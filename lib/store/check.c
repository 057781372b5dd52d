/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/store/cluster.h"
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"

enum err store_partition_check(struct store *store, struct arena *arena, uint32_t partition, uint64_t index,
                               struct partition_check *out)
{
    Tern__CheckRequest request = TERN__CHECK_REQUEST__INIT;
    Tern__CheckResponse *response;
    request.index = index;
    TRY(call_simple(store, METHOD_CHECK, partition, &request.base, &tern__check_response__descriptor,
                    &response));
    struct partition_sums *sums = arena_alloc(arena, (response->n_sums + 1) * sizeof *sums);
    for (size_t i = 0; i < response->n_sums; i++) {
        const Tern__CheckSums *from = response->sums[i];
        sums[i] =
            (struct partition_sums){ from->node, from->chain, from->state, from->bodies, from->damaged };
    }
    *out = (struct partition_check){
        .index = response->index, .complete = response->complete, .sums = sums, .count = response->n_sums
    };
    tern__check_response__free_unpacked(response, NULL);
    return OK;
}
