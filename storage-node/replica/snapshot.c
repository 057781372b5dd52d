/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the state (R24), both sides, and the deletion of a copy, which uses the same mark.
 *
 * The primary sends one chunk at a time and repeats it until it is answered. The receiver takes chunk 0 only
 * with a nonce of its own newest Refuse. An aborted copy is wiped before anything else is taken. */
#include "storage-node/replica/replica_priv.h"

#define STALL_RETRIES \
    15 /* of cfg.retry_ns without a chunk, new or repeated: the copy is given up by the receiver */

/* ---- the primary's side ------------------------------------------------------------------------------- */

void rep_snap_send_again(struct replica *r, struct rep_peer *peer)
{
    struct replica_action *action = rep_act(r, REPLICA_ACT_SNAP_SEND);
    action->snap_send.to = peer->node;
    action->snap_send.epoch = r->ep;
    action->snap_send.term = r->term;
    action->snap_send.nonce = peer->snap_nonce;
    action->snap_send.seq = peer->snap_seq;
    peer->retry_at = r->now + peer->retry_ns;
}

void rep_snap_send_begin(struct replica *r, struct rep_peer *peer, uint64_t nonce)
{
    rep_snap_send_end(r, peer);
    peer->mode = REP_PEER_SNAPSHOT;
    peer->snap_nonce = nonce;
    peer->snap_seq = 0;
    peer->snap_keep = r->applied; /* the driver's snapshot is not older */
    rep_snap_send_again(r, peer);
}

void rep_snap_send_end(struct replica *r, struct rep_peer *peer)
{
    if (peer->mode != REP_PEER_SNAPSHOT)
        return;
    peer->mode = REP_PEER_PROBE;
    peer->waiting = false;
    rep_act(r, REPLICA_ACT_SNAP_END)->snap_end.to = peer->node;
}

void rep_snap_on_chunk_ack(struct replica *r, const struct replica_msg *msg)
{
    struct rep_peer *peer = rep_peer_find(r, msg->peer);
    if (!r->started || peer == NULL || peer->mode != REP_PEER_SNAPSHOT || msg->chunk_ack.term != r->term ||
        msg->chunk_ack.nonce != peer->snap_nonce || msg->chunk_ack.seq != peer->snap_seq)
        return;
    peer->snap_seq++;
    peer->retry_ns = r->cfg.retry_ns;
    rep_snap_send_again(r, peer);
}

/* ---- the learner's side ------------------------------------------------------------------------------- */

/* Forget log and state; what was on its way to the disk no longer counts. */
static void forget(struct replica *r)
{
    rep_log_reset(&r->log, 0, 0);
    rep_write_clamp(r, 0);
    r->commit = r->applied = r->apply_sent = 0;
    r->match = r->ack_sent = 0;
    r->ack_due = false;
    r->done_term = 0;
}

void rep_snap_wipe(struct replica *r, bool keep_record)
{
    forget(r);
    r->inst.active = false;
    r->wiping = true;
    rep_write_push(r, REP_WRITE_WIPE, ++r->token);
    struct replica_action *action = rep_act(r, REPLICA_ACT_WIPE);
    action->wipe.token = r->token;
    action->wipe.dep = r->dep;
    action->wipe.keep_record = keep_record;
}

void rep_snap_wiped(struct replica *r)
{
    r->durable = 0;
    r->wiping = r->leaving = false;
    r->reported &= ~(UINT32_C(1) << REPLICA_LEAVING);
    r->record = r->record_durable = !r->dropped;
    r->nonce++;
    rep_conf_consider(r);
}

void rep_snap_abort(struct replica *r)
{
    rep_snap_wipe(r, true);
}

bool rep_snap_void(struct replica *r, uint64_t recovered)
{
    bool counted = rep_conf_known(r) && rep_conf_is_member(&r->conf, r->cfg.self);
    if (recovered <= r->dep || counted || !r->record || r->wiping || r->dropped || r->leaving)
        return r->wiping;
    if (r->log.last == 0 && r->commit == 0 && !r->inst.active)
        return false;
    rep_act_report(r, REPLICA_VOID_COPY);
    rep_snap_wipe(r, true);
    return true;
}

/* R24: only with the nonce of an own Refuse of this process, only as a learner, only forward. */
static bool may_begin(const struct replica *r, const struct replica_msg *msg)
{
    if (msg->chunk.seq != 0)
        return false;
    if (REP_FAULT(r, r24))
        return true;
    if (!r->nonce_told || msg->chunk.nonce != r->nonce || msg->chunk.index <= r->commit)
        return false;
    return !(rep_conf_known(r) && rep_conf_is_member(&r->conf, r->cfg.self));
}

static void begin(struct replica *r, const struct replica_msg *msg)
{
    forget(r);
    r->inst.active = true;
    r->inst.term = msg->chunk.term;
    r->inst.nonce = msg->chunk.nonce;
    r->inst.index = msg->chunk.index;
    r->inst.index_epoch = msg->chunk.index_epoch;
    r->inst.next_seq = 0;
    r->inst.last = false;
    r->nonce++;
    r->nonce_told = false;
}

static void take_chunk(struct replica *r, const struct replica_msg *msg)
{
    r->inst.from = msg->peer;
    r->inst.epoch = msg->epoch;
    r->inst.at = r->now;
    r->inst.next_seq++;
    r->inst.last = msg->chunk.last;
    if (r->dep < r->ep)
        r->dep = r->ep;
    r->record = true;
    rep_write_push(r, msg->chunk.last ? REP_WRITE_LAST_CHUNK : REP_WRITE_CHUNK, ++r->token);
    struct replica_action *action = rep_act(r, REPLICA_ACT_SNAP_WRITE);
    action->snap_write.token = r->token;
    action->snap_write.dep = r->dep;
    action->snap_write.first = msg->chunk.seq == 0;
    action->snap_write.last = msg->chunk.last;
    action->snap_write.index = msg->chunk.index;
    action->snap_write.index_epoch = msg->chunk.index_epoch;
    action->snap_write.handle = msg->chunk.handle;
}

static void ack_chunk(struct replica *r)
{
    struct replica_msg *msg = rep_act_send(r, REPLICA_MSG_CHUNK_ACK, r->inst.from);
    msg->chunk_ack.term = r->inst.term;
    msg->chunk_ack.nonce = r->inst.nonce;
    msg->chunk_ack.seq = r->inst.next_seq - 1;
}

static void on_chunk_installing(struct replica *r, const struct replica_msg *msg)
{
    if (msg->chunk.term != r->inst.term || msg->chunk.nonce != r->inst.nonce ||
        msg->chunk.index != r->inst.index || msg->chunk.index_epoch != r->inst.index_epoch || r->inst.last)
        return;
    if (msg->chunk.seq == r->inst.next_seq) {
        take_chunk(r, msg);
        return;
    }
    if (msg->chunk.seq + 1 != r->inst.next_seq)
        return;
    r->inst.at = r->now; /* whoever repeats it is there, and may have to read the next one slowly */
    if (r->write_count == 0)
        ack_chunk(r); /* the answer was lost */
}

/* The state at inst.index is committed, so it is equal to the log of every primary since. */
static void ack_installed(struct replica *r, struct replica_node to)
{
    r->leader = to;
    if (r->match < r->inst.index)
        r->match = r->inst.index;
    if (r->dep < r->ep)
        rep_write_log(r, 0, r->ep); /* R3: ep may have grown since the last chunk */
    r->ack_due = true;
    rep_member_ack(r);
}

/* A chunk of the very snapshot that was completed, not of a later one that a late Refuse called for. */
static bool is_done(const struct replica *r, const struct replica_msg *msg)
{
    return r->done_term != 0 && msg->chunk.term == r->done_term && msg->chunk.nonce == r->done_nonce &&
           msg->chunk.index == r->inst.index;
}

void rep_snap_on_chunk(struct replica *r, const struct replica_msg *msg)
{
    if (msg->epoch < r->ep) { /* R2 */
        rep_member_refuse(r, msg->peer, 0);
        return;
    }
    if (r->halted || r->dropped || r->wiping || r->leaving || (r->started && msg->epoch == r->ep) ||
        r->write_count >= REP_WRITES_MAX)
        return;
    if (msg->epoch > r->ep)
        rep_conf_adopt(r, msg->epoch);
    r->heard_at = r->now;
    if (r->inst.active) {
        on_chunk_installing(r, msg);
    } else if (is_done(r, msg)) {
        ack_installed(r, msg->peer); /* the Ack that ended it was lost, or was of an older epoch */
    } else if (may_begin(r, msg)) {
        begin(r, msg);
        take_chunk(r, msg);
    } else {
        rep_member_refuse(r, msg->peer, 0);
    }
}

/* The whole state is there and on disk: log base, applied and commit index are its index. */
static void installed(struct replica *r)
{
    r->inst.active = false;
    r->done_term = r->inst.term;
    r->done_nonce = r->inst.nonce;
    rep_log_reset(&r->log, r->inst.index, r->inst.index_epoch);
    r->commit = r->applied = r->apply_sent = r->durable = r->inst.index;
    ack_installed(r, r->inst.from);
}

void rep_snap_written(struct replica *r, enum rep_write_kind kind)
{
    if (!r->inst.active)
        return;
    if (kind == REP_WRITE_LAST_CHUNK)
        installed(r);
    else
        ack_chunk(r);
}

void rep_snap_settle(struct replica *r)
{
    if (!r->inst.active || r->write_count > 0)
        return;
    uint64_t end = r->inst.at + STALL_RETRIES * r->cfg.retry_ns;
    if (r->now >= end)
        rep_snap_abort(r);
    else
        rep_tick_at(r, end);
}
