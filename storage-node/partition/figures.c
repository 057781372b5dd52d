/* SPDX-License-Identifier: Apache-2.0 */
/* What a partition says of itself: to people, and through the board to directors. */
#include "storage-node/partition/partition_priv.h"
#include "storage-node/partition/report/board.h"

void partition_info(const struct partition *p, struct replica_info *out)
{
    replica_info(p->replica, out);
}

bool partition_figures(const struct partition *p, struct board_figures *out)
{
    struct replica_info info;
    replica_info(p->replica, &info);
    if (info.role != REPLICA_PRIMARY)
        return false;
    *out = (struct board_figures){ .epoch = info.epoch,
                                   .active = info.active && !p->stopped,
                                   .last = info.last,
                                   .commit = info.commit,
                                   .body_bytes = p->applied.body_bytes,
                                   .version = p->applied.version };
    for (uint32_t i = 0; i < replica_peer_count(p->replica) && i < REPLICA_NODES_MAX; i++) {
        struct replica_peer_info peer;
        replica_peer(p->replica, i, &peer);
        out->peers[out->peer_count++] =
            (struct board_peer){ .node = peer.node.id,
                                 .behind = peer.behind,
                                 .copied_bytes = peer.copying ? partition_snap_sent(p, peer.node) : 0 };
    }
    return true;
}

static uint64_t known_of(const struct replica_info *info)
{
    return info->epoch > info->dep ? info->epoch : info->dep;
}

uint64_t partition_known(const struct partition *p)
{
    struct replica_info info;
    replica_info(p->replica, &info);
    return known_of(&info);
}

bool partition_copy(const struct partition *p, struct board_copy *out)
{
    struct replica_info info;
    replica_info(p->replica, &info);
    bool whole = info.last > 0 && info.last >= p->applied.index; /* else the end of a copy is on its way to
                                                                    the disk (R24) */
    bool counted = !info.halted && (info.role == REPLICA_PRIMARY || info.role == REPLICA_MEMBER);
    *out = (struct board_copy){ .partition = p->id,
                                .epoch = replica_epoch_at(p->replica, info.last),
                                .last = info.last,
                                .known = known_of(&info),
                                .spare = !counted && !p->stopped,
                                .primary = info.role == REPLICA_PRIMARY,
                                .active = info.active,
                                .broken = p->stopped || info.leaving };
    return !p->dropped && (whole || p->stopped);
}

uint64_t partition_chain(const struct partition *p)
{
    return p->applied.chain;
}

void partition_publish(struct partition *p)
{
    struct replica_info info;
    replica_info(p->replica, &info);
    atomic_store(&p->pub->epoch, info.epoch);
    atomic_store(&p->pub->primary, info.primary.id);
    atomic_store(&p->pub->role, (uint32_t)info.role);
    atomic_store(&p->pub->active, info.active);
}
