/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/status.h"

#include "lib/store/store_priv.h"

/* Absent is the first. */
static uint32_t version_read(uint32_t version)
{
    return version == 0 ? 1 : version;
}

static void read_nodes(const Tern__ClusterStatusResponse *from, struct arena *arena, struct status *out)
{
    out->nodes = ARENA_ARRAY(arena, struct status_node, from->n_nodes);
    for (size_t i = 0; i < from->n_nodes; i++) {
        const Tern__NodeStatus *node = from->nodes[i];
        if (node->info == NULL)
            continue;
        out->nodes[out->node_count++] =
            (struct status_node){ .id = node->info->id,
                                  .store_id = arena_slice(arena, pb_slice(node->info->store_id)),
                                  .name = text_read(node->info->name, arena),
                                  .zone = text_read(node->info->zone, arena),
                                  .endpoint = text_read(node->info->endpoint, arena),
                                  .alive = node->alive,
                                  .draining = node->info->draining,
                                  .leaving = node->leaving,
                                  .seen_ms = node->info->seen_ms,
                                  .silent_ms = node->silent_ms,
                                  .disk_total = node->disk_total,
                                  .disk_free = node->disk_free,
                                  .copies = node->copies,
                                  .primaries = node->primaries,
                                  .not_active = node->not_active,
                                  .bytes = node->bytes,
                                  .machine_version = version_read(node->info->machine_version) };
    }
}

static void read_figures(const Tern__PartitionFigures *from, struct arena *arena,
                         struct status_partition *out)
{
    if (from == NULL)
        return;
    out->heard = true;
    out->active = from->active;
    out->last = from->last;
    out->machine_version = version_read(from->machine_version);
    out->commit = from->commit;
    out->bytes = from->bytes;
    out->peer_count = from->n_peers;
    out->peers = ARENA_ARRAY(arena, struct status_peer, from->n_peers);
    for (size_t i = 0; i < from->n_peers; i++)
        out->peers[i] = (struct status_peer){ from->peers[i]->node, from->peers[i]->behind,
                                              from->peers[i]->copied_bytes };
}

static void read_spares(const Tern__PartitionStatus *from, struct arena *arena, struct status_partition *out)
{
    out->spare_count = from->n_spares;
    out->spares = ARENA_ARRAY(arena, struct status_spare, from->n_spares);
    for (size_t i = 0; i < from->n_spares; i++)
        out->spares[i] = (struct status_spare){ .node = from->spares[i]->node,
                                                .epoch = from->spares[i]->epoch,
                                                .last = from->spares[i]->last,
                                                .known = from->spares[i]->known,
                                                .active = from->spares[i]->active,
                                                .broken = from->spares[i]->broken,
                                                .newest = from->spares[i]->newest };
}

static void read_partitions(const Tern__ClusterStatusResponse *from, struct arena *arena, struct status *out)
{
    out->partitions = ARENA_ARRAY(arena, struct status_partition, from->n_partitions);
    for (size_t i = 0; i < from->n_partitions; i++) {
        const Tern__PartitionStatus *partition = from->partitions[i];
        if (partition->conf == NULL)
            continue;
        struct status_partition *p = &out->partitions[out->partition_listed++];
        *p = (struct status_partition){ .heard_ms = partition->heard_ms, .known = partition->known };
        cluster_read_partition(partition->conf, arena, &p->conf);
        read_figures(partition->figures, arena, p);
        read_spares(partition, arena, p);
    }
}

static void read_moves(const Tern__ClusterStatusResponse *from, struct arena *arena, struct status *out)
{
    out->moves = ARENA_ARRAY(arena, struct status_move, from->n_moves);
    out->move_count = from->n_moves;
    out->moves_total = from->moves_total;
    for (size_t i = 0; i < from->n_moves; i++) {
        const Tern__Move *move = from->moves[i];
        out->moves[i] = (struct status_move){ .partition = move->partition,
                                              .from = move->from,
                                              .to = move->to,
                                              .state = text_read(move->state, arena),
                                              .copied_bytes = move->copied_bytes,
                                              .bytes = move->bytes };
    }
}

static void read_wrongs(const Tern__ClusterStatusResponse *from, struct arena *arena, struct status *out)
{
    out->problem_count = from->n_problems;
    out->problems = ARENA_ARRAY(arena, struct slice, from->n_problems);
    for (size_t i = 0; i < from->n_problems; i++)
        out->problems[i] = text_read(from->problems[i], arena);
    out->fault_count = from->n_faults;
    out->faults = ARENA_ARRAY(arena, struct status_fault, from->n_faults);
    for (size_t i = 0; i < from->n_faults; i++)
        out->faults[i] = (struct status_fault){ from->faults[i]->node, from->faults[i]->partition,
                                                text_read(from->faults[i]->text, arena) };
}

static void read_members(const Tern__ClusterStatusResponse *from, struct arena *arena, struct status *out)
{
    out->member_count = from->n_coordination;
    out->members = ARENA_ARRAY(arena, struct status_member, from->n_coordination);
    for (size_t i = 0; i < from->n_coordination; i++) {
        const Tern__CoordinationMember *member = from->coordination[i];
        out->members[i] = (struct status_member){ .endpoint = text_read(member->endpoint, arena),
                                                  .well = member->well,
                                                  .why = text_read(member->why, arena),
                                                  .unwell_ms = member->unwell_ms };
    }
}

static void read_summary(const Tern__PartitionSummary *from, struct status *out)
{
    out->placed = from->placed;
    out->active = from->active;
    out->not_active = from->not_active;
    out->few = from->few;
    out->read_only = from->read_only;
    out->learners = from->learners;
    out->behind = from->behind;
    out->behind_partition = from->behind_partition;
    out->behind_node = from->behind_node;
}

static void read_status(const Tern__ClusterStatusResponse *from, struct arena *arena, struct status *out)
{
    *out = (struct status){ .map_version = from->map->version,
                            .cluster_id = arena_slice(arena, pb_slice(from->map->cluster_id)),
                            .partition_count = from->map->partition_count,
                            .copies = from->map->copies,
                            .min_members = from->map->min_members,
                            .domain_count = from->map->n_domains,
                            .problem = text_read(from->map->problem, arena),
                            .leads = from->leads,
                            .leader = text_read(from->leader, arena) };
    read_nodes(from, arena, out);
    read_partitions(from, arena, out);
    read_moves(from, arena, out);
    read_wrongs(from, arena, out);
    read_members(from, arena, out);
    if (from->summary != NULL)
        read_summary(from->summary, out);
}

enum err store_status_read(struct store *store, bool partitions, struct arena *arena, struct status *out)
{
    Tern__ClusterStatusRequest request = TERN__CLUSTER_STATUS_REQUEST__INIT;
    ProtobufCMessage *message = NULL;
    request.partitions = partitions;
    TRY(director_ask(store, METHOD_CLUSTER_STATUS, false, &request.base,
                     &tern__cluster_status_response__descriptor, &message, NULL));
    Tern__ClusterStatusResponse *response = (Tern__ClusterStatusResponse *)message;
    enum err err = response->map == NULL ? ERR_PROTOCOL : OK;
    if (err == OK)
        read_status(response, arena, out);
    tern__cluster_status_response__free_unpacked(response, NULL);
    return err;
}

/* ---- what an operator asks */

enum err store_node_drain(struct store *store, uint32_t node, bool drain, struct buf *detail)
{
    Tern__NodeDrainRequest request = TERN__NODE_DRAIN_REQUEST__INIT;
    request.node = node;
    request.drain = drain;
    return director_change(store, METHOD_NODE_DRAIN, &request.base, &tern__node_drain_response__descriptor,
                           detail);
}

enum err store_node_remove(struct store *store, uint32_t node, bool lost, uint32_t *copies_out,
                           bool *listed_out, struct buf *detail)
{
    Tern__NodeRemoveRequest request = TERN__NODE_REMOVE_REQUEST__INIT;
    ProtobufCMessage *response = NULL;
    request.node = node;
    request.lost = lost;
    TRY(director_ask(store, METHOD_NODE_REMOVE, true, &request.base, &tern__node_remove_response__descriptor,
                     &response, detail));
    *copies_out = ((Tern__NodeRemoveResponse *)response)->copies;
    *listed_out = ((Tern__NodeRemoveResponse *)response)->listed;
    protobuf_c_message_free_unpacked(response, NULL);
    return OK;
}

enum err store_partition_recover(struct store *store, uint32_t partition, uint32_t node, uint32_t *node_out,
                                 struct buf *detail)
{
    Tern__PartitionRecoverRequest request = TERN__PARTITION_RECOVER_REQUEST__INIT;
    request.partition = partition;
    request.node = node;
    request.accept_loss = node != 0;
    ProtobufCMessage *response = NULL;
    TRY(director_ask(store, METHOD_PARTITION_RECOVER, true, &request.base,
                     &tern__partition_recover_response__descriptor, &response, detail));
    const Tern__PartitionConf *conf = ((Tern__PartitionRecoverResponse *)response)->conf;
    *node_out = conf == NULL ? node : conf->primary;
    protobuf_c_message_free_unpacked(response, NULL);
    return OK;
}
