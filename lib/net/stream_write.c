/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/net/stream_priv.h"

size_t stream_output_pending(const struct stream *s)
{
    return s->out.len - s->out_start;
}

void stream_set_write_timeout(struct stream *s, uint32_t timeout_ms)
{
    s->write_timeout_ms = timeout_ms;
}

void stream_free_output_if_empty(struct stream *s)
{
    if (stream_output_pending(s) == 0) {
        buf_fini(&s->out);
        s->out_start = 0;
    }
}

static enum io_result plain_write(struct stream *s, struct slice first, struct slice second, size_t *len_out)
{
    struct iovec parts[] = {
        { .iov_base = (void *)(uintptr_t)first.data, .iov_len = first.len },
        { .iov_base = (void *)(uintptr_t)second.data, .iov_len = second.len },
    };
    struct msghdr msg = { .msg_iov = parts, .msg_iovlen = 2 };
    ssize_t n = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
    if (n >= 0) {
        s->bytes_out += (uint64_t)n;
        s->ack_owed = false;
        *len_out = (size_t)n;
        return IO_OK;
    }
    if (errno == EAGAIN || errno == EINTR)
        return IO_WANT_WRITE;
    stream_note_errno(s, errno);
    return IO_FAILED;
}

/* One attempt at what is buffered and then *extra; takes what was sent off both. */
static enum io_result write_some(struct stream *s, struct slice *extra)
{
    struct slice buffered = slice_sub(buf_slice(&s->out), s->out_start, s->out.len);
    size_t len = 0;
    enum io_result result;
    if (s->ssl == NULL)
        result = plain_write(s, buffered, *extra, &len);
    else if (buffered.len > 0)
        result = stream_tls_write(s, buffered.data, buffered.len, &len);
    else
        result = stream_tls_write(s, extra->data, extra->len, &len);
    size_t of_buffered = len < buffered.len ? len : buffered.len;
    s->out_start += of_buffered;
    if (stream_output_pending(s) == 0) {
        buf_clear(&s->out);
        s->out_start = 0;
    }
    *extra = slice_sub(*extra, len - of_buffered, extra->len);
    return result;
}

static enum err write_failed(struct stream *s, enum err err)
{
    s->write_fail = err;
    buf_fini(&s->out);
    s->out_start = 0;
    return err;
}

static enum err send_all(struct stream *s, struct slice extra)
{
    assert(s->park.fn == NULL && s->waits[STREAM_WRITER].fiber == NULL);
    while (stream_output_pending(s) + extra.len > 0) {
        enum io_result result = write_some(s, &extra);
        if (result == IO_OK)
            continue;
        if (result == IO_FAILED || result == IO_END)
            return write_failed(s, ERR_CLOSED);
        enum err err = stream_wait_io(s, STREAM_WRITER, result, loop_deadline_ms(s->write_timeout_ms));
        if (err != OK)
            return write_failed(s, err);
    }
    return OK;
}

static enum err may_write(const struct stream *s)
{
    return s->aborted ? ERR_CANCELLED : s->write_fail;
}

enum err stream_flush(struct stream *s)
{
    TRY(may_write(s));
    return send_all(s, SLICE_NULL);
}

enum err stream_write(struct stream *s, struct slice data)
{
    TRY(may_write(s));
    if (stream_output_pending(s) + data.len > STREAM_OUTPUT_HIGH)
        return send_all(s, data);
    buf_add_slice(&s->out, data);
    return OK;
}

enum err stream_write_str(struct stream *s, const char *text)
{
    return stream_write(s, slice_str(text));
}

enum err stream_printf(struct stream *s, const char *fmt, ...)
{
    TRY(may_write(s));
    size_t before = s->out.len;
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&s->out, fmt, ap);
    va_end(ap);
    assert(s->out.len - before <= STREAM_PRINTF_MAX);
    return stream_output_pending(s) > STREAM_OUTPUT_HIGH ? send_all(s, SLICE_NULL) : OK;
}

/* --- the end --- */

/* Until the peer's end, an error, or more than a well-behaved peer could have had under way. */
static void read_away(struct stream *s, uint64_t deadline_ms)
{
    stream_drop_input(s);
    s->input_cancelled = false; /* a drain ends sessions, but they may still end politely */
    size_t len = 0;
    for (size_t total = 0; total < STREAM_LINGER_BYTES_MAX; total += len) {
        if (stream_fill(s, deadline_ms) != OK)
            return;
        len = stream_input(s).len;
        stream_consume(s, len);
    }
}

void stream_shutdown(struct stream *s, uint64_t deadline_ms)
{
    uint64_t now_ms = loop_now_ms();
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    if (left_ms < s->write_timeout_ms)
        s->write_timeout_ms = (uint32_t)left_ms;
    if (stream_flush(s) != OK)
        return;
    stream_tls_say_goodbye(s);
    s->write_fail = ERR_CLOSED;
    if (shutdown(s->fd, SHUT_WR) == 0)
        read_away(s, deadline_ms);
}
