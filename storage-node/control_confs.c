/* SPDX-License-Identifier: Apache-2.0 */
/* The map's configurations, as replicas see them. */
#include <string.h>

#include "storage-node/control_priv.h"

static uint64_t store_number(const Tern__NodeInfo *node)
{
    struct cursor cursor = cursor_of(slice_of(node->store_id.data, node->store_id.len));
    return cursor_be64(&cursor);
}

/* False if the map does not know the node yet. */
static bool node_of(const Tern__Map *map, uint32_t id, struct replica_node *out)
{
    const Tern__NodeInfo *node = map_holder_find_node(map, id);
    if (node == NULL)
        return false;
    *out = (struct replica_node){ .store = store_number(node), .id = id };
    return true;
}

static bool nodes_of(const Tern__Map *map, const uint32_t *ids, size_t count, struct replica_node *out,
                     uint8_t *count_out)
{
    if (count > REPLICA_NODES_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!node_of(map, ids[i], &out[i]))
            return false;
    }
    *count_out = (uint8_t)count;
    return true;
}

bool control_conf_of(const Tern__Map *map, const Tern__PartitionConf *from, struct replica_conf *out)
{
    *out = (struct replica_conf){
        .epoch = from->epoch, .since = from->since, .recovered = from->recovered, .handover = from->handover
    };
    return from->partition < PARTITION_COUNT_MAX && node_of(map, from->primary, &out->primary) &&
           nodes_of(map, from->members, from->n_members, out->members, &out->member_count) &&
           nodes_of(map, from->learners, from->n_learners, out->learners, &out->learner_count);
}

uint8_t control_min_members(const Tern__Map *map)
{
    return map->min_members >= 1 && map->min_members <= REPLICA_NODES_MAX ? (uint8_t)map->min_members : 1;
}

/* While this node is being stopped it asks to be let go, and goes on acknowledging in the old epoch until it
 * ends: had it heard before the primary, the primary would wait for it in vain. */
bool control_lets_us_go(const struct control *c, const Tern__PartitionConf *conf)
{
    if (!atomic_load(&c->leaving))
        return false;
    for (size_t i = 0; i < conf->n_members; i++) {
        if (conf->members[i] == c->identity.node_id)
            return false;
    }
    return true;
}

void control_push_confs(struct control *c)
{
    struct map_ref *ref = map_holder_get(c->options.map);
    if (ref == NULL)
        return;
    const Tern__Map *map = map_ref_map(ref);
    if (c->pushed_min_members !=
        control_min_members(map)) /* it goes with the configurations: all once more */
        memset(c->pushed_epoch, 0, sizeof c->pushed_epoch);
    c->pushed_min_members = control_min_members(map);
    for (size_t i = 0; i < map->n_partitions; i++) {
        struct replica_conf conf;
        const Tern__PartitionConf *from = map->partitions[i];
        if (!control_conf_of(map, from, &conf) || conf.epoch <= c->pushed_epoch[from->partition] ||
            control_lets_us_go(c, from))
            continue;
        c->pushed_epoch[from->partition] = conf.epoch;
        worker_pool_conf(c->workers, from->partition, &conf, 0, control_min_members(map));
    }
    c->pushed_whole = c->pushed_whole || map->n_partitions > 0;
    map_ref_release(&ref);
}
