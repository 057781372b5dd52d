/* SPDX-License-Identifier: Apache-2.0 */
/* MAILBOX_CREATE, MAILBOX_DELETE, MAILBOX_RENAME, MAILBOX_SUBSCRIBE (RFC 9051 6.3.4 to 6.3.8). */
#include "storage-node/mailbox/tree/mailbox_message.h"
#include "storage-node/mailbox/tree/tree.h"

/* ---- create */

enum err check_mailbox_create(const Tern__MailboxCreateRequest *request, size_t body_len)
{
    if (body_len > 0 || request->special_use > USE_EVERY)
        return ERR_INVALID;
    return check_mailbox_name(request->name);
}

enum err apply_mailbox_create(struct apply *a, const Tern__MailboxCreateRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    struct mailbox_row row;
    TRY(mailbox_make_path(a, &account, slice_str(request->name), &row));
    row.special_use = request->special_use;
    mailbox_put(a, account.id, &row);
    account_close(a, &account);
    Tern__MailboxCreateResponse response = TERN__MAILBOX_CREATE_RESPONSE__INIT;
    struct keywords_row keywords = { 0 };
    response.mailbox = mailbox_message(a->state.arena, &row, slice_str(request->name), &keywords);
    apply_respond(a, &response.base);
    return OK;
}

/* ---- delete */

enum err check_mailbox_delete(const Tern__MailboxDeleteRequest *request, size_t body_len)
{
    return body_len > 0 ? ERR_INVALID : check_mailbox_name(request->name);
}

/* The messages are out of sight with their mailbox's row; a sweep deletes theirs. */
static enum err bury(struct apply *a, struct account_edit *account, const struct mailbox_row *row)
{
    if (account->row.used_bytes < row->size || account->row.message_count < row->messages ||
        account->row.mailbox_count == 0)
        return ERR_CORRUPT;
    account->row.used_bytes -= row->size;
    account->row.message_count -= row->messages;
    account->row.mailbox_count--;
    struct key key;
    key_mailbox(&key, a->state.partition, account->id, row->id);
    apply_delete(a, &key);
    key_dead_mailbox(&key, a->state.partition, account->id, row->id);
    apply_put_empty(a, &key);
    mailbox_delete_name(a, account->id, row);
    apply_note_change(a, account->id, row->id, account_modseq(account));
    return OK;
}

enum err apply_mailbox_delete(struct apply *a, const Tern__MailboxDeleteRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    uint64_t id;
    TRY(state_path(&a->state, account.id, slice_str(request->name), &id));
    if (id == account.row.inbox)
        return ERR_DENIED;
    struct mailbox_row row;
    bool has_children;
    TRY(state_mailbox(&a->state, account.id, id, &row));
    TRY(mailbox_has_children(&a->state, account.id, id, &has_children));
    if (row.noselect && has_children)
        return ERR_INVALID;
    TRY(bury(a, &account, &row));
    if (has_children) {
        /* Another mailbox stands for the name: this one's id goes with its messages. */
        struct mailbox_row name;
        TRY(mailbox_make(a, &account, row.parent, mailbox_leaf(&row), &name));
        name.noselect = true;
        mailbox_put(a, account.id, &name);
        TRY(mailbox_move_children(a, account.id, id, name.id));
    }
    account_close(a, &account);
    Tern__MailboxDeleteResponse response = TERN__MAILBOX_DELETE_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}

/* ---- rename */

enum err check_mailbox_rename(const Tern__MailboxRenameRequest *request, size_t body_len)
{
    if (body_len > 0)
        return ERR_INVALID;
    TRY(check_mailbox_name(request->from));
    return check_mailbox_name(request->to);
}

/* Give a mailbox its new place; the NAME row of the old one is gone already. */
static enum err place(struct apply *a, struct account_edit *account, struct mailbox_row *row, struct slice to)
{
    TRY(mailbox_make_parents(a, account, to, &row->parent));
    struct slice leaf = mailbox_name_leaf(to);
    memcpy(row->name, leaf.data, leaf.len);
    row->name_len = (uint16_t)leaf.len;
    mailbox_put_name(a, account->id, row);
    mailbox_put(a, account->id, row);
    apply_note_change(a, account->id, row->id, account_modseq(account));
    return OK;
}

/* RFC 9051 6.3.6: renaming INBOX moves its messages to the new name and leaves INBOX empty, its children
 * where they are. So the mailbox itself moves, with all its rows, and an empty one becomes INBOX. */
static enum err rename_inbox(struct apply *a, struct account_edit *account, struct mailbox_row *row,
                             struct slice to)
{
    struct slice name = arena_slice(a->state.arena, mailbox_leaf(row));
    mailbox_delete_name(a, account->id, row);
    struct mailbox_row inbox;
    TRY(mailbox_make(a, account, 0, name, &inbox));
    account->row.inbox = inbox.id;
    TRY(mailbox_move_children(a, account->id, row->id, inbox.id));
    return place(a, account, row, to);
}

static enum err rename_tree(struct apply *a, struct account_edit *account, struct mailbox_row *row,
                            struct slice from, struct slice to)
{
    if (slice_starts(to, from) && to.len > from.len && to.data[from.len] == MAILBOX_SEPARATOR)
        return ERR_INVALID; /* below itself */
    struct tree_extent extent;
    TRY(mailbox_extent(&a->state, account->id, row->id, &extent));
    unsigned depth = 1;
    for (size_t i = 0; i < to.len; i++)
        depth += to.data[i] == MAILBOX_SEPARATOR;
    if (depth + extent.depth > MAILBOX_DEPTH_MAX || to.len + extent.size > MAILBOX_NAME_SIZE_MAX)
        return ERR_INVALID;
    mailbox_delete_name(a, account->id, row);
    return place(a, account, row, to);
}

enum err apply_mailbox_rename(struct apply *a, const Tern__MailboxRenameRequest *request)
{
    struct slice from = slice_str(request->from), to = slice_str(request->to);
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    uint64_t id, taken;
    TRY(state_path(&a->state, account.id, from, &id));
    enum err err = state_path(&a->state, account.id, to, &taken);
    if (err != ERR_NOT_FOUND)
        return err == OK ? ERR_EXISTS : err;
    struct mailbox_row row;
    TRY(state_mailbox(&a->state, account.id, id, &row));
    if (id == account.row.inbox)
        TRY(rename_inbox(a, &account, &row, to));
    else
        TRY(rename_tree(a, &account, &row, from, to));
    account_close(a, &account);
    Tern__MailboxRenameResponse response = TERN__MAILBOX_RENAME_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}

/* ---- subscribe: names, whether there is such a mailbox or not */

enum err check_mailbox_subscribe(const Tern__MailboxSubscribeRequest *request, size_t body_len)
{
    return body_len > 0 ? ERR_INVALID : check_mailbox_name(request->name);
}

static enum err count_subscriptions(const struct state *s, uint64_t account, size_t *count_out)
{
    struct key prefix;
    key_subscription(&prefix, s->partition, account, SLICE_NULL);
    struct kv_iter *it = state_iter_prefix(s, &prefix);
    *count_out = 0;
    for (bool on_row = kv_iter_seek(it, key_slice(&prefix)); on_row; on_row = kv_iter_next(it))
        (*count_out)++;
    enum err err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

enum err apply_mailbox_subscribe(struct apply *a, const Tern__MailboxSubscribeRequest *request)
{
    struct account_edit account;
    TRY(account_open(a, request->account, &account));
    struct key key;
    key_subscription(&key, a->state.partition, account.id, slice_str(request->name));
    if (request->subscribed) {
        size_t count;
        TRY(count_subscriptions(&a->state, account.id, &count));
        if (count >= MAILBOXES_MAX)
            return ERR_LIMIT;
        apply_put_empty(a, &key);
    } else {
        apply_delete(a, &key);
    }
    Tern__MailboxSubscribeResponse response = TERN__MAILBOX_SUBSCRIBE_RESPONSE__INIT;
    apply_respond(a, &response.base);
    return OK;
}
