/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/imap/fake_store_priv.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/mail/search.h"
#include "lib/mail/summary.h"

struct fetch {
    struct fetch_options options;
    struct uidset uids;
    bool started;
};

static void row_of(const struct fake_message *m, uint32_t items, struct buf *out)
{
    struct summary s;
    struct row row = {
        .uid = m->uid,
        .modseq = m->modseq,
        .flags = m->flags,
        .keywords = m->keywords,
        .internaldate_ms = m->date_ms,
        .internaldate_zone = m->zone,
        .size = m->body.len,
        .body_id = m->body_id,
        .parts = items,
        .summary = buf_slice(&m->summary),
        .body = buf_slice(&m->body),
    };
    enum err err = summary_open(row.summary, &s);

    assert(err == OK);
    row.header = slice_sub(row.body, 0, (size_t)s.header_len);
    if (m->body.len > fake_world.page_body_max)
        row.parts &= ~(uint32_t)ROW_BODY;
    row_encode(&row, out);
}

struct fetch *fetch_new(struct store *store, const struct fetch_options *options)
{
    struct fetch *f = NEW(struct fetch);

    f->options = *options;
    uidset_copy(options->uids, &f->uids);
    return f;
}

static void page_begin(struct fetch_page *page, struct buf *rows)
{
    size_t len;

    page->priv = buf_detach(rows, &len);
    page->rows = cursor_of(slice_of(page->priv, len));
}

enum err fetch_next(struct fetch *f, struct fetch_page *page_out)
{
    struct fake_mailbox *b;
    struct buf rows = { 0 };
    uint32_t count = 0;
    size_t i;

    TRY(fake_find(f->options.mailbox, &b));
    if (f->started && uidset_is_empty(&f->uids))
        return ERR_NOT_FOUND;
    f->started = true;
    *page_out = (struct fetch_page){ .modseq = b->m.modseq, .uidnext = b->m.uidnext };
    page_out->keyword_count = b->keywords.count;
    for (i = 0; i < b->count && count < fake_world.page_rows; i++) {
        struct fake_message *m = &b->messages[i];

        if (m->gone || m->modseq <= f->options.changed_since || !uidset_contains(&f->uids, m->uid))
            continue;
        row_of(m, f->options.items, &rows);
        uidset_remove(&f->uids, m->uid);
        count++;
    }
    if (i == b->count)
        uidset_clear(&f->uids);
    page_out->next_uid = uidset_min(&f->uids);
    page_begin(page_out, &rows);
    return OK;
}

void fetch_free(struct fetch **f)
{
    uidset_fini(&(*f)->uids);
    free(*f);
    *f = NULL;
}

bool fetch_page_next(struct fetch_page *page, struct row *out)
{
    return row_next(&page->rows, out) == OK;
}

void fetch_page_fini(struct fetch_page *page)
{
    free(page->priv);
    *page = (struct fetch_page){ 0 };
}

enum err store_body_read(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                         uint32_t uid, uint64_t offset, uint32_t length, struct buf *out)
{
    struct fake_mailbox *b;

    TRY(fake_find(mailbox, &b));
    struct fake_message *m = fake_by_uid(b, uid);

    fake_world.body_reads++;
    if (m == NULL)
        return ERR_NOT_FOUND;
    buf_add_slice(out, slice_sub(buf_slice(&m->body), offset, offset + length));
    return OK;
}

struct body_stream {
    struct account_ref account;
    struct mailbox_ref mailbox;
    uint32_t uid;
    uint64_t offset, left;
    struct buf piece;
};

struct body_stream *body_stream_new(struct store *store, struct account_ref account,
                                    struct mailbox_ref mailbox, uint32_t uid, uint64_t offset, uint64_t len)
{
    struct body_stream *b = NEW(struct body_stream);

    (void)store;
    *b = (struct body_stream){
        .account = account, .mailbox = mailbox, .uid = uid, .offset = offset, .left = len
    };
    return b;
}

enum err body_stream_next(struct body_stream *b, struct slice *out)
{
    uint32_t length = b->left < STORE_PIECE_MAX ? (uint32_t)b->left : STORE_PIECE_MAX;

    if (length == 0)
        return ERR_NOT_FOUND;
    buf_fini(&b->piece); /* who still looks at it shall be found out */
    TRY(store_body_read(NULL, b->account, b->mailbox, b->uid, b->offset, length, &b->piece));
    *out = buf_slice(&b->piece);
    b->offset += out->len;
    b->left = out->len == length ? b->left - length : 0;
    return out->len > 0 ? OK : ERR_NOT_FOUND;
}

void body_stream_free(struct body_stream **b)
{
    if (*b == NULL)
        return;
    buf_fini(&(*b)->piece);
    free(*b);
    *b = NULL;
}

/* In the order of modseqs, page_rows a page. */
static struct fake_message *next_change(struct fake_mailbox *b, uint64_t since)
{
    struct fake_message *first = NULL;

    for (size_t i = 0; i < b->count; i++) {
        struct fake_message *m = &b->messages[i];

        if (m->modseq > since && (first == NULL || m->modseq < first->modseq))
            first = m;
    }
    return first;
}

void fake_move_between_pages(void)
{
    fake_world.move_between_pages = true;
}

static void move_away(struct fake_mailbox *b, uint64_t since, uint64_t until)
{
    fake_world.move_between_pages = false;
    b->floor = b->m.modseq = ++fake_world.modseq;
    for (size_t i = 0; i < b->count; i++) {
        struct fake_message *m = &b->messages[i];

        if (m->gone || m->modseq <= since || m->modseq > until)
            continue;
        fake_message_gone(m);
        m->modseq = b->floor;
    }
}

static void find_vanished(const struct fake_mailbox *b, const struct uidset *known, struct uidset *out)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->messages[i].gone && uidset_contains(known, b->messages[i].uid))
            uidset_add(out, b->messages[i].uid);
    }
}

unsigned fake_changes_asked(void)
{
    unsigned asked = fake_world.changes_asked;

    fake_world.changes_asked = 0;
    return asked;
}

void fake_fail_next_changes(enum err err)
{
    fake_world.fail_changes = err;
}

enum err store_changes(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                       uint64_t since_modseq, const struct uidset *known_uids, struct arena *arena,
                       struct changes *out)
{
    struct fake_mailbox *b;
    struct fake_message *next;
    struct buf rows = { 0 };
    uint32_t count = 0;

    *out = (struct changes){ .modseq = since_modseq };
    enum err failure = fake_world.fail_changes;

    fake_world.changes_asked++;
    fake_world.fail_changes = OK;
    TRY(failure);
    TRY(fake_find(mailbox, &b));
    while ((next = next_change(b, out->modseq)) != NULL && count++ < fake_world.page_rows) {
        uint64_t modseq = next->modseq; /* several messages may have it */

        for (size_t i = 0; i < b->count; i++) {
            struct fake_message *m = &b->messages[i];

            if (m->modseq == modseq && !m->gone)
                row_of(m, 0, &rows);
            else if (m->modseq == modseq && modseq > b->floor)
                uidset_add(&out->vanished, m->uid);
        }
        out->modseq = modseq;
    }
    out->more = next != NULL;
    if (!out->more && b->m.modseq > out->modseq)
        out->modseq = b->m.modseq;
    out->uidnext = b->m.uidnext;
    out->floor_passed = since_modseq < b->floor;
    if (out->floor_passed && known_uids != NULL)
        find_vanished(b, known_uids, &out->vanished);
    if (out->more && fake_world.move_between_pages)
        move_away(b, since_modseq, out->modseq);
    struct mailbox shown = fake_mailbox_show(b, arena);

    out->keywords = shown.keywords;
    out->keyword_count = shown.keyword_count;
    page_begin(&out->page, &rows);
    return OK;
}

void changes_fini(struct changes *c)
{
    uidset_fini(&c->vanished);
    fetch_page_fini(&c->page);
}

static enum err no_header(void *ctx, struct slice name, struct slice text, bool *match_out)
{
    *match_out = false;
    return OK;
}

static enum err no_text(void *ctx, struct slice text, bool *match_out)
{
    *match_out = false;
    return OK;
}

enum err store_search(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                      struct slice program, const struct uidset *view_uids, struct uidset *out,
                      uint64_t *max_modseq_out)
{
    static const struct search_source nothing = { no_header, no_text, no_text };
    struct fake_mailbox *b;
    struct arena arena = { 0 };
    struct search_node *tree;

    *max_modseq_out = 0;
    TRY(fake_find(mailbox, &b));
    TRY(search_decode(program, &arena, &tree));
    search_bind(tree, &b->keywords);
    for (size_t i = 0; i < b->count; i++) {
        const struct fake_message *m = &b->messages[i];
        struct row_email_id id = row_email_id(m->body_id);
        const struct search_message sm = {
            .uid = m->uid,
            .modseq = m->modseq,
            .size = m->body.len,
            .flags = { m->flags, m->keywords },
            .internal_date = { (int64_t)(m->date_ms / 1000), (int16_t)m->zone },
            .email_id = slice_str(id.text),
            .source = &nothing,
        };
        bool match = false;

        if (m->gone || !uidset_contains(view_uids, m->uid) || search_eval(tree, &sm, &match) != OK || !match)
            continue;
        uidset_add(out, m->uid);
        *max_modseq_out = m->modseq > *max_modseq_out ? m->modseq : *max_modseq_out;
    }
    arena_fini(&arena);
    return OK;
}
