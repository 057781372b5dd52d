/* SPDX-License-Identifier: Apache-2.0 */
/* Watches. One registration a mailbox at the storage node, however many sessions look at it here ("topic").
 * Registering and renewing is done by a few short-lived fibers that work through a queue, so that thousands
 * of idle sessions cost a hash entry each and no stack.
 *
 * Nothing is missed: a registration carries the newest modseq told, and its answer the mailbox's; when the
 * map changes or an answer fails, the topic is registered again. So it is, too, while the node does not have
 * the map's epoch on its disk: it may lose its seat or be restarted and then serve in that epoch, without our
 * watch and without another map. Notices are hints and may be lost; the renewal finds what they would have
 * said. */
#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "lib/base/alloc.h"
#include "lib/base/log.h"
#include "lib/base/rand.h"
#include "lib/fiber/fiber.h"
#include "lib/store/message.h"
#include "lib/store/store_priv.h"
#include "proto/message.pb-c.h"

enum {
    WORKERS_MAX = 16, /* registrations under way */
    TICK_MS = 1000,
    RETRY_MS = 1000,    /* after a registration that failed */
    STOP_CHECK_MS = 10, /* while workers end */
};

struct topic_key {
    uint64_t account;
    uint64_t mailbox;
};

struct topic {
    UT_hash_handle hh;
    struct topic_key key;
    uint32_t home;
    uint64_t modseq;        /* newest told to anyone */
    uint64_t primary_epoch; /* of the partition when registered */
    uint64_t due_ms;        /* next registration */
    bool queued, busy;      /* in the queue; a worker holds it (never both) */
    bool again;             /* changed while a worker held it: once more */
    LIST_HEAD(, watch) watches;
    TAILQ_ENTRY(topic) queue; /* in `ready` if queued, else in `resting` (ordered by due_ms, renewals only) */
};

struct watch {
    struct watches *all;
    struct topic *topic;
    watch_fn *fn;
    void *arg;
    uint64_t modseq;
    LIST_ENTRY(watch) entry;
};

TAILQ_HEAD(topic_queue, topic);

struct watches {
    struct store *store;
    struct topic *topics;
    struct topic_queue ready, resting;
    unsigned workers;
    uint64_t id; /* tells this front-end thread's watches apart at the node */
    struct timer tick;
};

static void tell(struct topic *topic, uint64_t modseq)
{
    struct watch *w, *next;
    if (modseq > topic->modseq)
        topic->modseq = modseq;
    for (w = LIST_FIRST(&topic->watches); w != NULL; w = next) {
        next = LIST_NEXT(w, entry);
        if (modseq > w->modseq) {
            w->modseq = modseq;
            w->fn(modseq, w->arg);
        }
    }
}

static uint64_t epoch_of(const struct store *store, uint32_t partition)
{
    const Tern__Map *map = store->map;
    return map != NULL && partition < map->n_partitions ? map->partitions[partition]->epoch : 0;
}

static void enqueue(struct watches *all, struct topic *topic);

static void forget(struct watches *all, struct topic *topic)
{
    TAILQ_REMOVE(topic->queued ? &all->ready : &all->resting, topic, queue);
    HASH_DEL(all->topics, topic);
    free(topic);
}

/* Register (or, without watchers, end) one topic at its primary. ERR_STALE_MAP: it is registered, but by an
 * epoch older than the map's. Yields. */
static enum err register_topic(struct watches *all, struct topic *topic)
{
    Tern__WatchRequest request = TERN__WATCH_REQUEST__INIT;
    Tern__WatchResponse *response;
    request.watch = all->id;
    request.account = topic->key.account;
    request.mailbox = topic->key.mailbox;
    request.modseq = topic->modseq;
    request.end = LIST_EMPTY(&topic->watches);
    topic->primary_epoch = epoch_of(all->store, topic->home);
    TRY(call_simple(all->store, METHOD_WATCH, topic->home, &request.base, &tern__watch_response__descriptor,
                    &response));
    if (!request.end)
        tell(topic, response->modseq);
    bool behind = !request.end && response->epoch != 0 && response->epoch < topic->primary_epoch;
    tern__watch_response__free_unpacked(response, NULL);
    return behind ? ERR_STALE_MAP : OK;
}

static void worker(void *arg)
{
    struct watches *all = arg;
    struct topic *topic;
    while ((topic = TAILQ_FIRST(&all->ready)) != NULL && !all->store->stopping) {
        TAILQ_REMOVE(&all->ready, topic, queue);
        TAILQ_INSERT_TAIL(&all->resting, topic, queue);
        topic->queued = false;
        topic->busy = true;
        topic->again = false;
        bool ending = LIST_EMPTY(&topic->watches);
        enum err err = register_topic(all, topic);
        topic->busy = false;
        if (err != OK)
            log_debug("store", "watch not registered: %s", err_name(err));
        if (ending && LIST_EMPTY(&topic->watches)) {
            forget(all, topic);
            continue;
        }
        /* What the node refuses (an account that is gone) it will refuse again: no haste. */
        bool soon = err != OK && err_class(err) != ERR_CLASS_CALLER;
        topic->due_ms = loop_deadline_ms(soon ? RETRY_MS : WATCH_RENEW_MS);
        if (topic->again)
            enqueue(all, topic);
    }
    all->workers--;
}

static void spawn_worker(struct watches *all)
{
    if (all->workers < WORKERS_MAX && fiber_spawn(all->store->loop, "watch", worker, all) == OK)
        all->workers++;
}

/* Have the topic registered (or ended). While a worker holds it nobody else does: that worker does it once
 * more. */
static void enqueue(struct watches *all, struct topic *topic)
{
    if (topic->busy) {
        topic->again = true;
        return;
    }
    if (!topic->queued) {
        TAILQ_REMOVE(&all->resting, topic, queue);
        TAILQ_INSERT_TAIL(&all->ready, topic, queue);
        topic->queued = true;
    }
    spawn_worker(all);
}

static void tick(void *arg)
{
    struct watches *all = arg;
    uint64_t now_ms = loop_now_ms();
    struct topic *topic, *next;
    for (topic = TAILQ_FIRST(&all->resting); topic != NULL; topic = next) {
        next = TAILQ_NEXT(topic, queue);
        if (!topic->busy && topic->due_ms <= now_ms)
            enqueue(all, topic);
    }
    if (!TAILQ_EMPTY(&all->ready)) /* no fiber was to be had then */
        spawn_worker(all);
    timer_start(all->store->loop, &all->tick, loop_deadline_ms(TICK_MS), tick, all);
}

void watches_start(struct store *store)
{
    struct watches *all = NEW(struct watches);
    all->store = store;
    all->id = rand_u64();
    TAILQ_INIT(&all->ready);
    TAILQ_INIT(&all->resting);
    store->watches = all;
    timer_start(store->loop, &all->tick, loop_deadline_ms(TICK_MS), tick, all);
}

void watches_stop(struct store *store)
{
    struct watches *all = store->watches;
    struct topic *topic, *next;
    timer_stop(&all->tick);
    while (all->workers > 0 && fiber_self() != NULL)
        fiber_sleep_ms(STOP_CHECK_MS);
    HASH_ITER (hh, all->topics, topic, next) {
        assert(LIST_EMPTY(&topic->watches));
        forget(all, topic);
    }
    free(all);
    store->watches = NULL;
}

void watches_on_notice(struct store *store, struct slice packed)
{
    Tern__WatchNotice *notice = tern__watch_notice__unpack(NULL, packed.len, packed.data);
    if (notice == NULL)
        return;
    struct topic_key key = { notice->account, notice->mailbox };
    struct topic *topic;
    if (store->watches != NULL && notice->watch == store->watches->id) {
        HASH_FIND(hh, store->watches->topics, &key, sizeof key, topic);
        if (topic != NULL)
            tell(topic, notice->modseq);
    }
    tern__watch_notice__free_unpacked(notice, NULL);
}

void watches_on_map(struct store *store)
{
    struct topic *topic, *next;
    if (store->watches == NULL) /* a last map or notice may come while the store is being freed */
        return;
    HASH_ITER (hh, store->watches->topics, topic, next) {
        if (topic->primary_epoch != epoch_of(store, topic->home))
            enqueue(store->watches, topic);
    }
}

struct watch *watch_new(struct store *store, struct account_ref account, uint64_t mailbox, uint64_t modseq,
                        watch_fn *fn, void *arg)
{
    struct watches *all = store->watches;
    struct topic_key key = { account.id, mailbox };
    struct topic *topic;
    HASH_FIND(hh, all->topics, &key, sizeof key, topic);
    if (topic == NULL) {
        topic = NEW(struct topic);
        topic->key = key;
        topic->home = account.home;
        topic->modseq = modseq;
        LIST_INIT(&topic->watches);
        TAILQ_INSERT_TAIL(&all->resting, topic, queue);
        HASH_ADD(hh, all->topics, key, sizeof key, topic);
    }
    struct watch *w = NEW(struct watch);
    *w = (struct watch){ .all = all, .topic = topic, .fn = fn, .arg = arg, .modseq = modseq };
    /* The first one, also of a topic that was about to end. */
    bool first = LIST_EMPTY(&topic->watches);
    LIST_INSERT_HEAD(&topic->watches, w, entry);
    if (modseq < topic->modseq) {
        /* Others were told more than this one knows. */
        w->modseq = topic->modseq;
        fn(topic->modseq, arg);
    }
    if (first)
        enqueue(all, topic);
    return w;
}

void watch_free(struct watch **watch)
{
    struct watch *w = *watch;
    if (w == NULL)
        return;
    LIST_REMOVE(w, entry);
    if (LIST_EMPTY(&w->topic->watches))
        enqueue(w->all, w->topic);
    free(w);
    *watch = NULL;
}
