/* SPDX-License-Identifier: Apache-2.0 */
/* A node that is gone for good, as the store calls it a node although it was put back (R27): most often one
 * that was removed after the copy was made. It will not come, and partitions go on with nothing lost only if
 * all are here or given up. Giving it up is refused unless what the others tell shows that nothing that
 * anybody was promised is on it alone. Of each partition that is ahead, one of these:
 *
 * - Fewer nodes are silent, or have a copy of it that cannot be counted on, than min_members. A write is
 * answered only if so many members have it on disk, so one that is here has it, of each write; and the newest
 * copy of those that are here has what any of these has (docs/replication.md, R27).
 * - It is served now, in the highest epoch that is known, and all that have part in that are here, the node
 * not among them. Only a member of that epoch, or who was added by one, could have made a later one and
 * written in it; these members know of none.
 *
 * Its store id is refused from that moment, for it may have epochs that are used a second time now. It is
 * listed for as long as the store's old configurations name it: nodes must be able to read these; and for as
 * long as any partition is ahead: of the next node that is to be given up, it is one more that is silent. The
 * leading director removes it then. */
#include "director/director_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static bool is_here(const struct map_node *node, uint64_t now)
{
    return node != NULL && map_node_is_alive(node, now) && node->whole;
}

static uint32_t count_silent(const struct map *map, uint64_t now)
{
    uint32_t count = 0;
    for (size_t i = 0; i < map->node_count; i++)
        count += !map_node_is_alive(&map->nodes[i], now);
    return count;
}

static uint32_t count_broken(const struct director *d, uint32_t partition, uint64_t now)
{
    size_t count;
    const struct heard_spare *copies = heard_spares(&d->heard, partition, &count);
    uint32_t broken = 0;
    for (size_t i = 0; i < count; i++)
        broken += copies[i].broken && is_here(map_find_node(&d->map, copies[i].node), now);
    return broken;
}

static bool is_served_without(const struct director *d, uint32_t partition, uint32_t node, uint64_t now)
{
    const struct heard_figures *f = heard_find(&d->heard, partition);
    if (f == NULL || !f->active || f->epoch != heard_epoch(&d->heard, partition) ||
        !is_here(map_find_node(&d->map, f->teller), now))
        return false;
    for (int i = 0; i < f->peer_count; i++) {
        if (f->peers[i].node == node || !is_here(map_find_node(&d->map, f->peers[i].node), now))
            return false;
    }
    return true;
}

static void explain(uint32_t partition, uint32_t more, uint32_t node, struct buf *why)
{
    buf_addf(why, "what was written last of partition %u", partition);
    if (more > 0)
        buf_addf(why, " and %u others", more);
    buf_addf(
        why,
        " may be on node %u alone, as far as the other nodes tell: start it. If it is lost for good, and its "
        "mail with it: ternctl partition recover --all --accept-loss",
        node);
}

enum err give_up_judge(const struct director *d, uint32_t node, uint64_t now_mono_ms, struct buf *why)
{
    const struct map *map = &d->map;
    uint32_t doubtful = 0, first = 0, silent = count_silent(map, now_mono_ms);
    for (size_t i = 0; i < map->node_count; i++) {
        const struct map_node *other = &map->nodes[i];
        if (!map_node_is_alive(other, now_mono_ms) || other->whole)
            continue;
        buf_addf(why, "node %u has not told yet of all the copies that it has: ask again in a few seconds",
                 other->info->id);
        return ERR_BUSY;
    }
    for (uint32_t p = 0; p < map->partition_count; p++) {
        if (!heard_is_ahead(&d->heard, &map->confs[p]) ||
            silent + count_broken(d, p, now_mono_ms) < map->min_members ||
            is_served_without(d, p, node, now_mono_ms))
            continue;
        first = doubtful++ == 0 ? p : first;
    }
    if (doubtful == 0)
        return OK;
    explain(first, doubtful - 1, node, why);
    return ERR_DENIED;
}

/* ---- the end */

static bool is_named(const struct map *map, uint32_t node)
{
    for (uint32_t p = 0; p < map->partition_count; p++) {
        if (conf_is_member(&map->confs[p], node) || conf_is_learner(&map->confs[p], node))
            return true;
    }
    return false;
}

static void on_unlisted(struct director *d, struct change *change, enum err result)
{
    d->drive.changes--;
    if (result == OK)
        log_info("nodes", "node %u is removed, as no partition names it any more", change->number);
}

void give_up_finish(struct director *d)
{
    if (d->heard.ahead > 0)
        return;
    for (size_t i = 0; i < d->map.node_count; i++) {
        const struct map_node *node = &d->map.nodes[i];
        if (!map_is_given_up(&d->map, node) || is_named(&d->map, node->info->id))
            continue;
        struct change *change = change_new(d, NULL, 1, on_unlisted);
        change->number = node->info->id;
        change_add_delete(change, ROW_NODE, node->info->id, SLICE_NULL, node->mod);
        d->drive.changes++;
        change_submit(change);
        return; /* the picture may have changed; the next one's turn comes */
    }
}
