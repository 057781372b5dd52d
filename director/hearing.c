/* SPDX-License-Identifier: Apache-2.0 */
/* A director that has just started does not know whether its store was put back from an older copy (R27):
 * only what nodes tell of higher epochs shows it. A node that is behind may be the first to say hello, and
 * ask for the seat that it had by the old store; served by it alone, the partition would go two ways. So a
 * director makes nothing of any configuration before it has heard from every node of the map what copies that
 * has, or HEARING_MS have passed since the first one spoke: who is not there by then is as good as lost, and
 * a fail-over waits so long and no longer.
 *
 * What counts is what a node looked up after this director had asked. A hello may tell of what was so a
 * second before, and then lacks the epochs that were made just before the store was put back. So each time of
 * hearing has a number of its own, which goes with the answers and comes back with what was looked up for it.
 *
 * The same holds anew when the picture went back under a director that runs, and when all nodes had been
 * silent: it was cut off or paused, or they start only now, and in the meantime the store may have become
 * another. Every director holds by what it has heard itself; storage nodes say hello to all. If maps of a
 * higher version than the store's are about, it was put back for sure, and nodes may be there that it does
 * not name: then the whole time passes. */
#include "director/director_priv.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"

enum {
    /* A node that runs connects again within a second, says hello every second, or when one has had no answer
     * for CONTROL_CALL_MS (two), and again a tenth of one after it was asked. */
    HEARING_MS = 2500,
};

void hearing_begin(struct director *d)
{
    uint64_t number = rand_u64(); /* another than that of any process before */
    d->hearing = (struct hearing){ .number = number != 0 ? number : 1, .begun_ms = clock_mono_ms() };
}

static bool all_are_silent(const struct map *map, uint64_t now)
{
    for (size_t i = 0; i < map->node_count; i++) {
        if (map_node_is_alive(&map->nodes[i], now))
            return false;
    }
    return true;
}

void hearing_take(struct director *d, struct map_node *node, uint64_t number, uint64_t now_mono_ms)
{
    if (d->hearing.first_ms != 0 && !map_node_is_alive(node, now_mono_ms) &&
        all_are_silent(&d->map, now_mono_ms))
        hearing_begin(d);
    if (d->hearing.first_ms == 0)
        d->hearing.first_ms = now_mono_ms;
    if (number == d->hearing.number)
        node->told_for = number;
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
        if (node->told_for != hearing->number && !map_is_given_up(&d->map, node))
            return true;
    }
    return false;
}

bool hearing_holds_ids(const struct director *d, uint64_t now_mono_ms)
{
    const struct hearing *hearing = &d->hearing;
    uint64_t since_ms = hearing->first_ms != 0 ? hearing->first_ms : hearing->begun_ms;
    if (d->map.partition_count == 0 || d->map.confs[0].epoch == 0 || now_mono_ms >= since_ms + HEARING_MS)
        return false;
    if (hearing->store_is_old || d->raising)
        return true;
    for (size_t i = 0; i < d->map.node_count; i++) {
        const struct map_node *node = &d->map.nodes[i];
        if (node->heard_mono_ms < hearing->begun_ms && !map_is_given_up(&d->map, node))
            return true;
    }
    return false;
}
