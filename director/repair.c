/* SPDX-License-Identifier: Apache-2.0 */
/* Copies that are missing: another node becomes a learner, and the primary makes it a member when it has
 * caught up (R21, R23). A node that comes back asks for itself and is a learner at once; only when a copy has
 * been missing for `repair_after` is another node seeded. A learner whose node is gone for as long is let go.
 */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

enum {
    REPAIR_INTERVAL_MS = 1000,
    REPAIR_LEARNERS_MAX = 16, /* partitions with a learner at once; beyond it no more are begun */
};

struct repair_view {
    struct director *d;
    uint64_t now;
    size_t *copies; /* by node's place in the map */
    size_t learners;
};

static size_t place_of(const struct map *map, uint32_t id)
{
    const struct map_node *node = map_find_node(map, id);
    return node == NULL ? SIZE_MAX : (size_t)(node - map->nodes);
}

static void count_copies(struct repair_view *v)
{
    const struct map *map = &v->d->map;
    for (uint32_t p = 0; p < map->partition_count; p++) {
        const struct conf *conf = &map->confs[p];
        v->learners += conf->learner_count > 0;
        for (int i = 0; i < conf->member_count + conf->learner_count; i++) {
            bool member = i < conf->member_count;
            size_t at = place_of(map, member ? conf->members[i] : conf->learners[i - conf->member_count]);
            if (at != SIZE_MAX)
                v->copies[at]++;
        }
    }
}

static bool in_use(const struct map *map, const struct conf *conf, const char *zone)
{
    for (int i = 0; i < conf->member_count; i++) {
        const struct map_node *node = map_find_node(map, conf->members[i]);
        if (node != NULL && strcmp(node->info->zone, zone) == 0)
            return true;
    }
    return false;
}

/* The node to take one more copy: in a zone without one if there is such, then with the fewest. */
static uint32_t choose(const struct repair_view *v, const struct conf *conf)
{
    const struct map *map = &v->d->map;
    size_t best = SIZE_MAX;
    bool best_used = false;
    for (size_t i = 0; i < map->node_count; i++) {
        const struct map_node *node = &map->nodes[i];
        if (!map_node_is_alive(node, v->now) || node->info->draining ||
            conf_is_member(conf, node->info->id) || conf_is_learner(conf, node->info->id))
            continue;
        bool used = in_use(map, conf, node->info->zone);
        if (best == SIZE_MAX || used < best_used || (used == best_used && v->copies[i] < v->copies[best])) {
            best = i;
            best_used = used;
        }
    }
    return best == SIZE_MAX ? 0 : map->nodes[best].info->id;
}

/* conf(1) may be changed only when its members have a record of it (R26): they have once its primary is
 * active, which the primary's node tells with its hello. */
static bool is_created(const struct repair_view *v, uint32_t partition)
{
    const struct map *map = &v->d->map;
    const struct conf *conf = &map->confs[partition];
    const struct map_node *node = map_find_node(map, conf->primary);
    if (conf->epoch > 1)
        return true;
    return node != NULL && map_node_is_alive(node, v->now) &&
           node->map_version >= map->conf_mods[partition] && node->not_active == 0;
}

static void on_repaired(struct director *d, struct change *change, enum err result)
{
    d->repairing--;
    if (result == OK)
        log_info("repair", "partition %u: node %u %s", change->number, change->asked.subject,
                 change->asked.change == TERN__CONF_CHANGE__CONF_ADD_LEARNER ? "is to have a copy"
                                                                             : "is not waited for any more");
    else if (result != ERR_CONFLICT) /* tried again */
        log_warn("repair", "cannot change partition %u: %s", change->number, err_text(result));
}

static void submit(struct director *d, uint32_t partition, Tern__ConfChange what, uint32_t node)
{
    const struct conf *conf = &d->map.confs[partition];
    struct conf_request asked = { what, conf->epoch, 0, node };
    struct conf next;
    if (conf_change(conf, &asked, true, &next) != OK)
        return;
    struct change *change = change_new(d, NULL, 1, on_repaired);
    Tern__PartitionConf proto;
    change->number = partition;
    change->asked = asked;
    conf_to_proto(&next, &proto);
    change_add_put(change, ROW_PARTITION, partition, SLICE_NULL, d->map.conf_mods[partition], &proto.base);
    d->repairing++;
    change_submit(change);
}

static bool is_gone(const struct repair_view *v, uint32_t id)
{
    const struct map_node *node = map_find_node(&v->d->map, id);
    uint64_t heard = node == NULL ? 0 : node->heard_mono_ms;
    if (heard < v->d->started_mono_ms)
        heard = v->d->started_mono_ms;
    return v->now >= heard + v->d->options.repair_after_ms;
}

static void repair(struct repair_view *v, uint32_t partition)
{
    struct director *d = v->d;
    const struct conf *conf = &d->map.confs[partition];
    size_t there = conf->member_count + conf->learner_count;
    for (int i = 0; i < conf->learner_count; i++) {
        if (is_gone(v, conf->learners[i])) {
            submit(d, partition, TERN__CONF_CHANGE__CONF_DROP_LEARNER, conf->learners[i]);
            return;
        }
    }
    if (conf->epoch == 0 || there >= d->map.copies) {
        d->short_since[partition] = 0;
        return;
    }
    if (d->short_since[partition] == 0)
        d->short_since[partition] = v->now;
    /* Created with fewer than wanted: nobody will come back. */
    bool due = conf->epoch == 1 || v->now >= d->short_since[partition] + d->options.repair_after_ms;
    uint32_t node =
        due && v->learners < REPAIR_LEARNERS_MAX && is_created(v, partition) ? choose(v, conf) : 0;
    if (node == 0)
        return;
    v->learners += conf->learner_count == 0;
    v->copies[place_of(&d->map, node)]++;
    submit(d, partition, TERN__CONF_CHANGE__CONF_ADD_LEARNER, node);
}

void repair_copies(struct director *d, uint64_t now_mono_ms)
{
    if (now_mono_ms < d->next_repair_ms || d->repairing > 0 || !map_is_placed(&d->map))
        return;
    d->next_repair_ms = now_mono_ms + REPAIR_INTERVAL_MS;
    if (d->short_since == NULL)
        d->short_since = NEW_ARRAY(uint64_t, d->map.partition_count);
    struct repair_view v = { .d = d, .now = now_mono_ms };
    v.copies = NEW_ARRAY(size_t, d->map.node_count + 1);
    count_copies(&v);
    for (uint32_t p = 0; p < d->map.partition_count; p++)
        repair(&v, p);
    free(v.copies);
}
