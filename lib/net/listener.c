/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/net/listener_priv.h"

enum { COMPLAINT_EVERY_MS = 10000 };

/* --- bind --- */

static enum err err_of_errno(int error)
{
    switch (error) {
    case EADDRINUSE:
        return ERR_IN_USE;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EADDRNOTAVAIL:
        return ERR_NOT_FOUND;
    default:
        return ERR_IO;
    }
}

/* A listening socket, or -1 with errno. */
static int bind_socket(const struct addr *a)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(a, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1, v6only = a->family != ADDR_ANY;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (sa.ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    if (bind(fd, (struct sockaddr *)&sa, len) == 0 && listen(fd, LISTENER_BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static int bind_any(const struct addr *a)
{
    int fd = bind_socket(a);
    if (fd < 0 && a->family == ADDR_ANY && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        struct addr all_ipv4 = { .family = ADDR_IPV4, .port = a->port }; /* a host without IPv6 */
        fd = bind_socket(&all_ipv4);
    }
    return fd;
}

static struct addr bound_addr(int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof sa;
    getsockname(fd, (struct sockaddr *)&sa, &len);
    return addr_of_sockaddr(&sa);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

enum err listener_bind(const struct listener_config *config, struct listener **out)
{
    assert(config->serve != NULL && config->addr.family != ADDR_NONE);
    int fd = bind_any(&config->addr);
    if (fd < 0) {
        int error = errno;
        struct addr_text text = addr_format(&config->addr);
        log_error("listener", "%s: cannot listen on %s: %s", config->name, text.text, strerrordesc_np(error));
        return err_of_errno(error);
    }
    struct listener *l = NEW(struct listener);
    l->config = *config;
    l->fd = fd;
    l->spare_fd = open_spare();
    l->addr = config->addr;
    l->addr.port = bound_addr(fd).port;
    l->peers = peer_count_new(config->peer_connections_max);
    *out = l;
    return OK;
}

struct addr listener_addr(const struct listener *l)
{
    return l->addr;
}

/* --- accept --- */

void listener_say_refusal(const struct listener *l, int fd)
{
    if (l->config.tls != NULL || l->config.refusal.len == 0)
        return;
    ssize_t n = send(fd, l->config.refusal.data, l->config.refusal.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)n; /* the send buffer of a new connection holds it; if not, it is closed without a word */
}

static void complain(struct listener *l, const char *what)
{
    uint64_t now_ms = loop_now_ms();
    if (l->last_complaint_ms != 0 && now_ms - l->last_complaint_ms < COMPLAINT_EVERY_MS)
        return;
    l->last_complaint_ms = now_ms;
    log_warn("listener", "%s: cannot accept connections: %s", l->config.name, what);
}

static void on_readable(uv_poll_t *handle, int status, int events);

static void resume(void *arg)
{
    struct listener *l = arg;
    if (l->fd >= 0)
        uv_poll_start(l->poll, UV_READABLE, on_readable);
}

/* Out of files or memory. A connection that stays in the kernel's queue would make the loop spin and its
 * client wait without end: with the spare file one is taken and closed, and then there is a pause. */
static void shed(struct listener *l, int error)
{
    complain(l, strerrordesc_np(error));
    if ((error == EMFILE || error == ENFILE) && l->spare_fd >= 0) {
        close(l->spare_fd);
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            atomic_fetch_add(&l->refused, 1);
            listener_say_refusal(l, fd);
            close(fd);
        }
    }
    if (error == EMFILE || error == ENFILE)
        l->spare_fd = open_spare();
    uv_poll_stop(l->poll);
    timer_start(l->lanes[l->accept_index].loop, &l->pause, loop_deadline_ms(LISTENER_PAUSE_MS), resume, l);
}

static void take_posted(void *arg)
{
    lane_take(arg);
}

static void deal_out(struct listener *l, int fd)
{
    struct connection *c = NEW(struct connection);
    c->fd = fd;
    c->lane = &l->lanes[l->next_lane];
    l->next_lane = (l->next_lane + 1) % l->lanes_count;
    atomic_fetch_add(&l->accepted, 1);
    size_t open_before = atomic_fetch_add(&l->connections, 1);
    if (l->config.connections_max != 0 && open_before >= l->config.connections_max) {
        complain(l, "too many are open");
        connection_refuse(c);
    } else if (c->lane->loop == loop_self()) {
        lane_take(c);
    } else {
        loop_post(c->lane->loop, take_posted, c);
    }
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    struct listener *l = handle->data;
    for (int i = 0; i < LISTENER_ACCEPTS_A_TURN && l->fd >= 0; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            deal_out(l, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            shed(l, errno);
            return;
        } /* else that connection died in the queue: accept(2) */
    }
}

void listener_start(struct listener *l, struct loop *const *loops, size_t count, size_t accept_index)
{
    assert(l->lanes == NULL && count > 0 && count <= LISTENER_LOOPS_MAX && accept_index < count);
    l->lanes = NEW_ARRAY(struct lane, count);
    l->lanes_count = count;
    l->next_lane = l->accept_index = accept_index;
    for (size_t i = 0; i < count; i++)
        l->lanes[i] = (struct lane){ .listener = l, .loop = loops[i] };
    l->poll = NEW(uv_poll_t);
    l->poll->data = l;
    int rc = uv_poll_init(loop_uv(loops[accept_index]), l->poll, l->fd);
    if (rc != 0)
        log_fatal("listener", "%s: cannot watch the listening socket: %s", l->config.name, uv_strerror(rc));
    uv_poll_start(l->poll, UV_READABLE, on_readable);
}

/* --- stop --- */

static void on_closed(uv_handle_t *handle)
{
    free(handle);
}

/* On the accepting loop's thread, or when no loop runs. */
static void stop_accepting(void *arg)
{
    struct listener *l = arg;
    if (l->fd < 0)
        return;
    if (l->poll != NULL) {
        uv_close((uv_handle_t *)l->poll, on_closed);
        l->poll = NULL;
        timer_stop(&l->pause);
    }
    close(l->fd);
    l->fd = -1;
}

void listener_stop(struct listener *l)
{
    if (l->lanes == NULL)
        stop_accepting(l); /* never started: no thread has it */
    else
        loop_post(l->lanes[l->accept_index].loop, stop_accepting, l);
}

static void drain_lanes(struct listener *l)
{
    for (size_t i = 0; i < l->lanes_count; i++)
        loop_post(l->lanes[i].loop, lane_apply_drain, &l->lanes[i]);
}

/* A connection that was just accepted may be dealt to a lane after this post: lane_take looks at the flags
 * too. */
void listener_drain(struct listener *l)
{
    atomic_store(&l->draining, true);
    listener_stop(l);
    drain_lanes(l);
}

void listener_abort(struct listener *l)
{
    atomic_store(&l->aborting, true);
    listener_stop(l);
    drain_lanes(l);
}

size_t listener_connections(const struct listener *l)
{
    return atomic_load(&l->connections);
}

struct listener_stats listener_get_stats(const struct listener *l)
{
    return (struct listener_stats){
        .accepted = atomic_load(&l->accepted),
        .refused = atomic_load(&l->refused),
        .failed_handshakes = atomic_load(&l->failed_handshakes),
    };
}

void listener_free(struct listener **at)
{
    struct listener *l = *at;
    if (l == NULL)
        return;
    stop_accepting(l);
    assert(atomic_load(&l->connections) == 0);
    if (l->spare_fd >= 0)
        close(l->spare_fd);
    peer_count_free(&l->peers);
    free(l->lanes);
    free(l);
    *at = NULL;
}
