/* SPDX-License-Identifier: Apache-2.0 */
/* A bound address: one ROUTER socket without keys, else one for each of our keys (current, next, previous),
 * all at the same port, because a socket of ZeroMQ knows one key. The kernel gives a connection to any of
 * them (SO_REUSEPORT); one that meets the wrong door is cut off in the handshake, and its next try,
 * milliseconds later, may meet the other. There is more than one only while keys are rotated. A connection
 * stays with its door, so changing keys cuts off nobody whose key is still good.
 *
 * One thread at a time, with a full fence between two (a mutex is one). */
#ifndef LIB_RPC_DOORS_H
#define LIB_RPC_DOORS_H

#include "lib/rpc/endpoint.h"
#include "lib/rpc/keys.h"

enum { DOORS_MAX = 2 * KEY_AGES }; /* all keys exchanged at once */

struct doors_options {
    void *zmq;
    struct rpc_keys *keys; /* NULL: none, and nobody watches */
    enum rpc_service service;
    const char
        *endpoint; /* "tcp://host:port", port 0: a free one; "ipc://path", whose key changes with a restart */
    int receive_hwm; /* 0: RPC_HWM */
    int linger_ms;
    bool mandatory; /* ZMQ_ROUTER_MANDATORY */
};

struct door {
    void *socket;
    struct rpc_watch *watch;
    struct key_pair key; /* "" without keys */
    int fd;              /* listens; ZeroMQ's. -1: not known */
    int event_fd;        /* ZMQ_FD: becomes readable when the socket has news that nobody has looked at */
    uint8_t number;      /* of this door, and after it of none for a long time */
};

struct doors {
    struct doors_options options; /* the endpoint is not kept */
    struct door list[DOORS_MAX];
    size_t count;
    uint8_t last_number;
    uint64_t generation;
    char endpoint[RPC_ENDPOINT_MAX]; /* really bound */
};

/* Bind. ERR_DENIED (no keys, and not loopback), ERR_INVALID, ERR_IO; logged. */
MUST_CHECK enum err doors_open(const struct doors_options *options, struct doors *out);
/* After each turn of the thread: if keys have changed, open and close what is needed. Quick otherwise. True
 * if doors were opened or closed. */
bool doors_refresh(struct doors *doors);
/* NULL: closed meanwhile. */
void *doors_socket(const struct doors *doors, uint8_t number);
void doors_close(struct doors *doors);

#endif
