/* SPDX-License-Identifier: Apache-2.0 */
/* A director that has just started does not know whether its store was put back from an older copy (R27):
 * only what nodes tell of higher epochs shows it. A node that is behind may be the first to say hello, and
 * ask for the seat that it had by the old store; served by it alone, the partition would go two ways. So a
 * director makes nothing of any configuration before it has heard from every node of the map what copies that
 * has, or HEARING_MS have passed since the first one spoke: who is not there by then is as good as lost, and
 * a fail-over waits so long and no longer.
 *
 * The same holds anew when the picture went back under a director that runs, and when all nodes had been
 * silent: it was cut off or paused, or they start only now, and in the meantime the store may have become
 * another. Every director holds by what it has heard itself; storage nodes say hello to all. If maps of a
 * higher version than the store's are about, it was put back for sure, and nodes may be there that it does
 * not name: then the whole time passes. */
#include "director/director_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

enum {
    /* A node that runs connects again within a second, and says hello every second. */
    HEARING_MS = 2500,
};

void hearing_begin(struct director *d, uint64_t now_mono_ms)
{
    d->hearing = (struct hearing){ .since_ms = now_mono_ms };
}

static bool all_are_silent(const struct map *map, uint64_t now)
{
    for (size_t i = 0; i < map->node_count; i++) {
        if (map_node_is_alive(&map->nodes[i], now))
            return false;
    }
    return true;
}

void hearing_take(struct director *d, struct map_node *node, bool whole, uint64_t now_mono_ms)
{
    if (d->hearing.first_ms != 0 && !map_node_is_alive(node, now_mono_ms) &&
        all_are_silent(&d->map, now_mono_ms))
        hearing_begin(d, now_mono_ms);
    if (d->hearing.first_ms == 0)
        d->hearing.first_ms = now_mono_ms;
    if (whole)
        node->whole_mono_ms = now_mono_ms;
}

bool hearing_lasts(const struct director *d, uint64_t now_mono_ms)
{
    const struct hearing *hearing = &d->hearing;
    if (hearing->first_ms != 0 && now_mono_ms >= hearing->first_ms + HEARING_MS)
        return false;
    if (hearing->store_is_old || d->raising)
        return true;
    for (size_t i = 0; i < d->map.node_count; i++) {
        const struct map_node *node = &d->map.nodes[i];
        if (node->whole_mono_ms < hearing->since_ms && !map_is_given_up(&d->map, node))
            return true;
    }
    return false;
}
