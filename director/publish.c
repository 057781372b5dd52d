/* SPDX-License-Identifier: Apache-2.0 */
#include "director/publish.h"

#include <stdlib.h>
#include <string.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

void publish_fini(struct publish *p)
{
    free(p->subscribers);
    buf_fini(&p->packed);
    *p = (struct publish){ 0 };
}

static bool peer_eq(const struct rpc_peer_id *a, const struct rpc_peer_id *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

static struct subscriber *longest_silent(struct publish *p)
{
    struct subscriber *oldest = &p->subscribers[0];
    for (size_t i = 1; i < p->count; i++) {
        if (p->subscribers[i].asked_mono_ms < oldest->asked_mono_ms)
            oldest = &p->subscribers[i];
    }
    return oldest;
}

void publish_subscribe(struct publish *p, const struct rpc_peer_id *peer, uint64_t now_mono_ms)
{
    for (size_t i = 0; i < p->count; i++) {
        if (peer_eq(&p->subscribers[i].peer, peer)) {
            p->subscribers[i].asked_mono_ms = now_mono_ms;
            return;
        }
    }
    struct subscriber *at;
    if (p->count == PUBLISH_SUBSCRIBERS_MAX) {
        at = longest_silent(p);
    } else {
        p->subscribers = xrealloc(p->subscribers, (p->count + 1) * sizeof *p->subscribers);
        at = &p->subscribers[p->count++];
    }
    *at = (struct subscriber){ *peer, now_mono_ms };
}

void publish_expire(struct publish *p, uint64_t now_mono_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < p->count; i++) {
        if (now_mono_ms < p->subscribers[i].asked_mono_ms + PUBLISH_SUBSCRIPTION_MS)
            p->subscribers[kept++] = p->subscribers[i];
    }
    p->count = kept;
}

struct slice publish_packed(struct publish *p, const struct map *map, const char *problem, bool want_fresh,
                            uint64_t now_mono_ms)
{
    bool good = p->packed_valid && p->packed_version == map->version &&
                (!want_fresh || now_mono_ms < p->packed_mono_ms + PUBLISH_PACKED_FRESH_MS);
    if (!good) {
        buf_clear(&p->packed);
        map_pack(map, problem, &p->packed);
        p->packed_valid = true;
        p->packed_version = map->version;
        p->packed_mono_ms = now_mono_ms;
    }
    return buf_slice(&p->packed);
}

/* ---- above a store that was put back */

enum {
    /* Above the highest version that was told of: others may have seen a few more. */
    VERSION_STEP = 1024,
};

/* No store has so many revisions: whoever tells of more is mistaken, and is not followed to where versions
 * end. */
static const uint64_t version_told_max = UINT64_C(1) << 56;

static void on_raised(struct director *d, struct change *change, enum err result)
{
    (void)change;
    d->raising = false;
    if (result == OK)
        log_warn("director",
                 "the coordination store is older than the maps that it gave out: versions go on at %llu",
                 (unsigned long long)d->map.version);
}

/* Behind the read barrier the picture is at least as new as what was told of, if that came of this store. */
static void on_looked(struct director *d, struct change *looked, enum err result)
{
    (void)looked;
    if (result != OK || d->seen_version <= d->map.version || d->map.cluster_mod == 0) {
        d->raising = false;
        d->seen_version = 0; /* told again if it is still so */
        return;
    }
    struct change *change = change_new(d, NULL, 1, on_raised);
    Tern__Map cluster = TERN__MAP__INIT;
    cluster.cluster_id = (ProtobufCBinaryData){ MAP_ID_SIZE, d->map.cluster_id };
    cluster.partition_count = d->map.partition_count;
    cluster.copies = d->map.copies;
    cluster.min_members = d->map.min_members;
    cluster.version_base = d->map.base + (d->seen_version - d->map.version) + VERSION_STEP;
    d->seen_version = 0;
    d->hearing.store_is_old = true;
    change_add_put(change, ROW_CLUSTER, 0, SLICE_NULL, d->map.cluster_mod, &cluster.base);
    change_submit(change);
}

void publish_see_version(struct director *d, uint64_t version)
{
    if (version > version_told_max)
        return;
    if (version > d->seen_version)
        d->seen_version = version;
    if (d->seen_version <= d->map.version || d->raising)
        return;
    d->raising = true;
    change_submit(change_new(d, NULL, 1, on_looked));
}

/* ---- requests */

/* A caller that has nothing (ternctl, a program that starts) also wants to know who is there now. */
void on_map(struct director *d, struct rpc_request *request)
{
    uint64_t now = clock_mono_ms();
    Tern__MapRequest *asked = (Tern__MapRequest *)answer_unpack(d, request, &tern__map_request__descriptor);
    if (asked == NULL)
        return;
    if (asked->subscribe)
        publish_subscribe(&d->publish, &request->peer, now);
    publish_see_version(d, asked->have_version);
    struct rpc_reply_info info = { .map_version = d->map.version };
    struct buf response = { 0 };
    if (asked->have_version != d->map.version || asked->have_version == 0) {
        struct buf problem = { 0 };
        create_problem(d, now, &problem);
        buf_add_slice(&response,
                      publish_packed(&d->publish, &d->map, problem.len > 0 ? buf_cstr(&problem) : NULL,
                                     asked->have_version == 0 || problem.len > 0, now));
        buf_fini(&problem);
    }
    rpc_reply(&request, OK, &info, &response, NULL);
    tern__map_request__free_unpacked(asked, NULL);
}
