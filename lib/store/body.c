/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one message's bytes: a piece of them, or all in order, with the next pieces under way. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/store/message_priv.h"

/* A request for some bytes and its answer, which the stream's caller borrows. */
struct piece {
    struct call call;
    Tern__BodyRequest request;
};

struct body_stream {
    struct store *store;
    struct account_ref account;
    struct mailbox_ref mailbox;
    uint32_t uid;
    uint64_t offset, left;                    /* what no piece has been asked for yet */
    struct piece *pieces[STORE_PIECES_AHEAD]; /* in the order of their bytes */
    uint32_t piece_count;
    struct piece *lent; /* handed out last */
};

static void piece_free(struct piece **p)
{
    if (*p == NULL)
        return;
    call_fini(&(*p)->call);
    free(*p);
    *p = NULL;
}

static void describe(struct account_ref account, struct mailbox_ref mailbox, uint32_t uid, uint64_t offset,
                     uint32_t length, struct call *call, Tern__BodyRequest *request)
{
    tern__body_request__init(request);
    request->account = account.id;
    request->mailbox = mailbox.id;
    request->uidvalidity = mailbox.uidvalidity;
    request->uid = uid;
    request->offset = offset;
    request->length = length;
    *call = (struct call){
        .method = METHOD_BODY, .partition = account.home, .request = &request->base, .ahead = true
    };
}

static void begin_pieces(struct body_stream *b)
{
    while (b->piece_count < STORE_PIECES_AHEAD && b->left > 0) {
        uint32_t length = b->left < STORE_PIECE_MAX ? (uint32_t)b->left : STORE_PIECE_MAX;
        struct piece *p = NEW(struct piece);
        describe(b->account, b->mailbox, b->uid, b->offset, length, &p->call, &p->request);
        call_begin(b->store, &p->call);
        b->pieces[b->piece_count++] = p;
        b->offset += length;
        b->left -= length;
    }
}

static struct piece *take_first(struct body_stream *b)
{
    struct piece *first = b->pieces[0];
    b->piece_count--;
    for (uint32_t i = 0; i < b->piece_count; i++)
        b->pieces[i] = b->pieces[i + 1];
    return first;
}

static void end_pieces(struct body_stream *b)
{
    b->left = 0;
    while (b->piece_count > 0)
        piece_free(&b->pieces[--b->piece_count]);
}

struct body_stream *body_stream_new(struct store *store, struct account_ref account,
                                    struct mailbox_ref mailbox, uint32_t uid, uint64_t offset, uint64_t len)
{
    struct body_stream *b = NEW(struct body_stream);
    b->store = store;
    b->account = account;
    b->mailbox = mailbox;
    b->uid = uid;
    b->offset = offset;
    b->left = len;
    begin_pieces(b);
    return b;
}

enum err body_stream_next(struct body_stream *b, struct slice *out)
{
    *out = SLICE_NULL;
    piece_free(&b->lent);
    if (b->piece_count == 0)
        return ERR_NOT_FOUND;
    struct piece *p = b->lent = take_first(b);
    enum err err = call_end(&p->call);
    if (err == OK)
        *out = call_body(&p->call);
    if (out->len > p->request.length) {
        *out = SLICE_NULL;
        err = ERR_PROTOCOL;
    }
    if (out->len < p->request.length) /* the message ends here, or an error its reading */
        end_pieces(b);
    else
        begin_pieces(b);
    return err == OK && out->len == 0 ? ERR_NOT_FOUND : err;
}

void body_stream_free(struct body_stream **b)
{
    if (*b == NULL)
        return;
    end_pieces(*b);
    piece_free(&(*b)->lent);
    free(*b);
    *b = NULL;
}

enum err store_body_read(struct store *store, struct account_ref account, struct mailbox_ref mailbox,
                         uint32_t uid, uint64_t offset, uint32_t length, struct buf *out)
{
    Tern__BodyRequest request;
    struct call call;
    describe(account, mailbox, uid, offset, length, &call, &request);
    enum err err = call_run(store, &call);
    if (err == OK)
        buf_add_slice(out, call_body(&call));
    call_fini(&call);
    return err;
}
