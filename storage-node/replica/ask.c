/* SPDX-License-Identifier: Apache-2.0 */
/* What to ask of the director, and when (R1, R4, R19..R22, R26). Nothing safe hangs on when: every request
 * names the epoch it was made in, and the director compares. One request at a time, repeated while it is
 * wanted. */
#include "storage-node/replica/replica_priv.h"

#define UNKNOWN_NS  (50 * REPLICA_MS) /* the map usually brings conf(ep) sooner than asking would */
#define SLOW_FACTOR 4                 /* questions that nobody waits for */

struct want {
    bool wanted, slow;
    enum replica_ask_type type;
    struct replica_node node;
};

static struct want want(enum replica_ask_type type, struct replica_node node)
{
    return (struct want){ .wanted = true, .type = type, .node = node };
}

static bool later(struct replica *r, uint64_t at)
{
    if (r->now >= at)
        return false;
    rep_tick_at(r, at);
    return true;
}

/* R21: to give a joiner up, only a higher conf will do: Promote(e) by the primary itself. */
static bool joiner_is_lost(struct replica *r, const struct rep_peer *joiner)
{
    if (!later(r, rep_lease_deadline(r, joiner)))
        return true;
    return joiner->ack < r->commit && !later(r, joiner->since + r->cfg.lag_ns);
}

/* It answers beats, but what must be on its disk before anybody is answered takes long. */
static bool lags(struct replica *r, struct rep_peer *member)
{
    uint64_t lag = rep_peer_lag_ns(r, member);
    return r->active && lag > 0 && !later(r, member->lag_at + r->cfg.lag_ns);
}

/* Do so many keep up that writes would be taken without the others? */
static bool enough_keep_up(struct replica *r)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        struct rep_peer *peer = &r->peers[i];
        count += peer->kind == REP_PEER_MEMBER && !rep_lease_silent(r, peer) && !lags(r, peer);
    }
    if (count < r->cfg.min_members)
        r->few_at = r->now;
    return count >= r->cfg.min_members;
}

/* When to ask for a silent member's eviction (R19). If too few are left without it, it is waited for a little
 * longer: who returns at once is of more use than who has to catch up first, and if it is this node that
 * nobody hears, another one is primary by then. When they return, they do not do so all at one moment. */
static uint64_t silence_ends(const struct replica *r, const struct rep_peer *member, bool enough)
{
    uint64_t at = rep_lease_deadline(r, member), last = at + r->cfg.lease_ns;
    uint64_t together = r->few_at == 0 ? 0 : r->few_at + r->cfg.lease_ns / 2;
    if (!enough || together > last)
        return last;
    return together > at ? together : at;
}

/* No answer for L; or answers to beats only. */
static bool member_is_lost(struct replica *r, struct rep_peer *member, bool enough)
{
    if (!later(r, silence_ends(r, member, enough)))
        return true;
    if (enough && lags(r, member))
        return true;
    return member->ack < r->log.last && !later(r, member->moved + r->cfg.stall_ns);
}

static struct want primary_wants(struct replica *r)
{
    struct replica_node self = r->cfg.self;
    const struct rep_peer *joiner = rep_peer_joiner(r);
    if (r->handing == REP_HAND_ASKED) { /* R22: only a learned conf gives the seat back */
        bool lost = !later(r, r->handing_at + r->cfg.grant_ns);
        return lost ? want(REPLICA_ASK_PROMOTE, self) : want(REPLICA_ASK_HANDOVER, r->heir);
    }
    if (joiner != NULL && joiner_is_lost(r, joiner))
        return want(REPLICA_ASK_PROMOTE, self);
    bool enough = enough_keep_up(r);
    for (uint32_t i = 0; i < r->peer_count; i++) {
        struct rep_peer *peer = &r->peers[i];
        if (peer->kind != REP_PEER_MEMBER || !member_is_lost(r, peer, enough))
            continue;
        peer->slow = !rep_lease_silent(r, peer);
        return want(REPLICA_ASK_EVICT, peer->node);
    }
    if (REP_FAULT(r, r21))
        for (uint32_t i = 0; i < r->peer_count && r->active; i++)
            if (r->peers[i].kind == REP_PEER_LEARNER)
                return want(REPLICA_ASK_ADD, r->peers[i].node);
    if (joiner != NULL && r->active && joiner->ack >= r->commit)
        return want(REPLICA_ASK_ADD, joiner->node);
    return (struct want){ 0 };
}

/* R28: only to be left out. A primary cannot be: the others take its seat when it is silent. */
static struct want leaving_wants(const struct replica *r)
{
    struct replica_node self = r->cfg.self;
    if (rep_is_self(r, r->conf.primary))
        return (struct want){ 0 };
    if (rep_conf_is_member(&r->conf, self))
        return want(REPLICA_ASK_EVICT, self);
    if (rep_conf_is_learner(&r->conf, self))
        return want(REPLICA_ASK_DROP_LEARNER, self);
    return (struct want){ 0 };
}

static struct want other_wants(struct replica *r)
{
    struct replica_node self = r->cfg.self;
    struct want none = { 0 };
    if (r->leaving)
        return leaving_wants(r);
    if (rep_is_self(r, r->conf.primary)) {
        if (!r->record && r->ep > 1)
            rep_act_report(r, REPLICA_NO_RECORD); /* R26; the other members will take over */
        if (r->record && r->ep <= r->floor)
            return want(REPLICA_ASK_PROMOTE, self); /* R4 */
        return none;
    }
    if (rep_conf_is_member(&r->conf, self)) {
        if (!r->record && r->ep > 1) {
            rep_act_report(r, REPLICA_NO_RECORD);
            return want(REPLICA_ASK_EVICT, self); /* R26 */
        }
        if (later(r, r->heard_at + r->cfg.grant_ns)) /* R19 */
            return none;
        return want(REPLICA_ASK_PROMOTE, self);
    }
    if (!r->record || rep_conf_is_learner(&r->conf, self))
        return none;
    struct want rejoin =
        want(REPLICA_ASK_ADD_LEARNER, self); /* whether it is wanted here is the director's */
    rejoin.slow = true;
    return rejoin;
}

static struct want wants(struct replica *r)
{
    struct want read = want(REPLICA_ASK_READ, r->cfg.self);
    if (r->halted) {
        read.slow = true;
        return read;
    }
    if (r->seen > r->ep || r->leaving_blind || r->doubted)
        return read;
    if (!rep_conf_known(r)) {
        if (r->ep == 0 || later(r, r->adopted_at + UNKNOWN_NS))
            return (struct want){ 0 };
        return read;
    }
    if (r->record &&
        !r->record_durable) /* or a crash now would leave a configuration of nodes without a record */
        return (struct want){ 0 };
    return r->started ? primary_wants(r) : other_wants(r);
}

void rep_ask_settle(struct replica *r)
{
    if (r->stopped || r->dropped || r->wiping)
        return;
    struct want w = wants(r);
    if (!w.wanted)
        return;
    bool other = w.type != r->ask.type || !replica_node_eq(w.node, r->ask.node);
    bool at_once = !r->ask.made || r->ask.epoch != r->ep || (other && r->ask.answered);
    if (!at_once && later(r, r->ask.at + r->cfg.ask_retry_ns * (w.slow ? SLOW_FACTOR : 1)))
        return;
    r->ask.made = true;
    r->ask.answered = false;
    r->ask.type = w.type;
    r->ask.node = w.node;
    r->ask.epoch = r->ep;
    r->ask.at = r->now;
    r->ask.dep = r->dep;
    r->ask.id++;
    rep_tick_at(r, r->now + r->cfg.ask_retry_ns * (w.slow ? SLOW_FACTOR : 1));
    struct replica_action *action = rep_act(r, REPLICA_ACT_ASK);
    action->ask.type = w.type;
    action->ask.node = w.node;
    action->ask.epoch = r->ep;
    action->ask.id = r->ask.id;
}
