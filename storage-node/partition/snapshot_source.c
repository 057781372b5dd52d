/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a partition's state for learners whose log does not join (R24): the sending end.
 *
 * The sender keeps a view of the database and sends its rows in key order, a bounded chunk at a time: first
 * the applied row (index and chain), then the state, then the bodies up to that index. Rows are read on
 * another thread (work.h), the next chunk while the last one is on its way, so that a copy delays neither
 * beats nor entries, and the learner does not wait for this node's disk.
 *
 * A chunk is a run of rows: family (one byte), key, value, both with their length before them. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/partition/partition_priv.h"

struct snap_source {
    struct partition_work work; /* first */
    struct snap_source *next;
    struct replica_node to;
    uint64_t nonce;
    uint64_t index, index_epoch;
    uint64_t sent_bytes; /* of the chunks before the one in `rows` */
    uint64_t next_seq;   /* of the chunk in `ahead`; the one before is in `rows` */
    struct buf rows;
    bool last;    /* `rows` is the end */
    bool reading; /* what follows is the other thread's */
    bool wanted;  /* the next chunk is to be sent when it was read, as `want` says */
    bool ended;   /* to be freed when it comes back */
    struct {
        uint64_t epoch, term;
    } want;

    struct kv *kv;
    uint32_t partition, chunk_bytes;
    bool bodiless; /* a simulator's fault */
    struct kv_view *view;
    enum kv_family family; /* what comes next: the first row at or after `key` */
    struct buf key;
    struct buf ahead;
    bool ahead_last;
    enum err err;
};

void partition_family_range(uint32_t partition, enum kv_family family, uint64_t index, struct buf *lower,
                            struct buf *upper)
{
    if (family == KV_STATE) {
        machine_key_range(partition, lower, upper);
    } else {
        machine_body_key(partition, 0, lower);
        machine_body_key(partition, index + 1, upper);
    }
}

/* ---- life */

static void source_free(struct snap_source *s)
{
    kv_view_free(&s->view);
    buf_fini(&s->key);
    buf_fini(&s->rows);
    buf_fini(&s->ahead);
    free(s);
}

void partition_snap_end(struct partition *p, struct replica_node to)
{
    for (struct snap_source **at = &p->sources; *at != NULL; at = &(*at)->next) {
        if (replica_node_eq((*at)->to, to)) {
            struct snap_source *s = *at;
            *at = s->next;
            s->ended = true;
            if (!s->reading)
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

static void begin_family(struct snap_source *s, enum kv_family family)
{
    struct buf upper = { 0 };
    s->family = family;
    buf_clear(&s->key);
    partition_family_range(s->partition, family, s->index, &s->key, &upper);
    buf_fini(&upper);
}

static void add_row(struct snap_source *s, enum kv_family family, struct slice key, struct slice value)
{
    buf_add_byte(&s->ahead, (uint8_t)family);
    buf_add_varbytes(&s->ahead, key);
    buf_add_varbytes(&s->ahead, value);
}

/* ---- reading, on another thread */

/* The first one goes by the learner's log (snapshot.c). */
static size_t chunk_limit(const struct snap_source *s)
{
    return s->next_seq == 0 && s->chunk_bytes > COPY_FIRST_BYTES ? COPY_FIRST_BYTES : s->chunk_bytes;
}

/* Rows of the family under way until the chunk is full; *more_out: there are others. */
static enum err fill_family(struct snap_source *s, bool *more_out)
{
    struct buf lower = { 0 }, upper = { 0 };
    partition_family_range(s->partition, s->family, s->index, &lower, &upper);
    struct kv_iter *it = kv_iter_new(s->kv, s->view, s->family, buf_slice(&s->key), buf_slice(&upper));
    bool found = kv_iter_seek(it, buf_slice(&s->key));
    size_t limit = chunk_limit(s);
    while (found && s->ahead.len < limit) {
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

static enum err fill_chunk(struct snap_source *s)
{
    bool more = false;
    TRY(fill_family(s, &more));
    if (!more && s->family == KV_STATE && !s->bodiless) {
        begin_family(s, KV_BODY);
        more = true;
        if (s->ahead.len < chunk_limit(s))
            TRY(fill_family(s, &more));
    }
    s->ahead_last = !more;
    return OK;
}

static void run(struct partition_work *work)
{
    struct snap_source *s = (struct snap_source *)work;
    s->err = fill_chunk(s);
    work->paced_bytes = s->ahead.len;
}

/* ---- sending */

static void read_ahead(struct partition *p, struct snap_source *s)
{
    s->reading = true;
    partition_give_work(p, &s->work);
}

static void send_rows(struct partition *p, struct snap_source *s, struct slice rows)
{
    struct replica_msg msg = { .type = REPLICA_MSG_CHUNK,
                               .peer = s->to,
                               .epoch = s->want.epoch,
                               .chunk = { .term = s->want.term,
                                          .nonce = s->nonce,
                                          .seq = s->next_seq - 1,
                                          .index = s->index,
                                          .index_epoch = s->index_epoch,
                                          .last = s->last,
                                          .handle = &rows } };
    p->host->peers->send(p->host->peers->arg, p, &msg);
}

static void send_chunk(struct partition *p, struct snap_source *s)
{
    send_rows(p, s, buf_slice(&s->rows));
}

/* The learner gives up a copy of which nothing comes. It has the chunk before: the repeat of one needs no
 * rows, but for the first, which is no chunk without them. */
static void send_sign_of_life(struct partition *p, struct snap_source *s)
{
    send_rows(p, s, s->next_seq == 1 ? buf_slice(&s->rows) : SLICE_NULL);
}

/* The chunk that was read becomes the one that is sent. */
static void advance(struct partition *p, struct snap_source *s)
{
    struct buf rows = s->rows;
    s->sent_bytes += rows.len;
    s->rows = s->ahead;
    s->last = s->ahead_last;
    s->ahead = rows;
    buf_clear(&s->ahead);
    s->next_seq++;
    s->wanted = false;
    send_chunk(p, s);
    if (!s->last)
        read_ahead(p, s);
}

static enum err done(struct partition_work *work, const struct partition_now *now)
{
    struct snap_source *s = (struct snap_source *)work;
    struct partition *p = work->partition;
    s->reading = false;
    if (s->ended) {
        source_free(s);
        return OK;
    }
    if (s->err != OK) {
        partition_snap_end(p, s->to);
        partition_damaged(p, "a row could not be read for a copy");
        return OK;
    }
    if (s->wanted)
        advance(p, s);
    return OK;
}

/* Apply and this run on one thread, so the view is of exactly p->applied. */
static struct snap_source *source_new(struct partition *p, const struct replica_action *a)
{
    struct snap_source *s = NEW(struct snap_source);
    s->work.run = run;
    s->work.done = done;
    s->kv = p->kv;
    s->partition = p->id;
    s->chunk_bytes = p->copy_chunk_bytes;
    s->bodiless = STORAGE_FAULT(p->faults, bodiless_copy);
    s->to = a->snap_send.to;
    s->nonce = a->snap_send.nonce;
    s->view = kv_view_new(p->kv);
    s->index = p->applied.index;
    s->index_epoch = replica_epoch_at(p->replica, s->index);
    begin_family(s, KV_STATE);
    applied_key(p->id, &p->key);
    applied_encode(&p->applied, &p->value);
    add_row(s, KV_META, buf_slice(&p->key), buf_slice(&p->value));
    s->next = p->sources;
    p->sources = s;
    return s;
}

void partition_snap_send(struct partition *p, const struct replica_action *a)
{
    struct snap_source *s = source_find(p, a->snap_send.to);
    if (s != NULL && (s->nonce != a->snap_send.nonce || (a->snap_send.seq == 0 && s->next_seq > 1))) {
        partition_snap_end(p, a->snap_send.to);
        s = NULL;
    }
    if (s == NULL) {
        if (a->snap_send.seq != 0)
            return; /* of a source that went with an error; the learner begins again */
        s = source_new(p, a);
        read_ahead(p, s);
    }
    s->want.epoch = a->snap_send.epoch;
    s->want.term = a->snap_send.term;
    if (a->snap_send.seq + 1 == s->next_seq) {
        send_chunk(p, s); /* again */
    } else if (a->snap_send.seq == s->next_seq && !s->last) {
        if (s->wanted && s->next_seq > 0)
            send_sign_of_life(p, s);
        s->wanted = true;
        if (!s->reading)
            advance(p, s);
    } /* or behind the end: the learner's Ack is on its way */
}
