/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/partition/log/log_job.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"

struct log_job *log_job_new(struct partition *partition, uint64_t token)
{
    struct log_job *job = NEW(struct log_job);
    job->partition = partition;
    job->token = token;
    return job;
}

void log_job_free(struct log_job **job)
{
    if (*job == NULL)
        return;
    assert((*job)->held_count == 0);
    free((*job)->ops);
    free((*job)->held);
    buf_fini(&(*job)->bytes);
    free(*job);
    *job = NULL;
}

static struct log_op *new_op(struct log_job *job, enum log_op_kind kind, enum kv_family family)
{
    if (job->op_count == job->op_cap) {
        job->op_cap = job->op_cap == 0 ? 4 : job->op_cap * 2;
        job->ops = xrealloc(job->ops, job->op_cap * sizeof *job->ops);
    }
    struct log_op *op = &job->ops[job->op_count++];
    *op = (struct log_op){ .kind = kind, .family = family };
    return op;
}

static struct log_op *add_op(struct log_job *job, enum log_op_kind kind, enum kv_family family,
                             struct slice key)
{
    struct log_op *op = new_op(job, kind, family);
    op->key_at = (uint32_t)job->bytes.len;
    op->key_len = (uint32_t)key.len;
    buf_add_slice(&job->bytes, key);
    return op;
}

void log_job_put(struct log_job *job, enum kv_family family, struct slice key, struct slice value)
{
    add_op(job, LOG_OP_PUT, family, key)->value = value;
    job->value_bytes += value.len;
}

static void add_second(struct log_job *job, struct log_op *op, struct slice bytes)
{
    op->to_at = (uint32_t)job->bytes.len;
    op->to_len = (uint32_t)bytes.len;
    buf_add_slice(&job->bytes, bytes);
}

void log_job_put_copy(struct log_job *job, enum kv_family family, struct slice key, struct slice value)
{
    add_second(job, add_op(job, LOG_OP_PUT, family, key), value);
}

void log_job_delete(struct log_job *job, enum kv_family family, struct slice key)
{
    add_op(job, LOG_OP_DELETE, family, key);
}

void log_job_delete_range(struct log_job *job, enum kv_family family, struct slice from, struct slice to)
{
    add_second(job, add_op(job, LOG_OP_DELETE_RANGE, family, from), to);
}

void log_job_take(struct log_job *job, struct buf *bytes)
{
    assert(job->op_count == 0);
    buf_fini(&job->bytes);
    job->bytes = *bytes;
    *bytes = (struct buf){ 0 };
}

void log_job_put_within(struct log_job *job, enum kv_family family, struct slice key, struct slice value)
{
    const uint8_t *bytes = job->bytes.data;
    assert(key.data >= bytes && value.data + value.len <= bytes + job->bytes.len);
    struct log_op *op = new_op(job, LOG_OP_PUT, family);
    op->key_at = (uint32_t)(key.data - bytes);
    op->key_len = (uint32_t)key.len;
    op->to_at = (uint32_t)(value.data - bytes);
    op->to_len = (uint32_t)value.len;
}

void log_job_hold(struct log_job *job, struct log_entry *entry)
{
    if (job->held_count == job->held_cap) {
        job->held_cap = job->held_cap == 0 ? 4 : job->held_cap * 2;
        job->held = xrealloc(job->held, job->held_cap * sizeof(struct log_entry *));
    }
    job->held[job->held_count++] = entry;
}

void log_job_fill(const struct log_job *job, struct kv_batch *batch)
{
    const uint8_t *bytes = job->bytes.data;
    for (size_t i = 0; i < job->op_count; i++) {
        const struct log_op *op = &job->ops[i];
        struct slice key = slice_of(bytes + op->key_at, op->key_len);
        struct slice second = slice_of(bytes + op->to_at, op->to_len);
        switch (op->kind) {
        case LOG_OP_PUT:
            kv_batch_put(batch, op->family, key, op->to_len > 0 ? second : op->value);
            break;
        case LOG_OP_DELETE:
            kv_batch_delete(batch, op->family, key);
            break;
        case LOG_OP_DELETE_RANGE:
            kv_batch_delete_range(batch, op->family, key, second);
            break;
        }
    }
}

enum err log_job_write_unlogged(struct kv *kv, struct kv_batch *batch, const struct log_job *job)
{
    kv_batch_clear(batch);
    log_job_fill(job, batch);
    enum err err = kv_write_unlogged(kv, batch);
    kv_batch_clear(batch);
    return err;
}

enum err log_persist(struct kv *kv, struct inbox_item *jobs, const struct storage_faults *faults)
{
    for (struct inbox_item *item = jobs; item != NULL; item = item->next) {
        if (((const struct log_job *)item)->way == LOG_JOB_CLOSING &&
            !STORAGE_FAULT(faults, unpersisted_install))
            return kv_persist(kv);
    }
    return OK;
}

enum err log_commit(struct kv *kv, struct kv_batch *batch, struct inbox_item *jobs,
                    const struct storage_faults *faults)
{
    kv_batch_clear(batch);
    for (struct inbox_item *item = jobs; item != NULL; item = item->next) {
        if (((const struct log_job *)item)->way != LOG_JOB_UNLOGGED)
            log_job_fill((const struct log_job *)item, batch);
    }
    enum err err = kv_write(kv, batch);
    if (err == OK && !STORAGE_FAULT(faults, skip_sync))
        err = kv_sync(kv);
    kv_batch_clear(batch);
    return err;
}
