/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/net/stream_priv.h"

/* --- the buffer --- */

struct slice stream_input(const struct stream *s)
{
    return s->in == NULL ? SLICE_NULL : slice_of(s->in + s->in_start, s->in_end - s->in_start);
}

bool stream_has_input(const struct stream *s)
{
    return s->in_end > s->in_start;
}

void stream_consume(struct stream *s, size_t len)
{
    assert(len <= s->in_end - s->in_start);
    s->in_start += (uint32_t)len;
    if (s->in_start == s->in_end)
        s->in_start = s->in_end = 0;
}

void stream_drop_input(struct stream *s)
{
    free(s->in);
    s->in = NULL;
    s->in_start = s->in_end = s->in_cap = 0;
    s->in_filled = false;
}

void stream_free_input_if_empty(struct stream *s)
{
    if (!stream_has_input(s))
        stream_drop_input(s);
}

static void move_to_front(struct stream *s)
{
    if (s->in_start == 0)
        return;
    memmove(s->in, s->in + s->in_start, s->in_end - s->in_start);
    s->in_end -= s->in_start;
    s->in_start = 0;
}

/* Room for at least one more byte; more of it if the last read filled all there was (a large transfer). */
static void make_room(struct stream *s)
{
    if (s->in == NULL) {
        s->in_cap = STREAM_INPUT_MIN;
        s->in = xrealloc(NULL, s->in_cap);
    }
    if (s->in_cap - s->in_end < s->in_cap / 2)
        move_to_front(s);
    bool too_small = s->in_cap - s->in_end < s->in_cap / 2 || s->in_filled;
    if (too_small && s->in_cap < STREAM_INPUT_MAX) {
        s->in_cap *= 2;
        s->in = xrealloc(s->in, s->in_cap);
    }
}

/* --- reading --- */

static enum io_result plain_read(struct stream *s, void *dst, size_t size, size_t *len_out)
{
    ssize_t n = recv(s->fd, dst, size, 0);
    if (n < 0 && errno == EINTR)
        n = recv(s->fd, dst, size, 0);
    if (n > 0) {
        s->may_read = (size_t)n == size; /* a short read emptied the socket: wait before the next one */
        s->bytes_in += (uint64_t)n;
        s->ack_owed = true;
        *len_out = (size_t)n;
        return IO_OK;
    }
    if (n == 0)
        return IO_END;
    if (errno == EAGAIN || errno == EINTR) {
        s->may_read = false;
        return IO_WANT_READ;
    }
    stream_note_errno(s, errno);
    return IO_FAILED;
}

enum io_result stream_read_some(struct stream *s, void *dst, size_t size, size_t *len_out)
{
    return s->ssl != NULL ? stream_tls_read(s, dst, size, len_out) : plain_read(s, dst, size, len_out);
}

static bool worth_trying(const struct stream *s)
{
    return s->may_read || (s->ssl != NULL && SSL_has_pending(s->ssl));
}

static enum io_result try_fill(struct stream *s)
{
    if (!worth_trying(s))
        return IO_WANT_READ;
    make_room(s);
    size_t room = s->in_cap - s->in_end, len = 0;
    enum io_result result = stream_read_some(s, s->in + s->in_end, room, &len);
    s->in_end += (uint32_t)len;
    s->in_filled = len == room;
    return result;
}

/* We need more from the peer and have nothing to say. A peer with Nagle's algorithm on (Python's imaplib
 * sends a literal and its CRLF separately) sends the rest only when the first part is acknowledged, which the
 * kernel delays by 40 ms in the hope that we answer. */
static void acknowledge_now(struct stream *s)
{
    int on = 1;
    if (s->ack_owed)
        setsockopt(s->fd, IPPROTO_TCP, TCP_QUICKACK, &on,
                   sizeof on); /* fails on other sockets than TCP: no harm */
    s->ack_owed = false;
}

enum err stream_fill(struct stream *s, uint64_t deadline_ms)
{
    assert(s->park.fn == NULL && s->waits[STREAM_READER].fiber == NULL);
    if (s->aborted || s->input_cancelled)
        return ERR_CANCELLED;
    if (s->read_fail != OK)
        return s->read_fail;
    if (s->in_end - s->in_start >= STREAM_INPUT_MAX)
        return ERR_TOO_BIG;
    for (;;) {
        enum io_result result = try_fill(s);
        if (result == IO_OK)
            return OK;
        if (result == IO_END || result == IO_FAILED)
            return s->read_fail = ERR_CLOSED;
        stream_free_input_if_empty(s);
        stream_free_output_if_empty(s);
        acknowledge_now(s);
        TRY(stream_wait_io(s, STREAM_READER, result, deadline_ms));
    }
}

enum err stream_read_line(struct stream *s, size_t max_bytes, uint64_t deadline_ms, struct slice *line_out)
{
    assert(max_bytes > 0 && max_bytes <= STREAM_INPUT_MAX);
    size_t searched = 0;
    for (;;) {
        struct slice input = slice_sub(stream_input(s), 0, max_bytes);
        ptrdiff_t lf = slice_find(slice_sub(input, searched, input.len), '\n');
        if (lf >= 0) {
            *line_out = slice_sub(input, 0, searched + (size_t)lf + 1);
            return OK;
        }
        if (input.len == max_bytes)
            return ERR_TOO_BIG;
        searched = input.len;
        TRY(stream_fill(s, deadline_ms));
    }
}
