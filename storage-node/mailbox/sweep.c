/* SPDX-License-Identifier: Apache-2.0 */
/* ENTRY_SWEEP: forget what is due, a bounded number of rows an entry. What is due stands in rows ordered by
 * time (ids begin with one), so each look is at the front of a range. */
#include "storage-node/mailbox/stage/stage.h"

struct sweep {
    struct apply *a;
    size_t rows; /* still allowed */
};

/* ---- queues by time: requests and deliveries by themselves; uploads and bodies by rows that lead to them */

static void free_chunks(struct sweep *w, struct slice chunks)
{
    struct cursor c = cursor_of(chunks);
    for (struct chunk chunk; chunk_next(&c, &chunk);) {
        apply_free_body(w->a, chunk.index, chunk.size);
        w->rows -= w->rows > 0;
    }
}

static enum err forget_upload(struct sweep *w, struct cursor *rest)
{
    struct apply *a = w->a;
    struct key key;
    key_upload(&key, a->state.partition, rest->rest);
    struct kv_value value;
    enum err err = state_get(&a->state, &key, &value);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    struct upload_row row;
    bool good = upload_decode(value.bytes, &row);
    if (good)
        free_chunks(w, row.chunks);
    kv_value_release(&value);
    apply_delete(a, &key);
    return good ? OK : state_corrupt(&a->state, &key);
}

static enum err forget_body(struct sweep *w, struct cursor *rest)
{
    struct apply *a = w->a;
    uint64_t body = cursor_be64(rest);
    struct body_row row;
    enum err err = state_body(&a->state, body, &row);
    TRY(err == ERR_NOT_FOUND || (err == OK && row.refs > 0) ? ERR_CORRUPT : err);
    free_chunks(w, row.chunks);
    struct key key;
    key_body(&key, a->state.partition, body);
    apply_delete(a, &key);
    return OK;
}

/* The rows of a queue that are due, as many as are allowed, keys as varbytes. */
static enum err list_due(struct sweep *w, enum key_kind kind, uint64_t retention_ms, struct buf *keys)
{
    struct apply *a = w->a;
    if (a->header->time_ms < retention_ms)
        return OK;
    struct key lower, upper;
    key_begin(&lower, a->state.partition, 0, kind);
    upper = lower;
    key_u64(&upper, a->header->time_ms - retention_ms + 1);
    size_t count = 0;
    struct kv_iter *it = state_iter(&a->state, &lower, &upper);
    for (bool on_row = kv_iter_seek(it, key_slice(&lower)); on_row && count < w->rows;
         on_row = kv_iter_next(it)) {
        buf_add_varbytes(keys, kv_iter_key(it));
        count++;
    }
    enum err err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

/* Do with each due row of a queue what `forget` does (NULL: nothing more), then delete it. */
static enum err forget_due(struct sweep *w, enum key_kind kind, uint64_t retention_ms,
                           enum err (*forget)(struct sweep *w, struct cursor *rest))
{
    struct buf keys = { 0 };
    enum err err = list_due(w, kind, retention_ms, &keys);
    struct cursor c = cursor_of(buf_slice(&keys));
    while (err == OK && c.rest.len > 0 && w->rows > 0) {
        struct slice key = cursor_varbytes(&c);
        enum key_kind same;
        struct cursor rest;
        bool good = key_read(key, &same, &rest);
        cursor_be64(&rest);
        if (!good || rest.bad)
            err = state_corrupt_row(&w->a->state, key);
        else if (forget != NULL)
            err = forget(w, &rest);
        kv_txn_delete(w->a->state.txn, KV_STATE, key);
        w->rows -= w->rows > 0;
    }
    buf_fini(&keys);
    return err;
}

/* ---- mailboxes and accounts that are out of sight */

/* Letting a body go touches its row and its place in the queue of bodies. */
enum { ROWS_A_BODY = 3 };

static void take_rows(struct sweep *w, size_t count)
{
    w->rows -= w->rows > count ? count : w->rows;
}

/* Delete rows that begin with `prefix`, from `at` on if that is one of them, as many as are allowed; MESSAGE
 * rows let go of their bodies. *done_out: none is left; else *at is the next. (Walking over a million deleted
 * rows again would take longer than deleting the next ones.) */
static enum err delete_rows(struct sweep *w, const struct key *prefix, struct key *at, bool *done_out)
{
    struct apply *a = w->a;
    struct buf keys = { 0 }, bodies = { 0 };
    struct kv_iter *it = state_iter_prefix(&a->state, prefix);
    bool on_row =
        kv_iter_seek(it, slice_starts(key_slice(at), key_slice(prefix)) ? key_slice(at) : key_slice(prefix));
    enum err err = OK;
    for (; on_row && w->rows > 0 && err == OK; on_row = kv_iter_next(it)) {
        enum key_kind kind;
        struct cursor rest;
        struct message_row message;
        if (!key_read(kv_iter_key(it), &kind, &rest) ||
            (kind == KEY_MESSAGE && !message_decode(kv_iter_value(it), &message)))
            err = state_corrupt_row(&a->state, kv_iter_key(it));
        else if (kind == KEY_MESSAGE)
            buf_add(&bodies, &message.body, sizeof message.body);
        buf_add_varbytes(&keys, kv_iter_key(it));
        take_rows(w, kind == KEY_MESSAGE ? 1 + ROWS_A_BODY : 1);
    }
    *done_out = !on_row;
    at->len = 0;
    if (on_row)
        key_text(at, kv_iter_key(it));
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    struct cursor c = cursor_of(buf_slice(&keys));
    while (err == OK && c.rest.len > 0)
        kv_txn_delete(a->state.txn, KV_STATE, cursor_varbytes(&c));
    for (size_t i = 0; err == OK && i < bodies.len; i += sizeof(uint64_t)) {
        uint64_t body;
        memcpy(&body, bodies.data + i, sizeof body);
        err = body_unref(a, body);
    }
    buf_fini(&keys);
    buf_fini(&bodies);
    return err;
}

typedef enum err delete_fn(struct sweep *w, struct cursor *rest, struct key *at, bool *done_out);

static enum err delete_mailbox_rows(struct sweep *w, struct cursor *rest, struct key *at, bool *done_out)
{
    static const enum key_kind kinds[] = { KEY_MESSAGE, KEY_SUMMARY,  KEY_SEGMENT,
                                           KEY_CHANGE,  KEY_VANISHED, KEY_KEYWORDS };
    uint64_t account = cursor_be64(rest), mailbox = cursor_be64(rest);
    *done_out = true;
    for (size_t i = 0; *done_out && i < sizeof kinds / sizeof kinds[0]; i++) {
        struct key prefix;
        key_of_mailbox(&prefix, w->a->state.partition, account, kinds[i], mailbox);
        if (at->len == 0 || slice_starts(key_slice(at), key_slice(&prefix)))
            TRY(delete_rows(w, &prefix, at, done_out));
    }
    return OK;
}

static enum err delete_account_rows(struct sweep *w, struct cursor *rest, struct key *at, bool *done_out)
{
    struct key prefix;
    key_begin(&prefix, w->a->state.partition, cursor_be64(rest), 0);
    prefix.len--; /* every kind */
    return delete_rows(w, &prefix, at, done_out);
}

/* The row that says what is to be buried keeps the key of the next row to delete behind its version. */
static enum err load_position(struct sweep *w, const struct key *dead, struct key *at)
{
    struct kv_value value;
    TRY(state_get(&w->a->state, dead, &value));
    bool good =
        value.bytes.len > 0 && value.bytes.data[0] == ROW_VERSION && value.bytes.len <= sizeof at->bytes;
    at->len = 0;
    if (good)
        key_text(at, slice_sub(value.bytes, 1, value.bytes.len));
    kv_value_release(&value);
    return good ? OK : state_corrupt(&w->a->state, dead);
}

static void put_position(struct sweep *w, const struct key *dead, const struct key *at)
{
    buf_clear(w->a->value);
    buf_add_byte(w->a->value, ROW_VERSION);
    buf_add_slice(w->a->value, key_slice(at));
    apply_put(w->a, dead);
}

static enum err bury(struct sweep *w, enum key_kind kind, delete_fn *delete_all)
{
    struct apply *a = w->a;
    struct key prefix, key, at;
    key_begin(&prefix, a->state.partition, 0, kind);
    while (w->rows > 0) {
        struct cursor rest;
        enum err err = state_first_key(&a->state, &prefix, &key, &rest);
        if (err == ERR_NOT_FOUND)
            return OK;
        TRY(err);
        TRY(load_position(w, &key, &at));
        bool done;
        TRY(delete_all(w, &rest, &at, &done));
        if (!done) {
            put_position(w, &key, &at);
            return OK;
        }
        apply_delete(a, &key);
        take_rows(w, 1);
    }
    return OK;
}

enum err apply_sweep(struct apply *a)
{
    struct sweep w = { .a = a, .rows = SWEEP_ROWS_MAX };
    TRY(forget_due(&w, KEY_REQUEST, REQUEST_RETENTION_MS + REQUEST_GRACE_MS, NULL));
    TRY(forget_due(&w, KEY_DELIVERY, DELIVERY_RETENTION_MS + REQUEST_GRACE_MS, NULL));
    TRY(forget_due(&w, KEY_UPLOAD_DUE, UPLOAD_RETENTION_MS, forget_upload));
    TRY(forget_due(&w, KEY_FREE, UNDELETE_MS, forget_body));
    TRY(stage_sweep(a, &w.rows));
    /* Mailboxes first: an account's rows hold those of its dead mailboxes too. */
    TRY(bury(&w, KEY_DEAD_MAILBOX, delete_mailbox_rows));
    return bury(&w, KEY_DEAD_ACCOUNT, delete_account_rows);
}

/* ---- is anything due? */

enum err machine_sweep_due(struct kv *kv, uint32_t partition, uint64_t now_ms, bool *due_out)
{
    static const struct {
        enum key_kind kind;
        uint64_t retention_ms; /* of the time that the key begins with; 0: due at once, no time in the key */
    } queues[] = {
        { KEY_REQUEST, REQUEST_RETENTION_MS + REQUEST_GRACE_MS },
        { KEY_DELIVERY, DELIVERY_RETENTION_MS + REQUEST_GRACE_MS },
        { KEY_UPLOAD_DUE, UPLOAD_RETENTION_MS },
        { KEY_FREE, UNDELETE_MS },
        { KEY_STAGE_DUE, STAGE_IDLE_MS },
        { KEY_DEAD_MAILBOX, 0 },
        { KEY_DEAD_ACCOUNT, 0 },
    };
    struct state s = { .kv = kv, .partition = partition };
    *due_out = false;
    for (size_t i = 0; i < sizeof queues / sizeof queues[0] && !*due_out; i++) {
        struct key prefix, key;
        struct cursor rest;
        key_begin(&prefix, partition, 0, queues[i].kind);
        enum err err = state_first_key(&s, &prefix, &key, &rest);
        if (err == ERR_NOT_FOUND)
            continue;
        TRY(err);
        *due_out = queues[i].retention_ms == 0 || cursor_be64(&rest) + queues[i].retention_ms <= now_ms;
    }
    return OK;
}
