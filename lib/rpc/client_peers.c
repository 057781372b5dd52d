/* SPDX-License-Identifier: Apache-2.0 */
/* The peers of a client and their connections: one that calls go out on, beside it one with newer keys until
 * it stands, and those that it replaced until nothing comes over them any more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/rpc/client_priv.h"

/* ---- connections */

static struct conn *open_conn(const struct rpc_peer *peer)
{
    const struct rpc_client *client = peer->client;
    return conn_open(client->loop, client->zmq, client->keys, peer->role, peer->endpoint);
}

static void close_retired(struct rpc_peer *peer, uint64_t until_mono_ms)
{
    struct conn **at = &peer->retired;
    while (*at != NULL) {
        struct conn *conn = *at;
        if (conn->retire_mono_ms <= until_mono_ms) {
            *at = conn->next;
            conn_close(conn);
        } else {
            at = &conn->next;
        }
    }
}

/* ---- other keys */

/* Only if they concern this peer: not every step of a rotation does. */
static void renew(struct rpc_peer *peer)
{
    uint64_t keys = rpc_keys_of_connection(peer->client->keys, peer->role);
    close_retired(peer, UINT64_MAX); /* theirs were dropped, or will be in a moment */
    conn_close(peer->fresh);
    peer->fresh = keys == peer->conn->keys ? NULL : open_conn(peer);
}

/* ZeroMQ gives up on a peer without keys if we have some, and the other way round, and on one that does not
 * take our key; it may be started again with what fits by then. Calls that were under way end by their
 * deadlines. */
void rpc_peer_try_anew(struct rpc_peer *peer, struct conn **refused)
{
    uint64_t now = clock_mono_ms();
    if (peer->retry_mono_ms == 0)
        peer->retry_mono_ms = now + RPC_KEYS_RETRY_MS;
    if (now < peer->retry_mono_ms)
        return;
    peer->retry_mono_ms = 0;
    struct conn *conn = open_conn(peer);
    if (conn == NULL)
        return;
    conn_close(*refused);
    *refused = conn;
}

static void settle(struct rpc_peer *peer, uint64_t now)
{
    if (peer->fresh != NULL && rpc_watch_succeeded(peer->fresh->watch)) {
        peer->conn->retire_mono_ms = now + RPC_RETIRE_MS;
        peer->conn->next = peer->retired;
        peer->retired = peer->conn;
        peer->conn = peer->fresh;
        peer->fresh = NULL;
    }
    close_retired(peer, now);
}

void rpc_client_follow_keys(struct rpc_client *client)
{
    uint64_t generation = rpc_keys_generation(client->keys);
    bool changed = generation != client->keys_generation;
    if (!changed && client->unsettled == 0)
        return;
    client->keys_generation = generation;
    client->unsettled = 0;
    uint64_t now = clock_mono_ms();
    for (struct rpc_peer *peer = client->peers; peer != NULL; peer = peer->next) {
        if (changed)
            renew(peer);
        settle(peer, now);
        client->unsettled += peer->fresh != NULL || peer->retired != NULL;
    }
}

/* ---- peers */

static void free_peer(struct rpc_peer *peer)
{
    close_retired(peer, UINT64_MAX);
    conn_close(peer->fresh);
    conn_close(peer->conn);
    free(peer);
}

/* Places that programs have left would otherwise be called at for ever. */
static void drop_idle(struct rpc_client *client, uint64_t now)
{
    struct rpc_peer **at = &client->peers;
    while (*at != NULL) {
        struct rpc_peer *peer = *at;
        if (peer->call_count == 0 && now - peer->used_mono_ms >= RPC_PEER_IDLE_MS) {
            *at = peer->next;
            client->peer_count--;
            free_peer(peer);
        } else {
            at = &peer->next;
        }
    }
}

static struct rpc_peer *new_peer(struct rpc_client *client, const char *endpoint, enum rpc_role role)
{
    struct rpc_peer *peer = NEW(struct rpc_peer);
    peer->client = client;
    peer->role = role;
    TAILQ_INIT(&peer->waiting);
    snprintf(peer->endpoint, sizeof peer->endpoint, "%s", endpoint);
    peer->conn = open_conn(peer);
    if (peer->conn == NULL) {
        free(peer);
        return NULL;
    }
    peer->next = client->peers;
    client->peers = peer;
    client->peer_count++;
    return peer;
}

struct rpc_peer *rpc_client_peer(struct rpc_client *client, const char *endpoint, enum rpc_role role)
{
    struct rpc_peer *peer = client->peers;
    uint64_t now = clock_mono_ms();
    while (peer != NULL && (peer->role != role || strcmp(peer->endpoint, endpoint) != 0))
        peer = peer->next;
    if (peer == NULL) {
        drop_idle(client, now);
        if (client->peer_count >= RPC_PEERS_MAX || strlen(endpoint) >= RPC_ENDPOINT_MAX)
            return NULL;
        peer = new_peer(client, endpoint, role);
    }
    if (peer != NULL)
        peer->used_mono_ms = now;
    return peer;
}

size_t rpc_client_peers(const struct rpc_client *client)
{
    return client->peer_count;
}

const char *rpc_peer_endpoint(const struct rpc_peer *peer)
{
    return peer->endpoint;
}

void rpc_client_free_peers(struct rpc_client *client)
{
    while (client->peers != NULL) {
        struct rpc_peer *peer = client->peers;
        client->peers = peer->next;
        free_peer(peer);
    }
}
