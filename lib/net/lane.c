/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/fiber/fiber.h"
#include "lib/net/listener_priv.h"
#include "lib/net/proxy.h"
#include "lib/net/stream_priv.h"

/* --- one connection's life --- */

static void connection_forget(struct connection *c)
{
    atomic_fetch_sub(&c->lane->listener->connections, 1);
    free(c);
}

void connection_refuse(struct connection *c)
{
    struct listener *l = c->lane->listener;
    atomic_fetch_add(&l->refused, 1);
    listener_say_refusal(l, c->fd);
    close(c->fd);
    connection_forget(c);
}

static void on_stream_close(struct stream *s, void *arg)
{
    struct connection *c = arg;
    if (c->counted)
        peer_count_leave(c->lane->listener->peers, &c->peer);
    *c->prev_next = c->next;
    if (c->next != NULL)
        c->next->prev_next = c->prev_next;
    connection_forget(c);
}

static bool is_balancer(const struct listener *l, const struct addr *peer)
{
    for (size_t i = 0; i < l->config.proxy_nets_count; i++)
        if (addr_net_contains(&l->config.proxy_nets[i], peer))
            return true;
    return false;
}

static enum err read_proxy_header(struct stream *s, uint64_t deadline_ms)
{
    struct proxy_header header;
    size_t len;
    for (;;) {
        switch (proxy_parse(stream_input(s), &header, &len)) {
        case PROXY_BAD:
            return ERR_SYNTAX;
        case PROXY_DONE:
            stream_consume(s, len);
            if (header.has_addrs)
                stream_set_addrs(s, &header.peer, &header.local);
            return OK;
        case PROXY_MORE:
            TRY(stream_fill(s, deadline_ms));
        }
    }
}

static enum err prepare(struct connection *c)
{
    struct listener *l = c->lane->listener;
    uint64_t deadline_ms = loop_deadline_ms(LISTENER_HANDSHAKE_TIMEOUT_MS);
    if (is_balancer(l, stream_peer(c->stream)))
        TRY(read_proxy_header(c->stream, deadline_ms));
    c->peer = *stream_peer(c->stream);
    if (!peer_count_enter(l->peers, &c->peer))
        return ERR_LIMIT;
    c->counted = true;
    if (l->config.tls == NULL)
        return OK;
    stream_keep_input_for_tls(
        c->stream); /* the balancer may have sent the ClientHello along with its header */
    return stream_start_tls_server(c->stream, l->config.tls, deadline_ms);
}

static void connection_fiber(void *arg)
{
    struct connection *c = arg;
    struct listener *l = c->lane->listener;
    struct stream *s = c->stream;
    enum err err = prepare(c);
    if (err == OK) {
        l->config.serve(s, l->config.arg);
        return;
    }
    if (err == ERR_LIMIT) {
        atomic_fetch_add(&l->refused, 1);
        listener_say_refusal(l, c->fd);
    } else {
        atomic_fetch_add(&l->failed_handshakes, 1);
    }
    struct addr_text peer = addr_format(stream_peer(s));
    log_debug("listener", "%s: connection from %s not served: %s %s", l->config.name, peer.text,
              err_text(err), stream_fail_text(s));
    stream_close(&s);
}

static void apply_drain(const struct listener *l, struct stream *s)
{
    if (atomic_load(&l->aborting))
        stream_abort(s);
    else if (atomic_load(&l->draining))
        stream_cancel_input(s);
}

/* --- the lane --- */

void lane_take(struct connection *c)
{
    struct lane *lane = c->lane;
    struct stream *s = stream_new(lane->loop, c->fd);
    c->stream = s;
    c->next = lane->connections;
    c->prev_next = &lane->connections;
    if (c->next != NULL)
        c->next->prev_next = &c->next;
    lane->connections = c;
    stream_set_on_close(s, on_stream_close, c);
    apply_drain(lane->listener, s);
    if (fiber_spawn(lane->loop, lane->listener->config.name, connection_fiber, c) != OK) {
        atomic_fetch_add(&lane->listener->refused, 1);
        listener_say_refusal(lane->listener, c->fd);
        stream_close(&s);
    }
}

void lane_apply_drain(void *arg)
{
    struct lane *lane = arg;
    for (struct connection *c = lane->connections; c != NULL; c = c->next)
        apply_drain(lane->listener, c->stream); /* wakes, but nobody runs before this returns */
}
