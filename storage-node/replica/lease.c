/* SPDX-License-Identifier: Apache-2.0 */
/* Promises and leases (R11, R12, R14, R16..R18).
 *
 * A promise says: I shall not be active as primary until G has passed on my clock. It is kept as one time,
 * the newest promise to anybody, because R12 waits for the newest of all. A lease is the other side: the time
 * the primary SENT the newest beat that was answered; it lasts L, which is less than G by more than two
 * clocks can drift apart. */
#include "storage-node/replica/replica_priv.h"

void rep_lease_on_beat(struct replica *r, const struct replica_msg *msg)
{
    if (msg->epoch < r->ep && !REP_FAULT(r, r16)) { /* R16: not to a primary of the past; but let it know */
        rep_member_refuse(r, msg->peer, 0);
        return;
    }
    if (msg->epoch > r->seen)
        r->seen = msg->epoch;
    if (!rep_owned(r))
        return;
    if (msg->epoch >= r->ep)
        r->heard_at = r->now;
    r->granted_at = r->now; /* R16: the promise first, then the answer */
    rep_act_send(r, REPLICA_MSG_BEAT_ACK, msg->peer)->epoch = msg->epoch;
    if (msg->epoch != r->ep || r->started)
        return;
    rep_member_commit_to(r, msg->beat.commit);
    /* R8 lets nothing be applied that was not verified in this epoch, and a restart forgets what was. An idle
     * primary would have no reason to send anything: ask for it, as if an Append behind the log's end had
     * come (R5). */
    if (r->match == 0 && msg->beat.commit > r->commit && !r->inst.active)
        rep_member_refuse(r, msg->peer, r->log.last + 1);
}

/* R17: counts from when the beat was sent, only while primary; the newest wins. Beats of this unbroken term.
 */
void rep_lease_on_beat_ack(struct replica *r, const struct replica_msg *msg)
{
    struct rep_peer *peer = rep_peer_find(r, msg->peer);
    if (!r->started || peer == NULL || msg->epoch < r->term || msg->epoch > r->ep)
        return;
    if (msg->beat_ack.sent_at > r->now || (peer->leased && msg->beat_ack.sent_at <= peer->lease))
        return;
    peer->leased = true;
    peer->lease = REP_FAULT(r, r17) ? r->now : msg->beat_ack.sent_at;
}

/* Until when reads may be served: the earliest end of the lease set's leases (R11, R14). */
static uint64_t lease_end(const struct replica *r)
{
    uint64_t end = REPLICA_NEVER; /* a sole member's lease set is empty */
    if (!r->active || r->handing == REP_HAND_ASKED || r->halted || r->stopped)
        return 0;
    if (r->applied < r->barrier) /* what was committed before the term must be visible first */
        return 0;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        const struct rep_peer *peer = &r->peers[i];
        if (!rep_peer_counts(r, peer))
            continue;
        if (!peer->leased)
            return 0;
        if (peer->lease + r->cfg.lease_ns < end)
            end = peer->lease + r->cfg.lease_ns;
    }
    return end;
}

void rep_lease_settle(struct replica *r)
{
    uint64_t end = lease_end(r);
    if (end == r->lease_until)
        return;
    r->lease_until = end;
    rep_act(r, REPLICA_ACT_LEASE)->lease.until = end;
}

bool rep_lease_free(struct replica *r)
{
    /* A hand-over of this very epoch: the old primary had stopped (R12, R22). since == 1: no other node was
     * ever primary of this partition, so nobody can hold a lease on a promise made here. */
    if (r->conf.handover || r->conf.since == 1 || REP_FAULT(r, r12b))
        return true;
    if (r->now - r->granted_at >= r->cfg.grant_ns)
        return true;
    rep_tick_at(r, r->granted_at + r->cfg.grant_ns);
    return false;
}

uint64_t rep_lease_deadline(const struct replica *r, const struct rep_peer *peer)
{
    uint64_t from = peer->leased && peer->lease > peer->since ? peer->lease : peer->since;
    return from + r->cfg.lease_ns;
}

bool rep_lease_silent(const struct replica *r, const struct rep_peer *peer)
{
    return r->now >= rep_lease_deadline(r, peer);
}

bool replica_beat(const struct replica *r, struct replica_node node, uint64_t *epoch_out,
                  uint64_t *commit_out)
{
    const struct rep_peer *peer = r->started && rep_write_dep_ok(r) ? rep_peer_find(r, node) : NULL;
    if (peer == NULL)
        return false;
    /* A learner that is close also gets beats, so that it brings its lease along when it becomes joiner. */
    if (peer->kind == REP_PEER_LEARNER && !peer->near)
        return false;
    *epoch_out = r->ep;
    *commit_out = r->commit;
    return true;
}
