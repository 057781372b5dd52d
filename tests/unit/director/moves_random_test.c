/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of moves by seeds: they end, and on the way nothing is made less safe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "tests/unit/director/moves_fixture.h"

static struct conf conf_anywhere(const struct world *w, uint32_t partition)
{
    uint32_t members[NODES_MAX] = { 0 };
    for (size_t i = 0; i < w->node_count; i++) {
        size_t k = (size_t)rand() % (i + 1);
        members[i] = members[k];
        members[k] = w->nodes[i].id;
    }
    struct conf conf = conf_create(partition, members[0], members, w->copies);
    if (rand() % 4 == 0)
        conf.learners[conf.learner_count++] = members[w->copies];
    return conf;
}

/* From wherever the copies lie, in zones of any size and with learners that nobody planned: what is begun is
 * carried through (world_carry_out looks), and it ends. */
static void run_from_anywhere(unsigned seed)
{
    srand(seed);
    unsigned copies = 1 + seed % 4;
    struct world *w = world_new(copies + 1 + (size_t)rand() % (NODES_MAX - copies), copies);
    w->partition_count = 1 + (uint32_t)rand() % 16;
    w->moves_max = 1 + (unsigned)rand() % 4;
    w->moves_per_node = 1 + (unsigned)rand() % 2;
    unsigned zones = 1 + (unsigned)rand() % 4;
    for (size_t i = 0; i < w->node_count; i++)
        w->nodes[i].zone = (uint32_t)rand() % zones;
    for (uint32_t p = 0; p < w->partition_count; p++) {
        w->confs[p] = conf_anywhere(w, p);
        w->bytes[p] = seed % 2 == 0 ? 0 : (uint64_t)rand() % 64 * GIB;
    }
    w->nodes[0].draining = rand() % 4 == 0;
    world_run(w, 1 + seed % 3);
    world_free(w);
}

static void test_from_anywhere(void **state)
{
    for (unsigned seed = 1; seed <= 1000; seed++)
        run_from_anywhere(seed);
}

/* Copies moved to even out what those to other zones will make uneven, and back, and left them no room. */
static void test_spread_comes_first(void **state)
{
    run_from_anywhere(15231);
}

/* Whatever comes and goes: it ends, and nothing is ever made less safe (world_carry_out looks). */
static void test_random(void **state)
{
    for (unsigned seed = 1; seed <= 60; seed++) {
        srand(seed);
        struct world *w = world_new(3 + seed % 3, 1 + seed % 3);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            w->bytes[p] = (uint64_t)rand() % 64 * GIB / 4;
        for (size_t i = 0; i < w->node_count && seed % 2 == 0; i++)
            w->nodes[i].zone = (uint32_t)i % 2;
        for (int event = 0; event < 4; event++) {
            if (w->node_count < NODES_MAX && rand() % 2 == 0)
                world_add_node(w);
            struct moves_node *node = &w->nodes[(size_t)rand() % w->node_count];
            size_t keeping = 0;
            for (size_t i = 0; i < w->node_count; i++)
                keeping += !w->nodes[i].draining;
            if (keeping > w->copies + 1)
                node->draining = !node->draining;
            world_run(w, 1 + seed % 4);
        }
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_from_anywhere),
        cmocka_unit_test(test_spread_comes_first),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
