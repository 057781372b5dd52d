/* SPDX-License-Identifier: Apache-2.0 */
/* What a copy does when one of its rows cannot be read (P9, R28).
 *
 * If nothing can go on without the row (an entry that is to be applied, the rows read at start), the copy
 * serves nothing from that moment and leaves: a primary falls silent, and another member takes over. If the
 * row was met by a reader, by a check or while a copy was made for a learner, all else can go on: a primary
 * hands its seat over first, and nobody leaves while that would make the members fewer than min_members.
 * The last copy never leaves. A state machine that broke every copy alike must not send them around in
 * circles: the second kind leaves at most once an hour. */
#include "lib/base/log.h"
#include "storage-node/partition/partition_priv.h"

enum { HEAL_RETRY_MS = 2000, LEAVE_INTERVAL_MS = 3600 * 1000 };

static const uint64_t ns_per_ms = 1000000;

void partition_stop(struct partition *p, const char *why)
{
    p->stopped = true;
    p->damage = DAMAGE_STOPS;
    p->heal_at_ns = 0;
    partition_snap_end_all(p);
    partition_check_end(p);
    p->apply_wanted = p->apply_to = p->applied.index;
    atomic_store(&p->pub->read_until, 0);
    atomic_store(&p->pub->stopped, true);
    atomic_fetch_add_explicit(&p->stats->damaged, 1, memory_order_relaxed);
    faults_set(p->fault_list, p->id, FAULT_STOPPED, why);
    log_fault("partition", "stopped serving: %s partition=%u applied=%llu", why, p->id,
              (unsigned long long)p->applied.index);
    partition_fail_all(p);
}

void partition_damaged(struct partition *p, const char *why)
{
    if (p->damage != DAMAGE_NONE || p->dropped)
        return;
    p->damage = DAMAGE_SOME;
    p->heal_at_ns = 0;
    atomic_fetch_add_explicit(&p->stats->damaged, 1, memory_order_relaxed);
    faults_set(p->fault_list, p->id, FAULT_CHECKSUM, why);
    log_fault("partition", "damage on disk: %s partition=%u applied=%llu", why, p->id,
              (unsigned long long)p->applied.index);
}

void partition_entry_damaged(struct partition *p)
{
    partition_damaged(p, "an entry of the log cannot be read");
}

static enum err leave(struct partition *p, struct partition_now now)
{
    struct replica_event event = { .type = REPLICA_EV_LEAVE, .now = now.boot_ns };
    p->proposal_refused = OK;
    TRY(partition_step(p, &event, now));
    if (p->proposal_refused == OK)
        p->next_leave_ns = now.boot_ns + LEAVE_INTERVAL_MS * ns_per_ms;
    return OK;
}

static enum err hand_over(struct partition *p, struct partition_now now, const struct replica_conf *conf)
{
    enum err refused;
    for (int i = 0; i < conf->member_count; i++) {
        if (!replica_node_eq(conf->members[i], conf->primary))
            return partition_handover(p, now, conf->members[i], &refused);
    }
    return OK;
}

enum err partition_heal(struct partition *p, struct partition_now now)
{
    const struct replica_conf *conf = replica_conf(p->replica);
    struct replica_info info;
    if (p->damage == DAMAGE_NONE || now.boot_ns < p->heal_at_ns)
        return OK;
    p->heal_at_ns = now.boot_ns + HEAL_RETRY_MS * ns_per_ms;
    replica_info(p->replica, &info);
    if (info.leaving)
        return OK;
    if (p->damage == DAMAGE_STOPS)
        return leave(p, now);
    bool member = info.role == REPLICA_PRIMARY || info.role == REPLICA_MEMBER;
    if (now.boot_ns < p->next_leave_ns || (member && conf->member_count <= 1) ||
        (member && conf->member_count <= p->min_members))
        return OK;
    return info.role == REPLICA_PRIMARY ? hand_over(p, now, conf) : leave(p, now);
}

void partition_healed(struct partition *p)
{
    if (p->damage == DAMAGE_NONE)
        return;
    p->damage = DAMAGE_NONE;
    p->stopped = false;
    atomic_store(&p->pub->stopped, false);
    faults_clear(p->fault_list, p->id, FAULT_STOPPED);
    faults_clear(p->fault_list, p->id, FAULT_CHECKSUM);
    log_info("partition", "the damaged copy is gone, another one will be fetched partition=%u", p->id);
}
