/* SPDX-License-Identifier: Apache-2.0 */
/* In steps, each leaving what is good alone: drop what may not stay; fill up with the emptiest node in the
 * least used zone; spread slots that crowd a zone; even out copies by moving single ones, or two in a
 * row, from nodes with many to nodes with few; relieve full disks; even out bytes; even out primaries along
 * chains of slots (a shortest path over "could give its primary to"), which moves no copy. */
#include <assert.h>
#include <stdlib.h>

#include "director/placement_priv.h"
#include "lib/base/alloc.h"

int placement_index(const struct solver *s, uint32_t id)
{
    size_t low = 0, high = s->node_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->nodes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < s->node_count && s->nodes[low].id == id ? (int)low : NONE;
}

/* Has the node's disk room for one more copy of the slot? */
static bool has_room(const struct solver *s, const struct placement_slot *slot, int node)
{
    uint64_t room = s->nodes[node].room;
    return !is_full(s, node) &&
           (room == 0 || (s->taken[node] <= room && slot->bytes <= room - s->taken[node]));
}

static void count_copy(struct solver *s, const struct placement_slot *slot, int node)
{
    s->load[node]++;
    s->bytes[node] += slot->bytes;
}

static void uncount_copy(struct solver *s, const struct placement_slot *slot, int node)
{
    s->load[node]--;
    s->bytes[node] -= slot->bytes;
}

/* Do two nodes' bytes differ so much that something should be done? */
static bool far_apart(const struct solver *s, uint64_t more, uint64_t less)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->node_count; i++)
        total += s->bytes[i];
    return more > less && more - less >= PLACEMENT_BYTES_GAP_MIN &&
           (more - less) / PLACEMENT_BYTES_GAP_PERCENT >= total / s->node_count / 100;
}

static bool holds(const struct placement_slot *slot, uint32_t id)
{
    for (size_t i = 0; i < slot->count; i++) {
        if (slot->nodes[i] == id)
            return true;
    }
    return false;
}

static void remove_at(struct solver *s, struct placement_slot *slot, size_t at)
{
    s->unsettled = true;
    for (size_t i = at; i + 1 < slot->count; i++)
        slot->nodes[i] = slot->nodes[i + 1];
    slot->count--;
}

/* How many of the slot's copies, but for the one at `except`, lie in a zone. */
static size_t in_zone(const struct solver *s, const struct placement_slot *slot, uint32_t zone, int except)
{
    size_t count = 0;
    for (size_t i = 0; i < slot->count; i++) {
        if ((int)i != except && s->nodes[placement_index(s, slot->nodes[i])].zone == zone)
            count++;
    }
    return count;
}

/* ---- drop and fill */

static void drop_strangers(struct solver *s)
{
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        for (size_t i = slot->count; i-- > 0;) {
            bool twice = false;
            for (size_t k = 0; k < i; k++)
                twice |= slot->nodes[k] == slot->nodes[i];
            if (twice || placement_index(s, slot->nodes[i]) == NONE)
                remove_at(s, slot, i);
            else
                count_copy(s, slot, placement_index(s, slot->nodes[i]));
        }
        for (size_t i = 0; i < slot->count; i++)
            s->taken[placement_index(s, slot->nodes[i])] += slot->nodes[i] == slot->newest ? slot->bytes : 0;
    }
}

/* Is the copy at `a` missed less than the one at `b`? Its zone is more crowded; its disk is full; its node
 * has more; it is not the primary, whose seat would have to be handed over first. */
static bool is_less_missed(const struct solver *s, const struct placement_slot *slot, size_t a, size_t b)
{
    int node_a = placement_index(s, slot->nodes[a]), node_b = placement_index(s, slot->nodes[b]);
    size_t crowd_a = in_zone(s, slot, s->nodes[node_a].zone, (int)a);
    size_t crowd_b = in_zone(s, slot, s->nodes[node_b].zone, (int)b);
    if (crowd_a != crowd_b)
        return crowd_a > crowd_b;
    if ((s->nodes[node_a].lack > 0) != (s->nodes[node_b].lack > 0))
        return s->nodes[node_a].lack > 0;
    if (s->load[node_a] != s->load[node_b])
        return s->load[node_a] > s->load[node_b];
    if (s->bytes[node_a] != s->bytes[node_b])
        return s->bytes[node_a] > s->bytes[node_b];
    return b == 0;
}

/* The newest copy goes last: it was made so that another can go, and whose it was is not remembered. */
static size_t most_dispensable(const struct solver *s, const struct placement_slot *slot)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < slot->count; i++) {
        if (slot->nodes[i] != slot->newest && (best == SIZE_MAX || is_less_missed(s, slot, i, best)))
            best = i;
    }
    return best;
}

static void drop_surplus(struct solver *s)
{
    for (size_t p = 0; p < s->slot_count; p++) {
        while (s->slots[p].count > s->copies) {
            size_t at = most_dispensable(s, &s->slots[p]);
            uncount_copy(s, &s->slots[p], placement_index(s, s->slots[p].nodes[at]));
            remove_at(s, &s->slots[p], at);
        }
    }
}

/* Among equals each slot prefers other nodes, so that slots share nodes in all combinations: when a node
 * fails, its work is taken over by all others and not by one partner. (splitmix64's finalizer) */
static uint64_t preference(size_t slot, uint32_t node)
{
    uint64_t x = ((uint64_t)slot << 32 | node) + 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/* The node to take one more copy of the slot (not counting the copy at `except`): least used zone, then
 * emptiest. `roomy`: of those that have room for it. */
static int best_node(const struct solver *s, const struct placement_slot *slot, int except, bool roomy)
{
    int best = NONE;
    size_t best_crowd = 0, number = (size_t)(slot - s->slots);
    for (size_t n = 0; n < s->node_count; n++) {
        if (holds(slot, s->nodes[n].id) || (roomy && !has_room(s, slot, (int)n)))
            continue;
        size_t crowd = in_zone(s, slot, s->nodes[n].zone, except);
        bool better = best == NONE || crowd < best_crowd;
        if (!better && crowd == best_crowd) {
            better = s->load[n] < s->load[best] ||
                     (s->load[n] == s->load[best] &&
                      preference(number, s->nodes[n].id) > preference(number, s->nodes[best].id));
        }
        if (better) {
            best = (int)n;
            best_crowd = crowd;
        }
    }
    return best;
}

static void fill(struct solver *s)
{
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        while (slot->count < s->copies) {
            int node = best_node(s, slot, NONE, true);
            if (node == NONE) /* it waits for room there */
                node = best_node(s, slot, NONE, false);
            s->taken[node] += slot->bytes;
            slot->nodes[slot->count++] = s->nodes[node].id;
            s->unsettled = true;
            count_copy(s, slot, node);
        }
    }
}

/* ---- zones and evenness */

static void move_copy(struct solver *s, struct placement_slot *slot, size_t at, int to)
{
    uncount_copy(s, slot, placement_index(s, slot->nodes[at]));
    count_copy(s, slot, to);
    s->taken[to] += slot->bytes;
    slot->nodes[at] = s->nodes[to].id;
    s->unsettled = true;
}

/* One of its copies is on its way. To move it, or another one, would be to judge again what was decided, by
 * loads that are different only because it was decided. */
static bool is_moving(const struct placement_slot *slot)
{
    return slot->newest != 0 && holds(slot, slot->newest);
}

/* Copies that share a zone while a less used one has a node for them. */
static void spread(struct solver *s)
{
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        s->unsettled |= is_moving(slot);
        for (size_t i = slot->count; i-- > 0 && !is_moving(slot);) {
            int from = placement_index(s, slot->nodes[i]);
            int to = best_node(s, slot, (int)i, true);
            if (to != NONE &&
                in_zone(s, slot, s->nodes[to].zone, (int)i) < in_zone(s, slot, s->nodes[from].zone, (int)i))
                move_copy(s, slot, i, to);
        }
    }
}

/* The slot's copy on `from` may go to `to`, which has room, without crowding a zone more than now. */
static bool may_move(const struct solver *s, const struct placement_slot *slot, size_t at, int from, int to)
{
    if (is_moving(slot) || holds(slot, s->nodes[to].id) || !has_room(s, slot, to))
        return false;
    return in_zone(s, slot, s->nodes[to].zone, (int)at) <= in_zone(s, slot, s->nodes[from].zone, (int)at);
}

/* A copy that may move, as slot and place in it. */
struct candidate {
    struct placement_slot *slot;
    size_t at;
};

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Which copy of a slot that is full goes once `to` has come. */
static size_t leaver(const struct solver *s, const struct placement_slot *slot, int to)
{
    struct placement_slot then = *slot;
    then.newest = then.nodes[then.count++] = s->nodes[to].id;
    return most_dispensable(s, &then);
}

/* Of the copies that may go `from` -> `to` the one whose size is nearest to `wanted`; of equals not a
 * primary, whose seat would have to be handed over; slot NULL: none. Exactly: only where no other copy of the
 * slot would go instead. */
static struct candidate nearest(const struct solver *s, int from, int to, uint64_t wanted, bool exactly)
{
    struct candidate best = { NULL, 0 };
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        for (size_t i = 0; i < slot->count; i++) {
            if (slot->nodes[i] != s->nodes[from].id || !may_move(s, slot, i, from, to) ||
                (exactly && leaver(s, slot, to) != i))
                continue;
            uint64_t off = distance(slot->bytes, wanted);
            uint64_t best_off = best.slot == NULL ? UINT64_MAX : distance(best.slot->bytes, wanted);
            if (best.slot == NULL || off < best_off || (off == best_off && best.at == 0 && i > 0))
                best = (struct candidate){ slot, i };
        }
    }
    return best;
}

/* Each of the copies that have to go takes its share of the bytes that have to go. */
static bool move_one(struct solver *s, int from, int to)
{
    uint64_t wanted =
        s->bytes[from] > s->bytes[to] ? (s->bytes[from] - s->bytes[to]) / (s->load[from] - s->load[to]) : 0;
    struct candidate found = nearest(s, from, to, wanted, false);
    if (found.slot != NULL)
        move_copy(s, found.slot, found.at, to);
    return found.slot != NULL;
}

/* How much nearer to even a move brings the bytes: half of what the sum of their squares loses. */
static __int128 gain_of(const struct solver *s, uint64_t moved, int from, int to)
{
    return (__int128)moved * ((__int128)s->bytes[from] - s->bytes[to] - moved);
}

/* Where one node has just two copies more than another: the move, of all there are, that is best for the
 * bytes. So the second half of an exchange for the bytes' sake (even_bytes) is never worse than was meant
 * when the first was begun, though nothing is remembered of it. */
static bool move_best(struct solver *s)
{
    struct candidate best = { NULL, 0 };
    int best_to = NONE;
    __int128 best_gain = 0;
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        size_t most = 0;
        for (size_t i = 0; i < slot->count; i++) {
            size_t load = s->load[placement_index(s, slot->nodes[i])];
            most = load > most ? load : most;
        }
        for (size_t to = 0; to < s->node_count; to++) {
            if (s->load[to] + 2 > most || is_moving(slot) || holds(slot, s->nodes[to].id))
                continue;
            size_t at = leaver(s, slot, (int)to);
            int from = placement_index(s, slot->nodes[at]);
            if (s->load[from] < s->load[to] + 2 || !may_move(s, slot, at, from, (int)to))
                continue;
            __int128 gain = gain_of(s, slot->bytes, from, (int)to);
            if (best.slot == NULL || gain > best_gain || (gain == best_gain && best.at == 0 && at > 0)) {
                best = (struct candidate){ slot, at };
                best_to = (int)to;
                best_gain = gain;
            }
        }
    }
    if (best.slot != NULL)
        move_copy(s, best.slot, best.at, best_to);
    return best.slot != NULL;
}

/* A copy that could go on to another node. */
struct onward {
    struct candidate copy; /* slot NULL: none */
    int to;
};

/* For each node, by index, of the copies that may go from it to one that has fewer, one that goes to the
 * emptiest. `most`: of the copies of a node. The caller frees it. */
static struct onward *find_onward(const struct solver *s, size_t most)
{
    struct onward *onward = NEW_ARRAY(struct onward, s->node_count);
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        for (size_t at = 0; at < slot->count && !is_moving(slot); at++) {
            int via = placement_index(s, slot->nodes[at]);
            for (size_t to = 0; to < s->node_count; to++) {
                size_t low = onward[via].copy.slot == NULL ? s->load[via] : s->load[onward[via].to];
                if (s->load[to] < low && s->load[to] + 2 <= most && may_move(s, slot, at, via, (int)to) &&
                    leaver(s, slot, (int)to) == at)
                    onward[via] = (struct onward){ { slot, at }, (int)to };
            }
        }
    }
    return onward;
}

/* Where zones bind, no copy of a node that has two more than another may go there by itself; but one may take
 * the place of a third node's that does. Whichever of the two comes first, the other one is then a single
 * move that is found, or both are: no other copy of their slots would go instead, as the first node has more
 * than the third, and that has more than the last. (The slots are two: the third node is in one only.) */
static bool move_two(struct solver *s)
{
    size_t most = 0;
    for (size_t n = 0; n < s->node_count; n++)
        most = s->load[n] > most ? s->load[n] : most;
    struct onward *onward = find_onward(s, most);
    bool moved = false;
    for (size_t p = 0; p < s->slot_count && !moved; p++) {
        struct placement_slot *slot = &s->slots[p];
        for (size_t via = 0; via < s->node_count && !moved && !is_moving(slot); via++) {
            const struct onward *next = &onward[via];
            if (next->copy.slot == NULL || holds(slot, s->nodes[via].id))
                continue;
            size_t at = leaver(s, slot, (int)via);
            int from = placement_index(s, slot->nodes[at]);
            if (s->load[from] <= s->load[via] || s->load[from] < s->load[next->to] + 2 ||
                !may_move(s, slot, at, from, (int)via))
                continue;
            move_copy(s, slot, at, (int)via);
            move_copy(s, next->copy.slot, next->copy.at, next->to);
            moved = true;
        }
    }
    free(onward);
    return moved;
}

static size_t widest_gap(const struct solver *s)
{
    size_t low = SIZE_MAX, high = 0;
    for (size_t n = 0; n < s->node_count; n++) {
        low = s->load[n] < low ? s->load[n] : low;
        high = s->load[n] > high ? s->load[n] : high;
    }
    return high - low;
}

/* One move, or two that hang together, from a fuller to an emptier node, the fullest and emptiest first;
 * false if none is possible. */
static bool even_once(struct solver *s)
{
    size_t gap = widest_gap(s);
    for (; gap > 2; gap--) {
        for (size_t from = 0; from < s->node_count; from++) {
            for (size_t to = 0; to < s->node_count; to++) {
                if (s->load[from] == s->load[to] + gap && move_one(s, (int)from, (int)to))
                    return true;
            }
        }
    }
    return gap == 2 && (move_best(s) || move_two(s));
}

/* ---- full disks */

/* Better to be moved from a full disk than `than`: by itself it makes room enough, and is the smallest that
 * does, or the largest, if none does. */
static bool relieves_more(uint64_t bytes, uint64_t than, uint64_t lack)
{
    if ((bytes >= lack) != (than >= lack))
        return bytes >= lack;
    return bytes >= lack ? bytes < than : bytes > than;
}

/* The copy of `from` whose move is best, and where it goes: to the node with the fewest bytes. */
static struct candidate best_relief(const struct solver *s, int from, int *to_out)
{
    struct candidate best = { NULL, 0 };
    for (size_t p = 0; p < s->slot_count; p++) {
        struct placement_slot *slot = &s->slots[p];
        int best_to = NONE;
        size_t at = 0;
        while (at < slot->count && slot->nodes[at] != s->nodes[from].id)
            at++;
        if (at == slot->count || slot->bytes == 0 ||
            (best.slot != NULL && !relieves_more(slot->bytes, best.slot->bytes, s->nodes[from].lack)))
            continue;
        for (size_t to = 0; to < s->node_count; to++) {
            if (may_move(s, slot, at, from, (int)to) && leaver(s, slot, (int)to) == at &&
                (best_to == NONE || s->bytes[to] < s->bytes[best_to]))
                best_to = (int)to;
        }
        if (best_to == NONE)
            continue;
        best = (struct candidate){ slot, at };
        *to_out = best_to;
    }
    return best;
}

/* Once all is at rest, one copy of each node that lacks room. What fits into the room that it left is no
 * larger than what has gone, so nothing goes back for evenness' sake that fills the disk again. */
static void relieve(struct solver *s)
{
    for (size_t from = 0; from < s->node_count && !s->unsettled; from++) {
        int to = NONE;
        struct candidate found = { NULL, 0 };
        if (s->nodes[from].lack > 0)
            found = best_relief(s, (int)from, &to);
        if (found.slot != NULL)
            move_copy(s, found.slot, found.at, to);
    }
}

/* ---- bytes */

/* A copy for a smaller one, so that half of the gap goes over; only if that is worth what has to be sent. */
static void swap(struct solver *s, int from, int to, uint64_t gap)
{
    struct candidate back = nearest(s, to, from, 0, true);
    uint64_t back_bytes = back.slot == NULL ? 0 : back.slot->bytes;
    struct candidate there = nearest(s, from, to, gap / 2 + back_bytes, true);
    if (back.slot == NULL || there.slot == NULL || there.slot == back.slot)
        return;
    if (there.slot->bytes <= back_bytes || there.slot->bytes - back_bytes >= gap ||
        there.slot->bytes - back_bytes < (there.slot->bytes + back_bytes) / 4)
        return;
    move_copy(s, there.slot, there.at, to);
    move_copy(s, back.slot, back.at, from);
}

/* The node that has more bytes has one copy more, too: the other one may have it as well. */
static void pass_over(struct solver *s, int from, int to, uint64_t gap)
{
    struct candidate there = nearest(s, from, to, gap / 2, true);
    if (there.slot != NULL && there.slot->bytes > 0 && there.slot->bytes < gap)
        move_copy(s, there.slot, there.at, to);
}

/* Once all is at rest, and one at a time: of each change that is made for the bytes' sake, also if only its
 * first half comes to be and move_best finds the second, the sum of the squares of the nodes' bytes is less
 * and the copies are as even as before. So it ends. */
static void even_bytes(struct solver *s)
{
    size_t from = 0, to = 0;
    for (size_t n = 1; n < s->node_count; n++) {
        from = s->bytes[n] > s->bytes[from] ? n : from;
        to = is_full(s, (int)to) || (s->bytes[n] < s->bytes[to] && !is_full(s, (int)n)) ? n : to;
    }
    if (s->unsettled || !far_apart(s, s->bytes[from], s->bytes[to]))
        return;
    uint64_t gap = s->bytes[from] - s->bytes[to];
    if (s->load[from] == s->load[to] + 1)
        pass_over(s, (int)from, (int)to, gap);
    else
        swap(s, (int)from, (int)to, gap);
}

void placement_solve(const struct placement_node *nodes, size_t node_count, unsigned copies,
                     struct placement_slot *slots, size_t slot_count)
{
    assert(node_count >= 1 && node_count <= PLACEMENT_NODES_MAX && copies >= 1 &&
           copies <= PLACEMENT_COPIES_MAX);
    struct solver s = { .nodes = nodes, .node_count = node_count, .slots = slots, .slot_count = slot_count };
    s.copies = copies > node_count ? (unsigned)node_count : copies;
    s.bytes = NEW_ARRAY(uint64_t, node_count);
    s.load = NEW_ARRAY(size_t, node_count);
    s.primaries = NEW_ARRAY(size_t, node_count);
    s.taken = NEW_ARRAY(uint64_t, node_count);
    drop_strangers(&s);
    drop_surplus(&s);
    fill(&s);
    spread(&s);
    /* Each move brings two loads nearer, so this ends; the bound only guards against a mistake in that
     * argument. */
    for (size_t i = 0; i < slot_count * s.copies && even_once(&s); i++) {}
    relieve(&s);
    even_bytes(&s);
    placement_even_primaries(&s);
    free(s.taken);
    free(s.primaries);
    free(s.bytes);
    free(s.load);
}
