/* SPDX-License-Identifier: Apache-2.0 */
/* FETCH: a page of rows in UID order. */
#include "lib/mail/row.h"
#include "storage-node/mailbox/message/body_reader.h"
#include "storage-node/mailbox/message/change_scan.h"
#include "storage-node/mailbox/method.h"
#include "storage-node/mailbox/rows/row_walk.h"

struct fetch {
    struct read_ctx *r;
    const Tern__FetchRequest *request;
    size_t page;
    struct row_walk messages, summaries;
    struct recovered_row recovered;
    struct buf header; /* of one message, if it lies in several chunks */
};

enum err check_fetch(const Tern__FetchRequest *request, size_t body_len)
{
    enum {
        EVERY =
            TERN__FETCH_ITEM__FETCH_SUMMARY | TERN__FETCH_ITEM__FETCH_HEADER | TERN__FETCH_ITEM__FETCH_BODY
    };
    return (request->items & ~(uint32_t)EVERY) != 0 ? ERR_INVALID : OK;
}

/* Bytes still free in the page, of which one row's fixed part may use a little more. */
static size_t room(const struct fetch *f)
{
    return f->r->body->len < f->page ? f->page - f->r->body->len : 0;
}

/* The header of a message into `row`: where it lies if one chunk has it, else gathered in f->header. One too
 * large for any page stays out. */
static enum err load_header(struct fetch *f, struct body_reader *reader, struct row *row)
{
    uint64_t size;
    TRY(body_reader_header_size(reader, row->summary, &size));
    if (size > f->page)
        return OK;
    row->parts |= ROW_HEADER;
    if (size == 0)
        return OK;
    TRY(body_reader_at(reader, 0, size, &row->header));
    if (row->header.len == size)
        return OK;
    buf_clear(&f->header);
    TRY(body_reader_copy(reader, 0, size, &f->header));
    row->header = buf_slice(&f->header);
    return OK;
}

/* Append `row` with the header and the body that were asked for, the body straight into the page. */
static enum err add_with_bytes(struct fetch *f, uint64_t body, struct body_reader *reader, struct row *row)
{
    struct buf *out = f->r->body;
    TRY(body_reader_begin(&f->r->state, body, reader));
    if ((f->request->items & TERN__FETCH_ITEM__FETCH_HEADER) != 0)
        TRY(load_header(f, reader, row));
    uint64_t size = row->size < reader->row.size ? row->size : reader->row.size;
    if ((f->request->items & TERN__FETCH_ITEM__FETCH_BODY) == 0 || size > f->page) {
        row_encode(row, out);
        return OK;
    }
    row->parts |= ROW_BODY;
    row_encode_to_body(row, (size_t)size, out);
    return body_reader_copy(reader, 0, size, out);
}

static enum err add_encoded(struct fetch *f, uint64_t body, struct row *row)
{
    struct buf *out = f->r->body;
    struct body_reader reader = { 0 };
    size_t before = out->len;
    enum err err = add_with_bytes(f, body, &reader, row);
    body_reader_end(&reader);
    if (err == ERR_NOT_FOUND) {
        /* Its bytes are gone (a learner replays an entry whose message is expunged later): a row without
         * them. */
        out->len = before;
        row->parts &= ~(uint32_t)(ROW_HEADER | ROW_BODY);
        row_encode(row, out);
        err = OK;
    }
    return err;
}

/* Append one row. *full_out: it does not fit behind the others and begins the next page. */
static enum err add_row(struct fetch *f, uint32_t uid, bool *full_out)
{
    *full_out = false;
    struct message_row message;
    TRY(row_walk_message(&f->messages, uid, &message));
    struct row row = {
        .uid = uid,
        .modseq = message.modseq,
        .flags = message.flags,
        .keywords = message.keywords,
        .internaldate_ms = message.internaldate_ms,
        .internaldate_zone = message.internaldate_zone,
        .size = message.size,
        .body_id = recovered_body_number(&f->recovered, message.body),
    };
    if ((f->request->items & TERN__FETCH_ITEM__FETCH_BODY) != 0 && f->r->body->len > 0 &&
        message.size > room(f)) {
        *full_out = true;
        return OK;
    }
    if ((f->request->items & (TERN__FETCH_ITEM__FETCH_SUMMARY | TERN__FETCH_ITEM__FETCH_HEADER)) != 0) {
        struct slice value;
        TRY(row_walk_to(&f->summaries, uid, &value));
        if (!summary_row_decode(value, &row.summary))
            return ERR_CORRUPT;
    }
    if ((f->request->items & TERN__FETCH_ITEM__FETCH_SUMMARY) != 0)
        row.parts |= ROW_SUMMARY;
    if ((f->request->items & (TERN__FETCH_ITEM__FETCH_HEADER | TERN__FETCH_ITEM__FETCH_BODY)) != 0)
        return add_encoded(f, message.body, &row);
    row_encode(&row, f->r->body);
    return OK;
}

/* Which of the asked messages there are, and have changed since. */
static enum err find_uids(struct fetch *f, const struct mailbox_row *mailbox, struct uidset *out)
{
    const Tern__FetchRequest *request = f->request;
    struct uidset wanted = { 0 }, changed = { 0 }, existing = { 0 };
    enum err err;
    TRY_GOTO(uids_of_request(request->uids, &wanted), out);
    if (request->changed_since == 0) {
        TRY_GOTO(state_uids_among(&f->r->state, request->account, mailbox, &wanted, out), out);
    } else {
        TRY_GOTO(change_scan_uids(&f->r->state, request->account, mailbox, request->changed_since, &changed),
                 out);
        uidset_intersect(&wanted, &changed, &existing);
        uidset_copy(&existing, out);
    }
out:
    uidset_fini(&wanted);
    uidset_fini(&changed);
    uidset_fini(&existing);
    return err;
}

static enum err add_rows(struct fetch *f, const struct uidset *uids, Tern__FetchResponse *response)
{
    uint32_t uid;
    for (struct uidset_iter it = uidset_iter(uids); uidset_next(&it, &uid);) {
        bool full = room(f) == 0;
        if (!full)
            TRY(add_row(f, uid, &full));
        if (full) {
            response->next_uid = uid;
            return OK;
        }
    }
    return OK;
}

enum err read_fetch(struct read_ctx *r, const Tern__FetchRequest *request)
{
    struct counters_row counters;
    struct mailbox_row mailbox;
    TRY(state_counters(&r->state, request->account, &counters));
    TRY(state_mailbox_open(&r->state, request->account, request->mailbox, request->uidvalidity, &mailbox));
    struct keywords_row *keywords = ARENA_NEW(r->state.arena, struct keywords_row);
    TRY(state_keywords(&r->state, request->account, mailbox.id, keywords));
    Tern__FetchResponse response = TERN__FETCH_RESPONSE__INIT;
    response.modseq = mailbox.modseq;
    response.uidnext = mailbox.uidnext;
    response.keyword_count = keywords->count;

    struct fetch *f = ARENA_NEW(r->state.arena, struct fetch);
    f->r = r;
    f->request = request;
    f->page = read_page_size(request->max_bytes);
    if ((request->items & TERN__FETCH_ITEM__FETCH_BODY) != 0)
        buf_reserve(r->body, f->page); /* it will be full: spare it the growing */
    TRY(state_recovered(&r->state, &f->recovered));
    struct uidset uids = { 0 };
    enum err err = find_uids(f, &mailbox, &uids);
    if (err == OK && !uidset_is_empty(&uids)) {
        uint32_t first = uidset_min(&uids), last = uidset_max(&uids);
        row_walk_begin(&f->messages, &r->state, request->account, KEY_MESSAGE, mailbox.id, first, last);
        row_walk_begin(&f->summaries, &r->state, request->account, KEY_SUMMARY, mailbox.id, first, last);
        err = add_rows(f, &uids, &response);
        row_walk_end(&f->messages);
        row_walk_end(&f->summaries);
    }
    uidset_fini(&uids);
    buf_fini(&f->header);
    TRY(err);
    read_respond(r, &response.base);
    return OK;
}
