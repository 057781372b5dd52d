/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes that are to be emptied, and nodes that go for ever. A removed node leaves a row of its own: its store
 * id is refused from then on. While the store is older than the disks (R27) nodes go by other rules
 * (give_up.c), and before this director knows whether it is (hearing.c) none goes.
 *
 * A node that goes must be in no configuration, also in none that another director makes at the same moment.
 * So its row is marked first. What takes a node in is conditional on the node's row (change_add_conf): what
 * was decided by a picture without the mark fails from then on, and by one with it nobody takes the node in.
 * The answer to the mark comes with all that was before it; if nothing is in the way then, nothing comes to
 * be, and the node goes if its row is still the one that was marked. A mark of which nothing came is taken
 * away. */
#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
    RETIRE_LEARNERS_MAX = COORDINATION_CHANGES_MAX - 2, /* let go together with a removal */
    RETIRE_NAMED_MAX = 8,                               /* partitions that an answer names */
    RETIRE_MARK_MS = 10 * 1000, /* after so long nobody is at the removal any more that a mark is for */
};

static void refuse(struct director *d, struct rpc_request *request, enum err status, const char *detail)
{
    answer(d, request, status, detail, NULL);
}

/* ---- drain */

static void on_drained(struct director *d, struct change *change, enum err result)
{
    Tern__NodeDrainResponse response = TERN__NODE_DRAIN_RESPONSE__INIT;
    struct rpc_request *request = change->request;
    change->request = NULL;
    const struct map_node *node = map_find_node(&d->map, change->number);
    if (result == OK && node != NULL)
        log_info("nodes", "node %u (%s) %s", change->number, node->info->name,
                 node->info->draining ? "is to be emptied" : "may hold copies again");
    answer(d, request, result == ERR_CONFLICT ? ERR_BUSY : result,
           result == ERR_CONFLICT ? "the node has changed at the same moment, ask again" : NULL,
           result == OK ? &response.base : NULL);
}

static void store_draining(struct director *d, struct rpc_request *request, const struct map_node *node,
                           bool drain)
{
    struct change *change = change_new(d, request, 1, on_drained);
    Tern__NodeInfo info = *node->info;
    info.draining = drain;
    info.seen_ms = 0;
    change->number = info.id;
    change_add_put(change, ROW_NODE, info.id, SLICE_NULL, node->mod, &info.base);
    change_submit(change);
}

void on_node_drain(struct director *d, struct rpc_request *request)
{
    Tern__NodeDrainRequest *asked =
        (Tern__NodeDrainRequest *)answer_unpack(d, request, &tern__node_drain_request__descriptor);
    if (asked == NULL)
        return;
    const struct map_node *node = map_find_node(&d->map, asked->node);
    Tern__NodeDrainResponse response = TERN__NODE_DRAIN_RESPONSE__INIT;
    if (node == NULL)
        refuse(d, request, ERR_NOT_FOUND, "no such node");
    else if (node->info->draining == (asked->drain != 0))
        answer(d, request, OK, NULL, &response.base);
    else
        store_draining(d, request, node, asked->drain);
    tern__node_drain_request__free_unpacked(asked, NULL);
}

/* ---- remove */

/* What still counts on a node. */
struct ties {
    uint32_t members, learners;
    uint32_t orphans;                 /* partitions of which it, and nobody who is alive, is a member */
    uint32_t named[RETIRE_NAMED_MAX]; /* the first of these */
};

static struct ties ties_of(const struct director *d, uint32_t node, uint64_t now)
{
    const struct map *map = &d->map;
    struct ties ties = { 0 };
    for (uint32_t p = 0; p < map->partition_count; p++) {
        const struct conf *conf = &map->confs[p];
        uint32_t first;
        bool member = conf_is_member(conf, node);
        ties.members += member;
        ties.learners += conf_is_learner(conf, node);
        if (!member || heard_is_ahead(&d->heard, conf) || map_living_members(map, conf, now, &first) > 0)
            continue;
        if (ties.orphans < RETIRE_NAMED_MAX)
            ties.named[ties.orphans] = p;
        ties.orphans++;
    }
    return ties;
}

static void explain_orphans(const struct ties *ties, uint32_t node, struct buf *out)
{
    buf_addf(out, "no other living node has the newest state of partition");
    for (uint32_t i = 0; i < ties->orphans && i < RETIRE_NAMED_MAX; i++)
        buf_addf(out, "%s %u", i > 0 ? "," : "", ties->named[i]);
    if (ties->orphans > RETIRE_NAMED_MAX)
        buf_addf(out, " and %u others", ties->orphans - RETIRE_NAMED_MAX);
    buf_addf(out, ": start a node that has it, or give up what only node %u had: ternctl partition recover",
             node);
}

static enum err still_hearing(struct buf *why)
{
    buf_add_str(
        why, "this director has just started and does not know yet who has what: ask again in some seconds");
    return ERR_BUSY;
}

/* The store was put back, and what it says of the node's copies is no more so. */
static enum err judge_above_old_store(const struct director *d, const struct map_node *node,
                                      const struct ties *ties, bool lost, uint64_t now, struct buf *why)
{
    if (map_node_is_alive(node, now)) {
        buf_add_str(why,
                    "the coordination store was put back from an older copy, and the node is alive: first "
                    "ternctl partition recover --all");
        return ERR_IN_USE;
    }
    if (!lost) {
        buf_add_str(why,
                    "the coordination store was put back from an older copy. If the node was removed since "
                    "then, or is dead for good: --lost");
        return ERR_DENIED;
    }
    if (!status_is_settled(d, now))
        return still_hearing(why);
    if (ties->orphans > 0) {
        explain_orphans(ties, node->info->id, why);
        return ERR_DENIED;
    }
    return give_up_judge(d, node->info->id, now, why);
}

/* Why the node cannot be removed now; OK if it can. `hearing`: nodes may still tell that the store was put
 * back, and then the node may have copies of which it says nothing (R27). */
static enum err judge(const struct map_node *node, const struct ties *ties, bool lost, bool hearing,
                      uint64_t now, struct buf *why)
{
    uint32_t copies = ties->members + ties->learners;
    bool alive = map_node_is_alive(node, now);
    if (lost && alive) {
        buf_add_str(why, "the node is alive: stop it, or drain it and remove it without --lost");
        return ERR_IN_USE;
    }
    if (!lost && (copies > 0 || !node->info->draining)) {
        if (copies > 0)
            buf_addf(why, "it still holds %u copies", copies);
        else /* of a node that died a moment ago nothing counts any more, but it may come back with all of it
              */
            buf_add_str(why, "it was not drained");
        buf_addf(why, ": drain it first%s",
                 alive && copies > 0 ? "" : ", or, if it is dead for good, remove it with --lost");
        return ERR_DENIED;
    }
    if (ties->orphans > 0) {
        explain_orphans(ties, node->info->id, why);
        return ERR_DENIED;
    }
    if (ties->members > 0) {
        buf_addf(why, "%u partitions are just being taken over by other nodes: ask again in some seconds",
                 ties->members);
        return ERR_BUSY;
    }
    if (hearing)
        return still_hearing(why);
    if (ties->learners > RETIRE_LEARNERS_MAX) {
        buf_addf(why, "%u copies are waited for: ask again in some seconds", ties->learners);
        return ERR_BUSY;
    }
    return OK;
}

static uint32_t count_missing(const struct map *map)
{
    uint32_t missing = 0;
    for (uint32_t p = 0; p < map->partition_count; p++)
        missing += map->copies > map->confs[p].member_count ? map->copies - map->confs[p].member_count : 0;
    return missing;
}

static void on_removed(struct director *d, struct change *change, enum err result)
{
    Tern__NodeRemoveResponse response = TERN__NODE_REMOVE_RESPONSE__INIT;
    struct rpc_request *request = change->request;
    change->request = NULL;
    if (result == OK) {
        response.listed = map_find_node(&d->map, change->number) != NULL;
        log_info("nodes", "node %u is %s", change->number, response.listed ? "given up" : "removed");
        response.copies = response.listed ? 0 : count_missing(&d->map);
    }
    answer(d, request, result == ERR_CONFLICT ? ERR_BUSY : result,
           result == ERR_CONFLICT ? "something has changed at the same moment, ask again" : NULL,
           result == OK ? &response.base : NULL);
}

static void drop_learner(struct director *d, struct change *change, uint32_t partition, uint32_t node)
{
    const struct conf *conf = &d->map.confs[partition];
    struct conf_request asked = { .change = TERN__CONF_CHANGE__CONF_DROP_LEARNER,
                                  .epoch = conf->epoch,
                                  .subject = node };
    struct conf next;
    if (!heard_is_ahead(&d->heard, conf) && conf_change(conf, &asked, false, &next) == OK)
        change_add_conf(change, &next);
}

/* `listed`: only its store id is refused. */
static void store_removal(struct director *d, struct rpc_request *request, const struct map_node *node,
                          bool listed)
{
    struct change *change = change_new(d, request, COORDINATION_CHANGES_MAX, on_removed);
    Tern__NodeInfo stone = TERN__NODE_INFO__INIT;
    uint32_t id = node->info->id;
    stone.id = id;
    stone.store_id = node->info->store_id;
    stone.name = node->info->name;
    change->number = id;
    if (!map_is_given_up(&d->map, node))
        change_add_put(change, ROW_REMOVED, id, SLICE_NULL, 0, &stone.base);
    if (listed)
        change_add_check(change, id);
    else
        change_add_delete(change, ROW_NODE, id, SLICE_NULL, node->mod);
    for (uint32_t p = 0; p < d->map.partition_count && !listed; p++) {
        if (conf_is_learner(&d->map.confs[p], id))
            drop_learner(d, change, p, id);
    }
    change_submit(change);
}

static void take_step(struct director *d, struct rpc_request *request, bool old_store, bool hearing);

static void on_marked(struct director *d, struct change *change, enum err result)
{
    struct rpc_request *request = change->request;
    change->request = NULL;
    if (result == OK)
        take_step(d, request, change->old_store, hearing_lasts(d, clock_mono_ms()));
    else if (result == ERR_CONFLICT)
        refuse(d, request, ERR_BUSY, "the node has changed at the same moment, ask again");
    else
        refuse(d, request, ERR_UNAVAILABLE, "the coordination store does not answer");
}

static void add_mark(struct change *change, const struct map_node *node, bool mark)
{
    Tern__NodeInfo info = *node->info;
    info.removing = mark;
    info.seen_ms = 0;
    change->number = info.id;
    change_add_put(change, ROW_NODE, info.id, SLICE_NULL, node->mod, &info.base);
}

/* By the picture, which includes what the last step did. The first step judges, too: what cannot be is
 * refused without a mark. */
static void take_step(struct director *d, struct rpc_request *request, bool old_store, bool hearing)
{
    uint64_t now = clock_mono_ms();
    Tern__NodeRemoveRequest *asked =
        (Tern__NodeRemoveRequest *)answer_unpack(d, request, &tern__node_remove_request__descriptor);
    if (asked == NULL)
        return;
    const struct map_node *node = map_find_node(&d->map, asked->node);
    struct buf why = { 0 };
    if (node == NULL) {
        refuse(d, request, ERR_NOT_FOUND, "no such node");
    } else {
        struct ties ties = ties_of(d, asked->node, now);
        enum err err = old_store ? judge_above_old_store(d, node, &ties, asked->lost, now, &why)
                                 : judge(node, &ties, asked->lost, hearing, now, &why);
        if (err != OK) {
            refuse(d, request, err, buf_cstr(&why));
        } else if (node->info->removing) {
            store_removal(d, request, node, old_store);
        } else {
            struct change *change = change_new(d, request, 1, on_marked);
            change->old_store = old_store;
            add_mark(change, node, true);
            change_submit(change);
        }
    }
    buf_fini(&why);
    tern__node_remove_request__free_unpacked(asked, NULL);
}

/* Is the store behind what nodes had told before it was looked at? What they tell in the meantime may be of
 * changes that came after the look. */
static bool store_is_old(const struct director *d, const struct change *looked)
{
    bool old = false;
    for (uint32_t p = 0; p < looked->told_count && p < d->map.partition_count && !old; p++)
        old = d->map.confs[p].epoch != 0 && looked->told[p] > d->map.confs[p].epoch;
    return old;
}

/* By the picture as it is behind the barrier: an older one may lack that the node has come back and is a
 * member again, and may be behind the nodes though the store is not. */
static void on_looked(struct director *d, struct change *looked, enum err result)
{
    struct rpc_request *request = looked->request;
    looked->request = NULL;
    if (result == OK)
        take_step(d, request, store_is_old(d, looked), looked->hearing || hearing_lasts(d, clock_mono_ms()));
    else
        refuse(d, request, ERR_UNAVAILABLE, "the coordination store does not answer");
}

void on_node_remove(struct director *d, struct rpc_request *request)
{
    struct change *look = change_new(d, request, 1, on_looked);
    look->hearing = hearing_lasts(d, clock_mono_ms()); /* what is told after the look shows nothing */
    look->told_count = d->heard.partition_count;
    look->told = NEW_ARRAY(uint64_t, look->told_count + 1);
    for (uint32_t p = 0; p < look->told_count; p++)
        look->told[p] = heard_epoch(&d->heard, p);
    change_submit(look);
}

/* ---- marks of which nothing came */

static void on_unmarked(struct director *d, struct change *change, enum err result)
{
    d->drive.changes--;
    if (result == OK)
        log_info("nodes", "node %u stays: it was to be removed, and was not", change->number);
}

void retire_unmark(struct director *d, uint64_t now_mono_ms)
{
    for (size_t i = 0; i < d->map.node_count; i++) {
        struct map_node *node = &d->map.nodes[i];
        if (!node->info->removing || map_is_given_up(&d->map, node)) {
            node->marked_ms = 0;
        } else if (node->marked_ms == 0) {
            node->marked_ms = now_mono_ms;
        } else if (now_mono_ms >= node->marked_ms + RETIRE_MARK_MS) {
            struct change *change = change_new(d, NULL, 1, on_unmarked);
            add_mark(change, node, false);
            d->drive.changes++;
            change_submit(change);
            return; /* the picture may have changed; the next one's turn comes */
        }
    }
}
