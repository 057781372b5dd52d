/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/director/moves_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

struct world *world_new(size_t nodes, unsigned copies)
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

void world_free(struct world *w)
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

void world_plan(struct world *w)
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

const struct moves_node *world_node(const struct world *w, uint32_t id)
{
    for (size_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].id == id)
            return &w->nodes[i];
    }
    return NULL;
}

static bool is_alive(const struct world *w, uint32_t id)
{
    const struct moves_node *node = world_node(w, id);
    return node != NULL && node->alive;
}

/* Copies may be put there, or stay. */
static bool keeps(const struct world *w, uint32_t id)
{
    const struct moves_node *node = world_node(w, id);
    return node != NULL && !node->draining && !node->gone;
}

void world_change(struct world *w, uint32_t partition, Tern__ConfChange what, uint32_t asker, uint32_t node)
{
    struct conf *conf = &w->confs[partition];
    struct conf_request request = { what, conf->epoch, asker, node };
    struct conf next;
    assert_int_equal(conf_change(conf, &request, true, &next), OK);
    *conf = next;
}

void world_carry_out(struct world *w, const struct moves_step *step)
{
    const struct conf *conf = &w->confs[step->partition];
    assert_int_equal(step->epoch, conf->epoch);
    assert_int_equal(step->primary, conf->primary);
    switch (step->kind) {
    case MOVES_ADD_LEARNER:
        assert_true(is_alive(w, step->node));
        assert_false(world_node(w, step->node)->full);
        w->copied++;
        world_change(w, step->partition, TERN__CONF_CHANGE__CONF_ADD_LEARNER, 0, step->node);
        break;
    case MOVES_DROP_LEARNER: /* nothing else makes a begun copy unwanted */
        assert_false(keeps(w, step->node));
        world_change(w, step->partition, TERN__CONF_CHANGE__CONF_DROP_LEARNER, 0, step->node);
        break;
    case MOVES_HANDOVER:
        assert_true(is_alive(w, step->node));
        w->handovers++;
        world_change(w, step->partition, TERN__CONF_CHANGE__CONF_HANDOVER, conf->primary, step->node);
        break;
    case MOVES_EVICT:
        assert_true(conf->member_count > w->copies);
        w->evictions++;
        world_change(w, step->partition, TERN__CONF_CHANGE__CONF_EVICT, conf->primary, step->node);
        break;
    }
}

void world_catch_up(struct world *w, unsigned slowness)
{
    size_t learning = 0;
    for (uint32_t p = 0; p < w->partition_count; p++) {
        const struct conf *conf = &w->confs[p];
        learning += conf->learner_count > 0;
        if (conf->learner_count > 0 && is_alive(w, conf->learners[0]) && is_alive(w, conf->primary) &&
            (unsigned)rand() % slowness == 0)
            world_change(w, p, TERN__CONF_CHANGE__CONF_ADD, conf->primary, conf->learners[0]);
    }
    w->learners_most = learning > w->learners_most ? learning : w->learners_most;
}

void world_run(struct world *w, unsigned slowness)
{
    w->copied = w->handovers = w->evictions = w->learners_most = 0;
    for (w->rounds = 0; w->rounds < ROUNDS_MAX; w->rounds++) {
        world_plan(w);
        if (w->plan.step_count == 0 && w->plan.move_count == 0)
            return;
        for (size_t i = 0; i < w->plan.step_count; i++) {
            if ((unsigned)rand() % slowness == 0)
                world_carry_out(w, &w->plan.steps[i]);
        }
        world_catch_up(w, slowness);
    }
    fail_msg("no end after %d rounds: %zu moves, %zu steps", ROUNDS_MAX, w->plan.move_count,
             w->plan.step_count);
}

size_t world_copies_on(const struct world *w, uint32_t node)
{
    size_t count = 0;
    for (uint32_t p = 0; p < w->partition_count; p++)
        count += conf_is_member(&w->confs[p], node) + (size_t)conf_is_learner(&w->confs[p], node);
    return count;
}

size_t world_primaries_on(const struct world *w, uint32_t node)
{
    size_t count = 0;
    for (uint32_t p = 0; p < w->partition_count; p++)
        count += w->confs[p].primary == node;
    return count;
}

uint64_t world_bytes_on(const struct world *w, uint32_t node)
{
    uint64_t bytes = 0;
    for (uint32_t p = 0; p < w->partition_count; p++)
        bytes += conf_is_member(&w->confs[p], node) ? w->bytes[p] : 0;
    return bytes;
}

void world_add_node(struct world *w)
{
    uint32_t id = (uint32_t)w->node_count + 1;
    w->nodes[w->node_count++] = (struct moves_node){ .id = id, .zone = id - 1, .alive = true };
}

void world_expect_even(const struct world *w, size_t nodes)
{
    size_t copies = PARTITIONS * w->copies / nodes, primaries = PARTITIONS / nodes;
    for (size_t i = 0; i < w->node_count; i++) {
        if (w->nodes[i].draining || w->nodes[i].gone)
            continue;
        assert_in_range(world_copies_on(w, w->nodes[i].id), copies, copies + 1);
        assert_in_range(world_primaries_on(w, w->nodes[i].id), primaries, primaries + 1);
    }
    for (uint32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(w->confs[p].member_count, w->copies);
}
