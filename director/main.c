/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "director/coordination/embedded.h"
#include "director/coordination/etcd.h"
#include "director/director.h"
#include "director/map.h"
#include "director/placement.h"
#include "lib/base/log.h"
#include "lib/ops/http.h"
#include "lib/ops/privileges.h"
#include "lib/ops/program.h"
#include "lib/ops/signals.h"
#include "lib/rpc/endpoint.h"

struct config {
    struct program_config common;
    char *listen;
    char *data;
    char *coordination;
    struct config_strings etcd_endpoints;
    char *etcd_prefix, *etcd_ca, *etcd_certificate, *etcd_key;
    int64_t partitions;
    int64_t copies;
    int64_t min_members;
    int64_t initial_nodes;
    uint64_t repair_after_ms;
    int64_t moves;
    int64_t moves_per_node;
};

static const struct config_key keys[] = {
    PROGRAM_KEYS(struct config, common),
    CONFIG_KEY_STRING(struct config, listen, "listen", "tcp://127.0.0.1:7400",
                      "ZeroMQ endpoint of requests; without keys only loopback"),
    CONFIG_KEY_STRING(struct config, data, "data", "/var/lib/tern/director",
                      "folder of the embedded coordination store"),
    CONFIG_KEY_STRING(struct config, coordination, "coordination", "embedded",
                      "where the configuration is kept: embedded (one director) or etcd"),
    CONFIG_KEY_STRINGS(struct config, etcd_endpoints, "etcd.endpoints", "http://127.0.0.1:2379",
                       "where etcd answers"),
    CONFIG_KEY_STRING(struct config, etcd_prefix, "etcd.prefix", "/tern/",
                      "what all keys in etcd begin with; two clusters in one etcd need two"),
    CONFIG_KEY_STRING(struct config, etcd_ca, "etcd.ca", "", "authority that etcd's certificate is from"),
    CONFIG_KEY_STRING(struct config, etcd_certificate, "etcd.certificate", "", "our certificate for etcd"),
    CONFIG_KEY_STRING(struct config, etcd_key, "etcd.key", "", "and its key"),
    CONFIG_KEY_INT(struct config, partitions, "partitions", "256", 1, MAP_PARTITIONS_MAX,
                   "partitions of a new cluster, a power of two; fixed for its life"),
    CONFIG_KEY_INT(struct config, copies, "copies", "1", 1, PLACEMENT_COPIES_MAX,
                   "copies of each partition that are wanted"),
    CONFIG_KEY_INT(struct config, min_members, "min_members", "0", 0, PLACEMENT_COPIES_MAX,
                   "in-sync copies a partition needs to take writes; 0: 1 for one or two copies, else 2"),
    CONFIG_KEY_INT(struct config, initial_nodes, "initial_nodes", "1", 1, MAP_NODES_MAX,
                   "storage nodes that must be there before partitions are placed for the first time"),
    CONFIG_KEY_DURATION(struct config, repair_after_ms, "repair_after", "10m", 0,
                        UINT64_C(30) * 24 * 3600 * 1000,
                        "a copy that is missing so long is made anew on another node"),
    CONFIG_KEY_INT(struct config, moves, "moves", "32", 1, MAP_PARTITIONS_MAX,
                   "partitions of which a copy is being made at the same time; more wait"),
    CONFIG_KEY_INT(struct config, moves_per_node, "moves_per_node", "16", 1, MAP_PARTITIONS_MAX,
                   "of these at one storage node, sending or receiving"),
};
static const struct config_table table = CONFIG_TABLE(struct config, keys);

static void check_etcd(const struct config *config, struct buf *errors)
{
    const char *mistake = etcd_mistake_in_prefix(config->etcd_prefix);
    if (mistake != NULL)
        buf_addf(errors, "etcd.prefix: %s\n", mistake);
    if (config->etcd_endpoints.count == 0 || config->etcd_endpoints.count > ETCD_ENDPOINTS_MAX)
        buf_addf(errors, "etcd.endpoints: from 1 to %d are needed\n", ETCD_ENDPOINTS_MAX);
    for (size_t i = 0; i < config->etcd_endpoints.count; i++) {
        mistake = etcd_mistake_in_endpoint(config->etcd_endpoints.items[i]);
        if (mistake != NULL)
            buf_addf(errors, "etcd.endpoints: \"%s\" %s\n", config->etcd_endpoints.items[i], mistake);
    }
    if ((config->etcd_certificate[0] == '\0') != (config->etcd_key[0] == '\0'))
        buf_add_str(errors, "etcd.certificate, etcd.key: one needs the other\n");
}

static bool uses_etcd(const struct config *config)
{
    return strcmp(config->coordination, "etcd") == 0;
}

static void check(const void *conf, struct buf *errors)
{
    const struct config *config = conf;
    if ((config->partitions & (config->partitions - 1)) != 0)
        buf_addf(errors, "partitions: %lld is not a power of two\n", (long long)config->partitions);
    if (config->min_members > config->copies)
        buf_add_str(errors, "min_members: larger than copies, nothing could be written\n");
    if (uses_etcd(config))
        check_etcd(config, errors);
    else if (strcmp(config->coordination, "embedded") != 0)
        buf_addf(errors, "coordination: \"%s\" is not known, \"embedded\" and \"etcd\" are\n",
                 config->coordination);
    if (rpc_endpoint_check_bind(config->listen, config->common.keys[0] != '\0') != OK)
        buf_addf(errors, "listen: \"%s\" must be tcp://address:port, and loopback without keys\n",
                 config->listen);
}

static const struct program program = {
    .name = "tern-director",
    .summary = "owns the map of a Tern cluster",
    .config_file = "/etc/tern/director.conf",
    .table = &table,
    .common_offset = offsetof(struct config, common),
    .check = check,
};

/* What the HTTP thread and the signal thread share with main. */
struct state {
    atomic_bool started;
    atomic_bool draining;
    struct rpc_keys *keys;
    sem_t end;
};

static void not_ready(struct buf *reasons, void *arg)
{
    struct state *state = arg;
    if (atomic_load(&state->draining))
        buf_add_str(reasons, "draining\n");
    else if (!atomic_load(&state->started))
        buf_add_str(reasons, "starting: the coordination store has not been read yet\n");
}

static void on_drain(void *arg)
{
    struct state *state = arg;
    if (!atomic_load(&state->started)) { /* perhaps waiting for etcd; nothing to drain */
        log_info("director", "ended before it had started");
        _exit(0);
    }
    atomic_store(&state->draining, true);
    sem_post(&state->end);
}

static void on_reload(void *arg)
{
    struct state *state = arg;
    rpc_keys_reload(state->keys);
}

/* What the others read who leads. */
static const char *own_name(const struct config *config, struct buf *out)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    buf_addf(out, "%s %s pid %d", host, config->listen, (int)getpid());
    return buf_cstr(out);
}

static struct coordination *open_etcd(const struct config *config)
{
    struct coordination *store = NULL;
    struct buf name = { 0 };
    struct etcd_options options = { .endpoints = (const char *const *)config->etcd_endpoints.items,
                                    .endpoint_count = config->etcd_endpoints.count,
                                    .prefix = config->etcd_prefix,
                                    .ca = config->etcd_ca,
                                    .certificate = config->etcd_certificate,
                                    .key = config->etcd_key,
                                    .name = own_name(config, &name) };
    if (privileges_drop(config->common.user) != OK)
        log_fatal("director", "cannot become the user of the configuration");
    if (etcd_open(&options, &store) != OK)
        log_fatal("director", "cannot use etcd");
    buf_fini(&name);
    return store;
}

static struct coordination *open_embedded(const struct config *config)
{
    struct coordination *store = NULL;
    if (mkdir(config->data, 0700) != 0 && errno != EEXIST)
        log_fatal("director", "cannot make %s: %s", config->data, strerror(errno));
    if (privileges_own(config->common.user, config->data) != OK || privileges_drop(config->common.user) != OK)
        log_fatal("director", "cannot become the user of the configuration");
    if (embedded_open(config->data, &store) != OK)
        log_fatal("director", "cannot use the coordination store in %s", config->data);
    return store;
}

static void run(const struct config *config, struct state *state, void *zmq)
{
    struct director *director = NULL;
    struct director_options options = { .zmq = zmq,
                                        .keys = state->keys,
                                        .listen = config->listen,
                                        .coordination =
                                            uses_etcd(config) ? open_etcd(config) : open_embedded(config),
                                        .partitions = (uint32_t)config->partitions,
                                        .copies = (uint32_t)config->copies,
                                        .min_members = (uint32_t)config->min_members,
                                        .initial_nodes = (uint32_t)config->initial_nodes,
                                        .repair_after_ms = config->repair_after_ms,
                                        .moves_max = (uint32_t)config->moves,
                                        .moves_per_node = (uint32_t)config->moves_per_node,
                                        .drain_timeout_ms = config->common.drain_timeout_ms };
    enum err err = director_start(&options, &director);
    if (err != OK)
        log_fatal("director", "cannot start: %s", err_text(err));
    log_info("director", "listening on %s", director_endpoint(director));
    atomic_store(&state->started, true);
    while (sem_wait(&state->end) != 0) {}
    director_stop(&director);
}

int main(int argc, char **argv)
{
    static struct config config;
    static struct state state;
    struct http *http = NULL;
    program_init(&program, argc, argv, &config);
    sem_init(&state.end, 0, 0);
    struct signals_handlers handlers = { .on_drain = on_drain, .on_reload = on_reload, .arg = &state };
    struct http_options http_options = { .listen = config.common.http_listen,
                                         .not_ready = not_ready,
                                         .arg = &state };
    if (config.common.http_listen[0] != '\0' && http_start(&http_options, &http) != OK)
        return 1;
    if (http != NULL)
        log_info("director", "http on port %u", http_port(http));
    void *zmq = rpc_context_new();
    if (rpc_keys_open(zmq, config.common.keys, RPC_ROLE_DIRECTOR, &state.keys) != OK ||
        signals_start(&handlers) != OK)
        return 1;
    run(&config, &state, zmq);
    http_stop(&http);
    signals_stop();
    rpc_keys_close(&state.keys);
    zmq_ctx_term(zmq);
    config_fini(&table, &config);
    log_info("director", "ended");
    return 0;
}
