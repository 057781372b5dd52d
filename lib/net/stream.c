/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's life, and waiting for its socket.
 *
 * libuv watches the socket level-triggered, and each change of what it watches is a system call. So READABLE
 * stays watched after a reader got its event (its next wait costs nothing), and is only dropped when an event
 * comes that nobody waits for; `may_read` remembers that event. WRITABLE is dropped as soon as it fired. */
#include "lib/net/stream_priv.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

/* --- waiting --- */

static int events_waited_for(const struct stream *s)
{
    int events = s->park.fn != NULL ? UV_READABLE : 0;
    for (int side = 0; side < STREAM_SIDES; side++)
        if (s->waits[side].fiber != NULL && !s->waits[side].fired)
            events |= s->waits[side].events;
    return events;
}

static void on_poll(uv_poll_t *handle, int status, int events);

static void set_watched(struct stream *s, int events)
{
    if (events == s->poll_events || s->poll_failed)
        return;
    s->poll_events = (uint8_t)events;
    if (events == 0)
        uv_poll_stop(&s->poll);
    else
        uv_poll_start(&s->poll, events, on_poll);
}

void stream_watch(struct stream *s)
{
    set_watched(s, s->poll_events | events_waited_for(s));
}

/* True if the fiber of that side was waiting for one of the events. */
static bool fire(struct stream_wait *wait, int events)
{
    if (wait->fiber == NULL || (wait->events & events) == 0)
        return false;
    wait->fired = true;
    fiber_wake(wait->fiber);
    return true;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct stream *s = handle->data;
    if (status < 0) {
        s->poll_events = 0; /* libuv stopped it; the next read or write learns the error */
        events = UV_READABLE | UV_WRITABLE;
    }
    bool read_taken = s->park.fn != NULL;
    if ((events & UV_READABLE) != 0) {
        s->may_read = true;
        if (s->park.fn != NULL)
            stream_park_on_readable(s); /* may close the stream: its memory stays until libuv lets go of it */
    }
    for (int side = 0; side < STREAM_SIDES; side++)
        if (fire(&s->waits[side], events))
            read_taken = true;
    if (s->fd < 0)
        return;
    int keep = events_waited_for(s);
    if ((events & UV_READABLE) == 0 || read_taken)
        keep |= s->poll_events & UV_READABLE;
    set_watched(s, keep);
}

static bool is_cancelled(const struct stream *s, enum stream_side side)
{
    return s->aborted || (side == STREAM_READER && s->input_cancelled);
}

enum err stream_wait(struct stream *s, enum stream_side side, int events, uint64_t deadline_ms)
{
    struct stream_wait *wait = &s->waits[side];
    assert(wait->fiber == NULL && s->park.fn == NULL);
    if (s->poll_failed)
        return ERR_IO;
    *wait = (struct stream_wait){ .fiber = fiber_self(), .events = (uint8_t)events };
    assert(wait->fiber != NULL);
    stream_watch(s);
    enum err err = OK;
    while (err == OK && !wait->fired && !is_cancelled(s, side))
        err = fiber_suspend_until(deadline_ms);
    if (wait->fired)
        err = OK;
    *wait = (struct stream_wait){ 0 };
    return is_cancelled(s, side) ? ERR_CANCELLED : err;
}

enum err stream_wait_io(struct stream *s, enum stream_side side, enum io_result want, uint64_t deadline_ms)
{
    assert(want == IO_WANT_READ || want == IO_WANT_WRITE);
    return stream_wait(s, side, want == IO_WANT_READ ? UV_READABLE : UV_WRITABLE, deadline_ms);
}

static void wake_side(struct stream *s, enum stream_side side)
{
    if (s->waits[side].fiber != NULL)
        fiber_wake(s->waits[side].fiber);
}

void stream_cancel_input(struct stream *s)
{
    s->input_cancelled = true;
    wake_side(s, STREAM_READER);
    stream_park_wake_soon(s, STREAM_WAKE_CANCEL);
}

void stream_abort(struct stream *s)
{
    s->aborted = true;
    wake_side(s, STREAM_READER);
    wake_side(s, STREAM_WRITER);
    stream_park_wake_soon(s, STREAM_WAKE_CANCEL);
}

/* --- life --- */

static struct addr socket_addr(int fd, int (*get)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof sa;
    if (get(fd, (struct sockaddr *)&sa, &len) != 0)
        return (struct addr){ 0 };
    return addr_of_sockaddr(&sa);
}

struct stream *stream_new(struct loop *loop, int fd)
{
    struct stream *s = NEW(struct stream);
    s->loop = loop;
    s->fd = fd;
    s->may_read = true;
    s->write_timeout_ms = STREAM_WRITE_TIMEOUT_MS;
    s->fail_text = "";
    s->peer = socket_addr(fd, getpeername);
    s->local = socket_addr(fd, getsockname);
    s->poll.data = s;
    if (s->peer.family != ADDR_NONE) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    int rc = uv_poll_init(loop_uv(loop), &s->poll, fd); /* makes it non-blocking, too */
    if (rc != 0) {
        log_error("stream", "cannot watch a socket: %s", uv_strerror(rc));
        s->poll_failed = true;
        s->read_fail = s->write_fail = ERR_IO;
    }
    return s;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void stream_close(struct stream **at)
{
    struct stream *s = *at;
    if (s == NULL)
        return;
    *at = NULL;
    assert(s->waits[STREAM_READER].fiber == NULL && s->waits[STREAM_WRITER].fiber == NULL);
    if (s->on_close != NULL)
        s->on_close(s, s->on_close_arg);
    timer_stop(&s->park.timer);
    s->park.fn = NULL;
    SSL_free(s->ssl);
    s->ssl = NULL;
    stream_free_preread(s);
    stream_drop_input(s);
    buf_fini(&s->out);
    int fd = s->fd;
    s->fd = -1;
    if (s->poll_failed)
        free(s);
    else
        uv_close((uv_handle_t *)&s->poll, on_poll_closed);
    close(fd);
}

static enum err start_connect(const struct addr *to, int *fd_out)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(to, &sa);
    if (len == 0 || to->family == ADDR_ANY)
        return ERR_UNAVAILABLE;
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return ERR_IO;
    if (connect(fd, (struct sockaddr *)&sa, len) != 0 && errno != EINPROGRESS) {
        close(fd);
        return ERR_UNAVAILABLE;
    }
    *fd_out = fd;
    return OK;
}

enum err stream_connect(const struct addr *to, uint64_t deadline_ms, struct stream **out)
{
    int fd;
    TRY(start_connect(to, &fd));
    struct stream *s = stream_new(loop_self(), fd);
    enum err err = stream_wait(s, STREAM_WRITER, UV_WRITABLE, deadline_ms);
    if (err == OK) {
        int error = 0;
        socklen_t len = sizeof error;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
            err = ERR_UNAVAILABLE;
    }
    if (err != OK) {
        stream_close(&s);
        return err;
    }
    s->peer = *to;
    s->local = socket_addr(fd, getsockname);
    *out = s;
    return OK;
}

/* --- about it --- */

void stream_note_errno(struct stream *s, int error)
{
    const char *text = strerrordesc_np(error);
    s->fail_text = text != NULL ? text : "socket error";
}

struct loop *stream_loop(const struct stream *s)
{
    return s->loop;
}

const struct addr *stream_peer(const struct stream *s)
{
    return &s->peer;
}

const struct addr *stream_local(const struct stream *s)
{
    return &s->local;
}

void stream_set_addrs(struct stream *s, const struct addr *peer, const struct addr *local)
{
    s->peer = *peer;
    s->local = *local;
}

const char *stream_fail_text(const struct stream *s)
{
    return s->fail_text;
}

void stream_set_on_close(struct stream *s, void (*fn)(struct stream *s, void *arg), void *arg)
{
    s->on_close = fn;
    s->on_close_arg = arg;
}

uint64_t stream_bytes_in(const struct stream *s)
{
    return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
    return s->bytes_out;
}
