/* SPDX-License-Identifier: Apache-2.0 */
/* Members and learners: the same code (R2, R3, R5..R8). */
#include "storage-node/replica/replica_priv.h"

void rep_member_refuse(struct replica *r, struct replica_node to, uint64_t prev)
{
    struct replica_msg *msg = rep_act_send(r, REPLICA_MSG_REFUSE, to);
    msg->refuse.commit = r->commit;
    msg->refuse.last = r->log.last;
    msg->refuse.prev = prev;
    msg->refuse.nonce = r->nonce;
    r->nonce_told = true;
}

/* R7: an Ack speaks for the disk, and only for what was verified in this epoch. R3: not before dep = ep is
 * there. */
void rep_member_ack(struct replica *r)
{
    if (r->started || r->inst.active || r->leader.id == 0 || !rep_write_dep_ok(r) || !rep_owned(r))
        return;
    uint64_t match = r->match < r->durable ? r->match : r->durable;
    bool all = match == r->match;
    if (REP_FAULT(r, r7)) {
        match = r->log.last;
        all = true;
    }
    if (!(match > r->ack_sent || (r->ack_due && all)))
        return;
    rep_act_send(r, REPLICA_MSG_ACK, r->leader)->ack.match = match;
    r->ack_sent = match;
    if (all)
        r->ack_due = false;
    if (r->nonce_told) { /* R24: an Ack voids nonces */
        r->nonce++;
        r->nonce_told = false;
    }
}

/* R5: does the primary's log join ours at prev? */
static bool joins(const struct replica *r, uint64_t prev, uint64_t prev_epoch)
{
    if (prev <= r->commit || prev == r->log.base || (prev <= r->log.last && REP_FAULT(r, r5)))
        return true;
    return prev <= r->log.last && rep_log_epoch(&r->log, prev) == prev_epoch;
}

/* R6: how many of the entries are here already. *stop_out is set if one contradicts what may not be cut. */
static uint32_t count_kept(struct replica *r, const struct replica_msg *msg, bool *stop_out)
{
    uint32_t kept = 0;
    *stop_out = false;
    for (; kept < msg->append.count; kept++) {
        uint64_t index = msg->append.prev_index + 1 + kept;
        if (index > r->log.last || (index > r->commit && REP_FAULT(r, r6)))
            break;
        if (index < r->log.base || rep_log_epoch(&r->log, index) == msg->append.entries[kept].epoch)
            continue; /* committed and cut at the front, or the same entry: keep it */
        if (index <= r->commit || index <= r->match) {
            rep_act_stop(r, index <= r->commit ? REPLICA_CUT_BELOW_COMMIT : REPLICA_TWO_ENTRIES);
            *stop_out = true;
        }
        break;
    }
    return kept;
}

/* R6: cut only where the Append conflicts, append the rest; with R3's dep in the same batch. */
static void take_entries(struct replica *r, const struct replica_msg *msg, uint32_t kept)
{
    uint64_t first = msg->append.prev_index + 1 + kept;
    uint32_t count = msg->append.count - kept;
    uint64_t cut_from = count > 0 && first <= r->log.last ? first : 0;
    if (count == 0 && r->dep >= r->ep)
        return;
    if (cut_from != 0)
        rep_log_cut(&r->log, cut_from);
    for (uint32_t i = 0; i < count; i++)
        rep_log_append(&r->log, msg->append.entries[kept + i].epoch, msg->append.entries[kept + i].size);
    struct replica_action *write = rep_write_log(r, cut_from, r->ep);
    write->write.first = first;
    write->write.count = count;
    write->write.entries = count > 0 ? msg->append.entries + kept : NULL;
}

static bool epochs_are_sane(const struct replica_msg *msg)
{
    uint64_t epoch = msg->append.prev_epoch;
    for (uint32_t i = 0; i < msg->append.count; i++) {
        if (msg->append.entries[i].epoch < epoch || msg->append.entries[i].epoch > msg->epoch)
            return false;
        epoch = msg->append.entries[i].epoch;
    }
    return true;
}

void rep_member_commit_to(struct replica *r, uint64_t received)
{
    uint64_t bound = REP_FAULT(r, r8) ? r->log.last : r->match;
    uint64_t commit = received < bound ? received : bound;
    if (commit > r->commit)
        r->commit = commit;
}

void rep_member_on_append(struct replica *r, const struct replica_msg *msg)
{
    if (msg->epoch < r->ep) { /* R2; prev 0: says nothing of where the logs join */
        rep_member_refuse(r, msg->peer, 0);
        return;
    }
    if (r->started && msg->epoch == r->ep) {
        rep_act_report(r, REPLICA_TWO_PRIMARIES);
        return;
    }
    if (r->halted || r->dropped || r->wiping || r->leaving || !epochs_are_sane(msg) ||
        r->write_count >= REP_WRITES_MAX)
        return;
    if (r->inst.active) {
        if (msg->epoch > r->inst.epoch)
            rep_snap_abort(r); /* R24: a new primary */
        return;
    }
    if (msg->epoch > r->ep)
        rep_conf_adopt(r, msg->epoch);           /* R2 */
    if (rep_snap_void(r, msg->append.recovered)) /* R29 */
        return;
    if (!rep_owned(r)) /* R26 */
        return;
    r->leader = msg->peer;
    r->heard_at = r->now;
    if (!joins(r, msg->append.prev_index, msg->append.prev_epoch)) {
        rep_member_refuse(r, msg->peer, msg->append.prev_index); /* R5: change nothing */
        return;
    }
    bool stop;
    uint32_t kept = count_kept(r, msg, &stop);
    if (stop)
        return;
    take_entries(r, msg, kept);
    uint64_t match = msg->append.prev_index + msg->append.count; /* R7 */
    if (match > r->match)
        r->match = match;
    rep_member_commit_to(r, msg->append.commit);
    r->ack_due = true;
    rep_member_ack(r);
}
