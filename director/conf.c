/* SPDX-License-Identifier: Apache-2.0 */
#include "director/conf.h"

#include <assert.h>
#include <string.h>

static bool contains(const uint32_t *nodes, size_t count, uint32_t node)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == node)
            return true;
    }
    return false;
}

static void remove_node(uint32_t *nodes, uint8_t *count, uint32_t node)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < *count; i++) {
        if (nodes[i] != node)
            nodes[kept++] = nodes[i];
    }
    memset(nodes + kept, 0, (size_t)(*count - kept) * sizeof *nodes);
    *count = kept;
}

bool conf_is_member(const struct conf *conf, uint32_t node)
{
    return contains(conf->members, conf->member_count, node);
}

bool conf_is_learner(const struct conf *conf, uint32_t node)
{
    return contains(conf->learners, conf->learner_count, node);
}

bool conf_admits(const struct conf *conf, const struct conf *next, uint32_t node)
{
    if (conf_is_member(conf, node))
        return next->handover && next->primary == node && conf->primary != node;
    return conf_is_member(next, node) || (conf_is_learner(next, node) && !conf_is_learner(conf, node));
}

struct conf conf_create(uint32_t partition, uint32_t primary, const uint32_t *members, size_t count)
{
    struct conf conf = {
        .partition = partition, .epoch = 1, .primary = primary, .since = 1, .member_count = (uint8_t)count
    };
    assert(count >= 1 && count <= CONF_NODES_MAX);
    memcpy(conf.members, members, count * sizeof *members);
    assert(conf_is_valid(&conf));
    return conf;
}

/* R20. The old primary leaves the members unless it is the asker: a restarted primary promotes itself, and
 * since it is the same primary its term goes on counting from where it began (R9 hangs on `since`, R4 on the
 * epoch). */
static enum err promote(const struct conf_request *request, struct conf *next)
{
    if (!conf_is_member(next, request->asker))
        return ERR_DENIED;
    if (next->primary == request->asker)
        return OK;
    remove_node(next->members, &next->member_count, next->primary);
    next->primary = request->asker;
    next->since = next->epoch;
    return OK;
}

/* R20, second half; R23: the last member cannot go, being the primary. By the primary, or by a member that
 * gives up its own copy (R26, R28). */
static enum err evict(const struct conf_request *request, struct conf *next)
{
    if (request->asker != next->primary && request->asker != request->subject)
        return ERR_DENIED;
    if (request->subject == next->primary || !conf_is_member(next, request->subject))
        return ERR_INVALID;
    remove_node(next->members, &next->member_count, request->subject);
    return OK;
}

/* R21: the director cannot see whether the asker is active and the joiner caught up; the primary asks only
 * then. */
static enum err add(const struct conf_request *request, bool may_join, struct conf *next)
{
    if (request->asker != next->primary)
        return ERR_DENIED;
    if (conf_is_member(next, request->subject))
        return ERR_EXISTS;
    if (!conf_is_learner(next, request->subject) || !may_join)
        return ERR_INVALID;
    remove_node(next->learners, &next->learner_count, request->subject);
    next->members[next->member_count++] = request->subject;
    return OK;
}

/* R22: the old primary stays a member. */
static enum err hand_over(const struct conf_request *request, bool may_join, struct conf *next)
{
    if (request->asker != next->primary)
        return ERR_DENIED;
    if (request->subject == next->primary)
        return ERR_EXISTS;
    if (!conf_is_member(next, request->subject) || !may_join)
        return ERR_INVALID;
    next->primary = request->subject;
    next->since = next->epoch;
    next->handover = true;
    return OK;
}

/* R23: learners count for nothing, so anybody who is concerned may ask. */
static bool may_change_learners(const struct conf_request *request, const struct conf *conf)
{
    return request->asker == 0 || request->asker == request->subject || request->asker == conf->primary;
}

static enum err add_learner(const struct conf_request *request, bool may_join, struct conf *next)
{
    if (!may_change_learners(request, next))
        return ERR_DENIED;
    if (conf_is_member(next, request->subject) || conf_is_learner(next, request->subject))
        return ERR_EXISTS;
    if (!may_join || request->subject == 0)
        return ERR_INVALID;
    if (next->member_count + next->learner_count >= CONF_NODES_MAX)
        return ERR_LIMIT;
    next->learners[next->learner_count++] = request->subject;
    return OK;
}

static enum err drop_learner(const struct conf_request *request, struct conf *next)
{
    if (!may_change_learners(request, next))
        return ERR_DENIED;
    if (!conf_is_learner(next, request->subject))
        return conf_is_member(next, request->subject) ? ERR_INVALID : ERR_EXISTS;
    remove_node(next->learners, &next->learner_count, request->subject);
    return OK;
}

static enum err change(const struct conf_request *request, bool may_join, struct conf *next)
{
    switch (request->change) {
    case TERN__CONF_CHANGE__CONF_PROMOTE:
        return promote(request, next);
    case TERN__CONF_CHANGE__CONF_EVICT:
        return evict(request, next);
    case TERN__CONF_CHANGE__CONF_ADD:
        return add(request, may_join, next);
    case TERN__CONF_CHANGE__CONF_HANDOVER:
        return hand_over(request, may_join, next);
    case TERN__CONF_CHANGE__CONF_ADD_LEARNER:
        return add_learner(request, may_join, next);
    case TERN__CONF_CHANGE__CONF_DROP_LEARNER:
        return drop_learner(request, next);
    default:
        return ERR_INVALID;
    }
}

enum err conf_change(const struct conf *current, const struct conf_request *request, bool may_join,
                     struct conf *next)
{
    if (current->epoch == 0 || request->epoch != current->epoch)
        return ERR_CONFLICT;
    struct conf made = *current;
    made.epoch++;
    made.handover = false; /* of this epoch alone (R12b) */
    TRY(change(request, may_join, &made));
    assert(conf_is_valid(&made));
    *next = made;
    return OK;
}

struct conf conf_go_on(const struct conf *current, uint32_t node, uint64_t known, const uint32_t *learners,
                       size_t count)
{
    uint64_t epoch = (known > current->epoch ? known : current->epoch) + 1;
    struct conf conf = { .partition = current->partition,
                         .epoch = epoch,
                         .primary = node,
                         .since = epoch,
                         .recovered = current->recovered,
                         .member_count = 1,
                         .members = { node } };
    for (size_t i = 0; i < count && conf.learner_count + 1 < CONF_NODES_MAX; i++)
        conf.learners[conf.learner_count++] = learners[i];
    assert(conf_is_valid(&conf));
    return conf;
}

struct conf conf_recover(const struct conf *current, uint32_t node, uint64_t known)
{
    uint64_t epoch = (known > current->epoch ? known : current->epoch) + CONF_RECOVER_STEP;
    struct conf conf = { .partition = current->partition,
                         .epoch = epoch,
                         .primary = node,
                         .since = epoch,
                         .recovered = epoch,
                         .member_count = 1,
                         .members = { node } };
    assert(conf_is_valid(&conf));
    return conf;
}

static bool all_distinct(const uint32_t *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == 0 || contains(nodes, i, nodes[i]))
            return false;
    }
    return true;
}

bool conf_is_valid(const struct conf *conf)
{
    if (conf->epoch == 0 || conf->since == 0 || conf->since > conf->epoch || conf->recovered > conf->epoch ||
        conf->member_count == 0 || conf->member_count + conf->learner_count > CONF_NODES_MAX)
        return false;
    if (!all_distinct(conf->members, conf->member_count) ||
        !all_distinct(conf->learners, conf->learner_count))
        return false;
    for (size_t i = 0; i < conf->learner_count; i++) {
        if (conf_is_member(conf, conf->learners[i]))
            return false;
    }
    return conf_is_member(conf, conf->primary);
}

void conf_to_proto(const struct conf *conf, Tern__PartitionConf *out)
{
    tern__partition_conf__init(out);
    out->partition = conf->partition;
    out->epoch = conf->epoch;
    out->primary = conf->primary;
    out->since = conf->since;
    out->recovered = conf->recovered;
    out->n_members = conf->member_count;
    out->members = (uint32_t *)conf->members; /* protobuf-c knows no const; it only reads when packing */
    out->n_learners = conf->learner_count;
    out->learners = (uint32_t *)conf->learners;
    out->handover = conf->handover;
}

enum err conf_from_proto(const Tern__PartitionConf *proto, struct conf *out)
{
    if (proto->n_members > CONF_NODES_MAX || proto->n_learners > CONF_NODES_MAX)
        return ERR_CORRUPT;
    struct conf conf = { .partition = proto->partition,
                         .epoch = proto->epoch,
                         .primary = proto->primary,
                         .since = proto->since,
                         .recovered = proto->recovered,
                         .member_count = (uint8_t)proto->n_members,
                         .learner_count = (uint8_t)proto->n_learners,
                         .handover = proto->handover };
    for (size_t i = 0; i < proto->n_members; i++)
        conf.members[i] = proto->members[i];
    for (size_t i = 0; i < proto->n_learners; i++)
        conf.learners[i] = proto->learners[i];
    if (!conf_is_valid(&conf))
        return ERR_CORRUPT;
    *out = conf;
    return OK;
}
