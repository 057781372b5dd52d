/* SPDX-License-Identifier: Apache-2.0 */
/* What storage-node/node.c does around a control thread: who the node is, its workers, its map. */
#include "tests/sim/cluster/control.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/truth.h"

static char first[] = "director-0", second[] = "director-1", third[] = "director-2";
static char *endpoints[DIRECTORS] = { first, second, third };
static struct config_strings director_list = { endpoints, DIRECTORS };

static void identity_lost(struct node *n)
{
    if (!n->excused)
        cluster_fail(n->c, "node %u cannot say who it is", n->self.id);
    n->dying = true;
}

static struct worker_pool *on_identity(void *arg, uint32_t node_id)
{
    struct node *n = arg;
    if (n->identity.node_id != node_id) {
        if (n->identity.node_id == 0)
            operators_named(n->c, n, node_id);
        else
            cluster_fail(n->c, "node %u is told that it is %u", n->identity.node_id, node_id);
        n->identity.node_id = node_id;
        if (store_identity_save(n->kv, &n->identity) != OK)
            identity_lost(n);
        cluster_trace(n->c, "the node in slot %d is node %u", n->slot, node_id);
    }
    n->self.id = node_id;
    node_start_workers(n);
    return n->pool;
}

static bool on_map(void *arg, const Tern__Map *map)
{
    struct node *n = arg;
    enum err err =
        store_identity_take_map(n->kv, &n->identity, slice_of(map->cluster_id.data, map->cluster_id.len),
                                map_holder_last_node_id(map));
    if (err != OK && err != ERR_DENIED)
        identity_lost(n);
    return err == OK;
}

static uint32_t not_active(void *arg, const Tern__Map *map)
{
    struct node *n = arg;
    uint32_t count = 0;
    for (size_t i = 0; i < map->n_partitions; i++) {
        const struct partition_public *pub = directory_find(n->directory, map->partitions[i]->partition);
        count += map->partitions[i]->primary == n->self.id && (pub == NULL || !atomic_load(&pub->active));
    }
    return count;
}

static bool on_disk(void *arg, uint64_t free_bytes, uint64_t *reserve_out)
{
    (void)arg;
    *reserve_out = surroundings_reserve();
    return free_bytes <= *reserve_out;
}

static void on_full_nodes(void *arg, const uint32_t *nodes, size_t count)
{
    (void)arg; /* what others' full disks refuse, clients meet at those nodes only */
    (void)nodes;
    (void)count;
}

void control_boot(struct node *n)
{
    struct control_options options = { .directors = &director_list,
                                       .name = n->name,
                                       .zone = n->zone,
                                       .endpoint = n->name,
                                       .peer_endpoint = n->name,
                                       .beat_endpoint = n->name,
                                       .data = n->name,
                                       .speech = { PEER_VERSION_MIN, PEER_VERSION, n->speaks },
                                       .identity = &n->identity,
                                       .on_identity = on_identity,
                                       .on_map = on_map,
                                       .not_active = not_active,
                                       .on_disk = on_disk,
                                       .on_full_nodes = on_full_nodes,
                                       .arg = n };
    director_list.count = (size_t)directors.count;
    n->board = board_new();
    n->faults = faults_new();
    n->hello = hello_new(n->kv, n->board, n->faults, director_list.count);
    options.map = n->map = map_holder_new();
    options.hello = n->hello;
    if (control_start(&options, &n->control) != OK)
        cluster_fail(n->c, "a control thread does not start");
}

uint64_t control_next(const struct node *n)
{
    uint64_t ms = process_loop_next_ms(n->process.loop);
    return ms == UINT64_MAX ? UINT64_MAX : node_true_time(n, ms * MS);
}

void control_run(struct node *n)
{
    process_loop_turn(n->process.loop);
    node_poke(n);
}

void control_drain(struct node *n)
{
    process_loop_enter(n->process.loop);
    process_calls_end(n->process.client);
    process_loop_leave();
    while (!process_loop_is_stopped(n->process.loop))
        process_loop_turn(n->process.loop);
}

void control_end(struct node *n)
{
    control_stop(n->control);
}

void control_free_all(struct node *n)
{
    control_free(&n->control);
    hello_free(&n->hello);
    board_free(&n->board);
    faults_free(&n->faults);
    map_holder_free(&n->map);
    n->process = (struct process){ .node = n, .end = n->slot };
}
