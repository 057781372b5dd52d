/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with the cluster, in sentences: what it is, and what to do. */
#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"

enum {
    NAMED_MAX = 8,        /* partitions that a sentence names */
    DISK_LOW_PERCENT = 8, /* of a node's disk free */
    FAULTS_SHOWN_MAX = 8,
    AHEAD_MS = 3000, /* nodes are ahead of a director's picture for so long: it is no mere lag */
};

struct problems {
    struct director *d;
    const struct summary *sum;
    uint64_t now;
    struct buf text; /* of the one being written */
    char **out;
    size_t count;
};

/* The sentence is whole. */
static void end(struct problems *p)
{
    if (p->count < PROBLEMS_MAX)
        p->out[p->count++] = xstrdup(buf_cstr(&p->text));
    buf_clear(&p->text);
}

static void add_node(struct problems *p, uint32_t id)
{
    const struct map_node *node = map_find_node(&p->d->map, id);
    buf_addf(&p->text, "node %u", id);
    if (node != NULL && node->info->name[0] != '\0')
        buf_addf(&p->text, " (%s)", node->info->name);
}

void problems_add_time(struct buf *out, uint64_t ms)
{
    uint64_t s = ms / 1000;
    if (s < 120)
        buf_addf(out, "%llu s", (unsigned long long)s);
    else if (s < 2 * 3600)
        buf_addf(out, "%llu min", (unsigned long long)(s / 60));
    else
        buf_addf(out, "%llu h", (unsigned long long)(s / 3600));
}

static bool has_living_member(const struct problems *p, const struct conf *conf)
{
    uint32_t first;
    return map_living_members(&p->d->map, conf, p->now, &first) > 0;
}

/* ---- partitions */

typedef bool is_it(const struct problems *p, const struct conf *conf);

static bool is_ahead(const struct problems *p, const struct conf *conf)
{
    return heard_is_ahead(&p->d->heard, conf);
}

static bool is_unattended(const struct problems *p, const struct conf *conf)
{
    return !has_living_member(p, conf);
}

static bool is_not_served(const struct problems *p, const struct conf *conf)
{
    return has_living_member(p, conf) && heard_find(&p->d->heard, conf->partition) != NULL &&
           !heard_is_active(&p->d->heard, &p->d->map, conf, p->now);
}

static bool is_read_only(const struct problems *p, const struct conf *conf)
{
    return conf->member_count < p->d->map.min_members && has_living_member(p, conf);
}

/* "Partition 3" or "12 partitions (1, 2, 3 ...)"; how many. */
static uint32_t name_partitions(struct problems *p, is_it *it)
{
    const struct map *map = &p->d->map;
    struct buf names = { 0 };
    uint32_t count = 0, only = 0;
    for (uint32_t i = 0; i < map->partition_count; i++) {
        if (map->confs[i].epoch == 0 || !it(p, &map->confs[i]))
            continue;
        only = i;
        if (count < NAMED_MAX)
            buf_addf(&names, "%s%u", count > 0 ? ", " : "", i);
        else if (count == NAMED_MAX)
            buf_add_str(&names, " ...");
        count++;
    }
    if (count == 1)
        buf_addf(&p->text, "Partition %u", only);
    else if (count > 1)
        buf_addf(&p->text, "%u partitions (%s)", count, buf_cstr(&names));
    buf_fini(&names);
    return count;
}

/* Alone of these it is solved by a command, and the cause of what else is wrong. */
static void find_ahead(struct problems *p)
{
    const struct heard *heard = &p->d->heard;
    bool lasts = heard->ahead_since_ms != 0 && p->now >= heard->ahead_since_ms + AHEAD_MS;
    uint32_t count = lasts ? name_partitions(p, is_ahead) : 0;
    if (count == 0)
        return;
    buf_addf(
        &p->text,
        " %s further on the nodes' disks than in the coordination store: that was put back from an older "
        "copy (R27). Start all nodes, look at ternctl partition recover, and then: ternctl partition "
        "recover --all. Nothing is lost by it.",
        count == 1 ? "is" : "are");
    end(p);
}

static void find_unserved(struct problems *p)
{
    uint32_t count = p->sum->unattended > 0 ? name_partitions(p, is_unattended) : 0;
    if (count > 0) {
        buf_addf(
            &p->text,
            " cannot be used: no node that has %s newest state is here. Start the nodes that are silent. If "
            "they are lost for good: ternctl partition recover.",
            count == 1 ? "its" : "their");
        end(p);
    }
    count = p->sum->not_active > p->sum->unattended ? name_partitions(p, is_not_served) : 0;
    if (count > 0) {
        buf_addf(
            &p->text,
            " %s not served just now. After a node was lost it takes a few seconds; if it lasts, see the "
            "log of the primary's node.",
            count == 1 ? "is" : "are");
        end(p);
    }
    count = p->sum->read_only > 0 ? name_partitions(p, is_read_only) : 0;
    if (count > 0) {
        buf_addf(&p->text, " %s no writes: fewer than %u copies are in step. Mail for %s ",
                 count == 1 ? "takes" : "take", p->d->map.min_members, count == 1 ? "it" : "them");
        buf_add_str(&p->text, count < p->d->map.placed_count
                                  ? "is queued elsewhere."
                                  : "is put off (451), as there is nowhere else. Start "
                                    "the nodes that are silent, or add others.");
        end(p);
    }
}

/* ---- nodes */

static uint32_t count_copies(const struct problems *p, uint32_t id)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < p->d->map.partition_count; i++)
        count += conf_is_member(&p->d->map.confs[i], id) || conf_is_learner(&p->d->map.confs[i], id);
    return count;
}

static uint32_t count_usable(const struct problems *p)
{
    uint32_t count = 0;
    for (size_t i = 0; i < p->d->map.node_count; i++) {
        const struct map_node *node = &p->d->map.nodes[i];
        count += map_node_is_alive(node, p->now) && !node->info->draining && !node->leaving;
    }
    return count;
}

/* One that is here and has the same name: most likely the same machine, whose disk was lost. */
static uint32_t find_successor(const struct problems *p, const struct map_node *node)
{
    for (size_t i = 0; i < p->d->map.node_count && node->info->name[0] != '\0'; i++) {
        const struct map_node *other = &p->d->map.nodes[i];
        if (other->info->id > node->info->id && map_node_is_alive(other, p->now) &&
            strcmp(other->info->name, node->info->name) == 0)
            return other->info->id;
    }
    return 0;
}

static void find_silent(struct problems *p, const struct map_node *node)
{
    uint64_t heard = node->heard_mono_ms != 0 ? node->heard_mono_ms : p->d->started_mono_ms;
    uint64_t silent = p->now - heard, patience = p->d->options.repair_after_ms;
    uint32_t copies = count_copies(p, node->info->id), successor = find_successor(p, node);
    if (map_node_is_alive(node, p->now) || silent < MAP_NODE_ALIVE_MS)
        return;
    add_node(p, node->info->id);
    p->text.data[0] = 'N';
    if (map_is_given_up(&p->d->map, node)) {
        buf_add_str(
            &p->text,
            " is given up, and is listed until all partitions go on: ternctl partition recover --all.");
        end(p);
        return;
    }
    buf_add_str(&p->text, " has been silent for ");
    problems_add_time(&p->text, silent);
    if (successor != 0)
        buf_addf(&p->text, ", and node %u has its name. If that has its place, with an empty disk",
                 successor);
    else
        buf_add_str(&p->text, ". Start it again; if it is lost for good");
    buf_addf(&p->text, ": ternctl node remove %u --lost.", node->info->id);
    if (count_usable(p) >= p->d->map.copies && silent < patience && (copies > 0 || p->sum->few > 0)) {
        buf_add_str(&p->text, " What it had is made anew elsewhere in ");
        problems_add_time(&p->text, patience - silent);
        buf_add_str(&p->text, ".");
    }
    end(p);
}

/* A drain that cannot end. */
static void find_stuck_drain(struct problems *p, const struct map_node *node)
{
    uint32_t usable = count_usable(p), copies = count_copies(p, node->info->id);
    if (!node->info->draining || copies == 0 || usable >= p->d->map.copies)
        return;
    add_node(p, node->info->id);
    p->text.data[0] = 'N';
    buf_addf(
        &p->text,
        " drains, but only %u other node%s there for %u copies: the %u copies on it stay. Add a node, lower "
        "`copies`, or let it be: ternctl node drain %u --undo.",
        usable, usable == 1 ? " is" : "s are", p->d->map.copies, copies, node->info->id);
    end(p);
}

static void find_disk(struct problems *p, const struct map_node *node)
{
    if (!map_node_is_alive(node, p->now) || node->disk_total == 0 ||
        (!node->disk_low && node->disk_free >= node->disk_total / 100 * DISK_LOW_PERCENT))
        return;
    add_node(p, node->info->id);
    p->text.data[0] = 'N';
    if (node->disk_low) {
        buf_add_str(&p->text,
                    " has less of its disk free than `disk_reserve`: it takes no new mail, nor does any "
                    "partition of which too few members have room. It is given no copies, and gives copies "
                    "away while other nodes have room. Make room there, or add nodes.");
        end(p);
        return;
    }
    buf_addf(
        &p->text,
        " has %llu %% of its disk free. Make room there or add nodes: below `disk_reserve` it takes no new "
        "mail.",
        (unsigned long long)(node->disk_free / (node->disk_total / 100 + 1)));
    end(p);
}

/* ---- versions */

/* Is the node's program a reason why this partition lacks a copy? In the middle of an upgrade the nodes that
 * are not its turn yet are no problem: nothing is to be put there. */
static bool is_missed(const struct problems *p, const struct conf *conf, const struct map_node *node)
{
    bool wanted = conf->member_count < p->d->map.copies || conf_is_member(conf, node->info->id) ||
                  conf_is_learner(conf, node->info->id);
    return conf->epoch != 0 && wanted && !versions_may_hold(p->d, node->info, conf->partition);
}

/* It was put back to an older program, or is new and has one. */
static void find_old_program(struct problems *p, const struct map_node *node)
{
    uint32_t version = versions_machine(node->info), count = 0;
    for (uint32_t i = 0; i < p->d->map.partition_count; i++)
        count += is_missed(p, &p->d->map.confs[i], node);
    if (count == 0 || !map_node_is_alive(node, p->now))
        return;
    add_node(p, node->info->id);
    p->text.data[0] = 'N';
    buf_addf(
        &p->text,
        " speaks state-machine versions up to %u, and %u partition%s of version %u: it can hold no copy of "
        "such. Upgrade its program, or raise its machine_version_max.",
        version, count, count == 1 ? " is" : "s are up to", versions_highest(p->d));
    end(p);
}

/* The first of those that it shares no version with. */
static void find_stranger(struct problems *p, size_t index)
{
    const struct map_node *node = &p->d->map.nodes[index], *other = node;
    uint32_t min, max, other_min, other_max;
    for (size_t i = 0; i < index && other == node; i++) {
        if (map_node_is_alive(&p->d->map.nodes[i], p->now) &&
            !versions_meet(p->d->map.nodes[i].info, node->info))
            other = &p->d->map.nodes[i];
    }
    if (other == node || !map_node_is_alive(node, p->now))
        return;
    versions_peer(node->info, &min, &max);
    versions_peer(other->info, &other_min, &other_max);
    add_node(p, node->info->id);
    p->text.data[0] = 'N';
    buf_addf(&p->text, " speaks versions %u to %u of messages between storage nodes, and ", min, max);
    add_node(p, other->info->id);
    buf_addf(&p->text, " %u to %u: they refuse each other. Upgrade the older one, version by version.",
             other_min, other_max);
    end(p);
}

/* ---- copies */

static void find_copies(struct problems *p)
{
    const struct map *map = &p->d->map;
    uint32_t usable = count_usable(p);
    bool silent = false;
    for (size_t i = 0; i < map->node_count; i++)
        silent |= !map_node_is_alive(&map->nodes[i], p->now);
    if (usable < map->copies) {
        buf_addf(
            &p->text,
            "%u copies of each partition are wanted, but only %u node%s can hold one: what is missing is not "
            "made anew before there are more.",
            map->copies, usable, usable == 1 ? "" : "s");
        end(p);
    } else if (p->sum->few > 0 && !silent) {
        buf_addf(&p->text,
                 "%u partition%s fewer than %u copies in step; they are made anew (moves). If a node is lost "
                 "it is "
                 "named here within seconds.",
                 p->sum->few, p->sum->few == 1 ? " has" : "s have", map->copies);
        end(p);
    }
    if (p->d->drive.plan.waiting > 0 && usable >= map->copies) {
        buf_addf(&p->text, "%zu copies wait for a node that could take them. Add one.",
                 p->d->drive.plan.waiting);
        end(p);
    }
}

static void find_faults(struct problems *p)
{
    const struct heard *heard = &p->d->heard;
    for (size_t i = 0; i < heard->fault_count && i < FAULTS_SHOWN_MAX; i++) {
        const struct heard_fault *fault = &heard->faults[i];
        buf_addf(&p->text, "Partition %u on ", fault->partition);
        add_node(p, fault->node);
        buf_addf(&p->text, ": %s. See that node's log and disk.", fault->text);
        end(p);
    }
    if (heard->fault_count > FAULTS_SHOWN_MAX) {
        buf_addf(&p->text, "%zu more faults: ternctl cluster status --json lists them.",
                 heard->fault_count - FAULTS_SHOWN_MAX);
        end(p);
    }
}

static void find_leader(struct problems *p)
{
    if (coordination_is_led(p->d->coordination))
        return;
    buf_add_str(&p->text,
                "No director leads: mail flows, but nothing can be changed, nodes that fail are not "
                "stood in for, and no copies are made. It lasts for seconds when a director was lost; "
                "else start etcd.");
    end(p);
}

static void find_members(struct problems *p)
{
    if (members_problem(p->d, p->now, &p->text))
        end(p);
}

size_t problems_find(struct director *d, const struct summary *sum, uint64_t now_mono_ms,
                     char *out[static PROBLEMS_MAX])
{
    struct problems p = { .d = d, .sum = sum, .now = now_mono_ms, .out = out };
    if (!map_is_placed(&d->map)) {
        bool waits = create_problem(d, now_mono_ms, &p.text);
        buf_add_str(&p.text, waits ? ". Start them." : ".");
        end(&p);
        find_members(&p);
        buf_fini(&p.text);
        return p.count;
    }
    find_leader(&p); /* the cause of what else is not mended */
    find_members(&p);
    find_ahead(&p);
    find_unserved(&p);
    for (size_t i = 0; i < d->map.node_count; i++)
        find_silent(&p, &d->map.nodes[i]);
    for (size_t i = 0; i < d->map.node_count; i++) {
        find_old_program(&p, &d->map.nodes[i]);
        find_stranger(&p, i);
    }
    find_faults(&p);
    for (size_t i = 0; i < d->map.node_count; i++)
        find_disk(&p, &d->map.nodes[i]);
    for (size_t i = 0; i < d->map.node_count && status_is_settled(d, now_mono_ms); i++)
        find_stuck_drain(&p, &d->map.nodes[i]);
    if (status_is_settled(d, now_mono_ms))
        find_copies(&p);
    buf_fini(&p.text);
    return p.count;
}
