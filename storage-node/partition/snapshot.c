/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a partition's state for learners whose log does not join (R24), both ends.
 *
 * The sender keeps a view of the database and sends its rows in key order, a bounded chunk at a time: first
 * the applied row (index and chain), then the state, then the bodies up to that index. The receiver writes
 * each chunk in one batch; the first deletes what was there under the `installing` mark, the last removes it.
 *
 * A chunk is a run of rows: family (one byte), key, value, both with their length before them. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/partition/partition_priv.h"

struct snap_source {
    struct snap_source *next;
    struct replica_node to;
    struct kv_view *view;
    uint64_t nonce, seq; /* of the chunk in `rows` */
    uint64_t sent_bytes; /* of the chunks before it */
    uint64_t index, index_epoch;
    enum kv_family family; /* what comes next: the first row at or after `key` */
    struct buf key;
    struct buf rows;
    bool last; /* `rows` is the end */
};

/* ---- sending */

static void source_free(struct snap_source *s)
{
    kv_view_free(&s->view);
    buf_fini(&s->key);
    buf_fini(&s->rows);
    free(s);
}

void partition_snap_end(struct partition *p, struct replica_node to)
{
    for (struct snap_source **at = &p->sources; *at != NULL; at = &(*at)->next) {
        if (replica_node_eq((*at)->to, to)) {
            struct snap_source *s = *at;
            *at = s->next;
            source_free(s);
            return;
        }
    }
}

void partition_snap_end_all(struct partition *p)
{
    while (p->sources != NULL)
        partition_snap_end(p, p->sources->to);
}

static struct snap_source *source_find(const struct partition *p, struct replica_node to)
{
    struct snap_source *s = p->sources;
    while (s != NULL && !replica_node_eq(s->to, to))
        s = s->next;
    return s;
}

uint64_t partition_snap_sent(const struct partition *p, struct replica_node to)
{
    const struct snap_source *s = source_find(p, to);
    return s == NULL ? 0 : s->sent_bytes;
}

static void add_row(struct snap_source *s, enum kv_family family, struct slice key, struct slice value)
{
    buf_add_byte(&s->rows, (uint8_t)family);
    buf_add_varbytes(&s->rows, key);
    buf_add_varbytes(&s->rows, value);
}

/* Where a family's rows begin and end. Bodies above the index belong to entries that are sent as entries. */
static void family_range(const struct partition *p, enum kv_family family, uint64_t index, struct buf *lower,
                         struct buf *upper)
{
    if (family == KV_STATE) {
        machine_key_range(p->id, lower, upper);
    } else {
        machine_body_key(p->id, 0, lower);
        machine_body_key(p->id, index + 1, upper);
    }
}

/* Apply and this run on one thread, so the view is of exactly p->applied. */
static struct snap_source *source_new(struct partition *p, const struct replica_action *a)
{
    struct snap_source *s = NEW(struct snap_source);
    struct buf upper = { 0 };
    s->to = a->snap_send.to;
    s->nonce = a->snap_send.nonce;
    s->view = kv_view_new(p->kv);
    s->index = p->applied.index;
    s->index_epoch = replica_epoch_at(p->replica, s->index);
    s->family = KV_STATE;
    family_range(p, KV_STATE, s->index, &s->key, &upper);
    applied_key(p->id, &p->key);
    applied_encode(&p->applied, &p->value);
    add_row(s, KV_META, buf_slice(&p->key), buf_slice(&p->value));
    buf_fini(&upper);
    s->next = p->sources;
    p->sources = s;
    return s;
}

/* Rows of the family under way until the chunk is full; *more_out: there are others. */
static enum err fill_family(struct partition *p, struct snap_source *s, bool *more_out)
{
    struct buf lower = { 0 }, upper = { 0 };
    family_range(p, s->family, s->index, &lower, &upper);
    struct kv_iter *it = kv_iter_new(p->kv, s->view, s->family, buf_slice(&s->key), buf_slice(&upper));
    bool found = kv_iter_seek(it, buf_slice(&s->key));
    while (found && s->rows.len < p->copy_chunk_bytes) {
        add_row(s, s->family, kv_iter_key(it), kv_iter_value(it));
        found = kv_iter_next(it);
    }
    enum err err = kv_iter_err(it);
    if (found) {
        buf_clear(&s->key);
        buf_add_slice(&s->key, kv_iter_key(it));
    }
    *more_out = found;
    kv_iter_free(&it);
    buf_fini(&lower);
    buf_fini(&upper);
    return err;
}

static enum err fill_chunk(struct partition *p, struct snap_source *s)
{
    bool more = false;
    TRY(fill_family(p, s, &more));
    if (!more && s->family == KV_STATE && !STORAGE_FAULT(p->faults, bodiless_copy)) {
        struct buf upper = { 0 };
        s->family = KV_BODY;
        family_range(p, KV_BODY, s->index, &s->key, &upper);
        buf_fini(&upper);
        more = true;
        if (s->rows.len < p->copy_chunk_bytes)
            TRY(fill_family(p, s, &more));
    }
    s->last = !more;
    return OK;
}

enum err partition_snap_send(struct partition *p, const struct replica_action *a)
{
    struct snap_source *s = source_find(p, a->snap_send.to);
    if (s != NULL && (s->nonce != a->snap_send.nonce || (a->snap_send.seq == 0 && s->seq > 0))) {
        partition_snap_end(p, a->snap_send.to);
        s = NULL;
    }
    enum err err = OK;
    if (s == NULL) {
        if (a->snap_send.seq != 0)
            return OK; /* of a source that went with an error; the learner begins again */
        s = source_new(p, a);
        err = fill_chunk(p, s);
    } else if (a->snap_send.seq == s->seq + 1 && !s->last) {
        s->sent_bytes += s->rows.len;
        buf_clear(&s->rows);
        s->seq++;
        err = fill_chunk(p, s);
    }
    if (err == ERR_CORRUPT) {
        partition_stop(p, "a row of the state cannot be read");
        return OK;
    }
    TRY(err);
    if (a->snap_send.seq != s->seq)
        return OK; /* behind the end: the learner's Ack is on its way */
    struct slice rows = buf_slice(&s->rows);
    struct replica_msg msg = { .type = REPLICA_MSG_CHUNK,
                               .peer = a->snap_send.to,
                               .epoch = a->snap_send.epoch,
                               .chunk = { .term = a->snap_send.term,
                                          .nonce = a->snap_send.nonce,
                                          .seq = a->snap_send.seq,
                                          .index = s->index,
                                          .index_epoch = s->index_epoch,
                                          .last = s->last,
                                          .handle = &rows } };
    p->host->peers->send(p->host->peers->arg, p, &msg);
    return OK;
}

/* ---- receiving */

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
    family_range(p, row->family, msg->chunk.index, &lower, &upper);
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
