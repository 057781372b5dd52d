/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/frontend/pop3/fake_drop.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/mail/summary.h"
#include "lib/store/mailbox.h"
#include "lib/store/message.h"

struct fake_drop fake_drop;

enum err store_lock(struct store *store, struct account_ref account, struct slice token)
{
    (void)store;
    (void)account;
    (void)token;
    fiber_sleep_ms(fake_drop.lock_ms);
    fake_drop.locks++;
    return fake_drop.lock_err;
}

void store_unlock(struct store *store, struct account_ref account, struct slice token)
{
    (void)store;
    (void)account;
    (void)token;
    fake_drop.unlocks++;
}

enum err store_mailbox_open(struct store *store, struct account_ref account, struct slice name,
                            struct arena *arena, struct mailbox *out, struct uidset *uids_out,
                            uint32_t *first_unseen_uid_out)
{
    (void)store;
    (void)account;
    (void)name;
    (void)arena;
    *out = (struct mailbox){ .id = 5, .uidvalidity = 77 };
    *first_unseen_uid_out = 0;
    if (fake_drop.messages > 0)
        uidset_add_range(uids_out, 1, fake_drop.messages);
    return fake_drop.open_err;
}

struct fetch {
    unsigned page;
    uint32_t items;
};

struct fetch *fetch_new(struct store *store, const struct fetch_options *options)
{
    struct fetch *f = NEW(struct fetch);
    (void)store;
    f->items = options->items;
    fake_drop.fetches++;
    return f;
}

static void summarise(struct buf *out)
{
    struct summary_builder *b = summary_builder_new(SUMMARY_STORED_MAX);
    summary_builder_push(b, slice_str(fake_drop.text));
    if (fake_drop.international)
        summary_builder_international(b);
    summary_builder_finish(b, out);
    summary_builder_free(&b);
}

enum err fetch_next(struct fetch *f, struct fetch_page *page_out)
{
    fiber_yield();
    *page_out = (struct fetch_page){ 0 };
    if (f->page++ == 1) /* fails behind the first page, if at all */
        return fake_drop.fetch_err != OK ? fake_drop.fetch_err : ERR_NOT_FOUND;
    struct buf *rows = NEW(struct buf), summary = { 0 };
    if (f->items & ROW_SUMMARY)
        summarise(&summary);
    for (uint32_t uid = 1; uid <= fake_drop.messages; uid++)
        row_encode(
            &(struct row){
                .uid = uid, .size = fake_drop.size, .parts = f->items, .summary = buf_slice(&summary) },
            rows);
    buf_fini(&summary);
    page_out->priv = rows;
    page_out->rows = cursor_of(buf_slice(rows));
    return OK;
}

bool fetch_page_next(struct fetch_page *page, struct row *out)
{
    return row_next(&page->rows, out) == OK;
}

void fetch_page_fini(struct fetch_page *page)
{
    struct buf *rows = page->priv;
    if (rows != NULL)
        buf_fini(rows);
    free(rows);
    page->priv = NULL;
}

void fetch_free(struct fetch **f)
{
    free(*f);
    *f = NULL;
}

enum err store_body_read(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                         uint32_t uid, uint64_t offset, uint32_t length, struct buf *out)
{
    (void)store;
    (void)account;
    (void)mailbox;
    (void)uid;
    fiber_yield();
    if (fake_drop.body_err != OK && offset >= fake_drop.body_err_from)
        return fake_drop.body_err;
    if (fake_drop.text != NULL) {
        buf_add_slice(out, slice_sub(slice_str(fake_drop.text), offset, offset + length));
        return OK;
    }
    for (uint64_t at = offset; at < fake_drop.size && at < offset + length; at++)
        buf_add_byte(out, (uint8_t)(at % 64 == 62 ? '\r' : at % 64 == 63 ? '\n' : 'x'));
    return OK;
}

struct body_stream {
    uint64_t offset, left;
    struct buf piece;
};

struct body_stream *body_stream_new(struct store *store, struct account_ref account,
                                    struct mailbox_ref mailbox, uint32_t uid, uint64_t offset, uint64_t len)
{
    (void)store;
    (void)account;
    (void)mailbox;
    (void)uid;
    struct body_stream *b = NEW(struct body_stream);
    b->offset = offset;
    b->left = len;
    fake_drop.streams++;
    return b;
}

enum err body_stream_next(struct body_stream *b, struct slice *out)
{
    uint32_t length = b->left < STORE_PIECE_MAX ? (uint32_t)b->left : STORE_PIECE_MAX;
    if (length == 0)
        return ERR_NOT_FOUND;
    buf_clear(&b->piece);
    TRY(store_body_read(NULL, (struct account_ref){ 0 }, (struct mailbox_ref){ 0 }, 0, b->offset, length,
                        &b->piece));
    *out = buf_slice(&b->piece);
    b->offset += length;
    b->left -= length;
    return OK;
}

void body_stream_free(struct body_stream **b)
{
    if (*b == NULL)
        return;
    buf_fini(&(*b)->piece);
    free(*b);
    *b = NULL;
}

enum err store_expunge(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                       const struct uidset *uids, bool only_deleted, const struct store_progress *progress,
                       struct uidset *vanished_out, uint64_t *modseq_out)
{
    (void)store;
    (void)account;
    (void)mailbox;
    (void)only_deleted;
    (void)vanished_out;
    fake_drop.expunged = uidset_count(uids);
    *modseq_out = 1;
    return fake_drop.expunge_err;
}
