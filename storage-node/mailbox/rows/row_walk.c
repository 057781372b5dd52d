/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/rows/row_walk.h"

enum { STEPS_MAX = 16 }; /* about what a seek costs */

void row_walk_begin(struct row_walk *w, const struct state *s, uint64_t account, enum key_kind kind,
                    uint64_t mailbox, uint32_t first, uint32_t last)
{
    struct key upper;
    key_of_uid(&w->key, s->partition, account, kind, mailbox, first);
    key_of_uid(&upper, s->partition, account, kind, mailbox, last);
    key_behind(&upper);
    w->state = s;
    w->it = state_iter(s, &w->key, &upper);
    w->on_row = false;
    w->uid = 0;
}

void row_walk_end(struct row_walk *w)
{
    kv_iter_free(&w->it);
}

static enum err note_position(struct row_walk *w, bool on_row)
{
    w->on_row = on_row;
    if (!on_row)
        return kv_iter_err(w->it);
    struct cursor rest;
    enum key_kind kind;
    bool good = key_read(kv_iter_key(w->it), &kind, &rest);
    cursor_be64(&rest);
    w->uid = cursor_be32(&rest);
    return good && cursor_done(&rest) ? OK : state_corrupt_row(w->state, kv_iter_key(w->it));
}

enum err row_walk_to(struct row_walk *w, uint32_t uid, struct slice *value_out)
{
    if (w->on_row && w->uid < uid && uid - w->uid <= STEPS_MAX) {
        while (w->on_row && w->uid < uid)
            TRY(note_position(w, kv_iter_next(w->it)));
    }
    if (!w->on_row || w->uid < uid) {
        w->key.len -= sizeof uid;
        key_u32(&w->key, uid);
        TRY(note_position(w, kv_iter_seek(w->it, key_slice(&w->key))));
    }
    if (!w->on_row || w->uid != uid)
        return ERR_NOT_FOUND;
    *value_out = kv_iter_value(w->it);
    return OK;
}

enum err row_walk_message(struct row_walk *w, uint32_t uid, struct message_row *out)
{
    struct slice value;
    enum err err = row_walk_to(w, uid, &value);
    TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
    return message_decode(value, out) ? OK : state_corrupt_row(w->state, kv_iter_key(w->it));
}
