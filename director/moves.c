/* SPDX-License-Identifier: Apache-2.0 */
#include "director/moves.h"

#include <stdlib.h>
#include <string.h>

#include "director/placement.h"
#include "lib/base/alloc.h"

/* One partition: the copies it should have and those that it has. */
struct aim {
    const struct conf *conf;
    const struct placement_slot *target;
    uint32_t missing[PLACEMENT_COPIES_MAX]; /* in the target, neither member nor learner */
    size_t missing_count;
    uint32_t surplus[CONF_NODES_MAX]; /* members that are not in the target */
    size_t surplus_count;
};

struct planner {
    const struct moves_input *in;
    struct moves_plan *out;
    struct placement_slot *slots; /* the target; all empty if no node may keep a copy */
    size_t *busy;                 /* by node's place: learners that it sends to or is */
    uint64_t *taken;              /* likewise: bytes of the copies that it is sent */
    size_t learning;              /* partitions with a learner */
    size_t handovers;
    bool unsettled; /* some copy is on its way */
};

static const struct moves_node *find(const struct planner *pl, uint32_t id)
{
    size_t low = 0, high = pl->in->node_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pl->in->nodes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < pl->in->node_count && pl->in->nodes[low].id == id ? &pl->in->nodes[low] : NULL;
}

static bool is_alive(const struct planner *pl, uint32_t id)
{
    const struct moves_node *node = find(pl, id);
    return node != NULL && node->alive;
}

static bool is_full(const struct planner *pl, uint32_t id)
{
    const struct moves_node *node = find(pl, id);
    return node != NULL && node->full;
}

/* With the copies that are on their way there. */
static bool fits(const struct planner *pl, uint32_t id, uint32_t partition)
{
    const struct moves_node *node = find(pl, id);
    uint64_t taken = node == NULL ? 0 : pl->taken[node - pl->in->nodes];
    return node != NULL && !node->full &&
           (node->room == 0 || (taken <= node->room && pl->in->bytes[partition] <= node->room - taken));
}

static bool is_draining(const struct planner *pl, uint32_t id)
{
    const struct moves_node *node = find(pl, id);
    return node != NULL && node->draining;
}

static bool may_keep(const struct moves_node *node)
{
    return !node->draining && !node->gone;
}

/* ---- the target */

static void fill_slot(const struct conf *conf, uint64_t bytes, unsigned copies, struct placement_slot *slot)
{
    *slot = (struct placement_slot){ .bytes = bytes };
    slot->nodes[slot->count++] = conf->primary;
    for (size_t i = 0; i < conf->member_count; i++) {
        if (conf->members[i] != conf->primary)
            slot->nodes[slot->count++] = conf->members[i];
    }
    for (size_t i = 0; i < conf->learner_count; i++)
        slot->nodes[slot->count++] = conf->learners[i];
    if (conf->learner_count > 0)
        slot->newest = conf->learners[conf->learner_count - 1];
    else if (conf->member_count > copies)
        slot->newest = conf->members[conf->member_count - 1];
}

static struct placement_node to_placement(const struct moves_node *node)
{
    return (struct placement_node){
        .id = node->id, .zone = node->zone, .full = node->full, .room = node->room, .lack = node->lack
    };
}

static void solve(struct planner *pl)
{
    const struct moves_input *in = pl->in;
    struct placement_node *nodes = NEW_ARRAY(struct placement_node, in->node_count + 1);
    size_t count = 0;
    for (size_t i = 0; i < in->node_count; i++) {
        if (may_keep(&in->nodes[i]))
            nodes[count++] = to_placement(&in->nodes[i]);
    }
    if (count > 0) {
        for (size_t p = 0; p < in->partition_count; p++)
            fill_slot(&in->confs[p], in->bytes[p], in->copies, &pl->slots[p]);
        placement_solve(nodes, count, in->copies, pl->slots, in->partition_count);
    }
    free(nodes);
}

static bool in_target(const struct placement_slot *target, uint32_t node)
{
    for (size_t i = 0; i < target->count; i++) {
        if (target->nodes[i] == node)
            return true;
    }
    return false;
}

static struct aim aim_of(const struct planner *pl, size_t partition)
{
    struct aim aim = { .conf = &pl->in->confs[partition], .target = &pl->slots[partition] };
    for (size_t i = 0; i < aim.target->count; i++) {
        uint32_t node = aim.target->nodes[i];
        if (!conf_is_member(aim.conf, node) && !conf_is_learner(aim.conf, node))
            aim.missing[aim.missing_count++] = node;
    }
    for (size_t i = 0; i < aim.conf->member_count; i++) {
        if (!in_target(aim.target, aim.conf->members[i]))
            aim.surplus[aim.surplus_count++] = aim.conf->members[i];
    }
    return aim;
}

/* ---- steps */

static void add_step(struct planner *pl, const struct conf *conf, enum moves_step_kind kind, uint32_t node)
{
    struct moves_plan *out = pl->out;
    if (out->step_count == out->step_cap) {
        out->step_cap = out->step_cap == 0 ? 16 : out->step_cap * 2;
        out->steps = xrealloc(out->steps, out->step_cap * sizeof *out->steps);
    }
    out->steps[out->step_count++] = (struct moves_step){ .kind = kind,
                                                         .partition = conf->partition,
                                                         .node = node,
                                                         .primary = conf->primary,
                                                         .epoch = conf->epoch };
}

/* The member to take the seat: the target's choice, else another one that stays, else one that is there. */
static uint32_t heir_of(const struct planner *pl, const struct aim *aim)
{
    uint32_t best = 0;
    int best_worth = 0;
    for (size_t i = 0; i < aim->conf->member_count; i++) {
        uint32_t node = aim->conf->members[i];
        if (node == aim->conf->primary || !is_alive(pl, node) || is_draining(pl, node) || is_full(pl, node))
            continue;
        int worth = 1 + in_target(aim->target, node);
        if (aim->target->count > 0 && aim->target->nodes[0] == node)
            worth = 3;
        if (worth > best_worth) {
            best = node;
            best_worth = worth;
        }
    }
    return best;
}

/* False: nobody is there, or enough are under way. */
static bool hand_over(struct planner *pl, const struct aim *aim)
{
    uint32_t heir = heir_of(pl, aim);
    if (heir == 0 || !pl->in->ready[aim->conf->partition] || pl->handovers >= MOVES_HANDOVERS_MAX)
        return false;
    pl->handovers++;
    add_step(pl, aim->conf, MOVES_HANDOVER, heir);
    return true;
}

/* Learners whose node is gone, and those that nobody waits for any more. True: the partition has a step. */
static bool drop_learner(struct planner *pl, const struct aim *aim)
{
    const struct conf *conf = aim->conf;
    for (size_t i = 0; i < conf->learner_count; i++) {
        const struct moves_node *node = find(pl, conf->learners[i]);
        bool unwanted = conf->member_count >= pl->in->copies && !in_target(aim->target, conf->learners[i]);
        if (node == NULL || node->gone || unwanted) {
            add_step(pl, conf, MOVES_DROP_LEARNER, conf->learners[i]);
            return true;
        }
    }
    return false;
}

/* A member too many goes when all the others are there. */
static bool evict(struct planner *pl, const struct aim *aim)
{
    const struct conf *conf = aim->conf;
    if (conf->member_count <= pl->in->copies || aim->surplus_count == 0)
        return false;
    uint32_t node = aim->surplus[0];
    if (node == conf->primary && aim->surplus_count > 1)
        node = aim->surplus[1];
    for (size_t i = 0; i < conf->member_count; i++) {
        if (conf->members[i] != node && !is_alive(pl, conf->members[i]))
            return false;
    }
    if (node == conf->primary)
        return hand_over(pl, aim);
    add_step(pl, conf, MOVES_EVICT, node);
    return true;
}

static size_t *busy_at(const struct planner *pl, uint32_t node)
{
    const struct moves_node *at = find(pl, node);
    return at == NULL ? NULL : &pl->busy[at - pl->in->nodes];
}

static void make_busy(struct planner *pl, uint32_t node)
{
    size_t *busy = busy_at(pl, node);
    if (busy != NULL)
        (*busy)++;
}

static bool is_idle(const struct planner *pl, uint32_t node)
{
    const size_t *busy = busy_at(pl, node);
    return busy != NULL && *busy < pl->in->moves_per_node;
}

static bool may_begin(const struct planner *pl, const struct conf *conf, uint32_t to)
{
    return is_alive(pl, to) && fits(pl, to, conf->partition) && is_idle(pl, to) &&
           is_idle(pl, conf->primary) && pl->learning < pl->in->moves_max &&
           conf->member_count + conf->learner_count < CONF_NODES_MAX;
}

/* How many of the copies that there are share the zone of `node`. */
static size_t crowd_of(const struct planner *pl, const struct conf *conf, uint32_t node)
{
    uint32_t zone = find(pl, node)->zone;
    size_t count = 0;
    for (size_t i = 0; i < conf->member_count + conf->learner_count; i++) {
        const struct moves_node *at =
            find(pl, i < conf->member_count ? conf->members[i] : conf->learners[i - conf->member_count]);
        count += at != NULL && at->zone == zone;
    }
    return count;
}

static void take_room(struct planner *pl, uint32_t node, uint32_t partition)
{
    const struct moves_node *at = find(pl, node);
    if (at != NULL)
        pl->taken[at - pl->in->nodes] += pl->in->bytes[partition];
}

/* The one that spreads the copies most comes first: what is left to be done may be needless after it. */
static bool begin_copy(struct planner *pl, const struct aim *aim)
{
    const struct conf *conf = aim->conf;
    uint32_t best = 0;
    for (size_t i = 0; i < aim->missing_count; i++) {
        uint32_t to = aim->missing[i];
        if (may_begin(pl, conf, to) && (best == 0 || crowd_of(pl, conf, to) < crowd_of(pl, conf, best)))
            best = to;
    }
    if (best == 0)
        return false;
    pl->learning += conf->learner_count == 0;
    make_busy(pl, best);
    make_busy(pl, conf->primary);
    take_room(pl, best, conf->partition);
    add_step(pl, conf, MOVES_ADD_LEARNER, best);
    return true;
}

/* ---- passes: what matters most takes the room first */

enum pass { PASS_FINISH, PASS_REPAIR, PASS_DRAIN, PASS_SPREAD, PASS_EVEN, PASS_PRIMARIES, PASSES };

static size_t copies_wanted(const struct planner *pl, const struct aim *aim)
{
    return aim->target->count < pl->in->copies ? aim->target->count : pl->in->copies;
}

static bool is_short(const struct planner *pl, const struct conf *conf)
{
    return (size_t)conf->member_count + conf->learner_count < pl->in->copies;
}

static bool has_drained(const struct planner *pl, const struct aim *aim)
{
    for (size_t i = 0; i < aim->surplus_count; i++) {
        if (is_draining(pl, aim->surplus[i]))
            return true;
    }
    return false;
}

static bool is_whole(const struct planner *pl, const struct aim *aim)
{
    return aim->conf->learner_count == 0 && aim->conf->member_count == copies_wanted(pl, aim);
}

/* A copy is to leave a zone for a less crowded one. The target's evenness counts on these moves: if others
 * were made instead of them, they would be judged anew, and for nothing, until these come about. */
static bool is_to_spread(const struct planner *pl, const struct aim *aim)
{
    for (size_t i = 0; i < aim->missing_count; i++) {
        size_t crowd = crowd_of(pl, aim->conf, aim->missing[i]);
        for (size_t k = 0; k < aim->surplus_count; k++) {
            if (find(pl, aim->surplus[k]) != NULL && crowd_of(pl, aim->conf, aim->surplus[k]) >= crowd + 2)
                return true;
        }
    }
    return false;
}

static bool even_primary(struct planner *pl, const struct aim *aim)
{
    uint32_t wanted = aim->target->count > 0 ? aim->target->nodes[0] : 0;
    return wanted != aim->conf->primary && conf_is_member(aim->conf, wanted) && is_alive(pl, wanted) &&
           !is_full(pl, wanted) && is_alive(pl, aim->conf->primary) && hand_over(pl, aim);
}

static bool do_pass(struct planner *pl, const struct aim *aim, enum pass pass)
{
    const struct conf *conf = aim->conf;
    bool ready = pl->in->ready[conf->partition];
    switch (pass) {
    case PASS_FINISH:
        return drop_learner(pl, aim) || (ready && evict(pl, aim));
    case PASS_REPAIR:
        return ready && is_short(pl, conf) && pl->in->due[conf->partition] && begin_copy(pl, aim);
    case PASS_DRAIN:
        if ((is_draining(pl, conf->primary) || is_full(pl, conf->primary)) && hand_over(pl, aim))
            return true;
        return ready && conf->learner_count == 0 && !is_short(pl, conf) && has_drained(pl, aim) &&
               begin_copy(pl, aim);
    case PASS_SPREAD:
        return ready && pl->in->quiet && is_whole(pl, aim) && is_to_spread(pl, aim) && begin_copy(pl, aim);
    case PASS_EVEN:
        return ready && pl->in->quiet && is_whole(pl, aim) && begin_copy(pl, aim);
    case PASS_PRIMARIES:
        return pl->in->quiet && !pl->unsettled && even_primary(pl, aim);
    case PASSES:
        break;
    }
    return false;
}

/* ---- moves, for people */

static void add_move(struct moves_plan *out, struct move move)
{
    if (out->move_count == out->move_cap) {
        out->move_cap = out->move_cap == 0 ? 16 : out->move_cap * 2;
        out->moves = xrealloc(out->moves, out->move_cap * sizeof *out->moves);
    }
    out->moves[out->move_count++] = move;
}

static enum moves_state leaving_state(const struct planner *pl, const struct aim *aim, uint32_t from)
{
    if (aim->conf->member_count <= pl->in->copies)
        return MOVES_WAITS;
    return from == aim->conf->primary ? MOVES_HANDS_OVER : MOVES_LEAVES;
}

/* Each copy to come is paired with one that goes: first the learners, then what is not begun. */
static void tell_moves(const struct planner *pl, const struct aim *aim)
{
    const struct conf *conf = aim->conf;
    size_t from = 0;
    for (size_t i = 0; i < conf->learner_count + aim->missing_count; i++) {
        bool learner = i < conf->learner_count;
        struct move move = { .partition = conf->partition,
                             .from = from < aim->surplus_count ? aim->surplus[from++] : 0,
                             .to = learner ? conf->learners[i] : aim->missing[i - conf->learner_count],
                             .state = learner ? MOVES_COPIES : MOVES_WAITS };
        add_move(pl->out, move);
    }
    for (; from < aim->surplus_count; from++)
        add_move(pl->out, (struct move){ .partition = conf->partition,
                                         .from = aim->surplus[from],
                                         .state = leaving_state(pl, aim, aim->surplus[from]) });
}

static void count_learners(struct planner *pl)
{
    for (size_t p = 0; p < pl->in->partition_count; p++) {
        const struct conf *conf = &pl->in->confs[p];
        pl->learning += conf->learner_count > 0;
        for (size_t i = 0; i < conf->learner_count; i++) {
            make_busy(pl, conf->learners[i]);
            make_busy(pl, conf->primary);
            take_room(pl, conf->learners[i], conf->partition);
        }
    }
}

static void plan_partitions(struct planner *pl)
{
    size_t count = pl->in->partition_count;
    bool *done = NEW_ARRAY(bool, count + 1);
    for (size_t p = 0; p < count; p++) {
        struct aim aim = aim_of(pl, p);
        tell_moves(pl, &aim);
        if (pl->in->copies > aim.target->count)
            pl->out->waiting += pl->in->copies - aim.target->count;
    }
    pl->unsettled = pl->out->move_count > 0;
    for (enum pass pass = PASS_FINISH; pass < PASSES; pass++) {
        for (size_t p = 0; p < count; p++) {
            struct aim aim = aim_of(pl, p);
            done[p] = done[p] || do_pass(pl, &aim, pass);
        }
    }
    free(done);
}

void moves_make(const struct moves_input *input, struct moves_plan *out)
{
    struct planner pl = { .in = input, .out = out };
    out->move_count = out->step_count = out->waiting = 0;
    pl.slots = NEW_ARRAY(struct placement_slot, input->partition_count + 1);
    pl.busy = NEW_ARRAY(size_t, input->node_count + 1);
    pl.taken = NEW_ARRAY(uint64_t, input->node_count + 1);
    solve(&pl);
    count_learners(&pl);
    plan_partitions(&pl);
    free(pl.taken);
    free(pl.busy);
    free(pl.slots);
}

void moves_plan_fini(struct moves_plan *plan)
{
    free(plan->moves);
    free(plan->steps);
    *plan = (struct moves_plan){ 0 };
}

const char *moves_state_text(enum moves_state state)
{
    switch (state) {
    case MOVES_WAITS:
        return "waits";
    case MOVES_COPIES:
        return "copies";
    case MOVES_HANDS_OVER:
        return "hands over";
    case MOVES_LEAVES:
        return "leaves";
    }
    return "?";
}
