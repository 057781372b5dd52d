/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "director/placement.h"

enum { PARTITIONS = 256, NODES_MAX = 12 };

struct world {
    struct placement_node nodes[NODES_MAX];
    size_t node_count;
    unsigned copies;
    struct placement_slot slots[PARTITIONS];
    size_t slot_count;
};

static struct world world_of(size_t nodes, size_t zones, unsigned copies)
{
    struct world w = { .node_count = nodes, .copies = copies, .slot_count = PARTITIONS };
    for (size_t i = 0; i < nodes; i++)
        w.nodes[i] = (struct placement_node){ .id = (uint32_t)(i + 1), .zone = (uint32_t)(i % zones) };
    return w;
}

static void solve(struct world *w)
{
    placement_solve(w->nodes, w->node_count, w->copies, w->slots, w->slot_count);
}

static size_t index_of(const struct world *w, uint32_t id)
{
    for (size_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].id == id)
            return i;
    }
    fail_msg("node %u is not in the world", id);
    return 0;
}

struct spread {
    size_t copies_min, copies_max, primaries_min, primaries_max;
    size_t zones_min; /* fewest zones of any slot */
};

static struct spread measure(const struct world *w)
{
    size_t copies[NODES_MAX] = { 0 }, primaries[NODES_MAX] = { 0 };
    struct spread s = { SIZE_MAX, 0, SIZE_MAX, 0, SIZE_MAX };
    for (size_t p = 0; p < w->slot_count; p++) {
        const struct placement_slot *slot = &w->slots[p];
        uint64_t zones = 0;
        assert_int_equal(slot->count, w->copies < w->node_count ? w->copies : w->node_count);
        for (size_t i = 0; i < slot->count; i++) {
            for (size_t k = 0; k < i; k++)
                assert_int_not_equal(slot->nodes[i], slot->nodes[k]);
            size_t at = index_of(w, slot->nodes[i]);
            copies[at]++;
            primaries[at] += i == 0;
            zones |= 1ull << w->nodes[at].zone;
        }
        size_t zone_count = (size_t)__builtin_popcountll(zones);
        s.zones_min = zone_count < s.zones_min ? zone_count : s.zones_min;
    }
    for (size_t n = 0; n < w->node_count; n++) {
        s.copies_min = copies[n] < s.copies_min ? copies[n] : s.copies_min;
        s.copies_max = copies[n] > s.copies_max ? copies[n] : s.copies_max;
        s.primaries_min = primaries[n] < s.primaries_min ? primaries[n] : s.primaries_min;
        s.primaries_max = primaries[n] > s.primaries_max ? primaries[n] : s.primaries_max;
    }
    return s;
}

static void expect_even(const struct world *w)
{
    struct spread s = measure(w);
    if (s.copies_max > s.copies_min + 1 || s.primaries_max > s.primaries_min + 1)
        fail_msg("%zu nodes %u copies: copies %zu..%zu primaries %zu..%zu", w->node_count, w->copies,
                 s.copies_min, s.copies_max, s.primaries_min, s.primaries_max);
}

/* Copies that are on other nodes than before. */
static size_t count_moves(const struct world *before, const struct world *after)
{
    size_t moves = 0;
    for (size_t p = 0; p < after->slot_count; p++) {
        for (size_t i = 0; i < after->slots[p].count; i++) {
            bool was = false;
            for (size_t k = 0; k < before->slots[p].count; k++)
                was |= before->slots[p].nodes[k] == after->slots[p].nodes[i];
            moves += !was;
        }
    }
    return moves;
}

static void test_one_node(void **state)
{
    struct world w = world_of(1, 1, 3);
    solve(&w);
    struct spread s = measure(&w);
    assert_int_equal(s.primaries_min, PARTITIONS);
}

static void test_even_from_nothing(void **state)
{
    for (size_t nodes = 1; nodes <= NODES_MAX; nodes++) {
        for (unsigned copies = 1; copies <= 5; copies++) {
            struct world w = world_of(nodes, 1, copies);
            solve(&w);
            expect_even(&w);
        }
    }
}

static void test_zones(void **state)
{
    for (size_t zones = 2; zones <= 4; zones++) {
        struct world w = world_of(12, zones, 3);
        solve(&w);
        expect_even(&w);
        assert_int_equal(measure(&w).zones_min, zones < 3 ? zones : 3);
    }
}

/* Zones of different size: spread comes before evenness. */
static void test_lopsided_zones(void **state)
{
    struct world w = world_of(4, 1, 2);
    w.nodes[0].zone = 1; /* one node against three */
    solve(&w);
    struct spread s = measure(&w);
    assert_int_equal(s.zones_min, 2);
    assert_int_equal(s.copies_max, PARTITIONS);
    assert_true(s.primaries_max <= s.primaries_min + 1);
}

static void test_stable(void **state)
{
    struct world w = world_of(5, 1, 3), before;
    solve(&w);
    before = w;
    solve(&w);
    assert_memory_equal(&before, &w, sizeof w);
}

/* A new node gets its share and nothing else moves. */
static void test_join(void **state)
{
    struct world w = world_of(4, 1, 3);
    solve(&w);
    struct world before = w;
    w.nodes[w.node_count++] = (struct placement_node){ .id = 50 };
    solve(&w);
    expect_even(&w);
    size_t share = PARTITIONS * 3 / 5;
    assert_in_range(count_moves(&before, &w), share, share + 1);
}

/* A node that goes: only its copies move. */
static void test_leave(void **state)
{
    struct world w = world_of(5, 1, 3);
    solve(&w);
    struct world before = w;
    size_t lost = 0;
    for (size_t p = 0; p < PARTITIONS; p++) {
        for (size_t i = 0; i < 3; i++)
            lost += w.slots[p].nodes[i] == 5;
    }
    w.node_count = 4;
    solve(&w);
    struct spread s = measure(&w);
    assert_true(s.copies_max <= s.copies_min + 1);
    assert_in_range(count_moves(&before, &w), lost, lost + 4);
}

static void test_fewer_copies(void **state)
{
    struct world w = world_of(4, 2, 3);
    solve(&w);
    struct world before = w;
    w.copies = 2;
    solve(&w);
    expect_even(&w);
    assert_int_equal(measure(&w).zones_min, 2);
    assert_true(count_moves(&before, &w) <= PARTITIONS / 8);
    for (size_t p = 0; p < PARTITIONS; p++)
        assert_true(w.slots[p].nodes[0] != 0);
}

/* The node of `now` that `was` has not; 0: there is none. */
static uint32_t newcomer(const struct placement_slot *was, const struct placement_slot *now)
{
    for (size_t i = 0; i < now->count; i++) {
        bool there = false;
        for (size_t k = 0; k < was->count; k++)
            there = there || was->nodes[k] == now->nodes[i];
        if (!there)
            return now->nodes[i];
    }
    return 0;
}

/* The fullest node, being first, cannot pass a seat to an emptier one; another that is as full can. */
static void test_primaries_past_the_fullest(void **state)
{
    static const uint32_t slots[][2] = { { 1, 2 }, { 1, 2 }, { 2, 1 }, { 2, 1 }, { 3, 4 },
                                         { 4, 5 }, { 5, 3 }, { 3, 6 }, { 4, 6 }, { 5, 6 } };
    struct world w = world_of(6, 1, 2);
    w.slot_count = sizeof slots / sizeof slots[0];
    for (size_t p = 0; p < w.slot_count; p++)
        w.slots[p] = (struct placement_slot){ .nodes = { slots[p][0], slots[p][1] }, .count = 2 };
    struct world before = w;
    solve(&w);
    assert_int_equal(count_moves(&before, &w), 0);
    assert_int_equal(measure(&w).primaries_min, 1);
}

static size_t copies_on(const struct world *w, uint32_t id, size_t *primaries_out)
{
    size_t copies = 0;
    *primaries_out = 0;
    for (size_t p = 0; p < w->slot_count; p++) {
        for (size_t i = 0; i < w->slots[p].count; i++)
            copies += w->slots[p].nodes[i] == id;
        *primaries_out += w->slots[p].nodes[0] == id;
    }
    return copies;
}

/* A full node keeps what it has, but for its seats, and is given nothing, though it has least; where there
 * are no others, its copies are placed all the same, and wait. */
static void test_full_node_is_given_nothing(void **state)
{
    struct world w = world_of(4, 1, 3), before;
    size_t primaries;
    w.nodes[3].full = true;
    solve(&w);
    assert_int_equal(copies_on(&w, 4, &primaries), 0);
    w.nodes[3].full = false;
    solve(&w);
    expect_even(&w);
    w.nodes[0].full = true;
    before = w;
    solve(&w);
    assert_int_equal(count_moves(&before, &w), 0); /* it lacks nothing */
    assert_int_equal(copies_on(&w, 1, &primaries), PARTITIONS * 3 / 4);
    assert_int_equal(primaries, 0);
    for (uint32_t id = 2; id <= 4; id++) {
        copies_on(&w, id, &primaries);
        assert_in_range(primaries, PARTITIONS / 3, PARTITIONS / 3 + 1);
    }
    w.nodes[3].id = 60; /* a node is replaced: what it had does not go to the full one */
    solve(&w);
    assert_int_equal(copies_on(&w, 1, &primaries), PARTITIONS * 3 / 4);
    w.node_count = 3;
    solve(&w);
    assert_int_equal(measure(&w).copies_min, PARTITIONS);
}

/* One copy at a time goes from a full node: the smallest that makes room enough, to one that has room for
 * it. */
static void test_full_node_gives_away(void **state)
{
    struct world w = world_of(4, 1, 2), before;
    solve(&w);
    for (size_t p = 0; p < w.slot_count; p++)
        w.slots[p].bytes = (p + 1) << 20;
    w.nodes[0].full = w.nodes[1].full = true;
    w.nodes[0].lack = 100 << 20;
    w.nodes[2].room = 10 << 20;
    before = w;
    solve(&w);
    assert_int_equal(count_moves(&before, &w), 1);
    for (size_t p = 0; p < w.slot_count; p++) {
        bool had = false, has = false;
        for (size_t i = 0; i < 2; i++) {
            had = had || before.slots[p].nodes[i] == 1;
            has = has || w.slots[p].nodes[i] == 1;
        }
        if (!had || has)
            continue;
        assert_in_range(p + 1, 100, 106);
        assert_true(w.slots[p].nodes[0] == 4 || w.slots[p].nodes[1] == 4);
        w.slots[p].newest = 4; /* it is on its way: nothing else is begun */
    }
    before = w;
    solve(&w);
    assert_int_equal(count_moves(&before, &w), 0);
}

/* What a node has no room for is not put there, whatever else is even. */
static void test_room(void **state)
{
    struct world w = world_of(3, 3, 3);
    for (size_t p = 0; p < w.slot_count; p++)
        w.slots[p].bytes = 1 << 20;
    solve(&w);
    w.nodes[w.node_count++] = (struct placement_node){ .id = 50, .zone = 9, .room = (10 << 20) + 5 };
    solve(&w);
    size_t primaries;
    assert_int_equal(copies_on(&w, 50, &primaries), 10);
}

/* Node 1 has four copies and node 6 two, in the other zone, where each slot that could go over has two of its
 * three copies already: so node 3 or 5 takes one, and gives node 6 one of its own. Also if only one of the
 * two moves has begun. */
static void test_two_moves_in_a_row(void **state)
{
    static const uint32_t slots[][3] = { { 2, 3, 5 }, { 6, 1, 3 }, { 5, 1, 6 },
                                         { 4, 3, 5 }, { 1, 2, 4 }, { 2, 1, 4 } };
    struct world w = world_of(6, 2, 3);
    w.slot_count = sizeof slots / sizeof slots[0];
    for (size_t p = 0; p < w.slot_count; p++)
        w.slots[p] =
            (struct placement_slot){ .nodes = { slots[p][0], slots[p][1], slots[p][2] }, .count = 3 };
    struct world before = w;
    solve(&w);
    assert_int_equal(count_moves(&before, &w), 2);
    assert_int_equal(measure(&w).copies_min, 3);
    assert_int_equal(measure(&w).zones_min, 2);
    for (size_t p = 0; p < w.slot_count; p++) {
        struct world half = before;
        uint32_t came = newcomer(&before.slots[p], &w.slots[p]);
        if (came == 0)
            continue;
        half.slots[p].nodes[half.slots[p].count++] = half.slots[p].newest = came;
        solve(&half);
        assert_int_equal(count_moves(&before, &half), 2);
        assert_int_equal(measure(&half).copies_min, 3);
        assert_int_equal(measure(&half).zones_min, 2);
    }
}

static void test_random_histories(void **state)
{
    srand(7);
    struct world w = world_of(3, 3, 3);
    for (int round = 0; round < 60; round++) {
        size_t nodes = (size_t)(rand() % NODES_MAX) + 1;
        struct world next = world_of(nodes, 1, w.copies);
        memcpy(next.slots, w.slots, sizeof w.slots);
        next.copies = (unsigned)(rand() % 4) + 1;
        for (size_t i = 0; i < nodes; i++)
            next.nodes[i].id = (uint32_t)(i + (size_t)round % 3) + 1;
        w = next;
        solve(&w);
        expect_even(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_node),
        cmocka_unit_test(test_even_from_nothing),
        cmocka_unit_test(test_zones),
        cmocka_unit_test(test_lopsided_zones),
        cmocka_unit_test(test_stable),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_fewer_copies),
        cmocka_unit_test(test_primaries_past_the_fullest),
        cmocka_unit_test(test_full_node_is_given_nothing),
        cmocka_unit_test(test_full_node_gives_away),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_two_moves_in_a_row),
        cmocka_unit_test(test_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
