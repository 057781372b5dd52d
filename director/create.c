/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of a cluster: its row when the first director starts, and conf(1) of every partition once
 * `initial_nodes` nodes have said hello. Both only where nothing is yet, so it does not matter how often, or
 * by how many, they are tried. Nothing is placed while a node tells that this was done before. */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "director/placement.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"

static void on_cluster_made(struct director *d, struct change *change, enum err result)
{
    if (result != OK && result != ERR_CONFLICT) /* tried again at the next start */
        log_error("create", "cannot store the cluster's row: %s", err_text(result));
}

static uint32_t wanted_min_members(const struct director *d)
{
    if (d->options.min_members != 0)
        return d->options.min_members;
    return d->options.copies <= 2 ? 1 : 2;
}

enum err create_cluster(struct director *d)
{
    const struct map *map = &d->map;
    uint32_t min_members = wanted_min_members(d);
    if (map->cluster_mod != 0 && map->partition_count != d->options.partitions) {
        log_error("create",
                  "this cluster was made with %u partitions, the configuration says %u: it cannot be changed",
                  map->partition_count, d->options.partitions);
        return ERR_INVALID;
    }
    if (map->cluster_mod != 0 && map->copies == d->options.copies && map->min_members == min_members)
        return OK;
    struct change *change = change_new(d, NULL, 1, on_cluster_made);
    Tern__Map cluster = TERN__MAP__INIT;
    uint8_t id[MAP_ID_SIZE];
    if (map->cluster_mod != 0)
        memcpy(id, map->cluster_id, sizeof id);
    else
        rand_bytes(id, sizeof id);
    cluster.cluster_id = (ProtobufCBinaryData){ sizeof id, id };
    cluster.partition_count = d->options.partitions;
    cluster.copies = d->options.copies;
    cluster.min_members = min_members;
    cluster.version_base = map->base;
    change_add_put(change, ROW_CLUSTER, 0, SLICE_NULL, map->cluster_mod, &cluster.base);
    change_submit(change);
    return OK;
}

/* ---- the first placement */

static bool may_hold(const struct map_node *node, uint64_t now_mono_ms)
{
    return map_node_is_alive(node, now_mono_ms) && !node->leaving && !node->info->draining &&
           !node->info->removing;
}

static size_t count_usable(const struct map *map, uint64_t now_mono_ms)
{
    size_t count = 0;
    for (size_t i = 0; i < map->node_count; i++)
        count += may_hold(&map->nodes[i], now_mono_ms);
    return count;
}

static size_t list_nodes(const struct map *map, uint64_t now_mono_ms, struct placement_node *nodes)
{
    size_t count = 0;
    for (size_t i = 0; i < map->node_count; i++) {
        if (may_hold(&map->nodes[i], now_mono_ms))
            nodes[count++] = (struct placement_node){ .id = map->nodes[i].info->id,
                                                      .zone = map_zone_number(map, i),
                                                      .full = map->nodes[i].disk_low };
    }
    return count;
}

/* What is placed already is the solver's starting point. */
static void fill_slot(const struct conf *conf, struct placement_slot *slot)
{
    if (conf->epoch == 0)
        return;
    slot->nodes[slot->count++] = conf->primary;
    for (size_t i = 0; i < conf->member_count && slot->count < PLACEMENT_COPIES_MAX; i++) {
        if (conf->members[i] != conf->primary)
            slot->nodes[slot->count++] = conf->members[i];
    }
}

/* R27: partitions were placed before, as a node tells, so a store that knows nothing of it was put back from
 * a copy of before. Placed anew they would be empty, in epochs that copies on the disks have already. NULL:
 * no node tells of it. */
static const struct map_node *find_placed(const struct map *map)
{
    for (size_t i = 0; i < map->node_count; i++) {
        if (map->nodes[i].placed)
            return &map->nodes[i];
    }
    return NULL;
}

static void add_placed(const struct map_node *node, struct buf *out)
{
    buf_addf(
        out,
        "node %u (%s) had partitions before, and the coordination store does not know of them: it was put "
        "back from a copy that was made before they were placed. They are not placed anew, empty, beside "
        "the mail that nodes have; put a later copy back",
        node->info->id, node->info->name);
}

static void refuse_to_place(struct director *d, const struct map_node *node)
{
    struct buf why = { 0 };
    add_placed(node, &why);
    if (!d->told_placed)
        log_error("create", "%s", buf_cstr(&why));
    d->told_placed = true;
    buf_fini(&why);
}

static void on_placed(struct director *d, struct change *change, enum err result)
{
    d->creating--;
    if (result != OK && result != ERR_CONFLICT)
        log_error("create", "cannot store the first placement: %s (trying again)", err_text(result));
    else if (d->creating == 0 && map_is_placed(&d->map))
        log_info("create", "all %u partitions are placed", d->map.partition_count);
}

static void submit_placement(struct director *d, const struct placement_slot *slots)
{
    struct change *change = NULL;
    for (uint32_t p = 0; p < d->map.partition_count; p++) {
        if (d->map.confs[p].epoch != 0)
            continue;
        struct conf conf = conf_create(p, slots[p].nodes[0], slots[p].nodes, slots[p].count);
        if (change != NULL && change->txn.count + change_conf_parts(&conf) > change->parts_max) {
            change_submit(change);
            change = NULL;
        }
        if (change == NULL) {
            change = change_new(d, NULL, COORDINATION_CHANGES_MAX, on_placed);
            d->creating++;
        }
        change_add_conf(change, &conf);
    }
    if (change != NULL)
        change_submit(change);
}

void create_partitions(struct director *d, uint64_t now_mono_ms)
{
    const struct map *map = &d->map;
    if (map->cluster_mod == 0 || map_is_placed(map) || d->creating > 0 ||
        count_usable(map, now_mono_ms) < d->options.initial_nodes)
        return;
    const struct map_node *placed = find_placed(map);
    if (placed != NULL) {
        refuse_to_place(d, placed);
        return;
    }
    struct placement_node *nodes = NEW_ARRAY(struct placement_node, map->node_count);
    struct placement_slot *slots = NEW_ARRAY(struct placement_slot, map->partition_count);
    size_t count = list_nodes(map, now_mono_ms, nodes);
    for (uint32_t p = 0; p < map->partition_count; p++)
        fill_slot(&map->confs[p], &slots[p]);
    placement_solve(nodes, count, map->copies, slots, map->partition_count);
    if (count < map->copies)
        log_warn("create", "only %zu nodes for %u copies: partitions start with %zu", count, map->copies,
                 count);
    submit_placement(d, slots);
    free(slots);
    free(nodes);
}

bool create_problem(struct director *d, uint64_t now_mono_ms, struct buf *out)
{
    const struct map_node *placed = find_placed(&d->map);
    bool waits = !map_is_placed(&d->map) && d->map.cluster_mod != 0 && placed == NULL;
    if (map_is_placed(&d->map))
        return false;
    if (d->map.cluster_mod == 0)
        buf_add_str(out, "the coordination store has not taken the cluster's row yet");
    else if (placed != NULL)
        add_placed(placed, out);
    else
        buf_addf(out, "waiting for storage nodes: %zu of %u are here", count_usable(&d->map, now_mono_ms),
                 d->options.initial_nodes);
    return waits;
}
