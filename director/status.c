/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster as this director sees it now, for people and their scripts. Any director answers, from its own
 * memory: who leads makes no difference, for nodes say hello to all. */
#include <stdlib.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/arena.h"
#include "lib/base/clock.h"

enum {
    PARTITIONS_SHOWN_MAX = 1000, /* of those with something to tell, when not all are asked for */
    MOVES_SHOWN_MAX = 100,
    SUM_INTERVAL_MS = 1000,
    SETTLED_MS = 12 * 1000, /* a node tells everything it has every 10 s */
};

bool status_is_settled(const struct director *d, uint64_t now_mono_ms)
{
    return now_mono_ms >= d->started_mono_ms + SETTLED_MS;
}

/* ---- partitions counted */

static void sum_lags(const struct director *d, const struct conf *conf, struct summary *out)
{
    const struct heard_figures *f = heard_find(&d->heard, conf->partition);
    for (int i = 0; f != NULL && f->teller == conf->primary && i < f->peer_count; i++) {
        if (out->behind_node != 0 && f->peers[i].behind <= out->behind)
            continue;
        out->behind = f->peers[i].behind;
        out->behind_partition = conf->partition;
        out->behind_node = f->peers[i].node;
    }
}

static void sum_partition(const struct director *d, const struct conf *conf, uint64_t now,
                          struct summary *out)
{
    uint32_t first, living = map_living_members(&d->map, conf, now, &first);
    if (heard_is_active(&d->heard, &d->map, conf, now))
        out->active++;
    else if (!status_is_settled(d, now) && heard_find(&d->heard, conf->partition) == NULL)
        out->unknown++;
    else
        out->not_active++;
    out->unattended += living == 0 && status_is_settled(d, now);
    if (living < d->map.copies) {
        out->few++;
        out->missing += d->map.copies - living;
    }
    out->read_only += conf->member_count < d->map.min_members;
    out->learners += conf->learner_count;
    sum_lags(d, conf, out);
}

void status_sum(const struct director *d, uint64_t now_mono_ms, struct summary *out)
{
    *out = (struct summary){ 0 };
    for (uint32_t p = 0; p < d->map.partition_count; p++) {
        if (d->map.confs[p].epoch != 0)
            sum_partition(d, &d->map.confs[p], now_mono_ms, out);
    }
}

void status_gauges(struct director *d, uint64_t now_mono_ms)
{
    struct summary sum;
    if (now_mono_ms < d->figures.summed_ms + SUM_INTERVAL_MS)
        return;
    d->figures.summed_ms = now_mono_ms;
    heard_look(&d->heard, &d->map, now_mono_ms);
    status_sum(d, now_mono_ms, &sum);
    metric_set(d->figures.moves, (int64_t)d->drive.plan.move_count);
    metric_set(d->figures.copies_missing, sum.missing);
    metric_set(d->figures.not_active, (int64_t)sum.not_active + sum.unknown);
    metric_set(d->figures.faults, (int64_t)d->heard.fault_count);
    members_gauges(d);
}

/* ---- the answer, in an arena */

struct telling {
    struct director *d;
    uint64_t now;
    struct arena arena;
    Tern__ClusterStatusResponse response;
};

static void tell_map(struct telling *t)
{
    const struct map *map = &t->d->map;
    Tern__Map *out = ARENA_NEW(&t->arena, Tern__Map);
    struct buf problem = { 0 };
    tern__map__init(out);
    out->version = map->version;
    out->cluster_id =
        (ProtobufCBinaryData){ map->cluster_mod == 0 ? 0 : MAP_ID_SIZE, (uint8_t *)map->cluster_id };
    out->partition_count = map->partition_count;
    out->copies = map->copies;
    out->min_members = map->min_members;
    create_problem(t->d, t->now, &problem);
    out->problem = arena_strdup(&t->arena, buf_slice(&problem));
    buf_fini(&problem);
    out->n_domains = map->domain_count;
    out->domains = ARENA_ARRAY(&t->arena, Tern__Domain *, map->domain_count);
    for (size_t i = 0; i < map->domain_count; i++)
        out->domains[i] = map->domains[i].domain;
    t->response.map = out;
}

static void count_copies(struct telling *t, const struct conf *conf, Tern__NodeStatus *out)
{
    uint32_t id = out->info->id;
    out->primaries += conf->primary == id;
    if (!conf_is_member(conf, id) && !conf_is_learner(conf, id))
        return;
    out->copies++;
    out->bytes += heard_bytes(&t->d->heard, conf->partition);
}

static void tell_nodes(struct telling *t)
{
    const struct map *map = &t->d->map;
    t->response.nodes = ARENA_ARRAY(&t->arena, Tern__NodeStatus *, map->node_count);
    t->response.n_nodes = map->node_count;
    for (size_t i = 0; i < map->node_count; i++) {
        const struct map_node *node = &map->nodes[i];
        Tern__NodeStatus *out = t->response.nodes[i] = ARENA_NEW(&t->arena, Tern__NodeStatus);
        uint64_t heard = node->heard_mono_ms != 0 ? node->heard_mono_ms : t->d->started_mono_ms;
        tern__node_status__init(out);
        Tern__NodeInfo *info = ARENA_NEW(&t->arena, Tern__NodeInfo);
        *info = *node->info;
        info->seen_ms = node->heard_real_ms;
        out->info = info;
        out->alive = map_node_is_alive(node, t->now);
        out->silent_ms = out->alive ? 0 : t->now - heard;
        out->disk_total = node->disk_total;
        out->disk_free = node->disk_free;
        out->leaving = node->leaving;
        out->not_active = node->not_active;
        for (uint32_t p = 0; p < map->partition_count; p++)
            count_copies(t, &map->confs[p], out);
    }
}

static Tern__PartitionFigures *tell_figures(struct telling *t, const struct heard_figures *f,
                                            uint32_t partition)
{
    Tern__PartitionFigures *out = ARENA_NEW(&t->arena, Tern__PartitionFigures);
    tern__partition_figures__init(out);
    out->partition = partition;
    out->epoch = f->epoch;
    out->active = f->active;
    out->last = f->last;
    out->commit = f->commit;
    out->bytes = f->bytes;
    out->machine_version = f->machine_version;
    out->n_peers = f->peer_count;
    out->peers = ARENA_ARRAY(&t->arena, Tern__PeerFigures *, f->peer_count);
    for (int i = 0; i < f->peer_count; i++) {
        Tern__PeerFigures *peer = out->peers[i] = ARENA_NEW(&t->arena, Tern__PeerFigures);
        tern__peer_figures__init(peer);
        peer->node = f->peers[i].node;
        peer->behind = f->peers[i].behind;
        peer->copied_bytes = f->peers[i].copied_bytes;
    }
    return out;
}

/* Members' copies too while some partition is ahead of the store; nodes tell of them at a director's start.
 */
static void tell_spares(struct telling *t, const struct conf *conf, Tern__PartitionStatus *out)
{
    size_t count;
    const struct heard_spare *spares = heard_spares(&t->d->heard, conf->partition, &count);
    const struct heard_spare *newest = heard_newest(&t->d->heard, &t->d->map, conf->partition, t->now);
    bool all = t->d->heard.ahead > 0 || heard_is_ahead(&t->d->heard, conf);
    if (count == 0)
        return;
    out->spares = ARENA_ARRAY(&t->arena, Tern__SpareCopy *, count);
    for (size_t i = 0; i < count; i++) {
        if (!all && conf_is_member(conf, spares[i].node))
            continue;
        Tern__SpareCopy *copy = out->spares[out->n_spares++] = ARENA_NEW(&t->arena, Tern__SpareCopy);
        tern__spare_copy__init(copy);
        copy->partition = conf->partition;
        copy->node = spares[i].node;
        copy->epoch = spares[i].epoch;
        copy->last = spares[i].last;
        copy->known = spares[i].known;
        copy->primary = spares[i].primary;
        copy->active = spares[i].active;
        copy->broken = spares[i].broken;
        copy->newest = &spares[i] == newest;
    }
}

static void tell_partition(struct telling *t, const struct conf *conf)
{
    Tern__PartitionStatus *out = ARENA_NEW(&t->arena, Tern__PartitionStatus);
    const struct heard_figures *f = heard_find(&t->d->heard, conf->partition);
    tern__partition_status__init(out);
    out->conf = ARENA_NEW(&t->arena, Tern__PartitionConf);
    conf_to_proto(conf, out->conf);
    if (f != NULL) {
        out->figures = tell_figures(t, f, conf->partition);
        out->figures->active = heard_is_active(&t->d->heard, &t->d->map, conf, t->now);
        out->heard_ms = t->now - f->heard_mono_ms;
    }
    tell_spares(t, conf, out);
    out->known = heard_epoch(&t->d->heard, conf->partition);
    t->response.partitions[t->response.n_partitions++] = out;
}

static bool has_something_to_tell(const struct telling *t, const struct conf *conf)
{
    const struct map *map = &t->d->map;
    uint32_t first;
    return !heard_is_active(&t->d->heard, map, conf, t->now) || heard_is_ahead(&t->d->heard, conf) ||
           map_living_members(map, conf, t->now, &first) < map->copies || conf->learner_count > 0;
}

static void tell_partitions(struct telling *t, bool all)
{
    const struct map *map = &t->d->map;
    size_t max =
        all || map->partition_count < PARTITIONS_SHOWN_MAX ? map->partition_count : PARTITIONS_SHOWN_MAX;
    t->response.partitions = ARENA_ARRAY(&t->arena, Tern__PartitionStatus *, max);
    for (uint32_t p = 0; p < map->partition_count && t->response.n_partitions < max; p++) {
        const struct conf *conf = &map->confs[p];
        if (conf->epoch != 0 && (all || has_something_to_tell(t, conf)))
            tell_partition(t, conf);
    }
}

/* ---- moves */

static const char *state_of(const struct move *move, const struct heard_peer *peer)
{
    return move->state == MOVES_COPIES && peer != NULL && peer->copied_bytes == 0
               ? "catches up"
               : moves_state_text(move->state);
}

static void tell_move(struct telling *t, const struct move *move)
{
    Tern__Move *out = ARENA_NEW(&t->arena, Tern__Move);
    const struct heard_peer *peer = heard_find_peer(heard_find(&t->d->heard, move->partition), move->to);
    tern__move__init(out);
    out->partition = move->partition;
    out->from = move->from;
    out->to = move->to;
    out->state = (char *)state_of(move, peer);
    out->copied_bytes = peer == NULL ? 0 : peer->copied_bytes;
    out->bytes = heard_bytes(&t->d->heard, move->partition);
    t->response.moves[t->response.n_moves++] = out;
}

/* Those under way first. */
static void tell_moves(struct telling *t)
{
    const struct moves_plan *plan = &t->d->drive.plan;
    size_t max = plan->move_count < MOVES_SHOWN_MAX ? plan->move_count : MOVES_SHOWN_MAX;
    t->response.moves = ARENA_ARRAY(&t->arena, Tern__Move *, max);
    t->response.moves_total = (uint32_t)plan->move_count;
    for (int waits = 0; waits <= 1; waits++) {
        for (size_t i = 0; i < plan->move_count && t->response.n_moves < max; i++) {
            if ((plan->moves[i].state == MOVES_WAITS) == waits)
                tell_move(t, &plan->moves[i]);
        }
    }
}

/* ---- the rest */

static void tell_faults(struct telling *t)
{
    const struct heard *heard = &t->d->heard;
    t->response.faults = ARENA_ARRAY(&t->arena, Tern__NodeFault *, heard->fault_count);
    for (size_t i = 0; i < heard->fault_count; i++) {
        Tern__NodeFault *out = ARENA_NEW(&t->arena, Tern__NodeFault);
        tern__node_fault__init(out);
        out->node = heard->faults[i].node;
        out->partition = heard->faults[i].partition;
        out->text = heard->faults[i].text;
        t->response.faults[t->response.n_faults++] = out;
    }
}

static void tell_members(struct telling *t)
{
    struct coordination_member members[COORDINATION_MEMBERS_MAX];
    size_t count = coordination_members(t->d->coordination, members);
    t->response.coordination = ARENA_ARRAY(&t->arena, Tern__CoordinationMember *, count);
    t->response.n_coordination = count;
    for (size_t i = 0; i < count; i++) {
        const struct coordination_member *member = &members[i];
        Tern__CoordinationMember *out = t->response.coordination[i] =
            ARENA_NEW(&t->arena, Tern__CoordinationMember);
        tern__coordination_member__init(out);
        out->endpoint = arena_strdup(&t->arena, slice_str(member->endpoint));
        out->well = member->health == COORDINATION_WELL;
        out->why = arena_strdup(&t->arena, slice_str(member->why));
        if (coordination_member_fails(member))
            out->unwell_ms = members_unwell_ms(member, t->now);
    }
}

static void tell_summary(struct telling *t, const struct summary *sum)
{
    Tern__PartitionSummary *out = ARENA_NEW(&t->arena, Tern__PartitionSummary);
    tern__partition_summary__init(out);
    out->placed = t->d->map.placed_count;
    out->active = sum->active;
    out->not_active = sum->not_active;
    out->few = sum->few;
    out->read_only = sum->read_only;
    out->learners = sum->learners;
    out->behind = sum->behind;
    out->behind_partition = sum->behind_partition;
    out->behind_node = sum->behind_node;
    t->response.summary = out;
}

void on_cluster_status(struct director *d, struct rpc_request *request)
{
    struct telling t = { .d = d, .now = clock_mono_ms() };
    struct buf leader = { 0 };
    struct summary sum;
    char *problems[PROBLEMS_MAX];
    Tern__ClusterStatusRequest *asked =
        (Tern__ClusterStatusRequest *)answer_unpack(d, request, &tern__cluster_status_request__descriptor);
    if (asked == NULL)
        return;
    tern__cluster_status_response__init(&t.response);
    status_sum(d, t.now, &sum);
    tell_map(&t);
    tell_nodes(&t);
    tell_partitions(&t, asked->partitions);
    tell_moves(&t);
    tell_faults(&t);
    tell_members(&t);
    tell_summary(&t, &sum);
    t.response.problems = problems;
    t.response.n_problems = problems_find(d, &sum, t.now, problems);
    t.response.leads = coordination_leads(d->coordination);
    coordination_leader(d->coordination, &leader);
    t.response.leader = (char *)buf_cstr(&leader);
    answer(d, request, OK, NULL, &t.response.base);
    for (size_t i = 0; i < t.response.n_problems; i++)
        free(problems[i]);
    buf_fini(&leader);
    arena_fini(&t.arena);
    tern__cluster_status_request__free_unpacked(asked, NULL);
}
