/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/net/peer_count.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <uthash.h>

#include "lib/base/alloc.h"

struct peer_key {
    uint8_t ip[8];
    uint8_t family;
    uint8_t unused[7]; /* zero: keys are compared as bytes */
};

struct peer {
    struct peer_key key;
    size_t count;
    UT_hash_handle hh;
};

struct peer_count {
    pthread_mutex_t lock;
    size_t max_each;
    struct peer *peers; /* only those with connections, so the listener's own bound bounds this */
};

static struct peer_key key_of(const struct addr *a)
{
    struct peer_key key = { .family = a->family };
    memcpy(key.ip, a->ip, a->family == ADDR_IPV4 ? 4 : 8);
    return key;
}

static bool is_counted(const struct peer_count *p, const struct addr *a)
{
    return p->max_each > 0 && (a->family == ADDR_IPV4 || a->family == ADDR_IPV6);
}

struct peer_count *peer_count_new(size_t max_each)
{
    struct peer_count *p = NEW(struct peer_count);
    p->max_each = max_each;
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void peer_count_free(struct peer_count **at)
{
    struct peer_count *p = *at;
    if (p == NULL)
        return;
    struct peer *peer, *next;
    HASH_ITER (hh, p->peers, peer, next) {
        HASH_DEL(p->peers, peer);
        free(peer);
    }
    pthread_mutex_destroy(&p->lock);
    free(p);
    *at = NULL;
}

static struct peer *find_or_add(struct peer_count *p, const struct peer_key *key)
{
    struct peer *peer;
    HASH_FIND(hh, p->peers, key, sizeof *key, peer);
    if (peer == NULL) {
        peer = NEW(struct peer);
        peer->key = *key;
        HASH_ADD(hh, p->peers, key, sizeof peer->key, peer);
    }
    return peer;
}

bool peer_count_enter(struct peer_count *p, const struct addr *a)
{
    if (!is_counted(p, a))
        return true;
    struct peer_key key = key_of(a);
    pthread_mutex_lock(&p->lock);
    struct peer *peer = find_or_add(p, &key);
    bool allowed = peer->count < p->max_each;
    if (allowed)
        peer->count++;
    pthread_mutex_unlock(&p->lock);
    return allowed;
}

void peer_count_leave(struct peer_count *p, const struct addr *a)
{
    if (!is_counted(p, a))
        return;
    struct peer_key key = key_of(a);
    pthread_mutex_lock(&p->lock);
    struct peer *peer;
    HASH_FIND(hh, p->peers, &key, sizeof key, peer);
    assert(peer != NULL && peer->count > 0);
    if (--peer->count == 0) {
        HASH_DEL(p->peers, peer);
        free(peer);
    }
    pthread_mutex_unlock(&p->lock);
}
