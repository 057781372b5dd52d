/* SPDX-License-Identifier: Apache-2.0 */
#include "director/heard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/alloc.h"

struct fixture {
    struct map map;
    struct conf confs[4];
    struct heard heard;
};

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    f->map.partition_count = 4;
    f->map.confs = f->confs;
    for (uint32_t p = 0; p < 4; p++)
        f->confs[p].partition = p;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    heard_fini(&f->heard);
    free(f);
    return 0;
}

static void tell_figures(struct fixture *f, uint32_t node, uint32_t partition, uint64_t epoch,
                         uint64_t behind)
{
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__PartitionFigures figures = TERN__PARTITION_FIGURES__INIT, *list[] = { &figures };
    Tern__PeerFigures peer = TERN__PEER_FIGURES__INIT, *peers[] = { &peer };
    figures.partition = partition;
    figures.epoch = epoch;
    figures.active = true;
    figures.bytes = 1000 * epoch;
    figures.n_peers = 1;
    figures.peers = peers;
    peer.node = 9;
    peer.behind = behind;
    hello.n_figures = 1;
    hello.figures = list;
    heard_take(&f->heard, &f->map, node, &hello, 50);
}

static void tell_faults(struct fixture *f, uint32_t node, size_t count, const char *text)
{
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__PartitionFault faults[HEARD_FAULTS_MAX + 5], *list[HEARD_FAULTS_MAX + 5];
    for (size_t i = 0; i < count; i++) {
        tern__partition_fault__init(&faults[i]);
        faults[i].partition = (uint32_t)i;
        faults[i].text = (char *)text;
        list[i] = &faults[i];
    }
    hello.n_faults = count;
    hello.faults = list;
    heard_take(&f->heard, &f->map, node, &hello, 50);
}

static void test_newest_figures_stay(void **state)
{
    struct fixture *f = *state;
    assert_null(heard_find(&f->heard, 2));
    tell_figures(f, 1, 2, 5, 7);
    tell_figures(f, 2, 2, 4, 8); /* an old primary's, late */
    const struct heard_figures *figures = heard_find(&f->heard, 2);
    assert_int_equal(figures->teller, 1);
    assert_int_equal(heard_find_peer(figures, 9)->behind, 7);
    assert_null(heard_find_peer(figures, 8));
    assert_int_equal(heard_bytes(&f->heard, 2), 5000);
    tell_figures(f, 2, 2, 6, 1);
    assert_int_equal(heard_find(&f->heard, 2)->teller, 2);
    tell_figures(f, 2, 4, 6, 1); /* no such partition */
    assert_null(heard_find(&f->heard, 4));
    assert_int_equal(heard_bytes(&f->heard, 3), 0);
    f->map.partition_count = 8; /* the cluster was not made yet when the first node said hello */
    tell_figures(f, 2, 4, 6, 1);
    assert_non_null(heard_find(&f->heard, 4));
    assert_non_null(heard_find(&f->heard, 2));
}

static void test_faults_are_the_nodes_last(void **state)
{
    struct fixture *f = *state;
    tell_faults(f, 2, 2, "two");
    tell_faults(f, 1, 1, "one");
    tell_faults(f, 3, 1, "three");
    assert_int_equal(f->heard.fault_count, 4);
    assert_string_equal(f->heard.faults[0].text, "one");
    assert_int_equal(f->heard.faults[2].node, 2);
    assert_string_equal(f->heard.faults[3].text, "three");
    tell_faults(f, 2, 1, "other");
    assert_int_equal(f->heard.fault_count, 3);
    assert_string_equal(f->heard.faults[1].text, "other");
    tell_faults(f, 2, 0, NULL);
    tell_faults(f, 1, 0, NULL);
    assert_int_equal(f->heard.fault_count, 1);
    assert_int_equal(f->heard.faults[0].node, 3);
}

static void test_faults_are_bounded(void **state)
{
    struct fixture *f = *state;
    char text[HEARD_TEXT_MAX + 20];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    tell_faults(f, 1, HEARD_FAULTS_MAX + 5, text);
    tell_faults(f, 1, HEARD_FAULTS_MAX + 5, text);
    assert_int_equal(f->heard.fault_count, HEARD_FAULTS_MAX);
    assert_int_equal(strlen(f->heard.faults[0].text), HEARD_TEXT_MAX - 1);
}

static void tell_spares(struct fixture *f, uint32_t node, const uint32_t *partitions, size_t count)
{
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__SpareCopy copies[4], *list[4];
    for (size_t i = 0; i < count; i++) {
        tern__spare_copy__init(&copies[i]);
        copies[i].partition = partitions[i];
        copies[i].epoch = node;
        copies[i].last = 100 + node;
        list[i] = &copies[i];
    }
    hello.n_spares = count;
    hello.spares = list;
    heard_take(&f->heard, &f->map, node, &hello, 50);
}

static void test_spare_copies_of_a_partition(void **state)
{
    struct fixture *f = *state;
    size_t count;
    heard_spares(&f->heard, 1, &count);
    assert_int_equal(count, 0);
    tell_spares(f, 7, (uint32_t[]){ 0, 3, 1 }, 3);
    tell_spares(f, 2, (uint32_t[]){ 3 }, 1);
    const struct heard_spare *spares = heard_spares(&f->heard, 3, &count);
    assert_int_equal(count, 2);
    assert_true(spares[0].node == 2 && spares[0].epoch == 2 && spares[0].last == 102);
    assert_true(spares[1].node == 7 && spares[1].last == 107);
    heard_spares(&f->heard, 2, &count);
    assert_int_equal(count, 0);
    tell_spares(f, 7, (uint32_t[]){ 1 }, 1);
    heard_spares(&f->heard, 3, &count);
    assert_int_equal(count, 1);
    tell_spares(f, 7, NULL, 0);
    heard_spares(&f->heard, 1, &count);
    assert_int_equal(count, 0);
}

/* A node's whole hello with the one copy; `copy`.node is whose. */
static void tell_copy(struct fixture *f, const struct heard_spare *copy)
{
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__SpareCopy told = TERN__SPARE_COPY__INIT, *list[] = { &told };
    told.partition = copy->partition;
    told.epoch = copy->epoch;
    told.last = copy->last;
    told.known = copy->known;
    told.primary = copy->primary;
    told.active = copy->active;
    told.broken = copy->broken;
    hello.n_spares = 1;
    hello.spares = list;
    heard_take(&f->heard, &f->map, copy->node, &hello, 50);
}

/* R27: by the epochs and indexes that nodes tell, whoever is a member by the store that was put back. */
static void test_the_newest_copy_is_chosen(void **state)
{
    enum { NOW = 100, LATE = NOW + MAP_NODE_ALIVE_MS };
    struct fixture *f = *state;
    Tern__NodeInfo infos[4];
    struct map_node nodes[4] = { 0 };
    struct heard_spare copies[] = {
        { .node = 1, .known = 9, .epoch = 4, .last = 90 },
        { .node = 2, .known = 7, .epoch = 6, .last = 50 },
        { .node = 3, .known = 8, .epoch = 6, .last = 51 },
        { .node = 4, .known = 5, .epoch = 4, .last = 99, .primary = true, .active = true },
    };
    for (uint32_t i = 0; i < 4; i++) {
        tern__node_info__init(&infos[i]);
        infos[i].id = i + 1;
        nodes[i] = (struct map_node){ .info = &infos[i], .heard_mono_ms = NOW };
    }
    f->map.nodes = nodes;
    f->map.node_count = 4;
    assert_null(heard_newest(&f->heard, &f->map, 0, NOW));
    tell_copy(f, &copies[0]);
    assert_int_equal(heard_newest(&f->heard, &f->map, 0, NOW)->node, 1);
    tell_copy(f, &copies[1]); /* the epoch of the newest entry counts first */
    assert_int_equal(heard_newest(&f->heard, &f->map, 0, NOW)->node, 2);
    tell_copy(f, &copies[2]);
    tell_copy(f, &copies[3]); /* it led before that */
    assert_int_equal(heard_newest(&f->heard, &f->map, 0, NOW)->node, 3);
    copies[3].known = 6; /* it still leads, and may have written since it told */
    tell_copy(f, &copies[3]);
    assert_int_equal(heard_newest(&f->heard, &f->map, 0, NOW)->node, 4);
    nodes[0].heard_mono_ms = nodes[1].heard_mono_ms = nodes[2].heard_mono_ms = LATE; /* 4 is gone */
    assert_int_equal(heard_newest(&f->heard, &f->map, 0, LATE)->node, 3);
    copies[2].broken = true;
    tell_copy(f, &copies[2]);
    assert_int_equal(heard_newest(&f->heard, &f->map, 0, LATE)->node, 2);
    copies[0].primary = true; /* not yet active, the first of its epoch */
    tell_copy(f, &copies[0]);
    assert_int_equal(heard_newest(&f->heard, &f->map, 0, LATE)->node, 1);
    f->map.node_count = 0; /* all were removed */
    assert_null(heard_newest(&f->heard, &f->map, 0, LATE));
    f->map.nodes = NULL;
}

static void test_nodes_ahead_of_the_store(void **state)
{
    struct fixture *f = *state;
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__SpareCopy copy = TERN__SPARE_COPY__INIT, *list[] = { &copy };
    struct conf *confs = f->confs;
    for (int p = 0; p < 3; p++)
        confs[p].epoch = 5;
    assert_int_equal(heard_epoch(&f->heard, 1), 0);
    tell_figures(f, 1, 1, 5, 0);
    copy.partition = 2;
    copy.epoch = 3;
    copy.known = 5;
    hello.n_spares = 1;
    hello.spares = list;
    heard_take(&f->heard, &f->map, 2, &hello, 50);
    assert_false(heard_is_ahead(&f->heard, &confs[1]));
    heard_look(&f->heard, &f->map, 60);
    assert_true(f->heard.ahead == 0 && f->heard.ahead_since_ms == 0);
    tell_figures(f, 1, 1, 6, 0); /* a primary */
    assert_true(heard_is_ahead(&f->heard, &confs[1]));
    assert_false(heard_is_ahead(&f->heard, &confs[2]));
    copy.known = 7; /* one that has halted */
    heard_take(&f->heard, &f->map, 2, &hello, 50);
    assert_int_equal(heard_epoch(&f->heard, 2), 7);
    struct heard_spare kept = *heard_spares(&f->heard, 2, &(size_t){ 0 });
    assert_true(kept.known == 7 && !kept.primary && !kept.broken);
    Tern__NodeInfo info = TERN__NODE_INFO__INIT;
    struct map_node node = { .info = &info };
    info.id = 2;
    f->map.nodes = &node;
    f->map.node_count = 1;
    heard_look(&f->heard, &f->map, 70);
    heard_look(&f->heard, &f->map, 80);
    assert_true(f->heard.ahead == 2 && f->heard.ahead_since_ms == 70);
    confs[1].epoch = confs[2].epoch = 8;
    heard_look(&f->heard, &f->map, 90);
    assert_true(f->heard.ahead == 0 && f->heard.ahead_since_ms == 0);
    f->map.nodes = NULL;
    f->map.node_count = 0;
}

static void tell_epochs(struct fixture *f, uint32_t node, uint64_t *epochs, size_t count)
{
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    hello.epochs = epochs;
    hello.n_epochs = count;
    heard_take(&f->heard, &f->map, node, &hello, 50);
}

/* R27: of nodes that have no copy of it, too, for as long as they know. */
static void test_epochs_known_without_a_copy(void **state)
{
    struct fixture *f = *state;
    struct conf *confs = f->confs;
    Tern__NodeInfo info = TERN__NODE_INFO__INIT;
    struct map_node node = { .info = &info };
    for (int p = 0; p < 4; p++)
        confs[p].epoch = 5;
    tell_epochs(f, 1, (uint64_t[]){ 5, 4, 5, 0, 99 },
                5); /* nothing beyond the store, and no such partition */
    assert_int_equal(f->heard.known_count, 0);
    tell_epochs(f, 1, (uint64_t[]){ 5, 7, 5 }, 3);
    tell_epochs(f, 2, (uint64_t[]){ 5, 8 }, 2);
    assert_int_equal(heard_epoch(&f->heard, 1), 8);
    assert_true(heard_is_ahead(&f->heard, &confs[1]));
    assert_false(heard_is_ahead(&f->heard, &confs[0]));
    assert_false(heard_is_ahead(&f->heard, &confs[3]));
    tell_epochs(f, 2, NULL, 0); /* it was restarted */
    assert_int_equal(heard_epoch(&f->heard, 1), 7);
    tell_epochs(f, 2, (uint64_t[]){ 5, 5, 6 }, 3);
    confs[1].epoch = 7;
    assert_false(heard_is_ahead(&f->heard, &confs[1]));
    info.id = 2;
    f->map.nodes = &node;
    f->map.node_count = 1;
    heard_look(&f->heard, &f->map, 60);
    assert_int_equal(f->heard.known_count, 1);
    assert_int_equal(f->heard.ahead, 1);
    assert_int_equal(heard_epoch(&f->heard, 1), 5);
    assert_int_equal(heard_epoch(&f->heard, 2), 6);
    f->map.nodes = NULL;
    f->map.node_count = 0;
}

static void test_removed_nodes_are_forgotten(void **state)
{
    struct fixture *f = *state;
    Tern__NodeInfo info = TERN__NODE_INFO__INIT;
    struct map_node node = { .info = &info };
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__PartitionFault fault = TERN__PARTITION_FAULT__INIT, *faults[] = { &fault };
    Tern__SpareCopy spare = TERN__SPARE_COPY__INIT, *spares[] = { &spare };
    size_t count;
    spare.partition = 3;
    fault.text = (char *)"damaged";
    hello.n_spares = hello.n_faults = 1;
    hello.spares = spares;
    hello.faults = faults;
    heard_take(&f->heard, &f->map, 1, &hello, 50);
    heard_take(&f->heard, &f->map, 2, &hello, 50);
    assert_int_equal(f->heard.fault_count, 2);
    info.id = 2;
    f->map.nodes = &node;
    f->map.node_count = 1;
    heard_look(&f->heard, &f->map, 60);
    assert_int_equal(f->heard.fault_count, 1);
    assert_int_equal(f->heard.faults[0].node, 2);
    assert_int_equal(heard_spares(&f->heard, 3, &count)->node, 2);
    assert_int_equal(count, 1);
    f->map.nodes = NULL;
    f->map.node_count = 0;
}

static bool is_active(struct fixture *f, const struct conf *conf, uint64_t now)
{
    return heard_is_active(&f->heard, &f->map, conf, now);
}

/* From a hand-over until the heir's figures come, a second or two, the partition counts as served. */
static void test_a_seat_handed_over_stays_served(void **state)
{
    struct fixture *f = *state;
    Tern__NodeInfo infos[] = { TERN__NODE_INFO__INIT, TERN__NODE_INFO__INIT };
    struct map_node nodes[] = { { .info = &infos[0] }, { .info = &infos[1] } };
    struct conf confs[4] = { 0 }, *conf = &confs[2];
    infos[0].id = 1;
    infos[1].id = 2;
    f->map.nodes = nodes;
    f->map.node_count = 2;
    f->map.confs = confs;
    nodes[0].heard_mono_ms = nodes[1].heard_mono_ms = 1000;
    *conf = (struct conf){ 2, .epoch = 5, .since = 5, .primary = 1, .member_count = 2, .members = { 1, 2 } };
    assert_false(is_active(f, conf, 1000));
    tell_figures(f, 1, 2, 5, 0);
    assert_true(is_active(f, conf, 1000));
    heard_look(&f->heard, &f->map, 1000);
    conf->epoch = conf->since = 6;
    conf->primary = 2;
    conf->handover = true;
    assert_true(is_active(f, conf, 2500));
    heard_look(&f->heard, &f->map, 2500); /* nothing new is known */
    nodes[1].heard_mono_ms = 4500;
    assert_true(is_active(f, conf, 1000 + HEARD_SERVED_MS - 1));
    assert_false(is_active(f, conf, 1000 + HEARD_SERVED_MS)); /* the heir does not serve it */
    tell_figures(f, 2, 2, 6, 0);
    assert_true(is_active(f, conf, 1000 + HEARD_SERVED_MS));
    heard_look(&f->heard, &f->map, 5500);
    assert_false(is_active(f, conf, 4500 + MAP_NODE_ALIVE_MS)); /* its node is silent */
    f->map.nodes = NULL;
    f->map.confs = NULL;
    f->map.node_count = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_newest_figures_stay),
        TEST(test_faults_are_the_nodes_last),
        TEST(test_the_newest_copy_is_chosen),
        TEST(test_nodes_ahead_of_the_store),
        TEST(test_faults_are_bounded),
        TEST(test_spare_copies_of_a_partition),
        TEST(test_epochs_known_without_a_copy),
        TEST(test_removed_nodes_are_forgotten),
        TEST(test_a_seat_handed_over_stays_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
