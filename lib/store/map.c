/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the map: one fiber asks a director whenever a newer version was heard of, somebody found ours
 * wrong, or MAP_REFRESH_MS have passed (which also renews the subscription). When no director answers, the
 * storage nodes are asked: they serve the last map. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/store/store_priv.h"

enum {
    MAP_REFRESH_MS = 5000,
    MAP_TRY_MS = 1000,  /* how long one director may take */
    MAP_RETRY_MS = 200, /* between rounds in which nobody answered */
    MAP_GAP_MS = 20,    /* between rounds, however many ask for a newer map */
    MAP_PARTITIONS_MAX = 65536,
};

static bool is_plausible(const Tern__Map *map)
{
    if (map->n_partitions != 0 &&
        (map->n_partitions != map->partition_count || map->partition_count > MAP_PARTITIONS_MAX))
        return false;
    for (size_t i = 0; i < map->n_partitions; i++) {
        if (map->partitions[i]->partition != i)
            return false;
    }
    return true;
}

/* Of the cluster whose map we have; a director over another's store may give out higher versions. */
static bool is_ours(const struct store *store, const Tern__Map *map)
{
    return store->map == NULL || store->map->cluster_id.len == 0 ||
           (map->cluster_id.len == store->map->cluster_id.len &&
            memcmp(map->cluster_id.data, store->map->cluster_id.data, map->cluster_id.len) == 0);
}

/* Its store was put back from a copy of before the first placement, and knows less than we do (R27). */
static bool forgets_all(const struct store *store, const Tern__Map *map)
{
    return store->map != NULL && store->map->n_partitions > 0 && map->n_partitions == 0;
}

/* The higher epoch of a partition is the newer one also when the directors' store was put back from an older
 * copy (R27): who serves it goes on doing so. */
static void keep_epochs(Tern__Map *held, Tern__Map *map)
{
    for (size_t i = 0; i < map->n_partitions && i < held->n_partitions; i++) {
        Tern__PartitionConf *had = held->partitions[i];
        if (had->epoch <= map->partitions[i]->epoch)
            continue;
        held->partitions[i] = map->partitions[i];
        map->partitions[i] = had;
    }
}

static void adopt(struct store *store, Tern__Map *map)
{
    if (store->map != NULL) {
        keep_epochs(store->map, map);
        tern__map__free_unpacked(store->map, NULL);
    }
    store->map = map;
    store->map_stale = false;
    log_debug("store", "map version=%llu partitions=%zu nodes=%zu", (unsigned long long)map->version,
              map->n_partitions, map->n_nodes);
    cond_broadcast(&store->map_changed);
    calls_on_map(store);
    watches_on_map(store);
}

/* Ask one program. True if it answered (with a newer map or with "nothing newer"). Yields. */
static bool ask(struct store *store, const char *endpoint, enum rpc_role role)
{
    struct rpc_peer *peer = rpc_client_peer(store->rpc, endpoint, role);
    if (peer == NULL)
        return false;
    Tern__MapRequest request = TERN__MAP_REQUEST__INIT;
    request.have_version = store_map_version(store);
    request.subscribe = true;
    struct rpc_call call = { .method = METHOD_MAP, .deadline_ms = MAP_TRY_MS, .request = &request.base };
    bool answered = rpc_call(peer, &call) == OK && call.status == OK;
    if (answered) {
        Tern__MapResponse *response = tern__map_response__unpack(NULL, call.response.len, call.response.data);
        answered = response != NULL;
        if (response != NULL && response->map != NULL && response->map->version > store_map_version(store)) {
            if (!is_ours(store, response->map) || forgets_all(store, response->map)) {
                answered = false;
            } else if (is_plausible(response->map)) {
                adopt(store, response->map);
                response->map = NULL;
            } else {
                log_error("store", "map from %s makes no sense", endpoint);
                answered = false;
            }
        }
        if (response != NULL)
            tern__map_response__free_unpacked(response, NULL);
    }
    rpc_call_fini(&call);
    return answered;
}

/* Before the first map: those that the configuration names. */
static bool ask_first_nodes(struct store *store)
{
    for (size_t i = 0; store->map == NULL && i < store->node_count && !store->stopping; i++) {
        if (ask(store, store->nodes[i], RPC_ROLE_STORAGE_NODE))
            return true;
    }
    return false;
}

static bool ask_nodes(struct store *store)
{
    if (store->map == NULL)
        return ask_first_nodes(store);
    for (size_t i = 0; i < store->map->n_nodes && !store->stopping; i++) {
        char endpoint[RPC_ENDPOINT_MAX];
        const char *text = store->map->nodes[i]->endpoint;
        if (strlen(text) >= sizeof endpoint)
            continue;
        strcpy(endpoint, text); /* the map may change while we wait */
        if (ask(store, endpoint, RPC_ROLE_STORAGE_NODE))
            return true;
    }
    return false;
}

static bool ask_anyone(struct store *store)
{
    bool answered = false;
    size_t first = store->director_at;
    for (size_t i = 0; i < store->director_count && !store->stopping; i++) {
        size_t at = (first + i) % store->director_count;
        if (!ask(store, store->directors[at], RPC_ROLE_DIRECTOR))
            continue;
        answered = true;
        store->director_at = at;
        /* One that does not know a version which somebody else has seen may be cut off: ask the next. */
        if (store->map_wanted_version <= store_map_version(store))
            break;
    }
    return answered || ask_nodes(store);
}

static void map_fiber(void *arg)
{
    struct store *store = arg;
    bool warned = false;
    while (!store->stopping) {
        store->map_stale = false;
        bool answered = ask_anyone(store);
        if (store->stopping)
            break;
        if (!answered && !warned)
            log_warn("store", "no director and no storage node answers; going on with map version=%llu",
                     (unsigned long long)store_map_version(store));
        warned = !answered;
        bool placed = store_is_ready(store, NULL);
        uint64_t wait_ms = answered && placed ? MAP_REFRESH_MS : MAP_RETRY_MS;
        if (answered && store->map_wanted_version > store_map_version(store))
            wait_ms = MAP_RETRY_MS;
        if (store->map_stale && answered) {
            fiber_sleep_ms(MAP_GAP_MS);
        } else {
            enum err err = cond_wait(&store->map_wanted, loop_deadline_ms(wait_ms));
            (void)err; /* a timeout is the refresh */
        }
    }
    store->map_fiber_alive = false;
    cond_broadcast(&store->map_changed);
}

void map_start(struct store *store)
{
    enum err err = fiber_spawn(store->loop, "store-map", map_fiber, store);
    if (err != OK)
        log_fatal("store", "cannot start: %s", err_text(err));
    store->map_fiber_alive = true;
}

void map_stop(struct store *store)
{
    store->stopping = true;
    cond_broadcast(&store->map_wanted);
    while (store->map_fiber_alive && fiber_self() != NULL) {
        enum err err = cond_wait(&store->map_changed, loop_deadline_ms(MAP_TRY_MS));
        (void)err;
    }
    if (store->map != NULL)
        tern__map__free_unpacked(store->map, NULL);
    store->map = NULL;
}

void map_want(struct store *store, uint64_t version)
{
    if (version != 0 && version <= store_map_version(store))
        return;
    if (version > store->map_wanted_version)
        store->map_wanted_version = version;
    store->map_stale = true;
    cond_signal(&store->map_wanted);
}

enum err map_wait_change(struct store *store, uint64_t deadline_ms)
{
    return cond_wait(&store->map_changed, deadline_ms);
}

static const Tern__NodeInfo *find_node(const Tern__Map *map, uint32_t id)
{
    for (size_t i = 0; i < map->n_nodes; i++) {
        if (map->nodes[i]->id == id)
            return map->nodes[i];
    }
    return NULL;
}

uint32_t store_partition_count(const struct store *store)
{
    return store->map == NULL ? 0 : (uint32_t)store->map->n_partitions;
}

bool store_partition_primary(const struct store *store, uint32_t partition, uint32_t *node_out,
                             uint64_t *epoch_out)
{
    if (partition >= store_partition_count(store))
        return false;
    const Tern__PartitionConf *conf = store->map->partitions[partition];
    *node_out = conf->primary;
    *epoch_out = conf->epoch;
    return find_node(store->map, conf->primary) != NULL;
}

enum err store_wait_map(struct store *store, uint64_t deadline_ms)
{
    return store->stopping ? ERR_TIMEOUT : map_wait_change(store, deadline_ms);
}

enum err map_primary(const struct store *store, uint32_t partition, char out[static RPC_ENDPOINT_MAX])
{
    const Tern__Map *map = store->map;
    if (map == NULL || partition >= map->n_partitions)
        return ERR_UNAVAILABLE;
    const Tern__NodeInfo *node = find_node(map, map->partitions[partition]->primary);
    if (node == NULL || strlen(node->endpoint) >= RPC_ENDPOINT_MAX)
        return ERR_UNAVAILABLE;
    strcpy(out, node->endpoint);
    return OK;
}
