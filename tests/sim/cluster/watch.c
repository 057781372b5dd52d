/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/watch.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "proto/message.pb-c.h"
#include "tests/sim/cluster/call.h"
#include "tests/sim/cluster/client.h"
#include "tests/sim/cluster/truth.h"

enum {
    WATCHERS_MAX = ACCOUNTS_MAX * BOXES * FRONTENDS,
    WATCHED_PER_MILLE = 600,
    LOOK_MS = 400,   /* at most, between two looks at the map */
    RETRY_MS = 1000, /* after a registration that failed, or has no answer */
    DEADLINE_MS = 2000,
    BOUND_MS = 6000, /* a new primary is found, known and asked: then all is heard */
};

struct watcher {
    struct event event; /* first: it looks at its map and at the time */
    struct cluster *c;
    struct account *account;
    int box, frontend, slot; /* slot: of the primary by the newest map */
    uint64_t map_epoch;
    uint64_t epoch; /* of the map when it registered */
    uint64_t due, number, heard;
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

static void hear(struct watcher *w, uint64_t modseq)
{
    if (modseq > w->heard)
        w->heard = modseq;
}

/* ---- registering */

static uint64_t watch_id(int frontend)
{
    return 100 + (uint64_t)frontend; /* one of each front-end, for all that it watches */
}

/* True if the node knew the epoch by which it was asked. */
static bool take_answer(struct watcher *w, const struct call *call)
{
    Tern__WatchResponse *r = tern__watch_response__unpack(NULL, call->response.len, call->response.data);
    if (r == NULL) {
        cluster_fail(w->c, "%s: the answer to a watch cannot be read", w->account->address);
        return false;
    }
    bool current = r->epoch >= w->epoch || w->c->breaks.blind_watch;
    hear(w, r->modseq);
    tern__watch_response__free_unpacked(r, NULL);
    return current;
}

static void on_registered(struct call *call)
{
    struct watcher *w = call->arg;
    enum err_class class = err_class(call->status);
    uint64_t number;
    memcpy(&number, call->base.request_id, sizeof number);
    bool registered = call->status == OK && take_answer(w, call);
    if (call->status != OK && class != ERR_CLASS_TEMPORARY && class != ERR_CLASS_ROUTING)
        cluster_fail(w->c, "%s: a watch was refused: %s", w->account->address, err_text(call->status));
    if (number == w->number)
        w->due = w->c->now + (registered ? WATCH_RENEW_MS : RETRY_MS) * MS;
}

static void register_at(struct watcher *w, int slot)
{
    Tern__WatchRequest request = TERN__WATCH_REQUEST__INIT;
    struct call *call = call_new(w->c, w->frontend, slot, w->account->partition, DEADLINE_MS);
    request.watch = watch_id(w->frontend);
    request.account = w->account->id;
    request.mailbox = w->account->boxes[w->box].id;
    request.modseq = w->heard;
    mail_pack(&request.base, &call->request);
    w->number++;
    memcpy(call->base.request_id, &w->number, sizeof w->number);
    call->base.method = METHOD_WATCH;
    call->base.kind = METHOD_MEMORY;
    call->base.peer = (struct partition_peer){ .bytes = { (uint8_t)w->frontend }, .len = 1 };
    call->arg = w;
    call->answered = on_registered;
    w->c->totals.watches++;
    call_send(call);
}

static void look(struct cluster *c, struct event *e)
{
    struct watcher *w = (struct watcher *)e;
    const struct conf *conf = truth_conf(c, w->account->partition);
    if (clients_hear_directors(c, w->frontend) && conf->epoch != w->map_epoch) {
        const struct node *n = node_find(c, conf->primary);
        w->map_epoch = conf->epoch;
        w->slot = n == NULL ? -1 : n->slot;
    }
    if (w->account->ready && w->slot >= 0 && (w->map_epoch != w->epoch || w->due <= c->now)) {
        w->epoch = w->map_epoch;
        w->due = c->now + RETRY_MS * MS;
        register_at(w, w->slot);
    }
    cluster_post(c, &w->event, c->now + cluster_below(c, LOOK_MS * MS));
}

/* ---- notices */

struct notice {
    struct event event; /* first */
    int frontend;
    uint64_t account, mailbox, modseq;
};

static void notice_drop(struct event *e)
{
    free(e);
}

static void on_notice(struct cluster *c, struct event *e)
{
    const struct notice *notice = (struct notice *)e;
    struct watches *all = c->clients->watches;
    for (int i = 0; i < all->count; i++) {
        struct watcher *w = &all->list[i];
        if (w->frontend == notice->frontend && w->account->id == notice->account &&
            w->account->boxes[w->box].id == notice->mailbox)
            hear(w, notice->modseq);
    }
    c->totals.notices++;
    free(e);
}

void watches_notice(struct node *n, const struct partition_peer *peer, struct slice packed)
{
    struct cluster *c = n->c;
    Tern__WatchNotice *in = tern__watch_notice__unpack(NULL, packed.len, packed.data);
    int frontend = peer->bytes[0];
    uint64_t at;
    if (in == NULL || in->watch != watch_id(frontend)) {
        cluster_fail(c, "a notice is for nobody");
    } else if (!n->dying && network_route(c, n->slot, end_of_frontend(frontend), &at)) {
        struct notice *notice = NEW(struct notice);
        *notice = (struct notice){
            { .run = on_notice, .drop = notice_drop }, frontend, in->account, in->mailbox, in->modseq
        };
        cluster_post(c, &notice->event, at);
    }
    if (in != NULL)
        tern__watch_notice__free_unpacked(in, NULL);
}

/* ---- what must be heard */

static void expected_drop(struct event *e)
{
    free(e);
}

static void on_bound(struct cluster *c, struct event *e)
{
    const struct expected *x = (struct expected *)e;
    struct watches *all = c->clients->watches;
    if (operators_restoring(c))
        c->shaken_at = c->now;
    if (c->now < c->shaken_at + BOUND_MS * MS) {
        cluster_post(c, e, c->shaken_at + BOUND_MS * MS);
        return;
    }
    for (int i = 0; i < all->count; i++) {
        const struct watcher *w = &all->list[i];
        if (w->account == x->account && x->boxes[w->box] && w->heard < x->modseq)
            cluster_fail(
                c,
                "%s box %d: modseq %llu was answered at %.4f, and front-end %d that watches heard of "
                "%llu only",
                w->account->address, w->box, (unsigned long long)x->modseq, (double)x->answered_at / 1e9,
                w->frontend, (unsigned long long)w->heard);
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

static void look_drop(struct event *e) {}

struct watches *watches_new(struct cluster *c)
{
    struct watches *all = NEW(struct watches);
    const struct clients *clients = c->clients;
    for (int i = 0; i < clients->account_count * BOXES * FRONTENDS; i++) {
        if (!cluster_chance(c, WATCHED_PER_MILLE))
            continue;
        struct watcher *w = &all->list[all->count++];
        *w = (struct watcher){ .event = { .run = look, .drop = look_drop },
                               .c = c,
                               .account = &c->clients->accounts[i / (BOXES * FRONTENDS)],
                               .box = i / FRONTENDS % BOXES,
                               .frontend = i % FRONTENDS,
                               .slot = -1 };
        cluster_post(c, &w->event, c->now + cluster_below(c, LOOK_MS * MS));
    }
    return all;
}

void watches_free(struct watches **w)
{
    free(*w);
    *w = NULL;
}
