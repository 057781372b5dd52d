/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/store/keys.h"
#include "lib/store/message.h"
#include "lib/store/store_priv.h"

_Static_assert((int)STORE_BODY_READ_MAX == (int)FETCH_PAGE_MAX &&
                   (int)STORE_APPEND_MAX == (int)APPEND_MESSAGES_MAX &&
                   (int)STORE_LOCK_EXPIRY_MS == (int)LOCK_EXPIRY_MS,
               "what callers are told must be what the nodes hold to");

enum { STOP_CHECK_MS = 10 }; /* while the last calls end */

static void on_notice(uint32_t method, uint32_t partition, struct slice packed, void *arg)
{
    struct store *store = arg;
    (void)partition;
    if (method == METHOD_WATCH_NOTICE) {
        watches_on_notice(store, packed);
    } else if (method == METHOD_MAP_NOTICE) {
        Tern__MapNotice *notice = tern__map_notice__unpack(NULL, packed.len, packed.data);
        if (notice != NULL) {
            map_want(store, notice->version);
            tern__map_notice__free_unpacked(notice, NULL);
        }
    }
}

/* One ZeroMQ context a process, for all loops' stores, and its keys. They live as long as the process. */
static struct rpc_keys *shared_keys;

static void *shared_zmq(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static void *zmq;
    pthread_mutex_lock(&lock);
    if (zmq == NULL)
        zmq = rpc_context_new();
    pthread_mutex_unlock(&lock);
    if (zmq == NULL)
        log_fatal("store", "cannot start ZeroMQ");
    return zmq;
}

enum err store_keys_open(const char *folder, enum rpc_role role)
{
    assert(shared_keys == NULL);
    return rpc_keys_open(shared_zmq(), folder, role, &shared_keys);
}

void store_keys_reload(void)
{
    rpc_keys_reload(shared_keys);
}

struct store *store_new(struct loop *loop, const struct store_options *options)
{
    assert(options->director_count >= 1 && options->director_count <= STORE_DIRECTORS_MAX);
    struct store *store = NEW(struct store);
    store->loop = loop;
    store->rpc = rpc_client_new(loop, shared_zmq(), shared_keys, on_notice, store);
    store->director_count = options->director_count;
    for (size_t i = 0; i < options->director_count; i++)
        store->directors[i] = xstrdup(options->directors[i]);
    assert(options->node_count <= STORE_NODES_MAX);
    store->node_count = options->node_count;
    for (size_t i = 0; i < options->node_count; i++)
        store->nodes[i] = xstrdup(options->nodes[i]);
    LIST_INIT(&store->calls);
    watches_start(store);
    map_start(store);
    return store;
}

void store_free(struct store **store)
{
    struct store *s = *store;
    if (s == NULL)
        return;
    map_stop(s); /* first: it tells the watches of a new map */
    watches_stop(s);
    while ((s->background > 0 || rpc_client_calls(s->rpc) > 0) && fiber_self() != NULL)
        fiber_sleep_ms(STOP_CHECK_MS);
    rpc_client_free(&s->rpc);
    for (size_t i = 0; i < s->director_count; i++)
        free(s->directors[i]);
    for (size_t i = 0; i < s->node_count; i++)
        free(s->nodes[i]);
    free(s);
    *store = NULL;
}

bool store_is_ready(const struct store *store, const char **reason)
{
    const char *why = NULL;
    if (store->map == NULL)
        why = "no map from any director yet";
    else if (store->map->n_partitions == 0)
        why = "no partition is placed yet";
    if (reason != NULL)
        *reason = why;
    return why == NULL;
}

enum err store_wait_ready(struct store *store, uint64_t deadline_ms)
{
    while (!store_is_ready(store, NULL))
        TRY(map_wait_change(store, deadline_ms));
    return OK;
}

uint64_t store_map_version(const struct store *store)
{
    return store->map == NULL ? 0 : store->map->version;
}

struct slice store_cluster_id(const struct store *store)
{
    return store->map == NULL ? SLICE_NULL : pb_slice(store->map->cluster_id);
}

bool store_domain_is_local(const struct store *store, struct slice domain)
{
    if (store->map == NULL)
        return false;
    for (size_t i = 0; i < store->map->n_domains; i++) {
        if (slice_eq_str(domain, store->map->domains[i]->name))
            return true;
    }
    return false;
}

enum err store_partition_of(const struct store *store, struct slice address, uint32_t *partition_out)
{
    if (!store_is_ready(store, NULL))
        return ERR_UNAVAILABLE;
    *partition_out = (uint32_t)(hash_xxh3(address) % store->map->partition_count);
    return OK;
}
