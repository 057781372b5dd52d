/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/rpc/map_holder.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

struct map_ref {
    Tern__Map *map;
    _Atomic uint32_t refs;
};

struct map_holder {
    pthread_mutex_t lock;
    struct map_ref *current;
    _Atomic uint64_t version;
};

struct map_holder *map_holder_new(void)
{
    struct map_holder *h = NEW(struct map_holder);
    pthread_mutex_init(&h->lock, NULL);
    return h;
}

void map_holder_free(struct map_holder **holder)
{
    if (*holder == NULL)
        return;
    map_ref_release(&(*holder)->current);
    pthread_mutex_destroy(&(*holder)->lock);
    free(*holder);
    *holder = NULL;
}

static Tern__PartitionConf *copy_conf(const Tern__PartitionConf *conf)
{
    size_t size = tern__partition_conf__get_packed_size(conf);
    uint8_t *packed = xmalloc(size + 1);
    tern__partition_conf__pack(conf, packed);
    Tern__PartitionConf *copy = tern__partition_conf__unpack(NULL, size, packed);
    free(packed);
    return copy;
}

static void keep_epochs(const Tern__Map *held, Tern__Map *map)
{
    for (size_t i = 0; i < map->n_partitions; i++) {
        const Tern__PartitionConf *had = map_holder_find_partition(held, map->partitions[i]->partition);
        Tern__PartitionConf *copy = NULL;
        if (had != NULL && had->epoch > map->partitions[i]->epoch)
            copy = copy_conf(had);
        if (copy == NULL)
            continue;
        tern__partition_conf__free_unpacked(map->partitions[i], NULL);
        map->partitions[i] = copy;
    }
}

bool map_holder_put(struct map_holder *holder, Tern__Map *map)
{
    struct map_ref *ref = NEW(struct map_ref);
    ref->map = map;
    ref->refs = 1;
    pthread_mutex_lock(&holder->lock);
    bool newer = holder->current == NULL || map->version > holder->current->map->version;
    if (newer) {
        if (holder->current != NULL)
            keep_epochs(holder->current->map, map);
        struct map_ref *old = holder->current;
        holder->current = ref;
        ref = old;
        atomic_store(&holder->version, map->version);
    }
    pthread_mutex_unlock(&holder->lock);
    map_ref_release(&ref);
    return newer;
}

struct map_ref *map_holder_get(struct map_holder *holder)
{
    pthread_mutex_lock(&holder->lock);
    struct map_ref *ref = holder->current;
    if (ref != NULL)
        atomic_fetch_add(&ref->refs, 1);
    pthread_mutex_unlock(&holder->lock);
    return ref;
}

const Tern__Map *map_ref_map(const struct map_ref *ref)
{
    return ref->map;
}

void map_ref_release(struct map_ref **ref)
{
    if (*ref != NULL && atomic_fetch_sub(&(*ref)->refs, 1) == 1) {
        tern__map__free_unpacked((*ref)->map, NULL);
        free(*ref);
    }
    *ref = NULL;
}

uint64_t map_holder_version(const struct map_holder *holder)
{
    return atomic_load(&holder->version);
}

const Tern__NodeInfo *map_holder_find_node(const Tern__Map *map, uint32_t id)
{
    for (size_t i = 0; i < map->n_nodes; i++) {
        if (map->nodes[i]->id == id)
            return map->nodes[i];
    }
    return NULL;
}

uint32_t map_holder_last_node_id(const Tern__Map *map)
{
    uint32_t last = 0;
    for (size_t i = 0; i < map->n_nodes; i++)
        last = map->nodes[i]->id > last ? map->nodes[i]->id : last;
    return last;
}

const Tern__PartitionConf *map_holder_find_partition(const Tern__Map *map, uint32_t partition)
{
    /* Usually in order, so the first look finds it. */
    if (partition < map->n_partitions && map->partitions[partition]->partition == partition)
        return map->partitions[partition];
    for (size_t i = 0; i < map->n_partitions; i++) {
        if (map->partitions[i]->partition == partition)
            return map->partitions[i];
    }
    return NULL;
}

bool map_holder_primary(struct map_holder *holder, uint32_t partition, char *endpoint_out, size_t size)
{
    struct map_ref *ref = map_holder_get(holder);
    if (ref == NULL)
        return false;
    const Tern__PartitionConf *conf = map_holder_find_partition(ref->map, partition);
    const Tern__NodeInfo *node = conf == NULL ? NULL : map_holder_find_node(ref->map, conf->primary);
    if (node != NULL)
        snprintf(endpoint_out, size, "%s", node->endpoint);
    map_ref_release(&ref);
    return node != NULL;
}
