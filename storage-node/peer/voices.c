/* SPDX-License-Identifier: Apache-2.0 */
#include "storage-node/peer/voices.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"

struct heard_node {
    struct replica_node node;
    struct peer_speech says;
};

struct voices {
    struct peer_speech own;
    pthread_mutex_t lock; /* guards what follows */
    size_t count, strangers;
    struct heard_node list[VOICES_MAX];
};

struct voices *voices_new(struct peer_speech own)
{
    struct voices *k = NEW(struct voices);
    k->own = own;
    pthread_mutex_init(&k->lock, NULL);
    return k;
}

void voices_free(struct voices **out)
{
    struct voices *k = *out;
    if (k == NULL)
        return;
    pthread_mutex_destroy(&k->lock);
    free(k);
    *out = NULL;
}

struct peer_speech voices_own(const struct voices *k)
{
    return k->own;
}

/* With the lock held. */
static struct heard_node *find(struct voices *k, struct replica_node node)
{
    for (size_t i = 0; i < k->count; i++) {
        if (replica_node_eq(k->list[i].node, node))
            return &k->list[i];
    }
    return NULL;
}

static bool is_stranger(const struct voices *k, struct peer_speech says)
{
    return says.max != 0 && peer_version_of_both(k->own, says) == 0;
}

/* Once for each change, or a beat would say it five times a second. */
static void tell(const struct voices *k, struct replica_node node, struct peer_speech says)
{
    if (is_stranger(k, says))
        log_error(
            "peers",
            "node %u is refused: it speaks versions %u to %u of messages between storage nodes, this one "
            "%u to %u; upgrade the older of both",
            node.id, says.min, says.max, k->own.min, k->own.max);
    else
        log_info("peers", "node %u speaks a version of messages between storage nodes that this one speaks",
                 node.id);
}

void voices_hear(struct voices *k, struct replica_node node, struct peer_speech says)
{
    pthread_mutex_lock(&k->lock);
    struct heard_node *at = find(k, node);
    if (at == NULL && k->count < VOICES_MAX) {
        at = &k->list[k->count++];
        *at = (struct heard_node){ .node = node };
    }
    bool was = at != NULL && is_stranger(k, at->says), is = is_stranger(k, says);
    if (at != NULL)
        at->says = says;
    k->strangers = at == NULL ? k->strangers : k->strangers - was + is;
    pthread_mutex_unlock(&k->lock);
    if (at != NULL && was != is)
        tell(k, node, says);
}

static struct peer_speech said(struct voices *k, struct replica_node node)
{
    pthread_mutex_lock(&k->lock);
    const struct heard_node *at = find(k, node);
    struct peer_speech says = at == NULL ? (struct peer_speech){ 0 } : at->says;
    pthread_mutex_unlock(&k->lock);
    return says;
}

uint8_t voices_version(struct voices *k, struct replica_node node)
{
    uint8_t version = peer_version_of_both(k->own, said(k, node));
    return version != 0 ? version : PEER_VERSION_MIN;
}

uint8_t voices_machine(struct voices *k, struct replica_node node)
{
    return said(k, node).machine;
}

size_t voices_strangers(struct voices *k)
{
    pthread_mutex_lock(&k->lock);
    size_t count = k->strangers;
    pthread_mutex_unlock(&k->lock);
    return count;
}
