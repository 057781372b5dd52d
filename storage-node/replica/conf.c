/* SPDX-License-Identifier: Apache-2.0 */
/* Epochs and configurations (R1, R4, R26, R27), and the start of the process. */
#include "storage-node/replica/replica_priv.h"

static bool named(const struct replica_node *nodes, uint8_t count, struct replica_node node)
{
    for (uint8_t i = 0; i < count; i++)
        if (replica_node_eq(nodes[i], node))
            return true;
    return false;
}

bool rep_conf_is_member(const struct replica_conf *conf, struct replica_node node)
{
    return named(conf->members, conf->member_count, node);
}

bool rep_conf_is_learner(const struct replica_conf *conf, struct replica_node node)
{
    return named(conf->learners, conf->learner_count, node);
}

bool rep_conf_known(const struct replica *r)
{
    return r->conf.epoch == r->ep && r->ep > 0;
}

/* R26: a node that conf calls member but that has no record of the partition must not ack, grant or ask to be
 * promoted; conf(1) is the creation, where nobody has a record. Without conf(ep) it cannot know. */
bool rep_owned(const struct replica *r)
{
    if (r->halted || r->stopped || r->dropped || r->wiping || r->leaving)
        return false;
    if (r->record || REP_FAULT(r, r26))
        return true;
    return rep_conf_known(r) && (r->ep == 1 || !rep_conf_is_member(&r->conf, r->cfg.self));
}

static bool start_is_sane(const struct replica_event *ev)
{
    if (ev->start.installing || !ev->start.record)
        return true;
    return ev->start.applied >= ev->start.base_index && ev->start.applied <= ev->start.last;
}

void rep_conf_start(struct replica *r, const struct replica_event *ev)
{
    r->record = r->record_durable = ev->start.record;
    r->dep = r->dep_durable = ev->start.dep;
    r->ep = ev->start.dep;
    r->floor = REP_FAULT(r, r4) ? 0 : ev->start.dep; /* R4 */
    r->adopted_at = r->now;
    r->granted_at = r->heard_at =
        r->now;                 /* all promises count as made now (R12, R16), silence from now (R19) */
    r->nonce = ev->start.nonce; /* a restart voids nonces (R24) */
    rep_log_reset(&r->log, 0, 0);
    if (ev->start.damaged) {
        rep_leave_start(r, ev->start.dep);
        return;
    }
    if (ev->start.installing) { /* R24: half a state; wipe, begin again */
        rep_snap_wipe(r, true);
        return;
    }
    if (!ev->start.record)
        return;
    rep_log_reset(&r->log, ev->start.base_index, ev->start.base_epoch);
    if (!start_is_sane(ev) || !rep_log_load(&r->log, ev->start.last, ev->start.runs, ev->start.run_count)) {
        rep_act_stop(r, REPLICA_BAD_START);
        return;
    }
    r->durable = r->log.last;
    r->applied = r->apply_sent = ev->start.applied;
    r->commit = ev->start.commit < r->log.last ? ev->start.commit : r->log.last; /* stored lazily */
    if (r->commit < r->applied)
        r->commit = r->applied;
}

/* R1: on a higher epoch everything that belonged to the old one goes. */
void rep_conf_adopt(struct replica *r, uint64_t epoch)
{
    rep_primary_drop(r);
    r->ep = epoch;
    r->match = 0;
    r->ack_sent = 0;
    r->ack_due = false;
    r->leader = (struct replica_node){ 0 };
    r->adopted_at = r->heard_at = r->now; /* the new primary gets G to be heard */
}

/* R10: become primary of ep. R4: only if conf(ep) says so and ep > floor. */
void rep_conf_consider(struct replica *r)
{
    if (r->started || !rep_conf_known(r) || !rep_is_self(r, r->conf.primary) || r->ep <= r->floor)
        return;
    if (!rep_owned(r) || r->inst.active)
        return;
    rep_primary_start(r);
}

static bool conf_is_sane(const struct replica_conf *c)
{
    return c->epoch > 0 && c->since > 0 && c->since <= c->epoch && c->recovered <= c->epoch &&
           c->member_count > 0 && c->member_count + c->learner_count <= REPLICA_NODES_MAX &&
           rep_conf_is_member(c, c->primary);
}

/* R27: what the store itself answered, to a question asked after dep was on this disk, is older than dep. */
static void restored_store(struct replica *r)
{
    rep_primary_drop(r);
    r->halted = true;
    rep_act_report(r, REPLICA_RESTORED_STORE);
}

void rep_conf_learn(struct replica *r, const struct replica_conf *conf, uint64_t ask_id)
{
    bool fresh = ask_id != 0 && r->ask.made && ask_id == r->ask.id;
    if (!conf_is_sane(conf)) {
        rep_act_report(r, REPLICA_BAD_CONF);
        return;
    }
    if (fresh) {
        r->ask.answered = true;
        r->doubted = conf->epoch < r->ask.dep && r->ep > r->ask.dep;
        if (conf->epoch < r->ask.dep) {
            /* A later epoch was learned since the question: perhaps the store goes on by now, and this is an
             * old answer. Ask once more. */
            if (!r->doubted)
                restored_store(r);
            return;
        }
        r->leaving_blind = false;
        if (r->seen > conf->epoch) /* nothing higher existed when it was read */
            r->seen = conf->epoch;
    }
    if (r->halted) {
        if (conf->epoch <= r->dep) /* the restored store must go on above every dep (R27) */
            return;
        r->halted = false;
        r->reported &= ~(UINT32_C(1) << REPLICA_RESTORED_STORE);
    }
    if (conf->epoch < r->ep || conf->epoch == r->conf.epoch)
        return; /* R1: lower ones are ignored, conf(e) never changes */
    if (conf->epoch > r->ep) {
        if (r->started && rep_is_self(r, conf->primary) && conf->since <= r->ep) { /* R9 */
            rep_primary_continue(r, conf);
            return;
        }
        uint64_t heard_at = r->heard_at;
        bool same_term = replica_node_eq(conf->primary, r->conf.primary) && conf->since == r->conf.since;
        rep_conf_adopt(r, conf->epoch);
        if (same_term) /* or changes of learners, one after the other, would hide a dead primary (R19) */
            r->heard_at = heard_at;
    }
    r->conf = *conf;
    if (r->ep == 1 && !r->record && rep_conf_is_member(conf, r->cfg.self) && !rep_is_self(r, conf->primary) &&
        rep_owned(r))
        rep_write_log(r, 0, r->dep); /* the creation: leave a record, so that conf(2) finds one (R26) */
    if (r->inst.active && !replica_node_eq(conf->primary, r->inst.from))
        rep_snap_abort(r); /* R24: a new primary */
    if (!rep_snap_void(r, conf->recovered))
        rep_conf_consider(r);
}
