/* SPDX-License-Identifier: Apache-2.0 */
/* What happened to a mailbox, and what matches a search. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/store/message_priv.h"

enum { SEARCH_WORK_MS = 100 /* of a reader thread for one page */ };

static enum err read_changes(struct call *call, struct arena *arena, struct changes *out)
{
    Tern__ChangesResponse *response;
    TRY(call_response(call, &tern__changes_response__descriptor, &response));
    out->modseq = response->modseq;
    out->more = response->modseq < response->mailbox_modseq;
    out->uidnext = response->uidnext;
    out->floor_passed = response->floor_passed;
    out->keyword_count = response->keyword_count;
    if (response->n_keywords > 0)
        out->keywords = texts_read(response->keywords, response->n_keywords, arena);
    enum err err = uids_read(response->vanished_uids, &out->vanished);
    tern__changes_response__free_unpacked(response, NULL);
    return err;
}

enum err store_changes(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                       uint64_t since_modseq, const struct uidset *known_uids, struct arena *arena,
                       struct changes *out)
{
    Tern__ChangesRequest request = TERN__CHANGES_REQUEST__INIT;
    struct page_call *held = NEW(struct page_call);
    struct call *call = &held->call;
    *out = (struct changes){ 0 };
    request.account = account.id;
    request.mailbox = mailbox.id;
    request.uidvalidity = mailbox.uidvalidity;
    request.since_modseq = since_modseq;
    if (known_uids != NULL)
        request.known_uids = uids_write(known_uids, arena);
    call->method = METHOD_CHANGES;
    call->partition = account.home;
    call->request = &request.base;
    enum err err = call_run(store, call);
    if (err == OK)
        err = read_changes(call, arena, out);
    out->page.priv = held; /* freed with the page, also after an error */
    if (err == OK)
        out->page.rows = cursor_of(call_body(call));
    else
        changes_fini(out);
    return err;
}

void changes_fini(struct changes *c)
{
    uidset_fini(&c->vanished);
    fetch_page_fini(&c->page);
}

enum err store_search(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                      struct slice program, const struct uidset *view_uids, struct uidset *out,
                      uint64_t *max_modseq_out)
{
    struct arena arena = { 0 };
    Tern__SearchRequest request = TERN__SEARCH_REQUEST__INIT;
    struct uidset page = { 0 };
    enum err err = OK;
    request.account = account.id;
    request.mailbox = mailbox.id;
    request.uidvalidity = mailbox.uidvalidity;
    request.program = pb_bytes(program);
    if (view_uids != NULL)
        request.view_uids = uids_write(view_uids, &arena);
    request.work_ms = SEARCH_WORK_MS;
    request.from_uid = 1;
    *max_modseq_out = 0;
    while (err == OK && request.from_uid != 0) {
        Tern__SearchResponse *response;
        err = call_simple(store, METHOD_SEARCH, account.home, &request.base,
                          &tern__search_response__descriptor, &response);
        if (err != OK)
            break;
        err = uids_read(response->uids, &page);
        if (err == OK)
            uidset_add_set(out, &page);
        if (response->max_modseq > *max_modseq_out)
            *max_modseq_out = response->max_modseq;
        /* A page that does not advance would go round for ever. */
        if (response->next_uid != 0 && response->next_uid <= request.from_uid)
            err = ERR_PROTOCOL;
        request.from_uid = response->next_uid;
        tern__search_response__free_unpacked(response, NULL);
    }
    uidset_fini(&page);
    arena_fini(&arena);
    return err;
}
