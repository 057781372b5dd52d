/* SPDX-License-Identifier: Apache-2.0 */
/* The actions of one step, performed in the list's order: that order is the durability argument (replica.h).
 */
#include <stdlib.h>

#include "lib/base/log.h"
#include "storage-node/partition/partition_priv.h"

static void no_send(void *arg, struct partition *p, const struct replica_msg *msg) {}

static void no_beats(void *arg, const struct beats *beats) {}

static void no_flush(void *arg) {}

const struct peer_transport peer_transport_none = { NULL, no_send, no_beats, no_flush, NULL };

/* The keys of everything a partition has at or behind `index` in the log and body families. */
static void delete_from(struct partition *p, struct log_job *job, uint64_t index)
{
    struct buf to = { 0 };
    log_key(p->id, index, &p->key);
    log_key(p->id, UINT64_MAX, &to);
    log_job_delete_range(job, KV_LOG, buf_slice(&p->key), buf_slice(&to));
    buf_clear(&p->key);
    buf_clear(&to);
    machine_body_key(p->id, index, &p->key);
    machine_body_key(p->id, UINT64_MAX, &to);
    log_job_delete_range(job, KV_BODY, buf_slice(&p->key), buf_slice(&to));
    buf_fini(&to);
}

void partition_put_record(struct partition *p, struct log_job *job)
{
    record_key(p->id, &p->key);
    record_encode(&p->record, &p->value);
    p->recorded = true;
    log_job_put_copy(job, KV_META, buf_slice(&p->key), buf_slice(&p->value));
}

void partition_submit(struct partition *p, struct log_job *job)
{
    if (job->way == LOG_JOB_LOGGED && p->unlogged_out + p->behind_out > 0)
        job->way = LOG_JOB_BEHIND; /* nothing of a partition overtakes its own */
    p->unlogged_out += job->way == LOG_JOB_UNLOGGED;
    p->behind_out += job->way == LOG_JOB_BEHIND || job->way == LOG_JOB_CLOSING;
    p->jobs_out++;
    job->applied = job->way == LOG_JOB_UNLOGGED ? 0 : p->applied.index;
    p->host->submit(p->host->arg, job);
}

/* The ring's reference passes to the ring; the job takes one of its own. */
static void append_entry(struct partition *p, struct log_job *job, struct log_entry *e)
{
    log_row_set_epoch(&e->row, e->epoch);
    log_key(p->id, e->index, &p->key);
    log_job_put(job, KV_LOG, buf_slice(&p->key), buf_slice(&e->row));
    if (e->body.len > 0 && !STORAGE_FAULT(p->faults, forget_bodies)) {
        buf_clear(&p->key);
        machine_body_key(p->id, e->index, &p->key);
        log_job_put(job, KV_BODY, buf_slice(&p->key), e->body);
    }
    log_entry_ref(e);
    log_job_hold(job, e);
    p->mark_bytes += e->row.len;
    log_ring_push(&p->ring, e);
}

static void cut(struct partition *p, struct log_job *job, uint64_t from)
{
    struct log_entry *e;
    while ((e = log_ring_pop_back(&p->ring, from)) != NULL) {
        /* FAIL came before in this list or an earlier one; who is not answered yet hears it from the log
         * writer's return. */
        if (e->refs == 1)
            partition_answer_entry(p, e, ERR_IN_DOUBT, NULL);
        else
            e->failed = true;
        log_entry_unref(e);
    }
    delete_from(p, job, from);
}

/* A partition that goes on from this copy after a recovery says so with the first entry of its own (R29);
 * nothing is served before that is applied. */
static uint32_t barrier_method(const struct partition *p, uint64_t index)
{
    const struct replica_conf *conf = replica_conf(p->replica);
    bool first = replica_epoch_at(p->replica, index - 1) < conf->recovered;
    return conf->recovered != 0 && conf->recovered == conf->since && first ? ENTRY_RECOVER : ENTRY_BARRIER;
}

static void do_write(struct partition *p, const struct replica_action *a, struct partition_now now)
{
    struct log_job *job = log_job_new(p, a->write.token);
    if (a->write.cut_from != 0)
        cut(p, job, a->write.cut_from);
    if (a->write.barrier) {
        partition_version_begin(p, a->write.first - 1, now);
        struct log_entry *e = partition_make_internal(p, barrier_method(p, a->write.first), now);
        e->index = a->write.first;
        e->epoch = a->write.epoch;
        append_entry(p, job, e);
    }
    for (uint32_t i = 0; !a->write.barrier && i < a->write.count; i++) {
        struct log_entry *e = a->write.entries[i].handle;
        e->index = a->write.first + i;
        e->epoch = a->write.entries[i].epoch;
        log_entry_ref(e); /* the event's maker keeps and drops its own */
        append_entry(p, job, e);
    }
    if (!p->recorded || a->write.dep != p->record.dep ||
        a->write.commit >= p->record.commit + RECORD_COMMIT_LAG) {
        p->record.dep = a->write.dep;
        p->record.commit = a->write.commit;
        partition_put_record(p, job);
    }
    partition_submit(p, job);
}

void partition_delete_all(struct partition *p, struct log_job *job)
{
    struct buf lower = { 0 }, upper = { 0 };
    atomic_fetch_add(&p->pub->wiped, 1);
    partition_check_end(p);
    p->checks = (struct check_table){ 0 };
    p->complete_from = 0;
    machine_key_range(p->id, &lower, &upper);
    log_job_delete_range(job, KV_STATE, buf_slice(&lower), buf_slice(&upper));
    cut(p, job, 0);
    applied_key(p->id, &p->key);
    log_job_delete(job, KV_META, buf_slice(&p->key));
    p->applied = (struct partition_applied){ 0 };
    p->install_unlogged = false;
    p->applied_durable = p->apply_wanted = p->apply_to = p->mark = p->mark_bytes = 0;
    p->sweep_index = 0;
    atomic_store_explicit(&p->pub->applied, 0, memory_order_relaxed);
    buf_fini(&lower);
    buf_fini(&upper);
}

/* Everything in one batch, so no mark is needed: either all of the partition is there or nothing. */
static void do_wipe(struct partition *p, const struct replica_action *a)
{
    struct log_job *job = log_job_new(p, a->wipe.token);
    partition_delete_all(p, job);
    p->wipe_token = a->wipe.token;
    p->record = (struct partition_record){ .dep = a->wipe.dep };
    p->recorded = false;
    if (a->wipe.keep_record) {
        partition_put_record(p, job);
    } else {
        record_key(p->id, &p->key);
        log_job_delete(job, KV_META, buf_slice(&p->key));
        p->dropped = true;
    }
    partition_submit(p, job);
}

static void do_trim(struct partition *p, const struct replica_action *a)
{
    struct log_job *job = log_job_new(p, 0);
    struct buf to = { 0 };
    log_key(p->id, p->record.base_index, &p->key);
    log_key(p->id, a->trim.base_index + 1, &to);
    log_job_delete_range(job, KV_LOG, buf_slice(&p->key), buf_slice(&to));
    p->record.base_index = a->trim.base_index;
    p->record.base_epoch = a->trim.base_epoch;
    partition_put_record(p, job);
    buf_fini(&to);
    partition_submit(p, job);
}

static void do_state(struct partition *p)
{
    struct replica_info info;
    partition_publish(p);
    replica_info(p->replica, &info);
    if (info.role != REPLICA_PRIMARY) {
        /* Memory of a primary; its successor is told again (front-ends renew, POP3 sessions end). */
        watch_table_fini(&p->watches);
        lock_table_fini(&p->locks);
        p->sweep_index = 0;
    }
    log_debug("partition",
              "state partition=%u epoch=%llu role=%d active=%d members=%u primary=%u last=%llu commit=%llu",
              p->id, (unsigned long long)info.epoch, info.role, info.active, info.member_count,
              info.primary.id, (unsigned long long)info.last, (unsigned long long)info.commit);
}

static void do_ask(struct partition *p, const struct replica_action *a)
{
    struct partition_ask ask = { .partition = p->id,
                                 .type = a->ask.type,
                                 .id = a->ask.id,
                                 .epoch = a->ask.epoch,
                                 .node = a->ask.node.id };
    p->host->ask(p->host->arg, &ask);
}

static void do_report(struct partition *p, enum replica_reason reason)
{
    struct replica_info info;
    if (reason == REPLICA_DROPPED) { /* it has moved */
        log_info("partition", "%s partition=%u", replica_reason_text(reason), p->id);
        return;
    }
    log_error("partition", "%s partition=%u", replica_reason_text(reason), p->id);
    if (reason == REPLICA_LEAVING || reason == REPLICA_VOID_COPY) /* it is being mended */
        return;
    replica_info(p->replica, &info);
    p->reported_epoch = info.epoch > 0 ? info.epoch : 1;
    faults_set(p->fault_list, p->id, FAULT_REPLICA, replica_reason_text(reason));
}

static enum err perform_one(struct partition *p, const struct replica_action *a, struct partition_now now)
{
    const struct peer_transport *peers = p->host->peers;
    switch (a->type) {
    case REPLICA_ACT_LEASE:
        atomic_store(&p->pub->read_until, a->lease.until);
        break;
    case REPLICA_ACT_FAIL:
        partition_fail(p, a->fail.after, a->fail.err);
        break;
    case REPLICA_ACT_REJECT:
        p->proposal_refused = a->reject.err;
        break;
    case REPLICA_ACT_STATE:
        do_state(p);
        break;
    case REPLICA_ACT_WRITE:
        do_write(p, a, now);
        break;
    case REPLICA_ACT_WIPE:
        do_wipe(p, a);
        break;
    case REPLICA_ACT_TRIM:
        do_trim(p, a);
        break;
    case REPLICA_ACT_SEND:
        peers->send(peers->arg, p, &a->send);
        break;
    case REPLICA_ACT_SNAP_SEND:
        partition_snap_send(p, a);
        break;
    case REPLICA_ACT_SNAP_END:
        partition_snap_end(p, a->snap_end.to);
        break;
    case REPLICA_ACT_APPLY:
        if (a->apply.index > p->apply_wanted)
            p->apply_wanted = a->apply.index;
        break;
    case REPLICA_ACT_ASK:
        do_ask(p, a);
        break;
    case REPLICA_ACT_REPORT:
        do_report(p, a->report.reason);
        break;
    case REPLICA_ACT_SNAP_WRITE:
        partition_snap_write(p, a);
        break;
    case REPLICA_ACT_STOP:
        log_error("partition", "the node must stop: %s partition=%u", replica_reason_text(a->report.reason),
                  p->id);
        return ERR_INTERNAL;
    }
    return OK;
}

enum err partition_perform(struct partition *p, struct partition_now now)
{
    for (uint32_t i = 0; i < p->actions.count; i++)
        TRY(perform_one(p, &p->actions.list[i], now));
    return OK;
}
