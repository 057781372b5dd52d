/* SPDX-License-Identifier: Apache-2.0 */
/* What is left of a stage, deleted in bounded pieces. Mailboxes may have been deleted meanwhile, and then
 * their own sweep deletes the same rows: what is not there any more is passed over. */
#include "storage-node/mailbox/stage/stage.h"

struct stage_sweep {
    struct apply *a;
    uint64_t account;
    struct stage_row row;
    size_t *rows; /* still allowed */
};

enum { ROWS_A_MESSAGE = 5 };

static void take_rows(struct stage_sweep *w, size_t count)
{
    *w->rows -= *w->rows > count ? count : *w->rows;
}

static enum err delete_message(struct stage_sweep *w, uint64_t mailbox, uint32_t uid)
{
    struct message_row row;
    enum err err = state_message(&w->a->state, w->account, mailbox, uid, &row);
    take_rows(w, ROWS_A_MESSAGE);
    if (err == ERR_NOT_FOUND)
        return OK;
    TRY(err);
    message_delete_rows(w->a, w->account, mailbox, uid, &row);
    return body_unref(w->a, row.body);
}

/* The mailbox's row if it still is a mailbox. */
static enum err find_mailbox(struct stage_sweep *w, uint64_t id, struct mailbox_row *out, bool *found_out)
{
    enum err err = state_mailbox(&w->a->state, w->account, id, out);
    *found_out = err == OK;
    return err == ERR_NOT_FOUND ? OK : err;
}

/* ---- the target of a stage that was given up */

/* The range begins and ends with segments of its own. */
static enum err empty_target(struct stage_sweep *w, bool *done_out)
{
    struct stage_row *row = &w->row;
    *done_out = false;
    if (row->swept_uid < row->first_uid)
        row->swept_uid = row->first_uid;
    for (; row->swept_uid < row->next_uid; row->swept_uid++) {
        if (*w->rows == 0)
            return OK;
        TRY(delete_message(w, row->to, row->swept_uid));
        bool last_of_segment =
            row->swept_uid % SEGMENT_UIDS == SEGMENT_UIDS - 1 || row->swept_uid + 1 == row->next_uid;
        if (!last_of_segment)
            continue;
        struct key key;
        key_segment(&key, w->a->state.partition, w->account, row->to, row->swept_uid / SEGMENT_UIDS);
        apply_delete(w->a, &key);
    }
    struct mailbox_row mailbox;
    bool found;
    TRY(find_mailbox(w, row->to, &mailbox, &found));
    if (found) {
        mailbox.staged_first = mailbox.staged_last = 0;
        mailbox_put(w->a, w->account, &mailbox);
    }
    *done_out = true;
    return OK;
}

/* ---- the source of a move */

static enum err delete_leaving(struct stage_sweep *w, uint32_t number, struct segment_row *segment)
{
    for (unsigned i = 0; i<SEGMENT_UIDS && * w->rows> 0; i++) {
        uint8_t mask = (uint8_t)(1u << i % 8);
        if ((segment->leaving[i / 8] & mask) == 0)
            continue;
        TRY(delete_message(w, w->row.from, number * SEGMENT_UIDS + i));
        segment->exists[i / 8] &= (uint8_t)~mask;
        segment->unseen[i / 8] &= (uint8_t)~mask;
        segment->leaving[i / 8] &= (uint8_t)~mask;
    }
    return OK;
}

static bool any_leaving(const struct segment_row *segment)
{
    static const struct segment_row none;
    return memcmp(segment->leaving, none.leaving, sizeof none.leaving) != 0;
}

/* One segment: its marked messages are deleted if they have moved, else only unmarked. */
static enum err settle_segment(struct stage_sweep *w, uint32_t number, struct segment_row *segment)
{
    take_rows(w, 1);
    if (any_leaving(segment)) {
        if (w->row.state == STAGE_MOVED)
            TRY(delete_leaving(w, number, segment));
        else
            memset(segment->leaving, 0, sizeof segment->leaving);
        segment_put(w->a, w->account, w->row.from, number, segment);
    }
    w->row.swept_segment = any_leaving(segment) ? number : number + 1;
    return OK;
}

/* VANISHED rows below the floor are of no use to anybody. */
static enum err delete_vanished(struct stage_sweep *w, const struct mailbox_row *mailbox)
{
    struct key lower, upper;
    struct buf keys = { 0 };
    key_of_mailbox(&lower, w->a->state.partition, w->account, KEY_VANISHED, mailbox->id);
    key_of_modseq(&upper, w->a->state.partition, w->account, KEY_VANISHED, mailbox->id,
                  mailbox->vanished_floor, 0);
    struct kv_iter *it = state_iter(&w->a->state, &lower, &upper);
    for (bool on_row = kv_iter_seek(it, key_slice(&lower)); on_row && *w->rows > 0;
         on_row = kv_iter_next(it)) {
        buf_add_varbytes(&keys, kv_iter_key(it));
        take_rows(w, 1);
    }
    enum err err = kv_iter_err(it);
    kv_iter_free(&it);
    struct cursor c = cursor_of(buf_slice(&keys));
    while (err == OK && c.rest.len > 0)
        kv_txn_delete(w->a->state.txn, KV_STATE, cursor_varbytes(&c));
    buf_fini(&keys);
    return err;
}

static enum err settle_source(struct stage_sweep *w, bool *done_out)
{
    uint32_t last = w->row.source_uid / SEGMENT_UIDS;
    *done_out = false;
    while (w->row.swept_segment <= last) {
        if (*w->rows == 0)
            return OK;
        struct segment_row segment;
        enum err err =
            state_segment_from(&w->a->state, w->account, w->row.from, &w->row.swept_segment, &segment);
        if (err == ERR_NOT_FOUND)
            break;
        TRY(err);
        if (w->row.swept_segment <= last)
            TRY(settle_segment(w, w->row.swept_segment, &segment));
    }
    struct mailbox_row mailbox;
    bool found;
    TRY(find_mailbox(w, w->row.from, &mailbox, &found));
    if (found && w->row.state == STAGE_MOVED)
        TRY(delete_vanished(w, &mailbox));
    if (*w->rows == 0)
        return OK;
    if (found) {
        mailbox.leaving = LEAVING_NONE;
        mailbox.leaving_changed = false;
        mailbox_put(w->a, w->account, &mailbox);
    }
    *done_out = true;
    return OK;
}

/* ---- one stage */

static enum err settle(struct stage_sweep *w, bool *done_out)
{
    *done_out = true;
    if (w->row.state == STAGE_ABANDONED)
        TRY(empty_target(w, done_out));
    if (*done_out && w->row.move)
        TRY(settle_source(w, done_out));
    return OK;
}

static void delete_stage(struct apply *a, uint64_t account)
{
    struct key key;
    key_stage(&key, a->state.partition, account);
    apply_delete(a, &key);
}

/* Not inlined: two frames of keys and rows would become one that is too large. */
static __attribute__((noinline)) enum err sweep_account(struct apply *a, uint64_t account,
                                                        const struct key *due, size_t *rows)
{
    struct stage_sweep w = { .a = a, .account = account, .rows = rows };
    enum err err = state_stage(&a->state, account, &w.row);
    if (err == ERR_NOT_FOUND) { /* with its account */
        apply_delete(a, due);
        return OK;
    }
    TRY(err);
    if (w.row.state == STAGE_OPEN)
        w.row.state = STAGE_ABANDONED;
    bool done;
    TRY(settle(&w, &done));
    if (!done) {
        stage_put_due(a, account, &w.row, 0);
        return OK;
    }
    apply_delete(a, due);
    delete_stage(a, account);
    return OK;
}

enum err stage_sweep(struct apply *a, size_t *rows)
{
    struct key prefix, key;
    struct cursor rest;
    if (*rows == 0)
        return OK;
    key_begin(&prefix, a->state.partition, 0, KEY_STAGE_DUE);
    enum err err = state_first_key(&a->state, &prefix, &key, &rest);
    if (err == ERR_NOT_FOUND)
        return OK;
    TRY(err);
    uint64_t time_ms = cursor_be64(&rest), account = cursor_be64(&rest);
    if (!cursor_done(&rest))
        return state_corrupt(&a->state, &key);
    if (time_ms + STAGE_IDLE_MS > a->header->time_ms)
        return OK;
    return sweep_account(a, account, &key, rows);
}
