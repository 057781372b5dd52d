/* SPDX-License-Identifier: Apache-2.0 */
#include "director/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "director/rows.h"
#include "lib/base/alloc.h"
#include "lib/base/log.h"

/* ---- sorted arrays: where an element is or belongs */

typedef int map_cmp(const void *element, const void *key);

static size_t lower_bound(const void *array, size_t count, size_t size, const void *key, map_cmp *cmp)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (cmp((const char *)array + mid * size, key) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void *find(const void *array, size_t count, size_t size, const void *key, map_cmp *cmp)
{
    size_t at = lower_bound(array, count, size, key, cmp);
    char *element = (char *)array + at * size;
    return at < count && cmp(element, key) == 0 ? element : NULL;
}

/* A zeroed element in its place. */
static void *insert(void **array, size_t *count, size_t size, const void *key, map_cmp *cmp)
{
    size_t at = lower_bound(*array, *count, size, key, cmp);
    *array = xrealloc(*array, (*count + 1) * size);
    char *element = (char *)*array + at * size;
    memmove(element + size, element, (*count - at) * size);
    memset(element, 0, size);
    (*count)++;
    return element;
}

static void erase(void *array, size_t *count, size_t size, void *element)
{
    size_t at = (size_t)((char *)element - (char *)array) / size;
    memmove(element, (char *)element + size, (*count - at - 1) * size);
    (*count)--;
}

static int cmp_node(const void *element, const void *key)
{
    uint32_t a = ((const struct map_node *)element)->info->id, b = *(const uint32_t *)key;
    return (a > b) - (a < b);
}

static int cmp_domain(const void *element, const void *key)
{
    return slice_cmp(slice_str(((const struct map_domain *)element)->domain->name),
                     *(const struct slice *)key);
}

static int cmp_setting(const void *element, const void *key)
{
    return slice_cmp(slice_str(((const struct map_setting *)element)->setting->name),
                     *(const struct slice *)key);
}

struct map_node *map_find_node(const struct map *map, uint32_t id)
{
    return find(map->nodes, map->node_count, sizeof *map->nodes, &id, cmp_node);
}

struct map_node *map_find_store(const struct map *map, struct slice store_id)
{
    for (size_t i = 0; i < map->node_count; i++) {
        const ProtobufCBinaryData *id = &map->nodes[i].info->store_id;
        if (slice_eq(slice_of(id->data, id->len), store_id))
            return &map->nodes[i];
    }
    return NULL;
}

const Tern__NodeInfo *map_find_removed(const struct map *map, struct slice store_id)
{
    for (size_t i = 0; i < map->removed_count; i++) {
        const ProtobufCBinaryData *id = &map->removed[i]->store_id;
        if (slice_eq(slice_of(id->data, id->len), store_id))
            return map->removed[i];
    }
    return NULL;
}

bool map_is_given_up(const struct map *map, const struct map_node *node)
{
    const ProtobufCBinaryData *id = &node->info->store_id;
    return map->removed_count > 0 && map_find_removed(map, slice_of(id->data, id->len)) != NULL;
}

const struct map_node *map_find_joinable(const struct map *map, uint32_t id)
{
    const struct map_node *node = map_find_node(map, id);
    return node == NULL || node->info->removing || map_is_given_up(map, node) ? NULL : node;
}

struct map_domain *map_find_domain(const struct map *map, struct slice name)
{
    return find(map->domains, map->domain_count, sizeof *map->domains, &name, cmp_domain);
}

struct map_setting *map_find_setting(const struct map *map, struct slice name)
{
    return find(map->settings, map->setting_count, sizeof *map->settings, &name, cmp_setting);
}

/* ---- rows */

static enum err apply_cluster(struct map *map, const struct coordination_row *row)
{
    Tern__Map *cluster = (Tern__Map *)row_parse_value(row->value, &tern__map__descriptor);
    if (cluster == NULL)
        return ERR_CORRUPT;
    bool good = !row->deleted && cluster->cluster_id.len == MAP_ID_SIZE && cluster->partition_count > 0 &&
                cluster->partition_count <= MAP_PARTITIONS_MAX &&
                (map->cluster_mod == 0 || cluster->partition_count == map->partition_count);
    if (good) {
        if (map->cluster_mod == 0) {
            map->partition_count = cluster->partition_count;
            map->confs = NEW_ARRAY(struct conf, map->partition_count);
            map->conf_mods = NEW_ARRAY(uint64_t, map->partition_count);
        }
        map->cluster_mod = row->mod;
        memcpy(map->cluster_id, cluster->cluster_id.data, MAP_ID_SIZE);
        map->copies = cluster->copies;
        map->min_members = cluster->min_members;
        map->base = cluster->version_base;
    }
    tern__map__free_unpacked(cluster, NULL);
    return good ? OK : ERR_CORRUPT;
}

static enum err apply_node_id(struct map *map, const struct coordination_row *row)
{
    Tern__NodeInfo *info = (Tern__NodeInfo *)row_parse_value(row->value, &tern__node_info__descriptor);
    if (info == NULL)
        return ERR_CORRUPT;
    map->last_node_id = info->id;
    map->last_node_id_mod = row->mod;
    tern__node_info__free_unpacked(info, NULL);
    return OK;
}

static enum err apply_node(struct map *map, const struct coordination_row *row, uint32_t id)
{
    struct map_node *node = map_find_node(map, id);
    if (row->deleted) {
        if (node != NULL) {
            tern__node_info__free_unpacked(node->info, NULL);
            erase(map->nodes, &map->node_count, sizeof *node, node);
        }
        return OK;
    }
    Tern__NodeInfo *info = (Tern__NodeInfo *)row_parse_value(row->value, &tern__node_info__descriptor);
    if (info == NULL || info->id != id || info->store_id.len != MAP_ID_SIZE) {
        if (info != NULL)
            tern__node_info__free_unpacked(info, NULL);
        return ERR_CORRUPT;
    }
    if (node == NULL)
        node = insert((void **)&map->nodes, &map->node_count, sizeof *node, &id, cmp_node);
    else
        tern__node_info__free_unpacked(node->info, NULL);
    node->info = info;
    node->mod = row->mod;
    return OK;
}

/* Written once, never deleted. */
static enum err apply_removed(struct map *map, const struct coordination_row *row, uint32_t id)
{
    Tern__NodeInfo *info = (Tern__NodeInfo *)row_parse_value(row->value, &tern__node_info__descriptor);
    if (info == NULL || row->deleted || info->id != id || info->store_id.len != MAP_ID_SIZE) {
        if (info != NULL)
            tern__node_info__free_unpacked(info, NULL);
        return ERR_CORRUPT;
    }
    map->removed = xrealloc(map->removed, (map->removed_count + 1) * sizeof(Tern__NodeInfo *));
    map->removed[map->removed_count++] = info;
    return OK;
}

static enum err apply_partition(struct map *map, const struct coordination_row *row, uint32_t partition)
{
    if (map->cluster_mod == 0 || partition >= map->partition_count || row->deleted)
        return ERR_CORRUPT;
    Tern__PartitionConf *proto =
        (Tern__PartitionConf *)row_parse_value(row->value, &tern__partition_conf__descriptor);
    if (proto == NULL)
        return ERR_CORRUPT;
    struct conf conf = { 0 };
    enum err err = conf_from_proto(proto, &conf);
    tern__partition_conf__free_unpacked(proto, NULL);
    if (err != OK || conf.partition != partition || conf.epoch < map->confs[partition].epoch)
        return ERR_CORRUPT;
    map->placed_count += map->confs[partition].epoch == 0;
    map->confs[partition] = conf;
    map->conf_mods[partition] = row->mod;
    return OK;
}

static enum err apply_domain(struct map *map, const struct coordination_row *row, struct slice name)
{
    struct map_domain *at = map_find_domain(map, name);
    if (at != NULL) {
        tern__domain__free_unpacked(at->domain, NULL);
        erase(map->domains, &map->domain_count, sizeof *at, at);
    }
    if (row->deleted)
        return OK;
    Tern__Domain *domain = (Tern__Domain *)row_parse_value(row->value, &tern__domain__descriptor);
    if (domain == NULL || !slice_eq_str(name, domain->name)) {
        if (domain != NULL)
            tern__domain__free_unpacked(domain, NULL);
        return ERR_CORRUPT;
    }
    at = insert((void **)&map->domains, &map->domain_count, sizeof *at, &name, cmp_domain);
    *at = (struct map_domain){ domain, row->mod };
    return OK;
}

static enum err apply_setting(struct map *map, const struct coordination_row *row, struct slice name)
{
    struct map_setting *at = map_find_setting(map, name);
    if (at != NULL) {
        tern__setting__free_unpacked(at->setting, NULL);
        erase(map->settings, &map->setting_count, sizeof *at, at);
    }
    if (row->deleted)
        return OK;
    Tern__Setting *setting = (Tern__Setting *)row_parse_value(row->value, &tern__setting__descriptor);
    if (setting == NULL || !slice_eq_str(name, setting->name)) {
        if (setting != NULL)
            tern__setting__free_unpacked(setting, NULL);
        return ERR_CORRUPT;
    }
    at = insert((void **)&map->settings, &map->setting_count, sizeof *at, &name, cmp_setting);
    *at = (struct map_setting){ setting, row->mod };
    return OK;
}

static enum err apply_row(struct map *map, const struct coordination_row *row)
{
    enum row_kind kind;
    uint32_t number;
    struct slice name;
    TRY(row_parse_key(row->key, &kind, &number, &name));
    switch (kind) {
    case ROW_CLUSTER:
        return apply_cluster(map, row);
    case ROW_NODE_ID:
        return apply_node_id(map, row);
    case ROW_NODE:
        return apply_node(map, row, number);
    case ROW_REMOVED:
        return apply_removed(map, row, number);
    case ROW_PARTITION:
        return apply_partition(map, row, number);
    case ROW_DOMAIN:
        return apply_domain(map, row, name);
    case ROW_SETTING:
        return apply_setting(map, row, name);
    }
    return ERR_CORRUPT;
}

enum err map_apply(struct map *map, const struct coordination_row *rows, size_t count, uint64_t revision)
{
    for (size_t i = 0; i < count; i++) {
        enum err err = apply_row(map, &rows[i]);
        if (err != OK) {
            log_error("map", "the store's row %.*s makes no sense", SLICE_FMT(rows[i].key));
            return err;
        }
        if (rows[i].mod + map->base > map->version)
            map->version = rows[i].mod + map->base;
    }
    if (revision > map->revision)
        map->revision = revision;
    return OK;
}

void map_fini(struct map *map)
{
    for (size_t i = 0; i < map->node_count; i++)
        tern__node_info__free_unpacked(map->nodes[i].info, NULL);
    for (size_t i = 0; i < map->domain_count; i++)
        tern__domain__free_unpacked(map->domains[i].domain, NULL);
    for (size_t i = 0; i < map->setting_count; i++)
        tern__setting__free_unpacked(map->settings[i].setting, NULL);
    for (size_t i = 0; i < map->removed_count; i++)
        tern__node_info__free_unpacked(map->removed[i], NULL);
    free(map->removed);
    free(map->nodes);
    free(map->domains);
    free(map->settings);
    free(map->confs);
    free(map->conf_mods);
    *map = (struct map){ 0 };
}

uint32_t map_zone_number(const struct map *map, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (strcmp(map->nodes[i].info->zone, map->nodes[at].info->zone) == 0)
            return (uint32_t)i;
    }
    return (uint32_t)at;
}

bool map_node_is_alive(const struct map_node *node, uint64_t now_mono_ms)
{
    return node->heard_mono_ms != 0 && now_mono_ms < node->heard_mono_ms + MAP_NODE_ALIVE_MS;
}

uint32_t map_living_members(const struct map *map, const struct conf *conf, uint64_t now_mono_ms,
                            uint32_t *first_out)
{
    uint32_t living = 0;
    *first_out = 0;
    for (size_t i = 0; i < conf->member_count; i++) {
        const struct map_node *node = map_find_node(map, conf->members[i]);
        if (node == NULL || !map_node_is_alive(node, now_mono_ms))
            continue;
        if (living++ == 0)
            *first_out = conf->members[i];
    }
    return living;
}

bool map_went_back(const struct map *old, const struct map *map)
{
    for (uint32_t p = 0; p < old->partition_count && p < map->partition_count; p++) {
        if (map->conf_mods[p] < old->conf_mods[p] || map->confs[p].epoch < old->confs[p].epoch)
            return true;
    }
    return false;
}

bool map_is_placed(const struct map *map)
{
    return map->cluster_mod != 0 && map->placed_count == map->partition_count;
}

/* ---- packing: the message only borrows, nothing of the picture is copied */

void map_pack(const struct map *map, const char *problem, struct buf *out)
{
    Tern__Map proto = TERN__MAP__INIT;
    Tern__MapResponse response = TERN__MAP_RESPONSE__INIT;
    size_t partition_count = map_is_placed(map) ? map->partition_count : 0;
    Tern__PartitionConf *confs = NEW_ARRAY(Tern__PartitionConf, partition_count + 1);
    Tern__PartitionConf **conf_at = NEW_ARRAY(Tern__PartitionConf *, partition_count + 1);
    Tern__NodeInfo **nodes = NEW_ARRAY(Tern__NodeInfo *, map->node_count + 1);
    Tern__Domain **domains = NEW_ARRAY(Tern__Domain *, map->domain_count + 1);
    Tern__Setting **settings = NEW_ARRAY(Tern__Setting *, map->setting_count + 1);
    for (size_t i = 0; i < partition_count; i++) {
        conf_to_proto(&map->confs[i], &confs[i]);
        conf_at[i] = &confs[i];
    }
    for (size_t i = 0; i < map->node_count; i++) {
        nodes[i] = map->nodes[i].info;
        nodes[i]->seen_ms = map->nodes[i].heard_real_ms;
    }
    for (size_t i = 0; i < map->domain_count; i++)
        domains[i] = map->domains[i].domain;
    for (size_t i = 0; i < map->setting_count; i++)
        settings[i] = map->settings[i].setting;
    proto.version = map->version;
    if (map->cluster_mod != 0)
        proto.cluster_id = (ProtobufCBinaryData){ MAP_ID_SIZE, (uint8_t *)map->cluster_id };
    proto.partition_count = map->partition_count;
    proto.copies = map->copies;
    proto.min_members = map->min_members;
    proto.n_nodes = map->node_count;
    proto.nodes = nodes;
    proto.n_partitions = partition_count;
    proto.partitions = conf_at;
    proto.n_domains = map->domain_count;
    proto.domains = domains;
    proto.n_settings = map->setting_count;
    proto.settings = settings;
    if (problem != NULL)
        proto.problem = (char *)problem;
    response.map = &proto;
    size_t size = tern__map_response__get_packed_size(&response);
    tern__map_response__pack(&response, buf_reserve(out, size));
    out->len += size;
    free(settings);
    free(domains);
    free(nodes);
    free(conf_at);
    free(confs);
}
