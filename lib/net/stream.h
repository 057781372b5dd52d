/* SPDX-License-Identifier: Apache-2.0 */
/* A connection for straight-line code in a fiber: bounded input and output buffers, deadlines, plain or TLS.
 *
 *     while ((err = stream_read_line(s, 512, loop_deadline_ms(300000), &line)) == OK) {
 *         ... use line, which points into the input buffer ...
 *         stream_consume(s, line.len);
 *         TRY(stream_printf(s, "250 OK\r\n"));
 *         if (!stream_has_input(s))          // the client pipelines: answer in one packet
 *             TRY(stream_flush(s));
 *     }
 *
 * At most one fiber reads and at most one writes at a time (they may be two). Every call belongs on the
 * stream's loop thread. An error other than ERR_TIMEOUT of a read and ERR_TOO_BIG is final for its direction.
 * An idle session parks its stream (below) and ends its fiber: what then remains is this struct, the TLS
 * state and a timer. */
#ifndef LIB_NET_STREAM_H
#define LIB_NET_STREAM_H

#include "lib/base/slice.h"
#include "lib/fiber/loop.h"
#include "lib/net/addr.h"

struct stream;
struct tls_server;
struct tls_client;

enum {
    STREAM_INPUT_MIN = 4 * 1024,       /* the input buffer starts with this ... */
    STREAM_INPUT_MAX = 64 * 1024,      /* ... and never holds more than this */
    STREAM_OUTPUT_HIGH = 16 * 1024,    /* stream_write sends by itself when more than this waits */
    STREAM_PRINTF_MAX = 8 * 1024,      /* what one stream_printf may make */
    STREAM_WRITE_TIMEOUT_MS = 120000,  /* default; see stream_set_write_timeout */
    STREAM_LINGER_BYTES_MAX = 1 << 20, /* stream_shutdown throws away at most this much late input */
};

/* Take over a connected socket (any stream socket; made non-blocking, TCP_NODELAY). Owns fd from here on. */
struct stream *stream_new(struct loop *loop, int fd);
/* Connect by TCP from the running fiber. ERR_TIMEOUT, ERR_UNAVAILABLE (refused, unreachable), ERR_IO. Yields.
 */
MUST_CHECK enum err stream_connect(const struct addr *to, uint64_t deadline_ms, struct stream **out);
/* Close at once: nothing is flushed, nothing waited for; no fiber may be blocked on it. *s becomes NULL. */
void stream_close(struct stream **s);
/* Say good-bye: flush, TLS close_notify, FIN, then wait for the peer's end (throwing away what it still
 * sends, so that our last reply is not destroyed by a reset) until deadline_ms. Errors do not matter any
 * more. Yields. stream_close is still the caller's. */
void stream_shutdown(struct stream *s, uint64_t deadline_ms);

/* --- reading --- */

/* What has been read and not consumed; valid until the next call that reads or consumes. */
struct slice stream_input(const struct stream *s);
bool stream_has_input(const struct stream *s);
/* Drop the first len bytes of stream_input. */
void stream_consume(struct stream *s, size_t len);
/* Read at least one more byte behind what is there. ERR_CLOSED at the peer's end, ERR_TIMEOUT
 * at deadline_ms (nothing lost: may be called again), ERR_TOO_BIG if STREAM_INPUT_MAX bytes wait unconsumed,
 * ERR_CANCELLED after stream_cancel_input or stream_abort. ERR_CLOSED also stands for TLS rubbish and resets
 * (stream_fail_text says which). Does not
 * send waiting output. Yields. */
MUST_CHECK enum err stream_fill(struct stream *s, uint64_t deadline_ms);
/* Fill until the input starts with a whole line; *line_out is the line with its LF (and CR, if any), not yet
 * consumed. ERR_TOO_BIG: no LF within max_bytes (at most STREAM_INPUT_MAX). Else as stream_fill, whose
 * ERR_CLOSED may leave a part of a line in the input. The deadline is for the whole line, however slowly it
 * comes. Yields. */
MUST_CHECK enum err stream_read_line(struct stream *s, size_t max_bytes, uint64_t deadline_ms,
                                     struct slice *line_out);

/* --- writing --- */

/* Queue bytes for sending. Small ones are copied; when more than STREAM_OUTPUT_HIGH would wait, all of it is
 * sent (large runs straight from the caller's memory) before this returns. ERR_CLOSED (peer gone),
 * ERR_TIMEOUT (it took nothing for the write timeout), ERR_CANCELLED (stream_abort); all of them
 * sticky. May yield. */
MUST_CHECK enum err stream_write(struct stream *s, struct slice data);
MUST_CHECK enum err stream_write_str(struct stream *s, const char *text);
/* At most STREAM_PRINTF_MAX bytes, asserted. May yield. */
MUST_CHECK enum err stream_printf(struct stream *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Send everything that waits (hand it to the kernel). Errors as stream_write. Yields. */
MUST_CHECK enum err stream_flush(struct stream *s);
size_t stream_output_pending(const struct stream *s); /* bytes */
/* How long the peer may take nothing at all before writing fails. */
void stream_set_write_timeout(struct stream *s, uint32_t timeout_ms);

/* --- TLS --- */

/* Flush, throw away plaintext input that was already received (it came before the handshake, RFC 3207 4.2;
 * ask stream_has_input first if its presence matters), and shake hands. ERR_INVALID: not TLS or no common
 * ground; ERR_AUTH: the peer's certificate is not right (client); ERR_TIMEOUT; ERR_CLOSED. Any error is
 * final. Yields. */
MUST_CHECK enum err stream_start_tls_server(struct stream *s, struct tls_server *tls, uint64_t deadline_ms);
MUST_CHECK enum err stream_start_tls_client(struct stream *s, struct tls_client *tls, const char *server_name,
                                            uint64_t deadline_ms);
bool stream_is_tls(const struct stream *s);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384", the name the client asked for; NULL without TLS (or without SNI). The
 * strings live as long as the stream. */
const char *stream_tls_version(const struct stream *s);
const char *stream_tls_cipher(const struct stream *s);
const char *stream_tls_sni(const struct stream *s);
/* Bits of the symmetric key, for Received lines and logs; 0 without TLS. */
int stream_tls_bits(const struct stream *s);
bool stream_tls_resumed(const struct stream *s);

/* --- ends from elsewhere on the same thread --- */

/* For drain: reading (blocked now, parked, or later) returns ERR_CANCELLED; writing goes on, so that the
 * session can say good-bye. */
void stream_cancel_input(struct stream *s);
/* Reading and writing, blocked now or later, return ERR_CANCELLED; a parked stream wakes. The owner closes.
 */
void stream_abort(struct stream *s);

/* --- parking --- */

enum stream_wake {
    STREAM_WAKE_INPUT,   /* bytes or the peer's end: stream_fill will not wait */
    STREAM_WAKE_UNPARK,  /* somebody called stream_unpark */
    STREAM_WAKE_TIMEOUT, /* deadline_ms passed */
    STREAM_WAKE_CANCEL,  /* stream_cancel_input or stream_abort */
};

typedef void stream_park_fn(struct stream *s, enum stream_wake why, void *arg);

/* Leave the stream without fiber and buffers until something happens; then `fn` is called once, on the loop
 * thread, outside any fiber and never inside this call: usually it spawns a fiber that goes on with the
 * session. By then the stream is not parked any more. All output must have been flushed (asserted). Input
 * that is there already wakes at once. Calling stream_close on a parked stream is allowed and calls nobody.
 * Does not yield. */
void stream_park(struct stream *s, uint64_t deadline_ms, stream_park_fn *fn, void *arg);
/* Wake a parked stream (a change to report, for instance). No effect if it is not parked. */
void stream_unpark(struct stream *s);
bool stream_is_parked(const struct stream *s);

/* --- about it --- */

struct loop *stream_loop(const struct stream *s);
/* The peer's and our own address, as the proxy header said if there was one. */
const struct addr *stream_peer(const struct stream *s);
const struct addr *stream_local(const struct stream *s);
void stream_set_addrs(struct stream *s, const struct addr *peer, const struct addr *local);
/* Why TLS or the socket failed, a short English text for the log; "" if it did not. */
const char *stream_fail_text(const struct stream *s);
/* Called once by stream_close; belongs to listener.c, which counts the connections that it made. */
void stream_set_on_close(struct stream *s, void (*fn)(struct stream *s, void *arg), void *arg);
uint64_t stream_bytes_in(const struct stream *s); /* from the socket, TLS overhead included */
uint64_t stream_bytes_out(const struct stream *s);

#endif
