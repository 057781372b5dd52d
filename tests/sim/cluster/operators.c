/* SPDX-License-Identifier: Apache-2.0 */
/* What operators do while mail flows: they add nodes, empty them, take that back, remove nodes that are empty
 * or dead. A command may be lost or refused for now; it is told again until it is so. */
#include <stdlib.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/truth.h"

enum { TELL_EVERY_MS = 1500, REUSED_MS = 3000, LOOK_BACK = 12 };

/* Of a node id. */
struct wanted {
    bool draining, told_drain; /* told_drain: it was ever to be emptied */
    bool lost, removing, gone;
    size_t removed_at; /* changes that the store had taken by then */
};

struct operators {
    struct wanted ids[IDS_MAX];
    bool restoring;
};

struct round {
    struct event event; /* first */
};

static struct wanted *wanted_of(struct cluster *c, uint32_t id)
{
    if (id >= IDS_MAX) {
        cluster_fail(c, "more node ids than this simulator counts");
        id = 0;
    }
    return &c->operators->ids[id];
}

bool operators_want(struct cluster *c, const struct node *n)
{
    const struct wanted *w = wanted_of(c, n->self.id);
    return n->self.id != 0 && !n->dead && !w->draining && !w->lost && !w->gone;
}

/* ---- telling */

static struct director_call call_of_operator(void)
{
    return (struct director_call){ .node = -1,
                                   .kind = CALL_OPERATOR,
                                   .director = (int)sim_below((uint64_t)directors.count) };
}

static void tell_drain(uint32_t id, bool drain)
{
    Tern__NodeDrainRequest request = TERN__NODE_DRAIN_REQUEST__INIT;
    struct director_call call = call_of_operator();
    request.node = id;
    request.drain = drain;
    director_call_send(&call, METHOD_NODE_DRAIN, &request.base);
}

static void tell_remove(uint32_t id, bool lost)
{
    Tern__NodeRemoveRequest request = TERN__NODE_REMOVE_REQUEST__INIT;
    struct director_call call = call_of_operator();
    request.node = id;
    request.lost = lost;
    director_call_send(&call, METHOD_NODE_REMOVE, &request.base);
}

static void tell_recover(uint32_t partition)
{
    Tern__PartitionRecoverRequest request = TERN__PARTITION_RECOVER_REQUEST__INIT;
    struct director_call call = call_of_operator();
    request.partition = partition;
    director_call_send(&call, METHOD_PARTITION_RECOVER, &request.base);
}

static bool is_ahead(const struct cluster *c, int partition)
{
    return store_conf((uint32_t)partition)->epoch < truth_conf(c, partition)->epoch;
}

/* Those that came after the copy was made are there again. Before, another could be given the id of one of
 * them. */
static bool has_all_nodes(struct cluster *c)
{
    for (int i = 0; i < c->slots; i++) {
        const struct node *n = c->nodes[i];
        const struct wanted *w = wanted_of(c, n->self.id);
        if (n->self.id != 0 && !n->dead && !w->lost && !w->gone && !store_has_node(n->self.id))
            return false;
    }
    return true;
}

/* R27: until the store has every node and is ahead of every disk. */
static void recover(struct cluster *c)
{
    bool any = !has_all_nodes(c);
    truth_restored(c); /* who was restarted meanwhile knows only what is on its disk */
    for (int p = 0; p < c->partitions; p++) {
        if (is_ahead(c, p))
            tell_recover((uint32_t)p);
        any |= is_ahead(c, p);
    }
    if (!any)
        cluster_trace(c, "the store has every node and goes on above every epoch");
    c->operators->restoring = any;
}

static void tell(struct cluster *c)
{
    if (c->operators->restoring)
        recover(c);
    for (uint32_t id = 1; id < IDS_MAX; id++) {
        const struct wanted *w = &c->operators->ids[id];
        if (w->gone)
            continue;
        if (w->told_drain && !w->lost)
            tell_drain(id, w->draining);
        if (w->removing)
            tell_remove(id, w->lost);
    }
}

void weather_answer(const struct director_call *call, enum err status)
{
    (void)call;
    (void)status;
}

void operators_named(struct cluster *c, const struct node *n, uint32_t id)
{
    const struct wanted *w = wanted_of(c, id);
    const struct node *other = node_find(c, id);
    if (w->lost || w->gone || (other != NULL && other != n))
        cluster_fail(c, "the id %u is given a second time (R26)", id);
}

/* The machine is free for a new disk. */
void check_removed(uint32_t id)
{
    struct cluster *c = surroundings_world();
    struct node *n = node_find(c, id);
    cluster_trace(c, "node %u is removed", id);
    c->totals.removals++;
    wanted_of(c, id)->gone = true;
    wanted_of(c, id)->removed_at = store_entries() + 1;
    for (int p = 0; p < c->partitions; p++) {
        if (conf_is_member(truth_conf(c, p), id) && !wanted_of(c, id)->lost)
            cluster_fail(c, "node %u is removed and is a member of partition %d", id, p);
    }
    if (n == NULL)
        return;
    n->retire_at = c->now + cluster_below(c, REUSED_MS * MS);
}

static void reuse_machines(struct cluster *c)
{
    for (int i = 0; i < c->slots; i++) {
        struct node *n = c->nodes[i];
        if (n->retire_at == 0 || c->now < n->retire_at || n->reading)
            continue;
        wanted_of(c, n->self.id)->lost = true;
        node_kill(n, 0);
        node_replace_disk(n);
        n->dead = false;
        n->retire_at = 0;
        n->start_at = c->now;
    }
}

/* What an operator must not go back behind: partitions that nobody has yet. */
static bool is_born(struct cluster *c)
{
    for (int p = 0; p < c->partitions; p++) {
        const struct node *n = node_find(c, truth_conf(c, p)->primary);
        const struct partition_public *pub = n == NULL ? NULL : node_public(n, p);
        if (pub == NULL || !atomic_load(&pub->active))
            return false;
    }
    return truth_is_placed(c);
}

static void round_run(struct cluster *c, struct event *e)
{
    if (!c->calm && !c->operators->restoring && cluster_chance(c, c->operate))
        operators_begin(c);
    if (c->placed_at == 0 && is_born(c))
        c->placed_at = store_entries();
    tell(c);
    reuse_machines(c);
    cluster_post(c, e, c->now + cluster_below(c, 2 * TELL_EVERY_MS * MS));
}

static void round_drop(struct event *e)
{
    free(e);
}

/* ---- commands */

static uint32_t count_usable(struct cluster *c, const struct node *but)
{
    uint32_t count = 0;
    for (int i = 0; i < c->slots; i++)
        count += c->nodes[i] != but && operators_want(c, c->nodes[i]);
    return count;
}

bool operators_may_lose(struct cluster *c, const struct node *n)
{
    if (c->placed_at == 0 || count_usable(c, n) < COPIES) /* R26: as may_lose in weather.c */
        return false;
    for (int p = 0; p < c->partitions; p++) {
        const struct conf *conf = truth_conf(c, p);
        int others = 0;
        if (!conf_is_member(conf, n->self.id))
            continue;
        for (int i = 0; i < conf->member_count; i++) {
            const struct node *x = node_find(c, conf->members[i]);
            others += x != NULL && x != n && !x->dead;
        }
        if (others < COPIES - 1)
            return false;
    }
    return true;
}

static void add_node(struct cluster *c)
{
    if (c->slots == SLOTS_MAX)
        return;
    c->nodes[c->slots] = node_new(c, c->slots);
    c->slots++;
    cluster_trace(c, "a machine is added");
}

static void begin_drain(struct cluster *c, struct node *n, struct wanted *w)
{
    if (count_usable(c, n) < COPIES)
        return;
    w->draining = w->told_drain = true;
    w->removing = cluster_chance(c, 500);
    c->totals.drains++;
    cluster_trace(c, "node %u is to be emptied%s", n->self.id, w->removing ? " and removed" : "");
}

static void end_drain(struct cluster *c, struct node *n, struct wanted *w)
{
    if (w->removing)
        return;
    w->draining = false;
    cluster_trace(c, "node %u may hold copies again", n->self.id);
}

static void kill_for_good(struct cluster *c, struct node *n)
{
    if (n->reading || !operators_may_lose(c, n))
        return;
    node_kill(n, 0);
    n->dead = true;
    operators_lost(c, n->self.id);
    cluster_trace(c, "node %u is dead for good", n->self.id);
}

void operators_lost(struct cluster *c, uint32_t id)
{
    struct wanted *w = wanted_of(c, id);
    w->lost = true;
    w->removing = w->removing || cluster_chance(c, 600);
    c->totals.deaths++;
}

void operators_begin(struct cluster *c)
{
    struct node *n = c->nodes[cluster_below(c, (uint64_t)c->slots)];
    if (!truth_is_placed(c))
        return;
    if (cluster_chance(c, 250)) {
        add_node(c);
        return;
    }
    struct wanted *w = wanted_of(c, n->self.id);
    if (n->self.id == 0 || n->dead || w->gone)
        return;
    if (w->draining)
        end_drain(c, n, w);
    else if (cluster_chance(c, 700))
        begin_drain(c, n, w);
    else
        kill_for_good(c, n);
}

/* ---- a store that is put back */

static bool was_removed(const struct wanted *w, size_t entries)
{
    return w->gone && w->removed_at <= entries;
}

/* Nodes that the copy names and that never come. */
static int count_silent(struct cluster *c, size_t entries)
{
    int count = 0;
    for (uint32_t id = 1; id < IDS_MAX; id++)
        count += c->operators->ids[id].lost && !was_removed(&c->operators->ids[id], entries);
    return count;
}

/* As docs/operations.md has it: everything that is left runs, and nothing else goes wrong meanwhile. */
static void start_all(struct cluster *c)
{
    for (int i = 0; i < c->slots; i++) {
        struct node *n = c->nodes[i];
        n->paused_until = 0;
        if (!n->up)
            n->start_at = c->now;
        if (n->retire_at != 0 && n->up && !was_removed(wanted_of(c, n->self.id), store_entries()))
            n->retire_at = 0;
    }
    for (int from = 0; from < ENDS; from++) {
        for (int to = 0; to < ENDS; to++)
            c->cut_until[from][to] = 0;
    }
}

bool operators_restore(struct cluster *c)
{
    size_t now = store_entries(), back = cluster_below(c, LOOK_BACK);
    if (c->placed_at == 0 || c->operators->restoring || now == c->placed_at || back == 0)
        return false;
    size_t entries = now - c->placed_at > back ? now - back : c->placed_at;
    if (count_silent(c, entries) >= c->min_members)
        return false;
    store_restore(entries);
    truth_restored(c);
    for (uint32_t id = 1; id < IDS_MAX; id++) {
        struct wanted *w = &c->operators->ids[id];
        w->removing = w->removing || w->gone || w->lost;
        w->gone = was_removed(w, entries);
    }
    start_all(c);
    c->operators->restoring = true;
    c->totals.restores++;
    return true;
}

bool operators_restoring(const struct cluster *c)
{
    return c->operators->restoring;
}

/* ---- life */

void operators_init(struct cluster *c)
{
    struct round *r = NEW(struct round);
    c->operators = NEW(struct operators);
    r->event = (struct event){ .run = round_run, .drop = round_drop };
    cluster_post(c, &r->event, c->now + cluster_below(c, TELL_EVERY_MS * MS));
}

void operators_fini(struct cluster *c)
{
    free(c->operators);
}

/* The store that was put back never had it, and nobody is left who would say hello as that node. */
static bool is_forgotten(struct cluster *c, uint32_t id)
{
    const struct node *n = node_find(c, id);
    return (n == NULL || n->dead) && !store_has_node(id);
}

bool operators_are_done(struct cluster *c, struct buf *why)
{
    for (uint32_t id = 1; id < IDS_MAX; id++) {
        const struct wanted *w = &c->operators->ids[id];
        if (!w->removing || w->gone || is_forgotten(c, id))
            continue;
        buf_addf(why, "node %u is not removed yet", id);
        return false;
    }
    return true;
}
