/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/imap/fake_store_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/mailbox_name.h"

struct mailbox fake_mailbox_show(struct fake_mailbox *b, struct arena *arena)
{
    struct mailbox m = b->m;

    m.name = arena_slice(arena, slice_str(b->name));
    m.messages = m.unseen = m.deleted = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct fake_message *f = &b->messages[i];

        if (f->gone)
            continue;
        m.messages++;
        m.unseen += (f->flags & MAIL_SEEN) == 0;
        m.deleted += (f->flags & MAIL_DELETED) != 0;
        m.size += f->body.len;
    }
    m.keyword_count = b->keywords.count;
    m.keywords = ARENA_ARRAY(arena, struct slice, KEYWORDS_MAX);
    for (unsigned i = 0; i < b->keywords.count; i++)
        m.keywords[i] = slice_str(b->keywords.names[i]);
    return m;
}

enum err store_mailbox_list(struct store *store, struct account_ref account, struct arena *arena,
                            struct mailbox_list *out)
{
    *out = (struct mailbox_list){ .count = store->count, .subscribed_count = store->subscribed_count };
    out->mailboxes = ARENA_ARRAY(arena, struct mailbox, store->count);
    for (size_t i = 0; i < store->count; i++)
        out->mailboxes[i] = fake_mailbox_show(store->mailboxes[i], arena);
    out->subscribed = ARENA_ARRAY(arena, struct slice, store->subscribed_count);
    for (size_t i = 0; i < store->subscribed_count; i++)
        out->subscribed[i] = slice_str(store->subscribed[i]);
    return OK;
}

enum err store_mailbox_get(struct store *store, struct account_ref account, struct slice name,
                           struct arena *arena, struct mailbox *out)
{
    struct fake_mailbox *b = fake_by_name(name);

    if (b == NULL)
        return ERR_NOT_FOUND;
    *out = fake_mailbox_show(b, arena);
    return OK;
}

enum err store_mailbox_open(struct store *store, struct account_ref account, struct slice name,
                            struct arena *arena, struct mailbox *out, struct uidset *uids_out,
                            uint32_t *first_unseen_uid_out)
{
    struct fake_mailbox *b = fake_by_name(name);

    TRY(store_mailbox_get(store, account, name, arena, out));
    uidset_clear(uids_out);
    *first_unseen_uid_out = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct fake_message *m = &b->messages[i];

        if (m->gone)
            continue;
        uidset_add(uids_out, m->uid);
        if (*first_unseen_uid_out == 0 && (m->flags & MAIL_SEEN) == 0)
            *first_unseen_uid_out = m->uid;
    }
    return OK;
}

enum err store_mailbox_create(struct store *store, struct account_ref account, struct slice name,
                              uint32_t special_use, struct arena *arena, struct mailbox *out)
{
    TRY(fake_failure());
    if (fake_by_name(name) != NULL)
        return ERR_EXISTS;
    if (mailbox_name_parent(name).len > 0 && fake_by_name(mailbox_name_parent(name)) == NULL)
        TRY(store_mailbox_create(store, account, mailbox_name_parent(name), 0, arena, out));
    char *text = slice_dup(name);

    *out = fake_mailbox_show(fake_mailbox_make(text, special_use), arena);
    free(text);
    return OK;
}

enum err store_mailbox_delete(struct store *store, struct account_ref account, struct slice name)
{
    if (mailbox_name_is_inbox(name))
        return ERR_DENIED;
    for (size_t i = 0; i < store->count; i++) {
        if (slice_eq_str(name, store->mailboxes[i]->name)) {
            fake_world.modseq++;
            fake_changed(store->mailboxes[i]);
            fake_mailbox_drop(i);
            return OK;
        }
    }
    return ERR_NOT_FOUND;
}

enum err store_mailbox_rename(struct store *store, struct account_ref account, struct slice from,
                              struct slice to)
{
    struct fake_mailbox *b = fake_by_name(from);

    if (b == NULL)
        return ERR_NOT_FOUND;
    if (fake_by_name(to) != NULL)
        return ERR_EXISTS;
    free(b->name);
    b->name = slice_dup(to);
    return OK;
}

enum err store_mailbox_subscribe(struct store *store, struct account_ref account, struct slice name,
                                 bool subscribed)
{
    for (size_t i = 0; i < store->subscribed_count; i++) {
        if (!slice_eq_str(name, store->subscribed[i]))
            continue;
        if (!subscribed) {
            free(store->subscribed[i]);
            store->subscribed[i] = store->subscribed[--store->subscribed_count];
        }
        return OK;
    }
    if (subscribed) {
        assert(store->subscribed_count < FAKE_SUBSCRIBED_MAX);
        store->subscribed[store->subscribed_count++] = slice_dup(name);
    }
    return OK;
}

void store_recent_advance(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                          uint32_t recent_uid)
{
    struct fake_mailbox *b;

    if (fake_find(mailbox, &b) == OK && b->m.recent_uid < recent_uid)
        b->m.recent_uid = recent_uid;
}
