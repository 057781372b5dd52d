/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatch: one event changes what is known, then settle() draws every conclusion in one fixed order. */
#include <stddef.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/replica/replica_priv.h"

static void set_default(uint64_t *value, uint64_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

static void set_default32(uint32_t *value, uint32_t fallback)
{
    if (*value == 0)
        *value = fallback;
}

struct replica *replica_new(const struct replica_cfg *cfg)
{
    struct replica *r = NEW(struct replica);
    r->cfg = *cfg;
    set_default(&r->cfg.lease_ns, REPLICA_LEASE_NS);
    set_default(&r->cfg.grant_ns, REPLICA_GRANT_NS);
    set_default(&r->cfg.retry_ns, 200 * REPLICA_MS);
    set_default(&r->cfg.ask_retry_ns, 500 * REPLICA_MS);
    set_default(&r->cfg.stall_ns, 10000 * REPLICA_MS);
    set_default(&r->cfg.lag_ns, 3000 * REPLICA_MS);
    set_default(&r->cfg.rejoin_ns, 20000 * REPLICA_MS);
    set_default(&r->cfg.rejoin_max_ns, 120000 * REPLICA_MS);
    set_default(&r->cfg.rejoin_forget_ns, 600000 * REPLICA_MS);
    set_default(&r->cfg.near_ns, 200 * REPLICA_MS);
    set_default32(&r->cfg.append_count_max, REPLICA_APPEND_COUNT_MAX);
    set_default32(&r->cfg.append_bytes_max, REPLICA_APPEND_BYTES_MAX);
    set_default32(&r->cfg.inflight_bytes_max, 8u << 20);
    set_default32(&r->cfg.pending_count_max, REPLICA_PENDING_COUNT_MAX);
    set_default32(&r->cfg.pending_bytes_max, REPLICA_PENDING_BYTES_MAX);
    set_default32(&r->cfg.near_count, 64);
    set_default32(&r->cfg.near_bytes, 256u << 10);
    set_default32(&r->cfg.catchup_count_max, 65536);
    rep_log_reset(&r->log, 0, 0);
    return r;
}

void replica_free(struct replica **rp)
{
    struct replica *r = *rp;
    if (r == NULL)
        return;
    rep_log_fini(&r->log);
    free(r->writes);
    free(r->peers);
    rep_slow_fini(r);
    free(r);
    *rp = NULL;
}

static enum replica_role role_of(const struct replica *r)
{
    if (r->started)
        return REPLICA_PRIMARY;
    if (!rep_conf_known(r))
        return REPLICA_IDLE;
    if (rep_conf_is_member(&r->conf, r->cfg.self))
        return REPLICA_MEMBER;
    return rep_conf_is_learner(&r->conf, r->cfg.self) ? REPLICA_LEARNER : REPLICA_IDLE;
}

static void tell_state(struct replica *r)
{
    enum replica_role role = role_of(r);
    bool accepting = rep_accepting(r);
    if (role == r->told_role && r->active == r->told_active && accepting == r->told_accepting)
        return;
    r->told_role = role;
    r->told_active = r->active;
    r->told_accepting = accepting;
    rep_act(r, REPLICA_ACT_STATE);
}

/* The order is the argument: leases are shortened before anything is sent or asked; what is committed is
 * applied after the messages are on their way, because the others wait for those. */
static void settle(struct replica *r)
{
    rep_primary_settle(r);
    rep_lease_settle(r);
    tell_state(r);
    rep_peer_pump(r);
    rep_snap_settle(r);
    rep_leave_settle(r);
    if (r->commit > r->apply_sent && !r->leaving) {
        r->apply_sent = r->commit;
        rep_act(r, REPLICA_ACT_APPLY)->apply.index = r->commit;
    }
    rep_ask_settle(r);
}

static void on_applied(struct replica *r, uint64_t index)
{
    if (index > r->applied && index <= r->apply_sent)
        r->applied = index;
}

static void on_drop(struct replica *r)
{
    if (r->dropped || r->wiping || !rep_conf_known(r) || rep_conf_is_member(&r->conf, r->cfg.self) ||
        rep_conf_is_learner(&r->conf, r->cfg.self)) {
        rep_act(r, REPLICA_ACT_REJECT)->reject.err = ERR_CONFLICT;
        return;
    }
    r->dropped = true;
    rep_act_report(r, REPLICA_DROPPED);
    rep_snap_wipe(r, false);
}

static void on_msg(struct replica *r, const struct replica_msg *msg)
{
    if (rep_is_self(r, msg->peer) || msg->peer.id == 0)
        return;
    switch (msg->type) {
    case REPLICA_MSG_APPEND:
        rep_member_on_append(r, msg);
        break;
    case REPLICA_MSG_ACK:
        rep_peer_on_ack(r, msg);
        break;
    case REPLICA_MSG_REFUSE:
        rep_peer_on_refuse(r, msg);
        break;
    case REPLICA_MSG_BEAT:
        rep_lease_on_beat(r, msg);
        break;
    case REPLICA_MSG_BEAT_ACK:
        rep_lease_on_beat_ack(r, msg);
        break;
    case REPLICA_MSG_CHUNK:
        rep_snap_on_chunk(r, msg);
        break;
    case REPLICA_MSG_CHUNK_ACK:
        rep_snap_on_chunk_ack(r, msg);
        break;
    case REPLICA_MSG_CHECK:
        break;
    }
}

static void dispatch(struct replica *r, const struct replica_event *event)
{
    switch (event->type) {
    case REPLICA_EV_START:
        rep_conf_start(r, event);
        break;
    case REPLICA_EV_CONF:
        rep_conf_learn(r, event->conf.conf, event->conf.ask_id);
        break;
    case REPLICA_EV_PROPOSE:
        rep_primary_propose(r, event->propose.entries, event->propose.count);
        break;
    case REPLICA_EV_DURABLE:
        rep_write_durable(r, event->durable.token);
        rep_member_ack(r);
        break;
    case REPLICA_EV_APPLIED:
        on_applied(r, event->applied.index);
        break;
    case REPLICA_EV_MSG:
        on_msg(r, &event->msg);
        break;
    case REPLICA_EV_TICK:
        break;
    case REPLICA_EV_TRIM:
        rep_peer_trim(r, event->trim.index);
        break;
    case REPLICA_EV_HANDOVER:
        rep_primary_handover(r, event->handover.heir);
        break;
    case REPLICA_EV_LEAVE:
        rep_leave(r);
        break;
    case REPLICA_EV_DROP:
        on_drop(r);
        break;
    }
}

void replica_warm(const struct replica *r)
{
    enum { LINE = 64, CONF_HEAD = offsetof(struct replica_conf, members) + 3 * sizeof(struct replica_node) };
    const char *bytes = (const char *)r;
    for (size_t at = 0; at < offsetof(struct replica, conf) + CONF_HEAD; at += LINE)
        __builtin_prefetch(bytes + at);
}

void replica_step(struct replica *r, const struct replica_event *event, struct replica_actions *out)
{
    out->count = 0;
    r->out = out;
    r->tick = REPLICA_NEVER;
    if (event->now > r->now)
        r->now = event->now;
    if (!r->stopped)
        dispatch(r, event);
    else if (event->type == REPLICA_EV_PROPOSE)
        rep_act(r, REPLICA_ACT_REJECT)->reject.err = ERR_NOT_PRIMARY;
    if (!r->stopped)
        settle(r);
    out->next_tick = r->tick;
    r->out = NULL;
}

void replica_info(const struct replica *r, struct replica_info *out)
{
    *out = (struct replica_info){
        .role = role_of(r),
        .active = r->active,
        .accepting = rep_accepting(r),
        .handing = r->handing != REP_HAND_NO,
        .halted = r->halted || r->dropped || r->stopped,
        .leaving = r->leaving,
        .epoch = r->ep,
        .dep = r->dep,
        .dep_durable = r->dep_durable,
        .primary = r->conf.epoch == r->ep || r->leader.id == 0 ? r->conf.primary : r->leader,
        .base = r->log.base,
        .last = r->log.last,
        .commit = r->commit,
        .applied = r->applied,
        .durable = r->durable,
        .lease_until = r->lease_until,
        .member_count = r->conf.member_count,
        .learner_count = r->conf.learner_count,
    };
}

uint32_t replica_peer_count(const struct replica *r)
{
    return r->started ? r->peer_count : 0;
}

void replica_peer(const struct replica *r, uint32_t i, struct replica_peer_info *out)
{
    const struct rep_peer *peer = &r->peers[i];
    bool learner = peer->kind != REP_PEER_MEMBER;
    uint64_t has =
        learner || peer->ack > r->commit ? peer->ack : r->commit; /* members have what is committed */
    *out = (struct replica_peer_info){ .node = peer->node,
                                       .learner = learner,
                                       .copying = peer->mode == REP_PEER_SNAPSHOT,
                                       .behind = r->log.last > has ? r->log.last - has : 0 };
}

bool replica_heir(const struct replica *r, uint32_t seed, struct replica_node *out)
{
    for (int level = 0; level < 2; level++) {
        for (uint32_t i = 0; r->active && i < r->peer_count; i++) {
            const struct rep_peer *peer = &r->peers[(i + seed) % r->peer_count];
            if (peer->kind != REP_PEER_MEMBER || rep_lease_silent(r, peer) ||
                (level == 0 && peer->ack < r->log.last))
                continue;
            *out = peer->node;
            return true;
        }
    }
    return false;
}

void replica_set_min_members(struct replica *r, uint8_t min_members)
{
    r->cfg.min_members = min_members;
}

uint64_t replica_durable(const struct replica *r)
{
    return r->durable;
}

const struct replica_conf *replica_conf(const struct replica *r)
{
    return &r->conf;
}

uint64_t replica_epoch_at(const struct replica *r, uint64_t index)
{
    return rep_log_epoch(&r->log, index);
}
