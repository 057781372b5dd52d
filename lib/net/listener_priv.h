/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c binds, accepts and deals out; lane.c is what happens to a connection on the loop it was dealt
 * to. */
#ifndef LIB_NET_LISTENER_PRIV_H
#define LIB_NET_LISTENER_PRIV_H

#include <stdatomic.h>
#include <uv.h>

#include "lib/fiber/timer.h"
#include "lib/net/listener.h"
#include "lib/net/peer_count.h"

/* A listener's connections on one loop; touched on that loop's thread only. */
struct lane {
    struct listener *listener;
    struct loop *loop;
    struct connection *connections;
};

/* From accept until stream_close. */
struct connection {
    struct lane *lane;
    struct stream *stream;
    int fd;       /* on the way to its lane; then the stream's */
    bool counted; /* in the listener's peer_count, as `peer` */
    struct addr peer;
    struct connection *next, **prev_next;
};

struct listener {
    struct listener_config config;
    int fd;       /* -1: stopped */
    int spare_fd; /* given up to accept and close a connection when the process has no other file left */
    struct addr addr;
    uv_poll_t *poll; /* freed by libuv's close callback */
    struct timer pause;
    struct lane *lanes;
    size_t lanes_count, next_lane, accept_index;
    struct peer_count *peers;
    atomic_bool draining, aborting;
    atomic_size_t connections;
    atomic_uint_fast64_t accepted, refused, failed_handshakes;
    uint64_t last_complaint_ms;
};

/* On the lane's thread: make the stream and start its fiber. */
void lane_take(struct connection *c);
/* Do to every open connection of the lane what `draining` and `aborting` say. arg: struct lane. */
void lane_apply_drain(void *arg);
/* The connection never became a stream: say the refusal text, close, forget. */
void connection_refuse(struct connection *c);
void listener_say_refusal(const struct listener *l, int fd);

#endif
