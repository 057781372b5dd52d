/* SPDX-License-Identifier: Apache-2.0 */
/* Reading messages in pages. The set is cut into segments, and each segment is read page by page; what comes
 * next is asked for before the current page is handed out, so that the storage node reads while the session
 * writes. Of bodies several segments are under way: a body passes through five threads of two programs, and
 * each shall find the next page while the others work on theirs. How many follows from the size of the
 * messages so far. That is all the credit there is: a slow client holds back about AHEAD_BYTES and the page
 * that is written, and never more than LANES_MAX + 1 pages. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/store/message_priv.h"

enum {
    PAGE_BYTES_DEFAULT = FETCH_PAGE_MAX,
    AHEAD_BYTES = 3 * 1024 * 1024,           /* of bodies, asked for while a page is written */
    LANES_MIN = 2,                           /* segments under way ... */
    LANES_MAX = 8,                           /* ... of messages that are not large */
    SEGMENT_BYTES = AHEAD_BYTES / LANES_MAX, /* of such a segment, about */
    SEGMENT_UIDS_FIRST = 32,                 /* of bodies whose size is not known yet */
    SEGMENT_UIDS_MAX = 5000,
    LEARNT_MAX = 128, /* messages: what more say their size, the earlier ones say less of it */
};

/* Consecutive messages, and the request for their next page. */
struct segment {
    struct uidset uids; /* what is left of it */
    struct page_call *call;
};

struct fetch {
    struct store *store;
    struct fetch_options options;
    struct uidset uids;                 /* what no segment has yet */
    struct segment segments[LANES_MAX]; /* in the order of their UIDs */
    uint32_t segment_count;
    uint32_t lanes;                      /* most segments at once */
    uint32_t segment_uids;               /* how many messages the next one takes */
    uint64_t learnt_count, learnt_bytes; /* of messages with their bodies */
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

static uint32_t page_bytes(const struct fetch *f)
{
    return f->options.page_bytes != 0 ? f->options.page_bytes : PAGE_BYTES_DEFAULT;
}

static struct page_call *begin_page(struct fetch *f, const struct uidset *uids)
{
    struct page_call *p = NEW(struct page_call);
    tern__fetch_request__init(&p->request);
    uidset_encode(uids, &p->uids);
    p->request.account = f->options.account.id;
    p->request.mailbox = f->options.mailbox.id;
    p->request.uidvalidity = f->options.mailbox.uidvalidity;
    p->request.uids = pb_bytes(buf_slice(&p->uids));
    p->request.items = f->options.items;
    p->request.max_bytes = page_bytes(f);
    p->request.changed_since = f->options.changed_since;
    p->call.method = METHOD_FETCH;
    p->call.partition = f->options.account.home;
    p->call.request = &p->request.base;
    p->call.ahead = true;
    call_begin(f->store, &p->call);
    return p;
}

/* Keep as many segments under way as there are lanes. */
static void begin_segments(struct fetch *f)
{
    while (f->segment_count < f->lanes && !uidset_is_empty(&f->uids)) {
        struct segment *s = &f->segments[f->segment_count++];
        *s = (struct segment){ 0 };
        uids_take(&f->uids, f->segment_uids, &s->uids);
        s->call = begin_page(f, &s->uids);
    }
}

static void end_segment(struct fetch *f)
{
    uidset_fini(&f->segments[0].uids);
    page_call_free(&f->segments[0].call);
    f->segment_count--;
    memmove(f->segments, f->segments + 1, f->segment_count * sizeof f->segments[0]);
}

struct fetch *fetch_new(struct store *store, const struct fetch_options *options)
{
    struct fetch *f = NEW(struct fetch);
    bool bodies = (options->items & ROW_BODY) != 0;
    f->store = store;
    f->options = *options;
    f->lanes = bodies ? LANES_MIN : 1;
    f->segment_uids = bodies ? SEGMENT_UIDS_FIRST : UINT32_MAX;
    uidset_copy(options->uids, &f->uids);
    f->options.uids = &f->uids;
    begin_segments(f);
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

static uint32_t clamp(uint64_t value, uint32_t least, uint32_t most)
{
    return value < least ? least : value > most ? most : (uint32_t)value;
}

/* Aim the next segments at SEGMENT_BYTES, or three quarters of a page if that is less, by what messages took:
 * the last page's were these `count`. */
static void learn_size(struct fetch *f, uint64_t count, size_t bytes)
{
    if (f->lanes == 1 || count == 0 || bytes == 0)
        return;
    if (f->learnt_count > LEARNT_MAX) {
        f->learnt_count /= 2;
        f->learnt_bytes /= 2;
    }
    f->learnt_count += count;
    f->learnt_bytes += bytes;
    uint64_t aim = page_bytes(f) / 4 * 3, mean = f->learnt_bytes / f->learnt_count + 1;
    if (aim > SEGMENT_BYTES)
        aim = SEGMENT_BYTES;
    f->segment_uids = clamp(aim / mean, 1, SEGMENT_UIDS_MAX);
    f->lanes = clamp(AHEAD_BYTES / (mean > aim ? mean : aim), LANES_MIN, LANES_MAX);
}

/* Take what the page holds off the first segment. ERR_PROTOCOL if it does not advance: it would go round for
 * ever. */
static enum err advance(struct fetch *f, const struct fetch_page *page)
{
    struct segment *s = &f->segments[0];
    uint64_t before = uidset_count(&s->uids);
    if (page->next_uid != 0 && page->next_uid <= uidset_min(&s->uids))
        return ERR_PROTOCOL;
    if (page->next_uid != 0)
        uidset_remove_range(&s->uids, 1, page->next_uid - 1);
    else
        uidset_clear(&s->uids);
    learn_size(f, before - uidset_count(&s->uids), page->rows.rest.len);
    if (uidset_is_empty(&s->uids))
        end_segment(f);
    else
        s->call = begin_page(f, &s->uids);
    return OK;
}

enum err fetch_next(struct fetch *f, struct fetch_page *page_out)
{
    if (f->segment_count == 0)
        return ERR_NOT_FOUND;
    struct page_call *p = f->segments[0].call;
    f->segments[0].call = NULL;
    enum err err = read_page(p, page_out);
    if (err != OK) {
        page_call_free(&p);
    } else {
        err = advance(f, page_out);
        if (err != OK)
            fetch_page_fini(page_out);
    }
    if (err != OK) {
        while (f->segment_count > 0)
            end_segment(f);
        uidset_clear(&f->uids);
        return err;
    }
    begin_segments(f);
    page_out->next_uid = f->segment_count > 0 ? uidset_min(&f->segments[0].uids) : 0;
    return OK;
}

void fetch_free(struct fetch **f)
{
    if (*f == NULL)
        return;
    while ((*f)->segment_count > 0)
        end_segment(*f);
    uidset_fini(&(*f)->uids);
    free(*f);
    *f = NULL;
}
