/* SPDX-License-Identifier: Apache-2.0 */
/* What can be broken. The linker puts __wrap_ functions before the director's own (CMakeLists.txt), so that
 * nothing in the product knows of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "director/moves.h"
#include "director/placement.h"
#include "lib/base/alloc.h"
#include "tests/sim/director/dsim.h"

static const struct {
    const char *name;
    struct dbreaks breaks;
} list[] = {
    { "cas", { .cas = true } },         { "moves", { .moves = true } },     { "zones", { .zones = true } },
    { "epoch", { .epoch = true } },     { "promote", { .promote = true } }, { "drain", { .drain = true } },
    { "lease", { .lease = true } },     { "repair", { .repair = true } },   { "even", { .even = true } },
    { "learner", { .learner = true } }, { "mark", { .mark = true } },       { "full", { .full = true } },
};

bool dbreaks_find(const char *name, struct dbreaks *out)
{
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (strcasecmp(list[i].name, name) == 0) {
            *out = list[i].breaks;
            return true;
        }
    }
    return false;
}

void dbreaks_list(void)
{
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        printf("%s\n", list[i].name);
}

/* ---- director/placement.h */

void __real_placement_solve(const struct placement_node *nodes, size_t node_count, unsigned copies,
                            struct placement_slot *slots, size_t slot_count);
void __wrap_placement_solve(const struct placement_node *nodes, size_t node_count, unsigned copies,
                            struct placement_slot *slots, size_t slot_count);

void __wrap_placement_solve(const struct placement_node *nodes, size_t node_count, unsigned copies,
                            struct placement_slot *slots, size_t slot_count)
{
    struct placement_node *seen = xmemdup(nodes, node_count * sizeof *nodes);
    for (size_t i = 0; i < node_count && sim->breaks.zones; i++)
        seen[i].zone = 0;
    __real_placement_solve(seen, node_count, copies, slots, slot_count);
    free(seen);
}

/* ---- director/conf.h */

enum err __real_conf_change(const struct conf *current, const struct conf_request *request,
                            bool subject_known, struct conf *next);
enum err __wrap_conf_change(const struct conf *current, const struct conf_request *request,
                            bool subject_known, struct conf *next);

enum err __wrap_conf_change(const struct conf *current, const struct conf_request *request,
                            bool subject_known, struct conf *next)
{
    struct conf_request asked = *request;
    struct conf seen = *current;
    if (sim->breaks.epoch)
        asked.epoch = current->epoch;
    if (sim->breaks.promote && asked.change == TERN__CONF_CHANGE__CONF_PROMOTE && current->epoch > 1 &&
        !conf_is_member(current, asked.asker) && !conf_is_learner(current, asked.asker) &&
        seen.member_count < CONF_NODES_MAX) {
        asked.epoch = current->epoch;
        seen.members[seen.member_count++] = asked.asker;
    }
    return __real_conf_change(&seen, &asked, subject_known, next);
}

/* ---- director/moves.h */

void __real_moves_make(const struct moves_input *input, struct moves_plan *out);
void __wrap_moves_make(const struct moves_input *input, struct moves_plan *out);

static bool is_draining(const struct moves_input *in, uint32_t id)
{
    for (size_t i = 0; i < in->node_count; i++) {
        if (in->nodes[i].id == id)
            return in->nodes[i].draining;
    }
    return false;
}

/* Out with it, whoever is left. */
static void add_evictions(const struct moves_input *in, struct moves_plan *out)
{
    for (size_t p = 0; p < in->partition_count; p++) {
        const struct conf *conf = &in->confs[p];
        for (int i = 0; i < conf->member_count; i++) {
            uint32_t id = conf->members[i];
            if (id == conf->primary || !is_draining(in, id))
                continue;
            out->steps = xrealloc(out->steps, (out->step_count + 1) * sizeof *out->steps);
            out->step_cap = out->step_count + 1;
            out->steps[out->step_count++] = (struct moves_step){ .kind = MOVES_EVICT,
                                                                 .partition = (uint32_t)p,
                                                                 .node = id,
                                                                 .primary = conf->primary,
                                                                 .epoch = conf->epoch };
        }
    }
}

void __wrap_moves_make(const struct moves_input *input, struct moves_plan *out)
{
    struct moves_input seen = *input;
    struct moves_node *nodes = xmemdup(input->nodes, input->node_count * sizeof *nodes);
    for (size_t i = 0; i < input->node_count && sim->breaks.full; i++) {
        nodes[i].full = false;
        nodes[i].lack = 0;
        nodes[i].room = 0;
    }
    seen.nodes = nodes;
    if (sim->breaks.even)
        seen.quiet = false;
    __real_moves_make(&seen, out);
    free(nodes);
    if (sim->breaks.drain)
        add_evictions(input, out);
    for (size_t i = 0; i < out->step_count && sim->breaks.learner; i++) {
        if (out->steps[i].kind == MOVES_DROP_LEARNER)
            out->steps[i--] = out->steps[--out->step_count];
    }
}
