/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/peer/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/rpc/doors.h"

enum {
    RECEIVE_BATCH = 128, /* messages read before the other sockets get their turn */
    PAUSE_MS = 2,        /* before a receiver that fell behind is asked again */
    IDLE_MS = 1000,
    SETTLE_LINGER_MS = 1000, /* for what an old connection still has to write */
};

struct link_node {
    uint32_t id;
    char endpoint[RPC_ENDPOINT_MAX]; /* wanted; under the link's lock */
    atomic_bool wanted;              /* somebody has something to say and no connection is good */
    atomic_size_t bytes;             /* given to ZeroMQ and not written */
    pthread_mutex_t lock;            /* whoever sends, and the thread when it exchanges what follows */
    void *socket;
    struct rpc_watch *watch;
    /* The thread's alone. */
    char connected[RPC_ENDPOINT_MAX];
    void *fresh; /* with other keys; takes over once it stands */
    struct rpc_watch *fresh_watch;
    uint64_t retry_mono_ms; /* if the connection is refused */
    uint64_t keys;          /* of socket, or of fresh if there is one */
};

struct link {
    struct link_options options;
    struct doors doors;
    uint64_t keys_generation;
    bool unsettled; /* a node has a fresh connection */
    bool retrying;  /* a node refused us a moment ago */
    pthread_t thread;
    bool started;
    int wake_fd;
    atomic_bool stopping, sleeping, looked_for; /* looked_for: some node is wanted, or moved */
    pthread_mutex_t lock;                       /* guards what follows */
    struct link_node *nodes[LINK_NODES_MAX];
    size_t node_count; /* they never become fewer */
    struct link_stats stats;
};

static void add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_fetch_add_explicit(figure, n, memory_order_relaxed);
}

static void look_for(struct link *link)
{
    atomic_store(&link->looked_for, true);
    if (atomic_exchange(&link->sleeping, false)) {
        uint64_t one = 1;
        ssize_t n = write(link->wake_fd, &one, sizeof one);
        (void)n;
    }
}

/* ---- nodes */

static struct link_node *find_locked(struct link *link, uint32_t id)
{
    for (size_t i = 0; i < link->node_count; i++) {
        if (link->nodes[i]->id == id)
            return link->nodes[i];
    }
    return NULL;
}

void link_set_node(struct link *link, uint32_t id, const char *endpoint)
{
    if (endpoint == NULL || strlen(endpoint) >= RPC_ENDPOINT_MAX)
        endpoint = "";
    pthread_mutex_lock(&link->lock);
    struct link_node *node = find_locked(link, id);
    if (node == NULL && link->node_count < LINK_NODES_MAX && endpoint[0] != '\0') {
        node = NEW(struct link_node);
        node->id = id;
        pthread_mutex_init(&node->lock, NULL);
        link->nodes[link->node_count++] = node;
    }
    bool moved = node != NULL && strcmp(node->endpoint, endpoint) != 0;
    if (moved)
        strcpy(node->endpoint, endpoint);
    pthread_mutex_unlock(&link->lock);
    if (moved)
        look_for(link);
}

static void close_socket(void **socket, struct rpc_watch **watch)
{
    if (*socket != NULL)
        zmq_close(*socket);
    *socket = NULL;
    rpc_watch_release(watch);
}

static void *open_socket(struct link *link, struct link_node *node, struct rpc_watch **watch_out)
{
    int on = 1, hwm = LINK_MESSAGES_MAX;
    void *socket = zmq_socket(link->options.zmq, ZMQ_DEALER);
    if (socket == NULL)
        return NULL;
    rpc_socket_prepare(socket, RPC_SOCKET_SENDS);
    zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
    if (link->options.unsent_bytes_max > 0)
        zmq_setsockopt(socket, ZMQ_SNDBUF, &link->options.unsent_bytes_max, sizeof(int));
    /* Nothing waits for a connection that is not there: it would arrive late and in a burst. */
    zmq_setsockopt(socket, ZMQ_IMMEDIATE, &on, sizeof on);
    node->keys = rpc_keys_of_connection(link->options.keys, RPC_ROLE_STORAGE_NODE);
    rpc_keys_connect(link->options.keys, socket, RPC_ROLE_STORAGE_NODE);
    *watch_out = rpc_keys_watch(link->options.keys, socket, RPC_SERVICE_COUNT, node->connected);
    if (zmq_connect(socket, node->connected) != 0) {
        log_warn("link", "cannot connect to node %u at %s: %s", node->id, node->connected,
                 zmq_strerror(errno));
        close_socket(&socket, watch_out);
    }
    return socket;
}

/* From now on messages take this connection; what it replaces is handed back. */
static void exchange(struct link_node *node, void **socket, struct rpc_watch **watch)
{
    void *old_socket;
    struct rpc_watch *old_watch;
    pthread_mutex_lock(&node->lock);
    old_socket = node->socket;
    old_watch = node->watch;
    node->socket = *socket;
    node->watch = *watch;
    pthread_mutex_unlock(&node->lock);
    *socket = old_socket;
    *watch = old_watch;
}

/* A connection with other keys takes over once it stands; the old one writes what it still has. */
static void settle(struct link_node *node)
{
    if (node->fresh == NULL || !rpc_watch_succeeded(node->fresh_watch))
        return;
    int linger = SETTLE_LINGER_MS;
    exchange(node, &node->fresh, &node->fresh_watch);
    if (node->fresh != NULL)
        zmq_setsockopt(node->fresh, ZMQ_LINGER, &linger, sizeof linger);
    close_socket(&node->fresh, &node->fresh_watch);
}

/* What waited in the socket that is replaced is lost. */
static void reconnect(struct link *link, struct link_node *node, const char *endpoint)
{
    void *socket = NULL;
    struct rpc_watch *watch = NULL;
    node->retry_mono_ms = clock_mono_ms() + RPC_KEYS_RETRY_MS;
    close_socket(&node->fresh, &node->fresh_watch);
    strcpy(node->connected, endpoint);
    if (endpoint[0] != '\0')
        socket = open_socket(link, node, &watch);
    exchange(node, &socket, &watch);
    close_socket(&socket, &watch);
}

/* A node that moved, or that refused us, gets a new socket once there is something to say to it. True: it is
 * too early for that. */
static bool connect_node(struct link *link, struct link_node *node)
{
    char endpoint[RPC_ENDPOINT_MAX];
    pthread_mutex_lock(&link->lock);
    strcpy(endpoint, node->endpoint);
    pthread_mutex_unlock(&link->lock);
    bool wanted = atomic_load(&node->wanted), refused = rpc_watch_refused(node->watch);
    if (strcmp(endpoint, node->connected) == 0) {
        if (!wanted || node->socket == NULL) /* nothing is to be had there: wanted until it moves */
            return false;
        if (refused && clock_mono_ms() < node->retry_mono_ms)
            return true;
        atomic_store(&node->wanted, false);
        if (refused)
            reconnect(link, node, endpoint);
    } else if (wanted || node->socket != NULL) {
        atomic_store(&node->wanted, false);
        reconnect(link, node, endpoint);
    }
    return false;
}

/* The node does not take our new key yet: ZeroMQ has given up, and it may know better by now. */
static void retry_fresh(struct link *link, struct link_node *node)
{
    uint64_t now = clock_mono_ms();
    if (!rpc_watch_refused(node->fresh_watch) || now < node->retry_mono_ms)
        return;
    node->retry_mono_ms = now + RPC_KEYS_RETRY_MS;
    close_socket(&node->fresh, &node->fresh_watch);
    node->fresh = open_socket(link, node, &node->fresh_watch);
}

static void renew(struct link *link, struct link_node *node)
{
    if (node->connected[0] == '\0' ||
        node->keys == rpc_keys_of_connection(link->options.keys, RPC_ROLE_STORAGE_NODE))
        return;
    close_socket(&node->fresh, &node->fresh_watch);
    node->fresh = open_socket(link, node, &node->fresh_watch);
}

static size_t count_nodes(struct link *link)
{
    pthread_mutex_lock(&link->lock);
    size_t count = link->node_count;
    pthread_mutex_unlock(&link->lock);
    return count;
}

static void connect_nodes(struct link *link)
{
    if (!atomic_exchange(&link->looked_for, false) && !link->retrying)
        return;
    size_t count = count_nodes(link);
    link->retrying = false;
    for (size_t i = 0; i < count; i++)
        link->retrying |= connect_node(link, link->nodes[i]);
}

/* When keys have changed: the doors and, where it concerns them, the connections. */
static void follow_keys(struct link *link)
{
    uint64_t generation = rpc_keys_generation(link->options.keys);
    bool changed = generation != link->keys_generation;
    if (!changed && !link->unsettled)
        return;
    link->keys_generation = generation;
    link->unsettled = false;
    if (link->options.endpoint != NULL)
        doors_refresh(&link->doors);
    size_t count = count_nodes(link);
    for (size_t i = 0; i < count; i++) {
        if (changed)
            renew(link, link->nodes[i]);
        settle(link->nodes[i]);
        retry_fresh(link, link->nodes[i]);
        link->unsettled |= link->nodes[i]->fresh != NULL;
    }
}

/* ---- out */

/* ZeroMQ lets go of a frame, on any thread. */
struct frame_hint {
    struct link_node *node;
    size_t bytes;
};

static void free_frame(void *data, void *arg)
{
    struct frame_hint *hint = arg;
    atomic_fetch_sub(&hint->node->bytes, hint->bytes);
    free(hint);
    free(data);
}

static void frame_of(zmq_msg_t *msg, struct link_node *node, struct buf *buf)
{
    struct frame_hint *hint = NEW(struct frame_hint);
    size_t len;
    hint->node = node;
    hint->bytes = buf->len;
    uint8_t *data = buf_detach(buf, &len);
    atomic_fetch_add(&node->bytes, len);
    if (zmq_msg_init_data(msg, data, len, free_frame, hint) != 0)
        log_fatal("link", "out of memory");
}

/* Refused if ZeroMQ's queue is full or nobody is connected. */
static bool give(struct link *link, struct link_node *node, struct buf *frame)
{
    zmq_msg_t msg;
    frame_of(&msg, node, frame);
    pthread_mutex_lock(&node->lock);
    bool sent = node->socket != NULL && zmq_msg_send(&msg, node->socket, ZMQ_DONTWAIT) >= 0;
    bool good = node->socket != NULL && !rpc_watch_refused(node->watch);
    pthread_mutex_unlock(&node->lock);
    if (!sent)
        zmq_msg_close(&msg);
    if (!good && !atomic_exchange(&node->wanted, true))
        look_for(link);
    return sent;
}

/* What waited for a connection that has ended counts until its socket takes in the news of that, which
 * without a send nothing makes it do. */
static bool has_room(struct link *link, struct link_node *node)
{
    if (atomic_load(&node->bytes) < link->options.queue_bytes_max)
        return true;
    pthread_mutex_lock(&node->lock);
    if (node->socket != NULL)
        rpc_socket_has_input(node->socket);
    pthread_mutex_unlock(&node->lock);
    return atomic_load(&node->bytes) < link->options.queue_bytes_max;
}

bool link_send(struct link *link, uint32_t id, struct buf *frame)
{
    size_t bytes = frame->len;
    pthread_mutex_lock(&link->lock);
    struct link_node *node = find_locked(link, id);
    pthread_mutex_unlock(&link->lock);
    bool sent =
        node != NULL && !atomic_load(&link->stopping) && has_room(link, node) && give(link, node, frame);
    buf_fini(frame);
    add(sent ? &link->stats.sent : &link->stats.dropped, 1);
    if (sent)
        add(&link->stats.sent_bytes, bytes);
    return sent;
}

/* ---- in */

/* The rest of a message with more frames than ours have. */
static void discard_rest(void *socket, bool more)
{
    while (more) {
        zmq_msg_t msg;
        zmq_msg_init(&msg);
        more = zmq_msg_recv(&msg, socket, 0) >= 0 && zmq_msg_more(&msg);
        zmq_msg_close(&msg);
    }
}

/* ZeroMQ lets in nobody else; but for its asking us that, keys would only hide what is said. */
static bool is_sender_known(const struct link *link, zmq_msg_t *msg)
{
    return !rpc_keys_present(link->options.keys) || rpc_keys_sender(msg) == RPC_ROLE_STORAGE_NODE;
}

/* The sender's routing id, then the frame. */
static bool receive_one(struct link *link, void *socket)
{
    zmq_msg_t id, msg;
    zmq_msg_init(&id);
    if (zmq_msg_recv(&id, socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&id);
        return false;
    }
    zmq_msg_init(&msg);
    bool good = zmq_msg_more(&id) && zmq_msg_recv(&msg, socket, 0) >= 0, more = good && zmq_msg_more(&msg);
    struct slice frame = slice_of(zmq_msg_data(&msg), zmq_msg_size(&msg));
    good = good && !more && is_sender_known(link, &msg);
    discard_rest(socket, more);
    add(&link->stats.received_bytes, frame.len);
    add(good ? &link->stats.received : &link->stats.malformed, 1);
    if (good)
        link->options.receive(link->options.arg, frame);
    zmq_msg_close(&msg);
    zmq_msg_close(&id);
    return true;
}

/* ---- the thread */

static bool may_receive(const struct link *link)
{
    return link->options.may_receive == NULL || link->options.may_receive(link->options.arg);
}

static void wait_for_work(struct link *link, bool reading)
{
    zmq_pollitem_t items[1 + DOORS_MAX] = { { .fd = link->wake_fd, .events = ZMQ_POLLIN } };
    int count = 1;
    for (size_t i = 0; reading && i < link->doors.count; i++)
        items[count++] = (zmq_pollitem_t){ .socket = link->doors.list[i].socket, .events = ZMQ_POLLIN };
    /* Whoever looks for us says so before it looks whether we sleep. */
    atomic_store(&link->sleeping, true);
    if (!atomic_load(&link->looked_for) && !atomic_load(&link->stopping))
        zmq_poll(items, count, reading ? IDLE_MS : PAUSE_MS);
    atomic_store(&link->sleeping, false);
    if (items[0].revents & ZMQ_POLLIN) {
        uint64_t value;
        ssize_t n = read(link->wake_fd, &value, sizeof value);
        (void)n;
    }
}

/* *reading_out: whether the receiver keeps up. */
static bool receive_some(struct link *link, bool *reading_out)
{
    bool any = false;
    *reading_out = true;
    for (size_t at = 0; at < link->doors.count; at++) {
        for (int i = 0; i < RECEIVE_BATCH; i++) {
            *reading_out = may_receive(link);
            if (!*reading_out)
                return any;
            if (!receive_one(link, link->doors.list[at].socket))
                break;
            any = true;
        }
    }
    return any;
}

static void *run(void *arg)
{
    struct link *link = arg;
    while (!atomic_load(&link->stopping)) {
        bool reading, worked = receive_some(link, &reading);
        if (worked && link->options.received != NULL)
            link->options.received(link->options.arg);
        connect_nodes(link);
        follow_keys(link);
        if (!worked)
            wait_for_work(link, reading);
    }
    return NULL;
}

/* ---- life */

enum err link_bind(const struct link_options *options, struct link **out)
{
    struct link *link = NEW(struct link);
    link->options = *options;
    link->keys_generation = rpc_keys_generation(options->keys);
    pthread_mutex_init(&link->lock, NULL);
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *out = link;
    if (link->wake_fd < 0) {
        log_error("link", "cannot make an eventfd: %s", strerror(errno));
        return ERR_IO;
    }
    if (options->endpoint == NULL)
        return OK;
    struct doors_options doors = { .zmq = options->zmq,
                                   .keys = options->keys,
                                   .service = options->service,
                                   .endpoint = options->endpoint,
                                   .receive_hwm = LINK_MESSAGES_MAX };
    return doors_open(&doors, &link->doors);
}

const char *link_endpoint(const struct link *link)
{
    return link->doors.endpoint;
}

enum err link_start(struct link *link)
{
    if (pthread_create(&link->thread, NULL, run, link) != 0)
        return ERR_IO;
    link->started = true;
    pthread_setname_np(link->thread, link->options.name);
    return OK;
}

void link_stop(struct link *link)
{
    if (link == NULL || atomic_exchange(&link->stopping, true))
        return;
    uint64_t one = 1;
    ssize_t n = write(link->wake_fd, &one, sizeof one);
    (void)n;
    if (link->started)
        pthread_join(link->thread, NULL);
    for (size_t i = 0; i < link->node_count; i++) {
        struct link_node *node = link->nodes[i];
        void *socket = NULL;
        struct rpc_watch *watch = NULL;
        exchange(node, &socket, &watch);
        close_socket(&socket, &watch);
        close_socket(&node->fresh, &node->fresh_watch);
    }
    doors_close(&link->doors);
}

void link_free(struct link **out)
{
    struct link *link = *out;
    if (link == NULL)
        return;
    for (size_t i = 0; i < link->node_count; i++) {
        pthread_mutex_destroy(&link->nodes[i]->lock);
        free(link->nodes[i]);
    }
    if (link->wake_fd >= 0)
        close(link->wake_fd);
    pthread_mutex_destroy(&link->lock);
    free(link);
    *out = NULL;
}

const struct link_stats *link_get_stats(const struct link *link)
{
    return &link->stats;
}
