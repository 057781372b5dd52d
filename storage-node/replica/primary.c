/* SPDX-License-Identifier: Apache-2.0 */
/* The primary's term: start with a barrier (R10), go on over configurations (R9), commit (R13), hand over
 * (R22). */
#include "storage-node/replica/replica_priv.h"

bool rep_accepting(const struct replica *r)
{
    return r->started && r->active && r->handing == REP_HAND_NO && r->conf.member_count >= r->cfg.min_members;
}

void rep_primary_start(struct replica *r)
{
    uint64_t barrier = r->log.last + 1;
    r->started = true;
    r->active = false;
    r->term = r->ep;
    r->barrier = barrier;
    r->handing = REP_HAND_NO;
    rep_peer_table(r);
    rep_log_append(&r->log, r->ep, 0);
    struct replica_action *write =
        rep_write_log(r, 0, r->ep); /* barrier and dep = e in one batch (R3, R10) */
    write->write.first = barrier;
    write->write.epoch = r->ep;
    write->write.count = 1;
    write->write.barrier = true;
}

/* R9: started, active, log and leases stay; handing and joiner end; Acks must come again in the new epoch. */
void rep_primary_continue(struct replica *r, const struct replica_conf *conf)
{
    bool was_enough = r->conf.member_count >= r->cfg.min_members;
    r->ep = conf->epoch;
    r->conf = *conf;
    r->handing = REP_HAND_NO;
    r->match = 0;
    if (was_enough && conf->member_count < r->cfg.min_members && r->log.last > r->commit) {
        /* R13: what is in the log still commits, on fewer copies than were promised */
        struct replica_action *fail = rep_act(r, REPLICA_ACT_FAIL);
        fail->fail.after = r->commit;
        fail->fail.err = ERR_IN_DOUBT;
    }
    rep_write_log(r, 0, r->ep); /* dep := e' */
    rep_peer_table(r);
}

/* R1: the term ends. Readers are stopped before anything else happens. */
void rep_primary_drop(struct replica *r)
{
    if (!r->started)
        return;
    if (r->lease_until != 0) {
        r->lease_until = 0;
        rep_act(r, REPLICA_ACT_LEASE)->lease.until = 0;
    }
    if (r->log.last > r->commit) {
        struct replica_action *fail = rep_act(r, REPLICA_ACT_FAIL);
        fail->fail.after = r->commit;
        fail->fail.err = ERR_IN_DOUBT;
    }
    r->started = r->active = false;
    r->handing = REP_HAND_NO;
    rep_peer_clear(r);
}

static enum err propose_refusal(const struct replica *r, const struct replica_entry *entries, uint32_t count)
{
    if (!r->started)
        return ERR_NOT_PRIMARY;
    if (!rep_accepting(r)) /* R12, R13, R22 */
        return ERR_UNAVAILABLE;
    if (count == 0 || count > REPLICA_APPEND_COUNT_MAX)
        return ERR_INVALID;
    uint64_t bytes = rep_log_bytes(&r->log, r->commit + 1, r->log.last);
    for (uint32_t i = 0; i < count; i++)
        bytes += entries[i].size;
    bool full = r->log.last - r->commit + count > r->cfg.pending_count_max ||
                (bytes > r->cfg.pending_bytes_max && r->log.last > r->commit);
    return full ? ERR_BUSY : OK;
}

void rep_primary_propose(struct replica *r, struct replica_entry *entries, uint32_t count)
{
    enum err err = propose_refusal(r, entries, count);
    if (err != OK) {
        rep_act(r, REPLICA_ACT_REJECT)->reject.err = err;
        return;
    }
    uint64_t first = r->log.last + 1;
    for (uint32_t i = 0; i < count; i++) {
        entries[i].epoch = r->ep;
        rep_log_append(&r->log, r->ep, entries[i].size);
    }
    struct replica_action *write = rep_write_log(r, 0, r->ep);
    write->write.first = first;
    write->write.count = count;
    write->write.entries = entries;
}

void rep_primary_handover(struct replica *r, struct replica_node heir)
{
    const struct rep_peer *peer = rep_peer_find(r, heir);
    bool can = r->active && r->handing == REP_HAND_NO && rep_peer_joiner(r) == NULL && peer != NULL &&
               peer->kind == REP_PEER_MEMBER;
    if (!can) {
        rep_act(r, REPLICA_ACT_REJECT)->reject.err = r->started ? ERR_UNAVAILABLE : ERR_NOT_PRIMARY;
        return;
    }
    r->handing = REP_HAND_DRAIN;
    r->heir = heir;
    r->handing_at = r->now;
}

/* R22: first no proposals; when the heir has all and all is committed, no reads; only then the request.
 * Before the request was sent one may go back; after it only a learned configuration gives the seat back. */
static void settle_handing(struct replica *r)
{
    if (r->handing != REP_HAND_DRAIN)
        return;
    const struct rep_peer *heir = rep_peer_find(r, r->heir);
    if (r->commit == r->log.last && heir->ack == r->log.last) {
        r->handing = REP_HAND_ASKED;
        r->handing_at = r->now;
    } else if (r->now - r->handing_at >= r->cfg.lease_ns) {
        r->handing = REP_HAND_NO;
    } else {
        rep_tick_at(r, r->handing_at + r->cfg.lease_ns);
    }
}

/* The least of ack[] over the ack set: members, joiner, itself with what is on its disk (R11, R13). */
static uint64_t acked_by_all(const struct replica *r)
{
    uint64_t low = rep_write_dep_ok(r) ? r->durable : 0;
    if (REP_FAULT(r, r13) && r->active)
        return low;
    for (uint32_t i = 0; i < r->peer_count; i++)
        if (rep_peer_counts(r, &r->peers[i]) && r->peers[i].ack < low)
            low = r->peers[i].ack;
    return low;
}

/* R21: one at a time, only while active, late: when it has nearly all and brings a running lease along, so
 * that neither commits nor reads wait for it. From here on it is in both sets (R11); the request comes after.
 */
static void settle_joiner(struct replica *r)
{
    if (!r->active || r->handing != REP_HAND_NO || rep_peer_joiner(r) != NULL)
        return;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        struct rep_peer *peer = &r->peers[i];
        if (peer->kind != REP_PEER_LEARNER || REP_FAULT(r, r21))
            continue;
        rep_peer_near(r, peer);
        if (!peer->near || !peer->leased || rep_lease_silent(r, peer) || rep_slow_waits(r, peer->node))
            continue;
        peer->kind = REP_PEER_JOINER;
        peer->since = peer->moved = r->now;
        return;
    }
}

void rep_primary_settle(struct replica *r)
{
    if (!r->started)
        return;
    uint64_t acked = acked_by_all(r);
    if (!r->active && acked >= r->barrier && rep_lease_free(r)) /* R12 */
        r->active = true;
    if (r->active && acked > r->commit) /* R13: needs no lease */
        r->commit = acked;
    settle_handing(r);
    settle_joiner(r);
}
