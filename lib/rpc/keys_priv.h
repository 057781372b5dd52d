/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the guard of connections: keys.c has the keys and the thread, zap.c the answers to ZeroMQ, watch.c
 * the events of sockets. */
#ifndef LIB_RPC_KEYS_PRIV_H
#define LIB_RPC_KEYS_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/base/log.h"
#include "lib/rpc/endpoint.h"
#include "lib/rpc/keys.h"

enum { WATCH_ADDRESS_MAX = 64 }; /* "[2001:db8::1]:50000" */

/* Why a connection to us came to nothing. */
enum refusal {
    REFUSAL_UNKNOWN_KEY, /* not on the allow-list */
    REFUSAL_WRONG_ROLE,  /* on it, but not for this socket */
    REFUSAL_WRONG_KEY,   /* it does not know our key, or has none itself */
    REFUSAL_HANDSHAKE,   /* went away, kept silent, or spoke something else */
    REFUSAL_COUNT,
};

/* One line in RPC_KEYS_LOG_MS; the others are counted. */
struct log_gate {
    uint64_t next_ms, untold;
};
/* True if a line may be written now; *untold_out were not since the last. */
bool log_gate_open(struct log_gate *gate, uint64_t *untold_out);

struct rpc_keys {
    void *zmq;
    char *folder;
    enum rpc_role role;
    bool present;
    pthread_t thread;
    bool started;
    int wake_fd;
    void *zap; /* the thread's; NULL without keys */
    atomic_bool stopping;
    _Atomic uint64_t generation;
    pthread_mutex_t lock; /* guards what follows */
    struct role_keys own;
    struct public_keys allowed;
    struct rpc_watch *fresh; /* not yet the thread's */
    struct log_gate denied;

    /* the thread's */
    struct rpc_watch *watches;
    size_t watch_count;
    struct log_gate refused[RPC_SERVICE_COUNT][REFUSAL_COUNT];
};

/* Count a refusal, and log it if it is time. `address` may be "". On the thread. */
void keys_refused(struct rpc_keys *keys, enum rpc_service service, enum refusal why, const char *address,
                  const char *role);

/* ---- zap.c */

/* Answer one question of ZeroMQ that waits at the socket. On the thread. */
void zap_answer(struct rpc_keys *keys);

/* ---- watch.c */

struct rpc_watch {
    struct rpc_watch *next;
    atomic_int references; /* the thread's and the caller's */
    atomic_bool succeeded, refused;
    void *events; /* PAIR socket; the thread's */
    enum rpc_service service;
    char name[RPC_ENDPOINT_MAX];
    bool failed; /* a handshake has, and the connection is not yet seen to end */
    enum refusal why;
    struct log_gate gate;
    struct watch_address *addresses; /* of those who connect, by descriptor; NULL: we connect */
};

/* Take what the socket has to tell; false if it was closed. On the thread. */
bool watch_take(struct rpc_keys *keys, struct rpc_watch *watch);
/* Counters of a service, so that they are there before anything happens. */
void watch_register(enum rpc_service service);
struct metric_counter *watch_counter(enum rpc_service service, enum refusal why);

#endif
