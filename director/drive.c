/* SPDX-License-Identifier: Apache-2.0 */
/* Drives the copies to where they should be. Every second, and when the map has changed, the plan is made
 * anew from what is there (director/moves.h); the leading director makes its changes of learners and passes
 * its wishes to the primaries with the answers to their hellos. Nothing of a move is kept: what was begun is
 * in the configurations, and a step that comes twice or late fails on its epoch.
 *
 * What is kept, by every director for itself, are times: since when a partition has been short of copies, and
 * how long all has been well. A copy that is missing comes back by itself when its node does (it asks); only
 * after `repair_after`, or when no node is away that could come back, is another one made. Copies and
 * primaries move for evenness only when all has been well for a while. */
#include <stdlib.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
    DRIVE_INTERVAL_MS = 1000,
    DRIVE_SOON_MS = 20,     /* between plans when the map changes: a small copy takes a tenth of a second */
    DRIVE_SHARE = 20,       /* a plan that took t is followed by no other for so many t */
    DRIVE_RETURN_MS = 5000, /* a node that is here is given so long to ask for its copies */
    DRIVE_QUIET_MS = 10 * 1000 /* all has been well for so long: copies may move for evenness */
};

struct view {
    struct director *d;
    uint64_t now;
    struct moves_node *nodes;
    uint64_t *bytes;
    bool *ready, *due;
    bool away; /* a node that could come back is not here */
};

void drive_fini(struct drive *drive)
{
    moves_plan_fini(&drive->plan);
    free(drive->short_since);
    drive->short_since = NULL;
}

static bool is_gone(const struct view *v, const struct map_node *node)
{
    uint64_t heard = node->heard_mono_ms;
    if (map_is_given_up(&v->d->map, node))
        return true;
    if (heard < v->d->started_mono_ms)
        heard = v->d->started_mono_ms;
    return v->now >= heard + v->d->options.repair_after_ms && !map_node_is_alive(node, v->now);
}

/* Above its reserve, a quarter more must stay free: a node that was full is so until then (storage-node). */
static void see_disk(const struct map_node *node, struct moves_node *out)
{
    uint64_t floor = node->disk_reserve + node->disk_reserve / 4;
    if (node->disk_reserve == 0)
        return;
    out->room = node->disk_free > floor ? node->disk_free - floor : 1;
    out->lack = node->disk_low && node->disk_free < floor ? floor - node->disk_free : 0;
}

static bool see_nodes(struct view *v)
{
    const struct map *map = &v->d->map;
    uint32_t version = versions_highest(v->d);
    bool well = true;
    for (size_t i = 0; i < map->node_count; i++) {
        const struct map_node *node = &map->nodes[i];
        bool alive = map_node_is_alive(node, v->now) && !node->leaving;
        v->nodes[i] = (struct moves_node){ .id = node->info->id,
                                           .zone = map_zone_number(map, i),
                                           .alive = alive,
                                           .draining = node->info->draining || node->info->removing,
                                           .gone = is_gone(v, node) };
        see_disk(node, &v->nodes[i]);
        v->nodes[i].full = node->disk_low;
        if (versions_machine(node->info) < version)
            v->nodes[i].room = 1; /* nothing that others have fits, what is there stays */
        v->away |= !alive && !v->nodes[i].gone;
        /* what one that is gone said last of its seats is no news any more */
        well = well && (v->nodes[i].gone || (alive && node->not_active == 0));
    }
    return well && !v->away;
}

/* conf(1) may be changed only when its members have a record of it (R26): they have once its primary is
 * active, which the primary's node tells with its hello. */
static bool is_created(const struct view *v, uint32_t partition)
{
    const struct map *map = &v->d->map;
    const struct conf *conf = &map->confs[partition];
    const struct map_node *node = map_find_node(map, conf->primary);
    if (conf->epoch > 1 || heard_is_active(&v->d->heard, map, conf, v->now))
        return true;
    return node != NULL && map_node_is_alive(node, v->now) &&
           node->map_version >= map->conf_mods[partition] + map->base && node->not_active == 0;
}

static size_t usable(const struct view *v)
{
    size_t count = 0;
    for (size_t i = 0; i < v->d->map.node_count; i++)
        count += !v->nodes[i].draining && !v->nodes[i].gone;
    return count;
}

static bool see_partitions(struct view *v)
{
    struct director *d = v->d;
    struct drive *drive = &d->drive;
    size_t nodes = usable(v), wanted = d->map.copies < nodes ? d->map.copies : nodes;
    uint64_t patience = d->options.repair_after_ms;
    bool well = true;
    if (!v->away && patience > DRIVE_RETURN_MS)
        patience = DRIVE_RETURN_MS;
    for (uint32_t p = 0; p < d->map.partition_count; p++) {
        const struct conf *conf = &d->map.confs[p];
        v->bytes[p] = heard_bytes(&d->heard, p);
        v->ready[p] = is_created(v, p);
        /* Created with fewer than wanted: nobody will come back. */
        v->due[p] =
            drive->short_since[p] != 0 && (conf->epoch == 1 || v->now >= drive->short_since[p] + patience);
        well = well && conf->member_count >= wanted;
    }
    return well;
}

static void make_plan(struct director *d, uint64_t now)
{
    struct view v = { .d = d, .now = now };
    struct drive *drive = &d->drive;
    v.nodes = NEW_ARRAY(struct moves_node, d->map.node_count + 1);
    v.bytes = NEW_ARRAY(uint64_t, d->map.partition_count);
    v.ready = NEW_ARRAY(bool, d->map.partition_count);
    v.due = NEW_ARRAY(bool, d->map.partition_count);
    bool well = see_nodes(&v);
    well = see_partitions(&v) && well;
    if (!well || drive->unquiet_ms == 0)
        drive->unquiet_ms = now;
    struct moves_input input = { .nodes = v.nodes,
                                 .node_count = d->map.node_count,
                                 .confs = d->map.confs,
                                 .partition_count = d->map.partition_count,
                                 .bytes = v.bytes,
                                 .ready = v.ready,
                                 .due = v.due,
                                 .copies = d->map.copies,
                                 .moves_max = d->options.moves_max,
                                 .moves_per_node = d->options.moves_per_node,
                                 .quiet = now >= drive->unquiet_ms + DRIVE_QUIET_MS };
    moves_make(&input, &drive->plan);
    free(v.due);
    free(v.ready);
    free(v.bytes);
    free(v.nodes);
}

/* ---- what the director changes by itself */

static void on_changed(struct director *d, struct change *change, enum err result)
{
    d->drive.changes--;
    if (result == OK)
        tell_add(&d->tell, change->number, &change->asked, clock_mono_ms());
    else if (result != ERR_CONFLICT) /* tried again */
        log_warn("moves", "cannot change partition %u: %s", change->number, err_text(result));
}

static void submit(struct director *d, const struct moves_step *step)
{
    const struct conf *conf = &d->map.confs[step->partition];
    struct conf_request asked = { .change = step->kind == MOVES_ADD_LEARNER
                                                ? TERN__CONF_CHANGE__CONF_ADD_LEARNER
                                                : TERN__CONF_CHANGE__CONF_DROP_LEARNER,
                                  .epoch = step->epoch,
                                  .subject = step->node };
    struct conf next;
    const struct map_node *node = map_find_joinable(&d->map, asked.subject);
    bool may_join = node != NULL && versions_may_hold(d, node->info, step->partition);
    if (heard_is_ahead(&d->heard, conf) || conf_change(conf, &asked, may_join, &next) != OK)
        return;
    struct change *change = change_new(d, NULL, change_conf_parts(&next), on_changed);
    change->number = step->partition;
    change->asked = asked;
    change_add_conf(change, &next);
    d->drive.changes++;
    change_submit(change);
}

static bool is_ours(const struct moves_step *step)
{
    return step->kind == MOVES_ADD_LEARNER || step->kind == MOVES_DROP_LEARNER;
}

/* Of each picture, whether or not a plan is made of it: a partition that had all its copies in between is not
 * short since it was the time before. Anew: who could come back has not been heard yet, so patience begins
 * only when all have been. */
static void note_shortage(struct director *d, uint64_t now, bool anew)
{
    struct drive *drive = &d->drive;
    if (drive->short_since == NULL)
        drive->short_since = NEW_ARRAY(uint64_t, d->map.partition_count);
    for (uint32_t p = 0; p < d->map.partition_count; p++) {
        if (d->map.confs[p].member_count >= d->map.copies)
            drive->short_since[p] = 0;
        else if (drive->short_since[p] == 0 || anew)
            drive->short_since[p] = now;
    }
    drive->noted_version = d->map.version;
}

void drive_copies(struct director *d, uint64_t now_mono_ms)
{
    struct drive *drive = &d->drive;
    bool changed = drive->made_version != d->map.version, hearing = hearing_lasts(d, now_mono_ms);
    if (!map_is_placed(&d->map))
        return;
    if (hearing || drive->short_since == NULL || drive->noted_version != d->map.version)
        note_shortage(d, now_mono_ms, hearing);
    if (hearing || drive->changes > 0 || now_mono_ms < drive->next_ms ||
        (!changed && now_mono_ms < drive->made_ms + DRIVE_INTERVAL_MS))
        return;
    drive->made_ms = now_mono_ms;
    drive->made_version = d->map.version;
    make_plan(d, now_mono_ms);
    drive->next_ms = now_mono_ms + DRIVE_SOON_MS + (clock_mono_ms() - now_mono_ms) * DRIVE_SHARE;
    for (size_t i = 0; i < drive->plan.step_count && coordination_leads(d->coordination); i++) {
        if (is_ours(&drive->plan.steps[i]))
            submit(d, &drive->plan.steps[i]);
    }
    if (coordination_leads(d->coordination)) {
        give_up_finish(d);
        retire_unmark(d, now_mono_ms);
    }
}

uint64_t drive_wait_ms(const struct director *d, uint64_t now_mono_ms)
{
    const struct drive *drive = &d->drive;
    bool changed = drive->made_version != d->map.version;
    if (!changed || drive->changes > 0 || hearing_lasts(d, now_mono_ms) || !map_is_placed(&d->map))
        return UINT64_MAX;
    return drive->next_ms > now_mono_ms ? drive->next_ms - now_mono_ms : 0;
}

/* ---- what it wishes of others */

size_t drive_wishes(const struct director *d, uint32_t node, Tern__Wish *out, size_t max)
{
    const struct moves_plan *plan = &d->drive.plan;
    size_t count = 0;
    if (!coordination_leads(d->coordination))
        return 0;
    for (size_t i = 0; i < plan->step_count && count < max; i++) {
        const struct moves_step *step = &plan->steps[i];
        if (is_ours(step) || step->primary != node || d->map.confs[step->partition].epoch != step->epoch)
            continue;
        Tern__Wish *wish = &out[count++];
        tern__wish__init(wish);
        wish->kind =
            step->kind == MOVES_HANDOVER ? TERN__WISH_KIND__WISH_HANDOVER : TERN__WISH_KIND__WISH_EVICT;
        wish->partition = step->partition;
        wish->epoch = step->epoch;
        wish->node = step->node;
    }
    return count;
}
