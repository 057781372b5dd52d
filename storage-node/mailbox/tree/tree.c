/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/mailbox/tree/tree.h"

#include "lib/mail/utf8.h"

/* Normal forms and INBOX's case are the front-ends' matter: what Unicode version a replica links must not
 * decide what it stores. */
enum err check_mailbox_name(const char *name)
{
    struct slice full = slice_str(name);
    if (full.len == 0 || full.len > MAILBOX_NAME_SIZE_MAX || !utf8_is_valid(full))
        return ERR_INVALID;
    size_t level_size = 0;
    unsigned depth = 1;
    for (size_t i = 0; i < full.len; i++) {
        uint8_t c = full.data[i];
        if (c < ' ' || c == 0x7f)
            return ERR_INVALID;
        if (c != MAILBOX_SEPARATOR) {
            level_size++;
            continue;
        }
        if (level_size == 0 || level_size > MAILBOX_LEVEL_SIZE_MAX)
            return ERR_INVALID;
        level_size = 0;
        depth++;
    }
    if (level_size == 0 || level_size > MAILBOX_LEVEL_SIZE_MAX || depth > MAILBOX_DEPTH_MAX)
        return ERR_INVALID;
    ptrdiff_t at = slice_find(full, MAILBOX_SEPARATOR);
    struct slice first = at < 0 ? full : slice_sub(full, 0, (size_t)at);
    bool is_inbox = slice_eq_nocase_str(first, "INBOX");
    return is_inbox && !slice_eq_str(first, "INBOX") ? ERR_INVALID : OK;
}

void mailbox_put_name(struct apply *a, uint64_t account, const struct mailbox_row *row)
{
    struct key key;
    key_name(&key, a->state.partition, account, row->parent, mailbox_leaf(row));
    apply_put_number(a, &key, row->id);
}

void mailbox_delete_name(struct apply *a, uint64_t account, const struct mailbox_row *row)
{
    struct key key;
    key_name(&key, a->state.partition, account, row->parent, mailbox_leaf(row));
    apply_delete(a, &key);
}

/* What makes a mailbox row a fresh mailbox. */
static void set_fresh(struct apply *a, struct account_edit *account, struct mailbox_row *row)
{
    row->uidvalidity = account_uidvalidity(a, account);
    row->uidnext = 1;
    row->modseq = account_modseq(account);
    row->created_ms = a->header->time_ms;
    row->noselect = false;
}

enum err mailbox_make(struct apply *a, struct account_edit *account, uint64_t parent, struct slice name,
                      struct mailbox_row *row_out)
{
    if (account->row.mailbox_count >= MAILBOXES_MAX)
        return ERR_LIMIT;
    account->row.mailbox_count++;
    *row_out = (struct mailbox_row){ .id = account->row.mailbox_next++, .parent = parent };
    set_fresh(a, account, row_out);
    memcpy(row_out->name, name.data, name.len);
    row_out->name_len = (uint16_t)name.len;
    mailbox_put(a, account->id, row_out);
    mailbox_put_name(a, account->id, row_out);
    apply_note_change(a, account->id, row_out->id, row_out->modseq);
    return OK;
}

enum err mailbox_make_parents(struct apply *a, struct account_edit *account, struct slice full,
                              uint64_t *parent_out)
{
    uint64_t parent = 0;
    for (ptrdiff_t at; (at = slice_find(full, MAILBOX_SEPARATOR)) >= 0;) {
        struct slice level = slice_sub(full, 0, (size_t)at);
        uint64_t id;
        enum err err = state_child(&a->state, account->id, parent, level, &id);
        if (err == ERR_NOT_FOUND) {
            struct mailbox_row made;
            TRY(mailbox_make(a, account, parent, level, &made));
            id = made.id;
        } else {
            TRY(err);
        }
        parent = id;
        full = slice_sub(full, (size_t)at + 1, full.len);
    }
    *parent_out = parent;
    return OK;
}

enum err mailbox_make_path(struct apply *a, struct account_edit *account, struct slice full,
                           struct mailbox_row *row_out)
{
    uint64_t parent, id;
    TRY(mailbox_make_parents(a, account, full, &parent));
    struct slice leaf = mailbox_name_leaf(full);
    enum err err = state_child(&a->state, account->id, parent, leaf, &id);
    if (err == ERR_NOT_FOUND)
        return mailbox_make(a, account, parent, leaf, row_out);
    TRY(err);
    TRY(state_mailbox(&a->state, account->id, id, row_out));
    if (!row_out->noselect)
        return ERR_EXISTS;
    set_fresh(a, account, row_out);
    mailbox_put(a, account->id, row_out);
    apply_note_change(a, account->id, id, row_out->modseq);
    return OK;
}

/* ---- children */

enum err mailbox_has_children(const struct state *s, uint64_t account, uint64_t id, bool *out)
{
    struct key prefix;
    key_name(&prefix, s->partition, account, id, SLICE_NULL);
    struct kv_iter *it = state_iter_prefix(s, &prefix);
    *out = kv_iter_seek(it, key_slice(&prefix));
    enum err err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

/* The ids of all direct children, in the arena. */
static enum err list_children(const struct state *s, uint64_t account, uint64_t id, uint64_t **ids_out,
                              size_t *count_out)
{
    struct key prefix;
    key_name(&prefix, s->partition, account, id, SLICE_NULL);
    struct buf ids = { 0 };
    struct kv_iter *it = state_iter_prefix(s, &prefix);
    enum err err = OK;
    for (bool on_row = kv_iter_seek(it, key_slice(&prefix)); on_row && err == OK; on_row = kv_iter_next(it)) {
        uint64_t child;
        if (number_decode(kv_iter_value(it), &child))
            buf_add(&ids, &child, sizeof child);
        else
            err = state_corrupt_row(s, kv_iter_key(it));
    }
    if (err == OK)
        err = kv_iter_err(it);
    kv_iter_free(&it);
    *ids_out = arena_memdup(s->arena, ids.data, ids.len);
    *count_out = ids.len / sizeof **ids_out;
    buf_fini(&ids);
    return err;
}

enum err mailbox_move_children(struct apply *a, uint64_t account, uint64_t from, uint64_t to)
{
    uint64_t *ids;
    size_t count;
    TRY(list_children(&a->state, account, from, &ids, &count));
    for (size_t i = 0; i < count; i++) {
        struct mailbox_row row;
        enum err err = state_mailbox(&a->state, account, ids[i], &row);
        TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
        mailbox_delete_name(a, account, &row);
        row.parent = to;
        mailbox_put_name(a, account, &row);
        mailbox_put(a, account, &row);
    }
    return OK;
}

static enum err extent_below(const struct state *s, uint64_t account, uint64_t id, unsigned depth,
                             size_t size, struct tree_extent *out)
{
    if (depth > MAILBOX_DEPTH_MAX)
        return ERR_CORRUPT;
    out->depth = depth > out->depth ? depth : out->depth;
    out->size = size > out->size ? size : out->size;
    uint64_t *ids;
    size_t count;
    TRY(list_children(s, account, id, &ids, &count));
    for (size_t i = 0; i < count; i++) {
        struct mailbox_row row;
        enum err err = state_mailbox(s, account, ids[i], &row);
        TRY(err == ERR_NOT_FOUND ? ERR_CORRUPT : err);
        TRY(extent_below(s, account, ids[i], depth + 1, size + 1 + row.name_len, out));
    }
    return OK;
}

enum err mailbox_extent(const struct state *s, uint64_t account, uint64_t id, struct tree_extent *out)
{
    *out = (struct tree_extent){ 0 };
    return extent_below(s, account, id, 0, 0, out);
}
