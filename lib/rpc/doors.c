/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/doors.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"

enum { BACKLOG = 128 };

/* ---- the descriptor that listens
 *
 * ZeroMQ is given it ready-made (ZMQ_USE_FD), because SO_REUSEPORT must be set on it, and only once a second
 * door opens: the first is bound without, so that a program started twice by mistake is refused as ever. */

struct place {
    char host[RPC_ENDPOINT_MAX], port[RPC_ENDPOINT_MAX]; /* host "" is every address */
};

static void parse_endpoint(const char *endpoint, struct place *out)
{
    const char *host = endpoint + strlen("tcp://"), *colon = strrchr(host, ':');
    size_t len = (size_t)(colon - host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    snprintf(out->host, sizeof out->host, "%.*s", (int)len, host);
    if (strcmp(out->host, "*") == 0)
        out->host[0] = '\0';
    snprintf(out->port, sizeof out->port, "%s", strcmp(colon + 1, "*") == 0 ? "0" : colon + 1);
}

static int listen_at(const struct addrinfo *at, bool shared)
{
    int on = 1, off = 0;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool good = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (shared)
        good = good && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    if (at->ai_family == AF_INET6)
        good = good && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
    if (good && bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* Every address is all of IPv6, which takes IPv4 in; or all of IPv4 where there is no IPv6. */
static int open_place(const struct place *place, bool shared)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *list = NULL;
    if (getaddrinfo(place->host[0] != '\0' ? place->host : NULL, place->port, &hints, &list) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int fd = -1;
    for (int pass = 0; pass < 2 && fd < 0; pass++) {
        bool first_v6 = place->host[0] == '\0';
        for (struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next) {
            if ((at->ai_family == AF_INET6) == (first_v6 == (pass == 0)))
                fd = listen_at(at, shared);
        }
    }
    int why = errno;
    freeaddrinfo(list);
    errno = why;
    return fd;
}

/* With the port it got. */
static void describe(int fd, char out[static RPC_ENDPOINT_MAX])
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;
    char host[INET6_ADDRSTRLEN + 32] = "", port[16] = "0";
    if (getsockname(fd, (struct sockaddr *)&address, &len) == 0)
        getnameinfo((struct sockaddr *)&address, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(out, RPC_ENDPOINT_MAX, strchr(host, ':') != NULL ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
}

/* ---- doors */

static bool is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

static void close_door(struct door *door)
{
    if (door->socket != NULL)
        zmq_close(door->socket); /* and the descriptor */
    rpc_watch_release(&door->watch);
    explicit_bzero(door, sizeof *door);
}

static void set_int(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof value);
    (void)rc; /* a wrong constant at worst */
}

static bool make_socket(struct doors *doors, struct door *door, const struct key_pair *key)
{
    const struct doors_options *o = &doors->options;
    door->socket = zmq_socket(o->zmq, ZMQ_ROUTER);
    if (door->socket == NULL)
        return false;
    rpc_socket_prepare(door->socket, RPC_SOCKET_BOUND);
    if (o->receive_hwm > 0)
        set_int(door->socket, ZMQ_RCVHWM, o->receive_hwm);
    set_int(door->socket, ZMQ_LINGER, o->linger_ms);
    set_int(door->socket, ZMQ_ROUTER_MANDATORY, o->mandatory);
    if (key != NULL) {
        door->key = *key;
        rpc_keys_serve(door->socket, o->service, key);
    }
    door->watch = rpc_keys_watch(o->keys, door->socket, o->service, rpc_service_name(o->service));
    door->number = ++doors->last_number;
    size_t size = sizeof door->event_fd;
    return zmq_getsockopt(door->socket, ZMQ_FD, &door->event_fd, &size) == 0;
}

/* Bind as ZeroMQ does. */
static bool bind_plainly(struct doors *doors, struct door *door, const char *endpoint)
{
    door->fd = -1;
    if (zmq_bind(door->socket, endpoint) != 0)
        return false;
    rpc_endpoint_bound(door->socket, doors->endpoint);
    return true;
}

/* Bind a descriptor of our own; `shared`: beside the doors that are there. */
static bool bind_ours(struct doors *doors, struct door *door, const char *endpoint, bool shared)
{
    struct place place;
    char bound[RPC_ENDPOINT_MAX];
    parse_endpoint(endpoint, &place);
    door->fd = open_place(&place, shared);
    if (door->fd < 0)
        return false;
    describe(door->fd, bound);
    zmq_setsockopt(door->socket, ZMQ_USE_FD, &door->fd, sizeof door->fd);
    if (zmq_bind(door->socket, bound) != 0) {
        close(door->fd);
        return false;
    }
    if (!shared)
        rpc_endpoint_bound(door->socket, doors->endpoint);
    return true;
}

static bool open_door(struct doors *doors, const char *endpoint, const struct key_pair *key)
{
    struct door door = { .fd = -1 };
    bool shared = doors->count > 0, good = make_socket(doors, &door, key);
    if (good && key != NULL && is_tcp(endpoint))
        good = bind_ours(doors, &door, endpoint, shared);
    else if (good)
        good = bind_plainly(doors, &door, endpoint);
    if (!good) {
        log_error("rpc", "cannot bind %s: %s", endpoint, zmq_strerror(errno));
        close_door(&door);
        return false;
    }
    doors->list[doors->count++] = door;
    return true;
}

enum err doors_open(const struct doors_options *options, struct doors *out)
{
    bool present = rpc_keys_present(options->keys);
    enum err err = rpc_endpoint_check_bind(options->endpoint, present);
    *out = (struct doors){ .options = *options };
    out->options.endpoint = NULL;
    if (err != OK) {
        log_error("rpc", "cannot bind %s: %s", options->endpoint,
                  err == ERR_DENIED
                      ? "without keys only a loopback address may be used (keys = \"...\", see ternctl "
                        "keys)"
                      : "not an endpoint");
        return err;
    }
    out->generation = rpc_keys_generation(options->keys);
    struct role_keys own;
    if (present)
        rpc_keys_own(options->keys, &own);
    err = open_door(out, options->endpoint, present ? &own.pairs[KEY_CURRENT] : NULL) ? OK : ERR_IO;
    explicit_bzero(&own, sizeof own);
    if (err == OK && present) {
        out->generation--; /* the other keys' doors */
        doors_refresh(out);
    }
    return err;
}

static bool is_wanted(const struct role_keys *own, const struct door *door)
{
    for (int age = 0; age < KEY_AGES; age++) {
        if (strcmp(own->pairs[age].public, door->key.public) == 0)
            return true;
    }
    return false;
}

static bool is_open(const struct doors *doors, const struct key_pair *key)
{
    for (size_t i = 0; i < doors->count; i++) {
        if (strcmp(doors->list[i].key.public, key->public) == 0)
            return true;
    }
    return false;
}

static bool close_unwanted(struct doors *doors, const struct role_keys *own)
{
    size_t kept = 0, before = doors->count;
    for (size_t i = 0; i < before; i++) {
        if (is_wanted(own, &doors->list[i]))
            doors->list[kept++] = doors->list[i];
        else
            close_door(&doors->list[i]);
    }
    doors->count = kept;
    return kept != before;
}

/* Those that listen allow another beside them. */
static void allow_more(const struct doors *doors)
{
    int on = 1;
    for (size_t i = 0; i < doors->count; i++) {
        if (setsockopt(doors->list[i].fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
            log_warn("rpc", "cannot share %s: %s", doors->endpoint, strerror(errno));
    }
}

bool doors_refresh(struct doors *doors)
{
    uint64_t generation = rpc_keys_generation(doors->options.keys);
    struct role_keys own;
    bool changed = false;
    if (generation == doors->generation)
        return false;
    doors->generation = generation;
    if (!rpc_keys_present(doors->options.keys) || !is_tcp(doors->endpoint))
        return false;
    rpc_keys_own(doors->options.keys, &own);
    for (int age = 0; age < KEY_AGES; age++) {
        if (own.pairs[age].public[0] == '\0' || is_open(doors, &own.pairs[age]) || doors->count == DOORS_MAX)
            continue;
        allow_more(doors);
        changed |= open_door(doors, doors->endpoint, &own.pairs[age]);
    }
    /* Last, so that the address is never without a door. */
    changed |= close_unwanted(doors, &own);
    explicit_bzero(&own, sizeof own);
    return changed;
}

void *doors_socket(const struct doors *doors, uint8_t number)
{
    for (size_t i = 0; i < doors->count; i++) {
        if (doors->list[i].number == number)
            return doors->list[i].socket;
    }
    return NULL;
}

void doors_close(struct doors *doors)
{
    for (size_t i = 0; i < doors->count; i++)
        close_door(&doors->list[i]);
    doors->count = 0;
}
