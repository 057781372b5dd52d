/* SPDX-License-Identifier: Apache-2.0 */
/* Primaries are evened out along chains of slots (a shortest path over "could give its primary to"), which
 * moves no copy. */
#include <stdlib.h>
#include <string.h>

#include "director/placement_priv.h"
#include "lib/base/alloc.h"

static void count_primaries(struct solver *s)
{
    memset(s->primaries, 0, s->node_count * sizeof *s->primaries);
    for (size_t p = 0; p < s->slot_count; p++)
        s->primaries[placement_index(s, s->slots[p].nodes[0])]++;
}

static void make_primary(struct placement_slot *slot, uint32_t id)
{
    for (size_t i = 0; i < slot->count; i++) {
        if (slot->nodes[i] == id) {
            slot->nodes[i] = slot->nodes[0];
            slot->nodes[0] = id;
            return;
        }
    }
}

/* The seat of a full node goes to the member with the fewest of those that have room. */
static void unseat_full(struct solver *s)
{
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        int from = placement_index(s, slot->nodes[0]), best = NONE;
        for (size_t i = 1; i < slot->count && is_full(s, from); i++) {
            int to = placement_index(s, slot->nodes[i]);
            if (!is_full(s, to) && (best == NONE || s->primaries[to] < s->primaries[best]))
                best = to;
        }
        if (best == NONE)
            continue;
        s->primaries[from]--;
        s->primaries[best]++;
        make_primary(slot, s->nodes[best].id);
    }
}

/* Breadth first from `from`: via[n] is the slot whose primary could go to node n from the node before it.
 * Nodes that have one before them already are passed by. Returns the node with the fewest primaries that can
 * be reached, if it has at least two fewer than `from`; else NONE. */
static int find_path(const struct solver *s, int from, int *via, int *before, int *queue)
{
    size_t head = 0, tail = 0;
    int best = from;
    before[from] = from;
    queue[tail++] = from;
    while (head < tail) {
        int at = queue[head++];
        if (s->primaries[at] < s->primaries[best])
            best = at;
        for (size_t p = 0; p < s->slot_count; p++) {
            const struct placement_slot *slot = &s->slots[p];
            if (slot->nodes[0] != s->nodes[at].id)
                continue;
            for (size_t i = 1; i < slot->count; i++) {
                int next = placement_index(s, slot->nodes[i]);
                if (before[next] != NONE || is_full(s, next))
                    continue;
                before[next] = at;
                via[next] = (int)p;
                queue[tail++] = next;
            }
        }
    }
    return s->primaries[best] + 2 <= s->primaries[from] ? best : NONE;
}

static void pass_along(struct solver *s, int from, int to, const int *via, const int *before)
{
    s->primaries[from]--;
    s->primaries[to]++;
    for (int at = to; at != from; at = before[at])
        make_primary(&s->slots[via[at]], s->nodes[at].id);
}

/* From the node with the most primaries, or, if none that it leads to has two fewer, from the next. What a
 * search from a fuller node has seen in vain is no help to one that has no more: no node there has two
 * fewer than it. */
static bool even_primaries_once(struct solver *s, int *work)
{
    int *via = work, *before = work + s->node_count, *queue = work + 2 * s->node_count;
    size_t low = SIZE_MAX, high = 0;
    for (size_t n = 0; n < s->node_count; n++) {
        before[n] = NONE;
        low = s->primaries[n] < low ? s->primaries[n] : low;
        high = s->primaries[n] > high ? s->primaries[n] : high;
    }
    for (size_t many = high; many >= low + 2; many--) {
        for (size_t from = 0; from < s->node_count; from++) {
            if (s->primaries[from] != many || before[from] != NONE)
                continue;
            int to = find_path(s, (int)from, via, before, queue);
            if (to != NONE) {
                pass_along(s, (int)from, to, via, before);
                return true;
            }
        }
    }
    return false;
}

void placement_even_primaries(struct solver *s)
{
    int *work = NEW_ARRAY(int, 3 * s->node_count);
    count_primaries(s);
    unseat_full(s);
    for (size_t i = 0; i < s->slot_count && even_primaries_once(s, work); i++) {}
    free(work);
}
