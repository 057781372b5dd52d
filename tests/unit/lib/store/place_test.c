/* SPDX-License-Identifier: Apache-2.0 */
/* Where mail goes that its own partition cannot take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/store/place_priv.h"

enum { PARTITIONS = 3 * PLACE_AVOIDED_MAX, NODES = 3 };

/* Partition p's primary is node 1 + p % NODES. */
struct fixture {
    Tern__Map map;
    Tern__PartitionConf confs[PARTITIONS], *conf_list[PARTITIONS];
    Tern__NodeInfo nodes[NODES], *node_list[NODES];
    struct store store;
};

static struct place begin(struct fixture *f)
{
    struct place place;
    *f = (struct fixture){ .store.map = &f->map };
    tern__map__init(&f->map);
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        tern__partition_conf__init(&f->confs[p]);
        f->confs[p].partition = p;
        f->confs[p].primary = 1 + p % NODES;
        f->conf_list[p] = &f->confs[p];
    }
    for (uint32_t n = 0; n < NODES; n++) {
        tern__node_info__init(&f->nodes[n]);
        f->nodes[n].id = 1 + n;
        f->node_list[n] = &f->nodes[n];
    }
    f->map.partitions = f->conf_list;
    f->map.n_partitions = PARTITIONS;
    f->map.nodes = f->node_list;
    f->map.n_nodes = NODES;
    place_init(&place, &f->store);
    return place;
}

static void test_another_node_is_preferred(void **state)
{
    struct fixture f;
    struct place place = begin(&f);
    uint32_t chosen;
    for (uint32_t p = 0; p < 2; p++)
        place_avoid(&place, p);
    for (uint32_t start = 0; start < PARTITIONS; start++) {
        place.start = start;
        assert_int_equal(place_choose(&place, &chosen), OK);
        assert_int_equal(chosen % NODES, 2);
    }
}

static void test_every_node_failed(void **state)
{
    struct fixture f;
    struct place place = begin(&f);
    uint32_t chosen;
    for (uint32_t p = 0; p < NODES; p++)
        place_avoid(&place, p);
    place.start = 0;
    assert_int_equal(place_choose(&place, &chosen), OK);
    assert_int_equal(chosen, NODES);
}

static void test_nobody_is_primary(void **state)
{
    struct fixture f;
    struct place place = begin(&f);
    uint32_t chosen;
    for (uint32_t p = 0; p < PARTITIONS; p++)
        f.confs[p].primary = 0;
    assert_int_equal(place_choose(&place, &chosen), ERR_UNAVAILABLE);
}

/* More homes than are remembered: where it was refused last is not asked again at once. */
static void test_refused_after_many_homes(void **state)
{
    struct fixture f;
    struct place place = begin(&f);
    uint32_t before = PARTITIONS, chosen;
    for (uint32_t p = 0; p < 2 * PLACE_AVOIDED_MAX; p++)
        place_avoid(&place, p);
    for (uint32_t i = 0; i < PLACE_AVOIDED_MAX; i++) {
        assert_int_equal(place_choose(&place, &chosen), OK);
        assert_int_not_equal(chosen, before);
        place_avoid(&place, chosen);
        before = chosen;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_node_is_preferred),
        cmocka_unit_test(test_every_node_failed),
        cmocka_unit_test(test_nobody_is_primary),
        cmocka_unit_test(test_refused_after_many_homes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
