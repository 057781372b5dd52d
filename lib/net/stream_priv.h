/* SPDX-License-Identifier: Apache-2.0 */
/* What the stream_*.c files share. */
#ifndef LIB_NET_STREAM_PRIV_H
#define LIB_NET_STREAM_PRIV_H

#include <openssl/ssl.h>
#include <sys/uio.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/fiber/fiber.h"
#include "lib/fiber/timer.h"
#include "lib/net/stream.h"

enum stream_side { STREAM_READER, STREAM_WRITER, STREAM_SIDES };

/* One blocked fiber. */
struct stream_wait {
    struct fiber *fiber;
    uint8_t events; /* UV_READABLE, UV_WRITABLE: what it waits for */
    bool fired;
};

struct stream_park {
    stream_park_fn *fn; /* NULL: not parked */
    void *arg;
    struct timer timer;   /* the deadline, or, once why is another, due at once */
    enum stream_wake why; /* what the timer's end means */
};

struct stream {
    struct loop *loop;
    uv_poll_t poll;
    int fd;
    uint8_t poll_events; /* what `poll` watches; may be more than somebody waits for */
    bool may_read;       /* the socket may have input: try before waiting */
    bool ack_owed; /* bytes came since we last sent: the kernel may be holding their acknowledgement back */
    bool input_cancelled, aborted;
    bool poll_failed; /* the kernel cannot watch this fd */
    struct stream_wait waits[STREAM_SIDES];

    uint8_t *in; /* NULL while empty; [in_start, in_end) is not consumed */
    uint32_t in_start, in_end, in_cap;
    bool in_filled; /* by the last read, to its end */
    struct buf out; /* [out_start, out.len) waits to be sent */
    size_t out_start;
    enum err read_fail, write_fail; /* sticky */
    uint32_t write_timeout_ms;

    SSL *ssl;
    struct stream_preread *preread;
    const char *fail_text;
    struct stream_park park;
    struct addr peer, local;
    void (*on_close)(struct stream *s, void *arg);
    void *on_close_arg;
    uint64_t bytes_in, bytes_out;
};

/* Bytes for TLS that were read before it started: a ClientHello behind a proxy header. */
struct stream_preread {
    uint8_t *data;
    size_t start, end;
};

/* What one attempt at I/O came to. */
enum io_result { IO_OK, IO_WANT_READ, IO_WANT_WRITE, IO_END, IO_FAILED };

/* stream.c */
/* Wait until the socket is ready for `events`; ERR_TIMEOUT, ERR_CANCELLED. Yields. */
enum err stream_wait(struct stream *s, enum stream_side side, int events, uint64_t deadline_ms);
/* The same for the result of an attempt (IO_WANT_READ or IO_WANT_WRITE). Yields. */
enum err stream_wait_io(struct stream *s, enum stream_side side, enum io_result want, uint64_t deadline_ms);
void stream_watch(struct stream *s); /* make libuv watch for all that is waited for */
void stream_note_errno(struct stream *s, int error);

/* stream_read.c */
void stream_free_input_if_empty(struct stream *s);
void stream_drop_input(struct stream *s);
/* One read from the socket, TLS undone. */
enum io_result stream_read_some(struct stream *s, void *dst, size_t size, size_t *len_out);

/* stream_write.c */
void stream_free_output_if_empty(struct stream *s);

/* stream_tls.c */
/* What is in the input came for the handshake that follows, which would otherwise throw it away. */
void stream_keep_input_for_tls(struct stream *s);
void stream_free_preread(struct stream *s);
enum io_result stream_tls_read(struct stream *s, void *dst, size_t size, size_t *len_out);
enum io_result stream_tls_write(struct stream *s, const void *src, size_t size, size_t *len_out);
/* Whether stream_fill would not have to wait; reads from the socket. */
bool stream_tls_input_ready(struct stream *s);
void stream_tls_say_goodbye(struct stream *s);

/* stream_park.c */
void stream_park_on_readable(struct stream *s);
void stream_park_wake_soon(struct stream *s, enum stream_wake why); /* no effect if it is not parked */

#endif
