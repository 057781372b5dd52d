/* SPDX-License-Identifier: Apache-2.0 */
/* RETR and TOP: messages, streamed piece by piece. */
#include "frontend/codec/pop3_text.h"
#include "frontend/pop3/session.h"
#include "lib/base/log.h"
#include "lib/mail/downgrade.h"

enum { TOP_PIECE = 64 * 1024 /* bytes read at a time when only the top is wanted */ };
_Static_assert((int)TOP_PIECE >= (int)DOWNGRADE_HEADER_MAX, "pop3_downgrade needs the header in one piece");

/* Once the +OK line is out there is no way to report an error but to cut the connection: a client must not
 * take half a message for a whole one. */
static void cut(struct pop3_session *s, enum err err)
{
    if (err_class(err) == ERR_CLASS_SYSTEM)
        log_fault("pop3", "message broke off: %s", err_name(err));
    stream_abort(s->stream);
    pop3_set_state(s, POP3_ENDED);
}

/* Of a large message that is wanted whole the next pieces are under way meanwhile. NULL: read it piece by
 * piece. */
static struct body_stream *stream_of(struct pop3_session *s, const struct pop3_message *m, uint64_t lines_max)
{
    if (lines_max != POP3_ALL_LINES || m->size <= STORE_PIECE_MAX)
        return NULL;
    return body_stream_new(s->context->store, s->account.ref, s->mailbox, m->uid, 0, m->size);
}

static enum err next_piece(struct body_stream *stream, struct buf *out)
{
    struct slice bytes;
    TRY(body_stream_next(stream, &bytes));
    buf_add_slice(out, bytes);
    return OK;
}

static void send_pieces(struct pop3_session *s, const struct pop3_message *m, uint64_t lines_max,
                        uint32_t piece)
{
    struct body_stream *stream = stream_of(s, m, lines_max);
    struct pop3_text text = pop3_text_start(lines_max);
    struct buf raw = { 0 }, out = { 0 };
    uint64_t offset = 0, size = m->size;
    enum err err = OK;
    do {
        buf_clear(&raw);
        err = stream != NULL ? next_piece(stream, &raw)
                             : store_body_read(s->context->store, s->account.ref, s->mailbox, m->uid, offset,
                                               piece, &raw);
        if (err != OK || (raw.len == 0 && offset < m->size))
            break;
        size_t read = raw.len;
        if (offset == 0) {
            err = pop3_downgrade(s, m, &raw, &size);
            if (err != OK)
                break;
            buf_addf(&out, "+OK %llu octets\r\n", (unsigned long long)size);
        }
        pop3_text_push(&text, buf_slice(&raw), &out);
        offset += read;
        if (offset >= m->size || text.full)
            pop3_text_finish(&text, &out);
        pop3_send(s, buf_slice(&out));
        buf_clear(&out);
    } while (offset < m->size && !text.full && s->state != POP3_ENDED);
    body_stream_free(&stream);
    buf_fini(&raw);
    buf_fini(&out);
    if (err == OK && (offset >= m->size || text.full))
        return;
    if (offset == 0)
        pop3_reply_err(s, err == OK ? ERR_CORRUPT : err, "message");
    else if (s->state != POP3_ENDED)
        cut(s, err);
}

static void send_message(struct pop3_session *s, const struct pop3_message *m, uint64_t lines_max,
                         uint32_t piece)
{
    pop3_drop_keep_sending(s, true);
    send_pieces(s, m, lines_max, piece);
    pop3_drop_keep_sending(s, false);
}

void pop3_cmd_retr(struct pop3_session *s, struct slice args)
{
    struct pop3_message *m = pop3_drop_find(s, args);
    if (m != NULL)
        send_message(s, m, POP3_ALL_LINES, STORE_PIECE_MAX);
}

void pop3_cmd_top(struct pop3_session *s, struct slice args)
{
    uint64_t lines;
    ptrdiff_t space = slice_find(args, ' ');
    if (space < 0 ||
        !slice_parse_u64(slice_trim(slice_sub(args, (size_t)space, args.len)), UINT32_MAX, &lines)) {
        pop3_err(s, "TOP needs a message number and a number of lines");
        return;
    }
    struct pop3_message *m = pop3_drop_find(s, slice_sub(args, 0, (size_t)space));
    if (m != NULL)
        send_message(s, m, lines, TOP_PIECE);
}
