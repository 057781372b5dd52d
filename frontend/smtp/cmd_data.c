/* SPDX-License-Identifier: Apache-2.0 */
/* DATA and BDAT (RFC 3030): the message itself. */
#include "frontend/smtp/incoming.h"

/* True if a message may come now; the refusal was sent otherwise. */
static bool may_begin(struct smtp_session *s)
{
    if (s->state == SMTP_RCPT)
        return true;
    if (s->state == SMTP_MAIL)
        smtp_reject(s, 554, "5.5.1", "no valid recipients");
    else
        smtp_reject(s, 503, "5.5.1", "MAIL and RCPT first");
    return false;
}

/* The message did not come whole: the session ends, nothing was delivered. */
static void end_in_message(struct smtp_session *s, enum err err)
{
    if (err == ERR_TOO_BIG)
        smtp_reply(s, 552, "5.3.4", "message is far too large, closing");
    else if (err == ERR_TIMEOUT)
        smtp_reply(s, 421, "4.4.2", "message did not end in time, closing");
    else if (err == ERR_CANCELLED)
        smtp_reply(s, 421, "4.3.2", "shutting down, try again");
    smtp_set_state(s, SMTP_ENDED);
}

void smtp_cmd_data(struct smtp_session *s, struct slice args)
{
    bool end = false;
    if (args.len > 0) {
        smtp_reject(s, 501, "5.5.4", "DATA takes no argument");
        return;
    }
    if (!may_begin(s))
        return;
    smtp_reply(s, 354, NULL, "go ahead, end with <CRLF>.<CRLF>");
    enum err err = stream_flush(s->stream);
    s->incoming = incoming_new(s);
    while (err == OK && !end) {
        if (!stream_has_input(s->stream))
            err = stream_fill(s->stream, smtp_deadline(s));
        size_t used = 0;
        if (err == OK)
            incoming_push_data(s->incoming, stream_input(s->stream), &used, &end);
        stream_consume(s->stream, used);
        if (incoming_size(s->incoming) > s->context->settings->message_size_max + SMTP_DISCARD_MAX)
            err = ERR_TOO_BIG;
    }
    if (err == OK) {
        incoming_finish(s->incoming, s);
        smtp_reset(s);
        return;
    }
    end_in_message(s, err);
}

/* Read a chunk's octets, into the message or for nothing. The chunk is announced, so it is always read: what
 * follows it is a command. */
static enum err read_chunk(struct smtp_session *s, uint64_t size)
{
    while (size > 0) {
        if (!stream_has_input(s->stream)) {
            TRY(stream_flush(s->stream));
            TRY(stream_fill(s->stream, smtp_deadline(s)));
        }
        struct slice input = stream_input(s->stream);
        size_t len = input.len < size ? input.len : (size_t)size;
        if (s->incoming != NULL && !s->bdat_failed)
            incoming_push_bdat(s->incoming, slice_sub(input, 0, len));
        stream_consume(s->stream, len);
        size -= len;
    }
    return OK;
}

/* Whether this chunk belongs to a message; if not, the refusal is sent behind it. */
static bool begin_chunk(struct smtp_session *s, uint64_t size)
{
    uint64_t size_max = s->context->settings->message_size_max;
    if (s->state != SMTP_RCPT && s->state != SMTP_BDAT)
        return false;
    if (s->incoming == NULL)
        s->incoming = incoming_new(s);
    if (size > size_max || incoming_size(s->incoming) + size > size_max)
        s->bdat_failed = true;
    smtp_set_state(s, SMTP_BDAT);
    return true;
}

void smtp_cmd_bdat(struct smtp_session *s, struct slice args)
{
    uint64_t size;
    bool last;
    if (smtp_bdat_parse(args, &size, &last) != OK) {
        /* How long the chunk is cannot be known, so where the next command starts cannot either. */
        smtp_reply(s, 501, "5.5.4", "BDAT needs a size, closing");
        smtp_set_state(s, SMTP_ENDED);
        return;
    }
    bool wanted = begin_chunk(s, size);
    if (size > s->context->settings->message_size_max + SMTP_DISCARD_MAX) {
        smtp_reply(s, 552, "5.3.4", "chunk is far too large, closing");
        smtp_set_state(s, SMTP_ENDED);
        return;
    }
    enum err err = read_chunk(s, size);
    if (err != OK) {
        end_in_message(s, err);
        return;
    }
    if (!wanted) {
        (void)may_begin(s);
    } else if (s->bdat_failed) {
        smtp_reject(s, 552, "5.3.4", "message is larger than %llu octets",
                    (unsigned long long)s->context->settings->message_size_max);
        if (last)
            smtp_reset(s);
    } else if (last) {
        incoming_finish(s->incoming, s);
        smtp_reset(s);
    } else {
        smtp_reply(s, 250, "2.0.0", "%llu octets received", (unsigned long long)size);
    }
}
