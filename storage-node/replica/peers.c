/* SPDX-License-Identifier: Apache-2.0 */
/* What a primary sends to the other members and learners, and what their answers mean (R2, R5, R9, R25). */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "storage-node/replica/replica_priv.h"

#define RETRY_GROWTH_MAX 5  /* a silent peer is tried again after at most this many retry_ns ... */
#define RETRY_SLOW_MAX   10 /* ... and one whose Acks take long after at most so many */
#define TRIP_DECAY       8 /* of the longest time that an Ack took, a share of one in so many goes with each */

struct rep_peer *rep_peer_find(const struct replica *r, struct replica_node node)
{
    for (uint32_t i = 0; i < r->peer_count; i++)
        if (replica_node_eq(r->peers[i].node, node))
            return &r->peers[i];
    return NULL;
}

struct rep_peer *rep_peer_joiner(const struct replica *r)
{
    for (uint32_t i = 0; i < r->peer_count; i++)
        if (r->peers[i].kind == REP_PEER_JOINER)
            return &r->peers[i];
    return NULL;
}

/* R11 */
bool rep_peer_counts(const struct replica *r, const struct rep_peer *peer)
{
    return peer->kind == REP_PEER_MEMBER || (peer->kind == REP_PEER_JOINER && !REP_FAULT(r, r11));
}

void rep_peer_rewind(struct replica *r, struct rep_peer *peer, uint64_t next)
{
    peer->mode = REP_PEER_PROBE;
    peer->waiting = peer->nudged = false;
    peer->next = next > r->log.base ? next : r->log.base + 1;
}

uint64_t rep_peer_lag_ns(struct replica *r, struct rep_peer *peer)
{
    if (peer->ack >= peer->lag_last) {
        peer->lag_last = r->log.last;
        peer->lag_at = r->now;
    }
    return peer->ack < peer->lag_last ? r->now - peer->lag_at : 0;
}

static bool is_close(const struct replica *r, const struct rep_peer *peer)
{
    return peer->ack + r->cfg.near_count >= r->log.last &&
           rep_log_bytes(&r->log, peer->ack + 1, r->log.last) <= r->cfg.near_bytes;
}

/* By count and size, or, under load, by time: a round is the acknowledgement of all that the log had when it
 * began. */
void rep_peer_near(struct replica *r, struct rep_peer *peer)
{
    if (peer->mode != REP_PEER_STREAM) {
        peer->near = false;
        peer->round_last = 0;
        return;
    }
    if (is_close(r, peer))
        peer->near = true;
    if (peer->round_last != 0 && peer->ack < peer->round_last)
        return;
    if (peer->round_last != 0)
        peer->near = r->now - peer->round_at <= r->cfg.near_ns || is_close(r, peer);
    peer->round_last = r->log.last;
    peer->round_at = r->now;
}

static struct rep_peer make_peer(struct replica *r, struct replica_node node, enum rep_peer_kind kind)
{
    const struct rep_peer *old = rep_peer_find(r, node);
    struct rep_peer peer = { .node = node, .since = r->now };
    if (old != NULL)
        peer = *old; /* R9: leases stay */
    if (old == NULL || old->kind != kind)
        peer.since = r->now;
    if (old != NULL && old->kind == REP_PEER_JOINER && kind == REP_PEER_LEARNER) { /* it was given up */
        peer.near = false;
        peer.round_last = 0;
        if (!rep_lease_silent(r, old))
            rep_slow_note(r, node);
    }
    peer.kind = kind;
    peer.slow = false;
    peer.moved = peer.lag_at = r->now;
    peer.lag_last = 0;
    peer.retry_ns = r->cfg.retry_ns;
    if (peer.mode != REP_PEER_SNAPSHOT)
        rep_peer_rewind(r, &peer, old == NULL ? r->commit + 1 : old->ack > 0 ? old->ack + 1 : old->next);
    peer.ack = 0; /* R9: only Acks of this epoch count */
    return peer;
}

void rep_peer_table(struct replica *r)
{
    for (uint32_t i = 0; i < r->peer_count; i++)
        if (r->peers[i].kind == REP_PEER_MEMBER && r->peers[i].slow &&
            !rep_conf_is_member(&r->conf, r->peers[i].node))
            rep_slow_note(r, r->peers[i].node);
    struct rep_peer *peers = NEW_ARRAY(struct rep_peer, REPLICA_NODES_MAX);
    uint32_t count = 0;
    for (uint8_t i = 0; i < r->conf.member_count; i++)
        if (!rep_is_self(r, r->conf.members[i]))
            peers[count++] = make_peer(r, r->conf.members[i], REP_PEER_MEMBER);
    for (uint8_t i = 0; i < r->conf.learner_count; i++)
        if (!rep_is_self(r, r->conf.learners[i]))
            peers[count++] = make_peer(r, r->conf.learners[i], REP_PEER_LEARNER);
    for (uint32_t i = 0; i < r->peer_count; i++) /* whoever is gone */
        if (!rep_conf_is_member(&r->conf, r->peers[i].node) &&
            !rep_conf_is_learner(&r->conf, r->peers[i].node))
            rep_snap_send_end(r, &r->peers[i]);
    free(r->peers);
    r->peers = NULL;
    r->peer_count = count;
    if (count > 0)
        r->peers = xmemdup(peers, count * sizeof *peers);
    free(peers);
}

void rep_peer_clear(struct replica *r)
{
    for (uint32_t i = 0; i < r->peer_count; i++)
        rep_snap_send_end(r, &r->peers[i]);
    free(r->peers);
    r->peers = NULL;
    r->peer_count = 0;
}

static void send_append(struct replica *r, struct rep_peer *peer, uint64_t first, uint32_t count)
{
    struct replica_msg *msg = rep_act_send(r, REPLICA_MSG_APPEND, peer->node);
    msg->append.prev_index = first - 1;
    msg->append.prev_epoch = rep_log_epoch(&r->log, first - 1);
    msg->append.commit = r->commit;
    msg->append.recovered = r->conf.recovered;
    msg->append.count = count;
    msg->append.bytes_max = r->cfg.append_bytes_max;
    if (count > 0 && peer->timed == 0) {
        peer->timed = first - 1 + count;
        peer->timed_at = r->now;
    }
}

/* How long to wait for an Ack before what it is for is sent again: over a connection that stands, nothing is
 * lost, and where it is slow a second copy makes it slower. */
static uint64_t patience_ns(const struct replica *r, const struct rep_peer *peer)
{
    return 2 * peer->trip_ns > peer->retry_ns ? 2 * peer->trip_ns : peer->retry_ns;
}

static void time_ack(struct replica *r, struct rep_peer *peer)
{
    if (peer->timed == 0 || peer->ack < peer->timed)
        return;
    uint64_t took = r->now - peer->timed_at, most = r->cfg.retry_ns * RETRY_SLOW_MAX / 2;
    peer->trip_ns -= peer->trip_ns / TRIP_DECAY;
    if (took > peer->trip_ns)
        peer->trip_ns = took < most ? took : most;
    peer->timed = 0;
}

/* As many entries from `next` on as one Append may have, by what is known of their sizes. */
static uint32_t batch_count(const struct replica *r, uint64_t next)
{
    uint64_t left = r->log.last + 1 - next;
    uint32_t limit = left < r->cfg.append_count_max ? (uint32_t)left : r->cfg.append_count_max;
    uint32_t count = limit > 0 ? 1 : 0;
    while (count < limit && rep_log_bytes(&r->log, next, next + count) <= r->cfg.append_bytes_max)
        count++;
    return count;
}

static void grow_retry(const struct replica *r, struct rep_peer *peer)
{
    peer->retry_ns *= 2;
    if (peer->retry_ns > r->cfg.retry_ns * RETRY_GROWTH_MAX)
        peer->retry_ns = r->cfg.retry_ns * RETRY_GROWTH_MAX;
}

/* No Ack for long: ask what has arrived, by an Append without entries, which comes behind all that was sent.
 * Only an answer that tells of nothing new shows that something was lost. */
static void nudge(struct replica *r, struct rep_peer *peer)
{
    send_append(r, peer, peer->ack + 1, 0);
    peer->nudged = true;
    grow_retry(r, peer);
    peer->retry_at = r->now + patience_ns(r, peer);
}

static void pump_probe(struct replica *r, struct rep_peer *peer)
{
    bool again = peer->waiting && r->now >= peer->retry_at;
    if (again)
        grow_retry(r, peer);
    if (!peer->waiting || again) {
        if (peer->next <= r->log.base)
            peer->next = r->log.base + 1;
        send_append(r, peer, peer->next, again ? 0 : batch_count(r, peer->next));
        peer->waiting = true;
        peer->retry_at = r->now + patience_ns(r, peer);
    }
    rep_tick_at(r, peer->retry_at);
}

static void pump_stream(struct replica *r, struct rep_peer *peer)
{
    bool outstanding = peer->ack + 1 < peer->next;
    if (outstanding && peer->ack < r->log.base) {
        rep_peer_rewind(r, peer, peer->ack + 1);
        pump_probe(r, peer);
        return;
    }
    if (outstanding && r->now >= peer->retry_at)
        nudge(r, peer);
    while (peer->next <= r->log.last &&
           rep_log_bytes(&r->log, peer->ack + 1, peer->next - 1) < r->cfg.inflight_bytes_max) {
        if (peer->next < r->log.hot) { /* sizes are not known: one at a time */
            rep_peer_rewind(r, peer, peer->next);
            pump_probe(r, peer);
            return;
        }
        uint32_t count = batch_count(r, peer->next);
        send_append(r, peer, peer->next, count);
        if (!outstanding) {
            peer->moved = r->now;
            peer->retry_at = r->now + patience_ns(r, peer);
            outstanding = true;
        }
        peer->next += count;
    }
    if (outstanding)
        rep_tick_at(r, peer->retry_at);
}

void rep_peer_pump(struct replica *r)
{
    if (!r->started || !rep_write_dep_ok(r)) /* R3, R10: nothing is sent in ep before dep = ep is on disk */
        return;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        struct rep_peer *peer = &r->peers[i];
        if (peer->mode == REP_PEER_PROBE) {
            pump_probe(r, peer);
        } else if (peer->mode == REP_PEER_STREAM) {
            pump_stream(r, peer);
        } else {
            if (r->now >= peer->retry_at)
                rep_snap_send_again(r, peer);
            rep_tick_at(r, peer->retry_at);
        }
    }
}

void rep_peer_on_ack(struct replica *r, const struct replica_msg *msg)
{
    struct rep_peer *peer = rep_peer_find(r, msg->peer);
    bool counts = msg->epoch == r->ep || (msg->epoch < r->ep && REP_FAULT(r, r2)); /* R2 */
    if (!r->started || !counts || peer == NULL || msg->ack.match > r->log.last)
        return;
    uint64_t match = msg->ack.match;
    bool lost = peer->mode == REP_PEER_STREAM && peer->nudged && match == peer->ack;
    peer->retry_ns = r->cfg.retry_ns;
    if (match > peer->ack) {
        peer->ack = match;
        peer->nudged = false;
        peer->moved = r->now;
        time_ack(r, peer);
        peer->retry_at = r->now + patience_ns(r, peer);
    }
    if (peer->mode == REP_PEER_SNAPSHOT) {
        if (match < peer->snap_keep) /* from before the snapshot */
            return;
        rep_snap_send_end(r, peer);
        rep_peer_rewind(r, peer, match + 1);
    }
    if (peer->mode == REP_PEER_PROBE) {
        if (match + 1 < peer->next)
            return; /* not the answer to this one */
        rep_peer_rewind(r, peer, match + 1);
        if (peer->next >= r->log.hot)
            peer->mode = REP_PEER_STREAM;
    } else if (lost) {
        rep_peer_rewind(r, peer, match + 1);
    } else if (peer->next <= match) {
        peer->next = match + 1;
    }
}

/* R5: the logs do not join where we thought. Go back to what the other has committed, or to our own base. */
void rep_peer_on_refuse(struct replica *r, const struct replica_msg *msg)
{
    if (msg->epoch > r->seen)
        r->seen = msg->epoch; /* R1: a Refuse with a higher epoch only makes it ask the director */
    struct rep_peer *peer = rep_peer_find(r, msg->peer);
    if (!r->started || msg->epoch != r->ep || peer == NULL)
        return;
    bool snapshot = peer->mode == REP_PEER_SNAPSHOT;
    if (msg->refuse.prev ==
        0) /* R2: what was sent in an earlier epoch still arrives; R19: it does not stall */
        peer->moved = r->now;
    if (snapshot ? msg->refuse.nonce == peer->snap_nonce : msg->refuse.prev == 0)
        return; /* answered by the snapshot already; or no Append of this epoch was refused */
    if (msg->refuse.last < peer->ack) {
        if (peer->kind != REP_PEER_LEARNER) /* older than its Ack */
            return;
        peer->ack = 0; /* or it has begun again with nothing, as only a learner may (R24) */
    }
    peer->retry_ns = r->cfg.retry_ns;
    uint64_t base = r->log.base;
    uint64_t joined = msg->refuse.commit > peer->ack ? msg->refuse.commit : peer->ack;
    uint64_t prev = joined > base ? joined : base;
    bool base_refused = !snapshot && msg->refuse.prev == base && joined < base;
    /* The state costs less to send and to write than the log that led to it, unless that is short. Where
     * nothing is applied yet there is no state, and a learner would not take it (R24). */
    bool begins = msg->refuse.last == 0 && r->log.last > r->cfg.near_count && r->applied > 0 &&
                  peer->kind == REP_PEER_LEARNER;
    if (prev <= msg->refuse.last && prev <= r->log.last && !base_refused && !begins) {
        rep_snap_send_end(r, peer);
        rep_peer_rewind(r, peer, prev + 1);
    } else if (peer->kind == REP_PEER_LEARNER) {
        rep_snap_send_begin(r, peer, msg->refuse.nonce); /* R24 */
    } else if (peer->kind == REP_PEER_MEMBER) {
        rep_act_stop(r, REPLICA_MEMBER_NO_MATCH); /* cannot happen (R25) */
    }
}

/* R25: up to the applied index, keeping what learners in catch-up still need, within a bound. */
void rep_peer_trim(struct replica *r, uint64_t index)
{
    if (index > r->applied && !REP_FAULT(r, r25))
        index = r->applied;
    for (uint32_t i = 0; i < r->peer_count; i++) {
        const struct rep_peer *peer = &r->peers[i];
        uint64_t keep = peer->mode == REP_PEER_SNAPSHOT ? peer->snap_keep : peer->ack;
        if (peer->kind == REP_PEER_MEMBER || (keep == 0 && peer->mode == REP_PEER_PROBE))
            continue;
        if (keep < index && r->log.last - keep <= r->cfg.catchup_count_max)
            index = keep;
    }
    if (index <= r->log.base || index > r->log.last)
        return;
    rep_log_trim(&r->log, index);
    struct replica_action *action = rep_act(r, REPLICA_ACT_TRIM);
    action->trim.base_index = index;
    action->trim.base_epoch = r->log.base_epoch;
}
