/* SPDX-License-Identifier: Apache-2.0 */
/* The director as the rules R20..R23 say, on a history of configurations. */
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/replica/vcluster.h"

struct replica_conf *vc_conf(struct vc *vc)
{
    return &vc->confs[vc->epoch - 1];
}

void vc_make_conf(struct vc *vc, const struct replica_conf *next)
{
    if (vc->epoch == vc->conf_cap) {
        vc->conf_cap = vc->conf_cap == 0 ? 16 : vc->conf_cap * 2;
        vc->confs = xrealloc(vc->confs, vc->conf_cap * sizeof *vc->confs);
    }
    vc->confs[vc->epoch++] = *next;
    vc_conf(vc)->epoch = vc->epoch;
    char members[64] = "";
    for (int i = 0; i < next->member_count; i++)
        members[i] = (char)('0' + next->members[i].id);
    vc_trace(vc, "conf %zu: primary %u since %lu members %s learners %u%s", vc->epoch, next->primary.id,
             next->since, members, next->learner_count, next->handover ? " handover" : "");
}

bool vc_conf_has(const struct replica_node *nodes, uint8_t count, struct replica_node node)
{
    for (uint8_t i = 0; i < count; i++)
        if (replica_node_eq(nodes[i], node))
            return true;
    return false;
}

static void add(struct replica_node *nodes, uint8_t *count, struct replica_node node)
{
    if (!vc_conf_has(nodes, *count, node))
        nodes[(*count)++] = node;
}

static void take(struct replica_node *nodes, uint8_t *count, struct replica_node node)
{
    for (uint8_t i = 0; i < *count; i++) {
        if (replica_node_eq(nodes[i], node)) {
            nodes[i] = nodes[--*count];
            return;
        }
    }
}

static bool promote(struct replica_conf *c, struct replica_node x)
{
    if (!vc_conf_has(c->members, c->member_count, x))
        return false;
    if (!replica_node_eq(c->primary, x)) {
        take(c->members, &c->member_count, c->primary);
        c->since = c->epoch + 1;
    }
    c->primary = x;
    return true;
}

static bool evict(struct replica_conf *c, struct replica_node x)
{
    if (replica_node_eq(c->primary, x) || !vc_conf_has(c->members, c->member_count, x))
        return false;
    take(c->members, &c->member_count, x);
    return true;
}

static bool add_member(struct replica_conf *c, const struct vmsg *ask)
{
    if (!replica_node_eq(c->primary, ask->ask_by) || vc_conf_has(c->members, c->member_count, ask->ask_node))
        return false;
    take(c->learners, &c->learner_count, ask->ask_node);
    add(c->members, &c->member_count, ask->ask_node);
    return true;
}

static bool hand_over(struct replica_conf *c, const struct vmsg *ask)
{
    if (!replica_node_eq(c->primary, ask->ask_by) || !vc_conf_has(c->members, c->member_count, ask->ask_node))
        return false;
    c->primary = ask->ask_node;
    c->since = c->epoch + 1;
    c->handover = true;
    return true;
}

static bool add_learner(struct replica_conf *c, struct replica_node x)
{
    if (vc_conf_has(c->members, c->member_count, x) || vc_conf_has(c->learners, c->learner_count, x))
        return false;
    for (uint8_t i = 0; i < c->learner_count; i++) { /* the same node with a new disk takes its place */
        if (c->learners[i].id == x.id) {
            c->learners[i] = x;
            return true;
        }
    }
    add(c->learners, &c->learner_count, x);
    return true;
}

static bool drop_learner(struct replica_conf *c, struct replica_node x)
{
    if (!vc_conf_has(c->learners, c->learner_count, x))
        return false;
    take(c->learners, &c->learner_count, x);
    return true;
}

bool vc_decide(struct vc *vc, const struct vmsg *ask)
{
    struct replica_conf next = *vc_conf(vc);
    bool ok = false;
    if (ask->msg.epoch != vc->epoch)
        return false;
    next.handover = false; /* R22: only HandOver sets it */
    switch (ask->ask) {
    case REPLICA_ASK_READ:
        break;
    case REPLICA_ASK_PROMOTE:
        ok = promote(&next, ask->ask_node);
        break;
    case REPLICA_ASK_EVICT:
        ok = evict(&next, ask->ask_node);
        break;
    case REPLICA_ASK_ADD:
        ok = add_member(&next, ask);
        break;
    case REPLICA_ASK_HANDOVER:
        ok = hand_over(&next, ask);
        break;
    case REPLICA_ASK_ADD_LEARNER:
        ok = add_learner(&next, ask->ask_node);
        break;
    case REPLICA_ASK_DROP_LEARNER:
        ok = drop_learner(&next, ask->ask_node);
        break;
    }
    if (ok)
        vc_make_conf(vc, &next);
    return ok;
}
