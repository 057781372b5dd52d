/* SPDX-License-Identifier: Apache-2.0 */
/* What replicas ask of the director: R20-R23. Each request is one compare-and-swap of the partition's row;
 * whatever comes of it, the answer is the configuration as the store has it after the request arrived (R27
 * hangs on that). */
#include "director/director_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

static void answer_conf(struct director *d, struct rpc_request *request, uint32_t partition, enum err status,
                        const char *detail)
{
    Tern__PartitionConf conf;
    Tern__ConfChangeResponse response = TERN__CONF_CHANGE_RESPONSE__INIT;
    conf_to_proto(&d->map.confs[partition], &conf);
    response.conf = &conf;
    answer(d, request, status, detail, &response.base);
}

static void log_conf(const struct conf *conf, const struct conf_request *asked)
{
    static const char *const names[] = { "read",      "promote",     "evict",       "add",
                                         "hand over", "add learner", "drop learner" };
    log_debug("partitions",
              "partition %u: epoch %llu, primary %u, %u members, %u learners (%s asked by node %u for %u)",
              conf->partition, (unsigned long long)asked->epoch + 1, conf->primary, conf->member_count,
              conf->learner_count, names[asked->change], asked->asker, asked->subject);
}

static const char *why(enum err answer)
{
    if (answer == OK)
        return NULL;
    return answer == ERR_UNSUPPORTED ? "the partition's entries are of a higher state-machine version than "
                                       "the node speaks: upgrade it"
                                     : err_text(answer);
}

static void on_conf_decided(struct director *d, struct change *change, enum err result)
{
    struct rpc_request *request = change->request;
    change->request = NULL;
    if (change->number >= d->map.partition_count) /* the store is another one by now */
        result = ERR_UNAVAILABLE;
    if (result == OK && change->txn.count > 0) {
        log_conf(&d->map.confs[change->number], &change->asked);
        tell_add(&d->tell, change->number, &change->asked, clock_mono_ms());
    }
    if (result == OK)
        answer_conf(d, request, change->number, change->answer, why(change->answer));
    else if (result == ERR_CONFLICT)
        answer_conf(d, request, change->number, ERR_CONFLICT, "the configuration has changed");
    else /* nothing is known for sure: the replica asks again */
        answer(d, request, ERR_UNAVAILABLE, "the coordination store does not answer", NULL);
}

/* A node that comes back (or is just going): its copy is wanted unless there are enough without it, and all
 * of them on nodes that are here (ERR_LIMIT: it may be deleted), or will be once the learners have caught up
 * or the members are back (ERR_CONFLICT: it asks again). If these never come back, it may be the copy that a
 * person lets the partition go on from. */
static enum err judge_return(const struct director *d, const struct conf *conf, uint32_t asker)
{
    const struct map_node *node = map_find_node(&d->map, asker);
    uint32_t first;
    if (node == NULL || node->leaving)
        return ERR_CONFLICT;
    if (map_living_members(&d->map, conf, clock_mono_ms(), &first) >= d->map.copies)
        return ERR_LIMIT;
    return conf->member_count + conf->learner_count >= d->map.copies ? ERR_CONFLICT : OK;
}

/* R30: whoever is to hold it must be able to read it. */
static bool can_read(const struct director *d, uint32_t partition, const struct conf_request *asked)
{
    const struct map_node *node = map_find_node(&d->map, asked->subject);
    bool adds =
        asked->change == TERN__CONF_CHANGE__CONF_ADD || asked->change == TERN__CONF_CHANGE__CONF_ADD_LEARNER;
    return !adds || node == NULL || versions_may_hold(d, node->info, partition);
}

/* A refusal is answered behind a read barrier: by then the picture is at least as new as the request. */
static void ask_store(struct director *d, struct rpc_request *request, uint32_t partition,
                      const struct conf_request *asked)
{
    const struct conf *current = &d->map.confs[partition];
    struct change *change = change_new(d, request, 1 + CONF_NODES_MAX, on_conf_decided);
    struct conf next;
    change->number = partition;
    change->asked = *asked;
    /* a read finds nothing to change, like a request for what is so already */
    enum err judged = ERR_EXISTS;
    bool changes = asked->change != TERN__CONF_CHANGE__CONF_READ;
    if (changes && (heard_is_ahead(&d->heard, current) || hearing_lasts(d, clock_mono_ms())))
        judged =
            ERR_CONFLICT; /* it would use an epoch a second time (R27), or might: see recover.c, hearing.c */
    else if (changes)
        judged = conf_change(current, asked, map_find_joinable(&d->map, asked->subject) != NULL, &next);
    if (judged == OK && asked->change == TERN__CONF_CHANGE__CONF_ADD_LEARNER &&
        asked->asker == asked->subject)
        judged = judge_return(d, current, asked->asker);
    if (judged == OK && !can_read(d, partition, asked))
        judged = ERR_UNSUPPORTED;
    change->answer = judged == ERR_EXISTS ? OK : judged;
    if (judged == OK)
        change_add_conf(change, &next);
    change_submit(change);
}

void on_conf_change(struct director *d, struct rpc_request *request)
{
    Tern__ConfChangeRequest *asked =
        (Tern__ConfChangeRequest *)answer_unpack(d, request, &tern__conf_change_request__descriptor);
    if (asked == NULL)
        return;
    struct conf_request conf_request = { asked->change, asked->epoch, asked->asker, asked->subject };
    if (asked->change > TERN__CONF_CHANGE__CONF_DROP_LEARNER)
        answer(d, request, ERR_UNSUPPORTED, "unknown change", NULL);
    else if (asked->partition >= d->map.partition_count)
        answer(d, request, ERR_NOT_FOUND, "no such partition", NULL);
    else if (d->map.confs[asked->partition].epoch == 0)
        answer(d, request, ERR_UNAVAILABLE, "the partition is not placed yet", NULL);
    else if (asked->asker == 0) /* conf.h lets the director itself ask as 0; nobody else may */
        answer(d, request, ERR_DENIED, "no asker", NULL);
    else
        ask_store(d, request, asked->partition, &conf_request);
    tern__conf_change_request__free_unpacked(asked, NULL);
}
