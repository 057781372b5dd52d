/* SPDX-License-Identifier: Apache-2.0 */
/* Two ways for a partition to go on that only a person chooses. Its last members are gone for good: from an
 * older copy, and whoever has another must give that up before it is counted again (R29): the two went
 * different ways. The coordination store was put back from an older copy than the nodes' disks (R27): from
 * the copy that has all that was committed, above every epoch that a node knows. */
#include <stdlib.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static void on_recovered(struct director *d, struct change *change, enum err result)
{
    Tern__PartitionRecoverResponse response = TERN__PARTITION_RECOVER_RESPONSE__INIT;
    Tern__PartitionConf conf;
    struct rpc_request *request = change->request;
    change->request = NULL;
    if (result == OK && change->number >= d->map.partition_count) /* the store is another one by now */
        result = ERR_UNAVAILABLE;
    if (result == OK) {
        conf_to_proto(&d->map.confs[change->number], &conf);
        response.conf = &conf;
        log_warn("partitions", "partition %u goes on from node %u's copy, epoch %llu%s", change->number,
                 conf.primary, (unsigned long long)conf.epoch,
                 conf.recovered == conf.epoch ? ": what only others had is lost" : ", with nothing lost");
    }
    answer(d, request, result == ERR_CONFLICT ? ERR_BUSY : result,
           result == ERR_CONFLICT ? "the partition has changed at the same moment, look again" : NULL,
           result == OK ? &response.base : NULL);
}

static void store_conf(struct director *d, struct rpc_request *request, const struct conf *next)
{
    struct change *change = change_new(d, request, change_conf_parts(next), on_recovered);
    change->number = next->partition;
    change_add_conf(change, next);
    change_submit(change);
}

/* ---- a store that was put back (R27) */

static void add_node(struct buf *why, const struct map_node *node)
{
    buf_addf(why, "node %u", node->info->id);
    if (node->info->name[0] != '\0')
        buf_addf(why, " (%s)", node->info->name);
}

/* Every node of the map is here and has told of all that it has, and can be counted on, or is given up. */
static enum err judge_heard(const struct director *d, const struct conf *conf, uint64_t now, struct buf *why)
{
    size_t count;
    const struct heard_spare *copies = heard_spares(&d->heard, conf->partition, &count);
    for (size_t i = 0; i < d->map.node_count; i++) {
        const struct map_node *node = &d->map.nodes[i];
        bool alive = map_node_is_alive(node, now);
        if ((alive && node->whole) || map_is_given_up(&d->map, node))
            continue;
        add_node(why, node);
        if (alive)
            buf_add_str(why, " has not told yet of all the copies that it has: ask again in a few seconds");
        else
            buf_addf(why,
                     " is not here, and may have the newest copy: start it. If it was removed after the copy "
                     "of the "
                     "store was made, or is lost for good: ternctl node remove %u --lost, which is refused "
                     "if mail "
                     "could be on it alone",
                     node->info->id);
        return ERR_DENIED;
    }
    for (size_t i = 0; i < count; i++) {
        const struct map_node *node = map_find_node(&d->map, copies[i].node);
        if (node == NULL || !copies[i].broken || map_is_given_up(&d->map, node))
            continue;
        buf_add_str(why, "what ");
        add_node(why, node);
        buf_add_str(why, " has of it cannot be counted on, see its log; without that copy: --accept-loss");
        return ERR_DENIED;
    }
    return OK;
}

/* Those who have a copy or whom the store's configuration names, and who were not given up: all are here. */
static size_t list_learners(const struct director *d, const struct conf *conf, uint32_t primary,
                            uint32_t *out)
{
    size_t copies_count, count = 0;
    const struct heard_spare *copies = heard_spares(&d->heard, conf->partition, &copies_count);
    for (size_t i = 0; i < d->map.node_count; i++) {
        uint32_t id = d->map.nodes[i].info->id;
        bool has = conf_is_member(conf, id) || conf_is_learner(conf, id);
        for (size_t k = 0; k < copies_count; k++)
            has = has || copies[k].node == id;
        if (has && id != primary && map_find_joinable(&d->map, id) != NULL)
            out[count++] = id;
    }
    return count;
}

/* Nothing is lost, so nobody need say that he accepts it. */
static enum err go_on(struct director *d, uint32_t partition, struct conf *next, struct buf *why)
{
    const struct conf *conf = &d->map.confs[partition];
    uint64_t now = clock_mono_ms();
    if (!heard_is_ahead(&d->heard, conf)) {
        buf_add_str(why, "no node knows more of it than the coordination store: there is nothing to "
                         "recover without a loss");
        return ERR_INVALID;
    }
    if (!status_is_settled(d, now)) {
        buf_add_str(why, "this director has just started and does not know yet who has what: ask again "
                         "in a few seconds");
        return ERR_DENIED;
    }
    enum err err = judge_heard(d, conf, now, why);
    if (err != OK)
        return err;
    const struct heard_spare *newest = heard_newest(&d->heard, &d->map, partition, now);
    if (newest == NULL) {
        buf_add_str(why, "no node has a copy of it");
        return ERR_DENIED;
    }
    uint32_t *learners = NEW_ARRAY(uint32_t, d->map.node_count + 1);
    size_t learner_count = list_learners(d, conf, newest->node, learners);
    *next = conf_go_on(conf, newest->node, heard_epoch(&d->heard, partition), learners, learner_count);
    free(learners);
    return OK;
}

/* ---- all newer copies are lost (R29) */

static bool has_copy(const struct heard *heard, uint32_t node, uint32_t partition)
{
    size_t count;
    const struct heard_spare *copies = heard_spares(heard, partition, &count);
    for (size_t i = 0; i < count; i++) {
        if (copies[i].node == node && !copies[i].broken)
            return true;
    }
    return false;
}

/* Another node than `chosen` that is here and serves it, by a configuration which the store has forgotten:
 * what it has would be lost. NULL: none. */
static const struct map_node *serving_beyond(const struct director *d, const struct conf *conf,
                                             uint32_t chosen, uint64_t now)
{
    size_t count;
    const struct heard_spare *copies = heard_spares(&d->heard, conf->partition, &count);
    for (size_t i = 0; i < count; i++) {
        const struct map_node *node = map_find_node(&d->map, copies[i].node);
        if (copies[i].active && copies[i].known > conf->epoch && copies[i].node != chosen && node != NULL &&
            map_node_is_alive(node, now))
            return node;
    }
    return NULL;
}

/* The store was put back: what it calls members says little, what the nodes that are here tell says all. */
static enum err judge_ahead(const struct director *d, uint64_t now, struct buf *why)
{
    for (size_t i = 0; i < d->map.node_count; i++) {
        const struct map_node *node = &d->map.nodes[i];
        if (!map_node_is_alive(node, now) || node->whole)
            continue;
        add_node(why, node);
        buf_add_str(why, " has not told yet of all the copies that it has: ask again in a few seconds");
        return ERR_DENIED;
    }
    return OK;
}

static enum err judge(struct director *d, const Tern__PartitionRecoverRequest *asked, struct buf *why)
{
    const struct conf *conf = &d->map.confs[asked->partition];
    uint64_t now = clock_mono_ms();
    uint32_t living;
    const struct map_node *node = map_find_node(&d->map, asked->node);
    bool ahead = heard_is_ahead(&d->heard, conf);
    if (!ahead && map_living_members(&d->map, conf, now, &living) > 0) {
        buf_addf(why, "node %u has the newest state and is alive: the partition comes back by itself",
                 living);
        return ERR_DENIED;
    }
    const struct map_node *serving = ahead ? serving_beyond(d, conf, asked->node, now) : NULL;
    if (serving != NULL) {
        add_node(why, serving);
        buf_add_str(why, " serves it, in an epoch above the coordination store's: go on from that one");
        return ERR_DENIED;
    }
    if (!status_is_settled(d, now)) {
        buf_add_str(why, "this director has just started and does not know yet who is alive: ask again");
        return ERR_BUSY;
    }
    if (node == NULL) {
        buf_addf(why, "there is no node %u", asked->node);
        return ERR_NOT_FOUND;
    }
    if (!map_node_is_alive(node, now) || !has_copy(&d->heard, asked->node, asked->partition)) {
        buf_addf(why, "node %u %s", asked->node,
                 map_node_is_alive(node, now) ? "has no whole copy of the partition" : "does not answer");
        return ERR_DENIED;
    }
    return ahead ? judge_ahead(d, now, why) : OK;
}

static enum err find_next(struct director *d, const Tern__PartitionRecoverRequest *asked, struct conf *next,
                          struct buf *why)
{
    enum err err = asked->accept_loss ? judge(d, asked, why) : go_on(d, asked->partition, next, why);
    if (err == OK && asked->accept_loss)
        *next = conf_recover(&d->map.confs[asked->partition], asked->node,
                             heard_epoch(&d->heard, asked->partition));
    if (err == OK && map_find_joinable(&d->map, next->primary) == NULL) {
        buf_addf(why, "node %u is just being removed: ask again in some seconds", next->primary);
        err = ERR_BUSY;
    }
    return err;
}

void on_partition_recover(struct director *d, struct rpc_request *request)
{
    Tern__PartitionRecoverRequest *asked = (Tern__PartitionRecoverRequest *)answer_unpack(
        d, request, &tern__partition_recover_request__descriptor);
    struct buf why = { 0 };
    if (asked == NULL)
        return;
    if (asked->partition >= d->map.partition_count || d->map.confs[asked->partition].epoch == 0) {
        answer(d, request, ERR_NOT_FOUND, "no such partition", NULL);
    } else {
        struct conf next;
        enum err err = find_next(d, asked, &next, &why);
        if (err == OK)
            store_conf(d, request, &next);
        else
            answer(d, request, err, buf_cstr(&why), NULL);
    }
    buf_fini(&why);
    tern__partition_recover_request__free_unpacked(asked, NULL);
}
