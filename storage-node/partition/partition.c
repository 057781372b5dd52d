/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/partition.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "storage-node/partition/partition_priv.h"

enum { SWEEP_SLOTS = 64 /* partitions sweep at different moments of the minute */ };

static const uint64_t ns_per_ms = 1000000;

/* A learner may hear that an entry is committed before its own disk has it. The state must not get ahead of
 * the log on disk: a crash in between would leave an applied index beyond the log's end. */
static void follow_disk(struct partition *p)
{
    uint64_t durable = replica_durable(p->replica);
    bool gated = p->apply_wanted > durable && !STORAGE_FAULT(p->faults, ungated_apply);
    p->apply_to = gated ? durable : p->apply_wanted;
}

enum err partition_step(struct partition *p, const struct replica_event *event, struct partition_now now)
{
    replica_step(p->replica, event, &p->actions);
    p->next_tick = p->actions.next_tick;
    TRY(partition_perform(p, now));
    follow_disk(p);
    return OK;
}

/* ---- work of other threads */

void partition_give_work(struct partition *p, struct partition_work *work)
{
    work->partition = p;
    p->works_out++;
    if (p->host->work != NULL) {
        p->host->work(p->host->arg, work);
    } else {
        work->run(work);
        partition_worked(p, work);
    }
}

void partition_worked(struct partition *p, struct partition_work *work)
{
    p->works_out--;
    work->next = NULL;
    *p->worked_tail = work;
    p->worked_tail = &work->next;
}

static enum err take_work(struct partition *p, struct partition_now now)
{
    struct partition_work *work = p->worked_first;
    p->worked_first = NULL;
    p->worked_tail = &p->worked_first;
    while (work != NULL) {
        struct partition_work *next = work->next;
        TRY(work->done(work, &now));
        work = next;
    }
    return OK;
}

/* What came back too late frees itself: all of it was ended. */
static void end_work(struct partition *p)
{
    const struct partition_now never = { 0 };
    while (p->worked_first != NULL) {
        struct partition_work *work = p->worked_first;
        p->worked_first = work->next;
        enum err err = work->done(work, &never);
        (void)err;
    }
}

/* ---- life */

static struct partition *make(const struct partition_options *options, struct partition_now now)
{
    struct partition *p = NEW(struct partition);
    p->id = options->id;
    p->kv = options->kv;
    p->host = options->host;
    p->pub = options->pub;
    p->stats = options->stats;
    p->faults = options->faults;
    p->fault_list = options->fault_list;
    p->keep_count = options->log_keep_count != 0 ? options->log_keep_count : LOG_KEEP_COUNT;
    p->keep_bytes = options->log_keep_bytes != 0 ? options->log_keep_bytes : LOG_KEEP_BYTES;
    p->copy_chunk_bytes = options->copy_chunk_bytes != 0 ? options->copy_chunk_bytes : COPY_CHUNK_BYTES;
    p->gathered_tail = &p->gathered_first;
    p->reads_tail = &p->reads_first;
    p->worked_tail = &p->worked_first;
    p->proposal = NEW_ARRAY(struct replica_entry, PROPOSE_COUNT_MAX);
    p->self = options->self;
    p->min_members = options->min_members;
    p->version_max = options->machine_version_max != 0 ? options->machine_version_max : MACHINE_VERSION;
    p->next_version_ns = REPLICA_NEVER;
    p->check_pace = options->check_pace;
    p->check_interval_ms = options->check_interval_ms;
    p->next_check_ns = partition_check_first(p->id, p->check_interval_ms, now.boot_ns);
    p->next_tick = REPLICA_NEVER;
    p->next_sweep_ns = now.boot_ns + SWEEP_INTERVAL_MS * ns_per_ms * (p->id % SWEEP_SLOTS + 1) / SWEEP_SLOTS;
    struct replica_cfg cfg = { .self = options->self,
                               .min_members = options->min_members,
                               .append_count_max = options->append_count_max };
    cfg.faults = options->faults != NULL ? options->faults->core : NULL;
    p->replica = replica_new(&cfg);
    return p;
}

enum err partition_open(const struct partition_options *options, struct partition_now now,
                        struct partition **out)
{
    struct partition *p = make(options, now);
    enum err err = partition_load(p, options->nonce, now);
    if (err == ERR_CORRUPT) {
        partition_stop(p, "its rows cannot be read");
        err = partition_load_damaged(p, options->nonce, now);
    }
    if (err == ERR_UNSUPPORTED) {
        if (!p->too_new)
            partition_version_refuse(p, 0);
        err = OK;
    }
    if (err != OK)
        partition_close(&p);
    *out = p;
    return err;
}

void partition_close(struct partition **out)
{
    struct partition *p = *out;
    if (p == NULL)
        return;
    faults_clear_all(p->fault_list, p->id);
    partition_fail_all(p);
    partition_snap_end_all(p);
    partition_check_end(p);
    end_work(p);
    log_ring_fini(&p->ring);
    watch_table_fini(&p->watches);
    lock_table_fini(&p->locks);
    replica_free(&p->replica);
    replica_actions_fini(&p->actions);
    buf_fini(&p->key);
    buf_fini(&p->value);
    free(p->proposal);
    free(p);
    *out = NULL;
}

/* ---- what comes from outside */

/* A later configuration that the replica goes along with has settled what it reported. */
static void settle_report(struct partition *p)
{
    struct replica_info info;
    if (p->reported_epoch == 0)
        return;
    replica_info(p->replica, &info);
    if (info.halted || info.epoch <= p->reported_epoch)
        return;
    p->reported_epoch = 0;
    faults_clear(p->fault_list, p->id, FAULT_REPLICA);
}

enum err partition_conf(struct partition *p, struct partition_now now, const struct replica_conf *conf,
                        uint64_t ask_id)
{
    struct replica_event event = { .type = REPLICA_EV_CONF, .now = now.boot_ns };
    event.conf.conf = conf;
    event.conf.ask_id = ask_id;
    if (p->too_new)
        return OK;
    TRY(partition_step(p, &event, now));
    settle_report(p);
    return OK;
}

/* Entries of a peer learn their time and size from their own header. False: some of them are none that this
 * program can read. */
static bool take_peer_entries(struct partition *p, const struct replica_msg *msg)
{
    bool good = true;
    for (uint32_t i = 0; i < msg->append.count; i++) {
        struct log_entry *e = msg->append.entries[i].handle;
        struct entry_header h;
        struct slice request;
        if (entry_decode(log_entry_bytes(e), &h, &request) != OK || !partition_version_take(p, h.version)) {
            good = false;
            continue;
        }
        e->time_ms = h.time_ms;
        e->body_len = h.body_len;
        if (h.body_len > e->body.len && msg->append.commit > p->complete_from)
            p->complete_from = msg->append.commit; /* freed by an entry up to there */
        if (h.time_ms > p->entry_time)
            p->entry_time = h.time_ms;
    }
    return good;
}

enum err partition_message(struct partition *p, struct partition_now now, const struct replica_msg *msg)
{
    bool append = msg->type == REPLICA_MSG_APPEND;
    enum err err = OK;
    bool wanted = !p->stopped && !p->dropped;
    if (wanted && ((append && !take_peer_entries(p, msg)) ||
                   (msg->type == REPLICA_MSG_CHUNK && !partition_snap_check(p, msg)))) {
        if (p->version_refused == 0)
            log_error("partition", "what a member sent cannot be read partition=%u node=%u", p->id,
                      msg->peer.id);
        wanted = false;
    }
    if (wanted && msg->type == REPLICA_MSG_CHECK) {
        partition_check_take(p, msg);
    } else if (wanted) {
        struct replica_event event = { .type = REPLICA_EV_MSG, .now = now.boot_ns, .msg = *msg };
        err = partition_step(p, &event, now);
    }
    /* The ring took its own reference of what was appended. */
    for (uint32_t i = 0; append && i < msg->append.count; i++)
        log_entry_unref(msg->append.entries[i].handle);
    return err;
}

void partition_warm(const struct partition *p)
{
    enum { LINE = 64 };
    const char *bytes = (const char *)p;
    for (size_t at = 0; at <= offsetof(struct partition, check); at += LINE)
        __builtin_prefetch(bytes + at);
}

void partition_warm_replica(const struct partition *p)
{
    __builtin_prefetch(p->actions.list);
    replica_warm(p->replica);
}

bool partition_beat(const struct partition *p, struct replica_node to, struct beat_part *out)
{
    out->partition = p->id;
    return !p->stopped && replica_beat(p->replica, to, &out->epoch, &out->commit);
}

const struct replica_conf *partition_known_conf(const struct partition *p)
{
    return replica_conf(p->replica);
}

enum err partition_handover(struct partition *p, struct partition_now now, struct replica_node heir,
                            enum err *refused_out)
{
    struct replica_event event = { .type = REPLICA_EV_HANDOVER, .now = now.boot_ns };
    event.handover.heir = heir;
    p->proposal_refused = p->stopped ? ERR_UNAVAILABLE : OK;
    enum err err = p->stopped ? OK : partition_step(p, &event, now);
    *refused_out = p->proposal_refused;
    return err;
}

void partition_set_min_members(struct partition *p, uint8_t min_members)
{
    p->min_members = min_members;
    replica_set_min_members(p->replica, min_members);
}

bool partition_heir(const struct partition *p, struct replica_node *out)
{
    return !p->stopped && replica_heir(p->replica, p->id, out);
}

bool partition_expects_heir(const struct partition *p)
{
    struct replica_info info;
    struct replica_node heir;
    replica_info(p->replica, &info);
    return !p->stopped && info.active && replica_conf(p->replica)->learner_count > 0 &&
           !partition_heir(p, &heir);
}

bool partition_awaits_heir(const struct partition *p)
{
    const struct replica_conf *conf = replica_conf(p->replica);
    struct replica_info info;
    if (p->stopped || !conf->handover)
        return false;
    replica_info(p->replica, &info);
    return info.role == REPLICA_MEMBER && replica_epoch_at(p->replica, info.commit) < conf->since;
}

enum err partition_drop(struct partition *p, struct partition_now now)
{
    struct replica_event event = { .type = REPLICA_EV_DROP, .now = now.boot_ns };
    return p->dropped || p->too_new ? OK : partition_step(p, &event, now);
}

bool partition_is_dropped(const struct partition *p)
{
    return p->dropped;
}

bool partition_is_gone(const struct partition *p)
{
    return p->dropped && p->jobs_out == 0 && p->works_out == 0;
}

void partition_written(struct partition *p, struct log_job *job)
{
    p->jobs_out--;
    p->unlogged_out -= job->way == LOG_JOB_UNLOGGED;
    p->behind_out -= job->way == LOG_JOB_BEHIND || job->way == LOG_JOB_CLOSING;
    for (size_t i = 0; i < job->held_count; i++) {
        struct log_entry *e = job->held[i];
        if (e->failed)
            partition_answer_entry(p, e, ERR_IN_DOUBT, NULL);
        log_entry_unref(e);
    }
    job->held_count = 0;
    if (job->applied > p->applied_durable)
        p->applied_durable = job->applied;
    if (job->token > p->written_token)
        p->written_token = job->token;
    log_job_free(&job);
}

/* ---- turns */

/* A copy came with the time of its newest entry: no entry of ours may be older, should we become primary. */
static enum err take_installed_time(struct partition *p)
{
    uint64_t time_ms = 0;
    enum err err = machine_time(p->kv, NULL, p->id, &time_ms);
    if (err == ERR_CORRUPT) {
        partition_stop(p, "the time of a received copy cannot be read");
        return OK;
    }
    TRY(err);
    p->installed = false;
    p->applied_time = time_ms;
    if (time_ms > p->entry_time)
        p->entry_time = time_ms;
    atomic_store_explicit(&p->pub->time_ms, p->applied_time, memory_order_relaxed);
    atomic_store_explicit(&p->pub->applied, p->applied.index, memory_order_relaxed);
    return OK;
}

enum err partition_flush(struct partition *p, struct partition_now now)
{
    if (p->installed && p->jobs_out == 0 && !p->stopped)
        TRY(take_installed_time(p));
    /* Proposals first: the log writer starts on them while this thread applies. */
    if (p->gathered_first != NULL)
        TRY(partition_propose(p, now));
    if (p->reads_first != NULL && !p->stopped)
        TRY(partition_propose_reads(p, now));
    if (p->check_waiting != NULL)
        TRY(partition_check_flush(p, now));
    if (p->written_token != 0) {
        if (p->wipe_token != 0 && p->written_token >= p->wipe_token) {
            p->wipe_token = 0;
            partition_healed(p);
        }
        struct replica_event event = { .type = REPLICA_EV_DURABLE, .now = now.boot_ns };
        event.durable.token = p->written_token;
        p->written_token = 0;
        TRY(partition_step(p, &event, now));
    }
    return p->worked_first != NULL ? take_work(p, now) : OK;
}

static enum err sweep(struct partition *p, struct partition_now now)
{
    struct replica_info info;
    bool due = false;
    p->next_sweep_ns = now.boot_ns + SWEEP_INTERVAL_MS * ns_per_ms;
    watch_table_expire(&p->watches, now.mono_ms);
    lock_table_expire(&p->locks, now.mono_ms);
    replica_info(p->replica, &info);
    if (!info.active || p->sweep_index != 0)
        return OK;
    uint64_t time_ms = now.real_ms > p->entry_time ? now.real_ms : p->entry_time;
    enum err err = machine_sweep_due(p->kv, p->id, time_ms, &due);
    if (err == ERR_CORRUPT) {
        partition_stop(p, "a row is damaged");
        return OK;
    }
    TRY(err);
    return due ? partition_propose_internal(p, ENTRY_SWEEP, now) : OK;
}

enum err partition_tick(struct partition *p, struct partition_now now)
{
    if (p->too_new)
        return OK;
    if (now.boot_ns >= p->next_tick) {
        struct replica_event event = { .type = REPLICA_EV_TICK, .now = now.boot_ns };
        TRY(partition_step(p, &event, now));
    }
    if (atomic_load_explicit(&p->pub->damaged, memory_order_relaxed) &&
        atomic_exchange(&p->pub->damaged, false))
        partition_damaged(p, "a row could not be read for a client");
    TRY(partition_heal(p, now));
    if (p->stopped)
        return OK;
    TRY(partition_check_tick(p, now));
    if (now.boot_ns >= partition_version_next(p))
        TRY(partition_version_tick(p, now));
    if (now.boot_ns >= p->next_sweep_ns)
        TRY(sweep(p, now));
    return OK;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t partition_next_tick(const struct partition *p)
{
    uint64_t next = p->next_tick;
    if (p->worked_first != NULL) /* by a host without threads, after the last flush */
        return 0;
    if (p->damage != DAMAGE_NONE)
        next = earlier(next, p->heal_at_ns);
    if (p->stopped)
        return next;
    next = earlier(next, earlier(partition_check_next(p), p->next_check_ns));
    return earlier(next, earlier(p->next_sweep_ns, partition_version_next(p)));
}

uint32_t partition_id(const struct partition *p)
{
    return p->id;
}
