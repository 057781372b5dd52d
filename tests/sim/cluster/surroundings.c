/* SPDX-License-Identifier: Apache-2.0 */
/* What the code under test takes from its surroundings, here in place of the system's: clocks and random
 * bytes (lib/base/clock.h, lib/base/rand.h), threads (the linker puts __wrap_ functions before the system's,
 * CMakeLists.txt), free space; and the world as the directors see it (tests/sim/directors/directors.h). */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "lib/base/alloc.h"
#include "lib/base/clock.h"
#include "lib/base/rand.h"
#include "tests/sim/cluster/control.h"

enum { CLOCK_APART_MS = 77777, DISK_BLOCKS = 1000000, DISK_BLOCKS_FULL = 1000, BLOCK_SIZE = 4096 };

static struct cluster *world;
static struct process *running; /* whose code runs; NULL: nobody's, or a director's */

void surroundings_init(struct cluster *c)
{
    world = c;
    running = NULL;
}

struct process *surroundings_enter(struct process *p)
{
    struct process *before = running;
    running = p;
    return before;
}

struct process *surroundings_process(void)
{
    return running;
}

struct cluster *surroundings_world(void)
{
    return world;
}

/* ---- clocks and chance */

static uint64_t director_ns(void)
{
    return world->now + (uint64_t)(directors.running < 0 ? 0 : directors.running) * CLOCK_APART_MS * MS;
}

uint64_t clock_boot_ns(void)
{
    bool node = directors.running < 0 && running != NULL && running->node != NULL;
    return node ? node_now(running->node).boot_ns : director_ns();
}

uint64_t clock_mono_ns(void)
{
    return clock_boot_ns();
}

uint64_t clock_mono_ms(void)
{
    return clock_boot_ns() / MS;
}

uint64_t clock_real_ms(void)
{
    return UINT64_C(1700000000000) + world->now / MS;
}

uint64_t rand_u64(void)
{
    return cluster_rand(world);
}

void rand_bytes(void *out, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)out)[i] = (uint8_t)cluster_rand(world);
}

/* ---- threads and disks */

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_setname_np(pthread_t thread, const char *name);
int __wrap_statvfs(const char *path, struct statvfs *out);

/* The one thread that is asked for is a control thread, and that runs a loop, which comes back at once: its
 * turns are events (loop.c). */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
    (void)attr;
    *thread = 0;
    fn(arg);
    return 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
    (void)thread;
    (void)result;
    control_drain(running->node);
    return 0;
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
    (void)thread;
    (void)name;
    return 0;
}

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    *out = (struct statvfs){ .f_frsize = BLOCK_SIZE, .f_blocks = DISK_BLOCKS };
    out->f_bavail = node_is_full(running->node) ? DISK_BLOCKS_FULL : DISK_BLOCKS / 2;
    return 0;
}

uint64_t surroundings_reserve(void)
{
    return (uint64_t)DISK_BLOCKS_FULL * BLOCK_SIZE;
}

/* ---- the directors' world: milliseconds */

struct carried {
    struct event event; /* first */
    struct todo *todo;
};

static void carried_run(struct cluster *c, struct event *e)
{
    struct todo *todo = ((struct carried *)e)->todo;
    (void)c;
    free(e);
    todo->run(todo);
}

static void carried_drop(struct event *e)
{
    struct todo *todo = ((struct carried *)e)->todo;
    free(e);
    todo->drop(todo);
}

void sim_post(struct todo *todo, uint64_t at)
{
    struct carried *carried = NEW(struct carried);
    *carried = (struct carried){ { .run = carried_run, .drop = carried_drop }, todo };
    todo->at = at;
    cluster_post(world, &carried->event, at * MS);
}

uint64_t sim_now(void)
{
    return world->now / MS;
}

uint64_t sim_rand(void)
{
    return cluster_rand(world);
}

uint64_t sim_below(uint64_t n)
{
    return cluster_below(world, n);
}

bool sim_chance(unsigned per_mille)
{
    return cluster_chance(world, per_mille);
}

bool sim_calm(void)
{
    return world->calm;
}

static int end_of(int end)
{
    return end == END_STORE ? END_OF_STORE : end < END_STORE ? end_of_director(end) : end - END_NODE;
}

bool sim_route(int from, int to, uint64_t *at_out)
{
    uint64_t at;
    bool arrives = network_route(world, end_of(from), end_of(to), &at);
    if (from == END_STORE || to == END_STORE)
        at += cluster_below(world, world->ask_delay + 1);
    *at_out = (at + MS - 1) / MS;
    return arrives;
}

uint64_t sim_cut_until(int from, int to)
{
    return world->calm ? 0 : world->cut_until[end_of(from)][end_of(to)] / MS;
}

bool sim_cut(int from, int to)
{
    return sim_now() < sim_cut_until(from, to);
}

void sim_trace(const char *fmt, ...)
{
    char text[sizeof world->failure];
    va_list args;
    if (!world->trace)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cluster_trace(world, "%s", text);
}

void sim_fail(const char *fmt, ...)
{
    char text[sizeof world->failure];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    cluster_fail(world, "%s", text);
}
