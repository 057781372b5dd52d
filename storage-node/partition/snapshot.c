/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a partition's state for learners whose log does not join (R24): the receiving end. The batch of
 * the first chunk deletes what was there and sets the `installing` mark; while that is on disk, rows are
 * written past the log (copy_writer.h); the batch of the last one, when they are all on disk, removes it. So
 * a crash leaves either the mark, and the copy is begun again, or all of it. What a chunk is stands in
 * snapshot_source.c. */
#include "storage-node/partition/partition_priv.h"

struct snap_row {
    enum kv_family family;
    struct slice key, value;
};

static bool next_row(struct cursor *c, struct snap_row *out)
{
    out->family = (enum kv_family)cursor_u8(c);
    out->key = cursor_varbytes(c);
    out->value = cursor_varbytes(c);
    return !c->bad;
}

static bool row_is_ours(struct partition *p, const struct snap_row *row, const struct replica_msg *msg)
{
    struct partition_applied applied;
    if (row->family == KV_META) {
        applied_key(p->id, &p->key);
        return msg->chunk.seq == 0 && slice_eq(row->key, buf_slice(&p->key)) &&
               applied_decode(row->value, &applied) == OK && applied.index == msg->chunk.index &&
               partition_version_take(p, applied.version);
    }
    if (row->family != KV_STATE && row->family != KV_BODY)
        return false;
    struct buf lower = { 0 }, upper = { 0 };
    partition_family_range(p->id, row->family, msg->chunk.index, &lower, &upper);
    bool ours = slice_cmp(row->key, buf_slice(&lower)) >= 0 && slice_cmp(row->key, buf_slice(&upper)) < 0;
    buf_fini(&lower);
    buf_fini(&upper);
    return ours;
}

bool partition_snap_check(struct partition *p, const struct replica_msg *msg)
{
    const struct buf *rows = msg->chunk.handle;
    struct cursor c = cursor_of(buf_slice(rows));
    struct snap_row row;
    bool first = msg->chunk.seq == 0;
    while (!cursor_done(&c)) {
        if (!next_row(&c, &row) || first != (row.family == KV_META) || !row_is_ours(p, &row, msg))
            return false;
        first = false;
    }
    return !first;
}

static void begin_install(struct partition *p, struct log_job *job, const struct replica_action *a)
{
    partition_delete_all(p, job);
    p->record = (struct partition_record){ .dep = a->snap_write.dep,
                                           .installing = !STORAGE_FAULT(p->faults, unmarked_install) };
    partition_put_record(p, job);
}

static void end_install(struct partition *p, struct log_job *job, const struct replica_action *a)
{
    p->record = (struct partition_record){ .dep = a->snap_write.dep,
                                           .commit = a->snap_write.index,
                                           .base_index = a->snap_write.index,
                                           .base_epoch = a->snap_write.index_epoch };
    partition_put_record(p, job);
    p->applied = p->install;
    p->apply_wanted = p->mark = a->snap_write.index;
    applied_key(p->id, &p->key);
    applied_encode(&p->applied, &p->value);
    log_job_put_copy(job, KV_META, buf_slice(&p->key), buf_slice(&p->value));
    p->installed = true;
}

static void take_applied(struct partition *p, struct slice applied_row)
{
    if (applied_decode(applied_row, &p->install) != OK)
        p->install = (struct partition_applied){ 0 }; /* cannot be: it was checked */
}

/* Rows may go past the log once the mark is on disk: whatever becomes of them, a start finds the mark. */
static bool may_skip_log(const struct partition *p, const struct replica_action *a)
{
    return !a->snap_write.first && a->snap_write.dep == p->record.dep && p->jobs_out == p->unlogged_out;
}

static void add_row(struct partition *p, struct log_job *job, const struct snap_row *row)
{
    if (row->family == KV_META) /* written with the last chunk */
        take_applied(p, row->value);
    else if (job->way == LOG_JOB_UNLOGGED)
        log_job_put_within(job, row->family, row->key, row->value);
    else
        log_job_put_copy(job, row->family, row->key, row->value);
}

static void add_rows(struct partition *p, struct log_job *job, const struct buf *rows)
{
    struct cursor c = cursor_of(buf_slice(rows));
    struct snap_row row;
    while (!cursor_done(&c) && next_row(&c, &row))
        add_row(p, job, &row);
}

static void submit_unlogged(struct partition *p, uint64_t token, struct buf *rows)
{
    struct log_job *job = log_job_new(p, token);
    job->way = LOG_JOB_UNLOGGED;
    log_job_take(job, rows);
    add_rows(p, job, &job->bytes);
    p->install_unlogged = true;
    partition_submit(p, job);
}

static void submit_logged(struct partition *p, const struct replica_action *a, uint64_t token,
                          const struct buf *rows)
{
    struct log_job *job = log_job_new(p, token);
    if (a->snap_write.first)
        begin_install(p, job, a);
    if (rows != NULL)
        add_rows(p, job, rows);
    if (a->snap_write.last) {
        job->way = p->install_unlogged ? LOG_JOB_CLOSING : LOG_JOB_LOGGED;
        end_install(p, job, a);
    } else if (a->snap_write.dep != p->record.dep) {
        p->record.dep = a->snap_write.dep;
        partition_put_record(p, job);
    }
    partition_submit(p, job);
}

/* The first chunk, and all of a copy that is no larger, goes by the log with the mark; what the others bring
 * past it. With the last one all of them are put on disk, then the mark is removed. */
void partition_snap_write(struct partition *p, const struct replica_action *a)
{
    struct buf *rows = a->snap_write.handle;
    bool late_mark = a->snap_write.first && !a->snap_write.last && STORAGE_FAULT(p->faults, late_mark);
    bool unlogged = late_mark || may_skip_log(p, a);
    if (late_mark)
        submit_logged(p, a, 0, NULL);
    if (unlogged)
        submit_unlogged(p, a->snap_write.last ? 0 : a->snap_write.token, rows);
    if (!unlogged || a->snap_write.last)
        submit_logged(p, a, a->snap_write.token, unlogged ? NULL : rows);
}
