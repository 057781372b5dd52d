/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lib/rpc/socket_guard.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

enum { SOCKETS_MAX = 1024 };

struct guarded {
    void *socket;
    unsigned inside;
    bool closed;
};

static struct {
    pthread_mutex_t lock;
    struct guarded sockets[SOCKETS_MAX];
    size_t count;
    unsigned broken, calls;
} guard = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Under the lock. */
static struct guarded *find(void *socket)
{
    for (size_t i = 0; i < guard.count; i++) {
        if (guard.sockets[i].socket == socket)
            return &guard.sockets[i];
    }
    assert(guard.count < SOCKETS_MAX);
    guard.sockets[guard.count] = (struct guarded){ .socket = socket };
    return &guard.sockets[guard.count++];
}

static void enter(void *socket)
{
    pthread_mutex_lock(&guard.lock);
    struct guarded *g = find(socket);
    guard.calls++;
    guard.broken += g->inside > 0 || g->closed;
    g->inside++;
    pthread_mutex_unlock(&guard.lock);
    sched_yield();
}

static void leave(void *socket)
{
    pthread_mutex_lock(&guard.lock);
    find(socket)->inside--;
    pthread_mutex_unlock(&guard.lock);
}

unsigned socket_guard_broken(void)
{
    pthread_mutex_lock(&guard.lock);
    unsigned broken = guard.broken;
    pthread_mutex_unlock(&guard.lock);
    return broken;
}

unsigned socket_guard_calls(void)
{
    pthread_mutex_lock(&guard.lock);
    unsigned calls = guard.calls;
    pthread_mutex_unlock(&guard.lock);
    return calls;
}

/* ---- what is guarded */

void *__real_zmq_socket(void *context, int type);
void *__wrap_zmq_socket(void *context, int type);
int __real_zmq_close(void *socket);
int __wrap_zmq_close(void *socket);
int __real_zmq_send(void *socket, const void *data, size_t len, int flags);
int __wrap_zmq_send(void *socket, const void *data, size_t len, int flags);
int __real_zmq_msg_send(zmq_msg_t *msg, void *socket, int flags);
int __wrap_zmq_msg_send(zmq_msg_t *msg, void *socket, int flags);
int __real_zmq_msg_recv(zmq_msg_t *msg, void *socket, int flags);
int __wrap_zmq_msg_recv(zmq_msg_t *msg, void *socket, int flags);
int __real_zmq_getsockopt(void *socket, int option, void *value, size_t *size);
int __wrap_zmq_getsockopt(void *socket, int option, void *value, size_t *size);
int __real_zmq_setsockopt(void *socket, int option, const void *value, size_t size);
int __wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t size);

/* The address may have been another's. */
void *__wrap_zmq_socket(void *context, int type)
{
    void *socket = __real_zmq_socket(context, type);
    pthread_mutex_lock(&guard.lock);
    find(socket)->closed = false;
    pthread_mutex_unlock(&guard.lock);
    return socket;
}

int __wrap_zmq_close(void *socket)
{
    enter(socket);
    pthread_mutex_lock(&guard.lock);
    struct guarded *g = find(socket);
    g->inside--;
    g->closed = true; /* before the address may be another's */
    pthread_mutex_unlock(&guard.lock);
    return __real_zmq_close(socket);
}

int __wrap_zmq_send(void *socket, const void *data, size_t len, int flags)
{
    enter(socket);
    int rc = __real_zmq_send(socket, data, len, flags);
    leave(socket);
    return rc;
}

int __wrap_zmq_msg_send(zmq_msg_t *msg, void *socket, int flags)
{
    enter(socket);
    int rc = __real_zmq_msg_send(msg, socket, flags);
    leave(socket);
    return rc;
}

int __wrap_zmq_msg_recv(zmq_msg_t *msg, void *socket, int flags)
{
    enter(socket);
    int rc = __real_zmq_msg_recv(msg, socket, flags);
    leave(socket);
    return rc;
}

int __wrap_zmq_getsockopt(void *socket, int option, void *value, size_t *size)
{
    enter(socket);
    int rc = __real_zmq_getsockopt(socket, option, value, size);
    leave(socket);
    return rc;
}

int __wrap_zmq_setsockopt(void *socket, int option, const void *value, size_t size)
{
    enter(socket);
    int rc = __real_zmq_setsockopt(socket, option, value, size);
    leave(socket);
    return rc;
}
