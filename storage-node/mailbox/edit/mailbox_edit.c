/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/edit/edit.h"

#include <assert.h>

void mailbox_edit_begin(struct account_edit *account, const struct mailbox_row *row, struct mailbox_edit *out)
{
    /* The keyword table is large and seldom wanted: it stays as it is until loaded. */
    out->account = account;
    out->row = *row;
    out->modseq = 0;
    out->segment_loaded = false;
    out->segment_dirty = false;
    out->keywords_loaded = false;
    out->keywords_dirty = false;
    out->vanished = (struct uidset){ 0 };
}

enum err mailbox_edit_open(struct apply *a, struct account_edit *account, uint64_t id, uint32_t uidvalidity,
                           struct mailbox_edit *out)
{
    struct mailbox_row row;
    TRY(state_mailbox_open(&a->state, account->id, id, uidvalidity, &row));
    mailbox_edit_begin(account, &row, out);
    return OK;
}

void mailbox_edit_drop(struct mailbox_edit *m)
{
    uidset_fini(&m->vanished);
}

uint64_t mailbox_touch(struct mailbox_edit *m)
{
    m->modseq = account_modseq(m->account);
    m->row.modseq = m->modseq;
    return m->modseq;
}

void mailbox_put(struct apply *a, uint64_t account, const struct mailbox_row *row)
{
    struct key key;
    key_mailbox(&key, a->state.partition, account, row->id);
    mailbox_encode(row, a->value);
    apply_put(a, &key);
}

/* ---- segments: one is held, and written when another is wanted */

void segment_put(struct apply *a, uint64_t account, uint64_t mailbox, uint32_t number,
                 const struct segment_row *row)
{
    static const struct segment_row none;
    struct key key;
    key_segment(&key, a->state.partition, account, mailbox, number);
    if (memcmp(row->exists, none.exists, sizeof none.exists) == 0) {
        apply_delete(a, &key);
        return;
    }
    segment_encode(row, a->value);
    apply_put(a, &key);
}

static void store_segment(struct apply *a, struct mailbox_edit *m)
{
    if (m->segment_dirty)
        segment_put(a, m->account->id, m->row.id, m->segment_number, &m->segment);
    m->segment_dirty = false;
}

static enum err hold_segment(struct apply *a, struct mailbox_edit *m, uint32_t uid)
{
    uint32_t number = uid / SEGMENT_UIDS;
    if (m->segment_loaded && m->segment_number == number)
        return OK;
    store_segment(a, m);
    m->segment_number = number;
    m->segment_loaded = true;
    return state_segment(&a->state, m->account->id, m->row.id, number, &m->segment);
}

static void set_bit(uint8_t bits[SEGMENT_BYTES], uint32_t uid, bool on)
{
    unsigned i = uid % SEGMENT_UIDS;
    uint8_t mask = (uint8_t)(1u << i % 8);
    bits[i / 8] = (uint8_t)(on ? bits[i / 8] | mask : bits[i / 8] & ~mask);
}

static enum err mark_uid(struct apply *a, struct mailbox_edit *m, uint32_t uid, bool exists, bool unseen)
{
    TRY(hold_segment(a, m, uid));
    set_bit(m->segment.exists, uid, exists);
    set_bit(m->segment.unseen, uid, unseen);
    if (!exists)
        set_bit(m->segment.leaving, uid, false);
    m->segment_dirty = true;
    return OK;
}

/* ---- counters of the mailbox and its account */

static void count_in(struct mailbox_edit *m, const struct message_row *message)
{
    m->row.messages++;
    m->row.unseen += (message->flags & MAIL_SEEN) == 0;
    m->row.deleted += (message->flags & MAIL_DELETED) != 0;
    m->row.size += message->size;
    m->account->row.message_count++;
    m->account->row.used_bytes += message->size;
}

static bool can_count_out(const struct mailbox_edit *m, const struct message_row *message)
{
    return m->row.messages > 0 && m->row.unseen >= ((message->flags & MAIL_SEEN) == 0) &&
           m->row.deleted >= ((message->flags & MAIL_DELETED) != 0) && m->row.size >= message->size &&
           m->account->row.message_count > 0 && m->account->row.used_bytes >= message->size;
}

static void count_out(struct mailbox_edit *m, const struct message_row *message)
{
    m->row.messages--;
    m->row.unseen -= (message->flags & MAIL_SEEN) == 0;
    m->row.deleted -= (message->flags & MAIL_DELETED) != 0;
    m->row.size -= message->size;
    m->account->row.message_count--;
    m->account->row.used_bytes -= message->size;
}

enum err mailbox_count_stage(struct mailbox_edit *m, const struct stage_row *stage, bool in)
{
    struct mailbox_row *row = &m->row;
    if (in) {
        row->messages += stage->messages;
        row->unseen += stage->unseen;
        row->deleted += stage->deleted;
        row->size += stage->size;
        return OK;
    }
    if (row->messages < stage->messages || row->unseen < stage->unseen || row->deleted < stage->deleted ||
        row->size < stage->size)
        return ERR_CORRUPT;
    row->messages -= stage->messages;
    row->unseen -= stage->unseen;
    row->deleted -= stage->deleted;
    row->size -= stage->size;
    return OK;
}

/* ---- messages */

static void put_message(struct apply *a, struct mailbox_edit *m, uint32_t uid,
                        const struct message_row *message)
{
    struct key key;
    key_of_uid(&key, a->state.partition, m->account->id, KEY_MESSAGE, m->row.id, uid);
    message_encode(message, a->value);
    apply_put(a, &key);
    key_of_modseq(&key, a->state.partition, m->account->id, KEY_CHANGE, m->row.id, message->modseq, uid);
    apply_put_empty(a, &key);
}

/* A large move takes messages as they were when they were marked. */
static enum err note_leaving(struct apply *a, struct mailbox_edit *m, uint32_t uid)
{
    if (m->row.leaving != LEAVING_MARKED || m->row.leaving_changed)
        return OK;
    TRY(hold_segment(a, m, uid));
    m->row.leaving_changed = (m->segment.leaving[uid % SEGMENT_UIDS / 8] >> uid % 8 & 1) != 0;
    return OK;
}

static void delete_change(struct apply *a, struct mailbox_edit *m, uint64_t modseq, uint32_t uid)
{
    struct key key;
    key_of_modseq(&key, a->state.partition, m->account->id, KEY_CHANGE, m->row.id, modseq, uid);
    apply_delete(a, &key);
}

/* The next UID is not one that a copy being made has reserved (then that copy begins again, behind it). */
static enum err pass_stage(struct mailbox_edit *m)
{
    uint64_t next = m->row.uidnext;
    if (m->row.staged_first != 0 && next >= m->row.staged_first && next <= m->row.staged_last)
        next = ((uint64_t)m->row.staged_last / SEGMENT_UIDS + 1) * SEGMENT_UIDS;
    if (next > UID_LAST)
        return ERR_LIMIT;
    m->row.uidnext = (uint32_t)next;
    return OK;
}

static void put_summary(struct apply *a, struct mailbox_edit *m, uint32_t uid, struct slice summary_row)
{
    struct key key;
    key_of_uid(&key, a->state.partition, m->account->id, KEY_SUMMARY, m->row.id, uid);
    kv_txn_put(a->state.txn, KV_STATE, key_slice(&key), summary_row);
}

enum err message_stage(struct apply *a, struct mailbox_edit *m, const struct message_row *message,
                       struct slice summary_row, uint32_t uid)
{
    TRY(mark_uid(a, m, uid, true, (message->flags & MAIL_SEEN) == 0));
    put_message(a, m, uid, message);
    put_summary(a, m, uid, summary_row);
    return OK;
}

enum err message_mark_leaving(struct apply *a, struct mailbox_edit *m, uint32_t uid)
{
    TRY(hold_segment(a, m, uid));
    set_bit(m->segment.leaving, uid, true);
    m->segment_dirty = true;
    return OK;
}

enum err message_add(struct apply *a, struct mailbox_edit *m, const struct message_row *message,
                     struct slice summary_row, uint32_t *uid_out)
{
    TRY(pass_stage(m));
    uint32_t uid = m->row.uidnext++;
    struct message_row row = *message;
    row.modseq = mailbox_touch(m);
    TRY(mark_uid(a, m, uid, true, (row.flags & MAIL_SEEN) == 0));
    put_message(a, m, uid, &row);
    put_summary(a, m, uid, summary_row);
    count_in(m, &row);
    *uid_out = uid;
    return OK;
}

enum err message_change_flags(struct apply *a, struct mailbox_edit *m, uint32_t uid,
                              const struct message_row *message, uint32_t flags, uint64_t keywords)
{
    if (!can_count_out(m, message))
        return ERR_CORRUPT;
    TRY(note_leaving(a, m, uid));
    struct message_row row = *message;
    row.flags = flags;
    row.keywords = keywords;
    row.modseq = mailbox_touch(m);
    if (((message->flags ^ flags) & MAIL_SEEN) != 0)
        TRY(mark_uid(a, m, uid, true, (flags & MAIL_SEEN) == 0));
    count_out(m, message);
    count_in(m, &row);
    delete_change(a, m, message->modseq, uid);
    put_message(a, m, uid, &row);
    return OK;
}

void message_delete_rows(struct apply *a, uint64_t account, uint64_t mailbox, uint32_t uid,
                         const struct message_row *message)
{
    struct key key;
    key_of_uid(&key, a->state.partition, account, KEY_MESSAGE, mailbox, uid);
    apply_delete(a, &key);
    key_of_uid(&key, a->state.partition, account, KEY_SUMMARY, mailbox, uid);
    apply_delete(a, &key);
    key_of_modseq(&key, a->state.partition, account, KEY_CHANGE, mailbox, message->modseq, uid);
    apply_delete(a, &key);
}

enum err message_remove(struct apply *a, struct mailbox_edit *m, uint32_t uid,
                        const struct message_row *message)
{
    if (!can_count_out(m, message))
        return ERR_CORRUPT;
    mailbox_touch(m);
    TRY(note_leaving(a, m, uid));
    TRY(mark_uid(a, m, uid, false, false));
    message_delete_rows(a, m->account->id, m->row.id, uid, message);
    count_out(m, message);
    uidset_add(&m->vanished, uid);
    return OK;
}

/* ---- what has vanished */

/* List the oldest VANISHED rows, `count` of them, and raise the floor to them; keys as varbytes. */
static enum err list_oldest(struct apply *a, struct mailbox_edit *m, uint32_t count, struct buf *keys)
{
    struct key from, behind;
    /* Below the floor there are none: no need to walk over what was deleted there. */
    key_of_modseq(&from, a->state.partition, m->account->id, KEY_VANISHED, m->row.id, m->row.vanished_floor,
                  0);
    key_of_mailbox(&behind, a->state.partition, m->account->id, KEY_VANISHED, m->row.id);
    key_behind(&behind);
    struct kv_iter *it = state_iter(&a->state, &from, &behind);
    enum err err = OK;
    bool on_row = kv_iter_seek(it, key_slice(&from));
    for (; on_row && count > 0 && err == OK; on_row = kv_iter_next(it), count--) {
        enum key_kind kind;
        struct cursor rest;
        bool good = key_read(kv_iter_key(it), &kind, &rest);
        cursor_be64(&rest);
        m->row.vanished_floor = cursor_be64(&rest);
        if (!good || rest.bad)
            err = state_corrupt_row(&a->state, kv_iter_key(it));
        buf_add_varbytes(keys, kv_iter_key(it));
    }
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    return err == OK && count > 0 ? ERR_CORRUPT : err;
}

/* Forget the oldest VANISHED rows beyond the bound; whoever asks for changes since before the floor is told
 * so. */
static enum err forget_oldest(struct apply *a, struct mailbox_edit *m)
{
    if (m->row.vanished_count <= VANISHED_MAX)
        return OK;
    uint32_t excess = m->row.vanished_count - VANISHED_MAX;
    struct buf keys = { 0 };
    enum err err = list_oldest(a, m, excess, &keys);
    struct cursor c = cursor_of(buf_slice(&keys));
    while (err == OK && c.rest.len > 0)
        kv_txn_delete(a->state.txn, KV_STATE, cursor_varbytes(&c));
    buf_fini(&keys);
    m->row.vanished_count -= excess;
    return err;
}

static enum err store_vanished(struct apply *a, struct mailbox_edit *m)
{
    for (uint32_t i = 0; i < m->vanished.count; i++) {
        struct uid_range range = m->vanished.ranges[i];
        struct key key;
        key_of_modseq(&key, a->state.partition, m->account->id, KEY_VANISHED, m->row.id, m->modseq,
                      range.first);
        apply_put_number(a, &key, range.last);
    }
    m->row.vanished_count += m->vanished.count;
    return forget_oldest(a, m);
}

/* ---- closing */

static void store_keywords(struct apply *a, struct mailbox_edit *m)
{
    if (!m->keywords_dirty)
        return;
    m->keywords.modseq = mailbox_touch(m);
    struct key key;
    key_of_mailbox(&key, a->state.partition, m->account->id, KEY_KEYWORDS, m->row.id);
    keywords_encode(&m->keywords, a->value);
    apply_put(a, &key);
}

enum err mailbox_edit_close(struct apply *a, struct mailbox_edit *m)
{
    store_keywords(a, m);
    store_segment(a, m);
    enum err err = store_vanished(a, m);
    uidset_fini(&m->vanished);
    TRY(err);
    mailbox_put(a, m->account->id, &m->row);
    if (m->modseq != 0)
        apply_note_change(a, m->account->id, m->row.id, m->modseq);
    return OK;
}
