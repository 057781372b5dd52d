/* SPDX-License-Identifier: Apache-2.0 */
/* Reading messages in pages. The page behind the current one is asked for before the current one is handed
 * out, so that the storage node reads while the session writes; that is all the credit there is, so a slow
 * client holds back at most two pages. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/store/message_priv.h"

enum { PAGE_BYTES_DEFAULT = FETCH_PAGE_MAX };

struct fetch {
    struct store *store;
    struct fetch_options options;
    struct uidset uids;     /* what is left */
    struct page_call *next; /* NULL: nothing left */
};

bool fetch_page_next(struct fetch_page *page, struct row *out)
{
    enum err err = row_next(&page->rows, out);
    if (err == ERR_PROTOCOL)
        log_error("store", "malformed rows in a page");
    return err == OK;
}

void page_call_free(struct page_call **p)
{
    if (*p == NULL)
        return;
    call_fini(&(*p)->call);
    buf_fini(&(*p)->uids);
    free(*p);
    *p = NULL;
}

void fetch_page_fini(struct fetch_page *page)
{
    struct page_call *held = page->priv;
    page_call_free(&held);
    *page = (struct fetch_page){ 0 };
}

static struct page_call *begin_page(struct fetch *f)
{
    struct page_call *p = NEW(struct page_call);
    tern__fetch_request__init(&p->request);
    uidset_encode(&f->uids, &p->uids);
    p->request.account = f->options.account.id;
    p->request.mailbox = f->options.mailbox;
    p->request.uids = pb_bytes(buf_slice(&p->uids));
    p->request.items = f->options.items;
    p->request.max_bytes = f->options.page_bytes != 0 ? f->options.page_bytes : PAGE_BYTES_DEFAULT;
    p->request.changed_since = f->options.changed_since;
    p->call.method = METHOD_FETCH;
    p->call.partition = f->options.account.home;
    p->call.request = &p->request.base;
    call_begin(f->store, &p->call);
    return p;
}

struct fetch *fetch_new(struct store *store, const struct fetch_options *options)
{
    struct fetch *f = NEW(struct fetch);
    f->store = store;
    f->options = *options;
    uidset_copy(options->uids, &f->uids);
    f->options.uids = &f->uids;
    if (!uidset_is_empty(&f->uids))
        f->next = begin_page(f);
    return f;
}

static enum err read_page(struct page_call *p, struct fetch_page *out)
{
    Tern__FetchResponse *response;
    TRY(call_end(&p->call));
    TRY(call_response(&p->call, &tern__fetch_response__descriptor, &response));
    *out = (struct fetch_page){
        .next_uid = response->next_uid,
        .modseq = response->modseq,
        .uidnext = response->uidnext,
        .keyword_count = response->keyword_count,
    };
    tern__fetch_response__free_unpacked(response, NULL);
    out->priv = p; /* rows borrow from the answer */
    out->rows = cursor_of(call_body(&p->call));
    return OK;
}

enum err fetch_next(struct fetch *f, struct fetch_page *page_out)
{
    if (f->next == NULL)
        return ERR_NOT_FOUND;
    struct page_call *p = f->next;
    f->next = NULL;
    enum err err = read_page(p, page_out);
    if (err != OK) {
        page_call_free(&p);
        return err;
    }
    if (page_out->next_uid != 0) {
        /* A page that does not advance would go round for ever. */
        if (page_out->next_uid <= uidset_min(&f->uids)) {
            fetch_page_fini(page_out);
            return ERR_PROTOCOL;
        }
        uidset_remove_range(&f->uids, 1, page_out->next_uid - 1);
        if (!uidset_is_empty(&f->uids))
            f->next = begin_page(f);
    }
    return OK;
}

void fetch_free(struct fetch **f)
{
    if (*f == NULL)
        return;
    page_call_free(&(*f)->next);
    uidset_fini(&(*f)->uids);
    free(*f);
    *f = NULL;
}

enum err store_body_read(struct store *store, struct account_ref account, uint64_t mailbox, uint32_t uid,
                         uint64_t offset, uint32_t length, struct buf *out)
{
    Tern__BodyRequest request = TERN__BODY_REQUEST__INIT;
    request.account = account.id;
    request.mailbox = mailbox;
    request.uid = uid;
    request.offset = offset;
    request.length = length;
    struct call call = { .method = METHOD_BODY, .partition = account.home, .request = &request.base };
    enum err err = call_run(store, &call);
    if (err == OK)
        buf_add_slice(out, call_body(&call));
    call_fini(&call);
    return err;
}
