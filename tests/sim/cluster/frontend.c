/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/cluster/frontend.h"

#include <stdlib.h>

#include "lib/base/alloc.h"
#include "lib/fiber/fiber.h"
#include "lib/store/message.h"
#include "lib/store/store.h"
#include "tests/sim/directors/directors.h"

struct frontend {
    struct process process;
    struct store *store;
    bool ended;
};

struct frontends {
    struct frontend list[FRONTENDS];
};

static const char *const director_names[DIRECTORS] = { "director-0", "director-1", "director-2" };

struct process *frontend_process(struct cluster *c, int number)
{
    return &c->frontends->list[number].process;
}

/* What runs until `leave` runs there, outside any fiber. */
static void enter(struct frontend *f)
{
    surroundings_enter(&f->process);
    process_loop_enter(f->process.loop);
}

static void leave(void)
{
    process_loop_leave();
    surroundings_enter(NULL);
}

struct watch *frontend_watch(struct cluster *c, int number, uint64_t account, int home, uint64_t mailbox,
                             uint64_t modseq, void (*fn)(uint64_t modseq, void *arg), void *arg)
{
    struct frontend *f = &c->frontends->list[number];
    struct account_ref ref = { account, (uint32_t)home };
    enter(f);
    struct watch *watch = watch_new(f->store, ref, mailbox, modseq, fn, arg);
    leave();
    return watch;
}

void frontend_unwatch(struct cluster *c, int number, struct watch **watch)
{
    enter(&c->frontends->list[number]);
    watch_free(watch);
    leave();
}

/* ---- turns */

static uint64_t next(const struct frontend *f)
{
    uint64_t ms = process_loop_next_ms(f->process.loop);
    return ms == UINT64_MAX ? UINT64_MAX : ms * MS;
}

uint64_t frontends_next(const struct cluster *c)
{
    uint64_t at = UINT64_MAX;
    for (int i = 0; c->frontends != NULL && i < FRONTENDS; i++) {
        if (next(&c->frontends->list[i]) < at)
            at = next(&c->frontends->list[i]);
    }
    return at;
}

static void turn(struct frontend *f)
{
    surroundings_enter(&f->process);
    process_loop_turn(f->process.loop);
    surroundings_enter(NULL);
}

void frontends_run(struct cluster *c)
{
    for (int i = 0; c->frontends != NULL && i < FRONTENDS; i++) {
        if (next(&c->frontends->list[i]) <= c->now)
            turn(&c->frontends->list[i]);
    }
}

/* ---- beginning and end */

static void start(struct cluster *c, int number)
{
    struct frontend *f = &c->frontends->list[number];
    struct store_options options = { .directors = director_names, .director_count = (size_t)directors.count };
    f->process = (struct process){ .end = end_of_frontend(number), .boot = cluster_rand(c) | 1 };
    if (loop_new(&f->process.loop) != OK)
        cluster_fail(c, "a front-end does not start");
    enter(f);
    f->store = store_new(f->process.loop, &options);
    leave();
    loop_run(f->process.loop);
}

struct frontends *frontends_new(struct cluster *c)
{
    c->frontends = NEW(struct frontends);
    for (int i = 0; i < FRONTENDS; i++)
        start(c, i);
    return c->frontends;
}

static void end_fiber(void *arg)
{
    struct frontend *f = arg;
    store_free(&f->store);
    f->ended = true;
}

/* Its fibers end as in a program that ends, which takes some time. */
static void end(struct cluster *c, int number)
{
    struct frontend *f = &c->frontends->list[number];
    enter(f);
    process_calls_end(f->process.client);
    enum err err = fiber_spawn(f->process.loop, "end", end_fiber, f);
    leave();
    while (err == OK && !f->ended) {
        turn(f);
        c->now += MS;
    }
    loop_free(&f->process.loop);
}

void frontends_free(struct frontends **f)
{
    if (*f == NULL)
        return;
    for (int i = 0; i < FRONTENDS; i++)
        end(surroundings_world(), i);
    free(*f);
    *f = NULL;
}
