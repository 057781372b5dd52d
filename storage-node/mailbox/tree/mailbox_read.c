/* SPDX-License-Identifier: Apache-2.0 */
/* MAILBOX_LIST and MAILBOX_OPEN. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "storage-node/mailbox/tree/mailbox_message.h"
#include "storage-node/mailbox/tree/tree.h"

Tern__Mailbox *mailbox_message(struct arena *arena, const struct mailbox_row *row, struct slice full_name,
                               const struct keywords_row *keywords)
{
    Tern__Mailbox *m = ARENA_NEW(arena, Tern__Mailbox);
    tern__mailbox__init(m);
    m->id = row->id;
    m->name = arena_strdup(arena, full_name);
    m->uidvalidity = row->uidvalidity;
    m->uidnext = row->uidnext;
    m->modseq = row->modseq;
    m->messages = row->messages;
    m->unseen = row->unseen;
    m->deleted = row->deleted;
    m->size = row->size;
    m->special_use = row->special_use;
    m->noselect = row->noselect;
    m->recent_uid = row->recent_uid;
    m->vanished_floor = row->vanished_floor;
    m->created_ms = row->created_ms;
    m->n_keywords = keywords->count;
    m->keywords = ARENA_ARRAY(arena, char *, keywords->count);
    for (uint8_t i = 0; i < keywords->count; i++)
        m->keywords[i] = arena_strdup(arena, keywords->names[i]);
    return m;
}

/* ---- open */

enum err check_mailbox_open(const Tern__MailboxOpenRequest *request, size_t body_len)
{
    return request->name[0] == '\0' ? OK : check_mailbox_name(request->name);
}

static enum err add_uids(struct read_ctx *r, uint64_t account, const struct mailbox_row *row,
                         Tern__MailboxOpenResponse *response)
{
    struct uidset uids = { 0 };
    enum err err = state_uids(&r->state, account, row, SEGMENT_EXISTS, 1, UID_LAST, &uids);
    if (err == OK && uidset_count(&uids) != row->messages)
        err = ERR_CORRUPT;
    response->uids = uids_for_response(&uids, r->state.arena);
    if (err == OK && row->unseen > 0) {
        err = state_uids(&r->state, account, row, SEGMENT_UNSEEN, 1, UID_LAST, &uids);
        response->first_unseen_uid = uidset_min(&uids);
    }
    uidset_fini(&uids);
    return err;
}

enum err read_mailbox_open(struct read_ctx *r, const Tern__MailboxOpenRequest *request)
{
    struct counters_row counters;
    TRY(state_counters(&r->state, request->account, &counters));
    uint64_t id = request->id;
    if (request->name[0] != '\0')
        TRY(state_path(&r->state, request->account, slice_str(request->name), &id));
    struct mailbox_row row;
    TRY(state_mailbox_open(&r->state, request->account, id, 0, &row));
    struct slice name;
    TRY(state_full_name(&r->state, request->account, &row, &name));
    struct keywords_row *keywords = ARENA_NEW(r->state.arena, struct keywords_row);
    TRY(state_keywords(&r->state, request->account, id, keywords));
    Tern__MailboxOpenResponse response = TERN__MAILBOX_OPEN_RESPONSE__INIT;
    response.mailbox = mailbox_message(r->state.arena, &row, name, keywords);
    if (request->with_uids)
        TRY(add_uids(r, request->account, &row, &response));
    read_respond(r, &response.base);
    return OK;
}

/* ---- list */

struct listed {
    struct mailbox_row row;
    struct slice full_name; /* empty: not yet made */
};

struct listing {
    struct read_ctx *r;
    uint64_t account;
    struct listed *items; /* by id */
    size_t count, cap;
};

static int compare_id(const void *key, const void *item)
{
    uint64_t id = *(const uint64_t *)key, other = ((const struct listed *)item)->row.id;
    return id < other ? -1 : id > other;
}

static int compare_name(const void *a, const void *b)
{
    const Tern__Mailbox *x = *(Tern__Mailbox *const *)a, *y = *(Tern__Mailbox *const *)b;
    int inbox_first = (strcmp(y->name, "INBOX") == 0) - (strcmp(x->name, "INBOX") == 0);
    return inbox_first != 0 ? inbox_first : strcmp(x->name, y->name);
}

static enum err load_all(struct listing *l)
{
    struct mailbox_scan scan = { 0 };
    enum err err;
    for (;;) {
        if (l->count == l->cap) {
            l->cap = l->cap * 2 + 16;
            l->items = xrealloc(l->items, l->cap * sizeof *l->items);
        }
        err = mailbox_scan_next(&l->r->state, l->account, &scan, &l->items[l->count].row);
        if (err != OK)
            break;
        l->items[l->count++].full_name = SLICE_NULL;
    }
    mailbox_scan_end(&scan);
    return err == ERR_NOT_FOUND ? OK : err;
}

static enum err make_name(struct listing *l, struct listed *item, unsigned depth)
{
    if (item->full_name.len > 0)
        return OK;
    struct arena *arena = l->r->state.arena;
    if (item->row.parent == 0) {
        item->full_name = arena_slice(arena, mailbox_leaf(&item->row));
        return OK;
    }
    struct listed *above = bsearch(&item->row.parent, l->items, l->count, sizeof *l->items, compare_id);
    if (above == NULL || depth > MAILBOX_DEPTH_MAX)
        return ERR_CORRUPT;
    TRY(make_name(l, above, depth + 1));
    item->full_name = slice_str(
        arena_printf(arena, "%.*s/%.*s", SLICE_FMT(above->full_name), SLICE_FMT(mailbox_leaf(&item->row))));
    return OK;
}

static enum err fill_mailboxes(struct listing *l, Tern__MailboxListResponse *response)
{
    struct arena *arena = l->r->state.arena;
    TRY(load_all(l));
    response->mailboxes = ARENA_ARRAY(arena, Tern__Mailbox *, l->count);
    static const struct keywords_row no_keywords; /* whoever wants them opens the mailbox */
    for (size_t i = 0; i < l->count; i++) {
        struct listed *item = &l->items[i];
        TRY(make_name(l, item, 1));
        response->mailboxes[i] = mailbox_message(arena, &item->row, item->full_name, &no_keywords);
    }
    response->n_mailboxes = l->count;
    qsort(response->mailboxes, l->count, sizeof *response->mailboxes, compare_name);
    return OK;
}

static enum err fill_subscribed(struct read_ctx *r, uint64_t account, Tern__MailboxListResponse *response)
{
    struct key prefix;
    key_subscription(&prefix, r->state.partition, account, SLICE_NULL);
    response->subscribed = ARENA_ARRAY(r->state.arena, char *, MAILBOXES_MAX);
    struct kv_iter *it = state_iter_prefix(&r->state, &prefix);
    for (bool on_row = kv_iter_seek(it, key_slice(&prefix)); on_row && response->n_subscribed < MAILBOXES_MAX;
         on_row = kv_iter_next(it)) {
        struct slice key = kv_iter_key(it);
        response->subscribed[response->n_subscribed++] =
            arena_strdup(r->state.arena, slice_sub(key, prefix.len, key.len));
    }
    enum err err = kv_iter_err(it);
    kv_iter_free(&it);
    return err;
}

enum err check_mailbox_list(const Tern__MailboxListRequest *request, size_t body_len)
{
    return OK;
}

enum err read_mailbox_list(struct read_ctx *r, const Tern__MailboxListRequest *request)
{
    struct counters_row counters;
    TRY(state_counters(&r->state, request->account, &counters));
    Tern__MailboxListResponse response = TERN__MAILBOX_LIST_RESPONSE__INIT;
    struct listing listing = { .r = r, .account = request->account };
    enum err err = fill_mailboxes(&listing, &response);
    free(listing.items);
    TRY(err);
    TRY(fill_subscribed(r, request->account, &response));
    read_respond(r, &response.base);
    return OK;
}
