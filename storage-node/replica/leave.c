/* SPDX-License-Identifier: Apache-2.0 */
/* A copy that turned out to be damaged leaves (R28), and comes back as one that begins with nothing.
 *
 * It must not be wiped while anybody counts on it: what it acked stays counted in the epochs in which it
 * acked it, and a learner may be joiner in the primary's eyes while its Add is under way (R21). So it first
 * falls silent, as a member without a record does (R26), and is wiped when it has learned a configuration
 * that does not name it: conf(e) was made from conf(e - 1) by one compare, nothing it acked before counts in
 * e, and in epochs above e it has acked nothing. dep := e is in the batch that wipes, so no older map can
 * make it more than it is. */
#include "storage-node/replica/replica_priv.h"

static bool named(const struct replica *r)
{
    return rep_conf_is_member(&r->conf, r->cfg.self) || rep_conf_is_learner(&r->conf, r->cfg.self);
}

static bool is_last(const struct replica *r)
{
    return rep_conf_known(r) && r->conf.member_count == 1 && rep_conf_is_member(&r->conf, r->cfg.self);
}

/* Before the first commit the others may have no record of the partition: R26 would shut them out. */
static bool may_leave(const struct replica *r)
{
    return r->record && r->commit > 0 && !is_last(r) && !r->leaving && !r->dropped && !r->wiping &&
           !r->halted;
}

void rep_leave(struct replica *r)
{
    if (!may_leave(r)) {
        if (is_last(r))
            rep_act_report(r, REPLICA_LAST_COPY);
        rep_act(r, REPLICA_ACT_REJECT)->reject.err = ERR_CONFLICT;
        return;
    }
    rep_primary_drop(r);
    r->leaving = true;
    rep_act_report(r, REPLICA_LEAVING);
}

void rep_leave_start(struct replica *r, uint64_t dep)
{
    r->leaving = true;
    r->leaving_blind = dep == 0;
    rep_act_report(r, REPLICA_LEAVING);
}

void rep_leave_settle(struct replica *r)
{
    if (!r->leaving || r->wiping || r->halted || r->dropped || r->leaving_blind || !rep_conf_known(r))
        return;
    if (is_last(r))
        rep_act_report(r, REPLICA_LAST_COPY);
    if (named(r) && !REP_FAULT(r, r28))
        return;
    r->dep = r->ep; /* conf(ep) is known, so ep >= dep */
    rep_snap_wipe(r, true);
}
