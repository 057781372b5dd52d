/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong, and what operators do: nodes come, are emptied, removed, and die for good. In haste they
 * also call nodes lost that are only away, and say so again and again while these come back. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "tests/sim/director/dsim.h"

enum {
    FAULT_EVERY_MS = 2500,
    LONG_MS = 6000,
    OPERATE_EVERY_MS = 2000,
    HASTE_EVERY_MS = 9000,
    HASTE_AWAY_MS = MAP_NODE_ALIVE_MS - 500, /* a node is away: no director need have noticed, or all have */
    HASTE_TELLS_MS = 60,
    HASTE_LASTS_MS = 4000,
};

struct wind {
    struct todo todo;
    bool operators;
};

static bool is_placed(void)
{
    for (uint32_t p = 0; p < sim->partitions; p++) {
        if (store_conf(p)->epoch == 0)
            return false;
    }
    return true;
}

static struct node *any_node(void)
{
    struct node *n = &sim->nodes[sim_below(NODES_MAX)];
    return n->used && n->id != 0 && !n->dead && !n->gone ? n : NULL;
}

static unsigned any_zone(int slot)
{
    return sim->zones == 0 ? (unsigned)slot : (unsigned)slot % sim->zones;
}

/* ---- faults */

static void cut(void)
{
    int from = (int)sim_below(ENDS), to = (int)sim_below(ENDS);
    uint64_t until = sim->now + 500 + sim_below(LONG_MS);
    sim->cut_until[from][to] = until;
    if (sim_chance(500))
        sim->cut_until[to][from] = until;
    sim_trace("link %d to %d is cut", from, to);
}

static void isolate(int end)
{
    uint64_t until = sim->now + 500 + sim_below(LONG_MS);
    for (int i = 0; i < ENDS; i++)
        sim->cut_until[end][i] = sim->cut_until[i][end] = until;
    sim_trace("end %d is alone", end);
}

/* For good: only if every partition has another member that lives. */
static bool may_die(const struct node *n)
{
    uint32_t usable = 0;
    for (int i = 0; i < NODES_MAX; i++) {
        const struct node *x = &sim->nodes[i];
        usable += x != n && x->used && !x->dead && !x->gone && !x->draining && !x->doubted;
    }
    for (uint32_t p = 0; p < sim->partitions; p++) {
        const struct conf *conf = store_conf(p);
        uint32_t others = 0;
        for (int i = 0; i < conf->member_count; i++) {
            const struct node *x = node_of(conf->members[i]);
            others += x != NULL && x != n && !x->dead;
        }
        if (others < sim->copies - (sim->copies > 2) || others == 0)
            return false;
    }
    return usable >= sim->copies;
}

static void fault(void)
{
    struct node *n = any_node();
    int director = (int)sim_below(DIRECTORS);
    uint64_t ms = 500 + sim_below(LONG_MS);
    switch (sim_below(12)) {
    case 0:
    case 1:
        host_crash(director, ms);
        break;
    case 2:
        directors.hosts[director].paused_until = sim->now + ms;
        sim_trace("director %d stands still", director);
        break;
    case 3:
        store_down(ms);
        break;
    case 4:
        isolate(director);
        break;
    case 5:
        if (n != NULL)
            isolate(END_NODE + node_slot(n));
        break;
    case 6:
    case 7:
        cut();
        break;
    case 8:
        if (n != NULL && n->up) {
            n->paused_until = sim->now + ms;
            sim_trace("node %u stands still", n->id);
        }
        break;
    default:
        if (n != NULL && n->up)
            node_crash(n, ms * (1 + 2 * sim_below(2)));
        break;
    }
}

/* ---- operators */

static void tell_drain(struct node *n)
{
    Tern__NodeDrainRequest request = TERN__NODE_DRAIN_REQUEST__INIT;
    struct director_call call = { .node = -1, .kind = CALL_OPERATOR, .director = (int)sim_below(DIRECTORS) };
    request.node = n->id;
    request.drain = n->draining;
    director_call_send(&call, METHOD_NODE_DRAIN, &request.base);
}

static void tell_remove(const struct node *n, bool lost)
{
    Tern__NodeRemoveRequest request = TERN__NODE_REMOVE_REQUEST__INIT;
    struct director_call call = { .node = -1, .kind = CALL_OPERATOR, .director = (int)sim_below(DIRECTORS) };
    request.node = n->id;
    request.lost = lost;
    director_call_send(&call, METHOD_NODE_REMOVE, &request.base);
}

void weather_answer(const struct director_call *call, enum err status)
{
    (void)call;
    (void)status; /* told again until it is so */
}

static uint32_t count_usable(void)
{
    uint32_t count = 0;
    for (int i = 0; i < NODES_MAX; i++) {
        const struct node *n = &sim->nodes[i];
        count += n->used && !n->dead && !n->gone && !n->draining && !n->doubted;
    }
    return count;
}

static void kill_for_good(struct node *n)
{
    if (!may_die(n))
        return;
    node_crash(n, 0);
    n->dead = true;
    n->removing = sim_chance(500);
    sim->totals.deaths++;
    sim_trace("node %u is dead for good", n->id);
}

static void begin(void)
{
    struct node *n = any_node();
    switch (sim_below(5)) {
    case 0:
    case 1: {
        struct node *fresh = node_start(0);
        if (fresh != NULL)
            fresh->zone[1] = (char)('a' + (char)any_zone(node_slot(fresh)));
        break;
    }
    case 2:
        if (n != NULL && !n->draining && count_usable() > sim->copies) {
            n->draining = true;
            n->removing = sim_chance(500);
            sim->totals.drains++;
            sim_trace("node %u is to be emptied%s", n->id, n->removing ? " and removed" : "");
        }
        break;
    case 3:
        if (n != NULL && n->draining && !n->removing) {
            n->draining = false;
            sim_trace("node %u may hold copies again", n->id);
        }
        break;
    default:
        if (n != NULL && !n->draining)
            kill_for_good(n);
        break;
    }
}

void weather_operate(void)
{
    for (int i = 0; i < NODES_MAX; i++) {
        struct node *n = &sim->nodes[i];
        if (!n->used || n->id == 0 || n->gone)
            continue;
        if (!n->dead)
            tell_drain(n);
        if (n->removing)
            tell_remove(n, n->dead);
    }
}

/* ---- life */

static void wind_run(struct todo *todo)
{
    struct wind *w = (struct wind *)todo;
    if (w->operators)
        weather_operate();
    if (!sim->calm && is_placed() && w->operators && sim_chance(300))
        begin();
    else if (!sim->calm && !w->operators)
        fault();
    uint64_t every = w->operators ? OPERATE_EVERY_MS : FAULT_EVERY_MS;
    sim_post(todo, sim->now + every / 2 + sim_below(every));
}

static void wind_drop(struct todo *todo)
{
    free(todo);
}

static void wind_start(bool operators)
{
    struct wind *w = NEW(struct wind);
    *w = (struct wind){ { .run = wind_run, .drop = wind_drop }, operators };
    sim_post(&w->todo, sim->now + FAULT_EVERY_MS);
}

/* ---- haste */

/* Somebody who calls a node lost that is only away. */
struct haste {
    struct todo todo;
    uint32_t id; /* 0: chooses one next */
    uint64_t until;
};

static void haste_run(struct todo *todo)
{
    struct haste *h = (struct haste *)todo;
    struct node *n = node_of(h->id);
    if (h->id != 0 && n != NULL && !n->gone && !sim->calm && sim->now < h->until) {
        tell_remove(n, true);
        sim_post(todo, sim->now + sim_below(HASTE_TELLS_MS));
        return;
    }
    if (n != NULL)
        n->doubted = false;
    n = any_node();
    h->id = 0;
    if (!sim->calm && is_placed() && n != NULL && n->up && may_die(n)) {
        uint64_t away = HASTE_AWAY_MS + sim_below(2000);
        node_crash(n, away);
        n->doubted = true;
        h->id = n->id;
        h->until = sim->now + away + HASTE_LASTS_MS;
        sim_post(todo, sim->now + HASTE_AWAY_MS);
    } else if (sim->calm) {
        free(h);
    } else {
        sim_post(todo, sim->now + HASTE_EVERY_MS / 2 + sim_below(HASTE_EVERY_MS));
    }
}

static void haste_start(void)
{
    struct haste *h = NEW(struct haste);
    h->todo = (struct todo){ .run = haste_run, .drop = wind_drop };
    sim_post(&h->todo, sim->now + FAULT_EVERY_MS);
}

void weather_init(void)
{
    uint32_t count = sim->copies + (uint32_t)sim_below(3);
    sim->delay_ms = 1 + sim_below(20);
    directors.lag_ms = 1 + sim_below(sim_chance(500) ? 20 : 800);
    sim->loss = sim_chance(500) ? 0 : (unsigned)sim_below(60);
    directors.twice = (unsigned)sim_below(150);
    sim->late = (unsigned)sim_below(40);
    for (uint32_t i = 0; i < count; i++) {
        struct node *n = node_start(0);
        n->zone[1] = (char)('a' + (char)any_zone(node_slot(n)));
    }
    wind_start(false);
    wind_start(true);
    if (sim->haste)
        haste_start();
}

void weather_calm(void)
{
    sim_trace("calm");
    sim->calm = true;
    memset(sim->cut_until, 0, sizeof sim->cut_until);
    store_calm();
    for (int i = 0; i < DIRECTORS; i++)
        directors.hosts[i].paused_until = directors.hosts[i].up_at = sim->now;
    for (int i = 0; i < NODES_MAX; i++) {
        sim->nodes[i].paused_until = 0;
        sim->nodes[i].up_at = sim->now;
    }
}
