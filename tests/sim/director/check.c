/* SPDX-License-Identifier: Apache-2.0 */
/* What must hold of every change that the store takes, of what nodes are told, and in the end. Judged by
 * what is really so, which no director sees at once; where a director may lag, by how much is named here. */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "tests/sim/director/dsim.h"

enum {
    BEYOND_MAX = 1,    /* moves beyond the limits: what the former leader had under way */
    NOTICED_MS = 3000, /* what lasts as long, a director has seen in a plan */
};

/* When a director saw that a partition has all its copies. */
struct sight {
    uint64_t boot, whole_since, whole_at;
};

struct checks {
    struct numbers acked[PARTITIONS_MAX];
    struct conf *known[PARTITIONS_MAX]; /* every configuration there was, by epoch - 1 */
    size_t known_count[PARTITIONS_MAX];
    bool moving[PARTITIONS_MAX][ID_MAX]; /* the learner was made by a director */
    struct sight sights[DIRECTORS][PARTITIONS_MAX];
};

void checks_init(void)
{
    sim->checks = NEW(struct checks);
}

void checks_fini(void)
{
    for (int p = 0; p < PARTITIONS_MAX; p++) {
        numbers_fini(&sim->checks->acked[p]);
        free(sim->checks->known[p]);
    }
    free(sim->checks);
}

/* ---- one change (R20-R23) */

static uint32_t lost_member(const struct conf *from, const struct conf *to)
{
    for (int i = 0; i < from->member_count; i++) {
        if (!conf_is_member(to, from->members[i]))
            return from->members[i];
    }
    return 0;
}

static uint32_t new_learner(const struct conf *old, const struct conf *now)
{
    for (int i = 0; i < now->learner_count; i++) {
        if (!conf_is_learner(old, now->learners[i]))
            return now->learners[i];
    }
    return 0;
}

static void check_step(const struct conf *old, const struct conf *now, const struct made *made)
{
    uint32_t added = lost_member(now, old), lost = lost_member(old, now);
    unsigned long long epoch = now->epoch;
    if (now->epoch != old->epoch + 1)
        sim_fail("partition %u goes from epoch %llu to %llu", now->partition, (unsigned long long)old->epoch,
                 epoch);
    else if (!conf_is_valid(now))
        sim_fail("partition %u: epoch %llu is not valid", now->partition, epoch);
    else if (old->epoch == 0)
        return;
    else if (added != 0 && (!conf_is_learner(old, added) || old->member_count + 1 != now->member_count))
        sim_fail("partition %u: node %u becomes a member in epoch %llu and was no learner", now->partition,
                 added, epoch);
    else if (lost != 0 && old->member_count != now->member_count + 1)
        sim_fail("partition %u: more than one member goes in epoch %llu", now->partition, epoch);
    else if (now->primary != old->primary && !conf_is_member(old, now->primary))
        sim_fail("partition %u: node %u becomes primary in epoch %llu and was no member", now->partition,
                 now->primary, epoch);
    else if (made->own && (added != 0 || lost != 0 || now->primary != old->primary))
        sim_fail("partition %u: a director by itself changed members in epoch %llu", now->partition, epoch);
    else if (made->wished && lost != 0 && now->member_count < sim->copies)
        sim_fail("partition %u: node %u had to go in epoch %llu, and only %u members are left",
                 now->partition, lost, epoch, now->member_count);
    if (added != 0 && node_of(added) != NULL && !check_has_acked(node_of(added), now->partition))
        sim_fail("partition %u: node %u becomes a member in epoch %llu and lacks acknowledged writes",
                 now->partition, added, epoch);
}

/* ---- limits and patience */

static void count_moves(const struct checks *k, uint32_t *all, uint32_t *at_nodes)
{
    *all = 0;
    memset(at_nodes, 0, ID_MAX * sizeof *at_nodes);
    for (uint32_t p = 0; p < sim->partitions; p++) {
        const struct conf *conf = store_conf(p);
        bool moves = false;
        for (int i = 0; i < conf->learner_count; i++) {
            if (!k->moving[p][conf->learners[i]])
                continue;
            moves = true;
            at_nodes[conf->learners[i]]++;
        }
        *all += moves;
    }
}

static void check_limits(const struct checks *k, uint32_t learner)
{
    uint32_t all, at_nodes[ID_MAX];
    count_moves(k, &all, at_nodes);
    if (all > sim->totals.moves_most)
        sim->totals.moves_most = all;
    if (all > sim->moves_max + BEYOND_MAX)
        sim_fail("%u partitions have a copy being made, %u may", all, sim->moves_max);
    if (at_nodes[learner] > sim->moves_per_node + BEYOND_MAX)
        sim_fail("node %u is being sent %u copies, %u may be", learner, at_nodes[learner],
                 sim->moves_per_node);
}

/* By what the director knows, a node is away that could still come back. */
static bool one_is_away(const struct director *d, uint64_t now_mono_ms)
{
    for (size_t i = 0; i < d->map.node_count; i++) {
        const struct map_node *node = &d->map.nodes[i];
        uint64_t heard = node->heard_mono_ms > d->started_mono_ms ? node->heard_mono_ms : d->started_mono_ms;
        bool alive = node->heard_mono_ms != 0 && now_mono_ms < node->heard_mono_ms + MAP_NODE_ALIVE_MS;
        if (!alive && now_mono_ms < heard + REPAIR_MS)
            return true;
    }
    return false;
}

void check_turn(int host)
{
    struct checks *k = sim->checks;
    const struct host *h = &directors.hosts[host];
    for (uint32_t p = 0; p < h->d->map.partition_count; p++) {
        struct sight *sight = &k->sights[host][p];
        bool whole = h->d->map.confs[p].member_count >= sim->copies;
        if (sight->boot != h->boot)
            *sight = (struct sight){ .boot = h->boot, .whole_at = sim->now };
        if (!whole)
            sight->whole_since = 0;
        else if (sight->whole_since == 0)
            sight->whole_since = sim->now;
        else if (sim->now >= sight->whole_since + NOTICED_MS)
            sight->whole_at = sim->now;
    }
}

void check_begins(int host, uint32_t partition, uint32_t node)
{
    const struct host *h = &directors.hosts[host];
    const struct conf *conf = &h->d->map.confs[partition];
    const struct sight *sight = &sim->checks->sights[host][partition];
    const struct map_node *to = map_find_node(&h->d->map, node);
    int leader = store_leader();
    if (to != NULL && to->disk_low)
        sim_fail("director %d begins a copy of partition %u on node %u, whose disk is full", host, partition,
                 node);
    if (leader >= 0 && leader != host)
        sim_fail("director %d begins a copy of partition %u while director %d leads", host, partition,
                 leader);
    uint64_t patience = one_is_away(h->d, clock_mono_ms()) ? REPAIR_MS : RETURN_MS;
    if (conf->epoch > 1 && conf->member_count + conf->learner_count < sim->copies &&
        (sight->boot != h->boot || sim->now < sight->whole_at + patience))
        sim_fail("director %d makes a new copy of partition %u %llu ms after one was lost", host, partition,
                 (unsigned long long)(sim->now - sight->whole_at));
}

void check_conf(const struct conf *old, const struct conf *now, const struct made *made)
{
    struct checks *k = sim->checks;
    uint32_t p = now->partition, learner = new_learner(old, now);
    sim->totals.epochs++;
    sim->totals.promotions += old->epoch > 0 && now->primary != old->primary;
    if (sim->trace) {
        struct buf text = { 0 };
        for (int i = 0; i < now->member_count; i++)
            buf_addf(&text, " %u", now->members[i]);
        for (int i = 0; i < now->learner_count; i++)
            buf_addf(&text, " l%u", now->learners[i]);
        sim_trace("partition %u conf %llu: primary %u, members%s (by director %d%s%s)", p,
                  (unsigned long long)now->epoch, now->primary, buf_cstr(&text), made->director,
                  made->own ? " itself" : "", made->wished ? ", wished" : "");
        buf_fini(&text);
    }
    k->known[p] = xrealloc(k->known[p], (k->known_count[p] + 1) * sizeof *k->known[p]);
    k->known[p][k->known_count[p]++] = *now;
    check_step(old, now, made);
    for (uint32_t id = 0; id < ID_MAX; id++) {
        bool was = conf_is_member(old, id) || conf_is_learner(old, id);
        const struct node *n = node_of(id);
        if (!was && (conf_is_member(now, id) || conf_is_learner(now, id)) && n != NULL && n->gone)
            sim_fail("partition %u takes in node %u, which is removed", p, id);
    }
    for (uint32_t id = 0; id < ID_MAX; id++)
        k->moving[p][id] = k->moving[p][id] && conf_is_learner(now, id);
    if (made->own && learner != 0) {
        sim->totals.learners++;
        k->moving[p][learner] = true;
        check_limits(k, learner);
    }
}

/* ---- what nodes learn, and what clients were promised */

void check_learned(const struct node *n, const struct conf *conf)
{
    const struct checks *k = sim->checks;
    if (conf->epoch == 0 || conf->epoch > k->known_count[conf->partition] ||
        memcmp(&k->known[conf->partition][conf->epoch - 1], conf, sizeof *conf) != 0)
        sim_fail("node %u is told of an epoch %llu of partition %u that never was", n->id,
                 (unsigned long long)conf->epoch, conf->partition);
}

bool check_has_acked(const struct node *n, uint32_t partition)
{
    const struct numbers *acked = &sim->checks->acked[partition], *log = &n->copies[partition].log;
    return acked->count == 0 || (log->count >= acked->count &&
                                 memcmp(log->list, acked->list, acked->count * sizeof *acked->list) == 0);
}

void check_active(const struct node *n, uint32_t partition)
{
    sim_trace("node %u serves partition %u", n->id, partition);
    if (!check_has_acked(n, partition))
        sim_fail("node %u serves partition %u and lacks acknowledged writes", n->id, partition);
}

void check_acked(const struct node *n, uint32_t partition, size_t count)
{
    struct numbers *acked = &sim->checks->acked[partition];
    const struct numbers *log = &n->copies[partition].log;
    if (acked->count > 0 &&
        (count < acked->count || log->list[acked->count - 1] != acked->list[acked->count - 1]))
        sim_fail("node %u acknowledges for partition %u and lacks what was acknowledged", n->id, partition);
    for (size_t i = acked->count; i < count && !sim->failed; i++) {
        numbers_add(acked, log->list[i]);
        sim->totals.acked++;
    }
}

void check_removed(uint32_t id)
{
    for (uint32_t p = 0; p < sim->partitions; p++) {
        if (conf_is_member(store_conf(p), id) || conf_is_learner(store_conf(p), id))
            sim_fail("node %u is removed and is a member or learner of partition %u", id, p);
    }
    struct node *n = node_of(id);
    sim_trace("node %u is removed", id);
    sim->totals.removals++;
    if (n != NULL)
        n->gone = true;
}

/* ---- the end */

/* Copies belong there. */
static bool is_usable(const struct node *n)
{
    return n->used && !n->dead && !n->gone && !n->draining;
}

/* Where a disk is full, copies that should go may have to stay, and ones that are missing may have to wait;
 * but the partition is served, by a node that has room, and copies that others have room for are there. */
static bool full_is_spared(const struct conf *conf, struct buf *why)
{
    const struct node *primary = node_of(conf->primary);
    bool roomy_member = false, roomy_other = false;
    for (int i = 0; i < NODES_MAX; i++) {
        const struct node *n = &sim->nodes[i];
        bool roomy = is_usable(n) && !n->full;
        roomy_member |= roomy && conf_is_member(conf, n->id);
        roomy_other |= roomy && !conf_is_member(conf, n->id);
    }
    if (primary == NULL || !primary->copies[conf->partition].active)
        buf_addf(why, "partition %u is not served", conf->partition);
    else if (primary->full && roomy_member)
        buf_addf(why, "partition %u has its primary on node %u, whose disk is full", conf->partition,
                 conf->primary);
    else if (conf->member_count < sim->copies && roomy_other)
        buf_addf(why, "partition %u has %u members, and could have more", conf->partition,
                 conf->member_count);
    else
        return true;
    return false;
}

static bool partition_is_settled(uint32_t p, uint32_t wanted, struct buf *why)
{
    const struct conf *conf = store_conf(p);
    const struct node *primary = node_of(conf->primary);
    uint32_t zones = 0, zones_there = 0;
    if (sim->small_disk)
        return full_is_spared(conf, why);
    for (int i = 0; i < conf->member_count; i++) {
        const struct node *n = node_of(conf->members[i]);
        if (n == NULL || !is_usable(n)) {
            buf_addf(why, "partition %u has a copy on node %u", p, conf->members[i]);
            return false;
        }
        bool first = true;
        for (int k = 0; k < i; k++)
            first = first && strcmp(node_of(conf->members[k])->zone, n->zone) != 0;
        zones += first;
    }
    for (int i = 0; i < NODES_MAX; i++) {
        bool first = is_usable(&sim->nodes[i]);
        for (int k = 0; k < i; k++)
            first =
                first && !(is_usable(&sim->nodes[k]) && strcmp(sim->nodes[i].zone, sim->nodes[k].zone) == 0);
        zones_there += first;
    }
    uint32_t zones_wanted = zones_there < wanted ? zones_there : wanted;
    if (conf->member_count != wanted || conf->learner_count != 0)
        buf_addf(why, "partition %u has %u members and %u learners, %u are wanted", p, conf->member_count,
                 conf->learner_count, wanted);
    else if (zones != zones_wanted)
        buf_addf(why, "partition %u lies in %u zones, and could in %u", p, zones, zones_wanted);
    else if (primary == NULL || !primary->copies[p].active || primary->copies[p].conf.epoch != conf->epoch)
        buf_addf(why, "partition %u is not served", p);
    else
        return true;
    return false;
}

/* With zones of different sizes the smaller ones' nodes have more copies. */
static bool zones_are_alike(void)
{
    uint32_t sizes[NODES_MAX] = { 0 }, size = 0;
    for (int i = 0; i < NODES_MAX; i++) {
        for (int k = 0; k < NODES_MAX && is_usable(&sim->nodes[i]); k++)
            sizes[i] += is_usable(&sim->nodes[k]) && strcmp(sim->nodes[i].zone, sim->nodes[k].zone) == 0;
        if (sizes[i] != 0 && size != 0 && sizes[i] != size)
            return false;
        size = sizes[i] != 0 ? sizes[i] : size;
    }
    return true;
}

static bool copies_are_even(struct buf *why)
{
    uint32_t copies[NODES_MAX] = { 0 }, low = UINT32_MAX, high = 0;
    for (uint32_t p = 0; p < sim->partitions; p++) {
        const struct conf *conf = store_conf(p);
        for (int i = 0; i < conf->member_count; i++)
            copies[node_slot(node_of(conf->members[i]))]++;
    }
    for (int i = 0; i < NODES_MAX; i++) {
        if (!is_usable(&sim->nodes[i]))
            continue;
        low = copies[i] < low ? copies[i] : low;
        high = copies[i] > high ? copies[i] : high;
    }
    if (high <= low + 1 || !zones_are_alike())
        return true;
    buf_addf(why, "a node has %u copies and another %u", high, low);
    return false;
}

/* No node could pass a seat to one that has two fewer, along whatever chain of partitions. */
static bool primaries_are_even(struct buf *why)
{
    uint32_t seats[NODES_MAX] = { 0 };
    bool passes[NODES_MAX][NODES_MAX] = { { false } };
    for (uint32_t p = 0; p < sim->partitions; p++) {
        const struct conf *conf = store_conf(p);
        int from = node_slot(node_of(conf->primary));
        seats[from]++;
        for (int i = 0; i < conf->member_count; i++)
            passes[from][node_slot(node_of(conf->members[i]))] = true;
    }
    for (int via = 0; via < NODES_MAX; via++) {
        for (int a = 0; a < NODES_MAX; a++) {
            for (int b = 0; b < NODES_MAX && passes[a][via]; b++)
                passes[a][b] = passes[a][b] || passes[via][b];
        }
    }
    for (int a = 0; a < NODES_MAX; a++) {
        for (int b = 0; b < NODES_MAX; b++) {
            if (!passes[a][b] || seats[a] < seats[b] + 2)
                continue;
            buf_addf(why, "node %u has %u primaries and node %u has %u", sim->nodes[a].id, seats[a],
                     sim->nodes[b].id, seats[b]);
            return false;
        }
    }
    return true;
}

bool check_settled(struct buf *why)
{
    struct buf none = { 0 };
    uint32_t usable = 0;
    bool well = true;
    if (why == NULL)
        why = &none;
    for (int i = 0; i < NODES_MAX && well; i++) {
        const struct node *n = &sim->nodes[i];
        usable += is_usable(n);
        well = !n->used || !n->removing || n->gone || sim->small_disk;
        if (!well)
            buf_addf(why, "node %u is not removed yet", n->id);
        else if (is_usable(n) && store_is_marked(n->id)) {
            buf_addf(why, "node %u stays, and is still marked as one to be removed", n->id);
            well = false;
        }
    }
    for (uint32_t p = 0; p < sim->partitions && well; p++)
        well = partition_is_settled(p, usable < sim->copies ? usable : sim->copies, why);
    well = well && (sim->small_disk || (copies_are_even(why) && primaries_are_even(why)));
    buf_fini(&none);
    return well;
}
