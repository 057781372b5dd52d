/* SPDX-License-Identifier: Apache-2.0 */
/* Who wants to know of new maps, and the packed map itself, made once a version. */
#ifndef DIRECTOR_PUBLISH_H
#define DIRECTOR_PUBLISH_H

#include "director/map.h"
#include "lib/rpc/server.h"

enum {
    PUBLISH_SUBSCRIBERS_MAX = 8192, /* beyond it the one silent for longest goes */
    PUBLISH_SUBSCRIPTION_MS =
        60 * 1000, /* ends without a MAP request for so long (the store client asks every 5 s) */
    PUBLISH_PACKED_FRESH_MS = 1000, /* a packed map's `seen_ms` may be so old */
};

struct subscriber {
    struct rpc_peer_id peer;
    uint64_t asked_mono_ms;
};

struct publish {
    struct subscriber *subscribers;
    size_t count;
    uint64_t told_version;
    struct buf packed; /* a MapResponse */
    uint64_t packed_version, packed_mono_ms;
    bool packed_valid;
};

void publish_fini(struct publish *p);
/* Remember or renew. */
void publish_subscribe(struct publish *p, const struct rpc_peer_id *peer, uint64_t now_mono_ms);
/* Forget who has been silent for PUBLISH_SUBSCRIPTION_MS. */
void publish_expire(struct publish *p, uint64_t now_mono_ms);
/* The packed map, from memory if it is still good: the version must be right, and `seen_ms` fresh if
 * `want_fresh`. */
struct slice publish_packed(struct publish *p, const struct map *map, const char *problem, bool want_fresh,
                            uint64_t now_mono_ms);

#endif
