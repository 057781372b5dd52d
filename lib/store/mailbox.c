/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/mailbox.h"

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/store/store_priv.h"
#include "proto/mailbox.pb-c.h"
#include "proto/message.pb-c.h"

#include <stdlib.h>

static void read_mailbox(const Tern__Mailbox *m, struct arena *arena, struct mailbox *out)
{
    *out = (struct mailbox){
        .id = m->id,
        .name = text_read(m->name, arena),
        .uidvalidity = m->uidvalidity,
        .uidnext = m->uidnext,
        .modseq = m->modseq,
        .messages = m->messages,
        .unseen = m->unseen,
        .deleted = m->deleted,
        .size = m->size,
        .special_use = m->special_use,
        .noselect = m->noselect,
        .keywords = texts_read(m->keywords, m->n_keywords, arena),
        .keyword_count = (uint32_t)m->n_keywords,
        .recent_uid = m->recent_uid,
        .vanished_floor = m->vanished_floor,
        .created_ms = m->created_ms,
    };
}

enum err store_mailbox_list(struct store *store, struct account_ref account, struct arena *arena,
                            struct mailbox_list *out)
{
    Tern__MailboxListRequest request = TERN__MAILBOX_LIST_REQUEST__INIT;
    Tern__MailboxListResponse *response;
    request.account = account.id;
    TRY(call_simple(store, METHOD_MAILBOX_LIST, account.home, &request.base,
                    &tern__mailbox_list_response__descriptor, &response));
    out->count = response->n_mailboxes;
    out->mailboxes = ARENA_ARRAY(arena, struct mailbox, out->count);
    for (size_t i = 0; i < out->count; i++)
        read_mailbox(response->mailboxes[i], arena, &out->mailboxes[i]);
    out->subscribed_count = response->n_subscribed;
    out->subscribed = texts_read(response->subscribed, response->n_subscribed, arena);
    tern__mailbox_list_response__free_unpacked(response, NULL);
    return OK;
}

static enum err read_opened(const Tern__MailboxOpenResponse *response, struct arena *arena,
                            struct mailbox *out, struct uidset *uids_out)
{
    if (response->mailbox == NULL)
        return ERR_PROTOCOL;
    read_mailbox(response->mailbox, arena, out);
    if (uids_out == NULL)
        return OK;
    return uids_read(response->uids, uids_out);
}

static enum err open_mailbox(struct store *store, struct account_ref account, struct slice name,
                             struct arena *arena, struct mailbox *out, struct uidset *uids_out,
                             uint32_t *first_unseen_uid_out)
{
    Tern__MailboxOpenRequest request = TERN__MAILBOX_OPEN_REQUEST__INIT;
    Tern__MailboxOpenResponse *response;
    request.account = account.id;
    request.name = arena_strdup(arena, name);
    request.with_uids = uids_out != NULL;
    TRY(call_simple(store, METHOD_MAILBOX_OPEN, account.home, &request.base,
                    &tern__mailbox_open_response__descriptor, &response));
    enum err err = read_opened(response, arena, out, uids_out);
    if (first_unseen_uid_out != NULL)
        *first_unseen_uid_out = response->first_unseen_uid;
    tern__mailbox_open_response__free_unpacked(response, NULL);
    return err;
}

enum err store_mailbox_get(struct store *store, struct account_ref account, struct slice name,
                           struct arena *arena, struct mailbox *out)
{
    return open_mailbox(store, account, name, arena, out, NULL, NULL);
}

enum err store_mailbox_open(struct store *store, struct account_ref account, struct slice name,
                            struct arena *arena, struct mailbox *out, struct uidset *uids_out,
                            uint32_t *first_unseen_uid_out)
{
    return open_mailbox(store, account, name, arena, out, uids_out, first_unseen_uid_out);
}

enum err store_mailbox_create(struct store *store, struct account_ref account, struct slice name,
                              uint32_t special_use, struct arena *arena, struct mailbox *out)
{
    Tern__MailboxCreateRequest request = TERN__MAILBOX_CREATE_REQUEST__INIT;
    Tern__MailboxCreateResponse *response;
    request.account = account.id;
    request.name = arena_strdup(arena, name);
    request.special_use = special_use;
    TRY(call_simple(store, METHOD_MAILBOX_CREATE, account.home, &request.base,
                    &tern__mailbox_create_response__descriptor, &response));
    enum err err = response->mailbox == NULL ? ERR_PROTOCOL : OK;
    if (err == OK)
        read_mailbox(response->mailbox, arena, out);
    tern__mailbox_create_response__free_unpacked(response, NULL);
    return err;
}

/* A write whose answer says nothing but that it happened. */
static enum err run_empty(struct store *store, struct account_ref account, uint32_t method,
                          const ProtobufCMessage *request)
{
    struct call call = { .method = method, .partition = account.home, .request = request };
    enum err err = call_run(store, &call);
    call_fini(&call);
    return err;
}

enum err store_mailbox_delete(struct store *store, struct account_ref account, struct slice name)
{
    Tern__MailboxDeleteRequest request = TERN__MAILBOX_DELETE_REQUEST__INIT;
    request.account = account.id;
    request.name = slice_dup(name);
    enum err err = run_empty(store, account, METHOD_MAILBOX_DELETE, &request.base);
    free(request.name);
    return err;
}

enum err store_mailbox_rename(struct store *store, struct account_ref account, struct slice from,
                              struct slice to)
{
    Tern__MailboxRenameRequest request = TERN__MAILBOX_RENAME_REQUEST__INIT;
    request.account = account.id;
    request.from = slice_dup(from);
    request.to = slice_dup(to);
    enum err err = run_empty(store, account, METHOD_MAILBOX_RENAME, &request.base);
    free(request.from);
    free(request.to);
    return err;
}

enum err store_mailbox_subscribe(struct store *store, struct account_ref account, struct slice name,
                                 bool subscribed)
{
    Tern__MailboxSubscribeRequest request = TERN__MAILBOX_SUBSCRIBE_REQUEST__INIT;
    request.account = account.id;
    request.name = slice_dup(name);
    request.subscribed = subscribed;
    enum err err = run_empty(store, account, METHOD_MAILBOX_SUBSCRIBE, &request.base);
    free(request.name);
    return err;
}

/* ---- \Recent */

struct recent {
    struct store *store;
    struct account_ref account;
    struct mailbox_ref mailbox;
    uint32_t uid;
};

static void recent_fiber(void *arg)
{
    struct recent *r = arg;
    Tern__RecentAdvanceRequest request = TERN__RECENT_ADVANCE_REQUEST__INIT;
    request.account = r->account.id;
    request.mailbox = r->mailbox.id;
    request.uidvalidity = r->mailbox.uidvalidity;
    request.recent_uid = r->uid;
    enum err err = run_empty(r->store, r->account, METHOD_RECENT_ADVANCE, &request.base);
    if (err != OK) /* only means that some messages are \Recent once more */
        log_debug("store", "recent not advanced: %s", err_name(err));
    r->store->background--;
    free(r);
}

void store_recent_advance(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                          uint32_t recent_uid)
{
    struct recent *r = NEW(struct recent);
    *r = (struct recent){ .store = store, .account = account, .mailbox = mailbox, .uid = recent_uid };
    if (fiber_spawn(store->loop, "recent", recent_fiber, r) == OK)
        store->background++;
    else
        free(r);
}
