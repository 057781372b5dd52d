/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rpc/keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/metrics.h"
#include "lib/rpc/keys_priv.h"

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"

/* ---- telling */

bool log_gate_open(struct log_gate *gate, uint64_t *untold_out)
{
    uint64_t now = clock_mono_ms();
    *untold_out = gate->untold;
    if (now < gate->next_ms) {
        gate->untold++;
        return false;
    }
    gate->next_ms = now + RPC_KEYS_LOG_MS;
    gate->untold = 0;
    return true;
}

void keys_refused(struct rpc_keys *keys, enum rpc_service service, enum refusal why, const char *address,
                  const char *role)
{
    static const char *const texts[REFUSAL_COUNT] = {
        [REFUSAL_UNKNOWN_KEY] = "its key is not on the allow-list",
        [REFUSAL_WRONG_ROLE] = "its role has no business at this socket",
        [REFUSAL_WRONG_KEY] = "it has no key, or expects another key of ours",
        [REFUSAL_HANDSHAKE] = "it ended, kept silent or spoke something else before it had said who it is",
    };
    const char *text = texts[why];
    uint64_t untold;
    if (!keys->present) /* it sees that first, and hangs up */
        text = "it ended before it had said who it is; has it keys? We have none (keys = \"...\")";
    metric_count(watch_counter(service, why), 1);
    if (log_gate_open(&keys->refused[service][why], &untold))
        log_warn("keys", "connection refused socket=%s address=%s%s%s: %s (%llu more since it was last told)",
                 rpc_service_name(service), address[0] != '\0' ? address : "?",
                 role[0] != '\0' ? " role=" : "", role, text, (unsigned long long)untold);
}

void rpc_keys_denied(struct rpc_keys *keys, enum rpc_service service, enum rpc_role role, const char *what)
{
    uint64_t untold;
    metric_count(
        metrics_counter("tern_requests_denied_total", "Requests that their sender's role may not make",
                        METRIC_LABELS("socket", rpc_service_name(service), "role", rpc_role_name(role))),
        1);
    pthread_mutex_lock(&keys->lock);
    bool open = log_gate_open(&keys->denied, &untold);
    pthread_mutex_unlock(&keys->lock);
    if (open)
        log_warn("keys", "request denied socket=%s role=%s: %s (%llu more since it was last told)",
                 rpc_service_name(service), rpc_role_name(role), what, (unsigned long long)untold);
}

/* ---- the files */

static void warn_of_readers(const char *folder, enum rpc_role role)
{
    char path[KEY_PATH_MAX];
    struct stat st;
    if (keyfile_path(folder, role, path) == OK && stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
        log_warn("keys", "%s may be read by everybody on this machine: chmod 600", path);
}

static enum err read_files(const struct rpc_keys *keys, struct role_keys *own, struct public_keys *allowed)
{
    struct buf errors = { 0 };
    enum err err = keyfile_read(keys->folder, keys->role, own, &errors);
    if (err == OK)
        err = keyfile_read_public(keys->folder, allowed, &errors);
    if (err == OK && public_keys_find(allowed, own->pairs[KEY_CURRENT].public) != keys->role) {
        buf_addf(&errors, "%s: our key is not in cluster.pub: the two are of different clusters\n",
                 keys->folder);
        err = ERR_INVALID;
    }
    if (errors.len > 0 && errors.data[errors.len - 1] == '\n')
        errors.len--;
    if (err != OK)
        log_error("keys", "the keys cannot be used: %s", errors.len > 0 ? buf_cstr(&errors) : err_text(err));
    else
        warn_of_readers(keys->folder, keys->role);
    buf_fini(&errors);
    return err;
}

void rpc_keys_reload(struct rpc_keys *keys)
{
    struct role_keys own;
    struct public_keys allowed;
    if (keys == NULL || !keys->present || read_files(keys, &own, &allowed) != OK)
        return;
    pthread_mutex_lock(&keys->lock);
    bool same =
        memcmp(&own, &keys->own, sizeof own) == 0 && memcmp(&allowed, &keys->allowed, sizeof allowed) == 0;
    keys->own = own;
    keys->allowed = allowed;
    pthread_mutex_unlock(&keys->lock);
    if (!same)
        atomic_fetch_add(&keys->generation, 1);
    log_info("keys", "keys read again: %s", same ? "nothing changed" : "they changed");
    explicit_bzero(&own, sizeof own);
}

uint64_t rpc_keys_generation(const struct rpc_keys *keys)
{
    return keys == NULL ? 0 : atomic_load(&keys->generation);
}

bool rpc_keys_present(const struct rpc_keys *keys)
{
    return keys != NULL && keys->present;
}

void rpc_keys_own(struct rpc_keys *keys, struct role_keys *out)
{
    pthread_mutex_lock(&keys->lock);
    *out = keys->own;
    pthread_mutex_unlock(&keys->lock);
}

/* ---- sockets */

static void set_text(void *socket, int option, const char *text)
{
    if (zmq_setsockopt(socket, option, text, strlen(text)) != 0)
        log_fatal("keys", "ZeroMQ takes no keys: %s", zmq_strerror(zmq_errno()));
}

/* A Z85 key is given with its NUL. */
static void set_key(void *socket, int option, const char *key)
{
    if (zmq_setsockopt(socket, option, key, KEY_TEXT_SIZE) != 0)
        log_fatal("keys", "ZeroMQ takes no keys: %s", zmq_strerror(zmq_errno()));
}

void rpc_keys_serve(void *socket, enum rpc_service service, const struct key_pair *own)
{
    int on = 1;
    set_text(socket, ZMQ_ZAP_DOMAIN, rpc_service_name(service));
    if (zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on) != 0)
        log_fatal("keys", "ZeroMQ takes no keys: %s", zmq_strerror(zmq_errno()));
    set_key(socket, ZMQ_CURVE_SECRETKEY, own->secret);
}

void rpc_keys_connect(struct rpc_keys *keys, void *socket, enum rpc_role server)
{
    struct key_pair own;
    char theirs[KEY_TEXT_SIZE];
    if (!rpc_keys_present(keys))
        return;
    pthread_mutex_lock(&keys->lock);
    own = keys->own.pairs[KEY_CURRENT];
    memcpy(theirs, keys->allowed.keys[server][KEY_CURRENT], sizeof theirs);
    pthread_mutex_unlock(&keys->lock);
    set_key(socket, ZMQ_CURVE_SERVERKEY, theirs);
    set_key(socket, ZMQ_CURVE_PUBLICKEY, own.public);
    set_key(socket, ZMQ_CURVE_SECRETKEY, own.secret);
    explicit_bzero(&own, sizeof own);
}

uint64_t rpc_keys_of_connection(struct rpc_keys *keys, enum rpc_role server)
{
    char both[2 * KEY_TEXT_SIZE];
    if (!rpc_keys_present(keys))
        return 0;
    pthread_mutex_lock(&keys->lock);
    memcpy(both, keys->own.pairs[KEY_CURRENT].public, KEY_TEXT_SIZE);
    memcpy(both + KEY_TEXT_SIZE, keys->allowed.keys[server][KEY_CURRENT], KEY_TEXT_SIZE);
    pthread_mutex_unlock(&keys->lock);
    return hash_xxh3(slice_of(both, sizeof both));
}

enum rpc_role rpc_keys_sender(zmq_msg_t *msg)
{
    return rpc_role_find(zmq_msg_gets(msg, "User-Id"));
}

/* ---- the thread */

static void take_fresh(struct rpc_keys *keys)
{
    pthread_mutex_lock(&keys->lock);
    struct rpc_watch *list = keys->fresh;
    keys->fresh = NULL;
    pthread_mutex_unlock(&keys->lock);
    while (list != NULL) {
        struct rpc_watch *watch = list;
        list = watch->next;
        watch->next = keys->watches;
        keys->watches = watch;
        keys->watch_count++;
    }
}

static void end_watch(struct rpc_watch *watch)
{
    zmq_close(watch->events);
    watch->events = NULL;
    rpc_watch_release(&watch);
}

static void take_events(struct rpc_keys *keys, const zmq_pollitem_t *items)
{
    struct rpc_watch **at = &keys->watches;
    for (size_t i = 0; *at != NULL; i++) {
        struct rpc_watch *watch = *at;
        if ((items[i].revents & ZMQ_POLLIN) && !watch_take(keys, watch)) {
            *at = watch->next;
            keys->watch_count--;
            end_watch(watch);
        } else {
            at = &watch->next;
        }
    }
}

static void turn(struct rpc_keys *keys, zmq_pollitem_t *items)
{
    size_t count = 0;
    items[count++] = (zmq_pollitem_t){ .fd = keys->wake_fd, .events = ZMQ_POLLIN };
    if (keys->zap != NULL)
        items[count++] = (zmq_pollitem_t){ .socket = keys->zap, .events = ZMQ_POLLIN };
    size_t first = count;
    for (struct rpc_watch *watch = keys->watches; watch != NULL; watch = watch->next)
        items[count++] = (zmq_pollitem_t){ .socket = watch->events, .events = ZMQ_POLLIN };
    if (zmq_poll(items, (int)count, -1) < 0)
        return; /* EINTR: after SIGSTOP */
    if (items[0].revents & ZMQ_POLLIN) {
        uint64_t value;
        ssize_t n = read(keys->wake_fd, &value, sizeof value);
        (void)n;
    }
    if (keys->zap != NULL && (items[1].revents & ZMQ_POLLIN))
        zap_answer(keys);
    take_events(keys, items + first);
}

static void *run(void *arg)
{
    struct rpc_keys *keys = arg;
    zmq_pollitem_t *items = NULL;
    while (!atomic_load(&keys->stopping)) {
        take_fresh(keys);
        items = xrealloc(items, (keys->watch_count + 2) * sizeof *items);
        turn(keys, items);
    }
    free(items);
    take_fresh(keys);
    while (keys->watches != NULL) {
        struct rpc_watch *watch = keys->watches;
        keys->watches = watch->next;
        end_watch(watch);
    }
    return NULL;
}

/* ---- life */

static enum err bind_zap(struct rpc_keys *keys)
{
    keys->zap = zmq_socket(keys->zmq, ZMQ_REP);
    int linger = 0;
    if (keys->zap == NULL || zmq_setsockopt(keys->zap, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_bind(keys->zap, ZAP_ENDPOINT) != 0) {
        log_error("keys", "cannot bind %s: %s", ZAP_ENDPOINT, zmq_strerror(zmq_errno()));
        return ERR_IO;
    }
    return OK;
}

static void release(struct rpc_keys *keys)
{
    if (keys->zap != NULL)
        zmq_close(keys->zap);
    if (keys->wake_fd >= 0)
        close(keys->wake_fd);
    pthread_mutex_destroy(&keys->lock);
    free(keys->folder);
    explicit_bzero(&keys->own, sizeof keys->own);
    free(keys);
}

static enum err begin(struct rpc_keys *keys)
{
    if (keys->present) {
        TRY(read_files(keys, &keys->own, &keys->allowed));
        TRY(bind_zap(keys));
    }
    if (keys->wake_fd < 0 || pthread_create(&keys->thread, NULL, run, keys) != 0) {
        log_error("keys", "cannot start a thread");
        return ERR_IO;
    }
    keys->started = true;
    pthread_setname_np(keys->thread, "keys");
    return OK;
}

enum err rpc_keys_open(void *zmq, const char *folder, enum rpc_role role, struct rpc_keys **out)
{
    struct rpc_keys *keys = NEW(struct rpc_keys);
    keys->zmq = zmq;
    keys->role = role;
    keys->folder = xstrdup(folder == NULL ? "" : folder);
    keys->present = keys->folder[0] != '\0';
    keys->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&keys->lock, NULL);
    *out = NULL;
    enum err err = begin(keys);
    if (err != OK)
        release(keys);
    else
        *out = keys;
    return err;
}

void rpc_keys_close(struct rpc_keys **out)
{
    struct rpc_keys *keys = *out;
    if (keys == NULL)
        return;
    atomic_store(&keys->stopping, true);
    uint64_t one = 1;
    ssize_t n = write(keys->wake_fd, &one, sizeof one);
    (void)n;
    pthread_join(keys->thread, NULL);
    release(keys);
    *out = NULL;
}
