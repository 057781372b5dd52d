/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/watch.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "tests/sim/cluster/client.h"
#include "tests/sim/cluster/frontend.h"
#include "tests/sim/cluster/truth.h"

enum {
    SESSIONS = 2, /* at a front-end, of a mailbox: they share what the store has registered */
    WATCHERS_MAX = ACCOUNTS_MAX * BOXES * FRONTENDS * SESSIONS,
    WATCHED_PER_MILLE = 500,
    TURN_MS = 3000,         /* at most, until a session thinks of beginning or ending to watch */
    END_PER_MILLE = 250,    /* else it goes on watching */
    FORGET_PER_MILLE = 100, /* what was told: it was another session, which knows what it read long ago */
    BOUND_MS = 10000,       /* a new primary is found, known and asked: then all is heard. Who asked one that
                               died waits for 5 s, unless a map names another */
};

/* A session. */
struct watcher {
    struct event event; /* first: its next decision */
    struct cluster *c;
    struct account *account;
    int box, frontend;
    struct watch *watch; /* NULL: it does something else */
    uint64_t since;      /* it watches */
    uint64_t heard;      /* modseq */
};

struct watches {
    struct watcher list[WATCHERS_MAX];
    int count;
    int expected; /* changes of which somebody must still hear */
};

/* A change that was answered. */
struct expected {
    struct event event; /* first */
    const struct account *account;
    bool boxes[BOXES];
    uint64_t modseq, answered_at;
};

/* ---- watching */

static void on_change(uint64_t modseq, void *arg)
{
    struct watcher *w = arg;
    if (modseq <= w->heard)
        cluster_fail(w->c, "%s box %d: front-end %d tells of modseq %llu, and told of %llu before",
                     w->account->address, w->box, w->frontend, (unsigned long long)modseq,
                     (unsigned long long)w->heard);
    w->heard = modseq;
}

static void begin(struct watcher *w)
{
    if (cluster_chance(w->c, FORGET_PER_MILLE))
        w->heard = 0;
    w->since = w->c->now;
    w->watch = frontend_watch(w->c, w->frontend, w->account->id, w->account->partition,
                              w->account->boxes[w->box].id, w->heard, on_change, w);
}

static void end(struct watcher *w)
{
    frontend_unwatch(w->c, w->frontend, &w->watch);
}

static void decide(struct cluster *c, struct event *e)
{
    struct watcher *w = (struct watcher *)e;
    if (w->watch == NULL && w->account->ready)
        begin(w);
    else if (w->watch != NULL && !c->clients->finishing && cluster_chance(c, END_PER_MILLE))
        end(w);
    cluster_post(c, &w->event, c->now + cluster_below(c, TURN_MS * MS));
}

/* ---- what must be heard */

static void expected_drop(struct event *e)
{
    free(e);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* By when the watcher, which watches, must have heard of it. */
static uint64_t bound_of(const struct expected *x, const struct watcher *w)
{
    return later(later(x->answered_at, w->since), w->c->shaken_at) + BOUND_MS * MS;
}

static bool must_hear(const struct expected *x, const struct watcher *w)
{
    return w->watch != NULL && w->account == x->account && x->boxes[w->box] && w->heard < x->modseq;
}

static void on_bound(struct cluster *c, struct event *e)
{
    const struct expected *x = (struct expected *)e;
    struct watches *all = c->clients->watches;
    uint64_t again = 0;
    if (operators_restoring(c)) /* partitions may serve nobody before that is done (R27) */
        c->shaken_at = c->now;
    for (int i = 0; i < all->count; i++) {
        const struct watcher *w = &all->list[i];
        if (!must_hear(x, w))
            continue;
        if (c->now < bound_of(x, w))
            again = later(again, bound_of(x, w));
        else
            cluster_fail(c,
                         "%s box %d: modseq %llu was answered at %.4f, and who watches at front-end %d since "
                         "%.4f heard of %llu only",
                         w->account->address, w->box, (unsigned long long)x->modseq,
                         (double)x->answered_at / 1e9, w->frontend, (double)w->since / 1e9,
                         (unsigned long long)w->heard);
    }
    if (again != 0) {
        cluster_post(c, e, again);
        return;
    }
    all->expected--;
    free(e);
}

void watches_answered(const struct op *op)
{
    struct cluster *c = op->c;
    if (c->clients->watches == NULL || !c->calm || op->begun < c->calm_at || op->modseq == 0)
        return;
    struct expected *x = NEW(struct expected);
    *x = (struct expected){ .event = { .run = on_bound, .drop = expected_drop },
                            .account = op->targets[0],
                            .modseq = op->modseq,
                            .answered_at = c->now };
    x->boxes[op->kind == OP_COPY ? op->to_box : op->box] = true;
    x->boxes[op->box] |= op->move;
    c->clients->watches->expected++;
    cluster_post(c, &x->event, c->now + BOUND_MS * MS);
}

bool watches_idle(const struct cluster *c)
{
    return c->clients->watches == NULL || c->clients->watches->expected == 0;
}

/* ---- beginning and end */

static void decide_drop(struct event *e) {}

struct watches *watches_new(struct cluster *c)
{
    struct watches *all = NEW(struct watches);
    const struct clients *clients = c->clients;
    for (int i = 0; i < clients->account_count * BOXES * FRONTENDS * SESSIONS; i++) {
        if (!cluster_chance(c, WATCHED_PER_MILLE))
            continue;
        struct watcher *w = &all->list[all->count++];
        *w = (struct watcher){ .event = { .run = decide, .drop = decide_drop },
                               .c = c,
                               .account = &c->clients->accounts[i / (BOXES * FRONTENDS * SESSIONS)],
                               .box = i / (FRONTENDS * SESSIONS) % BOXES,
                               .frontend = i / SESSIONS % FRONTENDS };
        cluster_post(c, &w->event, c->now + cluster_below(c, TURN_MS * MS));
    }
    return all;
}

void watches_end(struct watches *all)
{
    for (int i = 0; all != NULL && i < all->count; i++)
        end(&all->list[i]);
}

void watches_free(struct watches **all)
{
    free(*all);
    *all = NULL;
}
