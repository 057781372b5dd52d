/* SPDX-License-Identifier: Apache-2.0 */
#include "frontend/imap/message.h"

#include "lib/mail/downgrade.h"

static void drop_stream(struct imap_message *m)
{
    body_stream_free(&m->stream);
    m->piece = SLICE_NULL;
    m->piece_offset = m->stream_end = 0;
}

void imap_message_begin(struct imap_message *m, struct imap_session *s, const struct row *row)
{
    m->s = s;
    m->row = m->stored = row;
    m->has_summary = false;
    drop_stream(m);
    buf_fini(&m->made); /* rare, and may be large */
}

void imap_message_fini(struct imap_message *m)
{
    buf_fini(&m->made);
    drop_stream(m);
    buf_fini(&m->header);
}

/* The part of `have`, which starts at `start` in the message, that answers a request; empty if it does not.
 */
static struct slice cut(struct slice have, uint64_t start, uint64_t offset, uint64_t len)
{
    if (offset < start || offset - start >= have.len)
        return SLICE_NULL;
    size_t from = (size_t)(offset - start);

    return slice_sub(have, from, len < have.len - from ? from + (size_t)len : have.len);
}

/* Stored bytes from `offset` on: what the stream says next, or another one if that is elsewhere. */
static enum err read_stream(struct imap_message *m, uint64_t offset, uint64_t len)
{
    struct imap_session *s = m->s;
    enum err err;

    if (m->stream == NULL || offset != m->piece_offset + m->piece.len || offset >= m->stream_end) {
        drop_stream(m);
        m->stream =
            body_stream_new(s->context->store, s->account, s->view.mailbox, m->stored->uid, offset, len);
        m->stream_end = offset + len;
    }
    err = body_stream_next(m->stream, &m->piece);
    m->piece_offset = offset;
    if (err != OK)
        drop_stream(m);
    return err;
}

/* imap_message_read for what is stored. */
static enum err read_stored(struct imap_message *m, uint64_t offset, uint64_t len, struct slice *out)
{
    const struct row *row = m->stored;

    if ((row->parts & ROW_BODY) != 0) {
        *out = cut(row->body, 0, offset, len);
        return out->len > 0 ? OK : ERR_NOT_FOUND;
    }
    *out = (row->parts & ROW_HEADER) != 0 ? cut(row->header, 0, offset, len) : SLICE_NULL;
    if (out->len == 0)
        *out = cut(m->piece, m->piece_offset, offset, len);
    if (out->len > 0)
        return OK;
    TRY(read_stream(m, offset, len));
    *out = cut(m->piece, offset, offset, len);
    return OK;
}

enum err imap_message_read(struct imap_message *m, uint64_t offset, uint64_t len, struct slice *out)
{
    if (m->row == m->stored)
        return read_stored(m, offset, len, out);
    *out = cut(buf_slice(&m->header), 0, offset, len);
    if (out->len > 0)
        return OK;
    return read_stored(m, offset - m->header.len + m->stored_header_len, len, out);
}

void imap_message_replace_header(struct imap_message *m, struct slice header)
{
    buf_clear(&m->header);
    downgrade_header(header, &m->header);
    m->stored_header_len = header.len;
    m->surrogate = *m->stored;
    m->surrogate.size = m->stored->size - header.len + m->header.len;
    m->surrogate.header = buf_slice(&m->header);
    m->surrogate.parts = ROW_HEADER;
    m->row = &m->surrogate;
}

static enum err make_summary(struct imap_message *m)
{
    struct summary_builder *builder = summary_builder_new(SUMMARY_FULL_MAX);
    enum err err = OK;

    for (uint64_t at = 0; at < m->row->size;) {
        struct slice bytes;

        TRY_GOTO(imap_message_read(m, at, m->row->size - at, &bytes), out);
        summary_builder_push(builder, bytes);
        at += bytes.len;
    }
    buf_clear(&m->made);
    summary_builder_finish(builder, &m->made);
    err = summary_open(buf_slice(&m->made), &m->summary);
out:
    summary_builder_free(&builder);
    return err;
}

enum err imap_message_summary(struct imap_message *m, unsigned has, const struct summary **out)
{
    if (!m->has_summary) {
        bool stored = (m->row->parts & ROW_SUMMARY) != 0 &&
                      summary_open(m->row->summary, &m->summary) == OK; /* else anew */

        if (!stored)
            TRY(make_summary(m));
        m->has_summary = true;
    }
    if ((m->summary.has & has) != has && m->made.len == 0)
        TRY(make_summary(m));
    *out = &m->summary;
    return OK;
}
