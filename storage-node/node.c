/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/metrics.h"
#include "lib/ops/http.h"
#include "lib/ops/privileges.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/server.h"
#include "storage-node/control.h"
#include "storage-node/figures.h"
#include "storage-node/kv/kv.h"
#include "storage-node/leave.h"
#include "storage-node/partition/log/format.h"
#include "storage-node/partition/lost.h"
#include "storage-node/partition/read/reader.h"
#include "storage-node/peer/peers.h"
#include "storage-node/rpc/dispatch.h"
#include "storage-node/version.h"

enum {
    OPEN_FILES_SHARE = 2,   /* of the process's files, 1/2 is the database's */
    BACKGROUND_THREADS = 4, /* a long pass over the bodies must not stop the others */
    HOST_NAME_MAX_BYTES = 256,
    DRAIN_POLL_US = 5000,
};

struct node {
    const struct node_config *config;
    char host[HOST_NAME_MAX_BYTES];
    void *zmq;
    struct rpc_keys *keys;
    struct rpc_server *server;
    struct peers *peers;
    struct http *http;
    struct kv *kv;
    struct store_identity identity;
    struct map_holder *map;
    struct dispatch *dispatch;
    struct directory *directory;
    struct board *board;
    struct faults *faults;
    struct hello *hello;
    _Atomic(struct worker_pool *) workers;
    struct reader_pool *readers;
    struct control *control; /* of whoever starts and ends it, and of its own thread and the workers */
    _Atomic(struct control *) probed; /* the same for the HTTP thread, once it runs */
    bool disk_low;                    /* the control thread's */
    struct node_figures figures;
};

/* ---- start */

static enum err make_data_folder(const struct node_config *config)
{
    if (mkdir(config->data, 0700) != 0 && errno != EEXIST) {
        log_error("node", "cannot make the data folder %s: %s", config->data, strerror(errno));
        return ERR_IO;
    }
    return privileges_own(config->common.user, config->data);
}

static enum err bind_requests(struct node *n)
{
    struct rpc_server_options options = {
        .zmq = n->zmq,
        .keys = n->keys,
        .service = RPC_SERVICE_STORAGE,
        .endpoint = n->config->listen,
        .requests_max = DISPATCH_REQUESTS_MAX,
        .handler = dispatch_handle,
        .arg = n->dispatch,
    };
    return rpc_server_start(&options, &n->server);
}

/* That no director answers is no reason: mail flows without one, and a node that took itself out of service
 * for it would turn the directors' outage into everybody's. */
static void not_ready(struct buf *reasons, void *arg)
{
    struct node *n = arg;
    const struct control *control = atomic_load(&n->probed);
    if (control == NULL || atomic_load(&n->workers) == NULL)
        buf_add_str(reasons, "no director has accepted this node yet\n");
    if (control != NULL && control_is_refused(control))
        buf_add_str(reasons, "the director refuses this node, see the log\n");
    if (map_holder_version(n->map) == 0)
        buf_add_str(reasons, "no map yet\n");
    if (atomic_load(&n->workers) != NULL)
        node_figures_not_ready(n->directory, n->map, n->identity.node_id, reasons);
}

static enum err bind_http(struct node *n)
{
    struct http_options options = { .listen = n->config->common.http_listen,
                                    .not_ready = not_ready,
                                    .arg = n };
    return options.listen[0] == '\0' ? OK : http_start(&options, &n->http);
}

/* What an operator does not hold back. */
static uint8_t machine_version(const struct node_config *config)
{
    int64_t max = config->machine_version_max;
    return max > 0 && max < version_machine ? (uint8_t)max : version_machine;
}

static struct peer_speech speech_of(const struct node_config *config)
{
    return (struct peer_speech){ .min = PEER_VERSION_MIN,
                                 .max = version_peer,
                                 .machine = machine_version(config) };
}

static enum err open_database(struct node *n)
{
    struct kv_options options = {
        .path = n->config->data,
        .memory_limit = n->config->memory_limit,
        .wal_size_max = n->config->wal_size_max,
        .files_open_max = (int)(program_files_max() / OPEN_FILES_SHARE),
        .background_threads = BACKGROUND_THREADS,
        .on_lost = partition_lost_rows,
    };
    enum err err = kv_open_rocksdb(&options, &n->kv);
    if (err == OK)
        err = kv_sync(n->kv); /* what was recovered is on disk before a replica is told of it */
    if (err == OK)
        err = store_format_open(n->kv);
    if (err == OK)
        err = store_identity_open(n->kv, &n->identity);
    if (err != OK)
        log_error("node", "cannot open the database %s: %s", options.path, err_text(err));
    return err;
}

/* ---- what the control thread calls */

static double director_silence(void *arg)
{
    return (double)control_silence_ms(arg) / 1000;
}

static void on_read(void *arg, struct partition_request *request)
{
    reader_pool_submit(arg, request);
}

static struct worker_pool *on_identity(void *arg, uint32_t node_id)
{
    struct node *n = arg;
    struct cursor store = cursor_of(slice_of(n->identity.store_id, STORE_ID_SIZE));
    if (n->identity.node_id != node_id) {
        n->identity.node_id = node_id;
        if (store_identity_save(n->kv, &n->identity) != OK)
            log_fatal("node", "cannot write to the database");
    }
    struct worker_pool_options options = {
        .kv = n->kv,
        .directory = n->directory,
        .self = { .store = cursor_be64(&store), .id = node_id },
        .check_interval_ms = n->config->check_interval_ms,
        .check_rate = n->config->check_rate,
        .machine_version_max = machine_version(n->config),
        .workers = (uint32_t)n->config->workers,
        .copy_rate = n->config->copy_rate,
        .notify = dispatch_notify,
        .notify_arg = n->server,
        .read = on_read,
        .read_arg = n->readers,
        .ask = control_ask,
        .ask_arg = n->control,
        .fault_list = n->faults,
        .board = n->board,
    };
    options.peers = peers_transports(n->peers, options.self, options.workers);
    struct worker_pool *workers = worker_pool_start(&options);
    if (peers_start(n->peers, workers) != OK)
        log_fatal("node", "cannot start a thread");
    n->figures = (struct node_figures){ .kv = n->kv,
                                        .workers = workers,
                                        .readers = n->readers,
                                        .dispatch = n->dispatch,
                                        .peers = n->peers,
                                        .faults = n->faults };
    node_figures_register(&n->figures);
    metrics_gauge_func("tern_director_silence_seconds", "since a director last answered", NULL,
                       director_silence, n->control);
    if (node_config_reads_commit(n->config))
        dispatch_set_reads_commit(n->dispatch);
    dispatch_open(n->dispatch, workers, n->readers);
    atomic_store(&n->workers, workers);
    return workers;
}

static uint32_t not_active(void *arg, const Tern__Map *map)
{
    struct node *n = arg;
    uint32_t count = 0;
    for (size_t i = 0; i < map->n_partitions; i++) {
        const Tern__PartitionConf *conf = map->partitions[i];
        if (conf->primary != n->identity.node_id)
            continue;
        /* Found, not made: two that made it at once would each have their own, and readers the wrong one. */
        const struct partition_public *pub = directory_find(n->directory, conf->partition);
        count += conf->partition < PARTITION_COUNT_MAX && (pub == NULL || !atomic_load(&pub->active));
    }
    return count;
}

static bool on_disk(void *arg, uint64_t free_bytes, uint64_t *reserve_out)
{
    struct node *n = arg;
    struct kv_stats stats;
    kv_get_stats(n->kv, &stats);
    dispatch_set_stalled(n->dispatch, stats.write_stalled);
    uint64_t reserve = n->config->disk_reserve;
    *reserve_out = reserve;
    /* Once short of room, a quarter more must be free: or it would be so and not so by turns. */
    n->disk_low = free_bytes < reserve || (n->disk_low && free_bytes - reserve < reserve / 4);
    dispatch_set_disk_low(n->dispatch, n->disk_low);
    return n->disk_low;
}

static void on_full_nodes(void *arg, const uint32_t *nodes, size_t count)
{
    struct node *n = arg;
    dispatch_set_full_nodes(n->dispatch, nodes, count);
}

/* What another cluster says is not for this disk: node ids, partitions and epochs mean something else there.
 */
static bool on_map(void *arg, const Tern__Map *map)
{
    struct node *n = arg;
    enum err err =
        store_identity_take_map(n->kv, &n->identity, slice_of(map->cluster_id.data, map->cluster_id.len),
                                map_holder_last_node_id(map));
    if (err == ERR_DENIED)
        return false;
    if (err != OK)
        log_fatal("node", "cannot write to the database");
    peers_take_map(n->peers, map);
    return true;
}

static const char *either(const char *advertised, const char *bound)
{
    return advertised[0] != '\0' ? advertised : bound;
}

static enum err start_control(struct node *n)
{
    n->hello = hello_new(n->kv, n->board, n->faults, n->config->directors.count);
    struct control_options options = {
        .zmq = n->zmq,
        .keys = n->keys,
        .directors = &n->config->directors,
        .map = n->map,
        .identity = &n->identity,
        .placed = store_has_records(n->kv),
        .name = n->config->name[0] != '\0' ? n->config->name : n->host,
        .zone = n->config->zone,
        .endpoint = either(n->config->advertise, rpc_server_endpoint(n->server)),
        .peer_endpoint = either(n->config->peer_advertise, peers_endpoint(n->peers)),
        .beat_endpoint = either(n->config->beat_advertise, peers_beat_endpoint(n->peers)),
        .data = n->config->data,
        .speech = speech_of(n->config),
        .hello = n->hello,
        .on_identity = on_identity,
        .on_map = on_map,
        .not_active = not_active,
        .on_disk = on_disk,
        .on_full_nodes = on_full_nodes,
        .arg = n,
    };
    TRY(control_start(&options, &n->control));
    atomic_store(&n->probed, n->control);
    return OK;
}

enum err node_start(const struct node_config *config, struct node **out)
{
    struct node *n = NEW(struct node);
    enum err err;
    n->config = config;
    n->zmq = rpc_context_new();
    n->map = map_holder_new();
    n->dispatch = dispatch_new(n->map);
    n->directory = directory_new();
    n->board = board_new();
    n->faults = faults_new();
    if (gethostname(n->host, sizeof n->host - 1) != 0)
        n->host[0] = '\0';
    TRY_GOTO(make_data_folder(config), fail);
    TRY_GOTO(rpc_keys_open(n->zmq, config->common.keys, RPC_ROLE_STORAGE_NODE, &n->keys), fail);
    TRY_GOTO(bind_requests(n), fail);
    TRY_GOTO(
        peers_bind(n->zmq, n->keys, config->peer_listen, config->beat_listen, speech_of(config), &n->peers),
        fail);
    TRY_GOTO(bind_http(n), fail);
    TRY_GOTO(privileges_drop(config->common.user), fail);
    TRY_GOTO(open_database(n), fail);
    n->readers = reader_pool_start(n->kv, n->directory, (uint32_t)config->readers);
    TRY_GOTO(start_control(n), fail);
    log_info("node", "serving endpoint=%s http=%u data=%s machine=%u", rpc_server_endpoint(n->server),
             n->http == NULL ? 0 : http_port(n->http), config->data, machine_version(config));
    *out = n;
    return OK;
fail:
    node_stop(&n);
    *out = NULL;
    return err;
}

void node_reload(struct node *n)
{
    rpc_keys_reload(n->keys);
}

/* ---- end */

/* Users of this node's primaries go on elsewhere before it ends. */
static void hand_over(struct node *n)
{
    struct worker_pool *workers = atomic_load(&n->workers);
    if (workers == NULL || n->config->handover_timeout_ms == 0)
        return;
    struct leave_options options = { .workers = workers,
                                     .control = n->control,
                                     .map = n->map,
                                     .node_id = n->identity.node_id,
                                     .timeout_ms = n->config->handover_timeout_ms };
    leave_cluster(&options);
}

static void wait_for_answers(struct node *n)
{
    uint64_t deadline = clock_mono_ms() + n->config->common.drain_timeout_ms;
    while (rpc_server_pending(n->server) > 0 && clock_mono_ms() < deadline)
        usleep(DRAIN_POLL_US);
}

void node_stop(struct node **out)
{
    struct node *n = *out;
    if (n == NULL)
        return;
    if (n->control != NULL)
        hand_over(n);
    http_stop(&n->http);
    dispatch_drain(n->dispatch);
    if (n->server != NULL)
        wait_for_answers(n);
    control_stop(n->control);
    /* Its thread may still stand in a push whose request has long been answered: it ends before the pools do.
     */
    if (n->server != NULL)
        rpc_server_stop(n->server);
    peers_stop(n->peers);
    struct worker_pool *workers = atomic_load(&n->workers);
    worker_pool_stop(&workers); /* answers what still waits */
    control_free(&n->control);
    hello_free(&n->hello);
    reader_pool_stop(&n->readers);
    rpc_server_free(&n->server);
    dispatch_free(&n->dispatch);
    if (n->kv != NULL)
        kv_close(&n->kv);
    directory_free(&n->directory);
    board_free(&n->board);
    faults_free(&n->faults);
    map_holder_free(&n->map);
    rpc_keys_close(&n->keys);
    if (n->zmq != NULL)
        zmq_ctx_term(n->zmq);
    peers_free(&n->peers);
    free(n);
    *out = NULL;
}
