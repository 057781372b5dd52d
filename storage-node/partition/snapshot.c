/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a partition's state for learners whose log does not join (R24): the receiving end. It writes each
 * chunk in one batch; the first deletes what was there under the `installing` mark, the last removes it. What
 * a chunk is stands in snapshot_source.c. */
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
               applied_decode(row->value, &applied) == OK && applied.index == msg->chunk.index;
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
    const struct slice *rows = msg->chunk.handle;
    struct cursor c = cursor_of(*rows);
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

void partition_snap_write(struct partition *p, const struct replica_action *a)
{
    struct log_job *job = log_job_new(p, a->snap_write.token);
    const struct slice *rows = a->snap_write.handle;
    struct cursor c = cursor_of(*rows);
    struct snap_row row;
    job->bulk = true;
    if (a->snap_write.first)
        begin_install(p, job, a);
    while (!cursor_done(&c) && next_row(&c, &row)) {
        if (row.family == KV_META) /* written with the last chunk */
            take_applied(p, row.value);
        else
            log_job_put_copy(job, row.family, row.key, row.value);
    }
    if (a->snap_write.last) {
        end_install(p, job, a);
    } else if (a->snap_write.dep != p->record.dep) {
        p->record.dep = a->snap_write.dep;
        partition_put_record(p, job);
    }
    partition_submit(p, job);
}
