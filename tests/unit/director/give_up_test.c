/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a silent node may be given up above a store that was put back: only if nothing that was answered
 * can be on it alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "director/director_priv.h"
#include "lib/base/alloc.h"

enum { NOW = 100 * 1000, NODES = 5, AHEAD = 2 /* the partition that is */ };

struct fixture {
    struct director d;
    Tern__NodeInfo infos[NODES];
    uint8_t stores[NODES][MAP_ID_SIZE];
    struct map_node nodes[NODES];
    struct conf confs[4];
};

static int set_up(void **state)
{
    struct fixture *f = NEW(struct fixture);
    for (uint32_t i = 0; i < NODES; i++) {
        f->stores[i][0] = (uint8_t)(i + 1);
        tern__node_info__init(&f->infos[i]);
        f->infos[i].id = i + 1;
        f->infos[i].store_id = (ProtobufCBinaryData){ MAP_ID_SIZE, f->stores[i] };
        f->nodes[i] = (struct map_node){ .info = &f->infos[i], .heard_mono_ms = NOW, .whole = true };
    }
    for (uint32_t p = 0; p < 4; p++) {
        uint32_t members[] = { 1, 2, 5 };
        f->confs[p] = conf_create(p, 1, members, 3);
    }
    f->d.map.nodes = f->nodes;
    f->d.map.node_count = NODES;
    f->d.map.confs = f->confs;
    f->d.map.partition_count = 4;
    f->d.map.min_members = 2;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    heard_fini(&f->d.heard);
    free(f);
    return 0;
}

static void silence(struct fixture *f, uint32_t node)
{
    f->nodes[node - 1].heard_mono_ms = 0;
}

/* `teller` serves the partition in `epoch`, with one peer. */
static void tell_served(struct fixture *f, uint32_t teller, uint64_t epoch, uint32_t peer)
{
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__PartitionFigures figures = TERN__PARTITION_FIGURES__INIT, *list[] = { &figures };
    Tern__PeerFigures peer_figures = TERN__PEER_FIGURES__INIT, *peers[] = { &peer_figures };
    figures.partition = AHEAD;
    figures.epoch = epoch;
    figures.active = true;
    peer_figures.node = peer;
    figures.n_peers = 1;
    figures.peers = peers;
    hello.n_figures = 1;
    hello.figures = list;
    heard_take(&f->d.heard, &f->d.map, teller, &hello, NOW);
}

static void tell_a_copy(struct fixture *f, uint32_t node, uint64_t known, bool broken)
{
    Tern__NodeHelloRequest hello = TERN__NODE_HELLO_REQUEST__INIT;
    Tern__SpareCopy copy = TERN__SPARE_COPY__INIT, *list[] = { &copy };
    copy.partition = AHEAD;
    copy.known = known;
    copy.broken = broken;
    hello.n_spares = 1;
    hello.spares = list;
    heard_take(&f->d.heard, &f->d.map, node, &hello, NOW);
}

static void tell_copy(struct fixture *f, uint32_t node, uint64_t known)
{
    tell_a_copy(f, node, known, false);
}

static enum err judge(struct fixture *f, uint32_t node)
{
    struct buf why = { 0 };
    enum err err = give_up_judge(&f->d, node, NOW, &why);
    assert_int_equal(err == OK, why.len == 0);
    if (err == ERR_DENIED)
        assert_non_null(strstr(buf_cstr(&why), "partition 2"));
    buf_fini(&why);
    return err;
}

/* Each write that was answered is on min_members nodes at least. */
static void test_fewer_are_silent_than_have_each_write(void **state)
{
    struct fixture *f = *state;
    tell_copy(f, 3, 9);
    silence(f, 5);
    assert_int_equal(judge(f, 5), OK);
    f->nodes[2].whole = false; /* one that starts */
    assert_int_equal(judge(f, 5), ERR_BUSY);
    f->nodes[2].whole = true;
    silence(f, 4);
    assert_int_equal(judge(f, 5), ERR_DENIED);
    f->d.map.min_members = 3;
    assert_int_equal(judge(f, 5), OK);
    f->d.map.min_members = 1;
    f->nodes[3].heard_mono_ms = NOW;
    assert_int_equal(judge(f, 5), ERR_DENIED);
}

/* One that was given up a moment ago is as silent as before. */
static void test_one_after_the_other(void **state)
{
    struct fixture *f = *state;
    Tern__NodeInfo *removed[] = { &f->infos[4] };
    tell_copy(f, 3, 9);
    silence(f, 5);
    silence(f, 4);
    f->d.map.removed = removed;
    f->d.map.removed_count = 1;
    assert_true(map_is_given_up(&f->d.map, &f->nodes[4]));
    assert_false(map_is_given_up(&f->d.map, &f->nodes[3]));
    assert_int_equal(judge(f, 4), ERR_DENIED);
}

/* What cannot be read is as good as on a node that is silent: the other one's copy may be needed. */
static void test_damaged_copies_count_as_silent(void **state)
{
    struct fixture *f = *state;
    silence(f, 5);
    tell_copy(f, 3, 9);
    tell_a_copy(f, 1, 9, true);
    assert_int_equal(judge(f, 5), ERR_DENIED);
    f->d.map.min_members = 3;
    assert_int_equal(judge(f, 5), OK);
    silence(f, 1); /* counted once */
    assert_int_equal(judge(f, 5), OK);
    f->d.map.min_members = 2;
    f->nodes[0].heard_mono_ms = NOW;
    tell_served(f, 2, 9, 3); /* without it */
    assert_int_equal(judge(f, 5), OK);
}

/* A store that only counts what it is asked for. */
struct counting_store {
    struct coordination base;
    int asked;
};

static enum err count_only(struct coordination *c, struct coordination_txn *txn)
{
    (void)txn;
    ((struct counting_store *)c)->asked++;
    return ERR_UNAVAILABLE;
}

/* A partition that waits for its recovery may have been on it and on the next one alone, whatever the old
 * store says: until then it is one that is silent. */
static void test_listed_while_any_partition_is_ahead(void **state)
{
    struct fixture *f = *state;
    static const struct coordination_ops ops = { .submit = count_only };
    struct counting_store store = { .base.ops = &ops };
    Tern__NodeInfo *removed[] = { &f->infos[3] };
    f->d.coordination = &store.base;
    f->d.map.removed = removed;
    f->d.map.removed_count = 1;
    silence(f, 4); /* no configuration names it */
    tell_copy(f, 3, 9);
    heard_look(&f->d.heard, &f->d.map, NOW);
    give_up_finish(&f->d);
    assert_int_equal(store.asked, 0);
    silence(f, 5);
    assert_int_equal(judge(f, 5), ERR_DENIED);
    f->confs[AHEAD].epoch = 10;
    heard_look(&f->d.heard, &f->d.map, NOW);
    give_up_finish(&f->d);
    assert_int_equal(store.asked, 1);
}

/* All of the highest epoch are here, and know of no higher one: nobody else can have made one. */
static void test_served_by_others(void **state)
{
    struct fixture *f = *state;
    silence(f, 4);
    silence(f, 5);
    tell_copy(f, 3, 9);
    assert_int_equal(judge(f, 5), ERR_DENIED);
    tell_served(f, 1, 9, 2);
    assert_int_equal(judge(f, 5), OK);
    assert_int_equal(judge(f, 4), OK);
    tell_served(f, 1, 9, 5); /* it is a member */
    assert_int_equal(judge(f, 5), ERR_DENIED);
    tell_served(f, 1, 9, 4); /* another that is silent is */
    assert_int_equal(judge(f, 5), ERR_DENIED);
    tell_served(f, 1, 9, 2);
    tell_copy(f, 3, 10); /* a later epoch, of which nobody knows who had part in it */
    assert_int_equal(judge(f, 5), ERR_DENIED);
    tell_served(f, 1, 10, 2);
    silence(f, 1); /* what it told is old */
    assert_int_equal(judge(f, 5), ERR_DENIED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_fewer_are_silent_than_have_each_write),
        TEST(test_one_after_the_other),
        TEST(test_damaged_copies_count_as_silent),
        TEST(test_listed_while_any_partition_is_ahead),
        TEST(test_served_by_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
