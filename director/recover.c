/* SPDX-License-Identifier: Apache-2.0 */
/* A partition whose last members are gone for good goes on from an older copy, if somebody says so; so does
 * one whose members know more than a coordination store that was put back from a copy (R27). Whoever has
 * another copy of it must give that up before it is counted again (R29): the two may have gone different
 * ways. */
#include "director/director_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static void on_recovered(struct director *d, struct change *change, enum err result)
{
    Tern__PartitionRecoverResponse response = TERN__PARTITION_RECOVER_RESPONSE__INIT;
    Tern__PartitionConf conf;
    struct rpc_request *request = change->request;
    change->request = NULL;
    if (result == OK) {
        conf_to_proto(&d->map.confs[change->number], &conf);
        response.conf = &conf;
        log_warn("partitions",
                 "partition %u goes on from node %u's copy, epoch %llu: what only others had is lost",
                 change->number, conf.primary, (unsigned long long)conf.epoch);
    }
    answer(d, request, result == ERR_CONFLICT ? ERR_BUSY : result,
           result == ERR_CONFLICT ? "the partition has changed at the same moment, look again" : NULL,
           result == OK ? &response.base : NULL);
}

/* NULL: it has told of none. */
static const struct heard_spare *find_spare(const struct heard *heard, uint32_t node, uint32_t partition)
{
    size_t count;
    const struct heard_spare *spares = heard_spares(heard, partition, &count);
    for (size_t i = 0; i < count; i++) {
        if (spares[i].node == node)
            return &spares[i];
    }
    return NULL;
}

/* The newest epoch that a copy knows and the store does not; 0: none. */
static uint64_t newest_ahead(const struct heard *heard, uint32_t partition)
{
    size_t count;
    const struct heard_spare *spares = heard_spares(heard, partition, &count);
    uint64_t newest = 0;
    for (size_t i = 0; i < count; i++)
        newest = spares[i].ahead > newest ? spares[i].ahead : newest;
    return newest;
}

/* A member that is here and goes along with the store: it will serve, or says why not. 0: none. */
static uint32_t sound_member(const struct director *d, const struct conf *conf, uint64_t now)
{
    for (size_t i = 0; i < conf->member_count; i++) {
        const struct map_node *node = map_find_node(&d->map, conf->members[i]);
        const struct heard_spare *spare = find_spare(&d->heard, conf->members[i], conf->partition);
        if (node != NULL && map_node_is_alive(node, now) && (spare == NULL || spare->ahead == 0))
            return conf->members[i];
    }
    return 0;
}

/* A node that serves it by a configuration which the store has forgotten: what it has would be lost. 0: none.
 */
static uint32_t serving_beyond(const struct director *d, const struct conf *conf, uint64_t now)
{
    const struct heard_figures *f = heard_find(&d->heard, conf->partition);
    bool serves = f != NULL && f->active && f->epoch > conf->epoch && now < f->heard_mono_ms + HEARD_FRESH_MS;
    return serves ? f->teller : 0;
}

static enum err judge(struct director *d, const Tern__PartitionRecoverRequest *asked, struct buf *why)
{
    const struct conf *conf = &d->map.confs[asked->partition];
    uint64_t now = clock_mono_ms();
    uint32_t sound = sound_member(d, conf, now), serving = serving_beyond(d, conf, now);
    const struct map_node *node = map_find_node(&d->map, asked->node);
    if (sound != 0) {
        buf_addf(why, "node %u has the newest state and is alive: the partition comes back by itself", sound);
        return ERR_DENIED;
    }
    if (serving != 0) {
        buf_addf(why,
                 "node %u serves it, in an epoch above the coordination store's: restart that node first",
                 serving);
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
    if (!map_node_is_alive(node, now) || find_spare(&d->heard, asked->node, asked->partition) == NULL) {
        buf_addf(why, "node %u %s", asked->node,
                 map_node_is_alive(node, now) ? "has no whole copy of the partition" : "does not answer");
        return ERR_DENIED;
    }
    if (!asked->accept_loss) {
        buf_add_str(why, "mail that only the lost nodes had would be lost: say that you accept it");
        return ERR_DENIED;
    }
    return OK;
}

static void store_recovery(struct director *d, struct rpc_request *request, uint32_t partition, uint32_t node)
{
    struct change *change = change_new(d, request, 1, on_recovered);
    struct conf next = conf_recover(&d->map.confs[partition], node, newest_ahead(&d->heard, partition));
    Tern__PartitionConf proto;
    change->number = partition;
    conf_to_proto(&next, &proto);
    change_add_put(change, ROW_PARTITION, partition, SLICE_NULL, d->map.conf_mods[partition], &proto.base);
    change_submit(change);
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
        enum err err = judge(d, asked, &why);
        if (err == OK)
            store_recovery(d, request, asked->partition, asked->node);
        else
            answer(d, request, err, buf_cstr(&why), NULL);
    }
    buf_fini(&why);
    tern__partition_recover_request__free_unpacked(asked, NULL);
}
