/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of nodes. A node is its disk (R26): a store id that nobody has seen is a new node with a new
 * id; the same store id with another name or address is the node we know. Hearing of a node changes only
 * memory; rows change with the facts. */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
    NODE_TEXT_MAX = 255,
    /* No cluster has had so many nodes: whoever tells of more is mistaken, and is not followed to where ids
     * end. */
    NODE_ID_TOLD_MAX = 1 << 24,
    WISHES_MAX = 64, /* in one answer; what is left out is wished a second later */
};

static const char *mistake_in(const Tern__NodeHelloRequest *hello)
{
    const Tern__NodeInfo *info = hello->node;
    if (info == NULL || info->store_id.len != MAP_ID_SIZE)
        return "a node needs a store id of 16 bytes";
    if (info->endpoint[0] == '\0')
        return "a node needs an endpoint";
    if (strlen(info->name) > NODE_TEXT_MAX || strlen(info->endpoint) > NODE_TEXT_MAX ||
        strlen(info->peer_endpoint) > NODE_TEXT_MAX || strlen(info->beat_endpoint) > NODE_TEXT_MAX ||
        strlen(info->zone) > NODE_TEXT_MAX)
        return "a text about the node is too long";
    if (!heard_is_sane(hello))
        return "it tells of an epoch that no director can have given: its disk is damaged";
    return NULL;
}

static bool same_facts(const Tern__NodeInfo *a, const Tern__NodeInfo *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->endpoint, b->endpoint) == 0 &&
           strcmp(a->peer_endpoint, b->peer_endpoint) == 0 &&
           strcmp(a->beat_endpoint, b->beat_endpoint) == 0 && strcmp(a->zone, b->zone) == 0 &&
           a->machine_version == b->machine_version && a->peer_version_min == b->peer_version_min &&
           a->peer_version_max == b->peer_version_max;
}

/* A process that runs under another id than its disk's is not the node: it has part in nothing as that, and
 * is told so by the answer. One that has no id yet will be. */
static bool is_another(const struct map_node *node, const Tern__NodeHelloRequest *hello)
{
    return hello->node->id != 0 && hello->node->id != node->info->id;
}

static void heard(struct director *d, struct map_node *node, const Tern__NodeHelloRequest *hello)
{
    uint64_t now = clock_mono_ms();
    if (is_another(node, hello))
        return;
    if (!map_node_is_alive(node, now))
        log_info("nodes", "node %u (%s, %s) is here", node->info->id, node->info->name, node->info->endpoint);
    hearing_take(d, node, hello->whole ? hello->hearing : 0, now);
    node->heard_mono_ms = now;
    node->told_silent = false;
    node->heard_real_ms = clock_real_ms();
    node->disk_total = hello->disk_total;
    node->disk_free = hello->disk_free;
    node->disk_reserve = hello->disk_reserve;
    node->map_version = hello->map_version;
    node->not_active = hello->not_active;
    node->leaving = hello->leaving;
    node->disk_low = hello->disk_low;
    node->placed = hello->placed;
    node->whole = hello->whole;
    publish_see_version(d, hello->map_version);
    heard_take(&d->heard, &d->map, node->info->id, hello, now);
}

void nodes_tell_silent(struct director *d, uint64_t now_mono_ms)
{
    for (size_t i = 0; i < d->map.node_count; i++) {
        struct map_node *node = &d->map.nodes[i];
        uint64_t since = node->heard_mono_ms != 0 ? node->heard_mono_ms : d->started_mono_ms;
        if (node->told_silent || map_node_is_alive(node, now_mono_ms) ||
            now_mono_ms < since + MAP_NODE_ALIVE_MS)
            continue;
        node->told_silent = true;
        log_warn("nodes", "node %u (%s, %s) is silent%s", node->info->id, node->info->name,
                 node->info->endpoint, node->leaving ? ", as it was being stopped" : "");
    }
}

/* For the primaries: what they take, all members must have room for. */
static size_t list_full(const struct map *map, uint64_t now, uint32_t *out)
{
    size_t count = 0;
    for (size_t i = 0; i < map->node_count; i++) {
        if (map->nodes[i].disk_low && map_node_is_alive(&map->nodes[i], now))
            out[count++] = map->nodes[i].info->id;
    }
    return count;
}

static void answer_hello(struct director *d, struct rpc_request *request, uint32_t id)
{
    Tern__NodeHelloResponse response = TERN__NODE_HELLO_RESPONSE__INIT;
    Tern__Wish wishes[WISHES_MAX], *wish_at[WISHES_MAX];
    response.node_id = id;
    response.map_version = d->map.version;
    response.tell_copies = d->heard.ahead > 0 || hearing_lasts(d, clock_mono_ms());
    response.hearing = response.tell_copies ? d->hearing.number : 0;
    response.wishes = wish_at;
    response.n_wishes = drive_wishes(d, id, wishes, WISHES_MAX);
    for (size_t i = 0; i < response.n_wishes; i++)
        wish_at[i] = &wishes[i];
    response.full = NEW_ARRAY(uint32_t, d->map.node_count + 1);
    response.n_full = list_full(&d->map, clock_mono_ms(), response.full);
    answer(d, request, OK, NULL, &response.base);
    free(response.full);
}

/* The facts are in the picture now; the node counts as heard of only with its next hello, which is a second
 * away, unless this one is still at hand. */
static void on_registered(struct director *d, struct change *change, enum err result)
{
    struct rpc_request *request = change->request;
    change->request = NULL;
    struct map_node *node = map_find_store(&d->map, slice_of(change->id, MAP_ID_SIZE));
    if (node == NULL) { /* conflict with another new node, or the store is not there: the node asks again */
        answer(d, request, result == OK ? ERR_INTERNAL : ERR_BUSY, "not registered yet, ask again", NULL);
        return;
    }
    Tern__NodeHelloRequest *hello =
        (Tern__NodeHelloRequest *)answer_unpack(d, request, &tern__node_hello_request__descriptor);
    if (hello == NULL)
        return;
    heard(d, node, hello);
    answer_hello(d, request, node->info->id);
    tern__node_hello_request__free_unpacked(hello, NULL);
}

/* Nobody has it, or had it as far as the store knows. */
static bool is_free(const struct map *map, uint32_t id)
{
    bool taken = id == 0 || map_find_node(map, id) != NULL;
    for (size_t i = 0; i < map->removed_count && !taken; i++)
        taken = map->removed[i]->id == id;
    return !taken;
}

static void see_id(struct director *d, uint32_t id)
{
    if (id <= NODE_ID_TOLD_MAX && id > d->told_node_id)
        d->told_node_id = id;
}

/* A store that was put back from a copy has forgotten the ids that it gave since then. The nodes have not. */
static void see_ids(struct director *d, const Tern__NodeHelloRequest *hello)
{
    see_id(d, hello->last_node_id);
    see_id(d, hello->node->id);
}

static uint32_t next_id(const struct director *d)
{
    return (d->told_node_id > d->map.last_node_id ? d->told_node_id : d->map.last_node_id) + 1;
}

/* A node that has an id and is not known came after the copy was made from which the store was put back. The
 * id stays its own, or its copies would be another node's (R26); also if one that had a higher id has come
 * back before it. */
static bool keeps_its_id(const struct director *d, const Tern__NodeInfo *facts)
{
    return facts->id <= NODE_ID_TOLD_MAX && is_free(&d->map, facts->id);
}

static void store_facts(struct director *d, struct rpc_request *request, Tern__NodeInfo *facts,
                        const struct map_node *known)
{
    struct change *change = change_new(d, request, 2, on_registered);
    memcpy(change->id, facts->store_id.data, MAP_ID_SIZE);
    facts->seen_ms = 0;
    facts->draining = known != NULL && known->info->draining;
    facts->removing = known != NULL && known->info->removing;
    if (known == NULL) {
        Tern__NodeInfo last = TERN__NODE_INFO__INIT;
        if (!keeps_its_id(d, facts))
            facts->id = next_id(d);
        last.id = facts->id > d->map.last_node_id ? facts->id : d->map.last_node_id;
        change_add_put(change, ROW_NODE_ID, 0, SLICE_NULL, d->map.last_node_id_mod, &last.base);
        log_info("nodes", "new node %u (%s, %s)", facts->id, facts->name, facts->endpoint);
    } else {
        facts->id = known->info->id;
    }
    change_add_put(change, ROW_NODE, facts->id, SLICE_NULL, known != NULL ? known->mod : 0, &facts->base);
    change_submit(change);
}

/* Ids are never given again, and what the store holds is old: it must not come back by a restart. */
static void refuse_removed(struct director *d, struct rpc_request *request, const Tern__NodeInfo *gone)
{
    struct buf detail = { 0 };
    buf_addf(&detail,
             "node %u (%s) was removed from this cluster; to use the machine again, start it with an empty "
             "data folder",
             gone->id, gone->name);
    answer(d, request, ERR_DENIED, buf_cstr(&detail), NULL);
    buf_fini(&detail);
}

/* The same numbers mean other things there, so nothing on it could be trusted, nor could it serve here. */
static bool is_foreign(const struct map *map, const Tern__NodeHelloRequest *hello)
{
    const ProtobufCBinaryData *id = &hello->cluster_id;
    return id->len > 0 && (map->cluster_mod == 0 || id->len != MAP_ID_SIZE ||
                           memcmp(id->data, map->cluster_id, MAP_ID_SIZE) != 0);
}

void on_node_hello(struct director *d, struct rpc_request *request)
{
    Tern__NodeHelloRequest *hello =
        (Tern__NodeHelloRequest *)answer_unpack(d, request, &tern__node_hello_request__descriptor);
    if (hello == NULL)
        return;
    const char *mistake = mistake_in(hello);
    const Tern__NodeInfo *gone =
        mistake == NULL
            ? map_find_removed(&d->map, slice_of(hello->node->store_id.data, hello->node->store_id.len))
            : NULL;
    struct map_node *known =
        mistake == NULL ? map_find_store(&d->map, slice_of(hello->node->store_id.data, MAP_ID_SIZE)) : NULL;
    if (mistake != NULL) {
        answer(d, request, ERR_INVALID, mistake, NULL);
    } else if (is_foreign(&d->map, hello)) {
        answer(d, request, ERR_DENIED,
               "its disk belongs to another cluster; is the directors' coordination store the right one, and "
               "whole? To use the machine in this cluster, start it with an empty data folder",
               NULL);
    } else if (gone != NULL) {
        refuse_removed(d, request, gone);
    } else if (known != NULL && same_facts(known->info, hello->node)) {
        heard(d, known, hello);
        see_ids(d, hello);
        answer_hello(d, request, known->info->id);
    } else if (known == NULL && d->map.node_count >= MAP_NODES_MAX) {
        answer(d, request, ERR_LIMIT, "the cluster has its most nodes", NULL);
    } else if (known == NULL && !keeps_its_id(d, hello->node) && hearing_holds_ids(d, clock_mono_ms())) {
        answer(d, request, ERR_BUSY, "the nodes that are known are heard first, ask again", NULL);
    } else {
        see_ids(d, hello);
        store_facts(d, request, hello->node, known);
    }
    tern__node_hello_request__free_unpacked(hello, NULL);
}
