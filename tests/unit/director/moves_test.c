/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of moves, carried out by a cluster that does at once whatever is asked of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "director/moves.h"
#include "director/placement.h"

enum { PARTITIONS = 64, NODES_MAX = 12, ROUNDS_MAX = 400 };

#define GIB (UINT64_C(1) << 30)

struct world {
    struct moves_node nodes[NODES_MAX];
    size_t node_count;
    struct conf confs[PARTITIONS];
    uint64_t bytes[PARTITIONS];
    bool ready[PARTITIONS], due[PARTITIONS];
    uint32_t partition_count;
    unsigned copies;
    bool quiet;
    unsigned moves_max, moves_per_node;
    struct moves_plan plan;
    size_t copied, handovers, evictions, rounds; /* counted by run() */
    size_t learners_most;                        /* partitions with a learner at once */
    uint64_t disk;                               /* of each node, in bytes; 0: boundless */
    uint64_t reserve;
};

static struct world *new_world(size_t nodes, unsigned copies)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->partition_count = PARTITIONS;
    w->copies = copies;
    w->quiet = true;
    w->moves_max = 16;
    w->moves_per_node = 4;
    w->node_count = nodes;
    for (size_t i = 0; i < nodes; i++)
        w->nodes[i] = (struct moves_node){ .id = (uint32_t)i + 1, .zone = (uint32_t)i, .alive = true };
    for (uint32_t p = 0; p < PARTITIONS; p++) {
        uint32_t members[CONF_NODES_MAX];
        for (unsigned c = 0; c < copies; c++)
            members[c] = (uint32_t)((p + c) % nodes) + 1;
        w->confs[p] = conf_create(p, members[0], members, copies);
        w->ready[p] = true;
    }
    return w;
}

static void free_world(struct world *w)
{
    moves_plan_fini(&w->plan);
    free(w);
}

/* As nodes tell it, and directors see it. What comes is there, what goes is gone at once. */
static void look_at_disks(struct world *w)
{
    for (size_t i = 0; i < w->node_count && w->disk > 0; i++) {
        struct moves_node *node = &w->nodes[i];
        uint64_t used = 0, floor = w->reserve + w->reserve / 4;
        for (uint32_t p = 0; p < w->partition_count; p++)
            used += conf_is_member(&w->confs[p], node->id) ? w->bytes[p] : 0;
        uint64_t disk = w->disk / (i == 0 ? 2 : 1), left = used < disk ? disk - used : 0;
        node->full = left < w->reserve || (node->full && left < floor);
        node->room = left > floor ? left - floor : 1;
        node->lack = node->full ? floor - left : 0;
    }
}

static void plan(struct world *w)
{
    look_at_disks(w);
    struct moves_input input = { .nodes = w->nodes,
                                 .node_count = w->node_count,
                                 .confs = w->confs,
                                 .partition_count = w->partition_count,
                                 .bytes = w->bytes,
                                 .ready = w->ready,
                                 .due = w->due,
                                 .copies = w->copies,
                                 .moves_max = w->moves_max,
                                 .moves_per_node = w->moves_per_node,
                                 .quiet = w->quiet };
    moves_make(&input, &w->plan);
}

static const struct moves_node *node_of(const struct world *w, uint32_t id)
{
    for (size_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].id == id)
            return &w->nodes[i];
    }
    return NULL;
}

static bool is_alive(const struct world *w, uint32_t id)
{
    const struct moves_node *node = node_of(w, id);
    return node != NULL && node->alive;
}

/* Copies may be put there, or stay. */
static bool keeps(const struct world *w, uint32_t id)
{
    const struct moves_node *node = node_of(w, id);
    return node != NULL && !node->draining && !node->gone;
}

static void change(struct world *w, uint32_t partition, Tern__ConfChange what, uint32_t asker, uint32_t node)
{
    struct conf *conf = &w->confs[partition];
    struct conf_request request = { what, conf->epoch, asker, node };
    struct conf next;
    assert_int_equal(conf_change(conf, &request, true, &next), OK);
    *conf = next;
}

static void carry_out(struct world *w, const struct moves_step *step)
{
    const struct conf *conf = &w->confs[step->partition];
    assert_int_equal(step->epoch, conf->epoch);
    assert_int_equal(step->primary, conf->primary);
    switch (step->kind) {
    case MOVES_ADD_LEARNER:
        assert_true(is_alive(w, step->node));
        assert_false(node_of(w, step->node)->full);
        w->copied++;
        change(w, step->partition, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, step->node);
        break;
    case MOVES_DROP_LEARNER: /* nothing else makes a begun copy unwanted */
        assert_false(keeps(w, step->node));
        change(w, step->partition, TERN__CONF_CHANGE__CONF_DROP_LEARNER, 0, step->node);
        break;
    case MOVES_HANDOVER:
        assert_true(is_alive(w, step->node));
        w->handovers++;
        change(w, step->partition, TERN__CONF_CHANGE__CONF_HANDOVER, conf->primary, step->node);
        break;
    case MOVES_EVICT:
        assert_true(conf->member_count > w->copies);
        w->evictions++;
        change(w, step->partition, TERN__CONF_CHANGE__CONF_EVICT, conf->primary, step->node);
        break;
    }
}

/* Learners become members if both ends are there; each of them with one chance in `slowness`. */
static void catch_up(struct world *w, unsigned slowness)
{
    size_t learning = 0;
    for (uint32_t p = 0; p < w->partition_count; p++) {
        const struct conf *conf = &w->confs[p];
        learning += conf->learner_count > 0;
        if (conf->learner_count > 0 && is_alive(w, conf->learners[0]) && is_alive(w, conf->primary) &&
            (unsigned)rand() % slowness == 0)
            change(w, p, TERN__CONF_CHANGE__CONF_ADD, conf->primary, conf->learners[0]);
    }
    w->learners_most = learning > w->learners_most ? learning : w->learners_most;
}

/* Until nothing is to be done. Each step may be done or be late. */
static void run(struct world *w, unsigned slowness)
{
    w->copied = w->handovers = w->evictions = w->learners_most = 0;
    for (w->rounds = 0; w->rounds < ROUNDS_MAX; w->rounds++) {
        plan(w);
        if (w->plan.step_count == 0 && w->plan.move_count == 0)
            return;
        for (size_t i = 0; i < w->plan.step_count; i++) {
            if ((unsigned)rand() % slowness == 0)
                carry_out(w, &w->plan.steps[i]);
        }
        catch_up(w, slowness);
    }
    fail_msg("no end after %d rounds: %zu moves, %zu steps", ROUNDS_MAX, w->plan.move_count,
             w->plan.step_count);
}

static size_t copies_on(const struct world *w, uint32_t node)
{
    size_t count = 0;
    for (uint32_t p = 0; p < w->partition_count; p++)
        count += conf_is_member(&w->confs[p], node) + (size_t)conf_is_learner(&w->confs[p], node);
    return count;
}

static size_t primaries_on(const struct world *w, uint32_t node)
{
    size_t count = 0;
    for (uint32_t p = 0; p < w->partition_count; p++)
        count += w->confs[p].primary == node;
    return count;
}

static uint64_t bytes_on(const struct world *w, uint32_t node)
{
    uint64_t bytes = 0;
    for (uint32_t p = 0; p < w->partition_count; p++)
        bytes += conf_is_member(&w->confs[p], node) ? w->bytes[p] : 0;
    return bytes;
}

static void add_node(struct world *w)
{
    uint32_t id = (uint32_t)w->node_count + 1;
    w->nodes[w->node_count++] = (struct moves_node){ .id = id, .zone = id - 1, .alive = true };
}

static void expect_even(const struct world *w, size_t nodes)
{
    size_t copies = PARTITIONS * w->copies / nodes, primaries = PARTITIONS / nodes;
    for (size_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].draining || w->nodes[i].gone)
            continue;
        assert_in_range(copies_on(w, w->nodes[i].id), copies, copies + 1);
        assert_in_range(primaries_on(w, w->nodes[i].id), primaries, primaries + 1);
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(w->confs[p].member_count, w->copies);
}

/* ---- */

static void test_balanced_rests(void **state)
{
    for (unsigned copies = 1; copies <= 3; copies++) {
        struct world *w = new_world(4, copies);
        run(w, 1);
        assert_int_equal(w->rounds, 0);
        free_world(w);
    }
}

static void test_new_node(void **state)
{
    for (unsigned slowness = 1; slowness <= 4; slowness++) {
        struct world *w = new_world(3, 3);
        add_node(w);
        run(w, slowness);
        expect_even(w, 4);
        /* no more than the balance needs, whatever is late */
        assert_int_equal(w->copied, PARTITIONS * 3 / 4);
        assert_int_equal(w->evictions, PARTITIONS * 3 / 4);
        assert_true(w->learners_most <= w->moves_per_node); /* all go to the one node */
        free_world(w);
    }
}

static void test_new_node_waits_for_quiet(void **state)
{
    struct world *w = new_world(3, 3);
    add_node(w);
    w->quiet = false;
    plan(w);
    assert_int_equal(w->plan.step_count, 0);
    assert_int_equal(w->plan.move_count, PARTITIONS * 3 / 4);
    for (size_t i = 0; i < w->plan.move_count; i++) {
        assert_int_equal(w->plan.moves[i].state, MOVES_WAITS);
        assert_int_equal(w->plan.moves[i].to, 4);
        assert_int_not_equal(w->plan.moves[i].from, 0);
    }
    free_world(w);
}

static void test_drain(void **state)
{
    for (unsigned slowness = 1; slowness <= 3; slowness++) {
        struct world *w = new_world(4, 3);
        w->nodes[1].draining = true;
        run(w, slowness);
        assert_int_equal(copies_on(w, 2), 0);
        assert_int_equal(w->copied, PARTITIONS * 3 / 4);
        w->nodes[1] = w->nodes[2];
        w->nodes[2] = w->nodes[3];
        w->node_count = 3;
        expect_even(w, 3);
        free_world(w);
    }
}

/* With too few others the copies stay, but the seats go. */
static void test_drain_without_room(void **state)
{
    struct world *w = new_world(3, 3);
    w->nodes[2].draining = true;
    for (int i = 0; i < 20; i++) {
        plan(w);
        for (size_t k = 0; k < w->plan.step_count; k++) {
            assert_int_equal(w->plan.steps[k].kind, MOVES_HANDOVER);
            carry_out(w, &w->plan.steps[k]);
        }
    }
    assert_int_equal(w->plan.step_count, 0);
    assert_int_equal(w->plan.waiting, PARTITIONS);
    assert_int_equal(copies_on(w, 3), PARTITIONS);
    assert_int_equal(primaries_on(w, 3), 0);
    add_node(w);
    run(w, 1);
    assert_int_equal(copies_on(w, 3), 0);
    free_world(w);
}

static void kill_node(struct world *w, uint32_t id)
{
    w->nodes[id - 1].alive = false;
    for (uint32_t p = 0; p < w->partition_count; p++) {
        struct conf *conf = &w->confs[p];
        if (conf->primary == id)
            change(w, p, TERN__CONF_CHANGE__CONF_PROMOTE,
                   conf->members[0] == id ? conf->members[1] : conf->members[0], 0);
        else if (conf_is_member(conf, id))
            change(w, p, TERN__CONF_CHANGE__CONF_EVICT, conf->primary, id);
    }
}

static void test_repair(void **state)
{
    struct world *w = new_world(4, 3);
    kill_node(w, 3);
    w->quiet = false;
    plan(w);
    assert_int_equal(w->plan.step_count, 0); /* it may come back */
    w->nodes[2].gone = true;
    memset(w->due, true, sizeof w->due);
    plan(w);
    assert_int_equal(w->plan.step_count, 4 / 2 * 3); /* three nodes of room for four, two for each copy */
    for (int i = 0; i < 100 && w->plan.move_count > 0; i++) {
        for (size_t k = 0; k < w->plan.step_count; k++)
            carry_out(w, &w->plan.steps[k]);
        catch_up(w, 1);
        plan(w);
    }
    assert_int_equal(w->evictions, 0);
    w->quiet = true;
    run(w, 1);
    assert_int_equal(w->copied, 0); /* made where they belong */
    expect_even(w, 3);
    free_world(w);
}

/* A node whose disk is short of room keeps its copies, gets no more, and gives its seats away until there is
 * room again. */
/* The first node's disk is half as large as the others': as mail comes, its copies go to where there is room,
 * no more of them than must, and the end is at rest. */
static void test_full_disk_gives_away(void **state)
{
    srand(11);
    for (unsigned slowness = 1; slowness <= 3; slowness++) {
        struct world *w = new_world(4, 2);
        size_t copied = 0;
        w->disk = 100 * GIB;
        w->reserve = 4 * GIB;
        for (int round = 0; round < 20; round++) {
            for (uint32_t p = 0; p < w->partition_count; p++)
                w->bytes[p] += (uint64_t)rand() % (GIB / 6);
            run(w, slowness);
            copied += w->copied;
            assert_false(w->nodes[0].full);
        }
        assert_true(bytes_on(w, 1) <= 46 * GIB);
        assert_true(copies_on(w, 1) < PARTITIONS * 2 / 4);
        assert_in_range(copied, 1, PARTITIONS);
        for (size_t i = 1; i < w->node_count; i++)
            assert_false(w->nodes[i].full);
        free_world(w);
    }
}

static void test_full_disk(void **state)
{
    struct world *w = new_world(4, 3);
    w->nodes[2].full = true;
    run(w, 2);
    assert_int_equal(primaries_on(w, 3), 0);
    assert_int_equal(copies_on(w, 3), PARTITIONS * 3 / 4);
    assert_true(w->copied == 0 && w->evictions == 0);
    kill_node(w, 1);
    w->nodes[0].gone = true;
    memset(w->due, true, sizeof w->due);
    plan(w);
    for (size_t i = 0; i < w->plan.step_count; i++)
        assert_true(w->plan.steps[i].node != 3);
    w->nodes[2].full = false;
    run(w, 1);
    expect_even(w, 3);
    for (size_t i = 0; i < 4; i++)
        w->nodes[i].full = true; /* nobody is better off */
    plan(w);
    assert_int_equal(w->plan.step_count, 0);
    free_world(w);
}

/* A learner whose node does not come back gives the room to another. */
static void test_lost_learner(void **state)
{
    struct world *w = new_world(3, 2);
    add_node(w);
    change(w, 0, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, 4);
    w->nodes[3].alive = false;
    w->nodes[3].gone = true;
    plan(w);
    assert_int_equal(w->plan.step_count, 1);
    assert_int_equal(w->plan.steps[0].kind, MOVES_DROP_LEARNER);
    free_world(w);
}

/* The member too many does not go while another is away. */
static void test_no_eviction_while_one_is_away(void **state)
{
    struct world *w = new_world(4, 3);
    w->nodes[0].draining = true;
    uint32_t p = 0; /* 1, 2, 3 */
    change(w, p, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, 4);
    change(w, p, TERN__CONF_CHANGE__CONF_ADD, 1, 4);
    change(w, p, TERN__CONF_CHANGE__CONF_HANDOVER, 1, 4);
    w->nodes[2].alive = false;
    plan(w);
    for (size_t i = 0; i < w->plan.step_count; i++)
        assert_true(w->plan.steps[i].partition != p);
    w->nodes[2].alive = true;
    plan(w);
    assert_int_equal(w->plan.steps[0].kind, MOVES_EVICT);
    assert_int_equal(w->plan.steps[0].partition, p);
    assert_int_equal(w->plan.steps[0].node, 1);
    free_world(w);
}

static void test_not_before_creation(void **state)
{
    struct world *w = new_world(4, 3);
    memset(w->ready, false, sizeof w->ready);
    w->nodes[0].draining = true;
    plan(w);
    assert_int_equal(w->plan.step_count, 0);
    free_world(w);
}

static void test_primaries(void **state)
{
    struct world *w = new_world(3, 3);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        w->confs[p].primary = 1;
    run(w, 2);
    assert_int_equal(w->copied, 0);
    assert_int_equal(w->handovers, PARTITIONS - (PARTITIONS + 2) / 3);
    expect_even(w, 3);
    free_world(w);
}

/* Bytes even out by exchanges; what is even enough rests, also while sizes grow a little. */
static void test_bytes(void **state)
{
    struct world *w = new_world(4, 1);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        w->bytes[p] = w->confs[p].primary == 1 ? 40 * GIB : 4 * GIB;
    run(w, 2);
    uint64_t mean = 0, low = UINT64_MAX, high = 0;
    for (uint32_t n = 1; n <= 4; n++) {
        uint64_t bytes = bytes_on(w, n);
        mean += bytes / 4;
        low = bytes < low ? bytes : low;
        high = bytes > high ? bytes : high;
        assert_in_range(copies_on(w, n), 15, 17);
    }
    assert_true(high - low <= mean * PLACEMENT_BYTES_GAP_PERCENT / 100);
    assert_true(w->copied < PARTITIONS / 2);
    for (int i = 0; i < 50; i++) {
        w->bytes[(uint32_t)rand() % PARTITIONS] += GIB / 64;
        run(w, 1);
        assert_int_equal(w->copied, 0);
    }
    free_world(w);
}

/* A new node takes its share of bytes with its share of copies. */
static void test_new_node_bytes(void **state)
{
    struct world *w = new_world(3, 2);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        w->bytes[p] = (1 + p % 7) * GIB;
    add_node(w);
    run(w, 2);
    uint64_t mean = 0;
    for (uint32_t n = 1; n <= 4; n++)
        mean += bytes_on(w, n) / 4;
    assert_in_range(bytes_on(w, 4), mean * 85 / 100, mean * 115 / 100);
    assert_in_range(w->copied, PARTITIONS * 2 / 4 - 1, PARTITIONS * 2 / 4 + 3);
    free_world(w);
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
    struct world *w = new_world(3, 2);
    w->node_count = sizeof nodes / sizeof nodes[0];
    memcpy(w->nodes, nodes, sizeof nodes);
    for (size_t i = 0; i < w->node_count; i++)
        w->nodes[i].alive = true;
    w->partition_count = sizeof members / sizeof members[0];
    for (uint32_t p = 0; p < w->partition_count; p++)
        w->confs[p] = conf_create(p, members[p][0], members[p], 2);
    w->bytes[5] = w->bytes[6] = GIB / 4;
    run(w, 1);
    assert_int_equal(w->copied, 1);
    assert_true(node_of(w, w->confs[5].members[0])->zone != node_of(w, w->confs[5].members[1])->zone);
    free_world(w);
}

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
 * carried through (carry_out looks), and it ends. */
static void run_from_anywhere(unsigned seed)
{
    srand(seed);
    unsigned copies = 1 + seed % 4;
    struct world *w = new_world(copies + 1 + (size_t)rand() % (NODES_MAX - copies), copies);
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
    run(w, 1 + seed % 3);
    free_world(w);
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

/* Whatever comes and goes: it ends, and nothing is ever made less safe (carry_out looks). */
static void test_random(void **state)
{
    for (unsigned seed = 1; seed <= 60; seed++) {
        srand(seed);
        struct world *w = new_world(3 + seed % 3, 1 + seed % 3);
        for (uint32_t p = 0; p < PARTITIONS; p++)
            w->bytes[p] = (uint64_t)rand() % 64 * GIB / 4;
        for (size_t i = 0; i < w->node_count && seed % 2 == 0; i++)
            w->nodes[i].zone = (uint32_t)i % 2;
        for (int event = 0; event < 4; event++) {
            if (w->node_count < NODES_MAX && rand() % 2 == 0)
                add_node(w);
            struct moves_node *node = &w->nodes[(size_t)rand() % w->node_count];
            size_t keeping = 0;
            for (size_t i = 0; i < w->node_count; i++)
                keeping += !w->nodes[i].draining;
            if (keeping > w->copies + 1)
                node->draining = !node->draining;
            run(w, 1 + seed % 4);
        }
        free_world(w);
    }
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
        cmocka_unit_test(test_from_anywhere),
        cmocka_unit_test(test_spread_comes_first),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
