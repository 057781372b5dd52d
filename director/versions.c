/* SPDX-License-Identifier: Apache-2.0 */
/* What storage nodes speak, as they say with their hellos (storage-node/version.h). While a cluster is
 * upgraded nodes differ. A partition is raised only when all its copies speak more (R30), so who speaks less
 * than others gets no copy of what was raised meanwhile, and who was put back to an older program is told of.
 */
#include "director/director_priv.h"

enum { PEER_VERSION_UNTOLD = 2 /* of nodes that do not say */ };

uint32_t versions_machine(const Tern__NodeInfo *node)
{
    return node->machine_version == 0 ? 1 : node->machine_version;
}

uint32_t versions_highest(const struct director *d)
{
    uint32_t highest = 1;
    for (uint32_t p = 0; p < d->map.partition_count; p++) {
        uint32_t version = heard_version(&d->heard, p);
        highest = version > highest ? version : highest;
    }
    return highest;
}

bool versions_may_hold(const struct director *d, const Tern__NodeInfo *node, uint32_t partition)
{
    return versions_machine(node) >= heard_version(&d->heard, partition);
}

void versions_peer(const Tern__NodeInfo *node, uint32_t *min_out, uint32_t *max_out)
{
    *min_out = node->peer_version_min == 0 ? PEER_VERSION_UNTOLD : node->peer_version_min;
    *max_out = node->peer_version_max == 0 ? PEER_VERSION_UNTOLD : node->peer_version_max;
}

bool versions_meet(const Tern__NodeInfo *a, const Tern__NodeInfo *b)
{
    uint32_t a_min, a_max, b_min, b_max;
    versions_peer(a, &a_min, &a_max);
    versions_peer(b, &b_min, &b_max);
    return a_min <= b_max && b_min <= a_max;
}
