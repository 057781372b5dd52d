/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of moves: what they do about nodes that come, go, fill up or die. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "director/placement.h"
#include "tests/unit/director/moves_fixture.h"

static void test_balanced_rests(void **state)
{
    for (unsigned copies = 1; copies <= 3; copies++) {
        struct world *w = world_new(4, copies);
        world_run(w, 1);
        assert_int_equal(w->rounds, 0);
        world_free(w);
    }
}

static void test_new_node(void **state)
{
    for (unsigned slowness = 1; slowness <= 4; slowness++) {
        struct world *w = world_new(3, 3);
        world_add_node(w);
        world_run(w, slowness);
        world_expect_even(w, 4);
        /* no more than the balance needs, whatever is late */
        assert_int_equal(w->copied, PARTITIONS * 3 / 4);
        assert_int_equal(w->evictions, PARTITIONS * 3 / 4);
        assert_true(w->learners_most <= w->moves_per_node); /* all go to the one node */
        world_free(w);
    }
}

static void test_new_node_waits_for_quiet(void **state)
{
    struct world *w = world_new(3, 3);
    world_add_node(w);
    w->quiet = false;
    world_plan(w);
    assert_int_equal(w->plan.step_count, 0);
    assert_int_equal(w->plan.move_count, PARTITIONS * 3 / 4);
    for (size_t i = 0; i < w->plan.move_count; i++) {
        assert_int_equal(w->plan.moves[i].state, MOVES_WAITS);
        assert_int_equal(w->plan.moves[i].to, 4);
        assert_int_not_equal(w->plan.moves[i].from, 0);
    }
    world_free(w);
}

static void test_drain(void **state)
{
    for (unsigned slowness = 1; slowness <= 3; slowness++) {
        struct world *w = world_new(4, 3);
        w->nodes[1].draining = true;
        world_run(w, slowness);
        assert_int_equal(world_copies_on(w, 2), 0);
        assert_int_equal(w->copied, PARTITIONS * 3 / 4);
        w->nodes[1] = w->nodes[2];
        w->nodes[2] = w->nodes[3];
        w->node_count = 3;
        world_expect_even(w, 3);
        world_free(w);
    }
}

/* With too few others the copies stay, but the seats go. */
static void test_drain_without_room(void **state)
{
    struct world *w = world_new(3, 3);
    w->nodes[2].draining = true;
    for (int i = 0; i < 20; i++) {
        world_plan(w);
        for (size_t k = 0; k < w->plan.step_count; k++) {
            assert_int_equal(w->plan.steps[k].kind, MOVES_HANDOVER);
            world_carry_out(w, &w->plan.steps[k]);
        }
    }
    assert_int_equal(w->plan.step_count, 0);
    assert_int_equal(w->plan.waiting, PARTITIONS);
    assert_int_equal(world_copies_on(w, 3), PARTITIONS);
    assert_int_equal(world_primaries_on(w, 3), 0);
    world_add_node(w);
    world_run(w, 1);
    assert_int_equal(world_copies_on(w, 3), 0);
    world_free(w);
}

static void kill_node(struct world *w, uint32_t id)
{
    w->nodes[id - 1].alive = false;
    for (uint32_t p = 0; p < w->partition_count; p++) {
        struct conf *conf = &w->confs[p];
        if (conf->primary == id)
            world_change(w, p, TERN__CONF_CHANGE__CONF_PROMOTE,
                         conf->members[0] == id ? conf->members[1] : conf->members[0], 0);
        else if (conf_is_member(conf, id))
            world_change(w, p, TERN__CONF_CHANGE__CONF_EVICT, conf->primary, id);
    }
}

static void test_repair(void **state)
{
    struct world *w = world_new(4, 3);
    kill_node(w, 3);
    w->quiet = false;
    world_plan(w);
    assert_int_equal(w->plan.step_count, 0); /* it may come back */
    w->nodes[2].gone = true;
    memset(w->due, true, sizeof w->due);
    world_plan(w);
    assert_int_equal(w->plan.step_count, 4 / 2 * 3); /* three nodes of room for four, two for each copy */
    for (int i = 0; i < 100 && w->plan.move_count > 0; i++) {
        for (size_t k = 0; k < w->plan.step_count; k++)
            world_carry_out(w, &w->plan.steps[k]);
        world_catch_up(w, 1);
        world_plan(w);
    }
    assert_int_equal(w->evictions, 0);
    w->quiet = true;
    world_run(w, 1);
    assert_int_equal(w->copied, 0); /* made where they belong */
    world_expect_even(w, 3);
    world_free(w);
}

/* The first node's disk is half as large as the others': as mail comes, its copies go to where there is room,
 * no more of them than must, and the end is at rest. */
static void test_full_disk_gives_away(void **state)
{
    srand(11);
    for (unsigned slowness = 1; slowness <= 3; slowness++) {
        struct world *w = world_new(4, 2);
        size_t copied = 0;
        w->disk = 100 * GIB;
        w->reserve = 4 * GIB;
        for (int round = 0; round < 20; round++) {
            for (uint32_t p = 0; p < w->partition_count; p++)
                w->bytes[p] += (uint64_t)rand() % (GIB / 6);
            world_run(w, slowness);
            copied += w->copied;
            assert_false(w->nodes[0].full);
        }
        assert_true(world_bytes_on(w, 1) <= 46 * GIB);
        assert_true(world_copies_on(w, 1) < PARTITIONS * 2 / 4);
        assert_in_range(copied, 1, PARTITIONS);
        for (size_t i = 1; i < w->node_count; i++)
            assert_false(w->nodes[i].full);
        world_free(w);
    }
}

/* A node whose disk is short of room keeps its copies, gets no more, and gives its seats away until there is
 * room again. */
static void test_full_disk(void **state)
{
    struct world *w = world_new(4, 3);
    w->nodes[2].full = true;
    world_run(w, 2);
    assert_int_equal(world_primaries_on(w, 3), 0);
    assert_int_equal(world_copies_on(w, 3), PARTITIONS * 3 / 4);
    assert_true(w->copied == 0 && w->evictions == 0);
    kill_node(w, 1);
    w->nodes[0].gone = true;
    memset(w->due, true, sizeof w->due);
    world_plan(w);
    for (size_t i = 0; i < w->plan.step_count; i++)
        assert_true(w->plan.steps[i].node != 3);
    w->nodes[2].full = false;
    world_run(w, 1);
    world_expect_even(w, 3);
    for (size_t i = 0; i < 4; i++)
        w->nodes[i].full = true; /* nobody is better off */
    world_plan(w);
    assert_int_equal(w->plan.step_count, 0);
    world_free(w);
}

/* A learner whose node does not come back gives the room to another. */
static void test_lost_learner(void **state)
{
    struct world *w = world_new(3, 2);
    world_add_node(w);
    world_change(w, 0, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, 4);
    w->nodes[3].alive = false;
    w->nodes[3].gone = true;
    world_plan(w);
    assert_int_equal(w->plan.step_count, 1);
    assert_int_equal(w->plan.steps[0].kind, MOVES_DROP_LEARNER);
    world_free(w);
}

/* The member too many does not go while another is away. */
static void test_no_eviction_while_one_is_away(void **state)
{
    struct world *w = world_new(4, 3);
    w->nodes[0].draining = true;
    uint32_t p = 0; /* 1, 2, 3 */
    world_change(w, p, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, 4);
    world_change(w, p, TERN__CONF_CHANGE__CONF_ADD, 1, 4);
    world_change(w, p, TERN__CONF_CHANGE__CONF_HANDOVER, 1, 4);
    w->nodes[2].alive = false;
    world_plan(w);
    for (size_t i = 0; i < w->plan.step_count; i++)
        assert_true(w->plan.steps[i].partition != p);
    w->nodes[2].alive = true;
    world_plan(w);
    assert_int_equal(w->plan.steps[0].kind, MOVES_EVICT);
    assert_int_equal(w->plan.steps[0].partition, p);
    assert_int_equal(w->plan.steps[0].node, 1);
    world_free(w);
}

static void test_not_before_creation(void **state)
{
    struct world *w = world_new(4, 3);
    memset(w->ready, false, sizeof w->ready);
    w->nodes[0].draining = true;
    world_plan(w);
    assert_int_equal(w->plan.step_count, 0);
    world_free(w);
}

static void test_primaries(void **state)
{
    struct world *w = world_new(3, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        w->confs[p].primary = 1;
    world_run(w, 2);
    assert_int_equal(w->copied, 0);
    assert_int_equal(w->handovers, PARTITIONS - (PARTITIONS + 2) / 3);
    world_expect_even(w, 3);
    world_free(w);
}

/* Bytes even out by exchanges; what is even enough rests, also while sizes grow a little. */
static void test_bytes(void **state)
{
    struct world *w = world_new(4, 1);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        w->bytes[p] = w->confs[p].primary == 1 ? 40 * GIB : 4 * GIB;
    world_run(w, 2);
    uint64_t mean = 0, low = UINT64_MAX, high = 0;
    for (uint32_t n = 1; n <= 4; n++) {
        uint64_t bytes = world_bytes_on(w, n);
        mean += bytes / 4;
        low = bytes < low ? bytes : low;
        high = bytes > high ? bytes : high;
        assert_in_range(world_copies_on(w, n), 15, 17);
    }
    assert_true(high - low <= mean * PLACEMENT_BYTES_GAP_PERCENT / 100);
    assert_true(w->copied < PARTITIONS / 2);
    for (int i = 0; i < 50; i++) {
        w->bytes[(uint32_t)rand() % PARTITIONS] += GIB / 64;
        world_run(w, 1);
        assert_int_equal(w->copied, 0);
    }
    world_free(w);
}

/* A new node takes its share of bytes with its share of copies. */
static void test_new_node_bytes(void **state)
{
    struct world *w = world_new(3, 2);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        w->bytes[p] = (1 + p % 7) * GIB;
    world_add_node(w);
    world_run(w, 2);
    uint64_t mean = 0;
    for (uint32_t n = 1; n <= 4; n++)
        mean += world_bytes_on(w, n) / 4;
    assert_in_range(world_bytes_on(w, 4), mean * 85 / 100, mean * 115 / 100);
    assert_in_range(w->copied, PARTITIONS * 2 / 4 - 1, PARTITIONS * 2 / 4 + 3);
    world_free(w);
}

/* Partition 5 shares a zone, and its node 2 has most copies. The copy that leaves the zone is made first, and
 * once it is begun no later plan takes another for it because the loads look different with it. */
static void test_begun_is_not_undone(void **state)
{
    static const struct moves_node nodes[] = {
        { .id = 1, .zone = 0 }, { .id = 2, .zone = 0 },  { .id = 3, .zone = 1 },  { .id = 4, .zone = 1 },
        { .id = 5, .zone = 0 }, { .id = 6, .zone = 1 },  { .id = 7, .zone = 0 },  { .id = 8, .zone = 1 },
        { .id = 9, .zone = 1 }, { .id = 10, .zone = 0 }, { .id = 11, .zone = 1 },
    };
    static const uint32_t members[][2] = { { 1, 4 }, { 3, 2 }, { 6, 5 }, { 4, 1 },
                                           { 9, 7 }, { 2, 7 }, { 2, 8 }, { 10, 3 } };
    struct world *w = world_new(3, 2);
    w->node_count = sizeof nodes / sizeof nodes[0];
    memcpy(w->nodes, nodes, sizeof nodes);
    for (size_t i = 0; i < w->node_count; i++)
        w->nodes[i].alive = true;
    w->partition_count = sizeof members / sizeof members[0];
    for (uint32_t p = 0; p < w->partition_count; p++)
        w->confs[p] = conf_create(p, members[p][0], members[p], 2);
    w->bytes[5] = w->bytes[6] = GIB / 4;
    world_run(w, 1);
    assert_int_equal(w->copied, 1);
    assert_true(world_node(w, w->confs[5].members[0])->zone != world_node(w, w->confs[5].members[1])->zone);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balanced_rests),
        cmocka_unit_test(test_new_node),
        cmocka_unit_test(test_new_node_waits_for_quiet),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_without_room),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_lost_learner),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_disk_gives_away),
        cmocka_unit_test(test_no_eviction_while_one_is_away),
        cmocka_unit_test(test_not_before_creation),
        cmocka_unit_test(test_primaries),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_new_node_bytes),
        cmocka_unit_test(test_begun_is_not_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
