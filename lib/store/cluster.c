/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/cluster.h"

#include "lib/store/store_priv.h"

enum {
    DIRECTOR_TRY_MS = 4000,  /* how long one director may take */
    DIRECTOR_HASTE_MS = 800, /* and at first, where asking another one does no harm */
};

/* ---- asking a director */

/* One director's answer; its status if there is one. *response_out is unpacked by `descriptor` when the
 * status is OK. */
static enum err ask_one(struct store *store, const char *director, uint32_t method,
                        const ProtobufCMessage *request, const ProtobufCMessageDescriptor *descriptor,
                        ProtobufCMessage **response_out, bool *answered_out, struct buf *detail,
                        uint32_t patience_ms)
{
    struct rpc_peer *peer = rpc_client_peer(store->rpc, director, RPC_ROLE_DIRECTOR);
    struct rpc_call call = { .method = method, .deadline_ms = patience_ms, .request = request };
    if (peer == NULL)
        return ERR_UNAVAILABLE;
    enum err err = rpc_call(peer, &call);
    *answered_out = err == OK;
    if (err == OK)
        err = call.status;
    if (detail != NULL) {
        buf_clear(detail);
        buf_add_str(detail, call.detail);
    }
    if (err == OK) {
        *response_out = protobuf_c_message_unpack(descriptor, NULL, call.response.len, call.response.data);
        err = *response_out == NULL ? ERR_PROTOCOL : OK;
        map_want(store, call.peer_map_version);
    }
    rpc_call_fini(&call);
    return err;
}

enum err director_ask(struct store *store, uint32_t method, bool is_write, const ProtobufCMessage *request,
                      const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **response_out,
                      struct buf *detail)
{
    bool in_doubt = false;
    size_t first = store->director_at; /* moves while we wait */
    size_t count = store->director_count, hasty = is_write || count == 1 ? 0 : count;
    for (size_t i = 0; i < hasty + count; i++) {
        size_t at = (first + i) % count;
        bool answered = false;
        enum err err = ask_one(store, store->directors[at], method, request, descriptor, response_out,
                               &answered, detail, i < hasty ? DIRECTOR_HASTE_MS : DIRECTOR_TRY_MS);
        if (answered && err_class(err) != ERR_CLASS_TEMPORARY)
            return err;
        in_doubt |= is_write && err == ERR_TIMEOUT && !answered;
    }
    return in_doubt ? ERR_IN_DOUBT : ERR_UNAVAILABLE;
}

enum err director_change(struct store *store, uint32_t method, const ProtobufCMessage *request,
                         const ProtobufCMessageDescriptor *descriptor, struct buf *detail)
{
    ProtobufCMessage *response = NULL;
    TRY(director_ask(store, method, true, request, descriptor, &response, detail));
    protobuf_c_message_free_unpacked(response, NULL);
    return OK;
}

/* ---- reading */

static void read_nodes(const Tern__Map *map, struct arena *arena, struct cluster *out)
{
    out->node_count = map->n_nodes;
    out->nodes = ARENA_ARRAY(arena, struct cluster_node, map->n_nodes);
    for (size_t i = 0; i < map->n_nodes; i++) {
        const Tern__NodeInfo *info = map->nodes[i];
        out->nodes[i] = (struct cluster_node){ .id = info->id,
                                               .store_id = arena_slice(arena, pb_slice(info->store_id)),
                                               .name = text_read(info->name, arena),
                                               .endpoint = text_read(info->endpoint, arena),
                                               .zone = text_read(info->zone, arena),
                                               .draining = info->draining,
                                               .seen_ms = info->seen_ms };
    }
}

void cluster_read_partition(const Tern__PartitionConf *conf, struct arena *arena,
                            struct cluster_partition *out)
{
    *out = (struct cluster_partition){
        .partition = conf->partition,
        .epoch = conf->epoch,
        .since = conf->since,
        .primary = conf->primary,
        .members = arena_memdup(arena, conf->members, conf->n_members * sizeof *conf->members),
        .learners = arena_memdup(arena, conf->learners, conf->n_learners * sizeof *conf->learners),
        .member_count = conf->n_members,
        .learner_count = conf->n_learners,
    };
}

static void read_partitions(const Tern__Map *map, struct arena *arena, struct cluster *out)
{
    out->placed_count = map->n_partitions;
    out->partitions = ARENA_ARRAY(arena, struct cluster_partition, map->n_partitions);
    for (size_t i = 0; i < map->n_partitions; i++)
        cluster_read_partition(map->partitions[i], arena, &out->partitions[i]);
}

static void read_names(const Tern__Map *map, struct arena *arena, struct cluster *out)
{
    out->domain_count = map->n_domains;
    out->domains = ARENA_ARRAY(arena, struct cluster_domain, map->n_domains);
    for (size_t i = 0; i < map->n_domains; i++)
        out->domains[i] =
            (struct cluster_domain){ text_read(map->domains[i]->name, arena), map->domains[i]->created_ms };
    out->setting_count = map->n_settings;
    out->settings = ARENA_ARRAY(arena, struct cluster_setting, map->n_settings);
    for (size_t i = 0; i < map->n_settings; i++)
        out->settings[i] = (struct cluster_setting){ text_read(map->settings[i]->name, arena),
                                                     text_read(map->settings[i]->value, arena) };
}

enum err store_cluster_read(struct store *store, struct arena *arena, struct cluster *out)
{
    Tern__MapRequest request =
        TERN__MAP_REQUEST__INIT; /* no version: the answer is the whole map, with who is there now */
    ProtobufCMessage *message = NULL;
    TRY(director_ask(store, METHOD_MAP, false, &request.base, &tern__map_response__descriptor, &message,
                     NULL));
    Tern__MapResponse *response = (Tern__MapResponse *)message;
    const Tern__Map *map = response->map;
    *out = (struct cluster){ 0 };
    if (map != NULL) {
        out->version = map->version;
        out->cluster_id = arena_slice(arena, pb_slice(map->cluster_id));
        out->partition_count = map->partition_count;
        out->copies = map->copies;
        out->min_members = map->min_members;
        out->problem = text_read(map->problem, arena);
        read_nodes(map, arena, out);
        read_partitions(map, arena, out);
        read_names(map, arena, out);
    }
    enum err err = map == NULL ? ERR_PROTOCOL : OK;
    tern__map_response__free_unpacked(response, NULL);
    return err;
}

/* ---- changes */

enum err store_domain_add(struct store *store, struct slice name)
{
    struct arena arena = { 0 };
    Tern__DomainAddRequest request = TERN__DOMAIN_ADD_REQUEST__INIT;
    request.name = arena_strdup(&arena, name);
    enum err err = director_change(store, METHOD_DOMAIN_ADD, &request.base,
                                   &tern__domain_add_response__descriptor, NULL);
    arena_fini(&arena);
    return err;
}

enum err store_domain_delete(struct store *store, struct slice name)
{
    struct arena arena = { 0 };
    Tern__DomainDeleteRequest request = TERN__DOMAIN_DELETE_REQUEST__INIT;
    request.name = arena_strdup(&arena, name);
    enum err err = director_change(store, METHOD_DOMAIN_DELETE, &request.base,
                                   &tern__domain_delete_response__descriptor, NULL);
    arena_fini(&arena);
    return err;
}

enum err store_setting_put(struct store *store, struct slice name, struct slice value)
{
    struct arena arena = { 0 };
    Tern__SettingPutRequest request = TERN__SETTING_PUT_REQUEST__INIT;
    request.name = arena_strdup(&arena, name);
    request.value = arena_strdup(&arena, value);
    enum err err = director_change(store, METHOD_SETTING_PUT, &request.base,
                                   &tern__setting_put_response__descriptor, NULL);
    arena_fini(&arena);
    return err;
}
