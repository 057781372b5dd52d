/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets: bound while the process is still privileged, served by one or more loops afterwards.
 *
 * One loop accepts and deals connections out in turn to all of them (one shared socket instead of
 * SO_REUSEPORT: two programs on one port are an error that should be seen). For every connection a fiber is
 * spawned on its loop; it reads the proxy header (if the listener expects one), shakes hands (if the port
 * speaks TLS from the first byte) and calls `serve`. Connections beyond the bound get one text and are
 * closed. */
#ifndef LIB_NET_LISTENER_H
#define LIB_NET_LISTENER_H

#include "lib/fiber/loop.h"
#include "lib/net/addr.h"
#include "lib/net/stream.h"

struct listener;

enum {
    LISTENER_BACKLOG = 1024,
    LISTENER_ACCEPTS_A_TURN = 64,          /* then others have their turn */
    LISTENER_HANDSHAKE_TIMEOUT_MS = 30000, /* proxy header and TLS together */
    LISTENER_PAUSE_MS = 100,               /* after running out of files or memory */
    LISTENER_LOOPS_MAX = 64,
};

struct listener_config {
    /* "imaps": for logs, fiber names and metrics; a literal, or outlives the listener. */
    const char *name;
    struct addr addr;
    /* Open at once over all loops; 0: no bound here. */
    size_t connections_max;
    /* Open at once from one client (IPv4 address, IPv6 /64), over all loops; 0: no bound. */
    size_t peer_connections_max;
    /* Sent to connections beyond a bound ("* BYE ...\r\n") before they are closed, if the port is not TLS
     * from the first byte. Borrowed. */
    struct slice refusal;
    /* Handshake before serve. NULL: plain, and serve may start TLS itself. Borrowed. */
    struct tls_server *tls;
    /* Balancers, which must send a proxy header; others must not. Borrowed. */
    const struct addr_net *proxy_nets;
    size_t proxy_nets_count;
    /* The session, in a fiber of its own. It owns the stream: it ends with stream_close, or parks it. Yields.
     */
    void (*serve)(struct stream *s, void *arg);
    void *arg;
};

/* Create, bind and listen (the kernel queues connections from now on). ERR_IN_USE, ERR_DENIED (a port below
 * 1024), ERR_NOT_FOUND (no such address here), ERR_IO; the cause is logged. The config is copied. */
MUST_CHECK enum err listener_bind(const struct listener_config *config, struct listener **out);
/* The address with the port that the kernel chose for port 0. */
struct addr listener_addr(const struct listener *l);

/* Accept on loops[accept_index], serve on all `count` loops. Called before the loops run, or on the thread of
 * that loop. The array is copied; the loops must outlive the listener. */
void listener_start(struct listener *l, struct loop *const *loops, size_t count, size_t accept_index);
/* Close the listening socket; open connections go on. Thread-safe, takes effect on the accepting loop's
 * thread. */
void listener_stop(struct listener *l);
/* listener_stop, and stream_cancel_input on every open connection of this listener, also those that were just
 * accepted: the sessions say good-bye and end. Thread-safe. */
void listener_drain(struct listener *l);
/* stream_abort on every open connection: the end of the drain timeout. Thread-safe. */
void listener_abort(struct listener *l);
/* Open connections over all loops. Thread-safe. */
size_t listener_connections(const struct listener *l);

struct listener_stats {
    uint64_t accepted, refused, failed_handshakes; /* since listener_bind; refused: by a bound */
};
struct listener_stats listener_get_stats(const struct listener *l); /* thread-safe */

/* After its loops have returned from loop_run (or it was never started), with no connection left. */
void listener_free(struct listener **l);

#endif
